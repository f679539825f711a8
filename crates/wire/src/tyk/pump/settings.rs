//! The pump's settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use weir_kit::{FieldKind, FieldSpec};

use crate::tyk::connection::{self, RedisSettings};
use crate::tyk::lists::KEY_PREFIX;

/// The section `[pump]` of weir's settings.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "enabled",
            FieldKind::Boolean,
            "take the traffic records of Tyk's gateways from Redis; `weir pump` does whatever this says",
        )
    },
    FieldSpec::new(
        "config",
        FieldKind::Text,
        "`pump.conf` of Tyk's pump, with `TYK_PMP_…` variables over it; it goes before the keys below",
    ),
    FieldSpec {
        default: Some("\"analytics-\""),
        ..FieldSpec::new("key_prefix", FieldKind::Text, "what stands before the names of the lists")
    },
    FieldSpec {
        default: Some("\"1s\""),
        ..FieldSpec::new("delay", FieldKind::Duration, "pause after the lists were found empty")
    },
    FieldSpec {
        default: Some("2000"),
        ..FieldSpec::new("chunk", FieldKind::Integer { min: 1, max: 100_000 }, "most records read at once")
    },
    FieldSpec {
        default: Some("\"8MiB\""),
        ..FieldSpec::new(
            "chunk_bytes",
            FieldKind::Size,
            "most bytes read at once, unless one record is larger",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "keep_keys",
            FieldKind::Boolean,
            "keep API keys that gateways did not hash; else they are hashed",
        )
    },
    FieldSpec {
        default: Some("{}"),
        ..FieldSpec::new(
            "projects",
            FieldKind::Map(&FieldKind::Text),
            "project by organisation id; the default project otherwise",
        )
    },
    FieldSpec {
        default: Some("{}"),
        ..FieldSpec::new("redis", FieldKind::Record(connection::FIELDS), "where the lists are")
    },
];

/// How the pump works.
#[derive(Debug, Clone, PartialEq)]
pub struct PumpSettings {
    /// Where the lists are.
    pub redis: RedisSettings,
    /// What stands before their names.
    pub key_prefix: String,
    /// Pause after the lists were found empty.
    pub delay: Duration,
    /// Most records read at once.
    pub chunk: usize,
    /// Most bytes read at once, unless one record is larger.
    pub chunk_bytes: usize,
    /// Whether API keys stay that are no hashes.
    pub keep_keys: bool,
    /// Project by organisation id.
    pub projects: BTreeMap<String, String>,
    /// A folder of its own: the node's name, what was set aside.
    pub directory: PathBuf,
}

impl PumpSettings {
    /// The defaults.
    pub fn new(redis: RedisSettings, directory: impl Into<PathBuf>) -> Self {
        Self {
            redis,
            key_prefix: KEY_PREFIX.to_owned(),
            delay: Duration::from_secs(1),
            chunk: 2_000,
            chunk_bytes: 8 * 1024 * 1024,
            keep_keys: false,
            projects: BTreeMap::new(),
            directory: directory.into(),
        }
    }
}
