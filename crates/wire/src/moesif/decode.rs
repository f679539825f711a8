//! From events to exchanges. Pure and total: any bytes give exchanges and reasons, and nothing else.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::StatusCode;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use weir_kit::Timestamp;
use weir_model::attribute::Value;
use weir_model::{
    Body, Captured, CompactString, Exchange, ExchangeId, Headers, Identity, Origin, Peer, Request, Response,
    WhyNot,
};
use weir_pipeline::{Credential, Decoded, Malformed, Rejected};

use super::{TRANSACTION_ID, attribute, read};
use crate::parts::lenient::{Members, Number, Text, mend_surrogates};
use crate::parts::{self, body, url};

/// Most events in one call; known senders stay at a few hundred.
pub const MAX_EVENTS: usize = 50_000;

/// Longest reason for a rejected event, in characters; it may quote the event.
const MAX_REASON: usize = 300;

/// Base64 as senders write it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What is known of a call beside its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reporter<'a> {
    /// `X-Moesif-Application-Id`: the credential of all events.
    pub application_id: &'a str,
    /// `User-Agent`, which becomes the origin's node and says whose quirks to expect.
    pub user_agent: Option<&'a str>,
    /// Who called; the client of events that name none.
    pub peer: Peer,
}

/// Reads the body of a call with one event.
pub fn one(body: &[u8], reporter: &Reporter<'_>) -> Result<Decoded, Malformed> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{FEFF}').trim_ascii();
    if !text.starts_with('{') {
        return Err(malformed("an event must be an object", text));
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    Ok(events(&[raw], reporter))
}

/// Reads the body of a call with an array of events.
pub fn batch(body: &[u8], reporter: &Reporter<'_>) -> Result<Decoded, Malformed> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{FEFF}').trim_ascii();
    if !text.starts_with('[') {
        return Err(malformed("a batch must be an array of events", text));
    }
    let list: read::Events<'_> = serde_json::from_str(text).map_err(|error| not_json(&error))?;
    if list.count > MAX_EVENTS {
        let reason = format!("{} events in one call, more than {MAX_EVENTS}", list.count);
        return Err(Malformed { status: StatusCode::PAYLOAD_TOO_LARGE, reason });
    }
    Ok(events(&list.items, reporter))
}

fn not_json(error: &serde_json::Error) -> Malformed {
    Malformed { status: StatusCode::BAD_REQUEST, reason: format!("not JSON: {error}") }
}

fn malformed(what: &str, text: &str) -> Malformed {
    let reason = format!("{what}, not {:?}", parts::shortened(text, 40));
    Malformed { status: StatusCode::BAD_REQUEST, reason }
}

fn events(items: &[&RawValue], reporter: &Reporter<'_>) -> Decoded {
    let mut decoded = Decoded { offered: items.len(), ..Decoded::default() };
    let credential = Credential { token: reporter.application_id.to_owned(), environment: None };
    for (index, raw) in items.iter().enumerate() {
        match event(raw.get(), reporter) {
            Ok(exchange) => decoded.accepted.push((credential.clone(), exchange)),
            Err(reason) => {
                let reason = parts::shortened(&reason, MAX_REASON);
                decoded.rejected.push(Rejected { index, reason: format!("event[{index}]: {reason}") });
            }
        }
    }
    decoded
}

/// Reads the JSON text of one event.
///
/// # Errors
/// Why it cannot be used; names the member and the value.
pub fn event(json: &str, reporter: &Reporter<'_>) -> Result<Exchange, String> {
    let error = match serde_json::from_str(json) {
        Ok(read) => return exchange(&read, reporter),
        Err(error) => error,
    };
    if let Some(mended) = mend_surrogates(json) {
        return match serde_json::from_str(&mended) {
            Ok(read) => exchange(&read, reporter),
            Err(error) => Err(error.to_string()),
        };
    }
    // Only now, because following the path costs on every member.
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Err(match serde_path_to_error::deserialize::<_, read::Event<'_>>(&mut deserializer) {
        Err(at) => at.to_string(),
        Ok(_) => error.to_string(),
    })
}

