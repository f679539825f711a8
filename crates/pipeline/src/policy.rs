//! What an exporter has to say about a call while it is under way: who calls, whether it may pass, what is added to it.
//!
//! Capture and delivery need none of this. It is for formats whose original took part in the call itself: it named the
//! caller from what only the live request shows, or answered in place of the service. The gateway asks; it knows no format.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use weir_kit::Secret;
use weir_model::{ExchangeId, Identity, Peer, Value};

/// Decides on calls. Asked on the path of every call: it never waits, and decides on what it knows already. Whatever goes
/// wrong inside lets the call pass.
pub trait Policy: Send + Sync {
    /// Bytes of the request's body to be seen before [`Policy::request`] can decide; 0 for none. A body that is longer is
    /// not shown. Asked without the body.
    fn body_wanted(&self, _call: &PolicyCall<'_>) -> usize {
        0
    }

    /// What is to be done with a call whose request is known, before it goes on.
    fn request(&self, call: &PolicyCall<'_>) -> Verdict;

    /// Whether [`Policy::response`] has anything to say.
    fn reads_responses(&self) -> bool {
        false
    }

    /// What the head of a service's answer tells of the caller, where the request did not.
    fn response(&self, _headers: &HeaderMap) -> Identity {
        Identity::default()
    }
}

/// A call, as far as a policy may see it. Nothing is masked.
#[derive(Debug, Clone, Copy)]
pub struct PolicyCall<'a> {
    /// Id of the exchange.
    pub id: ExchangeId,
    /// Method.
    pub method: &'a Method,
    /// Target as the client sent it, without credentials that other plugins took off.
    pub uri: &'a Uri,
    /// `Host` as the client sent it.
    pub host: &'a str,
    /// Hosts that the gateway's route is configured for.
    pub route_hosts: &'a [String],
    /// Whether the client uses TLS.
    pub tls: bool,
    /// Headers, with those that other plugins added.
    pub headers: &'a HeaderMap,
    /// Who calls, after trusted proxies.
    pub client: Peer,
    /// Id of the credential the caller showed.
    pub credential: Option<&'a str>,
    /// The credential itself, where it is a key.
    pub key: Option<&'a Secret>,
    /// The whole body of the request, when it was wanted and was not too long.
    pub body: Option<&'a [u8]>,
}

/// What is to be done with a call.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Who calls, for the record. What is known already stays.
    pub identity: Identity,
    /// The answer in place of the service's.
    pub answer: Option<PolicyAnswer>,
    /// Set on the request before it goes on.
    pub request_headers: Vec<(HeaderName, HeaderValue)>,
    /// Set on the answer, whoever makes it.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
    /// For the record.
    pub attributes: Vec<(&'static str, Value)>,
}

/// An answer in place of the service's. Its headers are [`Verdict::response_headers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyAnswer {
    /// Status.
    pub status: StatusCode,
    /// `Content-Type` of the body.
    pub content_type: HeaderValue,
    /// Body.
    pub body: Bytes,
}
