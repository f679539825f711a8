//! What can be typed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::{commands, demo, roles, settings, telemetry};

/// Self-hosted API traffic analytics: a gateway, a collector, a store and a page in one program.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Settings file (TOML); without one, every role runs on local addresses with an embedded store.
    #[arg(long, global = true, env = "WEIR_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything: gateway, Admin API, collector, store and page.
    Run,
    /// Run the gateway and its Admin API; what it captures goes to the exporters only.
    Gateway,
    /// Run the collector, store, API and page.
    Server,
    /// Take the traffic records of Tyk's gateways from Redis and send them on; `weir server` with `pump.enabled` keeps them.
    Pump,
    /// Check the settings, report every mistake at once, and exit.
    Check(commands::check::Options),
    /// Turn configuration of other systems into settings.
    Convert(commands::convert::Options),
    /// Send HAR files or access logs to a running weir.
    Import(commands::import::Options),
    /// Write exchanges of a running weir to a file or standard output.
    Export(commands::export::Options),
    /// Ask a running weir for exchanges, as in the page's query bar.
    Query(commands::query::Options),
    /// Turn plugins of Galileo's first generation (`analytics`, `mashape-analytics`) into `galileo`, through the Admin API.
    MigratePlugins(commands::migrate_plugins::Options),
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
    /// Drive a running weir with realistic traffic to a sample API.
    Demo(demo::Options),
}

/// Reads the command line and does what it says.
pub fn run() -> Result<ExitCode> {
    let cli = Cli::parse();
    match cli.command {
        Command::Check(options) => commands::check::run(&options, cli.common.settings.as_deref()),
        Command::Openapi => commands::openapi::run(),
        Command::Convert(options) => commands::convert::run(options),
        Command::Import(options) => block_on(commands::import::run(options)),
        Command::Export(options) => block_on(commands::export::run(options)),
        Command::MigratePlugins(options) => block_on(commands::migrate_plugins::run(options)),
        Command::Query(options) => block_on(commands::query::run(options)),
        Command::Demo(options) => {
            telemetry::start_plain();
            block_on(demo::run(options))
        }
        Command::Run => serve(cli.common, roles::Roles::ALL),
        Command::Gateway => serve(cli.common, roles::Roles::GATEWAY),
        Command::Server => serve(cli.common, roles::Roles::SERVER),
        Command::Pump => serve(cli.common, roles::Roles::PUMP),
    }
}

fn serve(common: Common, roles: roles::Roles) -> Result<ExitCode> {
    let settings = settings::load(common.settings.as_deref(), std::env::vars())?;
    telemetry::start(&settings.log);
    block_on(roles::run(settings, roles))
}

fn block_on(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Tells the person at the terminal what went wrong, with every cause.
#[allow(clippy::print_stderr)]
pub fn complain(error: &anyhow::Error) {
    eprintln!("weir: {error:#}");
}
