//! Records in Protocol Buffers, package `normalproto` (section 3.2). What the format has no field for is lost:
//! `Latency.Gateway`, `CollectionName`, paths of GraphQL errors, and the difference between nil and empty.

mod wire;

use wire::{Fault, Fields, Value};

use super::record::{
    Geo, GraphQl, GraphQlError, Latency, MAX_ITEMS, MAX_RECORD_BYTES, Mcp, Network, Record, Text, Unreadable,
};

/// Reads one record. Total: foreign bytes are an error that says where they stop to make sense.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Unreadable> {
    let mut record = Record::default();
    decode_into(&mut record, bytes).map(|()| record)
}

/// [`decode`] into an empty record that is there already, since records are large.
pub fn decode_into<'a>(record: &mut Record<'a>, bytes: &'a [u8]) -> Result<(), Unreadable> {
    if bytes.len() > MAX_RECORD_BYTES {
        let reason = format!("{} bytes are more than {MAX_RECORD_BYTES}", bytes.len());
        return Err(Unreadable::new("record", reason));
    }
    let mut timed = false;
    for found in Fields::new(bytes) {
        let (number, value) = found.map_err(|fault| Unreadable::new("record", fault))?;
        timed |= number == 13;
        field(record, number, value)?;
    }
    if timed { Ok(()) } else { Err(Unreadable::new("TimeStamp", "is missing")) }
}

fn field<'a>(record: &mut Record<'a>, number: u64, value: Value<'a>) -> Result<(), Unreadable> {
    let (name, outcome) = match number {
        1 => ("Host", value.text().map(|text| record.host = text)),
        2 => ("Method", value.text().map(|text| record.method = text)),
        3 => ("Path", value.text().map(|text| record.path = text)),
        4 => ("RawPath", value.text().map(|text| record.raw_path = text)),
        5 => ("ContentLength", value.integer().map(|number| record.content_length = number)),
        6 => ("UserAgent", value.text().map(|text| record.user_agent = text)),
        7 => ("Day", value.int32().map(|number| record.day = number)),
        8 => ("Month", value.int32().map(|number| record.month = number)),
        9 => ("Year", value.int32().map(|number| record.year = number)),
        10 => ("Hour", value.int32().map(|number| record.hour = number)),
        11 => ("ResponseCode", value.int32().map(|number| record.response_code = number)),
        12 => ("APIKey", value.text().map(|text| record.api_key = text)),
        13 => ("TimeStamp", value.time().map(|time| record.time_stamp = time)),
        14 => ("APIVersion", value.text().map(|text| record.api_version = text)),
        15 => ("APIName", value.text().map(|text| record.api_name = text)),
        16 => ("APIID", value.text().map(|text| record.api_id = text)),
        17 => ("OrgID", value.text().map(|text| record.org_id = text)),
        18 => ("RequestTime", value.integer().map(|number| record.request_time = number)),
        19 => ("Latency", latency(value).map(|latency| record.latency = latency)),
        20 => ("RawRequest", value.text().map(|text| record.raw_request = text)),
        21 => ("RawResponse", value.text().map(|text| record.raw_response = text)),
        22 => ("IPAddress", value.text().map(|text| record.ip_address = text)),
        23 => ("Geo", geo(value).map(|geo| record.geo = geo)),
        24 => ("Network", network(value).map(|network| record.network = network)),
        25 => ("Tags", value.text().map(|tag| record.tags.get_or_insert_default().push(tag))),
        26 => ("Alias", value.text().map(|text| record.alias = text)),
        27 => ("TrackPath", value.boolean().map(|flag| record.track_path = flag)),
        28 => ("ExpireAt", value.time().map(|time| record.expire_at = time)),
        29 => ("OauthID", value.text().map(|text| record.oauth_id = text)),
        30 => ("TimeZone", value.text().map(|text| record.time_zone = text)),
        31 => ("ApiSchema", value.text().map(|text| record.api_schema = text)),
        32 => ("GraphQLStats", graphql(value).map(|graphql| record.graphql = graphql)),
        33 => ("MCPStats", mcp(value).map(|mcp| record.mcp = mcp)),
        34 => ("OriginalPath", value.text().map(|text| record.original_path = text)),
        35 => ("ListenPath", value.text().map(|text| record.listen_path = text)),
        _ => return Ok(()),
    };
    outcome.map_err(|reason| Unreadable::new(name, reason))
}

