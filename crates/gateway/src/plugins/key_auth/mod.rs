//! `key-auth`: finds the consumer by a key in a header, the query or a form body.

mod config;
mod handler;

pub(super) use config::KIND;
