//! Writing a record section by section.

use std::net::IpAddr;
use std::time::Duration;

use weir_kit::Timestamp;
use weir_model::{ExchangeId, Finding, Operation, Peer, Protocol, Severity, Value, WhyNot};

use super::tag;

/// Appends the sections of one record to a buffer as they become known: no allocation but the buffer's own growth.
///
/// Sections may come in any order. One that occurs twice replaces the earlier, save for those that are lists (headers,
/// trailers, body pieces, findings, plugins, attributes). A writer holds nothing but the buffer, so it may be dropped and
/// [resumed](Writer::resume). [`Writer::finish`] must be called once, last; without it the record does not decode.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// Which of the two messages a section belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// A text section of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // Named after the fields of `Exchange`, where they are explained.
pub enum Text {
    Project = tag::PROJECT,
    OriginSource = tag::ORIGIN_SOURCE,
    OriginNode = tag::ORIGIN_NODE,
    OriginEnvironment = tag::ORIGIN_ENVIRONMENT,
    Service = tag::SERVICE,
    Route = tag::ROUTE,
    ConsumerId = tag::CONSUMER_ID,
    ConsumerUsername = tag::CONSUMER_USERNAME,
    ConsumerCustomId = tag::CONSUMER_CUSTOM_ID,
    ConsumerCredential = tag::CONSUMER_CREDENTIAL,
    User = tag::USER,
    Company = tag::COMPANY,
    Subscription = tag::SUBSCRIPTION,
    Session = tag::SESSION,
    Method = tag::METHOD,
    Scheme = tag::SCHEME,
    Host = tag::HOST,
    Path = tag::PATH,
    Query = tag::QUERY,
    Error = tag::ERROR,
    /// Id of a plugin configuration that asked for this exchange; may occur many times.
    Plugin = tag::PLUGIN,
}

/// One part of the exchange's time, as in [`weir_model::Timings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // Named after the fields of `Timings`.
pub enum Timing {
    Blocked = 0,
    Dns = 1,
    Connect = 2,
    Tls = 3,
    Send = 4,
    Wait = 5,
    Receive = 6,
    Total = 7,
}

/// How a message body ended, as far as capture is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// The pieces are all of it.
    Whole,
    /// The pieces are its beginning.
    Cut,
    /// Nothing was kept; pieces, if any, are to be ignored.
    Not(WhyNot),
}

impl<'a> Writer<'a> {
    /// Begins a record at the end of `out`.
    pub fn start(out: &'a mut Vec<u8>, id: ExchangeId, started_at: Timestamp) -> Self {
        out.push(tag::VERSION);
        let mut writer = Self { out };
        writer.section(tag::ID, &[&id.to_bytes()]);
        writer.section(tag::STARTED_AT, &[&started_at.micros().to_le_bytes()]);
        writer
    }

    /// Goes on with the record at the end of `out`, begun with [`Writer::start`] and not finished.
    pub fn resume(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Ends the record.
    pub fn finish(self) {
        self.out.push(tag::END);
    }

    /// A text.
    pub fn text(&mut self, which: Text, text: &str) -> &mut Self {
        self.section(which as u8, &[text.as_bytes()])
    }

    /// A text when there is one.
    pub fn optional(&mut self, which: Text, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(which, text),
            None => self,
        }
    }

    /// There was a consumer; what is known of it comes as texts.
    pub fn consumer(&mut self) -> &mut Self {
        self.section(tag::CONSUMER, &[])
    }

    /// The caller's end of the connection.
    pub fn client(&mut self, peer: Peer) -> &mut Self {
        self.peer(tag::CLIENT, peer)
    }

    /// The end that answered.
    pub fn server(&mut self, peer: Peer) -> &mut Self {
        self.peer(tag::SERVER, peer)
    }

    /// Status of the answer. Without this section the exchange has no response.
    pub fn status(&mut self, status: u16) -> &mut Self {
        self.section(tag::STATUS, &[&status.to_le_bytes()])
    }

    /// Reason phrase of the answer.
    pub fn reason(&mut self, reason: &str) -> &mut Self {
        self.section(tag::REASON, &[reason.as_bytes()])
    }

    /// HTTP version of a message.
    pub fn version(&mut self, side: Side, version: &str) -> &mut Self {
        self.part(side, tag::PART_VERSION, version.as_bytes())
    }

