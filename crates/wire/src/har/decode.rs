//! From HAR entries to exchanges. Pure and total.
//!
//! What HAR repeats (`queryString`, `cookies`, `redirectURL`) is taken from where it comes from; what weir has no place for
//! is kept as attributes (`har.pageref`, `har._initiator`, `har.response.content.compression`), so that an export has it
//! again.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use weir_kit::Timestamp;
use weir_model::{
    Attributes, Body, Captured, CompactString, Exchange, Headers, Origin, Request, Response, Timings, Value,
};

use crate::parts::body::{self, Encoding};
use crate::parts::lenient::{Many, Members, Number, Pair, Text, mend_surrogates};
use crate::parts::{self, last, url};

/// Longest text of a member kept as an attribute, in bytes; longer ones are dropped and named in `har.dropped`.
pub const MAX_MEMBER_BYTES: usize = 64 * 1024;

/// Most members of an entry kept as attributes; further ones are dropped and named in `har.dropped`.
pub const MAX_MEMBERS: usize = 256;

/// Reads the text of one entry. `number` is its place in the file; the same text at the same place gives the same id.
pub fn entry(text: &[u8], number: u64, creator: Option<&str>) -> Result<Exchange, String> {
    let json = String::from_utf8_lossy(text);
    let mended = mend_surrogates(&json);
    let members: Members<'_> = serde_json::from_str(mended.as_deref().unwrap_or(&json))
        .map_err(|error| format!("not an entry: {error}"))?;
    let mut exchange =
        exchange(members, |started_at| parts::stable_id(started_at, &[b"har", text, &number.to_le_bytes()]))?;
    exchange.origin = Origin { source: "har".into(), node: creator.map(Into::into), environment: None };
    Ok(exchange)
}

fn exchange(
    mut entry: Members<'_>,
    id: impl FnOnce(Timestamp) -> weir_model::ExchangeId,
) -> Result<Exchange, String> {
    let started: Text<'_> = entry.take("startedDateTime")?;
    let started = started.non_empty().ok_or("startedDateTime is missing")?;
    let started_at: Timestamp =
        started.trim().parse().map_err(|error| format!("startedDateTime: {error}"))?;
    let asked = entry.take_raw("request").ok_or("request is missing")?;
    let mut extras = Attributes::default();
    let request = request(members("request", asked)?, &mut extras).map_err(|why| format!("request.{why}"))?;
    let mut exchange = Exchange::new(id(started_at), started_at, request);
    if let Some(answered) = entry.take_raw("response") {
        exchange.response =
            response(members("response", answered)?, &mut extras).map_err(|why| format!("response.{why}"))?;
    }
    if exchange.response.is_none() {
        exchange.error = extras.text("har.response._error").filter(|text| !text.is_empty()).map(Into::into);
    }
    let parts = entry.take("timings").map_err(|why| format!("timings: {why}"))?;
    exchange.timings = timings(parts, entry.take("time")?, &mut extras)?;
    let server: Text<'_> = entry.take("serverIPAddress")?;
    exchange.server = parts::peer(&server.0);
    if exchange.server.address.is_none() && server.non_empty().is_some() {
        extras.set("har.serverIPAddress", server.0.into_owned());
    }
    let client: Text<'_> = entry.take("_clientIPAddress")?;
    exchange.client = parts::peer(&client.0);
    if entry.0.iter().any(|(name, value)| name == "cache" && value.get() == "{}") {
        entry.take_raw("cache");
    }
    keep("har.", entry, &mut extras);
    exchange.attributes = extras;
    Ok(exchange)
}

fn members<'a>(name: &str, raw: &'a RawValue) -> Result<Members<'a>, String> {
    serde_json::from_str(raw.get()).map_err(|error| format!("{name}: {error}"))
}

/// Sets the members that are left as attributes.
fn keep(prefix: &str, rest: Members<'_>, extras: &mut Attributes) {
    for (name, raw) in rest.0 {
        let name = format!("{prefix}{name}");
        if raw.get().len() + name.len() > MAX_MEMBER_BYTES || extras.len() >= MAX_MEMBERS {
            let before = extras.text("har.dropped").map(|names| format!("{names} ")).unwrap_or_default();
            extras.set("har.dropped", parts::shortened(&(before + &name), 1_000));
        } else if let Some(value) = attribute(raw.get()) {
            extras.set(name, value);
        }
    }
}

