//! The binary: settings, roles, wiring, shutdown, its own logs.
//!
//! In reading order: [`cli`] (what can be typed), [`settings`] (what can be configured), [`wiring`] (which concrete things
//! are built and how they are joined), [`roles`] (which of them run), [`commands`] (everything else), [`definitions`] (of APIs, from
//! files of Tyk's).

#![allow(
    unreachable_pub,
    reason = "nothing of a binary is reachable; `pub` tells what a module offers the others"
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::process::ExitCode;

mod cli;
mod commands;
mod definitions;
mod demo;
mod roles;
mod settings;
mod telemetry;
mod wiring;

// Chosen by measurement, see docs/decisions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
