//! Which parts run, from start to clean stop.

use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::Settings;
use crate::wiring::Weir;

/// The parts of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Proxy and Admin API.
    pub gateway: bool,
    /// Store, collector, API and page.
    pub server: bool,
    /// Tyk's records from Redis, whatever the settings say; they may ask for it in every role.
    pub pump: bool,
}

impl Roles {
    /// Everything.
    pub const ALL: Self = Self { gateway: true, server: true, pump: false };
    /// The gateway alone.
    pub const GATEWAY: Self = Self { gateway: true, server: false, pump: false };
    /// The server alone.
    pub const SERVER: Self = Self { gateway: false, server: true, pump: false };
    /// The pump alone.
    pub const PUMP: Self = Self { gateway: false, server: false, pump: true };
}

/// Runs until a signal says to stop, then leaves nothing behind that is not durable or counted.
pub async fn run(settings: Settings, roles: Roles) -> Result<ExitCode> {
    // Listened to before anything starts, so that an early signal still ends cleanly.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let weir = Weir::start(settings, roles).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    weir.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
