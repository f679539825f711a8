//! Plugins: who may look at a call and change it on its way, in Kong's phases.
//!
//! **Who fills what.** This file defines the seam: [`Plugin`], [`Call`] and [`Chain`]. Each plugin is a folder beside it
//! and one line in the list of plugins; the Admin API side builds the plugins from their configurations and the
//! [`Chain`] of every route from Kong's precedence. The data plane (`proxy`) runs the chain.
//!
//! | phase | when | may |
//! |---|---|---|
//! | `rewrite` | head read, before routing; global plugins only | change the request |
//! | `access` | route known | wait, change the request, set the consumer, answer instead |
//! | `header_filter` | head of the answer known (from the service, the gateway or a plugin) | change it |
//! | `body_filter` | each piece of the answer's body | change it |
//! | `log` | the call has ended | look |
//! | `record` | the head of the answer known | say that the call leaves no record, or what the record says beside the call |

mod attributes;
mod correlation_id;
mod directory;
mod do_not_track;
mod endpoints;
mod exporter;
mod key_auth;
mod recording;
mod registry;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, request, response};
use weir_kit::{Secret, Timestamp};
use weir_model::{Attributes, ExchangeId, Identity, Peer};
use weir_pipeline::CaptureWish;

pub use directory::Directory;
pub use exporter::Asked;
pub use registry::{Configured, PLUGINS, PluginKind, PluginRegistry};

use crate::answer::Answer;
use crate::capture::redact::Names;
use crate::gateway_url::Bucketed;
use crate::snapshot::{HeldSnapshot, Route, Service};

/// One configured plugin. Shared by all workers; what belongs to a call lives in [`Call`].
#[async_trait(?Send)]
pub trait Plugin: Send + Sync {
    /// Id of its configuration (Kong's plugin id).
    fn id(&self) -> &Arc<str>;

    /// The phases it takes part in; the others are never called.
    fn phases(&self) -> Phases;

    /// What must be captured for it; `None` when it asks for no record.
    fn capture(&self) -> Option<CaptureWish> {
        None
    }

    /// What must be captured of bodies, if the call is recorded at all.
    fn bodies(&self) -> Option<CaptureWish> {
        None
    }

    /// Names of headers and query arguments that hold credentials for it; their values must not be recorded.
    fn credentials(&self) -> &[String] {
        &[]
    }

    /// Before routing.
    fn rewrite(&self, _call: &mut Call) {}

    /// Bytes of the request's body that must have come before `access`; 0 for none. A body of that size or less is then in
    /// [`Call::body`]. The call waits for it, as long as the client keeps sending.
    fn body_wanted(&self, _call: &Call) -> usize {
        0
    }

    /// Before the call goes on; `Some` answers in place of the service, and later plugins' `access` is not run.
    async fn access(&self, _call: &mut Call) -> Option<Answer> {
        None
    }

    /// When the head of the answer is known. `Content-Length` is not to be changed here.
    fn header_filter(&self, _call: &mut Call, _response: &mut response::Parts) {}

    /// For each piece of the answer's body; `last` with the final one, which may be empty.
    fn body_filter(&self, _call: &mut Call, piece: Bytes, _last: bool) -> Bytes {
        piece
    }

    /// Whether this call is to leave no record, whoever asks for one. Asked when the route is known and again when the answer
    /// is, because only then the consumer may be.
    fn untracked(&self, _call: &Call) -> bool {
        false
    }

    /// Before the record is written: what it is to say beside the call.
    fn annotate(&self, _call: &Call, _notes: &mut Notes) {}

    /// When the call has ended, however it did.
    fn log(&self, _call: &Call, _outcome: &CallOutcome) {}
}

/// A set of phases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases(u8);

impl Phases {
    /// No phase: the plugin only asks for records.
    pub const NONE: Self = Self(0);
    /// [`Plugin::rewrite`]
    pub const REWRITE: Self = Self(1);
    /// [`Plugin::access`]
    pub const ACCESS: Self = Self(2);
    /// [`Plugin::header_filter`]
    pub const HEADER_FILTER: Self = Self(4);
    /// [`Plugin::body_filter`]
    pub const BODY_FILTER: Self = Self(8);
    /// [`Plugin::log`]
    pub const LOG: Self = Self(16);
    /// [`Plugin::untracked`] and [`Plugin::annotate`]
    pub const RECORD: Self = Self(32);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this set has all phases of `other`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The plugins of a call in the order they run (highest priority first), at most one configuration of each that does not add up.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    slots: Vec<Slot>,
    phases: Phases,
    capture: Option<CaptureWish>,
    bodies: CaptureWish,
    depends_on_consumer: bool,
    credentials: Names,
}

