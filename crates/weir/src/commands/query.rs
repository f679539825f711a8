//! `weir query`: a list of exchanges in the terminal.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Server;

/// What to ask.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    server: Server,
    /// Query text, such as `status:>=500 -path:/health "card declined"`.
    #[arg(default_value = "", allow_hyphen_values = true)]
    text: String,
    /// Earliest start, such as `now-1h`.
    #[arg(long)]
    from: Option<String>,
    /// Latest start.
    #[arg(long)]
    to: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print the API's JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Prints newest first.
#[allow(clippy::print_stdout)]
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("q", &options.text).append_pair("limit", &options.limit.to_string());
    for (name, value) in [("from", &options.from), ("to", &options.to)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let request = options.server.request(Method::GET, &format!("/api/v1/exchanges?{}", query.finish()))?;
    let answer: Value = serde_json::from_slice(&options.server.send(request).await?.bytes().await?)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    for row in answer["exchanges"].as_array().into_iter().flatten() {
        println!("{}", line(row));
    }
    let total = &answer["total"];
    let about = if total["relation"] == "approx" { "about " } else { "" };
    println!("{about}{} exchange(s)", total["value"]);
    Ok(ExitCode::SUCCESS)
}

fn line(row: &Value) -> String {
    let text = |name: &str| visible(row[name].as_str().unwrap_or("-"));
    format!(
        "{}  {:>3}  {:<7} {:>9}  {}{}",
        text("start_time"),
        row["status"].as_u64().map_or("-".to_owned(), |status| status.to_string()),
        text("method"),
        row["duration_ms"].as_f64().map_or("-".to_owned(), |millis| format!("{millis:.1} ms")),
        text("host"),
        text("path"),
    )
}

/// Captured text is hostile: control characters must not reach the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
