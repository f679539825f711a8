//! `recording`: what the records of calls say beside the calls themselves.

mod config;
mod handler;

pub(super) use config::KIND;
