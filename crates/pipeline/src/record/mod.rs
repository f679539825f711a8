//! The flat form of an exchange: what the gateway's workers write and what lies in the journal.
//!
//! A record is a version byte and sections, each a tag, a length and bytes, closed by an end mark. Sections come in any
//! order and unknown ones are skipped, so the layout can grow without a new version. [`Writer`] appends sections as they
//! become known; [`encode`] writes a whole exchange; [`decode`] reads one, sharing the memory of the record.
//!
//! Records that lie one behind the other in a buffer are framed by [`frame`] and taken apart by [`frames`].

mod reader;
mod tag;
#[cfg(test)]
mod tests;
mod writer;

use bytes::Bytes;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::{Body, Captured, Exchange, Headers, Peer, ProjectId, WhyNot};

pub use reader::{BadRecord, decode};
pub(crate) use reader::{Owner, any_owner};
pub use writer::{BodyEnd, Side, Text, Timing, Writer};

/// Appends the record of an exchange to `out`. What a reader takes for given is left out.
pub fn encode(exchange: &Exchange, out: &mut Vec<u8>) {
    let mut writer = Writer::start(out, exchange.id, exchange.started_at);
    write_context(&mut writer, exchange);
    write_request(&mut writer, exchange);
    write_response(&mut writer, exchange);
    write_annotations(&mut writer, exchange);
    writer.finish();
}

/// A text that is not empty; an empty one is what is read where there is none.
fn known(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn write_context(writer: &mut Writer<'_>, exchange: &Exchange) {
    let Exchange { origin, identity, .. } = exchange;
    writer
        .optional(Text::Project, Some(exchange.project.as_str()).filter(|name| *name != ProjectId::DEFAULT))
        .optional(Text::OriginSource, known(&origin.source))
        .optional(Text::OriginNode, origin.node.as_deref())
        .optional(Text::OriginEnvironment, origin.environment.as_deref())
        .optional(Text::Service, exchange.service.as_deref())
        .optional(Text::Route, exchange.route.as_deref())
        .optional(Text::User, identity.user.as_deref())
        .optional(Text::Company, identity.company.as_deref())
        .optional(Text::Subscription, identity.subscription.as_deref())
        .optional(Text::Session, identity.session.as_deref())
        .client(exchange.client);
    if exchange.server != Peer::default() {
        writer.server(exchange.server);
    }
    if let Some(consumer) = &exchange.consumer {
        writer
            .consumer()
            .optional(Text::ConsumerId, consumer.id.as_deref())
            .optional(Text::ConsumerUsername, consumer.username.as_deref())
            .optional(Text::ConsumerCustomId, consumer.custom_id.as_deref())
            .optional(Text::ConsumerCredential, consumer.credential.as_deref());
    }
}

fn write_request(writer: &mut Writer<'_>, exchange: &Exchange) {
    let request = &exchange.request;
    writer
        .text(Text::Method, &request.method)
        .optional(Text::Scheme, known(&request.scheme))
        .optional(Text::Host, known(&request.host))
        .text(Text::Path, &request.path)
        .optional(Text::Query, request.query.as_deref());
    let side = Side::Request;
    write_version(writer, side, &request.version);
    write_message(writer, side, &request.headers, request.headers_size, &request.trailers, &request.body);
}

fn write_response(writer: &mut Writer<'_>, exchange: &Exchange) {
    let Some(response) = &exchange.response else { return };
    let side = Side::Response;
    writer.status(response.status);
    write_version(writer, side, &response.version);
    if let Some(reason) = &response.reason {
        writer.reason(reason);
    }
    write_message(writer, side, &response.headers, response.headers_size, &response.trailers, &response.body);
}

fn write_version(writer: &mut Writer<'_>, side: Side, version: &str) {
    if !version.is_empty() {
        writer.version(side, version);
    }
}

fn write_message(
    writer: &mut Writer<'_>,
    side: Side,
    headers: &Headers,
    headers_size: Option<u64>,
    trailers: &Headers,
    body: &Body,
) {
    for (name, value) in headers.iter() {
        writer.header(side, name, value);
    }
    if let Some(size) = headers_size {
        writer.headers_size(side, size);
    }
    for (name, value) in trailers.iter() {
        writer.trailer(side, name, value);
    }
    if let Some(size) = body.size {
        writer.body_size(side, size);
    }
    match &body.captured {
        Captured::No(WhyNot::Unknown) => {}
        Captured::No(why) => {
            writer.body_end(side, BodyEnd::Not(*why));
        }
        Captured::Whole(bytes) => {
            writer.body(side, bytes).body_end(side, BodyEnd::Whole);
        }
        Captured::Cut(bytes) => {
            writer.body(side, bytes).body_end(side, BodyEnd::Cut);
        }
    }
    if body.coding != ContentCoding::Known(Coding::Identity) {
        writer.coding(side, body.coding.name());
    }
    if let Some(media_type) = &body.media_type {
        writer.media_type(side, media_type);
    }
}

fn write_annotations(writer: &mut Writer<'_>, exchange: &Exchange) {
    let timings = &exchange.timings;
    for (which, time) in [
        (Timing::Blocked, timings.blocked),
        (Timing::Dns, timings.dns),
        (Timing::Connect, timings.connect),
        (Timing::Tls, timings.tls),
        (Timing::Send, timings.send),
        (Timing::Wait, timings.wait),
        (Timing::Receive, timings.receive),
        (Timing::Total, timings.total),
    ] {
        if let Some(time) = time {
            writer.timing(which, time);
        }
    }
    writer.optional(Text::Error, exchange.error.as_deref());
    if let Some(operation) = &exchange.operation {
        writer.operation(operation);
    }
    for finding in &exchange.findings {
        writer.finding(finding);
    }
    if exchange.weight != 1 {
        writer.weight(exchange.weight);
    }
    for plugin in &exchange.plugins {
        writer.text(Text::Plugin, plugin);
    }
    for (name, value) in exchange.attributes.iter() {
        writer.attribute(name, value);
    }
}

/// Bytes that [`frame`] adds to a record.
pub const FRAME_BYTES: usize = 4;

/// Appends a record to a buffer of records, preceded by its length. `false`, with nothing written, when the record is
/// larger than a frame can hold (4 GiB).
pub fn frame(record: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(length) = u32::try_from(record.len()) else { return false };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(record);
    true
}

/// Takes a buffer of framed records apart, sharing its memory.
pub fn frames(buffer: Bytes) -> Frames {
    Frames { rest: buffer }
}

/// The records of a buffer, in order. A broken frame ends it with an error.
#[derive(Debug)]
pub struct Frames {
    rest: Bytes,
}

impl Iterator for Frames {
    type Item = Result<Bytes, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let length =
            self.rest.first_chunk::<FRAME_BYTES>().map(|length| u32::from_le_bytes(*length) as usize);
        match length {
            None if self.rest.is_empty() => None,
            Some(length) if length <= self.rest.len() - FRAME_BYTES => {
                let mut record = self.rest.split_to(FRAME_BYTES + length);
                Some(Ok(record.split_off(FRAME_BYTES)))
            }
            _ => {
                let missing = BadRecord::Length(self.rest.len());
                self.rest.clear();
                Some(Err(missing))
            }
        }
    }
}