fn exchange(read: &read::Event<'_>, reporter: &Reporter<'_>) -> Result<Exchange, String> {
    let asked = read.request.as_ref().ok_or("request is missing")?;
    let pads = reporter.user_agent.is_some_and(forgets_to_pad);
    let started_at = time("request.time", &asked.time, pads)?.ok_or("request.time is missing")?;
    let mut notes = Vec::new();
    let (request, server) = request(asked, &mut notes)?;
    let id = id(read, &request.headers, started_at, reporter);
    let mut exchange = Exchange::new(id, started_at, request);
    exchange.server = server;
    if let Some(answered) = &read.response {
        exchange.response = response(answered, &mut notes)?;
        exchange.server.address = parts::peer(&answered.ip_address.0).address;
        let ended_at = time("response.time", &answered.time, pads)?.filter(|_| exchange.response.is_some());
        exchange.timings.total = ended_at.filter(|end| *end >= started_at).map(|end| end.since(started_at));
    }
    exchange.origin = Origin {
        source: "moesif".into(),
        node: reporter
            .user_agent
            .filter(|agent| !agent.is_empty())
            .map(|agent| parts::shortened(agent, 200).into()),
        environment: None,
    };
    exchange.client = match asked.ip_address.non_empty().map(parts::peer) {
        Some(named) if named.address.is_some() => named,
        _ => Peer { port: None, ..reporter.peer },
    };
    exchange.identity = Identity {
        user: owned(&read.user_id),
        company: owned(&read.company_id),
        subscription: owned(&read.subscription_id),
        session: owned(&read.session_token),
    };
    exchange.weight = weight(read.weight);
    attributes(read, asked, &mut exchange);
    for note in notes {
        exchange.attributes.set(note, true);
    }
    metadata(read.metadata, &mut exchange);
    Ok(exchange)
}

fn owned(text: &Text<'_>) -> Option<CompactString> {
    text.non_empty().map(Into::into)
}

/// The Kong plugin writes 5 milliseconds as `.5` and 45 as `.45` (moesif-plugin, section 11).
fn forgets_to_pad(user_agent: &str) -> bool {
    user_agent.starts_with("kong-plugin-moesif/")
}

/// The same id whenever the event is sent again. weir's own events keep theirs.
fn id(
    read: &read::Event<'_>,
    headers: &Headers,
    started_at: Timestamp,
    reporter: &Reporter<'_>,
) -> ExchangeId {
    if let Some(transaction) = read.transaction_id.non_empty() {
        let own: Option<ExchangeId> = transaction.parse().ok();
        return match own.filter(|id| is_of(*id, started_at)) {
            Some(id) => id,
            None => stable_id(started_at, reporter, b"event", transaction.as_bytes()),
        };
    }
    // The Kong plugin repeats batches without ids, but each of its calls has one in this header.
    match headers.get(TRANSACTION_ID) {
        Some(transaction) => stable_id(started_at, reporter, b"header", transaction),
        None => ExchangeId::new(started_at),
    }
}

fn stable_id(started_at: Timestamp, reporter: &Reporter<'_>, kind: &[u8], transaction: &[u8]) -> ExchangeId {
    parts::stable_id(started_at, &[b"moesif", reporter.application_id.as_bytes(), kind, transaction])
}

/// Whether this is an id as weir makes them for this start.
fn is_of(id: ExchangeId, started_at: Timestamp) -> bool {
    let bytes = id.to_bytes();
    let millis = bytes.iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte));
    let (version, variant) = (bytes[6] >> 4, bytes[8] >> 6);
    (version, variant) == (7, 0b10) && millis == started_at.millis()
}

fn time(name: &str, text: &Text<'_>, forgets_to_pad: bool) -> Result<Option<Timestamp>, String> {
    let Some(text) = text.non_empty().map(str::trim) else { return Ok(None) };
    let text = if forgets_to_pad { padded(text) } else { Cow::Borrowed(text) };
    text.parse().map(Some).map_err(|error| format!("{name}: {error}"))
}

/// Reads a fraction of one to three digits as a count of milliseconds.
fn padded(text: &str) -> Cow<'_, str> {
    let Some((whole, fraction)) = text.trim_end_matches('Z').split_once('.') else {
        return Cow::Borrowed(text);
    };
    let is_count = (1..=3).contains(&fraction.len()) && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if is_count { Cow::Owned(format!("{whole}.{fraction:0>3}Z")) } else { Cow::Borrowed(text) }
}

/// Notes about an event, set as attributes.
type Notes = Vec<&'static str>;

