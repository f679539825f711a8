//! Records in msgpack: a map by field name. Read by name, in any order and of any age; written exactly as the gateway does.

mod read;
mod write;

use std::sync::LazyLock;

use read::{Fault, Name, Reader};

use super::record::{
    Geo, GraphQl, GraphQlError, Latency, Layout, MAX_RECORD_BYTES, Mcp, Network, PathItem, Record, Text,
    Time, Unreadable,
};

/// Reads one record. Total: foreign bytes are an error that says where they stop to make sense.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Unreadable> {
    let mut record = Record::default();
    decode_into(&mut record, bytes).map(|()| record)
}

/// [`decode`] into an empty record that is there already, since records are large.
pub fn decode_into<'a>(record: &mut Record<'a>, bytes: &'a [u8]) -> Result<(), Unreadable> {
    let whole = |reason: Fault| unreadable("record", &reason);
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(whole(Fault::new(format!("{} bytes are more than {MAX_RECORD_BYTES}", bytes.len()))));
    }
    let mut reader = Reader::new(bytes);
    let mut left = reader.map().map_err(whole)?.ok_or_else(|| whole(Fault::new("nil")))?;
    record.time_stamp = NOT_READ;
    while left > 0 {
        let in_order = read_in_order(record, &mut reader, left)?;
        if in_order == 0 {
            read_any(record, &mut reader)?;
        }
        left -= in_order.max(1);
    }
    if reader.left() > 0 {
        return Err(whole(Fault::new(format!("{} bytes follow it", reader.left()))));
    }
    if record.time_stamp == NOT_READ {
        return Err(Unreadable::new("TimeStamp", "is missing"));
    }
    Ok(())
}

/// The time stamp of a record before it was read; no time that is read has so many nanoseconds.
const NOT_READ: Time = Time { seconds: 0, nanos: u32::MAX };

/// Reads the value of one field into the record.
type Read = for<'a> fn(&mut Record<'a>, &mut Reader<'a>) -> Result<(), Fault>;

/// All fields by name, each with what reads its value, in the order in which gateways write them.
macro_rules! fields {
    ($($name:literal: $read:expr,)*) => {
        /// Reads those of the next entries, at most so many, that follow each other as gateways write them, be it with gaps;
        /// gives how many those were. It is nearly always all of them, so each is tried where it is expected, without a loop
        /// and a call for each.
        fn read_in_order<'a>(
            record: &mut Record<'a>,
            reader: &mut Reader<'a>,
            most: usize,
        ) -> Result<usize, Unreadable> {
            let mut count = 0;
            $(
                if count < most && reader.is_name(const { &Name::new($name) }) {
                    let read: Read = $read;
                    read(record, reader).map_err(|reason| unreadable($name, &reason))?;
                    count += 1;
                }
            )*
            Ok(count)
        }

        const FIELDS: &[(&str, Read)] = &[$(($name, $read)),*];
    };
}

