//! The story of a call, top to bottom. Read this file first.
//!
//! [`serve`] is called for each request the HTTP library has read: it begins the record, asks [`attend`] for an answer
//! and sends it on its way; the record ends when the body of the answer does.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::answer::Answer;
use crate::bodies::{FromService, Meter, RequestBody, ResponseBody};
use crate::capture::{Recorder, host_of};
use crate::forward::{Forwarded, Onward, answer_to_broken_body, forward};
use crate::framing::Refusal;
use crate::headers::{from_gateway, from_service, split_port};
use crate::plugins::{Call, Phases};
use crate::real_ip::client_of;
use crate::snapshot::{RequestHead, Route};
use crate::tunnel;
use crate::upstream_path::upstream_path;
use crate::worker::ClientConnection;

/// Answers one request.
pub(crate) async fn serve(
    connection: Rc<ClientConnection>,
    mut request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    // HTTP/2 heads are read by the library alone; HTTP/1 heads were seen by the guard.
    let seen = if request.version() == Version::HTTP_2 { None } else { connection.shared.take_seen() };
    let (began, seen) = match seen {
        Some((at, seen)) => (at, Some(seen)),
        None => (Instant::now(), None),
    };
    let refusal = seen.as_ref().and_then(|seen| seen.refusal.as_ref()).map(|(refusal, _)| *refusal);
    let client_upgrade =
        seen.as_ref().is_some_and(|seen| seen.upgrade).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let mut recorder = Recorder::begin(connection, parts, began, seen);
    let answer = match refusal {
        Some(refusal) => Err(refused(refusal).into()),
        None => attend(&mut recorder, body).await,
    };
    Ok(match answer {
        Ok(forwarded) if forwarded.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            switch_protocols(recorder, forwarded, client_upgrade)
        }
        Ok(forwarded) => pass_on(recorder, forwarded),
        Err(answer) => reply(recorder, *answer),
    })
}

/// Routes the call, lets plugins have their say, and sends it to its service. `Err` is an answer made here.
async fn attend(recorder: &mut Recorder, body: Incoming) -> Result<Forwarded, Box<Answer>> {
    let snapshot = Rc::clone(&recorder.call.snapshot);
    recorder.call.client = client_of(&recorder.connection, &recorder.call.request.headers);
    if snapshot.global.has(Phases::REWRITE) {
        for plugin in snapshot.global.running(Phases::REWRITE, None) {
            plugin.rewrite(&mut recorder.call);
        }
    }
    let found = find_way(recorder);
    recorder.routed();
    let mut onward = found?;
    let mut body = measured(recorder, body);
    let chain = snapshot.chain(recorder.call.route);
    if chain.has(Phases::ACCESS) {
        for slot in chain.slots() {
            let consumer = recorder.call.consumer.clone();
            let consumer = consumer.as_ref().and_then(|consumer| consumer.id.as_deref());
            let Some(plugin) = slot.pick(consumer).filter(|plugin| plugin.phases().has(Phases::ACCESS))
            else {
                continue;
            };
            let wanted = plugin.body_wanted(&recorder.call);
            if wanted > 0 {
                recorder.call.body = look_ahead(recorder, &mut body, wanted).await?;
            }
            let answer = plugin.access(&mut recorder.call).await;
            recorder.call.body = None;
            if let Some(answer) = answer {
                return Err(answer.into());
            }
        }
        // A plugin may have taken a credential off the query.
        let query = recorder.call.request.uri.query();
        if query != onward.path.query() {
            onward.path = path_and_query(onward.path.path(), query)?;
        }
    }
    forward(recorder, body, &onward).await
}

/// Where the call goes: where its gateway URL says, else where its route does.
fn find_way(recorder: &mut Recorder) -> Result<Onward, Box<Answer>> {
    if let Some(urls) = &recorder.connection.worker.common.settings.gateway_urls {
        urls.apply(&mut recorder.call)?;
        if recorder.call.bucketed.is_some() {
            let request = &recorder.call.request;
            let path = path_and_query(request.uri.path(), request.uri.query())?;
            let upgrade = recorder.upgrade_undecided && wants_upgrade(&recorder.call);
            return Ok(Onward { path, stripped: None, upgrade });
        }
    }
    find_route(recorder)
}

