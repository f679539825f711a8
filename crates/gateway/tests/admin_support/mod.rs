//! An Admin API on a port of its own, and exporters to configure.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::net::SocketAddr;

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use weir_gateway::admin::{Admin, AdminOptions};
use weir_gateway::snapshot::{Snapshot, SnapshotHandle};
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_pipeline::{
    Batch, Built, CaptureWish, Delivered, ExportError, Exporter, ExporterKind, QueueSettings,
};
use weir_state::State;

/// Accepts everything; nothing is sent in these tests.
pub(crate) struct Discard;

#[async_trait]
impl Exporter for Discard {
    async fn export(&self, _batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        Ok(Delivered::default())
    }
}

#[derive(Deserialize)]
struct Config {
    log_bodies: Option<bool>,
    log_body: Option<bool>,
}

fn build(config: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(config)?;
    let bytes = if config.log_bodies.or(config.log_body).unwrap_or(false) { 1024 } else { 0 };
    let capture = CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes };
    Ok(Built { exporter: Box::new(Discard), queue: QueueSettings::default(), capture })
}

const fn field(name: &'static str, kind: FieldKind, default: Option<&'static str>) -> FieldSpec {
    FieldSpec { default, ..FieldSpec::new(name, kind, "") }
}

const NUMBER: FieldKind = FieldKind::Number { min: f64::MIN, max: f64::MAX };
const TOKEN: FieldSpec =
    FieldSpec { required: true, secret: true, ..field("service_token", FieldKind::Text, None) };

/// Settings as the three plugins documented them (a selection).
pub(crate) static EXPORTERS: &[ExporterKind] = &[
    ExporterKind {
        name: "galileo",
        aliases: &[],
        about: "",
        fields: &[
            TOKEN,
            field("environment", FieldKind::Text, None),
            field("log_bodies", FieldKind::Boolean, Some("false")),
            field("retry_count", NUMBER, Some("10")),
            field("queue_size", NUMBER, Some("1000")),
            FieldSpec {
                required: true,
                ..field("host", FieldKind::Text, Some("\"collector.galileo.mashape.com\""))
            },
        ],
        build,
    },
    ExporterKind {
        name: "mashape-analytics",
        aliases: &["analytics"],
        about: "",
        fields: &[
            TOKEN,
            field("environment", FieldKind::Text, None),
            field("log_body", FieldKind::Boolean, Some("false")),
            field("batch_size", NUMBER, Some("100")),
        ],
        build,
    },
    ExporterKind {
        name: "runscope",
        aliases: &[],
        about: "",
        fields: &[
            FieldSpec { required: true, aliases: &["bucket"], ..field("bucket_key", FieldKind::Text, None) },
            FieldSpec {
                required: true,
                secret: true,
                ..field("access_token", FieldKind::Text, Some("\"\""))
            },
            field("api_endpoint", FieldKind::Url, Some("\"https://api.runscope.com\"")),
            field("log_body", FieldKind::Boolean, Some("false")),
        ],
        build,
    },
];

/// A running Admin API.
pub(crate) struct Running {
    /// The API itself.
    pub(crate) admin: Admin,
    /// Where its snapshots go.
    pub(crate) snapshot: SnapshotHandle,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    client: Client,
}

impl Running {
    /// Starts one over an empty state.
    pub(crate) async fn start(declarative: bool) -> Self {
        Self::over(State::in_memory().unwrap(), EXPORTERS, declarative).await
    }

    /// Starts one over this state with these exporters.
    pub(crate) async fn over(state: State, exporters: &'static [ExporterKind], declarative: bool) -> Self {
        let snapshot = SnapshotHandle::new(Snapshot::empty());
        let options = AdminOptions { declarative, ..AdminOptions::new(state, exporters, snapshot.clone()) };
        let admin = Admin::new(options).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = admin.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { admin, snapshot, address, client: Client::new() }
    }

    /// A request to a path.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// Sends JSON; gives status and body.
    pub(crate) async fn json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request =
            self.request(method, path).header("content-type", "application/json").body(body.to_string());
        answer(request).await
    }

    /// Sends nothing; gives status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request("GET", path)).await
    }
}

/// Status and body of an answer; null without one.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// A multipart body of these fields.
pub(crate) fn multipart(fields: &[(String, String)]) -> (String, String) {
    let boundary = "----boundary7f3a";
    let parts: String = fields
        .iter()
        .map(|(name, value)| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .collect();
    (format!("multipart/form-data; boundary={boundary}"), format!("{parts}--{boundary}--\r\n"))
}
