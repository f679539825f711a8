//! What is known of a call, from its first to its last byte.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HOST};
use http::{HeaderMap, StatusCode, Version, request, response};
use weir_kit::{Clock, SystemClock};
use weir_model::recording::TAGS;
use weir_model::{Attributes, Identity, Value, WhyNot};
use weir_pipeline::CaptureWish;
use weir_pipeline::record::{BodyEnd, Side, Text, Timing, Writer};

use super::BodyCopy;
use super::redact::{Names, Secrets};
use crate::bodies::Meter;
use crate::framing::Seen;
use crate::plugins::{Call, CallOutcome, Phases, Tag};
use crate::upstream::ConnectTimes;
use crate::worker::ClientConnection;

/// Status of a call whose client left before there was an answer (as nginx writes it).
pub(crate) const CLIENT_LEFT: u16 = 499;
/// `error.type` of a call whose client left before it ended.
pub(crate) const CLIENT_ABORTED: &str = "client.aborted";

/// Travels with a call and ends it when dropped, however it ended: runs the plugins' `log` phase and keeps the record.
pub(crate) struct Recorder {
    pub(crate) call: Call,
    pub(crate) connection: Rc<ClientConnection>,
    /// `error.type`, once something has gone wrong.
    pub(crate) error: Option<&'static str>,
    /// What passes of the request's body; `None` when there is none.
    pub(crate) request_body: Option<Rc<Meter>>,
    /// What passed of the answer's body.
    pub(crate) response_size: u64,
    pub(crate) response_copy: Option<BodyCopy>,
    pub(crate) response_trailers: Option<HeaderMap>,
    /// Whether the last byte of the answer was passed on.
    pub(crate) complete: bool,
    /// Whether the connection waits to hear if the protocol changes.
    pub(crate) upgrade_undecided: bool,
    times: Times,
    head_bytes: usize,
    /// Bytes that the client sent in another protocol.
    tunnelled: Option<u64>,
    /// The request line of a refused request.
    refused_line: Option<Bytes>,
    status: Option<StatusCode>,
    wish: Option<CaptureWish>,
    /// The record so far; empty when it was not begun.
    record: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    began: Instant,
    handed_off: Option<Instant>,
    first_byte: Option<Instant>,
    opened: Option<ConnectTimes>,
}

impl Recorder {
    /// The call of this request, whose first byte came at `began`.
    pub(crate) fn begin(
        connection: Rc<ClientConnection>,
        request: request::Parts,
        began: Instant,
        seen: Option<Seen>,
    ) -> Box<Self> {
        connection.shared.begin();
        let worker = &connection.worker;
        let started_at = SystemClock.now() - began.elapsed();
        let call = Call {
            id: worker.new_id(started_at),
            started_at,
            client: connection.peer,
            local: connection.local,
            tls: connection.tls,
            request,
            consumer: None,
            identity: Identity::default(),
            attributes: Attributes::default(),
            body: None,
            response_headers: HeaderMap::new(),
            kept: http::Extensions::new(),
            snapshot: worker.snapshot(),
            route: None,
            matched_prefix: 0,
            bucketed: None,
        };
        let wish = worker.wish;
        let (head_bytes, refused_line, upgrade) = match seen {
            Some(seen) => (seen.head_bytes, seen.refusal.map(|(_, line)| line), seen.upgrade),
            None => (0, None, false),
        };
        Box::new(Self {
            call,
            connection,
            error: None,
            request_body: None,
            response_size: 0,
            response_copy: None,
            response_trailers: None,
            complete: false,
            upgrade_undecided: upgrade,
            times: Times { began, handed_off: None, first_byte: None, opened: None },
            head_bytes,
            tunnelled: None,
            refused_line,
            status: None,
            wish,
            record: Vec::new(),
        })
    }

    /// The route is known, or known to be missing: settles what is to be captured, as far as it can be before the caller is
    /// known.
    pub(crate) fn routed(&mut self) {
        self.wish = self.call.snapshot.chain(self.call.route).capture(self.wish);
        self.settle_tracking();
    }

