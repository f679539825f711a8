//! `weir convert`: configuration of others, as settings of ours.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use weir_wire::tyk::gateway_conf;

/// What is converted.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// `tyk.conf` of Tyk's gateway, with `TYK_GW_…` variables over it: prints a target `tyk` for the settings file.
    TykGateway {
        /// The file; variables alone when left out.
        file: Option<PathBuf>,
    },
}

/// Prints settings to standard output, and what could not be taken over to standard error.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub fn run(options: Options) -> Result<ExitCode> {
    let Source::TykGateway { file } = options.source;
    let text = match &file {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
        None => String::new(),
    };
    let conversion = gateway_conf::read(&text, std::env::vars())?;
    for key in &conversion.unsupported {
        eprintln!("not taken over: {key}");
    }
    if !conversion.enabled {
        eprintln!("enable_analytics is off: nothing is recorded");
        return Ok(ExitCode::SUCCESS);
    }
    let mut settings = json!({"targets": {"tyk": {"kind": "tyk", "config": conversion.config}}});
    if let Some(file) = conversion.geo_database {
        settings["identify"] = json!({"geo_database": file});
    }
    print!("{}", toml::to_string_pretty(&without_null(settings))?);
    Ok(ExitCode::SUCCESS)
}

/// TOML has no null; a key that is null is not given.
fn without_null(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(group) => {
            let given = group.into_iter().filter(|(_, value)| !value.is_null());
            given.map(|(key, value)| (key, without_null(value))).collect()
        }
        value => value,
    }
}
