//! `do-not-track`: calls that leave no record anywhere.

mod config;
mod handler;

pub(super) use config::KIND;
