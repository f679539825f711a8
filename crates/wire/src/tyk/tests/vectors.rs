//! The vectors: bytes of the real encoders, and the fields they stand for.

use serde_json::{Map, Value, json};

use crate::tyk::record::{Layout, PathItem, Record, Text, Time};
use crate::tyk::{msgpack, protobuf};

#[test]
#[expect(clippy::print_stdout, reason = "says how many vectors were run")]
fn every_vector_decodes_to_its_fields_and_encodes_to_the_same_bytes() {
    let all = all();
    let vectors = all["vectors"].as_array().unwrap();
    let (mut msgpacks, mut protobufs) = (0, 0);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let layout = if vector["schema"] == "v3.1" { Layout::V3 } else { Layout::Current };
        let wanted = &vector["fields"];
        let bytes = hex(&vector["msgpack_hex"]);
        let record = msgpack::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fields(&record, layout), comparable(wanted), "{name}");
        let mut again = Vec::new();
        msgpack::encode(&record, layout, &mut again);
        assert!(again == bytes, "{name}: msgpack\n{}\n{}", text(&again), text(&bytes));
        msgpacks += 1;
        if vector["protobuf_hex"].is_string() {
            let bytes = hex(&vector["protobuf_hex"]);
            let from_protobuf = protobuf::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(from_protobuf.time_zone, zone(wanted), "{name}");
            let expected = without_what_protobuf_loses(&record, zone(wanted));
            assert_eq!(without_nil(&from_protobuf), expected, "{name}");
            let mut again = Vec::new();
            protobuf::encode(&Record { time_zone: zone(wanted).into(), ..record.clone() }, &mut again);
            assert!(again == bytes, "{name}: protobuf\n{}\n{}", text(&again), text(&bytes));
            protobufs += 1;
        }
    }
    println!(
        "{msgpacks} records in msgpack and {protobufs} in protobuf decoded and encoded to the same bytes"
    );
    assert_eq!((msgpacks, protobufs), (29, 18));
}

/// Everything in the file.
pub(super) fn all() -> Value {
    serde_json::from_str(include_str!("../../../testdata/vectors/tyk-records.json")).unwrap()
}

pub(super) fn hex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap().as_bytes();
    let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap() as u8;
    text.chunks(2).map(|pair| digit(&pair[0]) << 4 | digit(&pair[1])).collect()
}

fn text(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn zone(wanted: &Value) -> &str {
    wanted["TimeStamp"]["zone"].as_str().unwrap_or_default()
}

/// What the vector says, without what is only explanation, and with numbers alike.
fn comparable(wanted: &Value) -> Value {
    let mut wanted = wanted.clone();
    for name in ["TimeStamp", "ExpireAt"] {
        let time = wanted[name].as_object_mut().unwrap();
        time.retain(|member, _| member == "sec" || member == "nsec");
    }
    for name in ["Latitude", "Longitude"] {
        let degrees = &mut wanted["Geo"]["Location"][name];
        *degrees = json!(degrees.as_f64().unwrap());
    }
    wanted
}

fn time(time: Time) -> Value {
    json!({"sec": time.seconds, "nsec": time.nanos})
}

fn pairs<T>(pairs: Option<&Vec<(Text<'_>, T)>>, value: impl Fn(&T) -> Value) -> Value {
    let Some(pairs) = pairs else { return Value::Null };
    Value::Object(pairs.iter().map(|(name, of)| (name.to_string(), value(of))).collect::<Map<_, _>>())
}

/// A record as the vectors write one.
fn fields(r: &Record<'_>, layout: Layout) -> Value {
    let mut city = json!({"Names": pairs(r.geo.names.as_ref(), |name| json!(name))});
    let mut latency = json!({"Total": r.latency.total, "Upstream": r.latency.upstream});
    if layout == Layout::Current {
        city["GeoNameID"] = json!(r.geo.geo_name_id);
        latency["Gateway"] = json!(r.latency.gateway);
    }
    let mut all = json!({
        "Method": r.method, "Host": r.host, "Path": r.path, "RawPath": r.raw_path,
        "ContentLength": r.content_length, "UserAgent": r.user_agent, "Day": r.day, "Month": r.month, "Year": r.year,
        "Hour": r.hour, "ResponseCode": r.response_code, "APIKey": r.api_key, "TimeStamp": time(r.time_stamp),
        "APIVersion": r.api_version, "APIName": r.api_name, "APIID": r.api_id, "OrgID": r.org_id,
        "OauthID": r.oauth_id, "RequestTime": r.request_time, "RawRequest": r.raw_request,
        "RawResponse": r.raw_response, "IPAddress": r.ip_address, "Latency": latency, "Tags": r.tags, "Alias": r.alias,
        "TrackPath": r.track_path, "ExpireAt": time(r.expire_at),
        "Geo": {"Country": {"ISOCode": r.geo.country}, "City": city,
            "Location": {"Latitude": r.geo.latitude, "Longitude": r.geo.longitude, "TimeZone": r.geo.time_zone}},
        "Network": {"OpenConnections": r.network.open_connections, "ClosedConnection": r.network.closed_connections,
            "BytesIn": r.network.bytes_in, "BytesOut": r.network.bytes_out},
    });
    if layout == Layout::Current {
        let newer = json!({
            "ApiSchema": r.api_schema, "OriginalPath": r.original_path, "ListenPath": r.listen_path,
            "CollectionName": r.collection_name,
            "GraphQLStats": {"Variables": r.graphql.variables, "RootFields": r.graphql.root_fields,
                "Types": pairs(r.graphql.types.as_ref(), |fields| json!(fields)), "Errors": errors(r),
                "OperationType": r.graphql.operation_type, "HasErrors": r.graphql.has_errors,
                "IsGraphQL": r.graphql.is_graphql},
            "MCPStats": {"IsMCP": r.mcp.is_mcp, "JSONRPCMethod": r.mcp.method, "PrimitiveType": r.mcp.primitive_type,
                "PrimitiveName": r.mcp.primitive_name},
        });
        all.as_object_mut().unwrap().extend(newer.as_object().unwrap().clone());
    }
    all
}

fn errors(record: &Record<'_>) -> Value {
    let item = |item: &PathItem<'_>| match item {
        PathItem::Field(name) => json!(name),
        PathItem::Index(index) => json!(index),
    };
    let Some(errors) = &record.graphql.errors else { return Value::Null };
    let error = |path: &Option<Vec<PathItem<'_>>>| match path {
        Some(path) => path.iter().map(item).collect(),
        None => Value::Null,
    };
    errors.iter().map(|of| json!({"Message": of.message, "Path": error(&of.path)})).collect()
}

/// Protobuf cannot tell nil from empty.
fn without_nil<'a>(record: &Record<'a>) -> Record<'a> {
    let mut record = record.clone();
    record.tags.get_or_insert_default();
    record.geo.names.get_or_insert_default();
    record.graphql.root_fields.get_or_insert_default();
    record.graphql.types.get_or_insert_default();
    record.graphql.errors.get_or_insert_default();
    record
}

fn without_what_protobuf_loses<'a>(record: &Record<'a>, zone: &'a str) -> Record<'a> {
    let mut record = without_nil(record);
    record.latency.gateway = 0;
    record.collection_name = "".into();
    record.time_zone = zone.into();
    for error in record.graphql.errors.iter_mut().flatten() {
        error.path = None;
    }
    record
}
