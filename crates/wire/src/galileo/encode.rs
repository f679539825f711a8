//! From exchanges to ALF 1.1.0. Pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_model::{Body, Captured, Exchange, Headers, Request, Response, Timings};

use super::alf;
use crate::parts::{content_length, last, url};

/// The name weir gives itself in `creator`.
pub const CREATOR: &str = "weir";
/// A batch larger than this was refused by the original collector.
pub const MAX_CALL_BYTES: usize = 20 * 1024 * 1024;
/// A call is closed before it grows past this; only a single larger entry makes a larger call.
pub const GOOD_CALL_BYTES: usize = 16 * 1024 * 1024;

/// What the settings say about how entries are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whether bodies are sent.
    pub log_bodies: bool,
    /// Whether `startedDateTime` has milliseconds; the original cuts them off.
    pub milliseconds: bool,
    /// Most request headers, response headers and query arguments of an entry, each.
    pub max_fields: usize,
}

impl Default for Profile {
    fn default() -> Self {
        Self { log_bodies: false, milliseconds: false, max_fields: 100 }
    }
}

/// One exchange as an ALF entry (kong-galileo, section 5).
pub fn entry<'a>(exchange: &'a Exchange, profile: &Profile) -> alf::Entry<'a> {
    let version = http_version(&exchange.request.version);
    let timings = timings(&exchange.timings);
    let parts =
        [timings.blocked, timings.connect, Some(timings.send), Some(timings.wait), Some(timings.receive)];
    alf::Entry {
        time: alf::Millis(parts.into_iter().flatten().map(|part| part.0).sum()),
        started_date_time: started(exchange, profile),
        server_ip_address: exchange.server.address,
        client_ip_address: exchange.client.address,
        request: request(&exchange.request, version, profile),
        response: match &exchange.response {
            Some(answer) => response(answer, version, profile),
            None => unanswered(version),
        },
        timings,
    }
}

/// The version as a number, as the original prints it: 1.0 is `HTTP/1`.
pub(super) fn http_version(version: &str) -> &'static str {
    match version {
        "0.9" => "HTTP/0.9",
        "1.0" => "HTTP/1",
        "2" => "HTTP/2",
        "3" => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// ALF has no way to say "not measured" for the three timings: they are 0 then. When only the whole is known, it is the
/// wait, as general ALF libraries report it.
fn timings(timings: &Timings) -> alf::Timings {
    let parts = [timings.send, timings.wait, timings.receive, timings.blocked, timings.connect];
    let whole = timings.total.filter(|_| parts.iter().all(Option::is_none));
    let millis = |part: Option<Duration>| alf::Millis(part.map_or(Duration::ZERO, whole_micros));
    alf::Timings {
        blocked: timings.blocked.map(|part| alf::Millis(whole_micros(part))),
        connect: timings.connect.map(|part| alf::Millis(whole_micros(part))),
        send: millis(timings.send),
        wait: millis(timings.wait.or(whole)),
        receive: millis(timings.receive),
    }
}

pub(super) fn whole_micros(part: Duration) -> Duration {
    Duration::from_micros(u64::try_from(part.as_micros()).unwrap_or(u64::MAX))
}

fn started(exchange: &Exchange, profile: &Profile) -> String {
    let unit = if profile.milliseconds { Duration::from_millis(1) } else { Duration::from_secs(1) };
    exchange.started_at.floor(unit).to_string()
}

fn request<'a>(request: &'a Request, version: &'static str, profile: &Profile) -> alf::Request<'a> {
    let target = request.target();
    alf::Request {
        method: &request.method,
        url: absolute_url(request, &target),
        http_version: version,
        query_string: arguments(request.query.as_deref().unwrap_or_default(), profile.max_fields),
        headers: headers(&request.headers, profile.max_fields),
        headers_size: head_size(request, &target, version),
        body_captured: announces_body(&request.headers),
        body_size: body_size(&request.headers, &request.body, profile),
        post_data: content(&request.headers, &request.body, profile),
    }
}

pub(super) fn absolute_url(request: &Request, target: &str) -> String {
    let scheme = if request.scheme.is_empty() { "http" } else { &request.scheme };
    let host = url::without_port(&request.host);
    let slash = if target.is_empty() || target.starts_with(['/', '?']) { "" } else { "/" };
    format!("{scheme}://{host}{slash}{target}")
}

fn arguments(query: &str, max: usize) -> Vec<alf::Argument<'_>> {
    let value = |value| match value {
        None => alf::ArgumentValue::Bare(true),
        Some(text) => alf::ArgumentValue::Text(text),
    };
    url::arguments(query).take(max).map(|(name, text)| alf::Argument { name, value: value(text) }).collect()
}

