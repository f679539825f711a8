//! What is changed in the heads that pass: hop-by-hop fields go, Kong's forwarding fields come.

use http::header::{
    CONNECTION, COOKIE, EXPECT, Entry, HOST, HeaderName, HeaderValue, SERVER, TE, TRANSFER_ENCODING, UPGRADE,
    VIA,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Uri, response};
use weir_model::ExchangeId;

use crate::capture::{Recorder, host_of};
use crate::plugins::Call;
use crate::snapshot::{Route, Service, Target};
use crate::upstream::Destination;
use crate::worker::{ClientConnection, Worker, address_value};

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY: HeaderName = HeaderName::from_static("proxy");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-kong-request-id");
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
static FORWARDED_PATH: HeaderName = HeaderName::from_static("x-forwarded-path");
static FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static PROXY_LATENCY: HeaderName = HeaderName::from_static("x-kong-proxy-latency");
static UPSTREAM_LATENCY: HeaderName = HeaderName::from_static("x-kong-upstream-latency");
static RESPONSE_LATENCY: HeaderName = HeaderName::from_static("x-kong-response-latency");

/// Where one attempt goes, and how the service is named in it.
pub(crate) struct Attempt<'a> {
    pub(crate) service: &'a Service,
    pub(crate) route: &'a Route,
    /// The target, when the service's calls are spread over several.
    pub(crate) target: Option<&'a Target>,
    pub(crate) path: &'a PathAndQuery,
    /// The part of the path that was taken off.
    pub(crate) stripped: Option<&'a str>,
    /// Whether the connection speaks HTTP/2.
    pub(crate) http2: bool,
    pub(crate) upgrade: bool,
}

/// The fields of the request as the service gets them.
pub(crate) fn for_service(connection: &ClientConnection, call: &Call, attempt: &Attempt<'_>) -> HeaderMap {
    let mut headers = call.request.headers.clone();
    let trailers_wanted = wants_trailers(&headers);
    let upgrade = if attempt.upgrade { headers.get(UPGRADE).cloned() } else { None };
    remove_hop_by_hop(&mut headers);
    headers.remove(EXPECT);
    headers.remove(&PROXY);
    if trailers_wanted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    if attempt.http2 {
        headers.remove(HOST);
    } else {
        headers.insert(HOST, host_for(call, attempt));
        join_cookies(&mut headers);
    }
    forwarding_fields(&mut headers, connection, call, attempt);
    headers
}

/// The request's address as the service gets it.
pub(crate) fn address_for(call: &Call, attempt: &Attempt<'_>) -> Option<Uri> {
    if !attempt.http2 {
        return Some(Uri::from(attempt.path.clone()));
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if attempt.service.protocol.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::try_from(host_for(call, attempt).as_bytes()).ok();
    parts.path_and_query = Some(attempt.path.clone());
    Uri::from_parts(parts).ok()
}

/// `Host` of the service, with its port if that is not the usual one; or the client's.
fn host_for(call: &Call, attempt: &Attempt<'_>) -> HeaderValue {
    if attempt.route.preserve_host
        && let Ok(host) = HeaderValue::from_str(host_of(&call.request))
        && !host.is_empty()
    {
        return host;
    }
    let service = attempt.service;
    if let Some(host) = service.upstream.as_ref().and_then(|upstream| upstream.host_header.as_deref()) {
        return text_value(host);
    }
    let (host, port) = match attempt.target {
        Some(target) => (&target.host, target.port),
        None => (&service.host, service.port),
    };
    if port == service.protocol.default_port() {
        text_value(host)
    } else {
        text_value(&format!("{host}:{port}"))
    }
}

fn text_value(text: &str) -> HeaderValue {
    // Hosts come from checked configuration; one that cannot be a header value is a mistake the service will report.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| list_has(value, "trailers"))
}

fn list_has(value: &HeaderValue, item: &str) -> bool {
    value.to_str().is_ok_and(|list| list.split(',').any(|part| part.trim().eq_ignore_ascii_case(item)))
}

/// Removes the fields that concern one connection only (RFC 9110 section 7.6.1).
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if let Some(named) = headers.remove(CONNECTION) {
        remove_named(headers, &named);
    }
    // A second Connection field is rare enough for a second look.
    while let Some(named) = headers.remove(CONNECTION) {
        remove_named(headers, &named);
    }
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    headers.remove(TE);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
}

