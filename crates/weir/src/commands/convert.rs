//! `weir convert`: configuration of others, as settings of ours.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use weir_wire::tyk::gateway_conf;

use crate::definitions;

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
    /// API definitions of Tyk, classic and OpenAPI: prints a declarative file with services, routes and plugins.
    Tyk {
        /// Files, and folders of files (.json, .yaml, .yml).
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
}

/// Prints what was made to standard output, and what could not be taken over to standard error.
pub fn run(options: Options) -> Result<ExitCode> {
    match options.source {
        Source::TykGateway { file } => tyk_gateway(file.as_deref()),
        Source::Tyk { paths } => tyk_definitions(&paths),
    }
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn tyk_gateway(file: Option<&Path>) -> Result<ExitCode> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).with_context(|| file.display().to_string())?,
        None => String::new(),
    };
    let conversion = gateway_conf::read(&text, std::env::vars())?;
    tell(&conversion.unsupported);
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

#[allow(clippy::print_stdout)]
fn tyk_definitions(paths: &[PathBuf]) -> Result<ExitCode> {
    let conversion = definitions::read(paths)?;
    tell(&conversion.unsupported);
    print!("{}", conversion.yaml()?);
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stderr)]
fn tell(unsupported: &[String]) {
    for key in unsupported {
        eprintln!("not taken over: {key}");
    }
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
