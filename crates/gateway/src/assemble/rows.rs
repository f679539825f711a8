//! Stored bodies as typed values: what the snapshot needs of them, and nothing more.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

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
    pub(super) revision: i64,
    pub(super) value: Arc<T>,
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

/// The entities of a collection as they were last read: only what has changed is read again.
#[derive(Debug)]
pub(super) struct Rows<T> {
    collection: &'static str,
    /// By sequence, with the revision that was read.
    read: Mutex<HashMap<i64, (i64, Arc<T>)>>,
}

impl<T: DeserializeOwned> Rows<T> {
    pub(super) fn of(collection: &'static str) -> Self {
        Self { collection, read: Mutex::default() }
    }

    /// All entities, oldest first.
    pub(super) fn load(&self, reader: &Reader<'_>) -> Result<Vec<Row<T>>, Fault> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rows = Vec::new();
        let mut kept = HashMap::new();
        for (sequence, revision) in reader.revisions(self.collection)? {
            let value = match read.get(&sequence) {
                Some((known, value)) if *known == revision => value.clone(),
                _ => match self.value(reader, sequence)? {
                    Some(value) => Arc::new(value),
                    None => continue,
                },
            };
            kept.insert(sequence, (revision, value.clone()));
            rows.push(Row { sequence, revision, value });
        }
        *read = kept;
        Ok(rows)
    }

    fn value(&self, reader: &Reader<'_>, sequence: i64) -> Result<Option<T>, StateError> {
        let Some(stored) = reader.at(self.collection, sequence)? else { return Ok(None) };
        let value = serde_json::from_value(stored.body).map_err(|error| StateError::Damaged {
            collection: self.collection.to_owned(),
            id: stored.id.to_string(),
            cause: error.to_string(),
        })?;
        Ok(Some(value))
    }
}
