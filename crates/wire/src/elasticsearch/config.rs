//! The settings of Tyk Pump's `elasticsearch`.

use std::time::Duration;

use serde::Deserialize;
use weir_kit::{FieldKind, FieldSpec, Secret};
use weir_pipeline::QueueSettings;

use crate::parts::record::{RECORD, RecordOptions};
use crate::parts::tls::{SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings};

const BULK_FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("1"),
        ..FieldSpec::new(
            "workers",
            FieldKind::Integer { min: 0, max: 1_000 },
            "accepted without effect: batches go one after the other",
        )
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "flush_interval",
            FieldKind::Integer { min: 0, max: 86_400 },
            "seconds before an incomplete batch is sent; 0 means 1",
        )
    },
    FieldSpec {
        default: Some("1000"),
        ..FieldSpec::new(
            "bulk_actions",
            FieldKind::Integer { min: -1, max: 1_000_000 },
            "most documents of a call; below 1 means 1000",
        )
    },
    FieldSpec {
        default: Some("5242880"),
        ..FieldSpec::new(
            "bulk_size",
            FieldKind::Integer { min: -1, max: 1 << 30 },
            "about how many bytes a call may have; below 1 means 5 MiB",
        )
    },
];

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"tyk_analytics\""),
        ..FieldSpec::new("index_name", FieldKind::Text, "index of the documents")
    },
    FieldSpec::new("mcp_index_name", FieldKind::Text, "index of MCP calls, if another"),
    FieldSpec {
        default: Some("\"http://localhost:9200\""),
        ..FieldSpec::new("elasticsearch_url", FieldKind::Text, "address of a node, or several with commas")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("use_sniffing", FieldKind::Boolean, "accepted without effect: name the nodes")
    },
    FieldSpec {
        default: Some("\"tyk_analytics\""),
        ..FieldSpec::new("document_type", FieldKind::Text, "type of the documents, before version 7")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("rolling_index", FieldKind::Boolean, "an index for each day: `-YYYY.MM.DD` is added")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "extended_stats",
            FieldKind::Boolean,
            "`raw_request`, `raw_response` and `user_agent`, too",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("generate_id", FieldKind::Boolean, "accepted without effect: ids are always given")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("decode_base64", FieldKind::Boolean, "send the two dumps without Base64")
    },
    FieldSpec {
        default: Some("\"3\""),
        ..FieldSpec::new(
            "version",
            FieldKind::OneOf(&["3", "5", "6", "7", "8", "9"]),
            "of the server; 7 for every later one and for OpenSearch",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "disable_bulk",
            FieldKind::Boolean,
            "accepted without effect: batches are bulk calls",
        )
    },
    FieldSpec {
        default: Some("{}"),
        ..FieldSpec::new("bulk_config", FieldKind::Record(BULK_FIELDS), "how documents travel together")
    },
    FieldSpec::new("auth_api_key_id", FieldKind::Text, "id of an API key"),
    FieldSpec { secret: true, ..FieldSpec::new("auth_api_key", FieldKind::Text, "the API key") },
    FieldSpec::new("auth_basic_username", FieldKind::Text, "name of the user"),
    FieldSpec { secret: true, ..FieldSpec::new("auth_basic_password", FieldKind::Text, "the password") },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("use_ssl", FieldKind::Boolean, "accepted without effect: the address says it")
    },
    SSL_INSECURE_SKIP_VERIFY,
    SSL_CA_FILE,
    SSL_CERT_FILE,
    SSL_KEY_FILE,
    RECORD,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) index_name: String,
    pub(super) mcp_index_name: Option<String>,
    pub(super) elasticsearch_url: String,
    pub(super) document_type: String,
    pub(super) rolling_index: bool,
    pub(super) extended_stats: bool,
    pub(super) decode_base64: bool,
    pub(super) version: String,
    pub(super) bulk_config: BulkConfig,
    pub(super) auth_api_key_id: Option<String>,
    pub(super) auth_api_key: Option<Secret>,
    pub(super) auth_basic_username: Option<String>,
    pub(super) auth_basic_password: Option<Secret>,
    #[serde(flatten)]
    pub(super) tls: TlsSettings,
    pub(super) record: RecordOptions,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct BulkConfig {
    flush_interval: u64,
    bulk_actions: i64,
    bulk_size: i64,
}

impl BulkConfig {
    pub(super) fn queue(self) -> QueueSettings {
        let positive = |number: i64, otherwise| {
            usize::try_from(number).ok().filter(|number| *number > 0).unwrap_or(otherwise)
        };
        QueueSettings {
            max_batch_size: positive(self.bulk_actions, 1_000),
            max_batch_bytes: positive(self.bulk_size, 5 << 20),
            max_coalescing_delay: Duration::from_secs(self.flush_interval.max(1)),
            ..QueueSettings::default()
        }
    }
}
