//! Stored bodies as typed values: what the snapshot needs of them, and nothing more.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use weir_state::{Reader, StateError};

use crate::entities::Fault;

/// A reference to another entity.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Reference {
    pub(super) id: String,
}

/// An entity and its place in the order of creation.
#[derive(Debug)]
pub(super) struct Row<T> {
    pub(super) sequence: i64,
    pub(super) value: T,
}

#[derive(Debug, Deserialize)]
pub(super) struct ServiceRow {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) protocol: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: Option<String>,
    pub(super) retries: u32,
    pub(super) connect_timeout: u64,
    pub(super) write_timeout: u64,
    pub(super) read_timeout: u64,
    pub(super) enabled: bool,
    pub(super) tls_verify: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RouteRow {
    pub(super) id: String,
    pub(super) created_at: i64,
    pub(super) name: Option<String>,
    pub(super) protocols: Vec<String>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) paths: Option<Vec<String>>,
    pub(super) headers: Option<BTreeMap<String, Vec<String>>>,
    pub(super) snis: Option<Vec<String>>,
    pub(super) https_redirect_status_code: u16,
    pub(super) regex_priority: i64,
    pub(super) strip_path: bool,
    pub(super) path_handling: String,
    pub(super) preserve_host: bool,
    pub(super) request_buffering: bool,
    pub(super) response_buffering: bool,
    pub(super) service: Option<Reference>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApiRow {
    pub(super) id: String,
    pub(super) created_at: i64,
    pub(super) name: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) uris: Option<Vec<String>>,
    pub(super) methods: Option<Vec<String>>,
    pub(super) strip_uri: bool,
    pub(super) upstream_url: String,
    pub(super) preserve_host: bool,
    pub(super) https_only: bool,
    pub(super) retries: u32,
    pub(super) upstream_connect_timeout: u64,
    pub(super) upstream_send_timeout: u64,
    pub(super) upstream_read_timeout: u64,
    pub(super) spelling: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConsumerRow {
    pub(super) id: String,
    pub(super) username: Option<String>,
    pub(super) custom_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyRow {
    pub(super) id: String,
    pub(super) created_at: i64,
    pub(super) key: String,
    pub(super) ttl: Option<i64>,
    pub(super) consumer: Reference,
}

#[derive(Debug, Deserialize)]
pub(super) struct UpstreamRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) host_header: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TargetRow {
    pub(super) target: String,
    pub(super) weight: u32,
    pub(super) upstream: Reference,
}

#[derive(Debug, Deserialize)]
pub(super) struct PluginRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) config: Value,
    pub(super) service: Option<Reference>,
    pub(super) route: Option<Reference>,
    pub(super) consumer: Option<Reference>,
    pub(super) api: Option<Reference>,
}

/// All entities of a collection.
pub(super) fn rows<T: DeserializeOwned>(reader: &Reader<'_>, collection: &str) -> Result<Vec<Row<T>>, Fault> {
    let row = |stored: weir_state::Stored| {
        let damaged = |error: serde_json::Error| StateError::Damaged {
            collection: collection.to_owned(),
            id: stored.id.to_string(),
            cause: error.to_string(),
        };
        let value = serde_json::from_value(stored.body).map_err(damaged)?;
        Ok(Row { sequence: stored.sequence, value })
    };
    reader.all(collection)?.into_iter().map(row).collect()
}