/// Finds the route and what it makes of the path.
fn find_route(recorder: &mut Recorder) -> Result<Onward, Box<Answer>> {
    let Recorder { call, connection, .. } = recorder;
    let snapshot = Rc::clone(&call.snapshot);
    let request = &call.request;
    let (host, port) = split_port(host_of(request));
    let tls = client_uses_tls(connection, call);
    let head = RequestHead {
        method: &request.method,
        tls,
        grpc: is_grpc(call),
        host,
        port: port.unwrap_or(if tls { 443 } else { 80 }),
        path: request.uri.path(),
        headers: &request.headers,
        sni: connection.sni.as_deref(),
    };
    let Some(found) = snapshot.router.find(&head) else { return Err(snapshot.router.no_match(&head).into()) };
    call.route = Some(found.route);
    call.matched_prefix = found.prefix.unwrap_or(0);
    let Some(route) = snapshot.routes.get(found.route) else {
        let answer = Answer::standard(StatusCode::INTERNAL_SERVER_ERROR);
        return Err(answer.with_error("gateway.internal").into());
    };
    if !tls && !route.accepts_plain {
        return Err(use_https(route, call).into());
    }
    let service_path = call.service().and_then(|service| service.path.as_deref());
    let prefix = if route.strip_path { found.prefix } else { None };
    let path = upstream_path(service_path, &found.path, prefix, route.path_handling);
    let whole = match request.uri.path_and_query() {
        Some(sent) if sent.path() == path => sent.clone(),
        _ => path_and_query(&path, request.uri.query())?,
    };
    let stripped = prefix.and_then(|length| found.path.get(..length)).map(str::to_owned);
    let upgrade = recorder.upgrade_undecided && wants_upgrade(&recorder.call);
    Ok(Onward { path: whole, stripped, upgrade })
}

fn path_and_query(path: &str, query: Option<&str>) -> Result<PathAndQuery, Box<Answer>> {
    let joined = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(Bytes::from(joined))
        .map_err(|_| Answer::standard(StatusCode::BAD_REQUEST).with_error("client.bad_request").into())
}

fn client_uses_tls(connection: &ClientConnection, call: &Call) -> bool {
    if connection.trusted
        && let Some(scheme) = call.request.headers.get("x-forwarded-proto")
    {
        return scheme.as_bytes().eq_ignore_ascii_case(b"https");
    }
    connection.tls
}

fn is_grpc(call: &Call) -> bool {
    let content_type = call.request.headers.get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Any protocol but HTTP/2, which is spoken from the start or not at all.
fn wants_upgrade(call: &Call) -> bool {
    let protocol = call.request.headers.get(UPGRADE);
    protocol.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"h2c"))
}

/// The request's body, measured and copied as far as it is to be captured.
fn measured(recorder: &mut Recorder, body: Incoming) -> RequestBody {
    if body.is_end_stream() {
        return RequestBody::empty();
    }
    let meter = Meter::new(Rc::clone(&recorder.connection.worker), recorder.request_copy());
    recorder.request_body = Some(Rc::clone(&meter));
    RequestBody::new(body, meter)
}

/// The whole body, for a plugin that must see it before the call goes on.
async fn look_ahead(
    recorder: &Recorder,
    body: &mut RequestBody,
    limit: usize,
) -> Result<Option<Bytes>, Box<Answer>> {
    let patience = recorder.connection.worker.common.settings.body_timeout;
    body.look_ahead(limit, patience).await.map_err(|_| answer_to_broken_body(recorder).into())
}

