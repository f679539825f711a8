//! From messages to exchanges. Pure and total.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use weir_kit::Timestamp;
use weir_model::{Body, Captured, Exchange, Headers, Origin, Request, Response, Timings};
use weir_pipeline::{Credential, Decoded, Malformed, Rejected};

use super::read;
use crate::parts::body::{self, Encoding};
use crate::parts::lenient::{Number, Text, mend_surrogates};
use crate::parts::{self, content_length, url};

/// Most messages in one call.
pub const MAX_MESSAGES: usize = 10_000;

/// Longest reason for a rejected message, in characters; it may quote the message.
const MAX_REASON: usize = 300;

/// The attribute that names the bucket of a message.
pub const BUCKET_KEY: &str = "runscope.bucket_key";
/// The attribute that holds what the reporter called the message.
pub const UNIQUE_IDENTIFIER: &str = "runscope.unique_identifier";

/// What went wrong when the reporter knows of an answer that there was none.
pub const NO_RESPONSE: &str = "upstream.no_response";

/// Times from here on are later than the year 9999.
const MAX_SECONDS: f64 = 253_402_300_800.0;

/// What a call says about its messages.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The bucket in the path.
    pub bucket: &'a str,
    /// The access token; empty when none was shown.
    pub token: &'a str,
    /// When the call arrived: the start of a message without times.
    pub received_at: Timestamp,
    /// What no other call has, to tell messages without identifier apart.
    pub seed: &'a [u8],
}

/// Reads the body of a call: one message, or a list of them.
pub fn call(body: &[u8], context: &Context<'_>) -> Result<Decoded, Malformed> {
    let text = String::from_utf8_lossy(body);
    let messages = messages(&text)?;
    let mut decoded = Decoded { offered: messages.len(), ..Decoded::default() };
    let credential =
        Credential { token: context.token.to_owned(), environment: Some(context.bucket.to_owned()) };
    for (index, raw) in messages.into_iter().enumerate() {
        match message_text(raw.get(), context, index) {
            Ok(exchange) => decoded.accepted.push((credential.clone(), exchange)),
            Err(reason) => {
                let reason = parts::shortened(&reason, MAX_REASON);
                decoded.rejected.push(Rejected { index, reason });
            }
        }
    }
    Ok(decoded)
}

/// The messages of a call, unread.
pub(super) fn messages(text: &str) -> Result<Vec<&RawValue>, Malformed> {
    let bad = |reason| Malformed { status: StatusCode::BAD_REQUEST, reason };
    let not_json = |error| bad(format!("not JSON: {error}"));
    let text = text.trim_start_matches('\u{FEFF}').trim();
    match text.chars().next() {
        Some('[') => {
            let messages: read::Messages<'_> = serde_json::from_str(text).map_err(not_json)?;
            if messages.count > MAX_MESSAGES {
                let reason = format!("more than {MAX_MESSAGES} messages in one call");
                return Err(Malformed { status: StatusCode::PAYLOAD_TOO_LARGE, reason });
            }
            Ok(messages.items)
        }
        Some('{') => Ok(vec![serde_json::from_str(text).map_err(not_json)?]),
        _ => Err(bad(format!("not a message: {:?}", parts::shortened(text, 40)))),
    }
}

fn message_text(raw: &str, context: &Context<'_>, index: usize) -> Result<Exchange, String> {
    let error = match serde_json::from_str(raw) {
        Ok(read) => return message(&read, context, index),
        Err(error) => error,
    };
    if let Some(mended) = mend_surrogates(raw) {
        return match serde_json::from_str(&mended) {
            Ok(read) => message(&read, context, index),
            Err(error) => Err(error.to_string()),
        };
    }
    // Only now, because following the path costs on every member.
    let mut deserializer = serde_json::Deserializer::from_str(raw);
    Err(match serde_path_to_error::deserialize::<_, read::Message<'_>>(&mut deserializer) {
        Err(at) => at.to_string(),
        Ok(_) => error.to_string(),
    })
}

fn message(read: &read::Message<'_>, context: &Context<'_>, index: usize) -> Result<Exchange, String> {
    if read.request.is_none() && read.response.is_none() {
        return Err("neither request nor response".to_owned());
    }
    let mut notes = Vec::new();
    let times = times(read)?;
    let started_at = times.started_at.unwrap_or(context.received_at);
    let request = read.request.as_ref().map(|asked| request(asked, &mut notes)).transpose()?;
    let identifier = read.unique_identifier.non_empty();
    let id = match identifier {
        Some(name) => parts::stable_id(
            started_at,
            &[context.token.as_bytes(), context.bucket.as_bytes(), name.as_bytes()],
        ),
        None => {
            parts::stable_id(started_at, &[context.bucket.as_bytes(), context.seed, &index.to_le_bytes()])
        }
    };
    let mut exchange = Exchange::new(id, started_at, request.unwrap_or_default());
    if let Some(answered) = &read.response {
        exchange.response = response(answered, &mut notes)?;
        if exchange.response.is_none() {
            exchange.error = Some(NO_RESPONSE.into());
        }
    }
    exchange.origin = Origin { source: "runscope".into(), ..Origin::default() };
    exchange.timings = Timings { total: times.total, ..Timings::default() };
    exchange.attributes.set(BUCKET_KEY, context.bucket);
    if let Some(name) = identifier {
        exchange.attributes.set(UNIQUE_IDENTIFIER, name);
    }
    for note in notes {
        exchange.attributes.set(note, true);
    }
    Ok(exchange)
}

/// When a message began and how long it took, as far as it says.
struct Times {
    started_at: Option<Timestamp>,
    total: Option<Duration>,
}

