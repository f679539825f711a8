//! What an exchange takes in memory, so that what waits can be bounded by it.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;

use crate::{Attributes, Body, Exchange, Headers, Response, Value};

/// What shared bytes take beside themselves: their counter, and what the allocator adds.
const SHARED_BYTES: usize = 32;

impl Exchange {
    /// Roughly the bytes it takes in memory, with all that it owns. Bytes that it shares with others count in full.
    pub fn memory(&self) -> usize {
        let texts = [
            &self.service,
            &self.route,
            &self.error,
            &self.identity.user,
            &self.identity.company,
            &self.identity.subscription,
            &self.identity.session,
            &self.origin.node,
            &self.origin.environment,
            &self.request.query,
        ];
        let request = &self.request;
        let findings = self.findings.iter();
        let findings = findings
            .map(|finding| size_of_val(finding) + beside(&finding.location) + beside(&finding.evidence));
        size_of_val(self)
            + texts.into_iter().flatten().map(beside).sum::<usize>()
            + beside(&request.path)
            + beside(&request.host)
            + of_headers(&request.headers)
            + of_headers(&request.trailers)
            + of_body(&request.body)
            + self.response.as_ref().map_or(0, of_response)
            + self.consumer.iter().flat_map(|consumer| &consumer.id).map(beside).sum::<usize>()
            + self.operation.as_ref().map_or(0, |operation| beside(&operation.template))
            + findings.sum::<usize>()
            + self.plugins.capacity() * size_of::<CompactString>()
            + self.plugins.iter().map(beside).sum::<usize>()
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

fn of_response(response: &Response) -> usize {
    of_headers(&response.headers) + of_headers(&response.trailers) + of_body(&response.body)
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
