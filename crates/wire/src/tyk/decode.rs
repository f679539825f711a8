//! From records to exchanges. Pure and total: whatever a record holds, there is an exchange for it.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value as Json, json};
use weir_kit::Timestamp;
use weir_model::{
    Attributes, CompactString, Exchange, ExchangeId, Headers, Origin, Request, Response, Timings, Value,
};

use super::dump::{self, Dump};
use super::record::{GraphQl, Network, PathItem, Record, Text, Time};
use super::{NAMES, SOURCE, civil};
use crate::parts::{peer, url};

/// Attributes of an ordinary record, for the room that they are given at first.
const USUAL_ATTRIBUTES: usize = 12;

/// The exchange that a record tells of; `id` is given its start.
pub fn exchange(record: &Record<'_>, id: impl FnOnce(Timestamp) -> ExchangeId) -> Exchange {
    let started_at = started_at(record);
    let mut exchange = Exchange::new(id(started_at), started_at, Request::default());
    fill(&mut exchange, record);
    exchange
}

/// When the exchange began, which a record does not hold itself: its time stamp is that of the end.
pub fn started_at(record: &Record<'_>) -> Timestamp {
    instant(record.time_stamp) - total(record)
}

fn total(record: &Record<'_>) -> Duration {
    Duration::from_millis(positive(record.latency.total.max(record.request_time)))
}

/// Completes an exchange that has its id and its start with what a record tells of it.
pub fn fill(exchange: &mut Exchange, record: &Record<'_>) {
    let target = fill_request(&mut exchange.request, record);
    fill_response(&mut exchange.response, record);
    exchange.origin = Origin { source: SOURCE.into(), ..Origin::default() };
    exchange.service = some(&record.api_name);
    exchange.route = some(&record.listen_path);
    exchange.identity.session = some(&record.api_key).filter(|key| key != super::NO_KEY);
    exchange.client = peer(&record.ip_address);
    exchange.timings = Timings {
        wait: (record.latency.upstream > 0).then(|| Duration::from_millis(positive(record.latency.upstream))),
        total: Some(total(record)),
        ..Timings::default()
    };
    exchange.attributes = Attributes::with_capacity(USUAL_ATTRIBUTES);
    attributes(record, exchange);
    if let Some(target) = target.filter(|target| *target != upstream_target(record, &exchange.request)) {
        exchange.attributes.set(NAMES.target, target);
    }
}

/// What the upstream was asked for.
fn upstream_target(record: &Record<'_>, request: &Request) -> String {
    match &request.query {
        Some(query) => format!("{}?{query}", record.raw_path),
        None => record.raw_path.to_string(),
    }
}

fn positive(millis: i64) -> u64 {
    u64::try_from(millis).unwrap_or(0)
}

/// An instant to the microsecond.
fn instant(time: Time) -> Timestamp {
    Timestamp::from_seconds(time.seconds) + Duration::from_nanos(u64::from(time.nanos))
}

fn some(text: &str) -> Option<CompactString> {
    (!text.is_empty()).then(|| text.into())
}

fn lowercase(text: &str) -> CompactString {
    let mut lower = CompactString::from(text);
    lower.make_ascii_lowercase();
    lower
}

fn read_dump(text: &str) -> Option<Dump> {
    if text.is_empty() { None } else { dump::read(text) }
}

/// The target is the client's where the record has it, else the upstream's. Gives the target of the dump, where there is one.
fn fill_request(request: &mut Request, record: &Record<'_>) -> Option<String> {
    let asked = if record.original_path.is_empty() { &record.raw_path } else { &record.original_path };
    let (path, query) = url::split_target(asked);
    request.method = record.method.as_ref().into();
    request.host = lowercase(&record.host);
    request.path = path.into();
    request.query = query.map(Into::into);
    let Some(dump) = read_dump(&record.raw_request) else {
        if !record.user_agent.is_empty() {
            let agent = Bytes::copy_from_slice(record.user_agent.as_bytes());
            request.headers = Headers(vec![("User-Agent".into(), agent)]);
        }
        request.body.size = u64::try_from(record.content_length).ok();
        return None;
    };
    let (_, target, version) = dump::request_line(&dump.first);
    if request.query.is_none() {
        request.query = url::split_target(target).1.map(Into::into);
    }
    request.version = version.into();
    if let Some(host) = dump.headers.text("host").filter(|host| !host.is_empty()) {
        request.host = lowercase(host.trim());
    }
    let target = target.to_owned();
    request.headers = dump.headers;
    request.body = dump.body;
    Some(target)
}

fn fill_response(response: &mut Option<Response>, record: &Record<'_>) {
    let Some(status) = u16::try_from(record.response_code).ok().filter(|status| *status > 0) else { return };
    let response = response.insert(Response { status, ..Response::default() });
    if let Some(dump) = read_dump(&record.raw_response) {
        let (version, reason) = dump::status_line(&dump.first);
        response.version = version.into();
        response.reason = reason;
        response.headers = dump.headers;
        response.body = dump.body;
    }
}

