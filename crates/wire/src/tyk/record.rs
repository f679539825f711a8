//! A traffic record, field by field as the gateway writes it (tyk-gateway-analytics, section 3).
//!
//! Text borrows from the bytes it was read from. Field names are those of the format in Rust's spelling; the names on the
//! wire are in `msgpack`, the numbers in `protobuf`.

use std::borrow::Cow;

use weir_kit::Timestamp;

/// Text that may lie in the bytes that were read.
pub type Text<'a> = Cow<'a, str>;

/// One call, as Tyk's gateway records it. Everything at its zero value is what Go's zero record is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record<'a> {
    /// Request method.
    pub method: Text<'a>,
    /// Host of the upstream, not the `Host` header.
    pub host: Text<'a>,
    /// Path at the upstream, or the pattern of a tracked endpoint; normalised.
    pub path: Text<'a>,
    /// Path at the upstream as it was.
    pub raw_path: Text<'a>,
    /// Announced length of the request body: -1 when chunked, 0 when there is none.
    pub content_length: i64,
    /// `User-Agent`.
    pub user_agent: Text<'a>,
    /// Day of the month of `time_stamp` in the gateway's zone.
    pub day: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Year.
    pub year: i64,
    /// Hour, 0 to 23.
    pub hour: i64,
    /// Status sent to the client; -1 marks a record of network statistics.
    pub response_code: i64,
    /// The key, or its hash.
    pub api_key: Text<'a>,
    /// When the record was built: the end of the exchange.
    pub time_stamp: Time,
    /// Name of the version, `Non Versioned` when there is none.
    pub api_version: Text<'a>,
    /// Name of the API.
    pub api_name: Text<'a>,
    /// Id of the API.
    pub api_id: Text<'a>,
    /// Id of the organisation.
    pub org_id: Text<'a>,
    /// OAuth client of the session.
    pub oauth_id: Text<'a>,
    /// Milliseconds; equals `latency.total`.
    pub request_time: i64,
    /// Base64 of the request as on the wire, or empty.
    pub raw_request: Text<'a>,
    /// Base64 of the response as on the wire, or empty.
    pub raw_response: Text<'a>,
    /// Address of the client.
    pub ip_address: Text<'a>,
    /// Where the client is.
    pub geo: Geo<'a>,
    /// Counts of a record of network statistics.
    pub network: Network,
    /// Where the time went.
    pub latency: Latency,
    /// Tags; nil and empty differ in msgpack.
    pub tags: Option<Vec<Text<'a>>>,
    /// Alias of the key.
    pub alias: Text<'a>,
    /// Whether the endpoint is tracked.
    pub track_path: bool,
    /// When stores with an expiry may forget it.
    pub expire_at: Time,
    /// Base64 of the GraphQL schema.
    pub api_schema: Text<'a>,
    /// Path as the client sent it.
    pub original_path: Text<'a>,
    /// Listen path of the API.
    pub listen_path: Text<'a>,
    /// What a GraphQL call asked for.
    pub graphql: GraphQl<'a>,
    /// What an MCP call asked for.
    pub mcp: Mcp<'a>,
    /// Always empty when a gateway writes it.
    pub collection_name: Text<'a>,
    /// Name of the zone of `time_stamp`; protobuf only.
    pub time_zone: Text<'a>,
}

/// An instant as Go's encoder writes it. The default is Go's zero time, the beginning of year 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Within the second; below 1,000,000,000.
    pub nanos: u32,
}

impl Time {
    /// Go's zero time, 0001-01-01T00:00:00Z.
    pub const ZERO: Self = Self { seconds: -62_135_596_800, nanos: 0 };

    /// The same instant.
    pub fn of(instant: Timestamp) -> Self {
        let nanos = instant.micros().rem_euclid(1_000_000) * 1_000;
        Self { seconds: instant.seconds(), nanos: u32::try_from(nanos).unwrap_or(0) }
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

/// Where a client is, from a GeoIP database.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Geo<'a> {
    /// ISO 3166-1 code of the country.
    pub country: Text<'a>,
    /// Id of the city at GeoNames.
    pub geo_name_id: u64,
    /// Name of the city by language; nil and empty differ in msgpack.
    pub names: Option<Vec<(Text<'a>, Text<'a>)>>,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Name of the time zone.
    pub time_zone: Text<'a>,
}

/// Counts of a TCP or TLS proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Network {
    /// Connections open now.
    pub open_connections: i64,
    /// Connections closed since the last record.
    pub closed_connections: i64,
    /// Bytes from clients.
    pub bytes_in: i64,
    /// Bytes to clients.
    pub bytes_out: i64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// The whole handling.
    pub total: i64,
    /// Until the upstream's response headers.
    pub upstream: i64,
    /// What the gateway took itself; not in protobuf.
    pub gateway: i64,
}

/// What a GraphQL call asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphQl<'a> {
    /// JSON of the variables.
    pub variables: Text<'a>,
    /// Fields asked for at the root.
    pub root_fields: Option<Vec<Text<'a>>>,
    /// Fields asked for, by type.
    pub types: Option<Vec<(Text<'a>, Option<Vec<Text<'a>>>)>>,
    /// Errors of the answer.
    pub errors: Option<Vec<GraphQlError<'a>>>,
    /// 0 unknown, 1 query, 2 mutation, 3 subscription.
    pub operation_type: i64,
    /// Whether the answer had errors.
    pub has_errors: bool,
    /// Whether this is a GraphQL call at all.
    pub is_graphql: bool,
}

/// An error of a GraphQL answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GraphQlError<'a> {
    /// Its message.
    pub message: Text<'a>,
    /// Where in the answer; not in protobuf.
    pub path: Option<Vec<PathItem<'a>>>,
}

/// A step of a GraphQL error's path.
#[derive(Debug, Clone, PartialEq)]
pub enum PathItem<'a> {
    /// A field.
    Field(Text<'a>),
    /// An index.
    Index(i64),
}

/// What an MCP call asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mcp<'a> {
    /// Whether this is an MCP call at all.
    pub is_mcp: bool,
    /// Method of the JSON-RPC call.
    pub method: Text<'a>,
    /// `tool`, `resource`, `prompt`.
    pub primitive_type: Text<'a>,
    /// Name of the tool, resource or prompt.
    pub primitive_name: Text<'a>,
}

/// The field set that is written; readers take either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// 35 fields, gateway 5.14.
    #[default]
    Current,
    /// 29 fields, gateway 2.9 to 4.0.
    V3,
}

/// Largest value that is read as a record, in bytes.
pub const MAX_RECORD_BYTES: usize = 32 * 1024 * 1024;
/// Most entries of maps and items of lists in a record, all together.
pub const MAX_ITEMS: usize = 20_000;

/// Bytes that are not a record, and where they stop to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Unreadable {
    /// The field, or `record` for the whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl Unreadable {
    pub(super) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}
