//! Where the parts of a record lie in an exchange, when they have no place of their own there.

use weir_model::place;

/// Names of attributes. Those of Tyk's begin with `tyk.`, the others are OpenTelemetry's.
#[derive(Debug)]
pub struct Names {
    /// Text.
    pub host: &'static str,
    /// Text, where it is not the path at the upstream.
    pub path: &'static str,
    /// Text, where it is not what the client asked for.
    pub raw_path: &'static str,
    /// Text: target of the dumped request, where it is not path and query.
    pub target: &'static str,
    /// Text, where it is not that of the headers.
    pub user_agent: &'static str,
    /// Whole number, where it is not that of the headers.
    pub content_length: &'static str,
    /// Whole number, of records without a status.
    pub response_code: &'static str,
    /// Text.
    pub api_id: &'static str,
    /// Text; the exchange's service otherwise.
    pub api_name: &'static str,
    /// Text.
    pub api_version: &'static str,
    /// Text.
    pub org_id: &'static str,
    /// Text.
    pub api_key: &'static str,
    /// Text.
    pub oauth_id: &'static str,
    /// Text.
    pub alias: &'static str,
    /// Text, of addresses that are none.
    pub ip_address: &'static str,
    /// Text; the exchange's route otherwise.
    pub listen_path: &'static str,
    /// JSON list of text.
    pub tags: &'static str,
    /// True or absent.
    pub track_path: &'static str,
    /// True where dumps are wanted, as what is known of the API or the key says.
    pub detailed: &'static str,
    /// False where the path at the upstream still has the listen path.
    pub strip_listen_path: &'static str,
    /// Whole number, seconds since 1970.
    pub expire_at: &'static str,
    /// Text: year, month, day, hour of the gateway's zone, where they are not those of UTC.
    pub local_time: &'static str,
    /// Text.
    pub api_schema: &'static str,
    /// JSON.
    pub network: &'static str,
    /// JSON.
    pub graphql: &'static str,
    /// JSON.
    pub mcp: &'static str,
    /// Text.
    pub country: &'static str,
    /// Text, in English where there is a choice.
    pub city: &'static str,
    /// Number.
    pub latitude: &'static str,
    /// Number.
    pub longitude: &'static str,
    /// JSON, names of the city by language.
    pub geo_names: &'static str,
    /// Whole number.
    pub geo_name_id: &'static str,
    /// Text.
    pub geo_time_zone: &'static str,
}

/// The names.
pub const NAMES: Names = Names {
    host: "tyk.host",
    path: "tyk.path",
    raw_path: "tyk.raw_path",
    target: "tyk.target",
    user_agent: "tyk.user_agent",
    content_length: "tyk.content_length",
    response_code: "tyk.response_code",
    api_id: "tyk.api_id",
    api_name: "tyk.api_name",
    api_version: "tyk.api_version",
    org_id: "tyk.org_id",
    api_key: "tyk.api_key",
    oauth_id: "tyk.oauth_id",
    alias: "tyk.alias",
    ip_address: "tyk.ip_address",
    listen_path: "tyk.listen_path",
    tags: "tyk.tags",
    track_path: "tyk.track_path",
    detailed: "tyk.enable_detailed_recording",
    strip_listen_path: "tyk.strip_listen_path",
    expire_at: "tyk.expire_at",
    local_time: "tyk.local_time",
    api_schema: "tyk.api_schema",
    network: "tyk.network",
    graphql: "tyk.graphql",
    mcp: "tyk.mcp",
    country: place::COUNTRY,
    city: place::CITY,
    latitude: place::LATITUDE,
    longitude: place::LONGITUDE,
    geo_names: "tyk.geo_names",
    geo_name_id: place::CITY_ID,
    geo_time_zone: place::TIME_ZONE,
};
