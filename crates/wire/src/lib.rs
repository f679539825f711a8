//! The protocols of others, one folder each, and the lists of what there is.
//!
//! In reading order: [`registry`] (the lists), [`parts`] (what HAR and its relatives share), then a folder per protocol:
//! [`har`], [`galileo`], [`moesif`], [`runscope`], [`access_log`], [`tyk`] and [`weir`], our own lossless form.
//!
//! Every decoder here is total: foreign bytes never panic, never fail a whole call for one bad entry, and never take
//! more memory than a named limit allows. Nothing outside this crate knows a foreign name.

pub mod access_log;
pub mod auto;
pub mod csv;
pub mod elasticsearch;
pub mod galileo;
pub mod graylog;
pub mod har;
pub mod influx;
pub mod kafka;
pub mod moesif;
pub mod mongo;
pub mod parts;
pub mod prometheus;
pub mod registry;
pub mod runscope;
pub mod s3;
pub mod splunk;
pub mod sql;
pub mod statsd;
pub mod stdout;
pub mod syslog;
pub mod tyk;
pub mod webhook;
pub mod weir;

#[cfg(test)]
mod testing;
