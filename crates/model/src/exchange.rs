//! The central type.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use compact_str::CompactString;
use uuid::Uuid;
use weir_kit::Timestamp;

use crate::{Attributes, Body, Finding, Headers, Operation, Timings};

/// One request and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Time-ordered and unique; the key of every store.
    pub id: ExchangeId,
    /// When the first byte of the request arrived.
    pub started_at: Timestamp,
    /// Whose traffic it is; the partition of every store.
    pub project: ProjectId,
    /// Which gateway node or which reporter saw it.
    pub origin: Origin,
    /// Kong's name (or id) of the service that answered.
    pub service: Option<CompactString>,
    /// Kong's name (or id) of the route that matched.
    pub route: Option<CompactString>,
    /// Who called, as authenticated by the gateway.
    pub consumer: Option<Consumer>,
    /// Who called, as the application or a rule knows them.
    pub identity: Identity,
    /// The caller's end of the connection, after real-IP processing.
    pub client: Peer,
    /// The end that answered: the gateway's local address, or what the reporter gave.
    pub server: Peer,
    /// What was asked.
    pub request: Request,
    /// What was answered; `None` when nobody answered.
    pub response: Option<Response>,
    /// Where the time went.
    pub timings: Timings,
    /// OpenTelemetry `error.type`: what went wrong on the way, such as `upstream.timeout`; not set for an ordinary
    /// answer, whatever its status.
    pub error: Option<CompactString>,
    /// What the request means; filled by the `identify` processor.
    pub operation: Option<Operation>,
    /// What detectors saw; filled by the `detect` processor.
    pub findings: Vec<Finding>,
    /// How many calls this one stands for: 1, or 1 / sampling rate. Counts and sums multiply by it.
    pub weight: u32,
    /// Ids of the gateway's plugin configurations that asked for this exchange; targets that belong to one of them are
    /// fed by it.
    pub plugins: Vec<CompactString>,
    /// All else that a format knows, by OpenTelemetry name or prefixed by the format (`tyk.org_id`).
    pub attributes: Attributes,
}

impl Exchange {
    /// An exchange that began at `started_at` with nothing else known; formats fill in what they have.
    pub fn new(id: ExchangeId, started_at: Timestamp, request: Request) -> Self {
        Self {
            id,
            started_at,
            project: ProjectId::default(),
            origin: Origin::default(),
            service: None,
            route: None,
            consumer: None,
            identity: Identity::default(),
            client: Peer::default(),
            server: Peer::default(),
            request,
            response: None,
            timings: Timings::default(),
            error: None,
            operation: None,
            findings: Vec::new(),
            weight: 1,
            plugins: Vec::new(),
            attributes: Attributes::default(),
        }
    }

    /// From the first byte of the request to the last byte of the answer, when known.
    pub fn duration(&self) -> Option<Duration> {
        self.timings.duration()
    }

    /// The status of the answer, when there was one.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }
}

/// A UUID version 7: ids sort by the start of their exchange (to the millisecond).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(Uuid);

impl ExchangeId {
    /// An id for an exchange that began at `started_at`, random below the millisecond.
    pub fn new(started_at: Timestamp) -> Self {
        Self::with_random(started_at, *Uuid::new_v4().as_bytes())
    }

    /// An id with given random bits. The same instant and bits give the same id, so a sender that repeats a batch
    /// under one key can be recognised.
    pub fn with_random(started_at: Timestamp, random: [u8; 16]) -> Self {
        let millis = u64::try_from(started_at.millis()).unwrap_or(0);
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[6..]);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The id with these bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes, most significant first; they sort like the ids.
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }
}

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExchangeId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// An owner of traffic, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub Arc<str>);

impl ProjectId {
    /// The project that exists on a fresh install.
    pub const DEFAULT: &'static str = "default";

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shared, because nearly every exchange has it.
static DEFAULT_PROJECT: LazyLock<ProjectId> = LazyLock::new(|| ProjectId::from(ProjectId::DEFAULT));

impl Default for ProjectId {
    fn default() -> Self {
        DEFAULT_PROJECT.clone()
    }
}

impl From<&str> for ProjectId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// Who saw the exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// How it reached weir: `gateway`, or the format that reported it (`galileo`, `har`, `access_log`, ...).
    pub source: CompactString,
    /// The gateway node, or the name and version of the reporting library.
    pub node: Option<CompactString>,
    /// The deployment environment it belongs to, as configured or reported.
    pub environment: Option<CompactString>,
}

/// Who called, as the gateway authenticated them (Kong's consumer).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consumer {
    /// Kong's id.
    pub id: Option<CompactString>,
    /// Kong's `username`.
    pub username: Option<CompactString>,
    /// Kong's `custom_id`.
    pub custom_id: Option<CompactString>,
    /// Id of the credential that was used; never the credential.
    pub credential: Option<CompactString>,
}

/// Who called, as the application or a rule knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: Option<CompactString>,
    /// The company or account the user belongs to.
    pub company: Option<CompactString>,
    /// The subscription the call is charged to.
    pub subscription: Option<CompactString>,
    /// A session or API key, hashed unless the reporter sent it in clear on purpose.
    pub session: Option<CompactString>,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address; IPv4-mapped addresses are stored as IPv4.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
}

impl Peer {
    /// A peer from an address, unmapping IPv4-in-IPv6.
    pub fn new(address: IpAddr, port: Option<u16>) -> Self {
        Self { address: Some(address.to_canonical()), port }
    }
}

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// As sent; usually upper case, but any token.
    pub method: CompactString,
    /// `http` or `https`, as the client used it.
    pub scheme: CompactString,
    /// Host as the client named it, lower case, with the port if it was given.
    pub host: CompactString,
    /// Path exactly as sent, never decoded. Empty only when the reporter gave none.
    pub path: CompactString,
    /// Everything after the first `?`, exactly as sent; `None` without a `?`.
    pub query: Option<CompactString>,
    /// `1.0`, `1.1`, `2` or `3` (OpenTelemetry `network.protocol.version`); empty when unknown.
    pub version: CompactString,
    /// In order, as received.
    pub headers: Headers,
    /// Bytes of the head on the wire, when the reporter gave it.
    pub headers_size: Option<u64>,
    /// Trailer fields, in order.
    pub trailers: Headers,
    /// The content.
    pub body: Body,
}

impl Request {
    /// Path and query as on the request line.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_string(),
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Status code; any number.
    pub status: u16,
    /// Reason phrase, when it was given.
    pub reason: Option<CompactString>,
    /// As in the request; empty when unknown.
    pub version: CompactString,
    /// In order, as sent to the client.
    pub headers: Headers,
    /// Bytes of the head on the wire, when the reporter gave it.
    pub headers_size: Option<u64>,
    /// Trailer fields, in order.
    pub trailers: Headers,
    /// The content.
    pub body: Body,
}
