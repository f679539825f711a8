//! From an exchange to the record that Tyk's gateway would have written for it.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_kit::Timestamp;
use weir_model::{Exchange, Headers, Value};

use crate::parts::content_length;
use crate::tyk;
use crate::tyk::record::{Geo, Latency, Record, Text, Time};

/// The record of an exchange, with dumps of request and response if `detailed`.
pub fn record(exchange: &Exchange, detailed: bool) -> Record<'_> {
    if exchange.origin.source == tyk::SOURCE {
        return as_it_was(exchange, detailed);
    }
    let duration = exchange.duration().unwrap_or_default();
    let time_stamp = ended(exchange.started_at, duration);
    let at = time_stamp.civil();
    let request = &exchange.request;
    let template = exchange.operation.as_ref().map(|operation| operation.template.as_str());
    let api = exchange.service.as_deref().or(exchange.route.as_deref()).unwrap_or(&request.host);
    let consumer = exchange.consumer.as_ref();
    let caller = consumer.and_then(|consumer| consumer.credential.as_deref().or(consumer.id.as_deref()));
    Record {
        method: Cow::Borrowed(&request.method),
        host: Cow::Borrowed(attribute(exchange, "tyk.host").unwrap_or(&request.host)),
        path: with_slash(template.filter(|template| !template.is_empty()).unwrap_or(&request.path)),
        raw_path: with_slash(&request.path),
        content_length: announced(&request.headers, request.body.size),
        user_agent: request.headers.text("user-agent").unwrap_or_default(),
        day: at.day,
        month: at.month,
        year: at.year,
        hour: at.hour,
        response_code: status(exchange),
        api_key: named(exchange, "tyk.api_key", caller.or(exchange.identity.session.as_deref())),
        time_stamp,
        api_version: named(exchange, "tyk.api_version", Some("Non Versioned")),
        api_name: named(exchange, "tyk.api_name", exchange.route.as_deref().or(Some(api))),
        api_id: named(exchange, "tyk.api_id", Some(api)),
        org_id: named(exchange, "tyk.org_id", Some(exchange.project.as_str())),
        oauth_id: named(exchange, "tyk.oauth_id", None),
        request_time: millis(duration),
        raw_request: if detailed { dump_request(exchange) } else { Text::default() },
        raw_response: if detailed { dump_response(exchange) } else { Text::default() },
        ip_address: exchange.client.address.map(|address| address.to_string()).unwrap_or_default().into(),
        geo: Geo { country: named(exchange, "geo.country.iso_code", None), ..Geo::default() },
        latency: latency(exchange, duration),
        tags: tags(exchange),
        alias: named(exchange, "tyk.alias", consumer.and_then(|consumer| consumer.username.as_deref())),
        track_path: template.is_some(),
        original_path: Cow::Borrowed(&request.path),
        listen_path: named(exchange, "tyk.listen_path", None),
        ..Record::default()
    }
}

/// What the pump took from Redis gives the record that it was.
fn as_it_was(exchange: &Exchange, detailed: bool) -> Record<'_> {
    let mut record = tyk::encode::record(exchange, &tyk::encode::Profile::default());
    if !detailed {
        record.raw_request = Text::default();
        record.raw_response = Text::default();
    }
    record
}

fn attribute<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    exchange.attributes.text(name)
}

fn named<'a>(exchange: &'a Exchange, name: &str, otherwise: Option<&'a str>) -> Text<'a> {
    Cow::Borrowed(attribute(exchange, name).or(otherwise).unwrap_or_default())
}

fn with_slash(path: &str) -> Text<'_> {
    if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) }
}

fn ended(started_at: Timestamp, duration: Duration) -> Time {
    Time::from(started_at + duration)
}

fn announced(headers: &Headers, counted: Option<u64>) -> i64 {
    if headers.get("transfer-encoding").is_some() {
        return -1;
    }
    content_length(headers).or(counted).and_then(|length| i64::try_from(length).ok()).unwrap_or(0)
}

/// Nobody answered: as Tyk says it, by what went wrong.
fn status(exchange: &Exchange) -> i64 {
    if let Some(status) = exchange.status() {
        return status.into();
    }
    match exchange.error.as_deref() {
        Some(error) if error.contains("timeout") => 504,
        Some(error) if error.starts_with("client") => 499,
        _ => 500,
    }
}

fn latency(exchange: &Exchange, duration: Duration) -> Latency {
    let total = millis(duration);
    let upstream = exchange.timings.wait.map_or(0, millis).min(total);
    Latency { total, upstream, gateway: total - upstream }
}

fn tags(exchange: &Exchange) -> Option<Vec<Text<'_>>> {
    let Some(Value::Json(list)) = exchange.attributes.get("tyk.tags") else { return None };
    let tags: Vec<String> = serde_json::from_str(list).ok()?;
    Some(tags.into_iter().map(Cow::Owned).collect())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn dump_request(exchange: &Exchange) -> Text<'_> {
    let request = &exchange.request;
    let mut dump = format!("{} {} HTTP/1.1\r\n", request.method, request.target()).into_bytes();
    dump_rest(&mut dump, &request.headers, request.body.bytes());
    STANDARD.encode(dump).into()
}

fn dump_response(exchange: &Exchange) -> Text<'_> {
    let Some(response) = &exchange.response else { return Text::default() };
    let reason = response.reason.as_deref().unwrap_or_default();
    let mut dump = format!("HTTP/1.1 {} {reason}\r\n", response.status).into_bytes();
    dump_rest(&mut dump, &response.headers, response.body.bytes());
    STANDARD.encode(dump).into()
}

fn dump_rest(dump: &mut Vec<u8>, headers: &Headers, body: Option<&bytes::Bytes>) {
    for (name, value) in headers.iter() {
        dump.extend_from_slice(name.as_bytes());
        dump.extend_from_slice(b": ");
        dump.extend_from_slice(value);
        dump.extend_from_slice(b"\r\n");
    }
    dump.extend_from_slice(b"\r\n");
    dump.extend_from_slice(body.map(AsRef::as_ref).unwrap_or_default());
}
