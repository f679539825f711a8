//! The reverse proxy: takes calls, routes them as Kong would, passes them on unchanged and tells what happened, without
//! making any call wait for the telling.
//!
//! In reading order: [`proxy`] (the story of a call, top to bottom), [`snapshot`] (what it is configured to do),
//! [`plugins`] (who may look and change on the way), [`answer`] (what it says itself), `framing` (what is refused
//! before anybody reads it), `upstream` (connections to services), `capture` (the record of a call), `listener`.
//!
//! It will never: wait for a record to be kept, read configuration files or the environment, know an exporter.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod answer;
pub mod plugins;
pub mod snapshot;
pub mod upstream_path;
