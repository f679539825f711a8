//! What a request means to the API it calls: its protocol, its path template, the operation named inside.
//!
//! [`identify`] runs before masking, so what it keeps is names and codes, never values: an error is a code, not a message.

mod graphql;
mod grpc;
mod json_rpc;
mod learner;
mod segment;
mod soap;
mod template;

use std::borrow::Cow;

use bytes::Bytes;
use weir_model::{CompactString, Exchange, Headers, Operation, Protocol, Request, Response};

use crate::json;
use crate::media::{self, Form};

pub(crate) use graphql::{Lexeme, Lexer};
pub use learner::{Learner, LearnerLimits};
pub use template::Templates;

/// Most bytes of a decoded body that are looked at.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most characters of a name or code taken from a message.
const MAX_NAME_CHARS: usize = 200;
/// Most operations of a batch that are looked at.
const MAX_BATCH: usize = 100;

/// Fills in [`Exchange::operation`]. Deterministic for the same exchange and templates.
pub fn identify(exchange: &mut Exchange, templates: &Templates) {
    let template = templates.template(exchange);
    let (protocol, named) = recognise(&exchange.request, exchange.response.as_ref());
    exchange.operation = Some(Operation {
        protocol,
        template,
        name: named.name.and_then(tidy),
        kind: named.kind.map(Into::into),
        error: named.error.and_then(tidy),
    });
}

/// What was found inside the messages.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    name: Option<String>,
    kind: Option<&'static str>,
    error: Option<String>,
}

/// Cheap signs first; bodies are decoded only where a protocol is likely.
fn recognise(request: &Request, response: Option<&Response>) -> (Protocol, Named) {
    if is_websocket(&request.headers) {
        return (Protocol::WebSocket, Named::default());
    }
    let media_type = media::media_type(&request.headers, &request.body);
    if grpc::is_grpc(&media_type) {
        return (Protocol::Grpc, grpc::named(request, response));
    }
    if request.method.eq_ignore_ascii_case("GET") {
        if let Some(call) = graphql::in_query(request) {
            return (Protocol::GraphQl, call.named(response));
        }
        return (Protocol::Rest, Named::default());
    }
    let declared = media::declared(&media_type);
    if !matches!(declared, Form::Json | Form::Text | Form::GraphQl | Form::Xml | Form::UrlEncoded) {
        return (Protocol::Rest, Named::default());
    }
    let Some(body) = decoded(&request.body) else { return (Protocol::Rest, Named::default()) };
    match media::form_of(&media_type, &body) {
        Form::Json => {
            if let Some(call) = graphql::in_json(&body) {
                return (Protocol::GraphQl, call.named(response));
            }
            if let Some(named) = json_rpc::named(&body, response) {
                return (Protocol::JsonRpc, named);
            }
        }
        Form::GraphQl => {
            if let Some(call) = graphql::in_document(&body) {
                return (Protocol::GraphQl, call.named(response));
            }
        }
        Form::Xml => {
            if let Some(named) = soap::named(request, &media_type, &body, response) {
                return (Protocol::Soap, named);
            }
        }
        _ => {}
    }
    (Protocol::Rest, Named::default())
}

fn is_websocket(headers: &Headers) -> bool {
    headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// The kept bytes of a body without their coding, when the body holds anything.
fn decoded(body: &weir_model::Body) -> Option<Bytes> {
    body.decoded(MAX_BODY_BYTES).filter(|bytes| !bytes.is_empty())
}

/// The documents of a JSON answer: one, or the data of each event of an event stream. `answer` is its decoded body.
fn answer_documents<'a>(response: &Response, answer: &'a [u8]) -> Vec<Cow<'a, [u8]>> {
    let media_type = media::media_type(&response.headers, &response.body);
    match media::form_of(&media_type, answer) {
        Form::Json => vec![Cow::Borrowed(answer)],
        Form::Events => events(answer),
        _ => Vec::new(),
    }
}

/// The `data` of the first events of a stream, lines of one event joined.
fn events(stream: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut documents = Vec::new();
    let mut data: Option<Cow<'_, [u8]>> = None;
    for line in stream.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            documents.extend(data.take());
        } else if let Some(content) = line.strip_prefix(b"data:") {
            match &mut data {
                Some(begun) => begun.to_mut().extend_from_slice(content),
                None => data = Some(Cow::Borrowed(content)),
            }
        }
        if documents.len() == MAX_BATCH {
            return documents;
        }
    }
    documents.extend(data);
    documents
}

/// The single documents of a message that may be a batch.
fn batch(document: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    match json::first_byte(document) {
        Some(b'[') => json::elements(document, MAX_BATCH, |element| documents.push(element)),
        _ => documents.push(document),
    }
    documents
}

/// Different names in order of appearance, joined; long lists are cut.
fn joined(names: impl IntoIterator<Item = String>) -> Option<String> {
    const MOST: usize = 5;
    let mut distinct: Vec<String> = Vec::new();
    for name in names {
        if distinct.contains(&name) {
            continue;
        }
        if distinct.len() == MOST {
            distinct.push("…".to_owned());
            break;
        }
        distinct.push(name);
    }
    if distinct.is_empty() { None } else { Some(distinct.join(", ")) }
}

/// A foreign name as it may be kept: no control characters, bounded, not empty.
fn tidy(name: String) -> Option<CompactString> {
    let clean: CompactString =
        name.trim().chars().filter(|character| !character.is_control()).take(MAX_NAME_CHARS).collect();
    if clean.is_empty() { None } else { Some(clean) }
}

#[cfg(test)]
mod tests;
