//! From exchanges to HAR entries. Pure.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use weir_model::{Attributes, Body, Exchange, Headers, Request, Response, Timings, Value};

use super::decode::FORM;
use super::format::{self, Cookie, Extras, Pair};
use crate::parts::{last, url};

/// Most bytes of a body after its content coding was removed; a larger one is written as it crossed the wire.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// One exchange as a HAR 1.2 entry.
pub fn entry(exchange: &Exchange) -> format::Entry<'_> {
    let attributes = &exchange.attributes;
    format::Entry {
        started_date_time: exchange.started_at.to_string(),
        time: exchange.duration().map_or(0.0, millis),
        request: request(&exchange.request, attributes),
        response: match &exchange.response {
            Some(answer) => response(answer, attributes),
            None => unanswered(attributes),
        },
        cache: Extras::new(),
        timings: timings(&exchange.timings, attributes),
        server_ip_address: exchange.server.address,
        client_ip_address: exchange.client.address,
        extras: extras(attributes, "har.", &["serverIPAddress"]),
    }
}

fn millis(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years of microseconds")]
    let micros = duration.as_micros() as f64;
    micros / 1_000.0
}

/// What an entry came with at the place that `prefix` names: members defined by others (`_…`), and those of HAR that weir
/// has no use for. `own` are written only when weir has none of its own.
fn extras(attributes: &Attributes, prefix: &str, own: &[&str]) -> Extras {
    const FOREIGN: [&str; 8] =
        ["cache", "pageref", "connection", "comment", "compression", "params", "fileName", "contentType"];
    let name = |name: &str| {
        let rest = name.strip_prefix(prefix)?;
        let ours = rest == "_clientIPAddress" || rest == "_captured";
        let wanted = rest.starts_with('_') || FOREIGN.contains(&rest) || own.contains(&rest);
        (wanted && !ours && (rest.starts_with('_') || !rest.contains('.'))).then(|| rest.to_owned())
    };
    attributes.iter().filter_map(|(known, value)| Some((name(known)?, json(value)))).collect()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str())),
    }
}

fn request<'a>(request: &'a Request, attributes: &Attributes) -> format::Request<'a> {
    let fragment = attributes.text("url.fragment").map(|fragment| format!("#{fragment}")).unwrap_or_default();
    let scheme = if request.scheme.is_empty() { "http" } else { &request.scheme };
    let slash = if request.path.is_empty() || request.path.starts_with('/') { "" } else { "/" };
    format::Request {
        method: &request.method,
        url: format!("{scheme}://{}{slash}{}{fragment}", request.host, request.target()),
        http_version: http_version(&request.version),
        cookies: request.headers.all("cookie").flat_map(request_cookies).collect(),
        headers: pairs(&request.headers),
        query_string: query_string(request.query.as_deref().unwrap_or_default()),
        post_data: post_data(request, attributes),
        headers_size: size(request.headers_size),
        body_size: size(request.body.size),
        extras: extras(attributes, "har.request.", &[]),
    }
}

fn http_version(version: &str) -> String {
    match version {
        "" => String::new(),
        "2" | "3" => format!("HTTP/{version}.0"),
        known => format!("HTTP/{known}"),
    }
}

fn size(bytes: Option<u64>) -> i64 {
    bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1)
}

fn pairs(headers: &Headers) -> Vec<Pair<'_>> {
    headers
        .iter()
        .map(|(name, value)| Pair { name: name.into(), value: String::from_utf8_lossy(value) })
        .collect()
}

fn query_string(query: &str) -> Vec<Pair<'_>> {
    url::arguments(query).map(|(name, value)| Pair { name, value: value.unwrap_or_default() }).collect()
}

fn request_cookies(header: &Bytes) -> Vec<Cookie> {
    let text = String::from_utf8_lossy(header);
    text.split(';').filter_map(|cookie| named_cookie(cookie.trim())).collect()
}

fn named_cookie(text: &str) -> Option<Cookie> {
    let (name, value) = text.split_once('=')?;
    Some(Cookie { name: name.to_owned(), value: value.to_owned(), ..Cookie::default() })
}

fn response_cookie(header: &Bytes) -> Option<Cookie> {
    let text = String::from_utf8_lossy(header);
    let mut pieces = text.split(';').map(str::trim);
    let mut cookie = named_cookie(pieces.next()?)?;
    for piece in pieces {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        match name.to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value.to_owned()),
            "domain" => cookie.domain = Some(value.to_owned()),
            "expires" => cookie.expires = Some(value.to_owned()),
            "httponly" => cookie.http_only = true,
            "secure" => cookie.secure = true,
            _ => {}
        }
    }
    Some(cookie)
}

