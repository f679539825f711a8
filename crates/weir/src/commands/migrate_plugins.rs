//! `weir migrate-plugins`: turns plugins of Galileo's first generation into those of the second, as Kong 0.8.2 did.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use url::Url;
use weir_wire::galileo;

/// Names that the first generation was configured under.
const OLD_NAMES: &[&str] = &["analytics", "mashape-analytics"];
/// What a configuration belongs to and whether it runs: kept as it is.
const KEPT: &[&str] = &["api", "service", "route", "consumer", "enabled", "protocols", "tags"];

/// What to migrate.
#[derive(Debug, Args)]
pub struct Options {
    /// Address of the Admin API.
    #[arg(long, default_value = "http://127.0.0.1:8001", value_name = "URL")]
    admin: Url,
    /// Collector for configurations that name the historical host, which is gone.
    #[arg(long, value_name = "URL")]
    collector: Option<Url>,
    /// Make the changes; without this they are only shown.
    #[arg(long)]
    apply: bool,
}

/// Shows each change, and makes it when told to: the new configuration first, then the old one goes.
#[allow(clippy::print_stdout)]
pub async fn run(options: Options) -> Result<ExitCode> {
    let mut count = 0;
    for plugin in plugins(&options).await? {
        let name = plugin["name"].as_str().unwrap_or_default();
        if !OLD_NAMES.contains(&name) {
            continue;
        }
        count += 1;
        let (id, new) = (plugin["id"].as_str().unwrap_or_default(), migrated(&plugin, &options));
        println!("{name} {id} -> {}", shown(&new));
        if options.apply {
            // Both for a moment: a call is rather reported twice than not at all.
            let answer = ask(&options, Method::POST, "/plugins", Some(&new)).await?;
            ask(&options, Method::DELETE, &format!("/plugins/{id}"), None).await?;
            println!("  now galileo {}", answer["id"].as_str().unwrap_or_default());
        }
    }
    match (count, options.apply) {
        (0, _) => println!("no plugin of the first generation"),
        (_, false) => println!("{count} to migrate; do it with --apply"),
        (_, true) => println!("{count} migrated"),
    }
    Ok(ExitCode::SUCCESS)
}

/// All plugins, page by page.
async fn plugins(options: &Options) -> Result<Vec<Value>> {
    let (mut plugins, mut page) = (Vec::new(), "/plugins?size=100".to_owned());
    loop {
        let answer = ask(options, Method::GET, &page, None).await?;
        plugins.extend(answer["data"].as_array().into_iter().flatten().cloned());
        match answer["next"].as_str() {
            Some(next) => page = next.to_owned(),
            None => return Ok(plugins),
        }
    }
}

fn migrated(plugin: &Value, options: &Options) -> Value {
    let none = Map::new();
    let config = plugin["config"].as_object().unwrap_or(&none);
    let config = galileo::first::migrate(config, options.collector.as_ref());
    let mut new = json!({"name": galileo::EXPORTER.name, "config": config});
    for member in KEPT {
        if !plugin[member].is_null() {
            new[member] = plugin[member].clone();
        }
    }
    new
}

/// As JSON, without the token.
fn shown(new: &Value) -> Value {
    let mut shown = new.clone();
    shown["config"]["service_token"] = "[masked]".into();
    shown
}

async fn ask(options: &Options, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let url = options.admin.join(path).with_context(|| format!("not an address: {}", options.admin))?;
    let mut request = Client::new().request(method.clone(), url);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response =
        request.send().await.with_context(|| format!("no Admin API answers at {}", options.admin))?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        bail!("{method} {path}: {status}: {text}");
    }
    if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
}
