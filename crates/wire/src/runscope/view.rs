//! A stored message as the API shows it (kong-runscope, B4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::{Map, Value, json};
use weir_model::{Body, Exchange, Headers, Request, Response};

use super::decode::{BUCKET_KEY, UNIQUE_IDENTIFIER};
use super::encode::{form_fields, is_form};
use super::message;
use crate::parts::url;

/// Most form fields that are shown.
const MAX_FIELDS: usize = 1_000;

/// A message; lists leave bodies out.
pub(super) fn message(exchange: &Exchange, with_bodies: bool) -> Value {
    let mut request = request(&exchange.request);
    request["timestamp"] = seconds(exchange.started_at.micros());
    let mut shown = json!({
        "uuid": exchange.id.to_string(),
        "bucket_key": exchange.attributes.text(BUCKET_KEY),
        "unique_identifier": exchange.attributes.text(UNIQUE_IDENTIFIER),
        "request": request,
        "response": exchange.response.as_ref().map(|answer| response(exchange, answer)),
    });
    if with_bodies {
        add_body(&mut shown["request"], &exchange.request.body);
        if let Some(answer) = &exchange.response {
            add_body(&mut shown["response"], &answer.body);
        }
    }
    shown
}

fn request(request: &Request) -> Value {
    json!({
        "method": request.method,
        "scheme": request.scheme,
        "host": request.host,
        "path": request.path,
        "params": params(request.query.as_deref().unwrap_or_default()),
        "url": format!("{}://{}{}", request.scheme, request.host, request.target()),
        "headers": headers(&request.headers),
        "form": form(request),
    })
}

fn response(exchange: &Exchange, answer: &Response) -> Value {
    let duration = exchange.duration();
    let micros = duration.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
    json!({
        "status": answer.status,
        "reason": reason(answer),
        "headers": headers(&answer.headers),
        "size_bytes": answer.body.size,
        "response_time": micros.map(seconds),
        "timestamp": seconds(exchange.started_at.micros().saturating_add(micros.unwrap_or(0))),
    })
}

fn reason(answer: &Response) -> &str {
    let usual = || StatusCode::from_u16(answer.status).ok()?.canonical_reason();
    answer.reason.as_deref().or_else(usual).unwrap_or_default()
}

fn seconds(micros: i64) -> Value {
    serde_json::to_value(message::Seconds(micros)).unwrap_or_default()
}

/// Bytes that are not text are Base64.
fn add_body(shown: &mut Value, body: &Body) {
    let bytes = body.bytes().map(|bytes| &bytes[..]).unwrap_or_default();
    let (text, encoding) = match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), "plaintext"),
        Err(_) => (STANDARD.encode(bytes), "base64"),
    };
    shown["body"] = text.into();
    shown["body_encoding"] = encoding.into();
}

/// Every value is a list.
fn headers(headers: &Headers) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in headers.iter() {
        add(&mut all, name, String::from_utf8_lossy(value).into());
    }
    all
}

fn params(query: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for (name, value) in url::arguments(query) {
        add(&mut all, &name, value.unwrap_or_default().into());
    }
    all
}

fn form(request: &Request) -> Map<String, Value> {
    let mut all = Map::new();
    let fields = request.body.bytes().filter(|_| is_form(&request.headers));
    for (name, values) in fields.and_then(|bytes| form_fields(bytes, MAX_FIELDS)).unwrap_or_default().0 {
        for value in values {
            let value = match value {
                message::Value::Text(text) => String::from_utf8_lossy(&text.0).into(),
                message::Value::Bare(bare) => bare.into(),
            };
            add(&mut all, &name, value);
        }
    }
    all
}

fn add(all: &mut Map<String, Value>, name: &str, value: Value) {
    match all.get_mut(name) {
        Some(Value::Array(values)) => values.push(value),
        _ => {
            all.insert(name.to_owned(), Value::Array(vec![value]));
        }
    }
}