/// All that the exchange has no place of its own for; what is at its zero value is left out.
fn attributes(record: &Record<'_>, exchange: &mut Exchange) {
    let request = &exchange.request;
    // Mostly they are the same to the letter, which is quicker to see.
    let host_differs = record.host != request.host && !record.host.eq_ignore_ascii_case(&request.host);
    let raw_path_differs = !record.original_path.is_empty() || record.raw_path != request.path;
    let dumped = !request.headers.is_empty() || !record.raw_request.is_empty();
    let agent_differs = dumped && request.headers.text("user-agent").unwrap_or_default() != record.user_agent;
    let length_differs = super::encode::announced_length(request) != record.content_length;
    let facts = &mut exchange.attributes;
    let mut text = |name: &'static str, text: &Text<'_>, wanted: bool| {
        if wanted && !text.is_empty() {
            facts.set(name, text.as_ref());
        }
    };
    text(NAMES.host, &record.host, host_differs);
    text(NAMES.path, &record.path, record.path != record.raw_path);
    text(NAMES.raw_path, &record.raw_path, raw_path_differs);
    text(NAMES.user_agent, &record.user_agent, agent_differs);
    text(NAMES.api_id, &record.api_id, true);
    text(NAMES.api_version, &record.api_version, true);
    text(NAMES.org_id, &record.org_id, true);
    text(NAMES.api_key, &record.api_key, true);
    text(NAMES.oauth_id, &record.oauth_id, true);
    text(NAMES.alias, &record.alias, true);
    text(NAMES.ip_address, &record.ip_address, exchange.client.address.is_none());
    text(NAMES.api_schema, &record.api_schema, true);
    geo(record, exchange);
    let facts = &mut exchange.attributes;
    if length_differs {
        facts.set(NAMES.content_length, record.content_length);
    }
    if exchange.response.is_none() {
        facts.set(NAMES.response_code, record.response_code);
    }
    if let Some(tags) = &record.tags {
        facts.set(NAMES.tags, Value::Json(json_list(tags).into()));
    }
    if record.track_path {
        facts.set(NAMES.track_path, true);
    }
    if record.expire_at != Time::ZERO {
        facts.set(NAMES.expire_at, record.expire_at.seconds);
    }
    if let Some(local) = local_time(record) {
        facts.set(NAMES.local_time, local);
    }
    if record.network != Network::default() {
        facts.set(NAMES.network, Value::Json(network(record.network).to_string().into()));
    }
    if record.graphql != GraphQl::default() {
        facts.set(NAMES.graphql, Value::Json(graphql(&record.graphql).to_string().into()));
    }
    let mcp = &record.mcp;
    if mcp.is_mcp {
        let mcp = json!({"method": mcp.method, "primitive_type": mcp.primitive_type, "primitive_name": mcp.primitive_name});
        facts.set(NAMES.mcp, Value::Json(mcp.to_string().into()));
    }
}

/// Year, month, day and hour, where the gateway's zone makes them differ from those of UTC.
fn local_time(record: &Record<'_>) -> Option<String> {
    let local = (record.year, record.month, record.day, record.hour);
    (local != civil(instant(record.time_stamp)))
        .then(|| format!("{} {} {} {}", local.0, local.1, local.2, local.3))
}

/// A JSON list of texts, which have nothing to escape for the most part.
fn json_list(texts: &[Text<'_>]) -> String {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if texts.is_empty() || texts.iter().any(|text| text.bytes().any(is_escaped)) {
        return serde_json::to_string(texts).unwrap_or_default();
    }
    let mut json = String::with_capacity(texts.iter().map(|text| text.len() + 3).sum::<usize>() + 1);
    for text in texts {
        json.push_str(if json.is_empty() { "[\"" } else { "\",\"" });
        json.push_str(text);
    }
    json.push_str("\"]");
    json
}

fn geo(record: &Record<'_>, exchange: &mut Exchange) {
    let (geo, facts) = (&record.geo, &mut exchange.attributes);
    for (name, text) in [(NAMES.country, &geo.country), (NAMES.geo_time_zone, &geo.time_zone)] {
        if !text.is_empty() {
            facts.set(name, text.as_ref());
        }
    }
    if let Some(names) = &geo.names {
        let english = names.iter().find(|(language, _)| language == "en").or_else(|| names.first());
        if let Some((_, name)) = english {
            facts.set(NAMES.city, name.as_ref());
        }
        let names: Map<String, Json> =
            names.iter().map(|(language, name)| (language.to_string(), json!(name))).collect();
        facts.set(NAMES.geo_names, Value::Json(Json::Object(names).to_string().into()));
    }
    if let Ok(id @ 1..) = i64::try_from(geo.geo_name_id) {
        facts.set(NAMES.geo_name_id, id);
    }
    for (name, degrees) in [(NAMES.latitude, geo.latitude), (NAMES.longitude, geo.longitude)] {
        if degrees != 0.0 {
            facts.set(name, Value::Float(degrees));
        }
    }
}

fn network(network: Network) -> Json {
    json!({"open_connections": network.open_connections, "closed_connections": network.closed_connections,
        "bytes_in": network.bytes_in, "bytes_out": network.bytes_out})
}

fn graphql(graphql: &GraphQl<'_>) -> Json {
    let step = |step: &PathItem<'_>| match step {
        PathItem::Field(name) => json!(name),
        PathItem::Index(index) => json!(index),
    };
    let errors = graphql.errors.as_ref().map(|errors| {
        let path = |path: &Option<Vec<PathItem<'_>>>| {
            path.as_ref().map(|path| path.iter().map(step).collect::<Vec<_>>())
        };
        errors
            .iter()
            .map(|error| json!({"message": error.message, "path": path(&error.path)}))
            .collect::<Vec<_>>()
    });
    // A list of pairs, since types may come in any order and the order is kept.
    let types: Option<Vec<(&Cow<'_, str>, Json)>> = graphql
        .types
        .as_ref()
        .map(|types| types.iter().map(|(name, fields)| (name, json!(fields))).collect());
    json!({"is_graphql": graphql.is_graphql, "operation_type": graphql.operation_type, "variables": graphql.variables,
        "root_fields": graphql.root_fields, "types": types, "has_errors": graphql.has_errors, "errors": errors})
}