fn request(asked: &read::Request<'_>, notes: &mut Notes) -> Result<(Request, Peer), String> {
    let uri = asked.uri.non_empty().ok_or("request.uri is missing")?;
    let verb = asked.verb.non_empty().ok_or("request.verb is missing")?;
    let headers = headers(&asked.headers);
    let body = body(asked.body, &asked.transfer_encoding, &headers, || {
        notes.push(attribute::REQUEST_BODY_NOT_BASE64);
    });
    let mut request = Request { method: verb.into(), headers, body, ..Request::default() };
    let mut server = Peer::default();
    match url::split(uri) {
        Some(parts) => {
            server.port = port_of(&parts.host);
            request.host = host(&request.headers, &parts).into();
            request.scheme = parts.scheme.into();
            request.path = parts.path.into();
            request.query = parts.query.map(Into::into);
        }
        // Some senders give the request target alone.
        None => {
            let (path, query) = url::split_target(uri);
            request.path = path.into();
            request.query = query.map(Into::into);
            request.host = named_host(&request.headers).unwrap_or_default().into();
            let scheme =
                request.headers.text(":scheme").or_else(|| request.headers.text("x-forwarded-proto"));
            request.scheme = match scheme.as_deref().map(str::trim) {
                Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https".into(),
                _ => "http".into(),
            };
        }
    }
    Ok((request, server))
}

fn port_of(host: &str) -> Option<u16> {
    host.strip_prefix(url::without_port(host))?.strip_prefix(':')?.parse().ok()
}

/// The host as the client named it: senders of absolute addresses add the port of the gateway.
fn host(headers: &Headers, parts: &url::UrlParts<'_>) -> String {
    let name = url::without_port(&parts.host);
    let named = named_host(headers).filter(|named| url::without_port(named) == name && !name.is_empty());
    named.unwrap_or_else(|| match (parts.scheme.as_str(), port_of(&parts.host)) {
        ("http", Some(80)) | ("https", Some(443)) => name.to_owned(),
        _ => parts.host.clone(),
    })
}

fn named_host(headers: &Headers) -> Option<String> {
    let named = headers.text("host").or_else(|| headers.text(":authority"))?;
    Some(named.trim().to_ascii_lowercase()).filter(|named| !named.is_empty())
}

fn headers(fields: &read::Fields<'_>) -> Headers {
    let field = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        (name.to_ascii_lowercase(), Bytes::copy_from_slice(value.as_bytes()))
    };
    fields.0.iter().map(field).collect()
}

fn response(answered: &read::Response<'_>, notes: &mut Notes) -> Result<Option<Response>, String> {
    let Some(status) = status(&answered.status, answered.time.non_empty().is_some())? else {
        return Ok(None);
    };
    let headers = headers(&answered.headers);
    let body = body(answered.body, &answered.transfer_encoding, &headers, || {
        notes.push(attribute::RESPONSE_BODY_NOT_BASE64);
    });
    Ok(Some(Response { status, headers, body, ..Response::default() }))
}

/// `None`: nobody answered, which senders write as 0, or as a response with nothing in it.
fn status(text: &Text<'_>, answered: bool) -> Result<Option<u16>, String> {
    let Some(text) = text.non_empty().map(str::trim) else {
        return if answered { Err("response.status is missing".to_owned()) } else { Ok(None) };
    };
    let bad = || format!("response.status {:?} is not a status", parts::shortened(text, 40));
    let status: f64 = text.parse().map_err(|_| bad())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    match status {
        0.0 => Ok(None),
        _ if (1.0..=f64::from(u16::MAX)).contains(&status) => Ok(Some(status as u16)),
        _ => Err(bad()),
    }
}

fn body(raw: Option<&RawValue>, encoding: &Text<'_>, headers: &Headers, not_base64: impl FnOnce()) -> Body {
    let length = parts::content_length(headers);
    let Some(raw) = raw else { return Body { size: length, ..Body::default() } };
    let bytes = if encoding.0.eq_ignore_ascii_case("base64") {
        of_base64(raw, not_base64)
    } else {
        of_value(raw, encoding.0.eq_ignore_ascii_case("json"), headers)
    };
    if bytes.is_empty() {
        // The Kong plugin writes an empty text for every body that it did not capture, too.
        return Body { size: length, ..Body::default() };
    }
    let kept = bytes.len() as u64;
    let captured = Captured::Whole(bytes);
    let coding = body::coding_of(headers, &captured);
    let was_packed = headers.get("content-encoding").is_some() && coding.name().is_empty();
    Body { size: length.or((!was_packed).then_some(kept)), captured, coding, media_type: None }
}

