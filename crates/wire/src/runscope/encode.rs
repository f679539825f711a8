//! From exchanges to messages. Pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weir_model::{Body, Captured, Exchange, Headers};

use super::message::{self, Fields, Message, Request, Response, Seconds, Size, Text, Value};
use crate::parts::{content_length, url};

/// A call is closed before it grows past this; only a single larger message makes a larger call.
pub const GOOD_CALL_BYTES: usize = 4 * 1024 * 1024;
/// A message larger than this is not sent.
pub const MAX_CALL_BYTES: usize = 60 * 1024 * 1024;

/// Most headers and form fields that the original reads.
const STRICT_FIELDS: usize = 100;
/// Most headers and form fields of a message, each.
const MAX_FIELDS: usize = 1_000;

/// What the settings say about how messages are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Whether bodies are sent.
    pub log_body: bool,
    /// Whether to write as the original did: times in milliseconds, `size_bytes` as text, bodies as they are.
    pub strict: bool,
}

impl Profile {
    fn max_fields(&self) -> usize {
        if self.strict { STRICT_FIELDS } else { MAX_FIELDS }
    }

    /// A time or duration as it is written.
    fn seconds(&self, micros: i64) -> Seconds {
        let unit = if self.strict { 1_000 } else { 1 };
        Seconds(micros.div_euclid(unit) * unit)
    }

    /// Bytes of a header as they are written.
    fn value<'a>(&self, bytes: &'a [u8]) -> Text<'a> {
        Text(if self.strict { Cow::Borrowed(bytes) } else { lossy(bytes) })
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, [u8]> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// One exchange as a message (kong-runscope, A3).
pub fn message<'a>(exchange: &'a Exchange, profile: &Profile) -> Message<'a> {
    Message {
        unique_identifier: (!profile.strict).then(|| exchange.id.to_string()),
        request: request(exchange, profile),
        response: response(exchange, profile),
    }
}

fn request<'a>(exchange: &'a Exchange, profile: &Profile) -> Request<'a> {
    let request = &exchange.request;
    let (body, body_encoding) = body(&request.body, profile, true);
    Request {
        method: &request.method,
        url: absolute_url(exchange),
        headers: headers(&request.headers, profile),
        form: form(&request.headers, &request.body, profile).unwrap_or_default(),
        body,
        body_encoding,
        timestamp: profile.seconds(exchange.started_at.micros()),
    }
}

/// Scheme, host in lower case, the port on which the gateway listens, the target as sent. Who reports without a gateway
/// names the port that the client named, else that of the scheme.
fn absolute_url(exchange: &Exchange) -> String {
    let request = &exchange.request;
    let scheme = if request.scheme.is_empty() { "http" } else { &request.scheme };
    let host = url::without_port(&request.host);
    let named = || request.host.get(host.len() + 1..).and_then(|port| port.parse().ok());
    let usual = if scheme == "https" { 443 } else { 80 };
    let port: u16 = exchange.server.port.or_else(named).unwrap_or(usual);
    let target = request.target();
    let slash = if target.is_empty() || target.starts_with(['/', '?']) { "" } else { "/" };
    format!("{scheme}://{host}:{port}{slash}{target}")
}

fn headers<'a>(headers: &'a Headers, profile: &Profile) -> Fields<'a> {
    let mut fields = Fields::default();
    for (name, value) in headers.iter().take(profile.max_fields()) {
        fields.add(lower_case(name), Value::Text(profile.value(value)));
    }
    fields
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The text of a body and how it stands for the bytes. Empty when bodies are not sent; none when they are and this one is
/// not at hand.
fn body<'a>(body: &'a Body, profile: &Profile, of_request: bool) -> (Option<Text<'a>>, Option<&'static str>) {
    let plain = |bytes: &'a [u8]| (Some(Text(Cow::Borrowed(bytes))), None);
    if !profile.log_body {
        return plain(b"");
    }
    match (&body.captured, profile.strict) {
        // The original cannot tell an empty request body from none.
        (Captured::Whole(bytes), true) if of_request && bytes.is_empty() => (None, None),
        (Captured::Whole(bytes), true) => plain(bytes),
        (Captured::Whole(bytes), false) if std::str::from_utf8(bytes).is_ok() => plain(bytes),
        (Captured::Whole(bytes), false) => {
            (Some(Text(Cow::Owned(STANDARD.encode(bytes).into_bytes()))), Some("base64"))
        }
        (_, true) if !of_request => plain(b""),
        _ => (None, None),
    }
}