/// The start is that of the request, else the end less the response time.
fn times(read: &read::Message<'_>) -> Result<Times, String> {
    let asked = read.request.as_ref();
    let began = instant("request.timestamp", asked.map_or(Number::default(), |asked| asked.timestamp))?;
    let Some(answered) = &read.response else { return Ok(Times { started_at: began, total: None }) };
    let ended = instant("response.timestamp", answered.timestamp)?;
    let given = answered.response_time.0.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let given = given.map(whole_micros);
    let between = || Some(ended?.since(began?)).filter(|_| ended > began);
    let started_at = began.or_else(|| Some(ended? - given.unwrap_or_default()));
    Ok(Times { started_at, total: given.or_else(between) })
}

fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from((time.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn instant(name: &str, number: Number) -> Result<Option<Timestamp>, String> {
    match number.0 {
        None => Ok(None),
        Some(seconds) if (0.0..MAX_SECONDS).contains(&seconds) => {
            Ok(Some(Timestamp::from_micros((seconds * 1e6).round() as i64)))
        }
        Some(seconds) => Err(format!("{name} {seconds} is not a time in Unix seconds")),
    }
}

/// Notes about a message, set as attributes.
type Notes = Vec<&'static str>;

fn request(asked: &read::Request<'_>, notes: &mut Notes) -> Result<Request, String> {
    let method = asked.method.non_empty().ok_or("request.method is missing")?;
    let address = asked.url.non_empty().ok_or("request.url is missing")?;
    let parts = url::split(address)
        .ok_or_else(|| format!("request.url {:?} is not an absolute URL", parts::shortened(address, 100)))?;
    let headers = headers(&asked.headers);
    let length = content_length(&headers);
    let read = text_of(asked.body.as_ref()).map(|text| (text, Encoding::named(&asked.body_encoding.0)));
    let read = match read {
        Some((text, encoding)) => Some(body::read(text, encoding, None)),
        None => form(&asked.form).map(|form| body::read(&form, Encoding::Plain, None)),
    };
    if read.as_ref().is_some_and(|read| read.not_base64) {
        notes.push("runscope.request_body_not_base64");
    }
    let body = content(read.map(|read| read.bytes), None, length, &headers);
    Ok(Request {
        method: method.into(),
        host: without_usual_port(&parts.scheme, parts.host).into(),
        scheme: parts.scheme.into(),
        path: parts.path.into(),
        query: parts.query.map(Into::into),
        headers,
        body,
        ..Request::default()
    })
}

/// The plugin always writes a port.
fn without_usual_port(scheme: &str, host: String) -> String {
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return host,
    };
    host.strip_suffix(usual).map(ToOwned::to_owned).unwrap_or(host)
}

fn headers(fields: &read::Fields<'_>) -> Headers {
    let mut headers = Headers::default();
    for (name, raw) in &fields.0 {
        for value in read::values(raw) {
            headers.push(name.as_ref(), Bytes::copy_from_slice(value.0.as_bytes()));
        }
    }
    headers
}

/// A form as its text, for senders that give nothing but its fields. `true` is a name without value.
fn form(fields: &read::Fields<'_>) -> Option<String> {
    let mut form = String::new();
    for (name, raw) in &fields.0 {
        for value in read::values(raw) {
            let pair = url::join([(name.as_ref(), value.0.as_ref())]);
            let bare = raw.get() == "true";
            if !form.is_empty() {
                form.push('&');
            }
            form.push_str(if bare { pair.strip_suffix("=true").unwrap_or(&pair) } else { &pair });
        }
    }
    (!form.is_empty()).then_some(form)
}

/// The text of a body; senders that do not report bodies write an empty one.
fn text_of<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
    text.and_then(Text::non_empty)
}

/// A body from what was sent of it: its bytes, its size where that is told, and its announced length. Nothing sent of
/// nothing is all there is.
fn content(bytes: Option<Bytes>, size: Option<u64>, length: Option<u64>, headers: &Headers) -> Body {
    let kept = bytes.as_ref().map(|bytes| bytes.len() as u64);
    let size = size.or(kept).or(length);
    let captured = match bytes {
        Some(bytes) => Captured::Whole(bytes),
        None if size == Some(0) => Captured::Whole(Bytes::new()),
        None => Captured::default(),
    };
    let coding = body::coding_of(headers, &captured);
    Body { size, captured, coding, media_type: None }
}

fn response(answered: &read::Response<'_>, notes: &mut Notes) -> Result<Option<Response>, String> {
    let Some(status) = status(answered.status)? else { return Ok(None) };
    let headers = headers(&answered.headers);
    let size = answered.size_bytes.size();
    let encoding = Encoding::named(&answered.body_encoding.0);
    let read = text_of(answered.body.as_ref()).map(|text| body::read(text, encoding, None));
    if read.as_ref().is_some_and(|read| read.not_base64) {
        notes.push("runscope.response_body_not_base64");
    }
    let body = content(read.map(|read| read.bytes), size, content_length(&headers), &headers);
    Ok(Some(Response {
        status,
        reason: answered.reason.non_empty().map(Into::into),
        headers,
        body,
        ..Response::default()
    }))
}

/// `None`: nobody answered, which is written as 0 or left out.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn status(number: Number) -> Result<Option<u16>, String> {
    match number.0 {
        None | Some(0.0) => Ok(None),
        Some(status) if (1.0..=f64::from(u16::MAX)).contains(&status) => Ok(Some(status as u16)),
        Some(status) => Err(format!("response.status {status} is not a status")),
    }
}
