//! Single calls: the table `tyk_analytics` (tyk-pump, section 4.4).

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::database::{Database, Output};
use super::layout::{Known, Layout, by_table, insert};
use crate::parts::record::{Entry, Json, RecordOptions, city_names};
use crate::tyk::record::Record;

/// Types are those that the original's mapper chooses.
const LAYOUT: Layout = Layout {
    table: "tyk_analytics",
    columns: &[
        ("method", "text"),
        ("host", "text"),
        ("path", "text"),
        ("rawpath", "text"),
        ("contentlength", "bigint"),
        ("useragent", "text"),
        ("day", "bigint"),
        ("month", "bigint"),
        ("year", "bigint"),
        ("hour", "bigint"),
        ("responsecode", "bigint"),
        ("apikey", "text"),
        ("timestamp", "timestamptz"),
        ("apiversion", "text"),
        ("api_name", "text"),
        ("apiid", "text"),
        ("orgid", "text"),
        ("oauthid", "text"),
        ("requesttime", "bigint"),
        ("rawrequest", "text"),
        ("rawresponse", "text"),
        ("ipaddress", "text"),
        ("geo_country_iso_code", "text"),
        ("geo_city_geoname_id", "bigint"),
        ("geo_city_names", "json"),
        ("geo_location_latitude", "numeric"),
        ("geo_location_longitude", "numeric"),
        ("geo_location_time_zone", "text"),
        ("network_open_connections", "bigint"),
        ("network_closed_connections", "bigint"),
        ("network_bytes_in", "bigint"),
        ("network_bytes_out", "bigint"),
        ("latency_total", "bigint"),
        ("latency_upstream", "bigint"),
        ("latency_gateway", "bigint"),
        ("tags", "json"),
        ("alias", "text"),
        ("trackpath", "boolean"),
        ("expireAt", "timestamptz"),
        ("originalpath", "text"),
        ("listenpath", "text"),
        ("graphql_stats_variables", "text"),
        ("graphql_stats_root_fields", "json"),
        ("graphql_stats_types", "json"),
        ("graphql_stats_errors", "json"),
        ("graphql_stats_operation_type", "bigint"),
        ("graphql_stats_has_errors", "boolean"),
        ("graphql_stats_is_graph_ql", "boolean"),
        ("mcp_stats_is_mcp", "boolean"),
        ("mcp_stats_jsonrpc_method", "text"),
        ("mcp_stats_primitive_type", "text"),
        ("mcp_stats_primitive_name", "text"),
    ],
    constraints: "",
    indexes: &[
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_responsecode\" ON \"{table}\" (responsecode)",
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_apikey\" ON \"{table}\" (apikey)",
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_timestamp\" ON \"{table}\" (timestamp)",
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_apiid\" ON \"{table}\" (apiid)",
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_orgid\" ON \"{table}\" (orgid)",
        "CREATE INDEX IF NOT EXISTS \"{table}_idx_oauthid\" ON \"{table}\" (oauthid)",
    ],
};

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.check()?;
    let database = Database::new(config.connection_string.expose())?;
    let (queue, capture) = (config.queue(), config.record.capture());
    let table = Table { sharded: config.table_sharding, known: Known::default() };
    let exporter = Sql { database, table, options: config.record };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

struct Sql {
    database: Database,
    table: Table,
    options: RecordOptions,
}

struct Table {
    sharded: bool,
    known: Known,
}

#[async_trait]
impl Exporter for Sql {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        self.database.deliver(batch, &self.options, &self.table).await
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
        let rows = entries.iter().map(|entry| (entry.record.time_stamp.date(""), row(&entry.record)));
        for (table, rows) in by_table(&LAYOUT, self.sharded, rows) {
            let columns = self.known.columns(transaction, &LAYOUT, &table, true).await?;
            let rows = Value::Array(rows).to_string();
            transaction.query_typed(&insert(&table, &columns), &[(&rows, Type::TEXT)]).await?;
        }
        Ok(())
    }
}

fn row(record: &Record<'_>) -> Value {
    let members = call(record).into_iter().chain(place_and_time(record)).chain(protocols(record));
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).collect())
}

type Members = Vec<(&'static str, Value)>;

fn call(record: &Record<'_>) -> Members {
    vec![
        ("method", json!(record.method)),
        ("host", json!(record.host)),
        ("path", json!(record.path)),
        ("rawpath", json!(record.raw_path)),
        ("contentlength", json!(record.content_length)),
        ("useragent", json!(record.user_agent)),
        ("responsecode", json!(record.response_code)),
        ("apikey", json!(record.api_key)),
        ("apiversion", json!(record.api_version)),
        ("api_name", json!(record.api_name)),
        ("apiid", json!(record.api_id)),
        ("orgid", json!(record.org_id)),
        ("oauthid", json!(record.oauth_id)),
        ("rawrequest", json!(record.raw_request)),
        ("rawresponse", json!(record.raw_response)),
        ("ipaddress", json!(record.ip_address)),
        ("tags", json!(record.tags.as_deref().unwrap_or_default())),
        ("alias", json!(record.alias)),
        ("trackpath", json!(record.track_path)),
        ("originalpath", json!(record.original_path)),
        ("listenpath", json!(record.listen_path)),
    ]
}

fn place_and_time(record: &Record<'_>) -> Members {
    let (geo, network, latency) = (&record.geo, &record.network, &record.latency);
    vec![
        ("day", json!(record.day)),
        ("month", json!(record.month)),
        ("year", json!(record.year)),
        ("hour", json!(record.hour)),
        ("timestamp", json!(record.time_stamp.rfc3339())),
        ("expireAt", json!(record.expire_at.rfc3339())),
        ("requesttime", json!(record.request_time)),
        ("latency_total", json!(latency.total)),
        ("latency_upstream", json!(latency.upstream)),
        ("latency_gateway", json!(latency.gateway)),
        ("geo_country_iso_code", json!(geo.country)),
        ("geo_city_geoname_id", json!(geo.geo_name_id)),
        ("geo_city_names", json!(city_names(geo))),
        ("geo_location_latitude", json!(geo.latitude)),
        ("geo_location_longitude", json!(geo.longitude)),
        ("geo_location_time_zone", json!(geo.time_zone)),
        ("network_open_connections", json!(network.open_connections)),
        ("network_closed_connections", json!(network.closed_connections)),
        ("network_bytes_in", json!(network.bytes_in)),
        ("network_bytes_out", json!(network.bytes_out)),
    ]
}

fn protocols(record: &Record<'_>) -> Members {
    // Text, numbers and truth values always serialise.
    let mut whole = serde_json::to_value(Json(record)).unwrap_or_default();
    let mut graphql = |name: &str| whole["graphql_stats"][name].take();
    vec![
        ("graphql_stats_variables", graphql("Variables")),
        ("graphql_stats_root_fields", graphql("RootFields")),
        ("graphql_stats_types", graphql("Types")),
        ("graphql_stats_errors", graphql("Errors")),
        ("graphql_stats_operation_type", graphql("OperationType")),
        ("graphql_stats_has_errors", graphql("HasErrors")),
        ("graphql_stats_is_graph_ql", graphql("IsGraphQL")),
        ("mcp_stats_is_mcp", json!(record.mcp.is_mcp)),
        ("mcp_stats_jsonrpc_method", json!(record.mcp.method)),
        ("mcp_stats_primitive_type", json!(record.mcp.primitive_type)),
        ("mcp_stats_primitive_name", json!(record.mcp.primitive_name)),
    ]
}