    /// All is known that a record depends on: captures no more than the plugins of this caller want.
    fn settle(&mut self) {
        self.settle_tracking();
        if self.wish.is_none() {
            return;
        }
        let chain = self.call.snapshot.chain(self.call.route);
        self.wish = chain.capture_of(self.connection.worker.wish, self.call.consumer_id());
        if let (Some(wish), Some(meter)) = (self.wish, &self.request_body) {
            meter.keep_at_most(wish.request_body_bytes);
        }
    }

    /// Gives up the record when a plugin wants none of this call.
    fn settle_tracking(&mut self) {
        if self.wish.is_some() && self.call.snapshot.chain(self.call.route).untracks(&self.call) {
            self.wish = None;
            self.connection.worker.slot.count_untracked();
        }
    }

    /// A copy for the request's body.
    pub(crate) fn request_copy(&self) -> Option<BodyCopy> {
        let wish = self.wish?;
        Some(BodyCopy::new(wish.request_body_bytes, &self.connection.worker.budget))
    }

    /// The call goes on to the service.
    pub(crate) fn handed_off(&mut self) {
        self.times.handed_off = Some(Instant::now());
    }

    /// A connection had to be opened.
    pub(crate) fn opened(&mut self, times: ConnectTimes) {
        self.times.opened = Some(times);
    }

    /// The head of the service's answer came.
    pub(crate) fn first_byte(&mut self) {
        self.times.first_byte = Some(Instant::now());
    }

    /// From the first byte of the request to its hand-off (or to now).
    pub(crate) fn proxy_latency(&self) -> Duration {
        self.times.handed_off.unwrap_or_else(Instant::now) - self.times.began
    }

    /// From the hand-off to the head of the service's answer.
    pub(crate) fn upstream_latency(&self) -> Option<Duration> {
        Some(self.times.first_byte? - self.times.handed_off?)
    }

    /// The head of the answer is about to be sent.
    pub(crate) fn answered(&mut self, response: &response::Parts) {
        self.status = Some(response.status);
        self.settle();
        let Some(wish) = self.wish else { return };
        let worker = Rc::clone(&self.connection.worker);
        self.response_copy = Some(BodyCopy::new(wish.response_body_bytes, &worker.budget));
        self.record = worker.take_buffer();
        let mut record = std::mem::take(&mut self.record);
        self.write_request(&mut record);
        let mut writer = Writer::resume(&mut record);
        writer.status(response.status.as_u16());
        writer.version(Side::Response, version(self.call.request.version));
        write_headers(&mut writer, Side::Response, &response.headers, &self.secrets());
        self.record = record;
    }

    /// Another protocol was spoken: so many bytes went each way, none of which were kept.
    pub(crate) fn tunnelled(&mut self, sent: u64, received: u64) {
        self.tunnelled = Some(sent);
        self.response_size = received;
        self.response_copy = None;
    }

    fn write_request(&self, record: &mut Vec<u8>) {
        let call = &self.call;
        let common = &self.connection.worker.common;
        let capture = &common.settings.capture;
        let mut writer = Writer::start(record, call.id, call.started_at);
        writer
            .text(Text::OriginSource, "gateway")
            .optional(Text::OriginNode, capture.node.as_deref())
            .optional(Text::OriginEnvironment, capture.environment.as_deref())
            .optional(Text::Route, call.route().map(|route| &**route.label()))
            .optional(Text::Service, call.service().map(|service| &**service.label()))
            .client(call.client)
            .server(call.local);
        if let Some(consumer) = &call.consumer {
            writer
                .consumer()
                .optional(Text::ConsumerId, consumer.id.as_deref())
                .optional(Text::ConsumerUsername, consumer.username.as_deref())
                .optional(Text::ConsumerCustomId, consumer.custom_id.as_deref())
                .optional(Text::ConsumerCredential, consumer.credential.as_deref());
        }
        let Identity { user, company, subscription, session } = &call.identity;
        writer
            .optional(Text::User, user.as_deref())
            .optional(Text::Company, company.as_deref())
            .optional(Text::Subscription, subscription.as_deref())
            .optional(Text::Session, session.as_deref());
        self.write_notes(&mut writer);
        writer.text(Text::Scheme, if call.tls { "https" } else { "http" });
        match &self.refused_line {
            Some(line) => self.write_refused(&mut writer, line),
            None => self.write_target(&mut writer),
        }
    }