fn attribute(json: &str) -> Option<Value> {
    match json.as_bytes().first()? {
        b'n' => None,
        b't' => Some(Value::Bool(true)),
        b'f' => Some(Value::Bool(false)),
        b'"' => serde_json::from_str(json).ok().map(Value::Text),
        b'{' | b'[' => Some(Value::Json(json.into())),
        _ => json.parse().map(Value::Integer).or_else(|_| json.parse().map(Value::Float)).ok(),
    }
}

fn request(mut asked: Members<'_>, extras: &mut Attributes) -> Result<Request, String> {
    let method: Text<'_> = asked.take("method")?;
    let address: Text<'_> = asked.take("url")?;
    let (address, fragment) = match address.0.split_once('#') {
        Some((address, fragment)) => (address, Some(fragment)),
        None => (address.0.as_ref(), None),
    };
    let parts = url::split(address)
        .ok_or_else(|| format!("url {:?} is not an absolute URL", parts::shortened(address, 100)))?;
    if let Some(fragment) = fragment {
        extras.set("url.fragment", fragment);
    }
    let mut headers = headers(asked.take("headers")?);
    let cookies: Many<Pair<'_>> = asked.take("cookies")?;
    if headers.get("cookie").is_none() && !cookies.0.is_empty() {
        let pairs: Vec<String> =
            cookies.0.iter().map(|cookie| format!("{}={}", cookie.name.0, cookie.value.0)).collect();
        headers.push("Cookie", pairs.join("; "));
    }
    let arguments: Many<Pair<'_>> = asked.take("queryString")?;
    let version: Text<'_> = asked.take("httpVersion")?;
    let headers_size: Number = asked.take("headersSize")?;
    let body_size: Number = asked.take("bodySize")?;
    let mut body = match asked.take_raw("postData").filter(|raw| raw.get() != "null") {
        Some(raw) => post_data(members("postData", raw)?, &headers, extras)?,
        None => Body::default(),
    };
    body.size = body_size.size();
    keep("har.request.", asked, extras);
    Ok(Request {
        method: method.0.into(),
        scheme: parts.scheme.into(),
        host: parts.host.into(),
        path: parts.path.into(),
        query: parts.query.map(Into::into).or_else(|| arguments.joined().map(Into::into)),
        version: parts::protocol_version(&version.0).into(),
        headers,
        headers_size: headers_size.size(),
        trailers: Headers::default(),
        body,
    })
}

fn headers(pairs: Many<Pair<'_>>) -> Headers {
    pairs
        .0
        .into_iter()
        .map(|pair| (pair.name.0.into_owned(), Bytes::from(pair.value.0.into_owned())))
        .collect()
}

fn post_data(mut data: Members<'_>, headers: &Headers, extras: &mut Attributes) -> Result<Body, String> {
    let text: Option<Text<'_>> = data.take("text")?;
    let params: Many<Pair<'_>> = data.take("params")?;
    let mime_type: Text<'_> = data.take("mimeType")?;
    let encoding: Text<'_> = data.take("encoding")?;
    let cut: Text<'_> = data.take("_captured")?;
    keep("har.request.postData.", data, extras);
    let form = params.joined().filter(|_| text.as_ref().is_none_or(|text| text.0.is_empty()));
    let mut body = Body { media_type: media_type(&mime_type, headers), ..Body::default() };
    if let Some(form) = form {
        // Only the fields were recorded, not the bytes; they are shown as the form that any reader understands.
        if mime_type.0 != FORM {
            extras.set("har.request.postData.mimeType", mime_type.0.into_owned());
        }
        body.media_type = Some(FORM.into());
        body.captured = Captured::Whole(form.into());
    } else if let Some(text) = text {
        body.captured = captured(&text.0, &encoding.0, &cut.0);
    }
    Ok(body)
}

/// The media type of forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

fn media_type(given: &Text<'_>, headers: &Headers) -> Option<CompactString> {
    let given = given.non_empty()?;
    (last(headers, "content-type") != Some(given.as_bytes())).then(|| given.into())
}

