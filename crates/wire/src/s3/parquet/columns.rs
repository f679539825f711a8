//! The table of columns, from which both the schema and the values come.

use std::borrow::Cow;
use std::fmt::Write;

use weir_model::{CompactString, Exchange};

use crate::parts::record::{city_names, graphql};
use crate::tyk::record::{Geo, Record, Time};

/// What a row is made of.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// The exchange.
    pub exchange: &'a Exchange,
    /// Its record in Tyk's form, changed as the settings say.
    pub record: Record<'a>,
}

/// One column, or two for pairs.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) cells: Cells,
}

type List<'r> = Vec<&'r str>;
type Map<'r> = Vec<(&'r str, &'r str)>;

/// What a column holds, and where it comes from. `None`, and text that is empty, are null.
pub(super) enum Cells {
    Text(for<'r> fn(&'r Row<'r>) -> Cow<'r, str>),
    Integer(for<'r> fn(&'r Row<'r>) -> Option<i64>),
    Decimal(for<'r> fn(&'r Row<'r>) -> Option<f64>),
    Flag(for<'r> fn(&'r Row<'r>) -> bool),
    /// Microseconds since 1970 in UTC.
    Instant(for<'r> fn(&'r Row<'r>) -> Option<i64>),
    Texts(for<'r> fn(&'r Row<'r>) -> Option<List<'r>>),
    Pairs(for<'r> fn(&'r Row<'r>) -> Option<Map<'r>>),
}

use Cells::{Decimal, Flag, Instant, Integer, Pairs, Text, Texts};

const fn column(name: &'static str, cells: Cells) -> Column {
    Column { name, cells }
}

/// First what weir knows of the exchange, then Tyk's record.
pub(super) const COLUMNS: &[Column] = &[
    column("id", Text(|row| Cow::Owned(row.exchange.id.to_string()))),
    column("started_at", Instant(|row| Some(row.exchange.started_at.micros()))),
    column("duration_us", Integer(|row| count(row.exchange.duration()?.as_micros()))),
    column("weight", Integer(|row| Some(row.exchange.weight.into()))),
    column("project", Text(|row| row.exchange.project.as_str().into())),
    column("source", Text(|row| (&row.exchange.origin.source).into())),
    column("environment", Text(|row| given(row.exchange.origin.environment.as_ref()))),
    column("user", Text(|row| given(row.exchange.identity.user.as_ref()))),
    column("company", Text(|row| given(row.exchange.identity.company.as_ref()))),
    column("query", Text(|row| given(row.exchange.request.query.as_ref()))),
    column("request_bytes", Integer(|row| count(row.exchange.request.body.size?))),
    column("response_bytes", Integer(|row| count(row.exchange.response.as_ref()?.body.size?))),
    column(
        "protocol",
        Text(|row| row.exchange.operation.as_ref().map_or("", |it| it.protocol.name()).into()),
    ),
    column("operation", Text(|row| given(row.exchange.operation.as_ref().and_then(|it| it.name.as_ref())))),
    column(
        "operation_error",
        Text(|row| given(row.exchange.operation.as_ref().and_then(|it| it.error.as_ref()))),
    ),
    column("error", Text(|row| given(row.exchange.error.as_ref()))),
    column("timestamp", Instant(|row| micros(row.record.time_stamp))),
    column("method", Text(|row| (&*row.record.method).into())),
    column("host", Text(|row| (&*row.record.host).into())),
    column("path", Text(|row| (&*row.record.path).into())),
    column("raw_path", Text(|row| (&*row.record.raw_path).into())),
    column("original_path", Text(|row| (&*row.record.original_path).into())),
    column("listen_path", Text(|row| (&*row.record.listen_path).into())),
    column("content_length", Integer(|row| Some(row.record.content_length))),
    column("user_agent", Text(|row| (&*row.record.user_agent).into())),
    column("response_code", Integer(|row| Some(row.record.response_code))),
    column("api_key", Text(|row| (&*row.record.api_key).into())),
    column("alias", Text(|row| (&*row.record.alias).into())),
    column("oauth_id", Text(|row| (&*row.record.oauth_id).into())),
    column("api_id", Text(|row| (&*row.record.api_id).into())),
    column("api_name", Text(|row| (&*row.record.api_name).into())),
    column("api_version", Text(|row| (&*row.record.api_version).into())),
    column("org_id", Text(|row| (&*row.record.org_id).into())),
    column("request_time", Integer(|row| Some(row.record.request_time))),
    column("latency_total", Integer(|row| Some(row.record.latency.total))),
    column("latency_upstream", Integer(|row| Some(row.record.latency.upstream))),
    column("latency_gateway", Integer(|row| Some(row.record.latency.gateway))),
    column("ip_address", Text(|row| (&*row.record.ip_address).into())),
    column("geo_country_iso_code", Text(|row| (&*row.record.geo.country).into())),
    column("geo_city_geoname_id", Integer(|row| count(row.record.geo.geo_name_id).filter(|id| *id != 0))),
    column(
        "geo_city_names",
        Pairs(|row| {
            row.record.geo.names.is_some().then(|| city_names(&row.record.geo).into_iter().collect())
        }),
    ),
    column("geo_latitude", Decimal(|row| placed(&row.record.geo).then_some(row.record.geo.latitude))),
    column("geo_longitude", Decimal(|row| placed(&row.record.geo).then_some(row.record.geo.longitude))),
    column("geo_time_zone", Text(|row| (&*row.record.geo.time_zone).into())),
    column("tags", Texts(|row| texts(row.record.tags.as_deref()))),
    column("track_path", Flag(|row| row.record.track_path)),
    column("expire_at", Instant(|row| micros(row.record.expire_at))),
    column("raw_request", Text(|row| (&*row.record.raw_request).into())),
    column("raw_response", Text(|row| (&*row.record.raw_response).into())),
    column("network_open_connections", Integer(|row| Some(row.record.network.open_connections))),
    column("network_closed_connections", Integer(|row| Some(row.record.network.closed_connections))),
    column("network_bytes_in", Integer(|row| Some(row.record.network.bytes_in))),
    column("network_bytes_out", Integer(|row| Some(row.record.network.bytes_out))),
    column("api_schema", Text(|row| (&*row.record.api_schema).into())),
    column("is_graphql", Flag(|row| row.record.graphql.is_graphql)),
    column("graphql_operation_type", Integer(|row| Some(row.record.graphql.operation_type))),
    column("graphql_has_errors", Flag(|row| row.record.graphql.has_errors)),
    column("graphql_root_fields", Texts(|row| texts(row.record.graphql.root_fields.as_deref()))),
    column("graphql_variables", Text(|row| (&*row.record.graphql.variables).into())),
    column("graphql_types", Text(|row| graphql_json(&row.record, "Types"))),
    column("graphql_errors", Text(|row| graphql_json(&row.record, "Errors"))),
    column("is_mcp", Flag(|row| row.record.mcp.is_mcp)),
    column("mcp_method", Text(|row| (&*row.record.mcp.method).into())),
    column("mcp_primitive_type", Text(|row| (&*row.record.mcp.primitive_type).into())),
    column("mcp_primitive_name", Text(|row| (&*row.record.mcp.primitive_name).into())),
];

/// The schema of all files, in the notation of the Parquet format.
pub fn schema() -> String {
    let mut schema = "message call {\n".to_owned();
    for Column { name, cells } in COLUMNS {
        let line = match cells {
            Text(_) => format!("optional binary {name} (STRING);"),
            Integer(_) => format!("optional int64 {name};"),
            Decimal(_) => format!("optional double {name};"),
            Flag(_) => format!("required boolean {name};"),
            Instant(_) => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
            Texts(_) => format!(
                "optional group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
            ),
            Pairs(_) => format!(
                "optional group {name} (MAP) {{ repeated group key_value {{ \
                 required binary key (STRING); required binary value (STRING); }} }}"
            ),
        };
        // Writing to text never fails.
        let _written = writeln!(schema, "  {line}");
    }
    schema.push('}');
    schema
}

fn given(text: Option<&CompactString>) -> Cow<'_, str> {
    Cow::Borrowed(text.map(CompactString::as_str).unwrap_or_default())
}

fn count(number: impl TryInto<i64>) -> Option<i64> {
    number.try_into().ok()
}

/// Go's zero time is no time.
fn micros(time: Time) -> Option<i64> {
    (time != Time::ZERO)
        .then(|| time.seconds.saturating_mul(1_000_000).saturating_add(i64::from(time.nanos) / 1_000))
}

/// Whether the place is known; nobody calls from where the equator meets the prime meridian.
fn placed(geo: &Geo<'_>) -> bool {
    geo.latitude != 0.0 || geo.longitude != 0.0
}

fn texts<'r>(list: Option<&'r [Cow<'_, str>]>) -> Option<Vec<&'r str>> {
    Some(list?.iter().map(AsRef::as_ref).collect())
}

fn graphql_json<'r>(record: &Record<'_>, member: &str) -> Cow<'r, str> {
    if !record.graphql.is_graphql {
        return Cow::Borrowed("");
    }
    Cow::Owned(graphql(&record.graphql)[member].to_string())
}