/// A body that is said to be Base64. One that is not is kept as it is.
fn of_base64(raw: &RawValue, not_base64: impl FnOnce()) -> Bytes {
    let Ok(text) = serde_json::from_str::<Cow<'_, str>>(raw.get()) else {
        not_base64();
        return Bytes::copy_from_slice(raw.get().as_bytes());
    };
    match decoded(&text) {
        Some(bytes) => bytes.into(),
        None => {
            not_base64();
            Bytes::copy_from_slice(text.as_bytes())
        }
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let broken_up = text.bytes().any(|byte| byte.is_ascii_whitespace());
    if broken_up {
        let joined: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        return BASE64.decode(joined).ok();
    }
    BASE64.decode(text).ok()
}

/// A body given as a value. Objects, arrays and other JSON are their own text. Text is the body itself, which some senders
/// write without saying how, unless it is Base64 of the JSON that the headers announce, or was said to be JSON.
fn of_value(raw: &RawValue, said_json: bool, headers: &Headers) -> Bytes {
    let literal = || Bytes::copy_from_slice(raw.get().as_bytes());
    if !raw.get().starts_with('"') {
        return literal();
    }
    let Ok(text) = serde_json::from_str::<Cow<'_, str>>(raw.get()) else { return literal() };
    if text.is_empty() {
        return Bytes::new();
    }
    let announced =
        headers.text("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("json"));
    if announced && let Some(bytes) = decoded(&text).filter(|bytes| is_document(bytes)) {
        return bytes.into();
    }
    if said_json && !is_document(text.as_bytes()) {
        return literal();
    }
    Bytes::copy_from_slice(text.as_bytes())
}

/// Whether this is a JSON object or array.
fn is_document(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
        && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
fn weight(number: Number) -> u32 {
    number.0.map_or(1, |weight| weight as u32).max(1)
}

/// What has no field of its own.
fn attributes(read: &read::Event<'_>, asked: &read::Request<'_>, exchange: &mut Exchange) {
    let direction =
        read.direction.non_empty().filter(|direction| !direction.eq_ignore_ascii_case("incoming"));
    for (name, text) in [
        (attribute::API_VERSION, asked.api_version.non_empty()),
        (attribute::DIRECTION, direction),
        (attribute::BLOCKED_BY, read.blocked_by.non_empty()),
        (attribute::ACTION_NAME, read.action_name.non_empty()),
        (attribute::TRACE_ID, read.trace_id.non_empty()),
        (attribute::TAGS, read.tags.non_empty()),
    ] {
        if let Some(text) = text {
            exchange.attributes.set(name, text);
        }
    }
    if let Some(transaction) =
        read.transaction_id.non_empty().filter(|text| **text != exchange.id.to_string())
    {
        exchange.attributes.set(attribute::TRANSACTION_ID, transaction);
    }
    if let Some(span) = read.span.filter(|span| span.get().starts_with('{')) {
        exchange.attributes.set(attribute::SPAN, Value::Json(span.get().into()));
    }
}

/// What the gateway knew, why bodies are missing, and the rest as it is.
fn metadata(raw: Option<&RawValue>, exchange: &mut Exchange) {
    let Some(raw) = raw else { return };
    let Ok(mut members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
        exchange.attributes.set(attribute::METADATA, Value::Json(raw.get().into()));
        return;
    };
    if let Ok(kong) = members.take::<read::Kong<'_>>("kong") {
        exchange.service = owned(&kong.service_name);
        if let Some(hosts) = kong.route_hosts.filter(|hosts| hosts.get().starts_with('[')) {
            exchange.attributes.set(attribute::ROUTE_HOSTS, Value::Json(hosts.get().into()));
        }
    }
    if let Ok(capture) = members.take::<read::Capture<'_>>("capture") {
        why_not(&capture.request_body.0, &mut exchange.request.body);
        if let Some(response) = &mut exchange.response {
            why_not(&capture.response_body.0, &mut response.body);
        }
    }
    if !members.0.is_empty() {
        let mut text = String::from("{");
        for (name, value) in &members.0 {
            let comma = if text.len() > 1 { "," } else { "" };
            let name = serde_json::Value::from(name.as_ref());
            text.push_str(&format!("{comma}{name}:{}", value.get()));
        }
        text.push('}');
        exchange.attributes.set(attribute::METADATA, Value::Json(text.into()));
    }
}

fn why_not(name: &str, body: &mut Body) {
    let reason = WhyNot::ALL.into_iter().find(|reason| reason.name() == name);
    if let (Some(reason), Captured::No(_)) = (reason, &body.captured) {
        body.captured = Captured::No(reason);
    }
}