/// The text of a body, and `base64` when it is not UTF-8.
fn text_of(body: &Body) -> Option<(Cow<'_, str>, Option<&'static str>, usize)> {
    let bytes = body.decoded(MAX_BODY_BYTES).or_else(|| body.bytes().cloned())?;
    let length = bytes.len();
    let (text, encoding) = match String::from_utf8(bytes.into()) {
        Ok(text) => (text, None),
        Err(error) => (STANDARD.encode(error.as_bytes()), Some("base64")),
    };
    Some((Cow::Owned(text), encoding, length))
}

fn mime_type<'a>(headers: &'a Headers, body: &'a Body) -> Cow<'a, str> {
    match (&body.media_type, last(headers, "content-type")) {
        (Some(given), _) => Cow::Borrowed(given),
        (None, Some(header)) => String::from_utf8_lossy(header),
        (None, None) => Cow::Borrowed(""),
    }
}

fn post_data<'a>(request: &'a Request, attributes: &Attributes) -> Option<format::PostData<'a>> {
    let (text, encoding, _) = text_of(&request.body)?;
    let recorded = attributes.text("har.request.postData.mimeType").map(|given| Cow::Owned(given.to_owned()));
    let mime_type = mime_type(&request.headers, &request.body);
    let is_form = encoding.is_none() && mime_type.starts_with(FORM);
    let owned = |(name, value): url::Argument<'_>| Pair {
        name: Cow::Owned(name.into_owned()),
        value: Cow::Owned(value.unwrap_or_default().into_owned()),
    };
    Some(format::PostData {
        params: if is_form { url::arguments(&text).map(owned).collect() } else { Vec::new() },
        mime_type: recorded.unwrap_or(mime_type),
        text,
        encoding,
        captured: request.body.is_cut().then_some("cut"),
        extras: extras(attributes, "har.request.postData.", &[]),
    })
}

fn response<'a>(response: &'a Response, attributes: &'a Attributes) -> format::Response<'a> {
    let location = response.headers.text("location");
    let recorded = attributes.text("har.response.redirectURL").map(Cow::Borrowed);
    format::Response {
        status: response.status,
        status_text: response.reason.as_deref().unwrap_or_default(),
        http_version: http_version(&response.version),
        cookies: response.headers.all("set-cookie").filter_map(response_cookie).collect(),
        headers: pairs(&response.headers),
        content: content(response, attributes),
        redirect_url: recorded.or(location).unwrap_or_default(),
        headers_size: size(response.headers_size),
        body_size: size(response.body.size),
        extras: extras(attributes, "har.response.", &[]),
    }
}

fn content<'a>(response: &'a Response, attributes: &Attributes) -> format::Content<'a> {
    let body = &response.body;
    let (text, encoding, length) = match text_of(body) {
        Some((text, encoding, length)) => (Some(text), encoding, Some(length as u64)),
        None => (None, None, None),
    };
    let recorded = match attributes.get("har.response.content.size") {
        Some(Value::Integer(size)) => Some(*size),
        _ => None,
    };
    format::Content {
        size: recorded.unwrap_or_else(|| size(length.or(body.size).or(Some(0)))),
        mime_type: mime_type(&response.headers, body),
        text,
        encoding,
        captured: body.is_cut().then_some("cut"),
        extras: extras(attributes, "har.response.content.", &[]),
    }
}

fn unanswered<'a>(attributes: &Attributes) -> format::Response<'a> {
    format::Response {
        status: 0,
        status_text: "",
        http_version: String::new(),
        cookies: Vec::new(),
        headers: Vec::new(),
        content: format::Content {
            size: 0,
            mime_type: Cow::Borrowed(""),
            text: None,
            encoding: None,
            captured: None,
            extras: Extras::new(),
        },
        redirect_url: Cow::Borrowed(""),
        headers_size: -1,
        body_size: -1,
        extras: extras(attributes, "har.response.", &[]),
    }
}

/// HAR requires the last three; what was not measured of them is 0.
fn timings(timings: &Timings, attributes: &Attributes) -> format::Timings {
    let optional = |part: Option<Duration>| part.map_or(-1.0, millis);
    let required = |part: Option<Duration>| part.map_or(0.0, millis);
    format::Timings {
        blocked: optional(timings.blocked),
        dns: optional(timings.dns),
        connect: optional(timings.connect),
        ssl: optional(timings.tls),
        send: required(timings.send),
        wait: required(timings.wait),
        receive: required(timings.receive),
        extras: extras(attributes, "har.timings.", &[]),
    }
}
