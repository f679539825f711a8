//! Real clients of others, unmodified, against a running weir; see README.md beside this file.
#![allow(clippy::unwrap_used)]

mod gateway_urls;
mod harness;
mod mashape;
mod moesif;
#[path = "../support/mod.rs"]
mod support;
