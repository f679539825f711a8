//! From ALF of any version to exchanges. Pure and total.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use weir_kit::Timestamp;
use weir_model::{
    Body, Captured, CompactString, Exchange, ExchangeId, Headers, Origin, Peer, Request, Response, Timings,
};
use weir_pipeline::{Credential, Decoded, Malformed, Rejected};

use super::encode::{DEFAULT_MIME_TYPE, KeyParts};
use super::read;
use crate::parts::body::{self, Encoding};
use crate::parts::lenient::{Many, Number, Pair, Text, mend_surrogates};
use crate::parts::{self, last, url};

/// Most entries in one call; original senders stay at a thousand.
pub const MAX_ENTRIES: usize = 50_000;

/// Longest reason for a rejected entry, in characters; it may quote the entry.
const MAX_REASON: usize = 300;

/// Reads the body of a call: one ALF, or an array of them, whichever it is. `key` is what the sender repeats when it
/// repeats the call.
pub fn call(body: &[u8], key: Option<&str>) -> Result<Decoded, Malformed> {
    let text = String::from_utf8_lossy(body);
    let alfs = alfs(&text)?;
    let mut decoded = Decoded::default();
    for (position, raw) in alfs.iter().enumerate() {
        let at = decoded.offered;
        match serde_json::from_str::<read::Envelope<'_>>(raw.get()) {
            Ok(envelope) => alf(envelope, position, key, &mut decoded)?,
            Err(error) => {
                decoded.offered += 1;
                let error = parts::shortened(&error.to_string(), MAX_REASON);
                let reason = format!("ALF[{position}] is not an ALF: {error}");
                decoded.rejected.push(Rejected { index: at, reason });
            }
        }
        if decoded.offered > MAX_ENTRIES {
            return Err(too_many());
        }
    }
    Ok(decoded)
}

/// The ALFs of a call, unread.
fn alfs(text: &str) -> Result<Vec<&RawValue>, Malformed> {
    let not_json =
        |error| Malformed { status: StatusCode::BAD_REQUEST, reason: format!("not JSON: {error}") };
    let text = text.trim_start_matches('\u{FEFF}');
    match text.trim_start().chars().next() {
        Some('[') => {
            let alfs: read::Entries<'_> = serde_json::from_str(text).map_err(not_json)?;
            if alfs.count > MAX_ENTRIES { Err(too_many()) } else { Ok(alfs.items) }
        }
        Some('{') => Ok(vec![serde_json::from_str(text).map_err(not_json)?]),
        _ => {
            let reason = format!("not an ALF: {:?}", parts::shortened(text, 40));
            Err(Malformed { status: StatusCode::BAD_REQUEST, reason })
        }
    }
}

fn too_many() -> Malformed {
    let reason = format!("more than {MAX_ENTRIES} entries in one call");
    Malformed { status: StatusCode::PAYLOAD_TOO_LARGE, reason }
}

/// To which ALF each entry of a call belongs, for errors that are known only after decoding: the number of entries of
/// each ALF, in order.
pub fn entries_per_alf(body: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(body);
    let count = |raw: &RawValue| match serde_json::from_str::<read::Envelope<'_>>(raw.get()) {
        Ok(envelope) => entries_of(&envelope).map_or(0, |entries| entries.count),
        Err(_) => 1,
    };
    alfs(&text).map(|alfs| alfs.into_iter().map(count).collect()).unwrap_or_default()
}

fn entries_of<'e, 'a>(envelope: &'e read::Envelope<'a>) -> Option<&'e read::Entries<'a>> {
    let log = envelope.har.as_ref().and_then(|har| har.log.as_ref());
    log.and_then(|log| log.entries.as_ref()).or(envelope.entries.as_ref())
}

/// What the members around an entry say about it.
struct Context<'a> {
    origin: Origin,
    client: Peer,
    /// Bodies without `encoding` are Base64.
    base64_unsaid: bool,
    /// What a repeated call repeats.
    key: Option<KeyParts<'a>>,
    token: &'a str,
}

fn alf(
    envelope: read::Envelope<'_>,
    position: usize,
    key: Option<&str>,
    decoded: &mut Decoded,
) -> Result<(), Malformed> {
    let service = envelope.service.as_ref();
    let token = envelope.service_token.non_empty().or(service.and_then(|service| service.token.non_empty()));
    let environment =
        envelope.environment.non_empty().or(service.and_then(|service| service.environment.non_empty()));
    let credential = Credential {
        token: token.unwrap_or_default().to_owned(),
        environment: environment.map(ToOwned::to_owned),
    };
    let context = Context {
        origin: Origin {
            source: "galileo".into(),
            node: creator(&envelope)
                .map(|creator| format!("{} {}", creator.name.0, creator.version.0).into()),
            environment: credential.environment.as_deref().map(Into::into),
        },
        client: parts::peer(&envelope.client_ip_address.0),
        base64_unsaid: base64_unsaid(&envelope),
        key: key.map(KeyParts::of),
        token: &credential.token,
    };
    let Some(entries) = entries_of(&envelope) else { return Ok(()) };
    if decoded.offered + entries.count > MAX_ENTRIES {
        return Err(too_many());
    }
    for (number, raw) in entries.items.iter().enumerate() {
        let index = decoded.offered;
        decoded.offered += 1;
        match entry_text(raw.get(), &context, index) {
            Ok(exchange) => decoded.accepted.push((credential.clone(), exchange)),
            Err(reason) => {
                let reason = parts::shortened(&reason, MAX_REASON);
                let reason = format!("ALF[{position}] entries[{number}]: {reason}");
                decoded.rejected.push(Rejected { index, reason });
            }
        }
    }
    Ok(())
}