/// The answer to a call without TLS on a route that wants it.
fn use_https(route: &Route, call: &Call) -> Answer {
    let status = route.https_redirect_status;
    if status == StatusCode::UPGRADE_REQUIRED {
        return Answer::message(status, "Please use HTTPS protocol")
            .with_header(CONNECTION, HeaderValue::from_static("Upgrade"))
            .with_header(UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
    }
    let (host, _) = split_port(host_of(&call.request));
    let target = call.request.uri.path_and_query().map_or("/", |target| target.as_str());
    match HeaderValue::from_str(&format!("https://{host}{target}")) {
        Ok(location) => Answer::standard(status).with_header(LOCATION, location),
        Err(_) => Answer::standard(StatusCode::BAD_REQUEST),
    }
}

/// The answer to a request that was refused for its form.
fn refused(refusal: Refusal) -> Answer {
    tracing::debug!(status = %refusal.status, reason = refusal.reason, "request refused");
    let error = match refusal.status {
        StatusCode::REQUEST_TIMEOUT => "client.timeout",
        _ => "client.bad_request",
    };
    Answer::standard(refusal.status).with_error(error).closing()
}

/// Passes a service's answer on.
fn pass_on(mut recorder: Box<Recorder>, forwarded: Forwarded) -> Response<ResponseBody> {
    let (mut parts, incoming) = forwarded.response.into_parts();
    from_service(&recorder, &mut parts);
    if let Some(bucketed) = &recorder.call.bucketed {
        bucketed.rewrite_location(&mut parts.headers);
    }
    let chain_filters = recorder.call.snapshot.chain(recorder.call.route).has(Phases::BODY_FILTER);
    let filtered = chain_filters && !incoming.is_end_stream();
    filter_head(&mut recorder, &mut parts);
    if filtered {
        parts.headers.remove(CONTENT_LENGTH);
    }
    recorder.answered(&parts);
    let read_timeout = recorder.call.service().map(|service| service.read_timeout).unwrap_or_default();
    let source = FromService::new(incoming, forwarded.lease, read_timeout, filtered);
    Response::from_parts(sendable(parts), ResponseBody::service(source, recorder))
}

/// Sends an answer made here.
fn reply(mut recorder: Box<Recorder>, answer: Answer) -> Response<ResponseBody> {
    recorder.error = answer.error;
    let close = answer.close;
    let (mut parts, mut body) = answer.into_response().into_parts();
    let worker = Rc::clone(&recorder.connection.worker);
    from_gateway(&recorder, &worker, &mut parts.headers);
    filter_head(&mut recorder, &mut parts);
    if recorder.call.request.method == Method::HEAD {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        body = Bytes::new();
    }
    if close && recorder.call.request.version != Version::HTTP_2 {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    recorder.answered(&parts);
    Response::from_parts(sendable(parts), ResponseBody::own(body, recorder))
}

/// Adds what plugins put aside for the answer, and runs their `header_filter`.
fn filter_head(recorder: &mut Recorder, parts: &mut response::Parts) {
    let call = &mut recorder.call;
    if !call.response_headers.is_empty() {
        parts.headers.extend(std::mem::take(&mut call.response_headers));
    }
    let snapshot = Rc::clone(&call.snapshot);
    let chain = snapshot.chain(call.route);
    if chain.has(Phases::HEADER_FILTER) {
        let consumer = call.consumer.clone();
        let consumer = consumer.as_ref().and_then(|consumer| consumer.id.as_deref());
        for plugin in chain.running(Phases::HEADER_FILTER, consumer) {
            plugin.header_filter(call, parts);
        }
    }
}

/// The library chooses the version that the client speaks, and must not see what the service's connection left.
fn sendable(mut parts: response::Parts) -> response::Parts {
    parts.version = Version::HTTP_11;
    parts.extensions = http::Extensions::new();
    parts
}

/// The service agreed to another protocol: from now on bytes pass both ways, unread.
fn switch_protocols(
    mut recorder: Box<Recorder>,
    mut forwarded: Forwarded,
    client_upgrade: Option<OnUpgrade>,
) -> Response<ResponseBody> {
    let Some(client_upgrade) = client_upgrade.filter(|_| wants_upgrade(&recorder.call)) else {
        let answer = Answer::standard(StatusCode::BAD_GATEWAY).with_error("upstream.invalid_response");
        return reply(recorder, answer);
    };
    let service_upgrade = hyper::upgrade::on(&mut forwarded.response);
    let protocol = forwarded.response.headers().get(UPGRADE).cloned();
    let (mut parts, _) = forwarded.response.into_parts();
    from_service(&recorder, &mut parts);
    filter_head(&mut recorder, &mut parts);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        parts.headers.insert(UPGRADE, protocol);
    }
    recorder.answered(&parts);
    recorder.upgrade_undecided = false;
    recorder.connection.shared.decide(true);
    tokio::task::spawn_local(tunnel::run(recorder, client_upgrade, service_upgrade));
    Response::from_parts(sendable(parts), ResponseBody::detached())
}