fields! {
    "Method": |record, value| value.text().map(|text| record.method = text),
    "Host": |record, value| value.text().map(|text| record.host = text),
    "Path": |record, value| value.text().map(|text| record.path = text),
    "RawPath": |record, value| value.text().map(|text| record.raw_path = text),
    "ContentLength": |record, value| value.integer().map(|number| record.content_length = number),
    "UserAgent": |record, value| value.text().map(|text| record.user_agent = text),
    "Day": |record, value| value.integer().map(|number| record.day = number),
    "Month": |record, value| value.integer().map(|number| record.month = number),
    "Year": |record, value| value.integer().map(|number| record.year = number),
    "Hour": |record, value| value.integer().map(|number| record.hour = number),
    "ResponseCode": |record, value| value.integer().map(|number| record.response_code = number),
    "APIKey": |record, value| value.text().map(|text| record.api_key = text),
    "TimeStamp": |record, value| value.time().map(|time| record.time_stamp = time),
    "APIVersion": |record, value| value.text().map(|text| record.api_version = text),
    "APIName": |record, value| value.text().map(|text| record.api_name = text),
    "APIID": |record, value| value.text().map(|text| record.api_id = text),
    "OrgID": |record, value| value.text().map(|text| record.org_id = text),
    "OauthID": |record, value| value.text().map(|text| record.oauth_id = text),
    "RequestTime": |record, value| value.integer().map(|number| record.request_time = number),
    // Where gateways have it that write `Layout::V3`; the others have it further below.
    "Latency": |record, value| latency(value).map(|latency| record.latency = latency),
    "RawRequest": |record, value| value.text().map(|text| record.raw_request = text),
    "RawResponse": |record, value| value.text().map(|text| record.raw_response = text),
    "IPAddress": |record, value| value.text().map(|text| record.ip_address = text),
    "Geo": |record, value| geo(value).map(|geo| record.geo = geo),
    "Network": |record, value| network(value).map(|network| record.network = network),
    "Latency": |record, value| latency(value).map(|latency| record.latency = latency),
    "Tags": |record, value| value.texts().map(|tags| record.tags = tags),
    "Alias": |record, value| value.text().map(|text| record.alias = text),
    "TrackPath": |record, value| value.boolean().map(|flag| record.track_path = flag),
    "ExpireAt": |record, value| value.time().map(|time| record.expire_at = time),
    "ApiSchema": |record, value| value.text().map(|text| record.api_schema = text),
    "OriginalPath": |record, value| value.text().map(|text| record.original_path = text),
    "ListenPath": |record, value| value.text().map(|text| record.listen_path = text),
    "GraphQLStats": |record, value| graphql(value).map(|graphql| record.graphql = graphql),
    "MCPStats": |record, value| mcp(value).map(|mcp| record.mcp = mcp),
    "CollectionName": |record, value| value.text().map(|text| record.collection_name = text),
}

/// Reads an entry with any name, written in any way.
#[cold]
fn read_any<'a>(record: &mut Record<'a>, reader: &mut Reader<'a>) -> Result<(), Unreadable> {
    let name = reader.name().map_err(|reason| unreadable("record", &reason))?;
    match FIELDS.iter().find(|(known, _)| known.as_bytes() == name) {
        Some((name, read)) => read(record, reader).map_err(|reason| unreadable(name, &reason)),
        None => reader.skip().map_err(|reason| unreadable("unknown field", &reason)),
    }
}

#[cold]
fn unreadable(field: &'static str, reason: &Fault) -> Unreadable {
    Unreadable::new(field, reason.to_string())
}

/// The entries of a record's map, each a name and its value.
#[cfg(test)]
pub(super) fn entries(bytes: &[u8]) -> Vec<&[u8]> {
    let mut reader = Reader::new(bytes);
    let entries = reader.map().unwrap().unwrap();
    let mut entry = || {
        let rest = &bytes[bytes.len() - reader.left()..];
        reader.skip().and_then(|()| reader.skip()).unwrap();
        &rest[..rest.len() - reader.left()]
    };
    (0..entries).map(|_| entry()).collect()
}

/// A group of fields as gateways write it where there is nothing to say. So it is in most records, and to see that is
/// cheaper than to read it.
type Nothing = LazyLock<Vec<u8>>;

fn written(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes);
    bytes
}

static NO_GEO: Nothing = LazyLock::new(|| written(|out| put_geo(&Geo::default(), Layout::Current, out)));
static NO_GEO_V3: Nothing = LazyLock::new(|| written(|out| put_geo(&Geo::default(), Layout::V3, out)));
static NO_NETWORK: Nothing = LazyLock::new(|| written(|out| put_network(Network::default(), out)));
static NO_GRAPHQL: Nothing = LazyLock::new(|| written(|out| put_graphql(&GraphQl::default(), out)));
static NO_MCP: Nothing = LazyLock::new(|| written(|out| put_mcp(&Mcp::default(), out)));

