//! Tells the gateway of the sample API, with the requests an operator would make. Doing it again changes nothing.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use weir_model::place;

use super::plan::CALLERS;

/// A port where nothing listens: what a service looks like that is down.
const NOBODY: &str = "http://127.0.0.1:9";

/// Service, its paths, and whether callers must show a key.
const SERVICES: [(&str, &[&str], bool); 9] = [
    ("catalog", &["/api/products", "/api/categories"], false),
    ("accounts", &["/api/login", "/api/oauth"], false),
    ("orders", &["/api/orders", "/api/carts", "/api/users"], true),
    ("payments", &["/api/payments"], true),
    ("back-office", &["/api/catalog", "/api/reports"], true),
    ("graphql", &["/graphql"], true),
    ("stock", &["/rpc"], true),
    ("invoices", &["/soap"], true),
    ("recommendations", &["/recommendations"], false),
];

/// Where the traffic is also reported in Galileo's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Galileo {
    host: String,
    port: u16,
    https: bool,
}

impl Galileo {
    /// The collector at this address.
    pub fn at(url: &Url) -> Result<Self> {
        let host = url.host_str().with_context(|| format!("{url} names no host"))?.to_owned();
        let port = url.port_or_known_default().with_context(|| format!("{url} names no port"))?;
        Ok(Self { host, port, https: url.scheme() == "https" })
    }
}

/// Creates or renews services, routes, consumers, keys and plugins.
pub async fn configure(admin: &Url, shop: SocketAddr, galileo: Option<&Galileo>) -> Result<()> {
    let admin = Admin { client: Client::new(), base: admin.clone() };
    for (index, (name, paths, keyed)) in SERVICES.into_iter().enumerate() {
        let upstream = if name == "recommendations" { NOBODY.to_owned() } else { format!("http://{shop}") };
        let url = json!({ "url": upstream, "retries": 1, "connect_timeout": 2_000 });
        let service = admin.put(&format!("services/{name}"), url).await?;
        let route = json!({ "paths": paths, "strip_path": false, "service": { "id": service["id"] } });
        admin.put(&format!("routes/{name}"), route).await?;
        if keyed {
            let plugin = json!({ "name": "key-auth", "service": { "id": service["id"] } });
            admin.put(&format!("plugins/{}", plugin_id(index)), plugin).await?;
        }
    }
    let correlation = json!({ "name": "correlation-id", "config": { "header_name": "X-Request-Id", "generator": "uuid#counter", "echo_downstream": true } });
    admin.put(&format!("plugins/{}", plugin_id(100)), correlation).await?;
    if let Some(Galileo { host, port, https }) = galileo {
        let config = json!({ "service_token": "demo", "host": host, "port": port, "https": https, "log_bodies": true });
        admin
            .put(&format!("plugins/{}", plugin_id(101)), json!({ "name": "galileo", "config": config }))
            .await?;
    }
    for (index, caller) in CALLERS.into_iter().enumerate() {
        let consumer = json!({ "custom_id": caller.custom_id });
        let consumer = admin.put(&format!("consumers/{}", caller.username), consumer).await?;
        admin.key(caller.username, caller.key).await?;
        // All calls come from this machine, which is in no country.
        let config = json!({ "attributes": { place::COUNTRY: caller.country } });
        let place = json!({ "name": "attributes", "consumer": { "id": consumer["id"] }, "config": config });
        admin.put(&format!("plugins/{}", plugin_id(110 + index)), place).await?;
    }
    Ok(())
}

/// A fixed id, so that a second demonstration finds the plugins of the first.
fn plugin_id(index: usize) -> String {
    format!("d3300000-0000-4000-8000-{index:012}")
}

struct Admin {
    client: Client,
    base: Url,
}

impl Admin {
    async fn put(&self, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self.send(Method::PUT, path, body).await?;
        if !status.is_success() {
            bail!("the gateway refused PUT /{path}: {status} {answer}");
        }
        Ok(answer)
    }

    /// Gives a consumer a key; one that is there already is fine.
    async fn key(&self, consumer: &str, key: &str) -> Result<()> {
        let path = format!("consumers/{consumer}/key-auth");
        let (status, answer) = self.send(Method::POST, &path, json!({ "key": key })).await?;
        if !status.is_success() && status != StatusCode::CONFLICT {
            bail!("the gateway refused POST /{path}: {status} {answer}");
        }
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        let url = self.base.join(path)?;
        let request = self
            .client
            .request(method, url)
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = request
            .send()
            .await
            .with_context(|| format!("the Admin API at {} does not answer", self.base))?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}