    /// One header field.
    pub fn header(&mut self, side: Side, name: &str, value: &[u8]) -> &mut Self {
        self.named(side, tag::PART_HEADER, name, value)
    }

    /// One trailer field.
    pub fn trailer(&mut self, side: Side, name: &str, value: &[u8]) -> &mut Self {
        self.named(side, tag::PART_TRAILER, name, value)
    }

    /// Bytes of the head on the wire.
    pub fn headers_size(&mut self, side: Side, size: u64) -> &mut Self {
        self.part(side, tag::PART_HEADERS_SIZE, &size.to_le_bytes())
    }

    /// A piece of the body. A body in one piece is decoded without a copy.
    pub fn body(&mut self, side: Side, piece: &[u8]) -> &mut Self {
        self.part(side, tag::PART_BODY, piece)
    }

    /// Several slices of the body as one piece.
    pub fn body_slices<'s>(
        &mut self,
        side: Side,
        slices: impl Iterator<Item = &'s [u8]> + Clone,
    ) -> &mut Self {
        self.head(side.tag(tag::PART_BODY), slices.clone().map(<[u8]>::len).sum());
        for slice in slices {
            self.out.extend_from_slice(slice);
        }
        self
    }

    /// How the body ended. Without this section the pieces are the beginning of a body, and no piece means not known.
    pub fn body_end(&mut self, side: Side, end: BodyEnd) -> &mut Self {
        match end {
            BodyEnd::Whole => self.part(side, tag::PART_BODY_WHOLE, &[]),
            BodyEnd::Cut => self.part(side, tag::PART_BODY_CUT, &[]),
            BodyEnd::Not(why) => self.part(side, tag::PART_BODY_NOT, &[why_number(why)]),
        }
    }

    /// Bytes of the body that crossed the wire.
    pub fn body_size(&mut self, side: Side, size: u64) -> &mut Self {
        self.part(side, tag::PART_BODY_SIZE, &size.to_le_bytes())
    }

    /// Content coding of the pieces, as in a `Content-Encoding` header.
    pub fn coding(&mut self, side: Side, coding: &str) -> &mut Self {
        self.part(side, tag::PART_CODING, coding.as_bytes())
    }

    /// Media type given beside the body.
    pub fn media_type(&mut self, side: Side, media_type: &str) -> &mut Self {
        self.part(side, tag::PART_MEDIA_TYPE, media_type.as_bytes())
    }

    /// One part of the time; kept in nanoseconds, at most 584 years.
    pub fn timing(&mut self, which: Timing, time: Duration) -> &mut Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.section(tag::TIMING, &[&[which as u8], &nanos.to_le_bytes()])
    }

    /// How many calls this one stands for; 1 without this section.
    pub fn weight(&mut self, weight: u32) -> &mut Self {
        self.section(tag::WEIGHT, &[&weight.to_le_bytes()])
    }

    /// What the request means.
    pub fn operation(&mut self, operation: &Operation) -> &mut Self {
        let protocol = protocol_number(operation.protocol);
        self.section(tag::OPERATION, &[&[protocol], operation.template.as_bytes()]);
        for (tag, text) in [
            (tag::OPERATION_NAME, &operation.name),
            (tag::OPERATION_KIND, &operation.kind),
            (tag::OPERATION_ERROR, &operation.error),
        ] {
            if let Some(text) = text {
                self.section(tag, &[text.as_bytes()]);
            }
        }
        self
    }

    /// One thing a detector saw.
    pub fn finding(&mut self, finding: &Finding) -> &mut Self {
        let mut lengths = [0; 2 * MAX_LENGTH_BYTES];
        let (kind, location) = lengths.split_at_mut(MAX_LENGTH_BYTES);
        let kind_bytes = write_length(finding.kind.len(), kind);
        let location_bytes = write_length(finding.location.len(), location);
        self.section(
            tag::FINDING,
            &[
                &[severity_number(finding.severity)],
                &kind[..kind_bytes],
                finding.kind.as_bytes(),
                &location[..location_bytes],
                finding.location.as_bytes(),
                finding.evidence.as_bytes(),
            ],
        )
    }

    /// One attribute; a later one of the same name replaces it.
    pub fn attribute(&mut self, name: &str, value: &Value) -> &mut Self {
        let number;
        let (kind, bytes): (u8, &[u8]) = match value {
            Value::Bool(flag) => (if *flag { 1 } else { 0 }, &[]),
            Value::Integer(integer) => {
                number = integer.to_le_bytes();
                (2, &number)
            }
            Value::Float(float) => {
                number = float.to_le_bytes();
                (3, &number)
            }
            Value::Text(text) => (4, text.as_bytes()),
            Value::Json(text) => (5, text.as_bytes()),
        };
        if let Some((whole, length)) = short(2, name, bytes) {
            return self.pair(&[tag::ATTRIBUTE, whole, kind, length], name, bytes);
        }
        let mut length = [0; MAX_LENGTH_BYTES];
        let used = write_length(name.len(), &mut length);
        self.section(tag::ATTRIBUTE, &[&[kind], &length[..used], name.as_bytes(), bytes])
    }

    fn peer(&mut self, tag: u8, peer: Peer) -> &mut Self {
        let port = peer.port.map(u16::to_le_bytes);
        let port: &[u8] = port.as_ref().map_or(&[], |port| port);
        match peer.address {
            None => self.section(tag, &[&[0], port]),
            Some(IpAddr::V4(address)) => self.section(tag, &[&[4], &address.octets(), port]),
            Some(IpAddr::V6(address)) => self.section(tag, &[&[6], &address.octets(), port]),
        }
    }

    fn named(&mut self, side: Side, part: u8, name: &str, value: &[u8]) -> &mut Self {
        if let Some((whole, length)) = short(1, name, value) {
            return self.pair(&[side.tag(part), whole, length], name, value);
        }
        let mut length = [0; MAX_LENGTH_BYTES];
        let used = write_length(name.len(), &mut length);
        self.section(side.tag(part), &[&length[..used], name.as_bytes(), value])
    }

    /// A section of a name and a value with all that comes before them.
    fn pair(&mut self, head: &[u8], name: &str, value: &[u8]) -> &mut Self {
        self.out.reserve(head.len() + name.len() + value.len());
        self.out.extend_from_slice(head);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(value);
        self
    }

    fn part(&mut self, side: Side, part: u8, bytes: &[u8]) -> &mut Self {
        self.section(side.tag(part), &[bytes])
    }

    fn section(&mut self, tag: u8, pieces: &[&[u8]]) -> &mut Self {
        self.head(tag, pieces.iter().map(|piece| piece.len()).sum());
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self
    }

    fn head(&mut self, tag: u8, length: usize) {
        if let Ok(length @ 0..0x80) = u8::try_from(length) {
            return self.out.extend_from_slice(&[tag, length]);
        }
        let mut head = [tag; 1 + MAX_LENGTH_BYTES];
        let used = write_length(length, &mut head[1..]);
        self.out.extend_from_slice(&head[..=used]);
    }
}