impl Chain {
    /// A chain of these slots, in this order.
    pub fn new(slots: Vec<Slot>) -> Self {
        let plugins = || slots.iter().flat_map(Slot::all);
        let phases = plugins().fold(Phases::NONE, |phases, plugin| phases.and(plugin.phases()));
        let capture = plugins().filter_map(|plugin| plugin.capture()).reduce(widest);
        let bodies = plugins().filter_map(|plugin| plugin.bodies()).fold(CaptureWish::default(), widest);
        let depends_on_consumer = slots.iter().any(|slot| !slot.by_consumer.is_empty());
        let credentials = Names::new(plugins().flat_map(|plugin| plugin.credentials()).map(String::as_str));
        Self { slots, phases, capture, bodies, depends_on_consumer, credentials }
    }

    /// Whether any of its plugins has this phase.
    pub fn has(&self, phase: Phases) -> bool {
        self.phases.has(phase)
    }

    /// What is to be captured where `anyway` is captured in any case, as widely as any plugin wants that may run, whoever the
    /// consumer will be. `None`: no record.
    pub fn capture(&self, anyway: Option<CaptureWish>) -> Option<CaptureWish> {
        either(anyway, self.capture).map(|wish| widest(wish, self.bodies))
    }

    /// The same for a consumer, of plugins that do run.
    pub(crate) fn capture_of(
        &self,
        anyway: Option<CaptureWish>,
        consumer: Option<&str>,
    ) -> Option<CaptureWish> {
        if !self.depends_on_consumer {
            return self.capture(anyway);
        }
        let running = || self.slots.iter().filter_map(|slot| slot.pick(consumer));
        let wish = running().map(|plugin| plugin.capture()).fold(anyway, either)?;
        Some(running().filter_map(|plugin| plugin.bodies()).fold(wish, widest))
    }

    /// Names of headers and query arguments whose values must not be recorded, whoever the consumer will be.
    pub(crate) fn credentials(&self) -> &Names {
        &self.credentials
    }

    /// The slots in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The configurations that run for this consumer and have this phase.
    pub(crate) fn running<'a>(
        &'a self,
        phase: Phases,
        consumer: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<dyn Plugin>> {
        let slots = self.slots.iter().filter_map(move |slot| slot.pick(consumer));
        slots.filter(move |plugin| plugin.phases().has(phase))
    }

    /// Whether a plugin wants no record of this call.
    pub(crate) fn untracks(&self, call: &Call) -> bool {
        self.has(Phases::RECORD)
            && self.running(Phases::RECORD, call.consumer_id()).any(|plugin| plugin.untracked(call))
    }

    /// What plugins have to say about this call, beside what it is.
    pub(crate) fn notes(&self, call: &Call) -> Notes {
        let mut notes = Notes { attributes: call.attributes.clone(), tags: Vec::new() };
        for plugin in self.running(Phases::RECORD, call.consumer_id()) {
            plugin.annotate(call, &mut notes);
        }
        notes
    }

    /// Ids of the configurations that asked for a record of this call.
    pub(crate) fn asking<'a>(&'a self, consumer: Option<&'a str>) -> impl Iterator<Item = &'a Arc<str>> {
        let slots = self.slots.iter().filter_map(move |slot| slot.pick(consumer));
        slots.filter(|plugin| plugin.capture().is_some()).map(|plugin| plugin.id())
    }
}

fn either(a: Option<CaptureWish>, b: Option<CaptureWish>) -> Option<CaptureWish> {
    match (a, b) {
        (Some(a), Some(b)) => Some(widest(a, b)),
        (a, b) => a.or(b),
    }
}

/// The larger wish in each part.
fn widest(a: CaptureWish, b: CaptureWish) -> CaptureWish {
    CaptureWish {
        request_body_bytes: a.request_body_bytes.max(b.request_body_bytes),
        response_body_bytes: a.response_body_bytes.max(b.response_body_bytes),
    }
}

