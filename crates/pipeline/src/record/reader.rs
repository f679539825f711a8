//! Reading a record back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use weir_kit::Timestamp;
use weir_model::body::ContentCoding;
use weir_model::{
    Body, Captured, CompactString, Consumer, Exchange, ExchangeId, Finding, Headers, Operation, Peer,
    ProjectId, Protocol, Request, Response, Severity, Timings, Value, WhyNot,
};

use super::tag;

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Written by a later weir.
    #[error("record of version {0}; this weir reads version 1")]
    Version(u8),
    /// The bytes end before the record does, or go on after it.
    #[error("record broken at byte {0}: it ends too early or too late")]
    Length(usize),
    /// A section does not hold what it must.
    #[error("section {tag} of the record, ending at byte {end}, is not valid")]
    Section {
        /// Its number.
        tag: u8,
        /// Where it ends.
        end: usize,
    },
    /// A section that every record has is missing.
    #[error("the record has no {0}")]
    Missing(&'static str),
}

/// Reads one record. Header values and bodies share the memory of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Exchange, BadRecord> {
    let mut parts = Parts::default();
    let mut sections = Sections::new(&bytes)?;
    while let Some((tag, range)) = sections.next()? {
        let end = range.end;
        parts.take(tag, &bytes, range).ok_or(BadRecord::Section { tag, end })?;
    }
    parts.into_exchange()
}

/// What a filter needs to know of a record, without decoding the rest of it: `test` is called with the project, if it
/// is not the default one, and with every plugin id, until it says yes.
pub(crate) fn any_owner(bytes: &[u8], mut test: impl FnMut(Owner<'_>) -> bool) -> Result<bool, BadRecord> {
    let mut sections = Sections::new(bytes)?;
    let mut project = ProjectId::DEFAULT.as_bytes();
    while let Some((tag, range)) = sections.next()? {
        match tag {
            tag::PROJECT => project = &bytes[range],
            tag::PLUGIN if test(Owner::Plugin(&bytes[range])) => return Ok(true),
            _ => {}
        }
    }
    Ok(test(Owner::Project(project)))
}

/// One thing by which a record can be claimed.
pub(crate) enum Owner<'a> {
    Project(&'a [u8]),
    Plugin(&'a [u8]),
}

/// Walks the sections of a record.
struct Sections<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Sections<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        match bytes.first() {
            Some(&tag::VERSION) => Ok(Self { bytes, at: 1 }),
            Some(&other) => Err(BadRecord::Version(other)),
            None => Err(BadRecord::Length(0)),
        }
    }

    /// The next section; `None` at the end mark, which must be the last byte.
    fn next(&mut self) -> Result<Option<(u8, std::ops::Range<usize>)>, BadRecord> {
        let broken = BadRecord::Length(self.at);
        let Some(&tag) = self.bytes.get(self.at) else { return Err(broken) };
        self.at += 1;
        if tag == tag::END {
            return if self.at == self.bytes.len() { Ok(None) } else { Err(broken) };
        }
        let Some((length, used)) = read_length(&self.bytes[self.at..]) else { return Err(broken) };
        let start = self.at + used;
        let Some(end) = start.checked_add(length).filter(|end| *end <= self.bytes.len()) else {
            return Err(broken);
        };
        self.at = end;
        Ok(Some((tag, start..end)))
    }
}

/// A length and how many bytes it took.
fn read_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        let low = u64::from(byte & 0x7f);
        if index == 9 && low > 1 {
            return None;
        }
        value |= low << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, index + 1));
        }
    }
    None
}

/// An exchange in the making.
struct Parts {
    id: Option<ExchangeId>,
    started_at: Option<Timestamp>,
    exchange: Exchange,
    answered: bool,
    request: Message,
    response: Message,
    reason: Option<CompactString>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            id: None,
            started_at: None,
            exchange: Exchange::new(
                ExchangeId::from_bytes([0; 16]),
                Timestamp::default(),
                Request::default(),
            ),
            answered: false,
            request: Message::default(),
            response: Message::default(),
            reason: None,
        }
    }
}