impl Side {
    fn tag(self, part: u8) -> u8 {
        part + match self {
            Self::Request => tag::REQUEST_PART,
            Self::Response => tag::RESPONSE_PART,
        }
    }
}

/// The lengths of a section of so many bytes, a name and a value, and of the name, when each takes one byte as nearly always.
fn short(before: usize, name: &str, value: &[u8]) -> Option<(u8, u8)> {
    let whole = u8::try_from(before + name.len() + value.len()).ok().filter(|whole| *whole < 0x80)?;
    Some((whole, u8::try_from(name.len()).ok()?))
}

/// Bytes that a length takes at most: seven bits in each, lowest first.
const MAX_LENGTH_BYTES: usize = 10;

fn write_length(length: usize, out: &mut [u8]) -> usize {
    let mut rest = length as u64;
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            return index + 1;
        }
        *byte |= 0x80;
    }
    unreachable!("ten bytes hold any 64-bit length")
}

// The numbers below are part of the layout; they do not follow the order of the variants.

fn why_number(why: WhyNot) -> u8 {
    match why {
        WhyNot::Unknown => 0,
        WhyNot::Off => 1,
        WhyNot::Budget => 2,
        WhyNot::Stream => 3,
        WhyNot::TooLarge => 4,
        WhyNot::Unmaskable => 5,
    }
}

fn protocol_number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Rest => 0,
        Protocol::GraphQl => 1,
        Protocol::JsonRpc => 2,
        Protocol::Soap => 3,
        Protocol::Grpc => 4,
        Protocol::WebSocket => 5,
    }
}

fn severity_number(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}