    /// Attributes and tags.
    fn write_notes(&self, writer: &mut Writer<'_>) {
        let chain = self.call.snapshot.chain(self.call.route);
        if !chain.has(Phases::RECORD) {
            for (name, value) in self.call.attributes.iter() {
                writer.attribute(name, value);
            }
            return;
        }
        let notes = chain.notes(&self.call);
        for (name, value) in notes.attributes.iter() {
            writer.attribute(name, value);
        }
        let tags: Vec<String> = notes.tags.into_iter().flat_map(|tag| self.tags_of(tag)).collect();
        if !tags.is_empty() {
            writer.attribute(TAGS, &Value::Json(serde_json::Value::from(tags).to_string().into()));
        }
    }

    /// The tags that one of a plugin's amounts to; headers that hold secrets give none.
    fn tags_of(&self, tag: Tag) -> Vec<String> {
        let name = match tag {
            Tag::Plain(tag) => return vec![tag],
            Tag::OfHeader(name) => name,
        };
        let CallSecrets { all, more } = self.secrets();
        let values = self.call.request.headers.get_all(&name).iter().map(http::HeaderValue::as_bytes);
        let shown = values.filter(|value| all.header(name.as_str(), value, more) == *value);
        shown.map(|value| format!("{name}-{}", String::from_utf8_lossy(value))).collect()
    }

