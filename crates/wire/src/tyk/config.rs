//! The exporter's settings: the gateway's names, defaults and units (tyk-gateway-analytics, section 2), and some of our own.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_model::Exchange;
use weir_pipeline::{CaptureWish, QueueSettings};

use super::connection::{self, RedisSettings};
use super::encode::{Dumps, Profile};
use super::lists::Encoding;
use super::normalise::{NormaliseSettings, Normaliser};

const TEXTS: FieldKind = FieldKind::Array(&FieldKind::Text);

const fn key(name: &'static str, kind: FieldKind, default: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { default: Some(default), ..FieldSpec::new(name, kind, about) }
}

const fn on_off(name: &'static str, about: &'static str) -> FieldSpec {
    key(name, FieldKind::Boolean, "false", about)
}

const NORMALISE: &[FieldSpec] = &[
    on_off("enabled", "switch for the others"),
    on_off("normalise_uuids", "UUIDs in the path become {uuid}"),
    on_off("normalise_ulids", "ULIDs become {ulid}"),
    on_off("normalise_numbers", "numbers become {id}"),
    FieldSpec {
        aliases: &["custom"],
        ..key("custom_patterns", TEXTS, "[]", "regular expressions; what matches becomes {var}")
    },
];

/// What the settings may hold.
pub const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        aliases: &["analytics_storage"],
        ..key("storage", FieldKind::Record(connection::FIELDS), "{}", "Redis")
    },
    key("type", FieldKind::OneOf(&["", "redis"]), "\"\"", "records wait in Redis for a pump"),
    key("ignored_ips", TEXTS, "[]", "addresses of clients that make no record; also networks (ours)"),
    on_off("enable_detailed_recording", "write requests and responses whole"),
    key("normalise_urls", FieldKind::Record(NORMALISE), "{}", "what becomes of values in paths"),
    key("pool_size", FieldKind::Integer { min: 0, max: 100_000 }, "0", "accepted; one sender is enough"),
    key(
        "records_buffer_size",
        FieldKind::Integer { min: 0, max: 10_000_000 },
        "1000",
        "records in a batch; at least 1000, as in the original",
    ),
    key(
        "storage_expiration_time",
        FieldKind::Integer { min: -1, max: 1_000_000_000 },
        "60",
        "seconds a list lives after the last record; 0 means 60, -1 for ever",
    ),
    on_off("enable_multiple_analytics_keys", "spread over ten lists"),
    key(
        "purge_interval",
        FieldKind::Number { min: 0.0, max: 1e9 },
        "10",
        "accepted; only remote gateways drain",
    ),
    key("serializer_type", FieldKind::OneOf(&["", "msgpack", "protobuf"]), "\"msgpack\"", "encoding"),
    on_off("hash_keys", "write hashes in place of keys"),
    key(
        "hash_key_function",
        FieldKind::OneOf(&["", "murmur32", "murmur64", "murmur128", "sha256"]),
        "\"murmur32\"",
        "algorithm for keys that do not name theirs",
    ),
    key("tag_headers", TEXTS, "[]", "request headers that become tags"),
    key("tags", TEXTS, "[]", "tags of every record, as a segmented node adds them"),
    key(
        "org_id",
        FieldKind::Text,
        "\"\"",
        "organisation of calls that name none; the project when empty (ours)",
    ),
    key(
        "expire_analytics_after",
        FieldKind::Integer { min: 0, max: 10_000_000_000 },
        "0",
        "seconds that stores with an expiry keep a record; 0: 100 years",
    ),
    on_off("record_unmatched", "write records of calls that no route of the gateway matched, too (ours)"),
    key("max_body_bytes", FieldKind::Size, "\"64KiB\"", "most of each body with detailed recording (ours)"),
    key(
        "max_waiting_records",
        FieldKind::Integer { min: 1, max: 1_000_000_000 },
        "1000000",
        "records in a list above which further ones wait in the journal, so that Redis never fills up (ours)",
    ),
];

