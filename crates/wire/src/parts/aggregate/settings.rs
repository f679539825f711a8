//! The settings that all outputs of aggregates share, by Tyk Pump's names.

use serde::Deserialize;
use weir_kit::{FieldKind, FieldSpec};

use super::{Aggregates, DIMENSIONS, HOUR, MINUTE, Rules};

/// Whether endpoints are of every call.
pub const TRACK_ALL_PATHS: FieldSpec = FieldSpec {
    default: Some("false"),
    ..FieldSpec::new(
        "track_all_paths",
        FieldKind::Boolean,
        "endpoints of every call, not only of tracked ones and of those with a template",
    )
};

/// Tags that are left out.
pub const IGNORE_TAG_PREFIX_LIST: FieldSpec = FieldSpec {
    default: Some("[]"),
    ..FieldSpec::new(
        "ignore_tag_prefix_list",
        FieldKind::Array(&FieldKind::Text),
        "tags that begin with one of these are not aggregated",
    )
};

/// When many tags are worth a warning.
pub const THRESHOLD_LEN_TAG_LIST: FieldSpec = FieldSpec {
    default: Some("1000"),
    ..FieldSpec::new(
        "threshold_len_tag_list",
        FieldKind::Integer { min: -1, max: 1 << 31 },
        "tags in a batch beyond which a warning is logged; -1: never",
    )
};

/// How wide buckets are.
pub const STORE_ANALYTICS_PER_MINUTE: FieldSpec = FieldSpec {
    default: Some("false"),
    ..FieldSpec::new("store_analytics_per_minute", FieldKind::Boolean, "by the minute, not by the hour")
};

/// Dimensions that are left out.
pub const IGNORE_AGGREGATIONS: FieldSpec = FieldSpec {
    default: Some("[]"),
    ..FieldSpec::new(
        "ignore_aggregations",
        FieldKind::Array(&FieldKind::OneOf(DIMENSIONS)),
        "dimensions that are left out",
    )
};

/// What settings say about aggregating.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AggregateOptions {
    track_all_paths: bool,
    ignore_tag_prefix_list: Vec<String>,
    threshold_len_tag_list: i64,
    store_analytics_per_minute: bool,
    ignore_aggregations: Vec<String>,
}

impl AggregateOptions {
    /// The same as rules.
    pub fn rules(&self) -> Rules {
        Rules {
            bucket_seconds: if self.store_analytics_per_minute { MINUTE } else { HOUR },
            track_all_paths: self.track_all_paths,
            ignore_tag_prefixes: self.ignore_tag_prefix_list.clone(),
            ignore_dimensions: self.ignore_aggregations.clone(),
        }
    }

    /// Logs a warning when a batch has more tags than is good for the database.
    pub fn warn_of_tags(&self, aggregates: &Aggregates) {
        let Ok(most) = usize::try_from(self.threshold_len_tag_list) else { return };
        let tags = aggregates.keys().filter(|key| key.dimension == "tags").count();
        if tags > most {
            tracing::warn!(
                tags,
                most,
                "many tags: each is kept for every bucket; see ignore_tag_prefix_list"
            );
        }
    }
}