    fn write_target(&self, writer: &mut Writer<'_>) {
        let request = &self.call.request;
        let secrets = &self.secrets();
        let host = host_of(request);
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            writer.text(Text::Host, &host.to_ascii_lowercase());
        } else {
            writer.text(Text::Host, host);
        }
        writer.text(Text::Method, request.method.as_str()).text(Text::Path, request.uri.path());
        write_query(writer, request.uri.query(), secrets);
        writer.version(Side::Request, version(request.version));
        write_headers(writer, Side::Request, &request.headers, secrets);
        if self.head_bytes > 0 {
            writer.headers_size(Side::Request, self.head_bytes as u64);
        }
    }

    /// What can be told of a request that was refused for its form.
    fn write_refused(&self, writer: &mut Writer<'_>, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        writer.text(Text::Method, words.next().unwrap_or_default());
        let target = words.next().unwrap_or_default();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        writer.text(Text::Host, "").text(Text::Path, path);
        write_query(writer, query, &self.secrets());
        writer.version(Side::Request, "");
    }

    /// Ends the record and keeps it.
    fn keep(&mut self, ended: Instant) {
        let worker = Rc::clone(&self.connection.worker);
        let mut record = std::mem::take(&mut self.record);
        if record.is_empty() {
            record = worker.take_buffer();
            self.write_request(&mut record);
            Writer::resume(&mut record).status(CLIENT_LEFT);
        }
        let mut writer = Writer::resume(&mut record);
        self.write_bodies(&mut writer);
        self.write_times(&mut writer, ended);
        writer.optional(Text::Error, self.error);
        for plugin in self.call.snapshot.chain(self.call.route).asking(self.call.consumer_id()) {
            writer.text(Text::Plugin, plugin);
        }
        writer.finish();
        worker.common.chunks.put(&worker.slot, &record);
        worker.give_buffer(record);
    }

    fn write_bodies(&self, writer: &mut Writer<'_>) {
        if let Some(sent) = self.tunnelled {
            writer.body_size(Side::Request, sent).body_end(Side::Request, BodyEnd::Not(WhyNot::Stream));
            writer.body_end(Side::Response, BodyEnd::Not(WhyNot::Stream));
        } else if let Some(meter) = &self.request_body {
            meter.write(writer, &self.secrets());
        } else {
            writer.body_size(Side::Request, 0);
        }
        writer.body_size(Side::Response, self.response_size);
        if let Some(copy) = &self.response_copy {
            let (bytes, end) = copy.kept(self.complete);
            if !bytes.is_empty() {
                writer.body(Side::Response, bytes);
            }
            writer.body_end(Side::Response, end);
        }
        if let Some(trailers) = &self.response_trailers {
            write_trailers(writer, Side::Response, trailers, &self.secrets());
        }
    }

    fn write_times(&self, writer: &mut Writer<'_>, ended: Instant) {
        let Times { began, handed_off, first_byte, opened } = self.times;
        writer.timing(Timing::Total, ended - began);
        if let Some(opened) = opened {
            writer.timing(Timing::Dns, opened.dns).timing(Timing::Connect, opened.connect);
            if let Some(tls) = opened.tls {
                writer.timing(Timing::Tls, tls);
            }
        }
        let Some(handed_off) = handed_off else { return };
        writer.timing(Timing::Send, handed_off - began);
        writer.timing(Timing::Wait, first_byte.unwrap_or(ended) - handed_off);
        if let Some(first_byte) = first_byte {
            writer.timing(Timing::Receive, ended - first_byte);
        }
    }

    fn secrets(&self) -> CallSecrets<'_> {
        CallSecrets {
            all: &self.connection.worker.common.secrets,
            more: self.call.snapshot.chain(self.call.route).credentials(),
        }
    }

    fn outcome(&self) -> CallOutcome {
        CallOutcome {
            status: self.status.map_or(CLIENT_LEFT, |status| status.as_u16()),
            error: self.error,
            request_size: match &self.request_body {
                Some(meter) => meter.size(),
                None => self.tunnelled.unwrap_or(0),
            },
            response_size: self.response_size,
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.complete {
            self.error.get_or_insert(CLIENT_ABORTED);
        }
        let connection = Rc::clone(&self.connection);
        if self.upgrade_undecided {
            connection.shared.decide(false);
        }
        connection.shared.end();
        connection.worker.count_request();
        let snapshot = Rc::clone(&self.call.snapshot);
        let chain = snapshot.chain(self.call.route);
        if chain.has(Phases::LOG) {
            let outcome = self.outcome();
            for plugin in chain.running(Phases::LOG, self.call.consumer_id()) {
                plugin.log(&self.call, &outcome);
            }
        }
        if self.status.is_none() {
            self.settle();
        }
        if self.wish.is_some() {
            self.keep(Instant::now());
        }
    }
}

/// The host a request names: of its target, else of its `Host` field.
pub(crate) fn host_of(request: &request::Parts) -> &str {
    if let Some(authority) = request.uri.authority() {
        return authority.as_str();
    }
    request.headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What must not be recorded of one call.
pub(crate) struct CallSecrets<'a> {
    all: &'a Secrets,
    /// Names that plugins of the call keep credentials under.
    more: &'a Names,
}

fn write_query(writer: &mut Writer<'_>, query: Option<&str>, secrets: &CallSecrets<'_>) {
    let Some(query) = query else { return };
    match secrets.all.query(query, secrets.more) {
        Some(shown) => writer.text(Text::Query, &shown),
        None => writer.text(Text::Query, query),
    };
}

/// Writes trailers, without secrets.
pub(crate) fn write_trailers(
    writer: &mut Writer<'_>,
    side: Side,
    trailers: &HeaderMap,
    secrets: &CallSecrets<'_>,
) {
    for (name, value) in trailers {
        let value = secrets.all.header(name.as_str(), value.as_bytes(), secrets.more);
        writer.trailer(side, name.as_str(), value);
    }
}

fn write_headers(writer: &mut Writer<'_>, side: Side, headers: &HeaderMap, secrets: &CallSecrets<'_>) {
    for (name, value) in headers {
        let value = secrets.all.header(name.as_str(), value.as_bytes(), secrets.more);
        writer.header(side, name.as_str(), value);
    }
    if let Some(coding) = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        writer.coding(side, coding);
    }
}

/// OpenTelemetry's name of an HTTP version.
fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}