fn creator<'e, 'a>(envelope: &'e read::Envelope<'a>) -> Option<&'e read::Creator<'a>> {
    let log = envelope.har.as_ref().and_then(|har| har.log.as_ref());
    log.and_then(|log| log.creator.as_ref()).or(envelope.creator.as_ref())
}

/// One sender of 1.0.0 sends Base64 without saying so; its name tells (kong-analytics, section 3).
fn base64_unsaid(envelope: &read::Envelope<'_>) -> bool {
    let old = matches!(envelope.version.0.as_ref(), "" | "0.0.1" | "1.0.0");
    old && creator(envelope).is_some_and(|creator| creator.name.0 == "galileo-agent-kong")
}

fn entry_text(raw: &str, context: &Context<'_>, index: usize) -> Result<Exchange, String> {
    let error = match serde_json::from_str(raw) {
        Ok(read) => return entry(read, context, index),
        Err(error) => error,
    };
    if let Some(mended) = mend_surrogates(raw) {
        return match serde_json::from_str(&mended) {
            Ok(read) => entry(read, context, index),
            Err(error) => Err(error.to_string()),
        };
    }
    // Only now, because following the path costs on every member.
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    Err(match serde_path_to_error::deserialize::<_, read::Entry<'_>>(&mut deserializer) {
        Err(at) => at.to_string(),
        Ok(_) => error.to_string(),
    })
}

fn entry(read: read::Entry<'_>, context: &Context<'_>, index: usize) -> Result<Exchange, String> {
    let started_at = started_at(read.started_date_time.as_ref())?;
    let asked = read.request.ok_or("request is missing")?;
    let (request, mut notes) = request(&asked, context)?;
    let id = match context.key {
        Some(key) => {
            let number = key.before.saturating_add(index).to_le_bytes();
            parts::stable_id(started_at, &[context.token.as_bytes(), key.whole.as_bytes(), &number])
        }
        None => ExchangeId::new(started_at),
    };
    let mut exchange = Exchange::new(id, started_at, request);
    if let Some(answered) = &read.response {
        exchange.response = response(answered, context, &mut notes)?;
    }
    exchange.origin = context.origin.clone();
    exchange.client = match read.client_ip_address.non_empty() {
        Some(address) => parts::peer(address),
        None => context.client,
    };
    exchange.server = parts::peer(&read.server_ip_address.0);
    exchange.timings = timings(read.timings.as_ref(), read.time);
    for note in notes {
        exchange.attributes.set(note, true);
    }
    Ok(exchange)
}

fn started_at(text: Option<&Text<'_>>) -> Result<Timestamp, String> {
    let text = text.ok_or("startedDateTime is missing")?;
    text.0.trim().parse().map_err(|error| format!("startedDateTime: {error}"))
}

/// Notes about an entry, set as attributes.
type Notes = Vec<&'static str>;

fn request(asked: &read::Request<'_>, context: &Context<'_>) -> Result<(Request, Notes), String> {
    let method = asked.method.as_ref().ok_or("request.method is missing")?;
    let address = &asked.url.as_ref().ok_or("request.url is missing")?.0;
    let parts = url::split(address)
        .ok_or_else(|| format!("request.url {:?} is not an absolute URL", parts::shortened(address, 100)))?;
    let headers = headers(&asked.headers);
    let content = asked.post_data.as_ref().or(asked.content.as_ref());
    let mut notes = Notes::new();
    let body = body(content, &headers, asked.body_size, asked.body_captured, context, || {
        notes.push("galileo.request_body_not_base64");
    });
    Ok((
        Request {
            method: method.0.clone().into(),
            scheme: parts.scheme.into(),
            host: host_with_port(&headers, parts.host).into(),
            path: parts.path.into(),
            // Some senders of 1.0.0 give the URL without its query.
            query: parts.query.map(Into::into).or_else(|| asked.query_string.joined().map(Into::into)),
            version: parts::protocol_version(&asked.http_version.0).into(),
            headers_size: asked.headers_size.size().filter(|size| *size > 0),
            headers,
            trailers: Headers::default(),
            body,
        },
        notes,
    ))
}

/// ALF leaves the port out of the URL; the `Host` header still has it.
fn host_with_port(headers: &Headers, host: String) -> String {
    let named = headers.text("host").map(|named| named.trim().to_ascii_lowercase());
    named.filter(|named| url::without_port(named) == host && !host.is_empty()).unwrap_or(host)
}

