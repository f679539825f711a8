//! What an exchange takes in memory, so that what waits can be bounded by it.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;

use crate::{Attributes, Body, Exchange, Finding, Headers, Request, Response, Value};

/// What shared bytes take beside themselves: their counter, and what the allocator adds.
const SHARED_BYTES: usize = 32;

impl Exchange {
    /// Roughly the bytes it takes in memory, with all that it owns. Bytes that it shares with others count in full.
    pub fn memory(&self) -> usize {
        let Self { identity, origin, consumer, operation, .. } = self;
        let own = [&self.service, &self.route, &self.error, &origin.node, &origin.environment];
        let identity = [&identity.user, &identity.company, &identity.subscription, &identity.session];
        let consumer = consumer.iter().flat_map(|it| [&it.id, &it.username, &it.custom_id, &it.credential]);
        let operations = operation.iter().flat_map(|it| [&it.name, &it.kind, &it.error]);
        let maybe = own.into_iter().chain(identity).chain(consumer).chain(operations).flatten();
        let templates = operation.iter().map(|operation| &operation.template);
        let findings = self.findings.iter().flat_map(|it| [&it.kind, &it.location, &it.evidence]);
        let texts = maybe.chain(templates).chain(findings).chain(&self.plugins).chain([&origin.source]);
        size_of_val(self)
            + texts.map(beside).sum::<usize>()
            + self.findings.capacity() * size_of::<Finding>()
            + self.plugins.capacity() * size_of::<CompactString>()
            + of_request(&self.request)
            + self.response.as_ref().map_or(0, of_response)
            + of_attributes(&self.attributes)
    }
}

/// What a text takes outside of its structure.
fn beside(text: &CompactString) -> usize {
    if text.is_heap_allocated() { text.capacity() } else { 0 }
}

fn of_bytes(bytes: &Bytes) -> usize {
    if bytes.is_empty() { 0 } else { bytes.len() + SHARED_BYTES }
}

fn of_body(body: &Body) -> usize {
    body.bytes().map_or(0, of_bytes) + body.media_type.as_ref().map_or(0, beside)
}

fn of_headers(headers: &Headers) -> usize {
    let fields = headers.0.iter().map(|(name, value)| beside(name) + of_bytes(value));
    headers.0.capacity() * size_of::<(CompactString, Bytes)>() + fields.sum::<usize>()
}

fn of_request(request: &Request) -> usize {
    let Request { method, scheme, host, path, query, version, .. } = request;
    [method, scheme, host, path, version].into_iter().chain(query).map(beside).sum::<usize>()
        + of_headers(&request.headers)
        + of_headers(&request.trailers)
        + of_body(&request.body)
}

fn of_response(response: &Response) -> usize {
    [&response.version].into_iter().chain(&response.reason).map(beside).sum::<usize>()
        + of_headers(&response.headers)
        + of_headers(&response.trailers)
        + of_body(&response.body)
}

fn of_attributes(attributes: &Attributes) -> usize {
    let facts = attributes.facts().map(|(name, value)| {
        let name = if let Cow::Owned(name) = name { name.capacity() } else { 0 };
        let value = match value {
            Value::Text(text) | Value::Json(text) => beside(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => 0,
        };
        name + value
    });
    attributes.room() + facts.sum::<usize>()
}
