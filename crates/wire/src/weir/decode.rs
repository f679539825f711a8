//! From lines to exchanges. Pure and total.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use weir_model::body::ContentCoding;
use weir_model::{
    Attributes, Body, Captured, CompactString, Consumer, Exchange, Finding, Headers, Identity, Operation,
    Origin, Peer, Protocol, Request, Response, Severity, Timings, Value, WhyNot,
};

use super::form::{self, VERSION};
use crate::parts::shortened;

/// Reads one line.
pub fn line(line: &[u8]) -> Result<Exchange, String> {
    let record: form::Record<'_> =
        serde_json::from_slice(line).map_err(|error| format!("not an exchange: {error}"))?;
    if record.weir > VERSION {
        return Err(format!("form {} is newer than this weir, which reads form {VERSION}", record.weir));
    }
    exchange(record)
}

fn owned(text: Option<Cow<'_, str>>) -> Option<CompactString> {
    text.map(Into::into)
}

fn exchange(record: form::Record<'_>) -> Result<Exchange, String> {
    let id = record.id.parse().map_err(|_| format!("id {:?} is not a UUID", shortened(&record.id, 60)))?;
    let mut exchange = Exchange::new(id, record.started_at, request(record.request)?);
    exchange.project = record.project.as_ref().into();
    exchange.origin = Origin {
        source: record.source.into(),
        node: owned(record.node),
        environment: owned(record.environment),
    };
    exchange.service = owned(record.service);
    exchange.route = owned(record.route);
    exchange.consumer = record.consumer.map(|consumer| Consumer {
        id: owned(consumer.id),
        username: owned(consumer.username),
        custom_id: owned(consumer.custom_id),
        credential: owned(consumer.credential),
    });
    exchange.identity = Identity {
        user: owned(record.identity.user),
        company: owned(record.identity.company),
        subscription: owned(record.identity.subscription),
        session: owned(record.identity.session),
    };
    exchange.client = Peer { address: record.client.address, port: record.client.port };
    exchange.server = Peer { address: record.server.address, port: record.server.port };
    exchange.response = record.response.map(response).transpose()?;
    exchange.timings = timings(&record.timings);
    exchange.error = owned(record.error);
    exchange.operation = record.operation.map(operation).transpose()?;
    exchange.findings = record.findings.into_iter().map(finding).collect::<Result<_, _>>()?;
    exchange.weight = record.weight;
    exchange.plugins = record.plugins.into_iter().map(Into::into).collect();
    exchange.attributes = attributes(record.attributes);
    Ok(exchange)
}

fn request(request: form::Request<'_>) -> Result<Request, String> {
    Ok(Request {
        method: request.method.into(),
        scheme: request.scheme.into(),
        host: request.host.into(),
        path: request.path.into(),
        query: owned(request.query),
        version: request.version.into(),
        headers: headers(request.headers, "request.headers")?,
        headers_size: request.headers_size,
        trailers: headers(request.trailers, "request.trailers")?,
        body: body(request.body, "request.body")?,
    })
}

fn response(response: form::Response<'_>) -> Result<Response, String> {
    Ok(Response {
        status: response.status,
        reason: owned(response.reason),
        version: response.version.into(),
        headers: headers(response.headers, "response.headers")?,
        headers_size: response.headers_size,
        trailers: headers(response.trailers, "response.trailers")?,
        body: body(response.body, "response.body")?,
    })
}

fn headers(fields: Vec<form::Header<'_>>, at: &str) -> Result<Headers, String> {
    let field = |field: form::Header<'_>| Ok((field.name.into(), content(field.value, at)?));
    Ok(Headers(fields.into_iter().map(field).collect::<Result<_, String>>()?))
}

fn content(content: form::Content<'_>, at: &str) -> Result<Bytes, String> {
    match (content.text, content.base64) {
        (_, Some(base64)) => STANDARD
            .decode(base64.as_bytes())
            .map(Bytes::from)
            .map_err(|error| format!("{at}: not base64: {error}")),
        (text, None) => Ok(Bytes::from(text.unwrap_or_default().into_owned())),
    }
}

fn body(body: form::Body<'_>, at: &str) -> Result<Body, String> {
    let captured = match body.captured.as_deref() {
        None => Captured::No(WhyNot::Unknown),
        Some("whole") => Captured::Whole(content(body.content, at)?),
        Some("cut") => Captured::Cut(content(body.content, at)?),
        Some(other) => Captured::No(named(other, &WhyNot::ALL, WhyNot::name, &format!("{at}.captured"))?),
    };
    Ok(Body {
        size: body.size,
        captured,
        coding: ContentCoding::of_header(body.coding.as_deref()),
        media_type: owned(body.media_type),
    })
}

/// The one of `all` with this public name.
fn named<T: Copy>(name: &str, all: &[T], name_of: fn(T) -> &'static str, at: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name_of(*one) == name);
    found.ok_or_else(|| format!("{at}: unknown name {:?}", shortened(name, 60)))
}

fn timings(read: &form::Timings) -> Timings {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    let part = |millis: Option<f64>| {
        let nanos = (millis? * 1e6).round();
        (0.0..1.8e19).contains(&nanos).then(|| Duration::from_nanos(nanos as u64))
    };
    Timings {
        blocked: part(read.blocked),
        dns: part(read.dns),
        connect: part(read.connect),
        tls: part(read.tls),
        send: part(read.send),
        wait: part(read.wait),
        receive: part(read.receive),
        total: part(read.total),
    }
}

fn operation(operation: form::Operation<'_>) -> Result<Operation, String> {
    Ok(Operation {
        protocol: named(&operation.protocol, &Protocol::ALL, Protocol::name, "operation.protocol")?,
        template: operation.template.into(),
        name: owned(operation.name),
        kind: owned(operation.kind),
        error: owned(operation.error),
    })
}

fn finding(finding: form::Finding<'_>) -> Result<Finding, String> {
    Ok(Finding {
        kind: finding.kind.into(),
        severity: named(&finding.severity, &Severity::ALL, Severity::name, "findings.severity")?,
        location: finding.location.into(),
        evidence: finding.evidence.into(),
    })
}

fn attributes(read: Vec<form::Attribute<'_>>) -> Attributes {
    let mut attributes = Attributes::default();
    for attribute in read {
        let value = match (attribute.value, attribute.json) {
            (_, Some(document)) => Value::Json(document.into()),
            (Some(Json::Bool(value)), _) => Value::Bool(value),
            (Some(Json::String(text)), _) => Value::Text(text.into()),
            (Some(Json::Number(number)), _) => match number.as_i64() {
                Some(whole) => Value::Integer(whole),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            (Some(other @ (Json::Array(_) | Json::Object(_))), _) => Value::Json(other.to_string().into()),
            (None | Some(Json::Null), None) => Value::Float(f64::NAN),
        };
        attributes.set(attribute.name.into_owned(), value);
    }
    attributes
}
