//! Aggregates: the table `tyk_aggregated` (tyk-pump, section 5.4), and distributions of the latency beside it.

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::database::{Database, Output};
use super::layout::{Known, Layout, by_table, insert};
use crate::parts::aggregate::{AggregateOptions, Aggregates, Counter, Key, Rules, aggregate, hex};
use crate::parts::record::{Entry, RecordOptions};
use crate::tyk::record::Time;

/// Statuses with a column of their own; the others count for their class.
const CODES: &[i64] = &[200, 201, 301, 302, 303, 304, 400, 401, 403, 404, 429, 500, 501, 502, 503, 504];

const LAYOUT: Layout = Layout {
    table: "tyk_aggregated",
    columns: &[
        ("id", "text"),
        ("counter_hits", "bigint"),
        ("counter_success", "bigint"),
        ("counter_error", "bigint"),
        ("counter_request_time", "numeric"),
        ("counter_total_request_time", "numeric"),
        ("counter_identifier", "text"),
        ("counter_human_identifier", "text"),
        ("counter_last_time", "timestamptz"),
        ("counter_open_connections", "bigint"),
        ("counter_closed_connections", "bigint"),
        ("counter_bytes_in", "bigint"),
        ("counter_bytes_out", "bigint"),
        ("counter_max_upstream_latency", "bigint"),
        ("counter_min_upstream_latency", "bigint"),
        ("counter_total_upstream_latency", "bigint"),
        ("counter_upstream_latency", "numeric"),
        ("counter_max_latency", "bigint"),
        ("counter_min_latency", "bigint"),
        ("counter_total_latency", "bigint"),
        ("counter_latency", "numeric"),
        ("counter_error_map", "json"),
        ("counter_error_list", "json"),
        ("timestamp", "bigint"),
        ("org_id", "text"),
        ("dimension", "text"),
        ("dimension_value", "text"),
        ("code_1x", "bigint"),
        ("code_200", "bigint"),
        ("code_201", "bigint"),
        ("code_2x", "bigint"),
        ("code_301", "bigint"),
        ("code_302", "bigint"),
        ("code_303", "bigint"),
        ("code_304", "bigint"),
        ("code_3x", "bigint"),
        ("code_400", "bigint"),
        ("code_401", "bigint"),
        ("code_403", "bigint"),
        ("code_404", "bigint"),
        ("code_429", "bigint"),
        ("code_4x", "bigint"),
        ("code_500", "bigint"),
        ("code_501", "bigint"),
        ("code_502", "bigint"),
        ("code_503", "bigint"),
        ("code_504", "bigint"),
        ("code_5x", "bigint"),
    ],
    constraints: ", PRIMARY KEY (id)",
    indexes: &["CREATE INDEX IF NOT EXISTS \"{table}_idx_dimension\" ON \"{table}\" \
        (dimension, timestamp, org_id, dimension_value)"],
};

/// Counts of calls by bin of the latency; ours.
const SKETCHES: Layout = Layout {
    table: "tyk_aggregated_latency",
    columns: &[("id", "text"), ("bin", "integer"), ("hits", "bigint")],
    constraints: ", PRIMARY KEY (id, bin)",
    indexes: &[],
};

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.check()?;
    let database = Database::new(config.connection_string.expose())?;
    let queue = config.queue();
    let table = Table {
        rules: config.aggregate.rules(),
        sharded: config.table_sharding,
        with_index: !config.omit_index_creation,
        with_sketches: config.latency_sketch,
        options: config.aggregate,
        known: Known::default(),
    };
    let exporter = SqlAggregate { database, table };
    Ok(Built { exporter: Box::new(exporter), queue, capture: Default::default() })
}

struct SqlAggregate {
    database: Database,
    table: Table,
}

struct Table {
    rules: Rules,
    sharded: bool,
    with_index: bool,
    with_sketches: bool,
    options: AggregateOptions,
    known: Known,
}

#[async_trait]
impl Exporter for SqlAggregate {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        self.database.deliver(batch, &RecordOptions::default(), &self.table).await
    }
}

#[async_trait]
impl Output for Table {
    fn name(&self) -> &str {
        LAYOUT.table
    }

    fn reset(&self) {
        self.known.reset();
    }

    async fn write(&self, transaction: &Transaction<'_>, entries: &[Entry<'_>]) -> Result<(), Error> {
        let aggregates = aggregate(entries.iter(), &self.rules);
        self.options.warn_of_tags(&aggregates);
        let rows = aggregates.iter().map(|(key, counter)| (day(key), row(key, counter)));
        for (table, mut rows) in by_table(&LAYOUT, self.sharded, rows) {
            // In one order everywhere, or two writers could wait for each other.
            rows.sort_by(|one, other| one["id"].as_str().cmp(&other["id"].as_str()));
            let columns = self.known.columns(transaction, &LAYOUT, &table, self.with_index).await?;
            let sql = format!("{} {}", insert(&table, &columns), on_conflict(&columns));
            transaction.query_typed(&sql, &[(&Value::Array(rows).to_string(), Type::TEXT)]).await?;
        }
        if self.with_sketches {
            self.write_sketches(transaction, &aggregates).await?;
        }
        Ok(())
    }
}

