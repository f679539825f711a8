//! `weir demo`: a sample API and realistic traffic to it through a running gateway, so that everything can be seen and tried
//! without traffic of one's own.
//!
//! In reading order: [`shop`] (the API that is called), [`setup`] (how the gateway learns of it), [`plan`] (which calls are
//! made, decided by a seed), [`drive`] (making them).

mod drive;
mod plan;
mod setup;
pub mod shop;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use url::Url;

pub use drive::Report;
pub use plan::Plan;
pub use setup::Galileo;

/// Where and how much.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Admin API of the gateway.
    #[arg(long, default_value = "http://127.0.0.1:8001", env = "WEIR_DEMO_ADMIN_URL")]
    pub admin: Url,
    /// Proxy of the gateway.
    #[arg(long, default_value = "http://127.0.0.1:8000", env = "WEIR_DEMO_PROXY_URL")]
    pub proxy: Url,
    /// Where the sample API listens; the gateway must be able to reach it. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Calls a second on average; the rate swings by a half around it.
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// How many calls to make; without it and without a duration, until interrupted.
    #[arg(long)]
    pub count: Option<u64>,
    /// How long to go on, such as `30s` or `10m`.
    #[arg(long, value_parser = weir_kit::units::duration)]
    pub duration: Option<Duration>,
    /// The same seed makes the same calls in the same order.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Also report the traffic in Galileo's format to a collector, such as `http://127.0.0.1:8002`.
    #[arg(long)]
    pub galileo: Option<Url>,
}

/// Runs the demonstration and prints what came of it as JSON.
#[allow(clippy::print_stdout)]
pub async fn run(options: Options) -> Result<ExitCode> {
    let report = demonstrate(&options).await?;
    println!("{}", serde_json::to_string_pretty(&report).context("cannot write the report")?);
    Ok(if report.is_as_planned() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts the sample API, tells the gateway of it, and makes the planned calls until the count, the duration or an
/// interrupt ends it.
pub async fn demonstrate(options: &Options) -> Result<Report> {
    let shop = shop::Shop::start(options.listen).await?;
    let galileo = options.galileo.as_ref().map(Galileo::at).transpose()?;
    setup::configure(&options.admin, shop.address, galileo.as_ref()).await?;
    tracing::info!(shop = %shop.address, proxy = %options.proxy, rate = options.rate, "demo traffic begins");
    let limits = drive::Limits { rate: options.rate, count: options.count, duration: options.duration };
    drive::drive(&options.proxy, Plan::new(options.seed), &limits).await
}