fn remove_named(headers: &mut HeaderMap, connection: &HeaderValue) {
    let Ok(list) = connection.to_str() else { return };
    for name in list.split(',').map(str::trim) {
        let end_to_end = ["close", "keep-alive", "upgrade", "host", "content-length", "te"];
        if !name.is_empty() && !end_to_end.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            headers.remove(name);
        }
    }
}

/// HTTP/2 may split cookies over fields; HTTP/1.1 has one (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else { return };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Kong's forwarding fields.
fn forwarding_fields(
    headers: &mut HeaderMap,
    connection: &ClientConnection,
    call: &Call,
    attempt: &Attempt<'_>,
) {
    let client_value = if call.client == connection.peer {
        connection.peer_value.clone()
    } else {
        address_value(call.client)
    };
    headers.insert(&REAL_IP, client_value);
    forwarded_for(headers, connection);
    let trusted = connection.trusted;
    let mut own = |name: &'static HeaderName, value: &dyn Fn() -> HeaderValue| match headers.entry(name) {
        Entry::Occupied(_) if trusted => {}
        Entry::Occupied(mut entry) => drop(entry.insert(value())),
        Entry::Vacant(entry) => drop(entry.insert(value())),
    };
    let host = host_of(&call.request);
    let (name, port) = split_port(host);
    own(&FORWARDED_PROTO, &|| HeaderValue::from_static(if connection.tls { "https" } else { "http" }));
    own(&FORWARDED_HOST, &|| text_value(name));
    own(&FORWARDED_PORT, &|| {
        HeaderValue::from(port.or(connection.local.port).unwrap_or(if connection.tls { 443 } else { 80 }))
    });
    own(&FORWARDED_PATH, &|| text_value(call.request.uri.path()));
    match attempt.stripped {
        Some(prefix) if prefix != "/" && !prefix.is_empty() => own(&FORWARDED_PREFIX, &|| text_value(prefix)),
        _ if !trusted => drop(headers.remove(&FORWARDED_PREFIX)),
        _ => {}
    }
    headers.insert(&REQUEST_ID, id_value(call.id));
}

/// Adds the peer behind those that were named already.
fn forwarded_for(headers: &mut HeaderMap, connection: &ClientConnection) {
    let mut named = headers.get_all(&FORWARDED_FOR).iter();
    let Some(first) = named.next() else {
        headers.insert(&FORWARDED_FOR, connection.peer_value.clone());
        return;
    };
    let mut list = first.as_bytes().to_vec();
    for more in named.chain([&connection.peer_value]) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(more.as_bytes());
    }
    if let Ok(list) = HeaderValue::from_maybe_shared(list) {
        headers.insert(&FORWARDED_FOR, list);
    }
}

/// Name and port of a `Host` value.
pub(crate) fn split_port(host: &str) -> (&str, Option<u16>) {
    let name = weir_model::field::without_port(host);
    (name, host.get(name.len() + 1..).and_then(|port| port.parse().ok()))
}

/// An id as 32 hexadecimal digits, as Kong writes it.
fn id_value(id: ExchangeId) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.to_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Prepares the head of a service's answer for the client.
pub(crate) fn from_service(recorder: &Recorder, response: &mut response::Parts) {
    let worker = &recorder.connection.worker;
    remove_hop_by_hop(&mut response.headers);
    if worker.common.settings.report_headers {
        response.headers.append(VIA, worker.via.clone());
        if let Some(latency) = recorder.upstream_latency() {
            response.headers.insert(&UPSTREAM_LATENCY, millis(latency));
        }
        response.headers.insert(&PROXY_LATENCY, millis(recorder.proxy_latency()));
        response.headers.insert(&REQUEST_ID, id_value(recorder.call.id));
    }
}

/// Prepares the head of an answer made here.
pub(crate) fn from_gateway(recorder: &Recorder, worker: &Worker, headers: &mut HeaderMap) {
    headers.insert(SERVER, worker.token.clone());
    if worker.common.settings.report_headers {
        headers.insert(&RESPONSE_LATENCY, millis(recorder.proxy_latency()));
        headers.insert(&REQUEST_ID, id_value(recorder.call.id));
    }
}

fn millis(duration: std::time::Duration) -> HeaderValue {
    HeaderValue::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The destination of an attempt.
pub(crate) fn destination(service: &Service, target: Option<&Target>) -> Destination {
    let (host, port) = match target {
        Some(target) => (&target.host, target.port),
        None => (&service.host, service.port),
    };
    Destination { protocol: service.protocol, host: host.clone(), port, tls_verify: service.tls_verify }
}
