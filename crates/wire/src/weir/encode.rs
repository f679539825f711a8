//! From exchanges to lines. Pure.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weir_model::body::ContentCoding;
use weir_model::{self as model, Captured, CompactString, Exchange, Value, WhyNot};

use super::form::{self, VERSION};

fn text(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

fn optional(text: Option<&CompactString>) -> Option<Cow<'_, str>> {
    text.map(|text| Cow::Borrowed(text.as_str()))
}

/// One exchange, complete.
pub fn record(exchange: &Exchange) -> form::Record<'_> {
    form::Record {
        weir: VERSION,
        id: exchange.id.to_string(),
        started_at: exchange.started_at,
        project: text(exchange.project.as_str()),
        source: text(&exchange.origin.source),
        node: optional(exchange.origin.node.as_ref()),
        environment: optional(exchange.origin.environment.as_ref()),
        service: optional(exchange.service.as_ref()),
        route: optional(exchange.route.as_ref()),
        consumer: exchange.consumer.as_ref().map(consumer),
        identity: identity(&exchange.identity),
        client: peer(exchange.client),
        server: peer(exchange.server),
        request: request(&exchange.request),
        response: exchange.response.as_ref().map(response),
        timings: timings(&exchange.timings),
        error: optional(exchange.error.as_ref()),
        operation: exchange.operation.as_ref().map(operation),
        findings: exchange.findings.iter().map(finding).collect(),
        weight: exchange.weight,
        plugins: exchange.plugins.iter().map(|id| text(id)).collect(),
        attributes: exchange.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
    }
}

fn consumer(consumer: &model::Consumer) -> form::Consumer<'_> {
    form::Consumer {
        id: optional(consumer.id.as_ref()),
        username: optional(consumer.username.as_ref()),
        custom_id: optional(consumer.custom_id.as_ref()),
        credential: optional(consumer.credential.as_ref()),
    }
}

fn identity(identity: &model::Identity) -> form::Identity<'_> {
    form::Identity {
        user: optional(identity.user.as_ref()),
        company: optional(identity.company.as_ref()),
        subscription: optional(identity.subscription.as_ref()),
        session: optional(identity.session.as_ref()),
    }
}

fn peer(peer: model::Peer) -> form::Peer {
    form::Peer { address: peer.address, port: peer.port }
}

fn request(request: &model::Request) -> form::Request<'_> {
    form::Request {
        method: text(&request.method),
        scheme: text(&request.scheme),
        host: text(&request.host),
        path: text(&request.path),
        query: optional(request.query.as_ref()),
        version: text(&request.version),
        headers: headers(&request.headers),
        headers_size: request.headers_size,
        trailers: headers(&request.trailers),
        body: body(&request.body),
    }
}

fn response(response: &model::Response) -> form::Response<'_> {
    form::Response {
        status: response.status,
        reason: optional(response.reason.as_ref()),
        version: text(&response.version),
        headers: headers(&response.headers),
        headers_size: response.headers_size,
        trailers: headers(&response.trailers),
        body: body(&response.body),
    }
}

fn headers(headers: &model::Headers) -> Vec<form::Header<'_>> {
    headers.iter().map(|(name, value)| form::Header { name: text(name), value: content(value) }).collect()
}

fn content(bytes: &Bytes) -> form::Content<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) => form::Content { text: Some(text.into()), base64: None },
        Err(_) => form::Content { text: None, base64: Some(STANDARD.encode(bytes).into()) },
    }
}

fn body(body: &model::Body) -> form::Body<'_> {
    let (captured, bytes) = match &body.captured {
        Captured::No(WhyNot::Unknown) => (None, None),
        Captured::No(why) => (Some(why.name()), None),
        Captured::Whole(bytes) => (Some("whole"), Some(bytes)),
        Captured::Cut(bytes) => (Some("cut"), Some(bytes)),
    };
    let plain = body.coding == ContentCoding::default();
    form::Body {
        size: body.size,
        captured: captured.map(Cow::Borrowed),
        content: bytes.map_or_else(form::Content::default, content),
        coding: (!plain).then(|| text(body.coding.name())),
        media_type: optional(body.media_type.as_ref()),
    }
}

fn timings(timings: &model::Timings) -> form::Timings {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days of nanoseconds")]
    let millis = |part: Option<Duration>| part.map(|part| part.as_nanos() as f64 / 1e6);
    form::Timings {
        blocked: millis(timings.blocked),
        dns: millis(timings.dns),
        connect: millis(timings.connect),
        tls: millis(timings.tls),
        send: millis(timings.send),
        wait: millis(timings.wait),
        receive: millis(timings.receive),
        total: millis(timings.total),
    }
}

fn operation(operation: &model::Operation) -> form::Operation<'_> {
    form::Operation {
        protocol: text(operation.protocol.name()),
        template: text(&operation.template),
        name: optional(operation.name.as_ref()),
        kind: optional(operation.kind.as_ref()),
        error: optional(operation.error.as_ref()),
    }
}

fn finding(finding: &model::Finding) -> form::Finding<'_> {
    form::Finding {
        kind: text(&finding.kind),
        severity: text(finding.severity.name()),
        location: text(&finding.location),
        evidence: text(&finding.evidence),
    }
}

fn attribute<'a>(name: &'a str, value: &'a Value) -> form::Attribute<'a> {
    let (value, json) = match value {
        Value::Json(document) => (None, Some(text(document))),
        Value::Bool(value) => (Some((*value).into()), None),
        Value::Integer(value) => (Some((*value).into()), None),
        Value::Float(value) => (Some((*value).into()), None),
        Value::Text(value) => (Some(value.as_str().into()), None),
    };
    form::Attribute { name: text(name), value, json }
}