impl Table {
    async fn write_sketches(
        &self,
        transaction: &Transaction<'_>,
        aggregates: &Aggregates,
    ) -> Result<(), Error> {
        let rows = aggregates.iter().flat_map(|(key, counter)| {
            let (day, id) = (day(key), id(key));
            let bins = counter.latencies.0.iter();
            bins.map(move |(bin, hits)| (day.clone(), json!({"id": id, "bin": bin, "hits": hits})))
        });
        for (table, mut rows) in by_table(&SKETCHES, self.sharded, rows) {
            rows.sort_by_key(|row| (row["id"].as_str().map(ToOwned::to_owned), row["bin"].as_i64()));
            let columns = self.known.columns(transaction, &SKETCHES, &table, false).await?;
            let sql = format!(
                "{} ON CONFLICT (id, bin) DO UPDATE SET hits = old.hits + excluded.hits",
                insert(&table, &columns)
            );
            transaction.query_typed(&sql, &[(&Value::Array(rows).to_string(), Type::TEXT)]).await?;
        }
        Ok(())
    }
}

fn day(key: &Key) -> String {
    Time { seconds: key.bucket, nanos: 0 }.date("")
}

/// Hexadecimal of all that a row is about.
fn id(key: &Key) -> String {
    hex(format!("{}{}{}{}", key.bucket, key.org_id, key.dimension, key.value).as_bytes())
}

fn row(key: &Key, counter: &Counter) -> Value {
    let mut row = json!({
        "id": id(key),
        "counter_hits": counter.hits,
        "counter_success": counter.success,
        "counter_error": counter.error,
        "counter_request_time": counter.request_time(),
        "counter_total_request_time": counter.total_request_time,
        "counter_identifier": counter.identifier,
        "counter_human_identifier": counter.human_identifier,
        "counter_last_time": counter.last_time.rfc3339(),
        "counter_open_connections": counter.open_connections,
        "counter_closed_connections": counter.closed_connections,
        "counter_bytes_in": counter.bytes_in,
        "counter_bytes_out": counter.bytes_out,
        "counter_max_upstream_latency": counter.max_upstream_latency,
        "counter_min_upstream_latency": counter.min_upstream_latency,
        "counter_total_upstream_latency": counter.total_upstream_latency,
        "counter_upstream_latency": counter.upstream_latency(),
        "counter_max_latency": counter.max_latency,
        "counter_min_latency": counter.min_latency,
        "counter_total_latency": counter.total_latency,
        "counter_latency": counter.latency(),
        "timestamp": key.bucket,
        "org_id": key.org_id,
        "dimension": key.dimension,
        "dimension_value": key.value,
    });
    if let Value::Object(members) = &mut row {
        codes(counter, members);
    }
    row
}

/// Every column of a status, as numbers that can be added.
fn codes(counter: &Counter, members: &mut Map<String, Value>) {
    for (name, _) in LAYOUT.columns.iter().filter(|(name, _)| name.starts_with("code_")) {
        members.insert((*name).to_owned(), json!(0));
    }
    for (status, count) in &counter.error_map {
        let name =
            if CODES.contains(status) { format!("code_{status}") } else { format!("code_{}x", status / 100) };
        if let Some(slot) = members.get_mut(&name) {
            *slot = json!(slot.as_i64().unwrap_or(0) + count);
        }
    }
}

/// How a row is merged into one that is there. Rows of old versions may lack numbers.
fn on_conflict(columns: &[&str]) -> String {
    let merged = columns.iter().filter_map(|name| Some(format!("\"{name}\" = {}", merge(name)?)));
    format!("ON CONFLICT (id) DO UPDATE SET {}", merged.collect::<Vec<_>>().join(", "))
}

fn merge(column: &str) -> Option<String> {
    let sum = |name: &str| format!("COALESCE(old.{name}, 0) + excluded.{name}");
    let mean = |total: &str| {
        let hits = sum("counter_hits");
        format!("COALESCE(({}) / NULLIF(({hits})::numeric, 0), 0)", sum(total))
    };
    Some(match column {
        "counter_request_time" => mean("counter_total_request_time"),
        "counter_latency" => mean("counter_total_latency"),
        "counter_upstream_latency" => mean("counter_total_upstream_latency"),
        "counter_max_latency" | "counter_max_upstream_latency" | "counter_last_time" => {
            format!("GREATEST(old.{column}, excluded.{column})")
        }
        // Minima of failures count only while there is nothing else, as within a batch.
        "counter_min_latency" | "counter_min_upstream_latency" => format!(
            "CASE WHEN excluded.counter_hits = 0 THEN old.{column} \
             WHEN COALESCE(old.counter_hits, 0) = 0 THEN excluded.{column} \
             WHEN old.counter_hits > old.counter_error AND excluded.counter_hits = excluded.counter_error \
             THEN old.{column} \
             WHEN old.counter_hits = old.counter_error AND excluded.counter_hits > excluded.counter_error \
             THEN excluded.{column} ELSE LEAST(old.{column}, excluded.{column}) END"
        ),
        "counter_identifier" | "counter_human_identifier" | "counter_error_map" | "counter_error_list" => {
            return None;
        }
        _ if column.starts_with("counter_") || column.starts_with("code_") => sum(column),
        _ => return None,
    })
}