/// Reads a map, handing each entry's name to `entry`.
fn members<'a>(
    value: &mut Reader<'a>,
    mut entry: impl FnMut(&'a [u8], &mut Reader<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for _ in 0..value.map()?.unwrap_or(0) {
        let name = value.name()?;
        entry(name, value).map_err(|fault| fault.within(name))?;
    }
    Ok(())
}

fn geo<'a>(value: &mut Reader<'a>) -> Result<Geo<'a>, Fault> {
    let mut geo = Geo::default();
    if value.is(&NO_GEO) || value.is(&NO_GEO_V3) {
        return Ok(geo);
    }
    members(value, |part, value| match part {
        b"Country" => members(value, |name, value| match name {
            b"ISOCode" => value.text().map(|text| geo.country = text),
            _ => value.skip(),
        }),
        b"City" => members(value, |name, value| match name {
            b"GeoNameID" => value.unsigned().map(|id| geo.geo_name_id = id),
            b"Names" => value.pairs(Reader::text).map(|names| geo.names = names),
            _ => value.skip(),
        }),
        b"Location" => members(value, |name, value| match name {
            b"Latitude" => value.float().map(|degrees| geo.latitude = degrees),
            b"Longitude" => value.float().map(|degrees| geo.longitude = degrees),
            b"TimeZone" => value.text().map(|text| geo.time_zone = text),
            _ => value.skip(),
        }),
        _ => value.skip(),
    })?;
    Ok(geo)
}

fn network(value: &mut Reader<'_>) -> Result<Network, Fault> {
    let mut network = Network::default();
    if value.is(&NO_NETWORK) {
        return Ok(network);
    }
    members(value, |name, value| match name {
        b"OpenConnections" => value.integer().map(|number| network.open_connections = number),
        b"ClosedConnection" => value.integer().map(|number| network.closed_connections = number),
        b"BytesIn" => value.integer().map(|number| network.bytes_in = number),
        b"BytesOut" => value.integer().map(|number| network.bytes_out = number),
        _ => value.skip(),
    })?;
    Ok(network)
}

fn latency(value: &mut Reader<'_>) -> Result<Latency, Fault> {
    let mut latency = Latency::default();
    members(value, |name, value| match name {
        b"Total" => value.integer().map(|number| latency.total = number),
        b"Upstream" => value.integer().map(|number| latency.upstream = number),
        b"Gateway" => value.integer().map(|number| latency.gateway = number),
        _ => value.skip(),
    })?;
    Ok(latency)
}

fn graphql<'a>(value: &mut Reader<'a>) -> Result<GraphQl<'a>, Fault> {
    let mut graphql = GraphQl::default();
    if value.is(&NO_GRAPHQL) {
        return Ok(graphql);
    }
    members(value, |name, value| match name {
        b"Variables" => value.text().map(|text| graphql.variables = text),
        b"RootFields" => value.texts().map(|fields| graphql.root_fields = fields),
        b"Types" => value.pairs(Reader::texts).map(|types| graphql.types = types),
        b"Errors" => value.list(graphql_error).map(|errors| graphql.errors = errors),
        b"OperationType" => value.integer().map(|number| graphql.operation_type = number),
        b"HasErrors" => value.boolean().map(|flag| graphql.has_errors = flag),
        b"IsGraphQL" => value.boolean().map(|flag| graphql.is_graphql = flag),
        _ => value.skip(),
    })?;
    Ok(graphql)
}

fn graphql_error<'a>(value: &mut Reader<'a>) -> Result<GraphQlError<'a>, Fault> {
    let mut error = GraphQlError::default();
    members(value, |name, value| match name {
        b"Message" => value.text().map(|text| error.message = text),
        b"Path" => value.list(Reader::text_or_integer).map(|steps| error.path = steps.map(path_items)),
        _ => value.skip(),
    })?;
    Ok(error)
}

