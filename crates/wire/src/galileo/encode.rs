//! From exchanges to ALF 1.1.0. Pure.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_model::{Body, Captured, Exchange, ExchangeId, Headers, Request, Response, Timings};

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
    /// The request body.
    pub body: Vec<u8>,
    /// What is in it, in order; never empty.
    pub entries: Vec<Planned>,
    /// For a part of a call: the key of the whole, and how many entries of it come before this part.
    pub part_of: Option<(String, usize)>,
}

/// An exchange in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its index in the batch.
    pub index: usize,
    /// Its id.
    pub id: ExchangeId,
    /// Where in the body it stands.
    pub place: Range<usize>,
}

impl CallPlan {
    /// The same for the same exchanges, so that a collector can recognise a repeated call. That of a part says which part of
    /// what it is, so that weir's own receiver recognises the entries, too: see [`KeyParts`].
    pub fn key(&self) -> String {
        if let Some((whole, before)) = &self.part_of {
            return format!("{whole}{PART}{before}{PART}{}", self.entries.len());
        }
        let id =
            |planned: Option<&Planned>| planned.map(|planned| planned.id.to_string()).unwrap_or_default();
        format!("{}.{}", id(self.entries.first()), id(self.entries.last()))
    }

    /// Which exchanges of the batch are in it.
    pub fn indexes(&self) -> Vec<usize> {
        self.entries.iter().map(|planned| planned.index).collect()
    }

    /// Two calls with half of the entries each; none when there is but one.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        let (opening, closing) = (&self.body[..first.place.start], &self.body[last.place.end..]);
        let (whole, before) = self.part_of.clone().unwrap_or_else(|| (self.key(), 0));
        let half = |entries: &[Planned], before: usize| {
            let mut call = OpenCall::new(opening.to_vec());
            for planned in entries {
                call.push(planned.index, planned.id, &self.body[planned.place.clone()]);
            }
            CallPlan { part_of: Some((whole.clone(), before)), ..call.close(closing) }
        };
        let (left, right) = self.entries.split_at(self.entries.len() / 2);
        (!left.is_empty()).then(|| [half(left, before), half(right, before + left.len())])
    }
}

const PART: char = '+';

/// A key of a call, taken apart: entry `n` of the call is entry `before + n` of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyParts<'a> {
    /// The key of the whole.
    pub whole: &'a str,
    /// Entries of the whole that come before those of the call.
    pub before: usize,
}

impl<'a> KeyParts<'a> {
    /// Any key is one of a whole, unless it is one of ours for a part.
    pub fn of(key: &'a str) -> Self {
        let part = key.split_once(PART).and_then(|(whole, rest)| {
            let (before, count) = rest.split_once(PART)?;
            let _count: usize = count.parse().ok()?;
            Some(Self { whole, before: before.parse().ok()? })
        });
        part.unwrap_or(Self { whole: key, before: 0 })
    }
}

/// A call that is being put together.
pub(super) struct OpenCall {
    body: Vec<u8>,
    entries: Vec<Planned>,
}

impl OpenCall {
    /// A call whose body begins like this.
    pub(super) fn new(opening: Vec<u8>) -> Self {
        Self { body: opening, entries: Vec::new() }
    }

    pub(super) fn has_room(&self, entry: &[u8]) -> bool {
        self.body.len() + entry.len() <= GOOD_CALL_BYTES
    }

    pub(super) fn push(&mut self, index: usize, id: ExchangeId, entry: &[u8]) {
        if !self.entries.is_empty() {
            self.body.push(b',');
        }
        let start = self.body.len();
        self.body.extend_from_slice(entry);
        self.entries.push(Planned { index, id, place: start..self.body.len() });
    }

    pub(super) fn close(mut self, closing: &[u8]) -> CallPlan {
        self.body.extend_from_slice(closing);
        CallPlan { body: self.body, entries: self.entries, part_of: None }
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
    let mut open: Option<(OpenCall, Option<&str>)> = None;
    let mut text = Vec::new();
    for (index, exchange) in batch.iter().enumerate() {
        text.clear();
        serde_json::to_writer(&mut text, &entry(exchange, profile))
            .expect("strings and numbers always serialise");
        let environment =
            environment.or(exchange.origin.environment.as_deref()).filter(|name| !name.is_empty());
        if let Some(reason) = too_large(text.len(), || opening(token, environment).len() + CLOSING.len()) {
            plan.too_large.push((index, reason));
            continue;
        }
        let fits = |(call, known): &(OpenCall, Option<&str>)| *known == environment && call.has_room(&text);
        if let Some((full, _)) = open.take_if(|open| !fits(open)) {
            plan.calls.push(full.close(CLOSING));
        }
        let (call, _) = open.get_or_insert_with(|| (OpenCall::new(opening(token, environment)), environment));
        call.push(index, exchange.id, &text);
    }
    plan.calls.extend(open.map(|(call, _)| call.close(CLOSING)));
    plan
}

/// Why an entry of this size cannot travel even alone, given what stands around it.
pub(super) fn too_large(entry: usize, around: impl FnOnce() -> usize) -> Option<String> {
    if entry <= GOOD_CALL_BYTES {
        return None;
    }
    let alone = entry + around();
    (alone > MAX_CALL_BYTES).then(|| format!("too_large: {alone} bytes in ALF, more than {MAX_CALL_BYTES}"))
}

const CLOSING: &[u8] = b"]}}}";

/// How a call begins.
fn opening(token: &str, environment: Option<&str>) -> Vec<u8> {
    let creator = alf::Creator { name: CREATOR, version: env!("CARGO_PKG_VERSION") };
    let envelope = alf::Envelope {
        version: "1.1.0",
        service_token: token,
        environment,
        har: alf::Har { log: alf::Log { creator, entries: [] } },
    };
    let mut opening = serde_json::to_vec(&envelope).expect("strings always serialise");
    opening.truncate(opening.len() - CLOSING.len());
    opening
}