/// How exchanges are marked that our gateway saw.
const GATEWAY: &str = "gateway";

#[derive(Debug, Deserialize)]
struct Written {
    storage: RedisSettings,
    ignored_ips: Vec<String>,
    enable_detailed_recording: bool,
    normalise_urls: NormaliseSettings,
    records_buffer_size: usize,
    storage_expiration_time: i64,
    enable_multiple_analytics_keys: bool,
    serializer_type: String,
    hash_keys: bool,
    hash_key_function: String,
    tag_headers: Vec<String>,
    tags: Vec<String>,
    org_id: String,
    expire_analytics_after: u64,
    record_unmatched: bool,
    max_body_bytes: Value,
    max_waiting_records: u64,
}

/// The settings, checked and completed.
#[derive(Debug, Clone)]
pub struct Config {
    /// Redis.
    pub redis: RedisSettings,
    /// How records are made.
    pub profile: Profile,
    /// How they are encoded.
    pub encoding: Encoding,
    /// Whether they are spread over ten lists.
    pub spread: bool,
    /// How long a list lives after the last record; `None`: for ever.
    pub list_lives: Option<Duration>,
    /// Whose calls make no record.
    pub ignored: Vec<Network>,
    /// Records in a batch.
    pub batch: usize,
    /// Records in a list above which nothing is added.
    pub max_waiting: u64,
    /// Most bytes of a body.
    pub max_body_bytes: usize,
    /// Whether calls that no route matched make records.
    pub unmatched: bool,
}

impl Config {
    /// Reads the settings.
    pub fn read(settings: Value) -> Result<Self, ConfigError> {
        let written: Written = kind::read(settings)?;
        written.storage.nodes().map_err(|error| inside("storage", &error))?;
        let (normaliser, bad) = Normaliser::new(&written.normalise_urls);
        for pattern in bad {
            tracing::warn!(pattern, "normalise_urls.custom_patterns: not a regular expression, skipped");
        }
        let max_body_bytes = kind::size("max_body_bytes", &written.max_body_bytes)?;
        let seconds = u64::try_from(written.storage_expiration_time).ok();
        let function = serde_json::from_value(Value::String(written.hash_key_function)).unwrap_or_default();
        Ok(Self {
            profile: Profile {
                dumps: if written.enable_detailed_recording { Dumps::Always } else { Dumps::WhereAsked },
                templates: false,
                org_id: written.org_id,
                hash_keys: written.hash_keys.then_some(function),
                tag_headers: written.tag_headers,
                node_tags: written.tags,
                normaliser,
                expire_after: match written.expire_analytics_after {
                    0 => None,
                    seconds => Some(Duration::from_secs(seconds)),
                },
            },
            redis: written.storage,
            encoding: if written.serializer_type == "protobuf" {
                Encoding::Protobuf
            } else {
                Encoding::Msgpack
            },
            spread: written.enable_multiple_analytics_keys,
            list_lives: seconds.map(|seconds| Duration::from_secs(if seconds == 0 { 60 } else { seconds })),
            ignored: written.ignored_ips.iter().map(|text| Network::read(text)).collect::<Result<_, _>>()?,
            batch: written.records_buffer_size.max(1_000),
            max_waiting: written.max_waiting_records,
            max_body_bytes,
            unmatched: written.record_unmatched,
        })
    }

    pub(super) fn queue(&self) -> QueueSettings {
        QueueSettings {
            max_batch_size: self.batch,
            max_coalescing_delay: Duration::from_millis(200),
            max_retry_delay: Duration::from_secs(10),
            timeout: self.redis.patience() * 6,
            ..QueueSettings::default()
        }
    }

