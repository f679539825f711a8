//! Settings as used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use weir_kit::{Secret, units};
use weir_wire::tyk::connection::RedisSettings;

/// Everything that can be configured; [`super::spec`] says what each key means.
#[derive(Debug, Deserialize)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub log: Log,
    pub gateway: Gateway,
    pub server: Server,
    pub collector: Collector,
    pub pump: Pump,
    pub identify: Identify,
    pub redact: Redact,
    pub sample: Sample,
    pub journal: Journal,
    pub store: Store,
    pub targets: BTreeMap<String, Target>,
}

#[derive(Debug, Deserialize)]
pub struct Log {
    pub level: String,
    pub format: String,
}

#[derive(Debug, Deserialize)]
pub struct Gateway {
    pub proxy_listen: Listen,
    pub proxy_tls_listen: Listen,
    pub admin_listen: Listen,
    pub tls_certificate: Option<PathBuf>,
    pub tls_certificate_key: Option<PathBuf>,
    pub declarative_config: Option<PathBuf>,
    pub tyk_definitions: Option<PathBuf>,
    pub workers: Option<usize>,
    pub trusted_ips: Vec<String>,
    pub max_connections: usize,
    #[serde(deserialize_with = "size")]
    pub max_header_bytes: usize,
    pub max_header_count: usize,
    #[serde(deserialize_with = "duration")]
    pub header_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub keepalive_timeout: Duration,
    #[serde(deserialize_with = "duration")]
    pub shutdown_timeout: Duration,
    pub project: String,
    pub environment: Option<String>,
    pub capture: Capture,
    pub gateway_urls: GatewayUrls,
}

#[derive(Debug, Deserialize)]
pub struct GatewayUrls {
    pub host: Option<String>,
    pub targets: Vec<String>,
    pub tokens: BTreeMap<String, Secret>,
}

#[derive(Debug, Deserialize)]
pub struct Capture {
    pub enabled: bool,
    #[serde(deserialize_with = "size")]
    pub request_body_bytes: usize,
    #[serde(deserialize_with = "size")]
    pub response_body_bytes: usize,
    #[serde(deserialize_with = "size")]
    pub memory: usize,
}

#[derive(Debug, Deserialize)]
pub struct Server {
    pub listen: Listen,
    pub token: Option<Secret>,
    pub max_connections: usize,
}

#[derive(Debug, Deserialize)]
pub struct Collector {
    pub unknown_credentials: UnknownCredentials,
    pub tokens: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCredentials {
    Accept,
    Refuse,
}

#[derive(Debug, Deserialize)]
pub struct Pump {
    pub enabled: bool,
    pub config: Option<PathBuf>,
    pub key_prefix: String,
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    pub chunk: usize,
    #[serde(deserialize_with = "size")]
    pub chunk_bytes: usize,
    pub keep_keys: bool,
    pub projects: BTreeMap<String, String>,
    pub redis: RedisSettings,
}

#[derive(Debug, Deserialize)]
pub struct Identify {
    pub geo_database: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub struct Redact {
    pub enabled: bool,
    pub mask_headers: Vec<String>,
    pub keep_headers: Vec<String>,
    pub mask_parameters: Vec<String>,
    pub keep_parameters: Vec<String>,
    pub mask_fields: Vec<String>,
    pub keep_fields: Vec<String>,
    #[serde(deserialize_with = "size")]
    pub max_inflated_bytes: usize,
}

#[derive(Debug, Deserialize)]
pub struct Sample {
    pub one_in: u32,
    #[serde(deserialize_with = "duration")]
    pub slow: Duration,
}

#[derive(Debug, Deserialize)]
pub struct Journal {
    #[serde(deserialize_with = "size")]
    pub max_bytes: u64,
    #[serde(deserialize_with = "duration")]
    pub sync_interval: Duration,
}

#[derive(Debug, Deserialize)]
pub struct Store {
    pub kind: StoreKind,
    #[serde(deserialize_with = "duration")]
    pub retention: Duration,
    #[serde(deserialize_with = "size")]
    pub max_bytes: u64,
    #[serde(deserialize_with = "size")]
    pub writer_memory: usize,
    #[serde(deserialize_with = "duration")]
    pub commit_interval: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    Embedded,
    Memory,
}

#[derive(Debug, Deserialize)]
pub struct Target {
    pub kind: String,
    pub config: Value,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub Option<SocketAddr>);

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not an address to listen on; write it as 127.0.0.1:8000, or off"
            ))
        })
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    units::duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SizeText {
    Bytes(u64),
    Text(String),
}

fn size<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<N, D::Error> {
    let bytes = match SizeText::deserialize(deserializer)? {
        SizeText::Bytes(bytes) => bytes,
        SizeText::Text(text) => units::size(&text).map_err(D::Error::custom)?,
    };
    N::try_from(bytes)
        .map_err(|_| D::Error::custom(format!("{bytes} bytes is more than this machine can address")))
}