/// The configurations of one plugin that may run on a route; which one depends on the consumer.
///
/// Scopes that do not depend on the consumer (route, service, global) are already decided by precedence when the chain is
/// built: only the winner is here.
#[derive(Clone, Default)]
pub struct Slot {
    /// Runs for consumers without an entry below, and before a consumer is known.
    pub anyone: Option<Arc<dyn Plugin>>,
    /// By Kong's consumer id.
    pub by_consumer: HashMap<Arc<str>, Arc<dyn Plugin>>,
}

impl Slot {
    /// A slot that does not depend on the consumer.
    pub fn for_anyone(plugin: Arc<dyn Plugin>) -> Self {
        Self { anyone: Some(plugin), by_consumer: HashMap::new() }
    }

    /// The configuration that runs for this consumer.
    pub fn pick(&self, consumer: Option<&str>) -> Option<&Arc<dyn Plugin>> {
        if !self.by_consumer.is_empty()
            && let Some(plugin) = consumer.and_then(|id| self.by_consumer.get(id))
        {
            return Some(plugin);
        }
        self.anyone.as_ref()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Plugin>> {
        self.anyone.iter().chain(self.by_consumer.values())
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all().map(|plugin| plugin.id())).finish()
    }
}

/// One call, as plugins see and change it. Lives on one worker.
#[derive(Debug)]
pub struct Call {
    /// Id of the exchange; also the request id that is sent along.
    pub id: ExchangeId,
    /// When the first byte arrived.
    pub started_at: Timestamp,
    /// Who calls, after `trusted_ips`.
    pub client: Peer,
    /// Our end of the client's connection.
    pub local: Peer,
    /// Whether the client used TLS.
    pub tls: bool,
    /// The request as it will be sent on. Header changes go to the service and into the record.
    pub request: request::Parts,
    /// Who called, once a plugin has found out.
    pub consumer: Option<Rc<Authenticated>>,
    /// Who called, as a policy knows them; for the record.
    pub identity: Identity,
    /// What else a policy says of the call; for the record.
    pub attributes: Attributes,
    /// The whole body of the request, while a plugin that wanted it is asked.
    pub body: Option<Bytes>,
    /// Headers to set on the answer, whoever makes it.
    pub response_headers: HeaderMap,
    /// What plugins keep from one phase to the next, by type.
    pub kept: Extensions,
    /// The configuration this call began with.
    pub snapshot: HeldSnapshot,
    /// Index of the route, once it is known.
    pub route: Option<usize>,
    /// How many bytes the route matched of the path in its normal form.
    pub matched_prefix: usize,
    /// Where the call goes instead of a route's service, when it came under a gateway URL.
    pub bucketed: Option<Rc<Bucketed>>,
}

impl Call {
    /// The route that matched.
    pub fn route(&self) -> Option<&Route> {
        if let Some(bucketed) = &self.bucketed {
            return Some(&bucketed.route);
        }
        self.snapshot.routes.get(self.route?)
    }

    /// The service of the route.
    pub fn service(&self) -> Option<&Service> {
        if let Some(bucketed) = &self.bucketed {
            return Some(&bucketed.service);
        }
        self.snapshot.service_of(self.route?)
    }

    /// Id of the consumer, when one was found.
    pub fn consumer_id(&self) -> Option<&str> {
        self.consumer.as_ref()?.id.as_deref()
    }
}

/// Who called, as an authentication plugin found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authenticated {
    /// Kong's consumer id.
    pub id: Option<Arc<str>>,
    /// Kong's `username`.
    pub username: Option<Arc<str>>,
    /// Kong's `custom_id`.
    pub custom_id: Option<Arc<str>>,
    /// Id of the credential.
    pub credential: Option<Arc<str>>,
    /// The credential, where it is a key. Never recorded.
    pub key: Option<Arc<Secret>>,
    /// Whether this is the consumer named by `anonymous`.
    pub anonymous: bool,
}

/// What a record says beside the call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    /// Facts by name.
    pub attributes: Attributes,
    /// Tags, in order.
    pub tags: Vec<Tag>,
}

/// A tag of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// The tag.
    Plain(String),
    /// One for each value of a request header: `name-value`.
    OfHeader(HeaderName),
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOutcome {
    /// Status as sent; 499 when the client left before there was one.
    pub status: u16,
    /// `error.type`, when something went wrong.
    pub error: Option<&'static str>,
    /// Bytes of the request's body.
    pub request_size: u64,
    /// Bytes of the answer's body.
    pub response_size: u64,
}