    pub(super) fn capture(&self) -> CaptureWish {
        let bytes = if self.profile.dumps == Dumps::Always { self.max_body_bytes } else { 0 };
        CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes }
    }

    /// Whether a call makes no record (section 4).
    pub(super) fn ignores(&self, exchange: &Exchange) -> bool {
        let unmatched =
            exchange.origin.source == GATEWAY && exchange.route.is_none() && exchange.service.is_none();
        let ignored = |address: IpAddr| self.ignored.iter().any(|network| network.holds(address));
        (unmatched && !self.unmatched) || exchange.client.address.is_some_and(ignored)
    }
}

/// The same mistakes with the key of the group before theirs.
pub(super) fn inside(group: &str, error: &ConfigError) -> ConfigError {
    let mut error = error.clone();
    for problem in &mut error.problems {
        problem.key = format!("{group}.{}", problem.key);
    }
    error
}

/// An address, or a network of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn read(text: &str) -> Result<Self, ConfigError> {
        let bad = || ConfigError::one("ignored_ips", format!("{text:?} is not an address or a network"));
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = address.trim().parse::<IpAddr>().map_err(|_| bad())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(width), |bits| bits.trim().parse().ok());
        Ok(Self { address, bits: bits.filter(|bits| *bits <= width).ok_or_else(bad)? })
    }

    fn holds(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_kit::schema;
    use weir_model::Peer;

    use super::*;
    use crate::testing::one;
    use crate::tyk::hash::KeyHash;

    fn read(settings: Value) -> Result<Config, ConfigError> {
        Config::read(schema::check(FIELDS, settings)?)
    }

    #[test]
    fn the_documented_names_are_read() {
        let config = read(json!({
            "storage": {"addrs": ["a:1", "[::1]:2"], "redis_use_ssl": true, "database": 3},
            "type": "redis", "ignored_ips": ["192.0.2.1", "10.0.0.0/8", "::/0"], "serializer_type": "protobuf",
            "enable_multiple_analytics_keys": true, "storage_expiration_time": 0, "pool_size": 4,
            "records_buffer_size": 10, "hash_keys": true, "hash_key_function": "sha256",
            "normalise_urls": {"enabled": true, "normalise_numbers": true, "custom_patterns": ["("]},
        }))
        .unwrap();
        assert_eq!(config.redis.nodes().unwrap(), [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert!(config.redis.use_ssl && config.spread);
        assert_eq!((config.encoding, config.batch), (Encoding::Protobuf, 1_000));
        assert_eq!(config.list_lives, Some(Duration::from_secs(60)));
        assert_eq!(config.profile.hash_keys, Some(KeyHash::Sha256));
        for (address, ignored) in
            [("192.0.2.1", true), ("192.0.2.2", false), ("10.9.9.9", true), ("::5", true)]
        {
            let mut exchange = one("/");
            exchange.client = Peer::new(address.parse().unwrap(), None);
            assert_eq!(config.ignores(&exchange), ignored, "{address}");
        }
        let mut unmatched = one("/");
        (unmatched.origin.source, unmatched.service, unmatched.route) = (GATEWAY.into(), None, None);
        assert!(config.ignores(&unmatched));
        assert!(!read(json!({"record_unmatched": true})).unwrap().ignores(&unmatched));
        unmatched.route = Some("r".into());
        assert!(!config.ignores(&unmatched));
        assert_eq!(read(json!({"storage_expiration_time": -1})).unwrap().list_lives, None);
    }

    #[test]
    fn mistakes_are_named() {
        for (settings, said) in [
            (json!({"ignored_ips": ["x"]}), "ignored_ips: \"x\" is not an address or a network"),
            (json!({"storage": {"addrs": ["x"]}}), "storage.addrs: \"x\" is not host:port"),
            (
                json!({"storage": {"tls_min_version": "1.3"}}),
                "storage.tls_min_version: expected one of: , 1.0, 1.1, 1.2, not \"1.3\"",
            ),
            (json!({"type": "rpc"}), "type: expected one of: , redis, not \"rpc\""),
        ] {
            assert_eq!(read(settings).unwrap_err().to_string(), said);
        }
    }
}