/// The bytes of a body, without content coding: HAR removes it.
fn captured(text: &str, encoding: &str, cut: &str) -> Captured {
    let bytes = body::read(text, Encoding::named(encoding), None).bytes;
    if cut == "cut" { Captured::Cut(bytes) } else { Captured::Whole(bytes) }
}

/// `None` when nobody answered: recorders write a status of 0 then.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn response(mut answered: Members<'_>, extras: &mut Attributes) -> Result<Option<Response>, String> {
    let status = answered.take::<Number>("status")?.0.unwrap_or(0.0);
    if !(0.0..=f64::from(u16::MAX)).contains(&status) && status != -1.0 {
        return Err(format!("status {status} is not a status"));
    }
    let reason: Text<'_> = answered.take("statusText")?;
    let version: Text<'_> = answered.take("httpVersion")?;
    let mut headers = headers(answered.take("headers")?);
    let cookies: Many<Pair<'_>> = answered.take("cookies")?;
    if headers.get("set-cookie").is_none() {
        for cookie in &cookies.0 {
            headers.push("Set-Cookie", format!("{}={}", cookie.name.0, cookie.value.0));
        }
    }
    let redirect: Text<'_> = answered.take("redirectURL")?;
    if redirect.non_empty().is_some() && headers.text("location").as_deref() != Some(redirect.0.as_ref()) {
        extras.set("har.response.redirectURL", redirect.0.into_owned());
    }
    let headers_size: Number = answered.take("headersSize")?;
    let body_size: Number = answered.take("bodySize")?;
    let mut body = match answered.take_raw("content").filter(|raw| raw.get() != "null") {
        Some(raw) => content(members("content", raw)?, &headers, body_size, extras)?,
        None => Body::default(),
    };
    body.size = body_size.size();
    keep("har.response.", answered, extras);
    if status <= 0.0 {
        return Ok(None);
    }
    Ok(Some(Response {
        status: status as u16,
        reason: reason.non_empty().map(Into::into),
        version: parts::protocol_version(&version.0).into(),
        headers,
        headers_size: headers_size.size(),
        trailers: Headers::default(),
        body,
    }))
}

fn content(
    mut content: Members<'_>,
    headers: &Headers,
    body_size: Number,
    extras: &mut Attributes,
) -> Result<Body, String> {
    let text: Option<Text<'_>> = content.take("text")?;
    let encoding: Text<'_> = content.take("encoding")?;
    let mime_type: Text<'_> = content.take("mimeType")?;
    let size: Number = content.take("size")?;
    let cut: Text<'_> = content.take("_captured")?;
    keep("har.response.content.", content, extras);
    let mut body = Body { media_type: media_type(&mime_type, headers), ..Body::default() };
    if let Some(text) = text {
        body.captured = captured(&text.0, &encoding.0, &cut.0);
    }
    let expected = body.bytes().map(|bytes| bytes.len() as u64).or(body_size.size()).unwrap_or(0);
    if let Some(size) = size.size().filter(|size| *size != expected) {
        extras.set("har.response.content.size", i64::try_from(size).unwrap_or(i64::MAX));
    }
    Ok(body)
}

fn timings(mut read: Members<'_>, time: Number, extras: &mut Attributes) -> Result<Timings, String> {
    let mut part = |name: &str| -> Result<Option<Duration>, String> {
        let millis: Number = read.take(name).map_err(|why| format!("timings.{why}"))?;
        Ok(millis.0.and_then(parts::from_millis).map(to_micros))
    };
    let mut timings = Timings {
        blocked: part("blocked")?,
        dns: part("dns")?,
        connect: part("connect")?,
        tls: part("ssl")?,
        send: part("send")?,
        wait: part("wait")?,
        receive: part("receive")?,
        total: None,
    };
    keep("har.timings.", read, extras);
    let total = time.0.and_then(parts::from_millis).map(to_micros);
    timings.total = total.filter(|total| Some(*total) != timings.duration());
    Ok(timings)
}

fn to_micros(duration: Duration) -> Duration {
    Duration::from_micros(u64::try_from((duration.as_nanos() + 500) / 1_000).unwrap_or(u64::MAX))
}
