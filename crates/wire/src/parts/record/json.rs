//! The JSON of a record, as Tyk's exports have it (tyk-gateway-analytics, section 3).

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::tyk::record::{Geo, GraphQl, Mcp, PathItem, Record};

/// Serialises a record to the JSON of Tyk's exports.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(pub &'a Record<'a>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = self.0;
        let mut map = serializer.serialize_map(Some(34))?;
        map.serialize_entry("method", &record.method)?;
        map.serialize_entry("host", &record.host)?;
        map.serialize_entry("path", &record.path)?;
        map.serialize_entry("raw_path", &record.raw_path)?;
        map.serialize_entry("content_length", &record.content_length)?;
        map.serialize_entry("user_agent", &record.user_agent)?;
        map.serialize_entry("day", &record.day)?;
        map.serialize_entry("month", &record.month)?;
        map.serialize_entry("year", &record.year)?;
        map.serialize_entry("hour", &record.hour)?;
        map.serialize_entry("response_code", &record.response_code)?;
        map.serialize_entry("api_key", &record.api_key)?;
        map.serialize_entry("timestamp", &record.time_stamp.rfc3339())?;
        map.serialize_entry("api_version", &record.api_version)?;
        map.serialize_entry("api_name", &record.api_name)?;
        map.serialize_entry("api_id", &record.api_id)?;
        map.serialize_entry("org_id", &record.org_id)?;
        map.serialize_entry("oauth_id", &record.oauth_id)?;
        map.serialize_entry("request_time", &record.request_time)?;
        map.serialize_entry("latency", &Latency(record))?;
        map.serialize_entry("raw_request", &record.raw_request)?;
        map.serialize_entry("raw_response", &record.raw_response)?;
        map.serialize_entry("ip_address", &record.ip_address)?;
        map.serialize_entry("geo", &geo(&record.geo))?;
        map.serialize_entry("network", &Network(record))?;
        map.serialize_entry("tags", record.tags.as_deref().unwrap_or_default())?;
        map.serialize_entry("alias", &record.alias)?;
        map.serialize_entry("track_path", &record.track_path)?;
        map.serialize_entry("expireAt", &record.expire_at.rfc3339())?;
        map.serialize_entry("api_schema", &record.api_schema)?;
        map.serialize_entry("original_path", &record.original_path)?;
        map.serialize_entry("listen_path", &record.listen_path)?;
        map.serialize_entry("graphql_stats", &graphql(&record.graphql))?;
        map.serialize_entry("mcp_stats", &mcp(&record.mcp))?;
        map.end()
    }
}

struct Latency<'a>(&'a Record<'a>);

impl Serialize for Latency<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let latency = &self.0.latency;
        let mut members = serializer.serialize_struct("latency", 3)?;
        members.serialize_field("total", &latency.total)?;
        members.serialize_field("upstream", &latency.upstream)?;
        members.serialize_field("gateway", &latency.gateway)?;
        members.end()
    }
}

struct Network<'a>(&'a Record<'a>);

impl Serialize for Network<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let network = &self.0.network;
        let mut members = serializer.serialize_struct("network", 4)?;
        members.serialize_field("open_connections", &network.open_connections)?;
        members.serialize_field("closed_connections", &network.closed_connections)?;
        members.serialize_field("bytes_in", &network.bytes_in)?;
        members.serialize_field("bytes_out", &network.bytes_out)?;
        members.end()
    }
}

fn geo(geo: &Geo<'_>) -> serde_json::Value {
    json!({
        "country": {"iso_code": geo.country},
        "city": {"geoname_id": geo.geo_name_id, "names": city_names(geo)},
        "location": {"latitude": geo.latitude, "longitude": geo.longitude, "time_zone": geo.time_zone},
    })
}

/// Names of the city, sorted by language.
pub fn city_names<'a>(geo: &'a Geo<'_>) -> BTreeMap<&'a str, &'a str> {
    geo.names.iter().flatten().map(|(language, name)| (language.as_ref(), name.as_ref())).collect()
}

/// Statistics of a GraphQL call, by the names of Tyk's exports.
pub fn graphql(stats: &GraphQl<'_>) -> serde_json::Value {
    let types: BTreeMap<&str, &[_]> = stats
        .types
        .iter()
        .flatten()
        .map(|(name, fields)| (name.as_ref(), fields.as_deref().unwrap_or_default()))
        .collect();
    let step = |item: &PathItem<'_>| match item {
        PathItem::Field(name) => json!(name),
        PathItem::Index(index) => json!(index),
    };
    let errors: Vec<serde_json::Value> = stats
        .errors
        .iter()
        .flatten()
        .map(|error| {
            let path: Vec<serde_json::Value> = error.path.iter().flatten().map(step).collect();
            json!({"Message": error.message, "Path": path})
        })
        .collect();
    json!({
        "Variables": stats.variables,
        "RootFields": stats.root_fields.as_deref().unwrap_or_default(),
        "Types": types,
        "Errors": errors,
        "OperationType": stats.operation_type,
        "HasErrors": stats.has_errors,
        "IsGraphQL": stats.is_graphql,
    })
}

fn mcp(stats: &Mcp<'_>) -> serde_json::Value {
    json!({
        "is_mcp": stats.is_mcp,
        "jsonrpc_method": stats.method,
        "primitive_type": stats.primitive_type,
        "primitive_name": stats.primitive_name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_members_of_tyks_exports() {
        let record = Record {
            method: "GET".into(),
            geo: Geo { names: Some(vec![("en".into(), "Berlin".into())]), ..Geo::default() },
            ..Record::default()
        };
        let json = serde_json::to_value(Json(&record)).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 34);
        assert_eq!(json["method"], "GET");
        assert_eq!(json["timestamp"], "0001-01-01T00:00:00Z");
        assert_eq!(json["expireAt"], "0001-01-01T00:00:00Z");
        assert_eq!(json["geo"]["city"]["names"]["en"], "Berlin");
        assert_eq!(json["network"]["closed_connections"], 0);
        assert_eq!(json["latency"], json!({"total": 0, "upstream": 0, "gateway": 0}));
        assert_eq!(json["graphql_stats"]["IsGraphQL"], false);
        assert_eq!(json["mcp_stats"]["jsonrpc_method"], "");
    }
}