fn headers(headers: &Headers, max: usize) -> Vec<alf::Header<'_>> {
    headers
        .iter()
        .take(max)
        .map(|(name, value)| alf::Header { name: lower_case(name), value: String::from_utf8_lossy(value) })
        .collect()
}

pub(super) fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Request line, one line per field, an empty line; in bytes.
fn head_size(request: &Request, target: &str, version: &str) -> u64 {
    let line = request.method.len() + 1 + target.len() + 1 + version.len() + 2;
    let fields: usize = request.headers.iter().map(|(name, value)| name.len() + 2 + value.len() + 2).sum();
    (line + fields + 2) as u64
}

/// Whether the headers say that there is a body, which is all the original looks at.
fn announces_body(headers: &Headers) -> bool {
    content_length(headers).is_some_and(|length| length > 0)
        || headers.get("transfer-encoding").is_some()
        || last(headers, "content-type") == Some(b"multipart/byteranges")
}

/// Bytes of the body: counted when it is sent along, else as announced, else as counted, else 0.
fn body_size(headers: &Headers, body: &Body, profile: &Profile) -> u64 {
    let Some(bytes) = sendable(body, profile) else {
        return content_length(headers).or(body.size).unwrap_or(0);
    };
    let kept = bytes.len() as u64;
    // A reader takes text as long as `bodySize` for plain text, so a size that happens to be that long is not given.
    let base64_length = kept.div_ceil(3) * 4;
    body.size.filter(|size| *size != base64_length).unwrap_or(kept)
}

/// The bytes to send: all of the body or none, since ALF cannot say that something is missing.
pub(super) fn sendable<'a>(body: &'a Body, profile: &Profile) -> Option<&'a Bytes> {
    match &body.captured {
        Captured::Whole(bytes) if profile.log_bodies => Some(bytes),
        _ => None,
    }
}

fn content<'a>(headers: &'a Headers, body: &'a Body, profile: &Profile) -> Option<alf::Content<'a>> {
    let text = sendable(body, profile)?;
    let mime_type = match last(headers, "content-type") {
        Some(value) => String::from_utf8_lossy(value),
        None => Cow::Borrowed(body.media_type.as_deref().unwrap_or(DEFAULT_MIME_TYPE)),
    };
    Some(alf::Content { mime_type, encoding: "base64", text })
}

/// What a body is said to be when nobody says anything.
pub const DEFAULT_MIME_TYPE: &str = "application/octet-stream";

fn response<'a>(response: &'a Response, version: &'static str, profile: &Profile) -> alf::Response<'a> {
    alf::Response {
        status: response.status,
        status_text: "",
        http_version: version,
        headers: headers(&response.headers, profile.max_fields),
        headers_size: 0,
        body_captured: announces_body(&response.headers),
        body_size: body_size(&response.headers, &response.body, profile),
        content: content(&response.headers, &response.body, profile),
    }
}

/// ALF requires an answer; a status of 0 says that there was none.
fn unanswered<'a>(version: &'static str) -> alf::Response<'a> {
    alf::Response {
        status: 0,
        status_text: "",
        http_version: version,
        headers: Vec::new(),
        headers_size: 0,
        body_captured: false,
        body_size: 0,
        content: None,
    }
}

/// One call to the collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// The request body: one ALF.
    pub body: Vec<u8>,
    /// Which exchanges of the batch are in it.
    pub exchanges: Vec<usize>,
    /// The same for the same exchanges, so that a collector can recognise a repeated call.
    pub key: String,
}

