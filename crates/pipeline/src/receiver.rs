//! What accepts the reports of others, in their own words.

use async_trait::async_trait;
use http::{HeaderMap, Method, StatusCode};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Peer, ProjectId};

use crate::desk::Desk;

/// Understands one foreign protocol. Pure: the server does the reading, inflating, authentication and waiting.
///
/// A call to a mount for reports goes through [`Receiver::decode`] and [`Receiver::reply`]; one to a mount at the desk
/// through [`Receiver::answer`].
#[async_trait]
pub trait Receiver: Send + Sync {
    /// Which requests are for it.
    fn mounts(&self) -> &'static [Mount];

    /// Reads one call. Total: one bad entry never fails the rest, and no bytes make it panic.
    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed>;

    /// The answer once the fate of the entries is known.
    fn reply(&self, call: &Call<'_>, outcome: &Outcome) -> Reply;

    /// The answer to a call at the desk: a question, or anything else that is no report of traffic.
    async fn answer(&self, call: &Call<'_>, _desk: &dyn Desk) -> Reply {
        let reason = format!("nothing is asked at {}", call.mount);
        self.refuse(call, &Malformed { status: StatusCode::NOT_FOUND, reason })
    }

    /// The answer to a call that could not be read at all.
    fn refuse(&self, call: &Call<'_>, malformed: &Malformed) -> Reply;
}

/// A method and path that a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    /// The method.
    pub method: &'static str,
    /// The path, with `{name}` for a variable segment.
    pub path: &'static str,
    /// Largest body accepted, in bytes, both on the wire and inflated.
    pub max_body_bytes: usize,
    /// Whether its calls are answered at the desk instead of being taken as reports.
    pub at_desk: bool,
}

impl Mount {
    /// A place for reports.
    pub const fn report(method: &'static str, path: &'static str, max_body_bytes: usize) -> Self {
        Self { method, path, max_body_bytes, at_desk: false }
    }

    /// A place at the desk.
    pub const fn desk(method: &'static str, path: &'static str, max_body_bytes: usize) -> Self {
        Self { method, path, max_body_bytes, at_desk: true }
    }
}

/// One call to a receiver, body inflated under the mount's limit.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as mounted.
    pub mount: &'static str,
    /// Values of the variable segments, decoded.
    pub parameters: &'a [(String, String)],
    /// The query string.
    pub query: Option<&'a str>,
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// The body without its content coding.
    pub body: &'a [u8],
    /// Who called.
    pub peer: Peer,
    /// When the call arrived.
    pub received_at: Timestamp,
}

/// What a call held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Exchanges by the credential they were reported under.
    pub accepted: Vec<(Credential, Exchange)>,
    /// Entries that could not be used.
    pub rejected: Vec<Rejected>,
    /// Entries in the call, rejected ones included.
    pub offered: usize,
}

/// What a reporter shows to say whose traffic it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Service token, application id, bucket: whatever the protocol has.
    pub token: String,
    /// Environment beside the token, where the protocol has one.
    pub environment: Option<String>,
}

/// One entry that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the call.
    pub index: usize,
    /// Why; names the member and the value.
    pub reason: String,
}

/// The whole call could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// The status to answer with: 400, 413, 415, ...
    pub status: StatusCode,
    /// Why; names the member and the value.
    pub reason: String,
}

/// The fate of a decoded call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Entries in the call.
    pub offered: usize,
    /// Entries that are safe in the journal.
    pub saved: usize,
    /// Ids of the exchanges that were handed on, with the index of their entry, in order.
    pub ids: Vec<(usize, ExchangeId)>,
    /// Entries that are not, and why: unreadable, of an unknown credential, or no room.
    pub rejected: Vec<Rejected>,
    /// Whether entries were rejected because of their credential.
    pub unknown_credential: bool,
    /// Whether the call should be sent again later because there was no room.
    pub busy: bool,
    /// The project of the entries, when they share one.
    pub project: Option<ProjectId>,
    /// Tag of the [`Governance`](crate::Governance) of that project, for protocols that say it in every answer.
    pub governance: Option<String>,
}

/// An answer, ready to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}