/// Steps that are neither a field nor an index make no sense and are left out.
fn path_items<'a>(steps: Vec<Option<Result<Text<'a>, i64>>>) -> Vec<PathItem<'a>> {
    let item = |step| match step {
        Ok(field) => PathItem::Field(field),
        Err(index) => PathItem::Index(index),
    };
    steps.into_iter().flatten().map(item).collect()
}

fn mcp<'a>(value: &mut Reader<'a>) -> Result<Mcp<'a>, Fault> {
    let mut mcp = Mcp::default();
    if value.is(&NO_MCP) {
        return Ok(mcp);
    }
    members(value, |name, value| match name {
        b"IsMCP" => value.boolean().map(|flag| mcp.is_mcp = flag),
        b"JSONRPCMethod" => value.text().map(|text| mcp.method = text),
        b"PrimitiveType" => value.text().map(|text| mcp.primitive_type = text),
        b"PrimitiveName" => value.text().map(|text| mcp.primitive_name = text),
        _ => value.skip(),
    })?;
    Ok(mcp)
}

/// Appends one record. What the layout does not know is left out.
pub fn encode(record: &Record<'_>, layout: Layout, out: &mut Vec<u8>) {
    let current = layout == Layout::Current;
    write::map(if current { 35 } else { 29 }, out);
    put_text("Method", &record.method, out);
    put_text("Host", &record.host, out);
    put_text("Path", &record.path, out);
    put_text("RawPath", &record.raw_path, out);
    put_integer("ContentLength", record.content_length, out);
    put_text("UserAgent", &record.user_agent, out);
    put_integer("Day", record.day, out);
    put_integer("Month", record.month, out);
    put_integer("Year", record.year, out);
    put_integer("Hour", record.hour, out);
    put_integer("ResponseCode", record.response_code, out);
    put_text("APIKey", &record.api_key, out);
    put_time("TimeStamp", record.time_stamp, out);
    put_text("APIVersion", &record.api_version, out);
    put_text("APIName", &record.api_name, out);
    put_text("APIID", &record.api_id, out);
    put_text("OrgID", &record.org_id, out);
    put_text("OauthID", &record.oauth_id, out);
    put_integer("RequestTime", record.request_time, out);
    if !current {
        put_latency(record.latency, layout, out);
    }
    put_text("RawRequest", &record.raw_request, out);
    put_text("RawResponse", &record.raw_response, out);
    put_text("IPAddress", &record.ip_address, out);
    write::text("Geo", out);
    put_geo(&record.geo, layout, out);
    write::text("Network", out);
    put_network(record.network, out);
    if current {
        put_latency(record.latency, layout, out);
    }
    put_texts("Tags", record.tags.as_deref(), out);
    put_text("Alias", &record.alias, out);
    put_boolean("TrackPath", record.track_path, out);
    put_time("ExpireAt", record.expire_at, out);
    if current {
        put_text("ApiSchema", &record.api_schema, out);
        put_text("OriginalPath", &record.original_path, out);
        put_text("ListenPath", &record.listen_path, out);
        write::text("GraphQLStats", out);
        put_graphql(&record.graphql, out);
        write::text("MCPStats", out);
        put_mcp(&record.mcp, out);
        put_text("CollectionName", &record.collection_name, out);
    }
}

fn put_text(name: &str, value: &str, out: &mut Vec<u8>) {
    write::text(name, out);
    write::text(value, out);
}

fn put_integer(name: &str, value: i64, out: &mut Vec<u8>) {
    write::text(name, out);
    write::integer(value, out);
}

fn put_float(name: &str, value: f64, out: &mut Vec<u8>) {
    write::text(name, out);
    write::float(value, out);
}

fn put_boolean(name: &str, value: bool, out: &mut Vec<u8>) {
    write::text(name, out);
    write::boolean(value, out);
}

