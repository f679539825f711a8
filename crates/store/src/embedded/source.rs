//! The stored form of an exchange: complete and lossless, read whole.
//!
//! A version byte, then every field of [`Exchange`] in the order of the model: numbers as LEB128, text and bytes after
//! their length, options after a presence byte. A new field is added at the end under a new version.

use std::net::IpAddr;
use std::time::Duration;

use bytes::{Buf, Bytes};
use weir_kit::Timestamp;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::{
    Attributes, Body, Captured, CompactString, Consumer, Exchange, ExchangeId, Finding, Headers, Identity,
    Operation, Origin, Peer, ProjectId, Protocol, Request, Response, Severity, Timings, Value, WhyNot,
};

const VERSION: u8 = 1;

/// Stored bytes that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("stored exchange is broken: {0}")]
pub(crate) struct Broken(&'static str);

/// Writes an exchange.
pub(crate) fn encode(exchange: &Exchange) -> Vec<u8> {
    let mut out = Writer(Vec::with_capacity(1_024));
    out.byte(VERSION);
    out.0.extend_from_slice(&exchange.id.to_bytes());
    out.signed(exchange.started_at.micros());
    out.text(exchange.project.as_str());
    out.text(&exchange.origin.source);
    out.optional_text(exchange.origin.node.as_ref());
    out.optional_text(exchange.origin.environment.as_ref());
    out.optional_text(exchange.service.as_ref());
    out.optional_text(exchange.route.as_ref());
    out.option(exchange.consumer.as_ref(), |out, consumer| {
        for text in [&consumer.id, &consumer.username, &consumer.custom_id, &consumer.credential] {
            out.optional_text(text.as_ref());
        }
    });
    let Identity { user, company, subscription, session } = &exchange.identity;
    for text in [user, company, subscription, session] {
        out.optional_text(text.as_ref());
    }
    out.peer(exchange.client);
    out.peer(exchange.server);
    out.request(&exchange.request);
    out.option(exchange.response.as_ref(), Writer::response);
    for duration in durations(&exchange.timings) {
        out.option(duration, |out, duration| {
            out.number(duration.as_secs());
            out.number(duration.subsec_nanos().into());
        });
    }
    out.optional_text(exchange.error.as_ref());
    out.option(exchange.operation.as_ref(), Writer::operation);
    out.list(exchange.findings.iter(), |out, finding| {
        out.text(&finding.kind);
        out.variant(&Severity::ALL, &finding.severity);
        out.text(&finding.location);
        out.text(&finding.evidence);
    });
    out.number(exchange.weight.into());
    out.list(exchange.plugins.iter(), |out, plugin| out.text(plugin));
    out.number(exchange.attributes.len() as u64);
    for (name, value) in exchange.attributes.iter() {
        out.text(name);
        out.value(value);
    }
    out.0
}

fn durations(timings: &Timings) -> [Option<Duration>; 8] {
    let Timings { blocked, dns, connect, tls, send, wait, receive, total } = *timings;
    [blocked, dns, connect, tls, send, wait, receive, total]
}

/// Reads an exchange; its bodies and header values share `bytes`.
pub(crate) fn decode(bytes: Bytes) -> Result<Exchange, Broken> {
    let mut from = Reader(bytes);
    if from.byte()? != VERSION {
        return Err(Broken("unknown version"));
    }
    Ok(Exchange {
        id: ExchangeId::from_bytes(from.take(16)?.as_ref().try_into().map_err(|_| Broken("id"))?),
        started_at: Timestamp::from_micros(from.signed()?),
        project: ProjectId::from(from.text()?.as_str()),
        origin: Origin {
            source: from.text()?,
            node: from.optional_text()?,
            environment: from.optional_text()?,
        },
        service: from.optional_text()?,
        route: from.optional_text()?,
        consumer: from.option(|from| {
            Ok(Consumer {
                id: from.optional_text()?,
                username: from.optional_text()?,
                custom_id: from.optional_text()?,
                credential: from.optional_text()?,
            })
        })?,
        identity: Identity {
            user: from.optional_text()?,
            company: from.optional_text()?,
            subscription: from.optional_text()?,
            session: from.optional_text()?,
        },
        client: from.peer()?,
        server: from.peer()?,
        request: from.request()?,
        response: from.option(Reader::response)?,
        timings: from.timings()?,
        error: from.optional_text()?,
        operation: from.option(Reader::operation)?,
        findings: from.list(|from| {
            Ok(Finding {
                kind: from.text()?,
                severity: from.variant(&Severity::ALL)?,
                location: from.text()?,
                evidence: from.text()?,
            })
        })?,
        weight: from.number()?.try_into().map_err(|_| Broken("weight"))?,
        plugins: from.list(Reader::text)?,
        attributes: from.attributes()?,
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    /// Zigzag: small magnitudes stay short.
    fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63) as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn optional_text(&mut self, text: Option<&CompactString>) {
        self.option(text, |out, text| out.text(text));
    }

    fn optional_number(&mut self, number: Option<u64>) {
        self.option(number, Self::number);
    }

    fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    fn variant<T: PartialEq>(&mut self, all: &[T], one: &T) {
        self.byte(all.iter().position(|other| other == one).map_or(u8::MAX, |index| index as u8));
    }

    fn peer(&mut self, peer: Peer) {
        match peer.address {
            None => self.byte(0),
            Some(IpAddr::V4(address)) => {
                self.byte(4);
                self.0.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                self.byte(6);
                self.0.extend_from_slice(&address.octets());
            }
        }
        self.optional_number(peer.port.map(u64::from));
    }

    fn headers(&mut self, headers: &Headers) {
        self.list(headers.0.iter(), |out, (name, value)| {
            out.text(name);
            out.bytes(value);
        });
    }

    fn request(&mut self, request: &Request) {
        for text in [&request.method, &request.scheme, &request.host, &request.path] {
            self.text(text);
        }
        self.optional_text(request.query.as_ref());
        self.text(&request.version);
        self.headers(&request.headers);
        self.optional_number(request.headers_size);
        self.headers(&request.trailers);
        self.body(&request.body);
    }

    fn response(&mut self, response: &Response) {
        self.number(response.status.into());
        self.optional_text(response.reason.as_ref());
        self.text(&response.version);
        self.headers(&response.headers);
        self.optional_number(response.headers_size);
        self.headers(&response.trailers);
        self.body(&response.body);
    }

    fn body(&mut self, body: &Body) {
        self.optional_number(body.size);
        match &body.captured {
            Captured::No(why) => {
                self.byte(0);
                self.variant(&WhyNot::ALL, why);
            }
            Captured::Whole(bytes) => {
                self.byte(1);
                self.bytes(bytes);
            }
            Captured::Cut(bytes) => {
                self.byte(2);
                self.bytes(bytes);
            }
        }
        match &body.coding {
            ContentCoding::Known(coding) => self.variant(&CODINGS, coding),
            ContentCoding::Other(name) => {
                self.byte(u8::MAX);
                self.text(name);
            }
        }
        self.optional_text(body.media_type.as_ref());
    }

    fn operation(&mut self, operation: &Operation) {
        self.variant(&Protocol::ALL, &operation.protocol);
        self.text(&operation.template);
        for text in [&operation.name, &operation.kind, &operation.error] {
            self.optional_text(text.as_ref());
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(flag) => {
                self.byte(0);
                self.byte((*flag).into());
            }
            Value::Integer(number) => {
                self.byte(1);
                self.signed(*number);
            }
            Value::Float(number) => {
                self.byte(2);
                self.0.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Value::Text(text) => {
                self.byte(3);
                self.text(text);
            }
            Value::Json(text) => {
                self.byte(4);
                self.text(text);
            }
        }
    }
}

/// The place of a coding in this list is its number.
const CODINGS: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli];

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Result<Bytes, Broken> {
        if count > self.0.remaining() {
            return Err(Broken("it ends too early"));
        }
        Ok(self.0.split_to(count))
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        self.0.try_get_u8().map_err(|_| Broken("it ends too early"))
    }

    fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken("a number is too long"))
    }

    fn signed(&mut self) -> Result<i64, Broken> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn bytes(&mut self) -> Result<Bytes, Broken> {
        let length = self.number()?.try_into().map_err(|_| Broken("a length is too large"))?;
        self.take(length)
    }

    fn text(&mut self) -> Result<CompactString, Broken> {
        let bytes = self.bytes()?;
        CompactString::from_utf8(&bytes).map_err(|_| Broken("text is not UTF-8"))
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Broken>) -> Result<Option<T>, Broken> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Broken("a presence byte is neither 0 nor 1")),
        }
    }

    fn optional_text(&mut self) -> Result<Option<CompactString>, Broken> {
        self.option(Self::text)
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, Broken>) -> Result<Vec<T>, Broken> {
        let count = self.number()?;
        (0..count).map(|_| read(self)).collect()
    }

    fn variant<T: Copy>(&mut self, all: &[T]) -> Result<T, Broken> {
        all.get(usize::from(self.byte()?)).copied().ok_or(Broken("unknown variant"))
    }

    fn peer(&mut self) -> Result<Peer, Broken> {
        let address = match self.byte()? {
            0 => None,
            4 => Some(IpAddr::from(
                <[u8; 4]>::try_from(self.take(4)?.as_ref()).map_err(|_| Broken("address"))?,
            )),
            6 => Some(IpAddr::from(
                <[u8; 16]>::try_from(self.take(16)?.as_ref()).map_err(|_| Broken("address"))?,
            )),
            _ => return Err(Broken("unknown kind of address")),
        };
        let port = self.option(Self::number)?.map(u16::try_from).transpose().map_err(|_| Broken("port"))?;
        Ok(Peer { address, port })
    }

    fn headers(&mut self) -> Result<Headers, Broken> {
        self.list(|from| Ok((from.text()?, from.bytes()?))).map(Headers)
    }

    fn request(&mut self) -> Result<Request, Broken> {
        Ok(Request {
            method: self.text()?,
            scheme: self.text()?,
            host: self.text()?,
            path: self.text()?,
            query: self.optional_text()?,
            version: self.text()?,
            headers: self.headers()?,
            headers_size: self.option(Self::number)?,
            trailers: self.headers()?,
            body: self.body()?,
        })
    }

    fn response(&mut self) -> Result<Response, Broken> {
        Ok(Response {
            status: self.number()?.try_into().map_err(|_| Broken("status"))?,
            reason: self.optional_text()?,
            version: self.text()?,
            headers: self.headers()?,
            headers_size: self.option(Self::number)?,
            trailers: self.headers()?,
            body: self.body()?,
        })
    }

    fn body(&mut self) -> Result<Body, Broken> {
        let size = self.option(Self::number)?;
        let captured = match self.byte()? {
            0 => Captured::No(self.variant(&WhyNot::ALL)?),
            1 => Captured::Whole(self.bytes()?),
            2 => Captured::Cut(self.bytes()?),
            _ => return Err(Broken("unknown capture")),
        };
        let coding = match self.byte()? {
            u8::MAX => ContentCoding::Other(self.text()?),
            index => ContentCoding::Known(*CODINGS.get(usize::from(index)).ok_or(Broken("unknown coding"))?),
        };
        Ok(Body { size, captured, coding, media_type: self.optional_text()? })
    }

    fn timings(&mut self) -> Result<Timings, Broken> {
        Ok(Timings {
            blocked: self.duration()?,
            dns: self.duration()?,
            connect: self.duration()?,
            tls: self.duration()?,
            send: self.duration()?,
            wait: self.duration()?,
            receive: self.duration()?,
            total: self.duration()?,
        })
    }

    fn duration(&mut self) -> Result<Option<Duration>, Broken> {
        self.option(|from| {
            let seconds = from.number()?;
            let nanos = from.number()?;
            let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
            Ok(Duration::new(seconds, nanos.ok_or(Broken("nanoseconds"))?))
        })
    }

    fn operation(&mut self) -> Result<Operation, Broken> {
        Ok(Operation {
            protocol: self.variant(&Protocol::ALL)?,
            template: self.text()?,
            name: self.optional_text()?,
            kind: self.optional_text()?,
            error: self.optional_text()?,
        })
    }

    fn attributes(&mut self) -> Result<Attributes, Broken> {
        let mut attributes = Attributes::default();
        for _ in 0..self.number()? {
            let name = self.text()?;
            attributes.set(name, self.value()?);
        }
        Ok(attributes)
    }

    fn value(&mut self) -> Result<Value, Broken> {
        Ok(match self.byte()? {
            0 => Value::Bool(self.byte()? != 0),
            1 => Value::Integer(self.signed()?),
            2 => Value::Float(f64::from_bits(
                self.0.try_get_u64_le().map_err(|_| Broken("it ends too early"))?,
            )),
            3 => Value::Text(self.text()?),
            4 => Value::Json(self.text()?),
            _ => return Err(Broken("unknown kind of value")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, odd_exchange};

    #[test]
    fn exchanges_come_back_and_broken_bytes_are_refused() {
        let mut random = Random::seeded(7);
        for _ in 0..200 {
            let mut exchange = odd_exchange(&mut random);
            exchange.timings.dns = Some(Duration::MAX);
            exchange.server = Peer::new([0xfd, 0, 0, 0, 0, 0, 0, 1].into(), None);
            exchange.started_at = Timestamp::from_micros(random.number() as i64);
            exchange.weight = random.number() as u32;
            let bytes = encode(&exchange);
            assert_eq!(decode(bytes.clone().into()).unwrap(), exchange);
            let cut = random.below(bytes.len() as u64) as usize;
            assert!(decode(bytes[..cut].to_vec().into()).is_err());
            let mut changed = bytes;
            changed[cut] ^= 1 << random.below(8);
            let _outcome = decode(changed.into());
        }
    }
}
