//! The settings of Tyk Pump's `sql` and `sql_aggregate`.

use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret};
use weir_pipeline::QueueSettings;

use crate::parts::aggregate::{
    AggregateOptions, IGNORE_AGGREGATIONS, IGNORE_TAG_PREFIX_LIST, STORE_ANALYTICS_PER_MINUTE,
    THRESHOLD_LEN_TAG_LIST, TRACK_ALL_PATHS,
};
use crate::parts::record::{RECORD, RecordOptions};

const POSTGRES: &[FieldSpec] = &[FieldSpec {
    default: Some("false"),
    ..FieldSpec::new(
        "prefer_simple_protocol",
        FieldKind::Boolean,
        "accepted without effect: statements are never prepared by name",
    )
}];

const TYPE: FieldSpec = FieldSpec {
    default: Some("\"postgres\""),
    ..FieldSpec::new("type", FieldKind::OneOf(&["postgres", "mysql"]), "of the database; mysql is refused")
};

const CONNECTION_STRING: FieldSpec = FieldSpec {
    required: true,
    secret: true,
    ..FieldSpec::new("connection_string", FieldKind::Text, "`host=… user=… password=… dbname=…`, or a URL")
};

const POSTGRES_GROUP: FieldSpec = FieldSpec {
    default: Some("{}"),
    ..FieldSpec::new("postgres", FieldKind::Record(POSTGRES), "how to speak to PostgreSQL")
};

const MYSQL_GROUP: FieldSpec =
    FieldSpec::new("mysql", FieldKind::Map(&FieldKind::Any), "accepted without effect");

const TABLE_SHARDING: FieldSpec = FieldSpec {
    default: Some("false"),
    ..FieldSpec::new("table_sharding", FieldKind::Boolean, "a table for each day: `_YYYYMMDD` is added")
};

const LOG_LEVEL: FieldSpec = FieldSpec {
    default: Some("\"silent\""),
    ..FieldSpec::new("log_level", FieldKind::Text, "accepted without effect")
};

const BATCH_SIZE: FieldSpec = FieldSpec {
    default: Some("1000"),
    ..FieldSpec::new("batch_size", FieldKind::Integer { min: 0, max: 100_000 }, "most calls of a transaction")
};

const MIGRATE: FieldSpec = FieldSpec {
    default: Some("false"),
    ..FieldSpec::new(
        "migrate_sharded_tables",
        FieldKind::Boolean,
        "accepted without effect: a table is written with the columns that it has",
    )
};

pub(super) const FIELDS: &[FieldSpec] = &[
    TYPE,
    CONNECTION_STRING,
    POSTGRES_GROUP,
    MYSQL_GROUP,
    TABLE_SHARDING,
    LOG_LEVEL,
    BATCH_SIZE,
    MIGRATE,
    RECORD,
];

pub(super) const AGGREGATE_FIELDS: &[FieldSpec] = &[
    TYPE,
    CONNECTION_STRING,
    POSTGRES_GROUP,
    MYSQL_GROUP,
    TABLE_SHARDING,
    LOG_LEVEL,
    BATCH_SIZE,
    MIGRATE,
    TRACK_ALL_PATHS,
    IGNORE_TAG_PREFIX_LIST,
    THRESHOLD_LEN_TAG_LIST,
    STORE_ANALYTICS_PER_MINUTE,
    IGNORE_AGGREGATIONS,
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("omit_index_creation", FieldKind::Boolean, "make no index on new tables")
    },
    FieldSpec {
        default: Some("true"),
        ..FieldSpec::new(
            "latency_sketch",
            FieldKind::Boolean,
            "keep distributions of the latency beside, for percentiles (ours)",
        )
    },
];

/// Settings of either output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    #[serde(rename = "type")]
    database: String,
    pub(super) connection_string: Secret,
    pub(super) table_sharding: bool,
    batch_size: usize,
    pub(super) record: RecordOptions,
    #[serde(flatten)]
    pub(super) aggregate: AggregateOptions,
    pub(super) omit_index_creation: bool,
    pub(super) latency_sketch: bool,
}

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.database == "mysql" {
            return Err(ConfigError::one("type", "mysql is not supported; postgres is"));
        }
        self.record.check()
    }

    pub(super) fn queue(&self) -> QueueSettings {
        let max_batch_size = if self.batch_size == 0 { 1_000 } else { self.batch_size };
        QueueSettings { max_batch_size, ..QueueSettings::default() }
    }
}
