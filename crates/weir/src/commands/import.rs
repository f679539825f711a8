//! `weir import`: files into a running weir, with exact counts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;

use super::Server;

/// What to import.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    server: Server,
    /// Files to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the files: har, combined, common, json, ndjson, or auto to find out from the content.
    #[arg(long, default_value = "auto")]
    format: String,
}

/// What the server says of one file.
#[derive(Debug, Deserialize)]
struct Report {
    offered: u64,
    accepted: u64,
    rejected: u64,
    rejections: Vec<Rejection>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    line: u64,
    reason: String,
}

/// Imports file by file; fails when a file could not be read at all.
#[allow(clippy::print_stdout)]
pub async fn run(options: Options) -> Result<ExitCode> {
    for file in &options.files {
        let report = import(&options, file).await.with_context(|| format!("{}", file.display()))?;
        println!(
            "{}: {} read, {} accepted, {} rejected",
            file.display(),
            report.offered,
            report.accepted,
            report.rejected
        );
        for Rejection { line, reason } in &report.rejections {
            println!("  {line}: {reason}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn import(options: &Options, file: &Path) -> Result<Report> {
    let file = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let body = reqwest::Body::from(tokio::fs::File::open(file).await?);
    let format: String = url::form_urlencoded::byte_serialize(options.format.as_bytes()).collect();
    let path = format!("/api/v1/import?format={format}");
    let request = options.server.request(Method::POST, &path)?.body(body);
    let answer = options.server.send(request).await?.bytes().await?;
    Ok(serde_json::from_slice(&answer)?)
}