impl Parts {
    /// Takes in one section; `None` when it does not hold what it must.
    fn take(&mut self, tag: u8, bytes: &Bytes, range: std::ops::Range<usize>) -> Option<()> {
        let raw = &bytes[range.clone()];
        let exchange = &mut self.exchange;
        match tag {
            tag::ID => self.id = Some(ExchangeId::from_bytes(raw.try_into().ok()?)),
            tag::STARTED_AT => {
                let micros = i64::from_le_bytes(raw.try_into().ok()?);
                self.started_at = Some(Timestamp::from_micros(micros));
            }
            tag::PROJECT if raw == exchange.project.as_str().as_bytes() => {}
            tag::PROJECT => exchange.project = std::str::from_utf8(raw).ok()?.into(),
            tag::ORIGIN_SOURCE => exchange.origin.source = text(raw)?,
            tag::ORIGIN_NODE => exchange.origin.node = Some(text(raw)?),
            tag::ORIGIN_ENVIRONMENT => exchange.origin.environment = Some(text(raw)?),
            tag::SERVICE => exchange.service = Some(text(raw)?),
            tag::ROUTE => exchange.route = Some(text(raw)?),
            tag::CONSUMER..=tag::CONSUMER_CREDENTIAL => {
                take_consumer(exchange.consumer.get_or_insert_default(), tag, raw)?;
            }
            tag::USER => exchange.identity.user = Some(text(raw)?),
            tag::COMPANY => exchange.identity.company = Some(text(raw)?),
            tag::SUBSCRIPTION => exchange.identity.subscription = Some(text(raw)?),
            tag::SESSION => exchange.identity.session = Some(text(raw)?),
            tag::CLIENT => exchange.client = peer(raw)?,
            tag::SERVER => exchange.server = peer(raw)?,
            tag::METHOD => exchange.request.method = text(raw)?,
            tag::SCHEME => exchange.request.scheme = text(raw)?,
            tag::HOST => exchange.request.host = text(raw)?,
            tag::PATH => exchange.request.path = text(raw)?,
            tag::QUERY => exchange.request.query = Some(text(raw)?),
            tag::STATUS => {
                let status = u16::from_le_bytes(raw.try_into().ok()?);
                exchange.response = Some(Response { status, ..Response::default() });
                self.answered = true;
            }
            tag::REASON => self.reason = Some(text(raw)?),
            tag::TIMING => take_timing(&mut exchange.timings, raw)?,
            tag::ERROR => exchange.error = Some(text(raw)?),
            tag::OPERATION..=tag::OPERATION_ERROR => {
                take_operation(exchange.operation.get_or_insert_with(nameless_operation), tag, raw)?;
            }
            tag::FINDING => exchange.findings.push(finding(raw)?),
            tag::WEIGHT => exchange.weight = u32::from_le_bytes(raw.try_into().ok()?),
            tag::PLUGIN => exchange.plugins.push(text(raw)?),
            tag::ATTRIBUTE => {
                let (name, value) = attribute(raw)?;
                exchange.attributes.set(name, value);
            }
            tag::REQUEST_PART..tag::RESPONSE_PART => {
                self.request.take(tag - tag::REQUEST_PART, bytes, range)?;
            }
            tag::RESPONSE_PART..=tag::LAST_PART => {
                self.response.take(tag - tag::RESPONSE_PART, bytes, range)?;
            }
            _ => {}
        }
        Some(())
    }