/// Names in lower case, with underscores back to dashes: some senders pass on the names of their runtime.
fn headers(pairs: &Many<Pair<'_>>) -> Headers {
    pairs.0.iter().map(|pair| (header_name(&pair.name.0), value_bytes(&pair.value.0))).collect()
}

fn header_name(name: &str) -> String {
    let shouted =
        name.bytes().any(|byte| byte == b'_') && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if shouted { name.replace('_', "-").to_ascii_lowercase() } else { name.to_ascii_lowercase() }
}

fn value_bytes(value: &str) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

fn body(
    content: Option<&read::Content<'_>>,
    headers: &Headers,
    size: Number,
    announced: Option<bool>,
    context: &Context<'_>,
    not_base64: impl FnOnce(),
) -> Body {
    let size = size.size().or_else(|| content.and_then(|content| content.size.size()));
    let mut body = Body { size, ..Body::default() };
    if let Some(content) = content {
        body.media_type = media_type(content, headers);
        if let Some(read) = content_bytes(content, size, context) {
            if read.not_base64 {
                not_base64();
            }
            body.captured = Captured::Whole(read.bytes);
        }
    }
    body.coding = body::coding_of(headers, &body.captured);
    let kept = body.bytes().map(|bytes| bytes.len() as u64);
    // Senders that do not know write 0, too; it is believed when nothing speaks against it.
    let zero_is_doubtful = kept.map_or(announced != Some(false), |kept| kept > 0);
    if body.size == Some(0) && zero_is_doubtful {
        body.size = kept.filter(|kept| *kept > 0);
    }
    body
}

fn media_type(content: &read::Content<'_>, headers: &Headers) -> Option<CompactString> {
    let given = content.mime_type.non_empty()?;
    let known = last(headers, "content-type").unwrap_or(DEFAULT_MIME_TYPE.as_bytes());
    (given.as_bytes() != known).then(|| given.into())
}

/// The body's bytes; `None` when it was not sent. Senders of 1.0.0 write an empty text for that.
fn content_bytes(
    content: &read::Content<'_>,
    size: Option<u64>,
    context: &Context<'_>,
) -> Option<body::ReadBody> {
    let encoding = match &content.encoding {
        Some(name) => Encoding::named(&name.0),
        None if context.base64_unsaid => Encoding::Base64,
        None => Encoding::Plain,
    };
    let said = content.encoding.is_some();
    match &content.text {
        Some(text) if said || text.non_empty().is_some() => Some(body::read(&text.0, encoding, size)),
        _ => {
            let pairs = content.params.0.iter().map(|pair| (pair.name.0.as_ref(), pair.value.0.as_ref()));
            let form = url::join(pairs);
            (!form.is_empty()).then(|| body::read(&form, Encoding::Plain, None))
        }
    }
}

fn response(
    answered: &read::Response<'_>,
    context: &Context<'_>,
    notes: &mut Notes,
) -> Result<Option<Response>, String> {
    let Some(status) = status(answered.status)? else { return Ok(None) };
    let headers = headers(&answered.headers);
    let content = answered.content.as_ref();
    let body = body(content, &headers, answered.body_size, answered.body_captured, context, || {
        notes.push("galileo.response_body_not_base64");
    });
    Ok(Some(Response {
        status,
        reason: answered.status_text.non_empty().map(Into::into),
        version: parts::protocol_version(&answered.http_version.0).into(),
        headers_size: answered.headers_size.size().filter(|size| *size > 0),
        headers,
        trailers: Headers::default(),
        body,
    }))
}

/// `None`: nobody answered, which senders write as 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn status(number: Number) -> Result<Option<u16>, String> {
    match number.0 {
        None | Some(0.0) => Ok(None),
        Some(status) if (1.0..=f64::from(u16::MAX)).contains(&status) => Ok(Some(status as u16)),
        Some(status) => Err(format!("response.status {status} is not a status")),
    }
}

/// The parts, and the whole where it says something else than their sum.
fn timings(read: Option<&read::Timings>, time: Number) -> Timings {
    let part = |number: Number| number.0.and_then(parts::from_millis).map(round_to_micros);
    let mut timings = read.map_or_else(Timings::default, |read| Timings {
        blocked: part(read.blocked),
        dns: part(read.dns),
        connect: part(read.connect),
        tls: part(read.ssl),
        send: part(read.send),
        wait: part(read.wait),
        receive: part(read.receive),
        total: None,
    });
    timings.total = part(time).filter(|total| Some(*total) != timings.duration());
    timings
}

fn round_to_micros(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from((duration.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX))
}

/// Reads one entry as it stands in an ALF of version 1.1.0 without anything around it; for tests and benchmarks.
pub fn entry_of_json(raw: &str) -> Result<Exchange, String> {
    let context = Context {
        origin: Origin { source: "galileo".into(), ..Origin::default() },
        client: Peer::default(),
        base64_unsaid: false,
        key: None,
        token: "",
    };
    entry_text(raw, &context, 0)
}
