//! `weir export`: what matches a query, as HAR or JSON lines.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;

use super::Server;

/// What to export.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    server: Server,
    /// Which exchanges, as in the page's query bar; all when left out.
    #[arg(long, default_value = "")]
    query: String,
    /// Earliest start, such as `now-1h` or `2026-11-03T14:00:00Z`.
    #[arg(long)]
    from: Option<String>,
    /// Latest start.
    #[arg(long)]
    to: Option<String>,
    /// Format: har or ndjson.
    #[arg(long, default_value = "har")]
    format: String,
    /// Where to write; standard output when left out.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Streams the answer to the output.
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", &options.query).append_pair("format", &options.format);
    for (name, value) in [("from", &options.from), ("to", &options.to)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let request = options.server.request(Method::GET, &format!("/api/v1/export?{}", query.finish()))?;
    let mut response = options.server.send(request).await?;
    // A command of its own: nothing else waits while it writes.
    let mut output: Box<dyn Write + Send> = match &options.output {
        Some(file) => Box::new(std::fs::File::create(file)?),
        None => Box::new(std::io::stdout()),
    };
    while let Some(piece) = response.chunk().await? {
        output.write_all(&piece)?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