    fn into_exchange(self) -> Result<Exchange, BadRecord> {
        let mut exchange = self.exchange;
        exchange.id = self.id.ok_or(BadRecord::Missing("id"))?;
        exchange.started_at = self.started_at.ok_or(BadRecord::Missing("start time"))?;
        let request = &mut exchange.request;
        request.body = self.request.body.finish();
        request.version = self.request.version;
        request.headers = self.request.headers;
        request.headers_size = self.request.headers_size;
        request.trailers = self.request.trailers;
        if let (true, Some(response)) = (self.answered, &mut exchange.response) {
            response.reason = self.reason;
            response.body = self.response.body.finish();
            response.version = self.response.version;
            response.headers = self.response.headers;
            response.headers_size = self.response.headers_size;
            response.trailers = self.response.trailers;
        }
        Ok(exchange)
    }
}

/// What a request and a response both have.
#[derive(Default)]
struct Message {
    version: CompactString,
    headers: Headers,
    headers_size: Option<u64>,
    trailers: Headers,
    body: BodyParts,
}

impl Message {
    fn take(&mut self, part: u8, bytes: &Bytes, range: std::ops::Range<usize>) -> Option<()> {
        let raw = &bytes[range.clone()];
        match part {
            tag::PART_VERSION => self.version = text(raw)?,
            tag::PART_HEADER => push_named(&mut self.headers, bytes, range)?,
            tag::PART_HEADERS_SIZE => {
                self.headers_size = Some(u64::from_le_bytes(raw.try_into().ok()?));
            }
            tag::PART_TRAILER => push_named(&mut self.trailers, bytes, range)?,
            tag::PART_BODY_SIZE => {
                self.body.body.size = Some(u64::from_le_bytes(raw.try_into().ok()?));
            }
            tag::PART_BODY => self.body.push(bytes.slice(range)),
            tag::PART_BODY_WHOLE => self.body.end = Some(End::Whole),
            tag::PART_BODY_CUT => self.body.end = Some(End::Cut),
            tag::PART_BODY_NOT => self.body.end = Some(End::Not(why(*raw.first()?))),
            tag::PART_CODING => {
                self.body.body.coding = ContentCoding::of_header(Some(std::str::from_utf8(raw).ok()?));
            }
            tag::PART_MEDIA_TYPE => self.body.body.media_type = Some(text(raw)?),
            _ => {}
        }
        Some(())
    }
}

#[derive(Default)]
struct BodyParts {
    body: Body,
    first: Option<Bytes>,
    /// All pieces in one, once there are two.
    joined: Vec<u8>,
    end: Option<End>,
}

enum End {
    Whole,
    Cut,
    Not(WhyNot),
}

impl BodyParts {
    fn push(&mut self, piece: Bytes) {
        match &self.first {
            None => self.first = Some(piece),
            Some(first) => {
                if self.joined.is_empty() {
                    self.joined.extend_from_slice(first);
                }
                self.joined.extend_from_slice(&piece);
            }
        }
    }

    fn finish(self) -> Body {
        let Self { mut body, first, joined, end } = self;
        let pieces = if joined.is_empty() { first } else { Some(joined.into()) };
        body.captured = match (end, pieces) {
            (Some(End::Not(why)), _) => Captured::No(why),
            (Some(End::Whole), pieces) => Captured::Whole(pieces.unwrap_or_default()),
            (Some(End::Cut), pieces) => Captured::Cut(pieces.unwrap_or_default()),
            (None, Some(pieces)) => Captured::Cut(pieces),
            (None, None) => Captured::default(),
        };
        body
    }
}

fn text(raw: &[u8]) -> Option<CompactString> {
    CompactString::from_utf8(raw).ok()
}

/// Splits off a text that is preceded by its length.
fn prefixed(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, used) = read_length(raw)?;
    raw.get(used..)?.split_at_checked(length)
}

fn push_named(headers: &mut Headers, bytes: &Bytes, range: std::ops::Range<usize>) -> Option<()> {
    let (name, value) = prefixed(&bytes[range.clone()])?;
    headers.push(text(name)?, bytes.slice(range.end - value.len()..range.end));
    Some(())
}

