//! The settings of Tyk Pump's `sql` and `sql_aggregate`.

use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret};
use weir_pipeline::QueueSettings;

use crate::parts::aggregate::{DIMENSIONS, Rules};
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
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "track_all_paths",
            FieldKind::Boolean,
            "endpoints of every call, not only of tracked ones and of those with a template",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "ignore_tag_prefix_list",
            FieldKind::Array(&FieldKind::Text),
            "tags that begin with one of these are not aggregated",
        )
    },
    FieldSpec {
        default: Some("1000"),
        ..FieldSpec::new(
            "threshold_len_tag_list",
            FieldKind::Integer { min: -1, max: 1 << 31 },
            "tags in a batch beyond which a warning is logged; -1: never",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("store_analytics_per_minute", FieldKind::Boolean, "by the minute, not by the hour")
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "ignore_aggregations",
            FieldKind::Array(&FieldKind::OneOf(DIMENSIONS)),
            "dimensions that are left out",
        )
    },
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
    track_all_paths: bool,
    ignore_tag_prefix_list: Vec<String>,
    pub(super) threshold_len_tag_list: i64,
    store_analytics_per_minute: bool,
    ignore_aggregations: Vec<String>,
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

    pub(super) fn rules(&self) -> Rules {
        Rules {
            per_minute: self.store_analytics_per_minute,
            track_all_paths: self.track_all_paths,
            ignore_tag_prefixes: self.ignore_tag_prefix_list.clone(),
            ignore_dimensions: self.ignore_aggregations.clone(),
        }
    }

    pub(super) fn queue(&self) -> QueueSettings {
        let max_batch_size = if self.batch_size == 0 { 1_000 } else { self.batch_size };
        QueueSettings { max_batch_size, ..QueueSettings::default() }
    }
}