/// Reads a message, handing each field to `field`.
fn members<'a>(
    message: Value<'a>,
    mut field: impl FnMut(u64, Value<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for found in Fields::new(message.bytes()?) {
        let (number, value) = found?;
        field(number, value)?;
    }
    Ok(())
}

fn latency(message: Value<'_>) -> Result<Latency, Fault> {
    let mut latency = Latency::default();
    members(message, |number, value| match number {
        1 => value.integer().map(|number| latency.total = number),
        2 => value.integer().map(|number| latency.upstream = number),
        _ => Ok(()),
    })?;
    Ok(latency)
}

fn network(message: Value<'_>) -> Result<Network, Fault> {
    let mut network = Network::default();
    members(message, |number, value| match number {
        1 => value.integer().map(|number| network.open_connections = number),
        2 => value.integer().map(|number| network.closed_connections = number),
        3 => value.integer().map(|number| network.bytes_in = number),
        4 => value.integer().map(|number| network.bytes_out = number),
        _ => Ok(()),
    })?;
    Ok(network)
}

fn geo(message: Value<'_>) -> Result<Geo<'_>, Fault> {
    let mut geo = Geo::default();
    members(message, |part, value| match part {
        1 => members(value, |number, value| match number {
            1 => value.text().map(|text| geo.country = text),
            _ => Ok(()),
        }),
        2 => members(value, |number, value| match number {
            1 => entry(value, |name| name.text(), |value| value.text())
                .map(|name| geo.names.get_or_insert_default().push(name)),
            2 => value.unsigned().map(|id| geo.geo_name_id = id),
            _ => Ok(()),
        }),
        3 => members(value, |number, value| match number {
            1 => value.double().map(|degrees| geo.latitude = degrees),
            2 => value.double().map(|degrees| geo.longitude = degrees),
            3 => value.text().map(|text| geo.time_zone = text),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(geo)
}

/// An entry of a map.
fn entry<'a, K: Default, V: Default>(
    message: Value<'a>,
    key: impl Fn(Value<'a>) -> Result<K, Fault>,
    value_of: impl Fn(Value<'a>) -> Result<V, Fault>,
) -> Result<(K, V), Fault> {
    let mut pair = (K::default(), V::default());
    members(message, |number, value| match number {
        1 => key(value).map(|key| pair.0 = key),
        2 => value_of(value).map(|value| pair.1 = value),
        _ => Ok(()),
    })?;
    Ok(pair)
}

fn graphql(message: Value<'_>) -> Result<GraphQl<'_>, Fault> {
    let mut graphql = GraphQl::default();
    let mut fields = 0;
    members(message, |number, value| match number {
        1 => value.boolean().map(|flag| graphql.is_graphql = flag),
        2 => entry(value, |name| name.text(), texts).and_then(|of_type| {
            fields += of_type.1.as_ref().map_or(0, Vec::len);
            graphql.types.get_or_insert_default().push(of_type);
            if fields > MAX_ITEMS { Err("has too many fields") } else { Ok(()) }
        }),
        3 => value.int32().map(|number| graphql.operation_type = number),
        4 => value.text().map(|text| graphql.variables = text),
        5 => value.text().map(|field| graphql.root_fields.get_or_insert_default().push(field)),
        6 => value.boolean().map(|flag| graphql.has_errors = flag),
        7 => value.text().map(|message| {
            graphql.errors.get_or_insert_default().push(GraphQlError { message, path: None });
        }),
        _ => Ok(()),
    })?;
    Ok(graphql)
}

fn texts(message: Value<'_>) -> Result<Option<Vec<Text<'_>>>, Fault> {
    let mut texts = Vec::new();
    members(message, |number, value| match number {
        1 => value.text().map(|text| texts.push(text)),
        _ => Ok(()),
    })?;
    Ok(Some(texts))
}

fn mcp(message: Value<'_>) -> Result<Mcp<'_>, Fault> {
    let mut mcp = Mcp::default();
    members(message, |number, value| match number {
        1 => value.boolean().map(|flag| mcp.is_mcp = flag),
        2 => value.text().map(|text| mcp.method = text),
        3 => value.text().map(|text| mcp.primitive_type = text),
        4 => value.text().map(|text| mcp.primitive_name = text),
        _ => Ok(()),
    })?;
    Ok(mcp)
}

/// Appends one record.
pub fn encode(record: &Record<'_>, out: &mut Vec<u8>) {
    wire::put_text(1, &record.host, out);
    wire::put_text(2, &record.method, out);
    wire::put_text(3, &record.path, out);
    wire::put_text(4, &record.raw_path, out);
    wire::put_integer(5, record.content_length, out);
    wire::put_text(6, &record.user_agent, out);
    wire::put_int32(7, record.day, out);
    wire::put_int32(8, record.month, out);
    wire::put_int32(9, record.year, out);
    wire::put_int32(10, record.hour, out);
    wire::put_int32(11, record.response_code, out);
    wire::put_text(12, &record.api_key, out);
    wire::put_time(13, record.time_stamp, out);
    wire::put_text(14, &record.api_version, out);
    wire::put_text(15, &record.api_name, out);
    wire::put_text(16, &record.api_id, out);
    wire::put_text(17, &record.org_id, out);
    wire::put_integer(18, record.request_time, out);
    // The reference decoder follows these three without looking, so they are there even when empty.
    wire::put_message(19, out, |out| {
        wire::put_integer(1, record.latency.total, out);
        wire::put_integer(2, record.latency.upstream, out);
    });
    wire::put_text(20, &record.raw_request, out);
    wire::put_text(21, &record.raw_response, out);
    wire::put_text(22, &record.ip_address, out);
    wire::put_message(23, out, |out| put_geo(&record.geo, out));
    wire::put_message(24, out, |out| put_network(record.network, out));
    for tag in record.tags.iter().flatten() {
        wire::put_item(25, tag, out);
    }
    wire::put_text(26, &record.alias, out);
    wire::put_boolean(27, record.track_path, out);
    wire::put_time(28, record.expire_at, out);
    wire::put_text(29, &record.oauth_id, out);
    wire::put_text(30, &record.time_zone, out);
    wire::put_text(31, &record.api_schema, out);
    if record.graphql.is_graphql {
        wire::put_message(32, out, |out| put_graphql(&record.graphql, out));
    }
    if record.mcp.is_mcp {
        wire::put_message(33, out, |out| put_mcp(&record.mcp, out));
    }
    wire::put_text(34, &record.original_path, out);
    wire::put_text(35, &record.listen_path, out);
}

fn put_geo(geo: &Geo<'_>, out: &mut Vec<u8>) {
    wire::put_message(1, out, |out| wire::put_text(1, &geo.country, out));
    wire::put_message(2, out, |out| {
        for (language, name) in geo.names.iter().flatten() {
            wire::put_message(1, out, |out| {
                wire::put_item(1, language, out);
                wire::put_item(2, name, out);
            });
        }
        wire::put_integer(2, i64::try_from(geo.geo_name_id & 0xFFFF_FFFF).unwrap_or(0), out);
    });
    wire::put_message(3, out, |out| {
        wire::put_double(1, geo.latitude, out);
        wire::put_double(2, geo.longitude, out);
        wire::put_text(3, &geo.time_zone, out);
    });
}

fn put_network(network: Network, out: &mut Vec<u8>) {
    wire::put_integer(1, network.open_connections, out);
    wire::put_integer(2, network.closed_connections, out);
    wire::put_integer(3, network.bytes_in, out);
    wire::put_integer(4, network.bytes_out, out);
}

fn put_graphql(graphql: &GraphQl<'_>, out: &mut Vec<u8>) {
    wire::put_boolean(1, graphql.is_graphql, out);
    for (name, fields) in graphql.types.iter().flatten() {
        wire::put_message(2, out, |out| {
            wire::put_item(1, name, out);
            wire::put_message(2, out, |out| {
                fields.iter().flatten().for_each(|field| wire::put_item(1, field, out));
            });
        });
    }
    wire::put_int32(3, graphql.operation_type, out);
    wire::put_text(4, &graphql.variables, out);
    graphql.root_fields.iter().flatten().for_each(|field| wire::put_item(5, field, out));
    wire::put_boolean(6, graphql.has_errors, out);
    graphql.errors.iter().flatten().for_each(|error| wire::put_item(7, &error.message, out));
}

fn put_mcp(mcp: &Mcp<'_>, out: &mut Vec<u8>) {
    wire::put_boolean(1, mcp.is_mcp, out);
    wire::put_text(2, &mcp.method, out);
    wire::put_text(3, &mcp.primitive_type, out);
    wire::put_text(4, &mcp.primitive_name, out);
}