fn take_consumer(consumer: &mut Consumer, tag: u8, raw: &[u8]) -> Option<()> {
    match tag {
        tag::CONSUMER_ID => consumer.id = Some(text(raw)?),
        tag::CONSUMER_USERNAME => consumer.username = Some(text(raw)?),
        tag::CONSUMER_CUSTOM_ID => consumer.custom_id = Some(text(raw)?),
        tag::CONSUMER_CREDENTIAL => consumer.credential = Some(text(raw)?),
        _ => {}
    }
    Some(())
}

fn take_timing(timings: &mut Timings, raw: &[u8]) -> Option<()> {
    let (which, nanos) = raw.split_first()?;
    let time = Some(Duration::from_nanos(u64::from_le_bytes(nanos.try_into().ok()?)));
    match which {
        0 => timings.blocked = time,
        1 => timings.dns = time,
        2 => timings.connect = time,
        3 => timings.tls = time,
        4 => timings.send = time,
        5 => timings.wait = time,
        6 => timings.receive = time,
        7 => timings.total = time,
        _ => {}
    }
    Some(())
}

fn nameless_operation() -> Operation {
    Operation {
        protocol: Protocol::Rest,
        template: CompactString::default(),
        name: None,
        kind: None,
        error: None,
    }
}

fn take_operation(operation: &mut Operation, tag: u8, raw: &[u8]) -> Option<()> {
    match tag {
        tag::OPERATION => {
            let (protocol, template) = raw.split_first()?;
            operation.protocol = match protocol {
                1 => Protocol::GraphQl,
                2 => Protocol::JsonRpc,
                3 => Protocol::Soap,
                4 => Protocol::Grpc,
                5 => Protocol::WebSocket,
                _ => Protocol::Rest,
            };
            operation.template = text(template)?;
        }
        tag::OPERATION_NAME => operation.name = Some(text(raw)?),
        tag::OPERATION_KIND => operation.kind = Some(text(raw)?),
        _ => operation.error = Some(text(raw)?),
    }
    Some(())
}

fn finding(raw: &[u8]) -> Option<Finding> {
    let (severity, rest) = raw.split_first()?;
    let (kind, rest) = prefixed(rest)?;
    let (location, evidence) = prefixed(rest)?;
    let severity = match severity {
        0 => Severity::Info,
        1 => Severity::Warning,
        _ => Severity::Critical,
    };
    Some(Finding { kind: text(kind)?, severity, location: text(location)?, evidence: text(evidence)? })
}

fn attribute(raw: &[u8]) -> Option<(String, Value)> {
    let (kind, rest) = raw.split_first()?;
    let (name, value) = prefixed(rest)?;
    let value = match kind {
        0 => Value::Bool(false),
        1 => Value::Bool(true),
        2 => Value::Integer(i64::from_le_bytes(value.try_into().ok()?)),
        3 => Value::Float(f64::from_le_bytes(value.try_into().ok()?)),
        4 => Value::Text(text(value)?),
        5 => Value::Json(text(value)?),
        _ => return None,
    };
    Some((text(name)?.into_string(), value))
}

fn peer(raw: &[u8]) -> Option<Peer> {
    let (family, rest) = raw.split_first()?;
    let (address, port): (Option<IpAddr>, &[u8]) = match family {
        0 => (None, rest),
        4 => {
            let (octets, port) = rest.split_first_chunk::<4>()?;
            (Some(Ipv4Addr::from(*octets).into()), port)
        }
        6 => {
            let (octets, port) = rest.split_first_chunk::<16>()?;
            (Some(Ipv6Addr::from(*octets).into()), port)
        }
        _ => return None,
    };
    let port = match port {
        [] => None,
        port => Some(u16::from_le_bytes(port.try_into().ok()?)),
    };
    Some(Peer { address, port })
}

fn why(number: u8) -> WhyNot {
    match number {
        1 => WhyNot::Off,
        2 => WhyNot::Budget,
        3 => WhyNot::Stream,
        4 => WhyNot::TooLarge,
        5 => WhyNot::Unmaskable,
        _ => WhyNot::Unknown,
    }
}
