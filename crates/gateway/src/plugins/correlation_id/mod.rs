//! `correlation-id`: gives every call an id that service and client see.

mod config;
mod handler;

pub(super) use config::KIND;