impl CallPlan {
    /// A call with these exchanges of a batch.
    pub(super) fn new(body: Vec<u8>, exchanges: Vec<usize>, batch: &[Arc<Exchange>]) -> Self {
        let id =
            |index: Option<&usize>| index.and_then(|index| batch.get(*index)).map(|exchange| exchange.id);
        let key = match (id(exchanges.first()), id(exchanges.last())) {
            (Some(first), Some(last)) => format!("{first}.{last}"),
            _ => String::new(),
        };
        Self { body, exchanges, key }
    }
}

/// How a batch is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The calls, in order.
    pub calls: Vec<CallPlan>,
    /// Exchanges that alone exceed what a collector takes: index in the batch and the reason.
    pub too_large: Vec<(usize, String)>,
}

/// Splits a batch into calls: in order, one environment per call, none larger than a collector takes.
pub fn plan(batch: &[Arc<Exchange>], token: &str, environment: Option<&str>, profile: &Profile) -> Plan {
    let mut plan = Plan::default();
    let mut call: Option<OpenCall<'_>> = None;
    let mut text = Vec::new();
    for (index, exchange) in batch.iter().enumerate() {
        text.clear();
        serde_json::to_writer(&mut text, &entry(exchange, profile))
            .expect("strings and numbers always serialise");
        let environment =
            environment.or(exchange.origin.environment.as_deref()).filter(|name| !name.is_empty());
        if let Some(reason) = too_large(&text, token, environment) {
            plan.too_large.push((index, reason));
            continue;
        }
        let has_room = |call: &OpenCall<'_>| call.environment == environment && call.has_room(&text);
        if call.as_ref().is_some_and(|call| !has_room(call)) {
            plan.calls.extend(call.take().map(|call| call.close(batch)));
        }
        let open = call.take().unwrap_or_else(|| OpenCall::new(token, environment));
        call = Some(open.with(index, &text));
    }
    plan.calls.extend(call.map(|call| call.close(batch)));
    plan
}

/// Why an entry cannot travel even alone.
fn too_large(entry: &[u8], token: &str, environment: Option<&str>) -> Option<String> {
    if entry.len() <= GOOD_CALL_BYTES {
        return None;
    }
    let alone = OpenCall::new(token, environment).body.len() + entry.len() + CLOSING.len();
    (alone > MAX_CALL_BYTES).then(|| format!("too_large: {alone} bytes in ALF, more than {MAX_CALL_BYTES}"))
}

const CLOSING: &[u8] = b"]}}}";

struct OpenCall<'a> {
    environment: Option<&'a str>,
    body: Vec<u8>,
    exchanges: Vec<usize>,
}

impl<'a> OpenCall<'a> {
    fn new(token: &str, environment: Option<&'a str>) -> Self {
        let creator = alf::Creator { name: CREATOR, version: env!("CARGO_PKG_VERSION") };
        let envelope = alf::Envelope {
            version: "1.1.0",
            service_token: token,
            environment,
            har: alf::Har { log: alf::Log { creator, entries: [] } },
        };
        let mut body = serde_json::to_vec(&envelope).expect("strings always serialise");
        body.truncate(body.len() - CLOSING.len());
        Self { environment, body, exchanges: Vec::new() }
    }

    fn has_room(&self, entry: &[u8]) -> bool {
        self.body.len() + entry.len() <= GOOD_CALL_BYTES
    }

    fn with(mut self, index: usize, entry: &[u8]) -> Self {
        if !self.exchanges.is_empty() {
            self.body.push(b',');
        }
        self.body.extend_from_slice(entry);
        self.exchanges.push(index);
        self
    }

    fn close(mut self, batch: &[Arc<Exchange>]) -> CallPlan {
        self.body.extend_from_slice(CLOSING);
        let id =
            |index: Option<&usize>| index.and_then(|index| batch.get(*index)).map(|exchange| exchange.id);
        let key = match (id(self.exchanges.first()), id(self.exchanges.last())) {
            (Some(first), Some(last)) => format!("{first}.{last}"),
            _ => String::new(),
        };
        CallPlan { body: self.body, exchanges: self.exchanges, key }
    }
}
