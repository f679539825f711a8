//! Commands that do one thing and end.

pub mod check;
pub mod convert;
pub mod export;
pub mod import;
pub mod migrate_plugins;
pub mod openapi;
pub mod query;

use anyhow::{Context, Result, bail};
use clap::Args;
use url::Url;

/// Which running weir to talk to.
#[derive(Debug, Args)]
pub struct Server {
    /// Address of the running weir.
    #[arg(long, env = "WEIR_URL", default_value = "http://127.0.0.1:8002", value_name = "URL")]
    server: Url,
    /// Its API token, when it asks for one.
    #[arg(long, env = "WEIR_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl Server {
    /// A request to the API of the running weir.
    pub fn request(&self, method: reqwest::Method, path: &str) -> Result<reqwest::RequestBuilder> {
        let url = self.server.join(path).with_context(|| format!("not an address: {}", self.server))?;
        let request = reqwest::Client::new().request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    /// Sends a request; an answer that is an error becomes one, in the server's words.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let response = request
            .send()
            .await
            .with_context(|| format!("no weir answers at {}; start one with `weir run`", self.server))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let mut message = problem["detail"].as_str().unwrap_or(&text).to_owned();
        for error in problem["errors"].as_array().into_iter().flatten() {
            message += &format!("\n  {}", error["detail"].as_str().unwrap_or_default());
        }
        bail!("{status}: {message}");
    }
}