/// The fields of a form, when bodies are sent and the body is one.
fn form<'a>(headers: &Headers, body: &'a Body, profile: &Profile) -> Option<Fields<'a>> {
    let Captured::Whole(bytes) = &body.captured else { return None };
    if !profile.log_body || !is_form(headers) {
        return None;
    }
    form_fields(bytes, profile.max_fields())
}

/// Whether the headers say that the body is a form.
pub(super) fn is_form(headers: &Headers) -> bool {
    let media_type = headers.text("content-type").unwrap_or_default();
    media_type.to_ascii_lowercase().contains("application/x-www-form-urlencoded")
}

/// The fields of a form; none when it is not text.
pub(super) fn form_fields(bytes: &Bytes, max: usize) -> Option<Fields<'_>> {
    let mut fields = Fields::default();
    for (name, value) in url::arguments(std::str::from_utf8(bytes).ok()?).take(max) {
        let value = match value {
            None => Value::Bare(true),
            Some(Cow::Borrowed(text)) => Value::Text(Text(Cow::Borrowed(text.as_bytes()))),
            Some(Cow::Owned(text)) => Value::Text(Text(Cow::Owned(text.into_bytes()))),
        };
        fields.add(name, value);
    }
    Some(fields)
}

/// The original has an answer for every request; a status of 0 says that there was none.
fn response<'a>(exchange: &'a Exchange, profile: &Profile) -> Option<Response<'a>> {
    let duration = exchange.duration();
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    let ended = exchange.started_at.micros().saturating_add(duration.map_or(0, micros));
    let common = Response {
        status: 0,
        headers: Fields::default(),
        size_bytes: profile.strict.then_some(Size::Text(0)),
        body: Some(Text(Cow::Borrowed(b""))),
        body_encoding: None,
        timestamp: profile.seconds(ended),
        response_time: match duration.map(|time| profile.seconds(micros(time))) {
            None if profile.strict => Some(Seconds(0)),
            known => known,
        },
    };
    let Some(answer) = &exchange.response else { return profile.strict.then_some(common) };
    let (body, body_encoding) = body(&answer.body, profile, false);
    let size = answer.body.size.or(answer.body.bytes().map(|bytes| bytes.len() as u64));
    let size = size.or_else(|| content_length(&answer.headers));
    Some(Response {
        status: answer.status,
        headers: headers(&answer.headers, profile),
        size_bytes: match (profile.strict, size) {
            (true, size) => Some(Size::Text(size.unwrap_or(0))),
            (false, size) => size.map(Size::Number),
        },
        body,
        body_encoding,
        ..common
    })
}

/// One call to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// The request body: a message, or a list of them.
    pub body: Vec<u8>,
    /// Which exchanges of the batch are in it.
    pub exchanges: Vec<usize>,
}

/// How a batch is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The calls, in order.
    pub calls: Vec<CallPlan>,
    /// Exchanges that alone exceed what a call takes: index in the batch and the reason.
    pub too_large: Vec<(usize, String)>,
}

/// Splits a batch into calls of at most `batch_size` messages, in order. One message per call is an object, as the
/// original sends it; more are a list.
pub fn plan(batch: &[Arc<Exchange>], profile: &Profile, batch_size: usize) -> Plan {
    let mut plan = Plan::default();
    let mut call: Option<CallPlan> = None;
    for (index, exchange) in batch.iter().enumerate() {
        let mut text = Vec::new();
        message::write(&message(exchange, profile), &mut text);
        if text.len() > MAX_CALL_BYTES {
            let reason = format!("too_large: {} bytes in JSON, more than {MAX_CALL_BYTES}", text.len());
            plan.too_large.push((index, reason));
            continue;
        }
        if batch_size <= 1 {
            plan.calls.push(CallPlan { body: text, exchanges: vec![index] });
            continue;
        }
        let is_full = |call: &CallPlan| {
            call.exchanges.len() >= batch_size || call.body.len() + text.len() > GOOD_CALL_BYTES
        };
        if call.as_ref().is_some_and(is_full) {
            plan.calls.extend(call.take().map(closed));
        }
        let open = call.get_or_insert_with(|| CallPlan { body: Vec::new(), exchanges: Vec::new() });
        open.body.push(if open.exchanges.is_empty() { b'[' } else { b',' });
        open.body.extend_from_slice(&text);
        open.exchanges.push(index);
    }
    plan.calls.extend(call.map(closed));
    plan
}

fn closed(mut call: CallPlan) -> CallPlan {
    call.body.push(b']');
    call
}
