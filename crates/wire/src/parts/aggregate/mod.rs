//! Tyk's aggregates (tyk-pump, section 5): hits, errors and times of records, by organisation, by minute or hour, and by
//! every dimension. Pure; where they are kept is the business of outputs.
//!
//! Each record counts in the bucket of its own time, whatever batch it came in, and for as many calls as it stands for.
//! Aggregates of the same bucket merge, and so do their latency sketches, so percentiles are right across batches and nodes.

mod counter;
mod dimensions;
mod settings;
mod sketch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use counter::Counter;
pub(crate) use dimensions::hex;
pub use dimensions::{DIMENSIONS, Label};
pub use settings::{
    AggregateOptions, IGNORE_AGGREGATIONS, IGNORE_TAG_PREFIX_LIST, STORE_ANALYTICS_PER_MINUTE,
    THRESHOLD_LEN_TAG_LIST, TRACK_ALL_PATHS,
};
pub use sketch::Sketch;

use super::record::Entry;
use crate::tyk::record::Record;

/// Seconds of a minute.
pub const MINUTE: i64 = 60;
/// Seconds of an hour.
pub const HOUR: i64 = 3_600;

/// How to aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Width of a bucket; buckets of a width begin at its multiples.
    pub bucket_seconds: i64,
    /// Endpoints of every record, not only of tracked ones.
    pub track_all_paths: bool,
    /// Tags that begin with one of these are not aggregated.
    pub ignore_tag_prefixes: Vec<String>,
    /// Dimensions that are left out.
    pub ignore_dimensions: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            bucket_seconds: HOUR,
            track_all_paths: false,
            ignore_tag_prefixes: Vec::new(),
            ignore_dimensions: Vec::new(),
        }
    }
}

/// What an aggregate is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Start of the bucket in seconds since 1970.
    pub bucket: i64,
    /// Id of the organisation.
    pub org_id: String,
    /// Name of the dimension; empty for the total.
    pub dimension: &'static str,
    /// Its value; `total` for the total.
    pub value: String,
}

/// Aggregates by what they are about, in a fixed order.
pub type Aggregates = BTreeMap<Key, Counter>;

/// The aggregates of some records. Records without organisation, and those of GraphQL and MCP calls, which Tyk aggregates
/// elsewhere, are left out.
pub fn aggregate<'a>(entries: impl Iterator<Item = &'a Entry<'a>>, rules: &Rules) -> Aggregates {
    let mut aggregates = Aggregates::new();
    for entry in entries {
        let record = &entry.record;
        if !counts(record) {
            continue;
        }
        let bucket = bucket(record, rules);
        for label in dimensions::labels(record, rules) {
            let counter = counter_of(&mut aggregates, bucket, record, label);
            counter.add(record, entry.weight);
        }
    }
    aggregates
}

/// Whether a record is aggregated.
pub fn counts(record: &Record<'_>) -> bool {
    !record.org_id.is_empty() && !record.graphql.is_graphql && !record.mcp.is_mcp
}

/// The start of the bucket of a record.
pub fn bucket(record: &Record<'_>, rules: &Rules) -> i64 {
    let width = rules.bucket_seconds.max(1);
    record.time_stamp.seconds.div_euclid(width).saturating_mul(width)
}

fn counter_of<'a>(
    aggregates: &'a mut Aggregates,
    bucket: i64,
    record: &Record<'_>,
    label: Label,
) -> &'a mut Counter {
    let org_id = record.org_id.clone().into_owned();
    let key = Key { bucket, org_id, dimension: label.dimension, value: label.value };
    aggregates.entry(key).or_insert_with(|| Counter {
        identifier: label.identifier,
        human_identifier: label.human_identifier,
        ..Counter::default()
    })
}