/// Seconds and nanoseconds as a list, each as a number of its own; not msgpack's own form of an instant.
fn put_time(name: &str, value: Time, out: &mut Vec<u8>) {
    write::text(name, out);
    write::array(2, out);
    write::integer(value.seconds, out);
    write::integer(i64::from(value.nanos), out);
}

fn put_texts(name: &str, values: Option<&[Text<'_>]>, out: &mut Vec<u8>) {
    write::text(name, out);
    texts(values, out);
}

fn texts(values: Option<&[Text<'_>]>, out: &mut Vec<u8>) {
    list(values, out, |value, out| write::text(value, out));
}

fn list<T>(values: Option<&[T]>, out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    let Some(values) = values else { return write::nil(out) };
    write::array(values.len(), out);
    values.iter().for_each(|value| put(value, out));
}

fn pairs<T>(values: Option<&[(Text<'_>, T)]>, out: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    let Some(values) = values else { return write::nil(out) };
    write::map(values.len(), out);
    for (name, value) in values {
        write::text(name, out);
        put(value, out);
    }
}

fn put_geo(geo: &Geo<'_>, layout: Layout, out: &mut Vec<u8>) {
    write::map(3, out);
    write::text("Country", out);
    write::map(1, out);
    put_text("ISOCode", &geo.country, out);
    write::text("City", out);
    if layout == Layout::Current {
        write::map(2, out);
        write::text("GeoNameID", out);
        write::unsigned(geo.geo_name_id, out);
    } else {
        write::map(1, out);
    }
    write::text("Names", out);
    pairs(geo.names.as_deref(), out, |name, out| write::text(name, out));
    write::text("Location", out);
    write::map(3, out);
    put_float("Latitude", geo.latitude, out);
    put_float("Longitude", geo.longitude, out);
    put_text("TimeZone", &geo.time_zone, out);
}

fn put_network(network: Network, out: &mut Vec<u8>) {
    write::map(4, out);
    put_integer("OpenConnections", network.open_connections, out);
    put_integer("ClosedConnection", network.closed_connections, out);
    put_integer("BytesIn", network.bytes_in, out);
    put_integer("BytesOut", network.bytes_out, out);
}

fn put_latency(latency: Latency, layout: Layout, out: &mut Vec<u8>) {
    write::text("Latency", out);
    write::map(if layout == Layout::Current { 3 } else { 2 }, out);
    put_integer("Total", latency.total, out);
    put_integer("Upstream", latency.upstream, out);
    if layout == Layout::Current {
        put_integer("Gateway", latency.gateway, out);
    }
}

fn put_graphql(graphql: &GraphQl<'_>, out: &mut Vec<u8>) {
    write::map(7, out);
    put_text("Variables", &graphql.variables, out);
    put_texts("RootFields", graphql.root_fields.as_deref(), out);
    write::text("Types", out);
    pairs(graphql.types.as_deref(), out, |fields, out| texts(fields.as_deref(), out));
    write::text("Errors", out);
    list(graphql.errors.as_deref(), out, |error, out| {
        write::map(2, out);
        put_text("Message", &error.message, out);
        write::text("Path", out);
        list(error.path.as_deref(), out, |item, out| match item {
            PathItem::Field(name) => write::text(name, out),
            PathItem::Index(index) => write::integer(*index, out),
        });
    });
    put_integer("OperationType", graphql.operation_type, out);
    put_boolean("HasErrors", graphql.has_errors, out);
    put_boolean("IsGraphQL", graphql.is_graphql, out);
}

fn put_mcp(mcp: &Mcp<'_>, out: &mut Vec<u8>) {
    write::map(4, out);
    put_boolean("IsMCP", mcp.is_mcp, out);
    put_text("JSONRPCMethod", &mcp.method, out);
    put_text("PrimitiveType", &mcp.primitive_type, out);
    put_text("PrimitiveName", &mcp.primitive_name, out);
}
