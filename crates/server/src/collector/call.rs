//! One call to a receiver, from its body to its answer.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weir_kit::Timestamp;
use weir_kit::inflate::{Coding, InflateError, inflate};
use weir_model::{Exchange, Peer, ProjectId};
use weir_pipeline::{
    Call, Credential, Decoded, Desk, Malformed, Mount, NoRoom, Outcome, Receiver, Rejected, Reply,
};

use super::desk::{FrontDesk, project_of};
use super::{MALFORMED, UNKNOWN_CREDENTIAL};
use crate::api::App;
use crate::spelling::Spelling;

/// Bodies larger than this are inflated and decoded away from the threads that serve connections.
const MAX_INLINE: usize = 64 << 10;
/// Most content codings on top of each other.
const MAX_CODINGS: usize = 3;

/// Answers one call. Runs on a task of its own, see `serve.rs`, so that the work goes on when the caller leaves: many
/// senders close right after the last byte.
pub(crate) async fn serve(
    app: Arc<App>,
    room: Arc<Semaphore>,
    receiver: Arc<dyn Receiver>,
    mount: Mount,
    parameters: Vec<(String, String)>,
    parts: Parts,
    body: Body,
) -> Response {
    let version = parts.version;
    let spelling = parts.extensions.get::<Spelling>().cloned();
    let peer = parts.extensions.get::<SocketAddr>().copied();
    let report = Report {
        received_at: app.now(),
        app,
        room,
        receiver,
        mount,
        parameters,
        peer: peer.map_or(Peer::default(), |peer| Peer::new(peer.ip(), Some(peer.port()))),
        parts,
    };
    response(report.run(body).await, version, spelling.as_ref())
}

struct Report {
    app: Arc<App>,
    room: Arc<Semaphore>,
    receiver: Arc<dyn Receiver>,
    mount: Mount,
    parameters: Vec<(String, String)>,
    parts: Parts,
    peer: Peer,
    received_at: Timestamp,
}

/// A body, and the room it takes while it is held.
struct Held {
    bytes: Vec<u8>,
    places: Vec<OwnedSemaphorePermit>,
}

/// What a call is, once its body can be read.
enum Understood {
    Report(Decoded),
    AtDesk,
}

impl Report {
    async fn run(self, body: Body) -> Reply {
        let mut held = match self.read(body).await {
            Ok(held) => held,
            Err(malformed) => return self.refuse(&[], &malformed),
        };
        let report = Arc::new(self);
        let large = held.bytes.len() > MAX_INLINE || !codings(&report.parts.headers).is_empty();
        let understood = if large {
            let (working, mut moved) = (report.clone(), held);
            let work = tokio::task::spawn_blocking(move || {
                let understood = working.understand(&mut moved);
                (understood, moved)
            });
            match work.await {
                Ok((understood, back)) => {
                    held = back;
                    understood
                }
                Err(error) => {
                    tracing::error!(%error, path = report.mount.path, "a report could not be decoded");
                    let reason = "the report could not be decoded".to_owned();
                    return report
                        .refuse(&[], &Malformed { status: StatusCode::INTERNAL_SERVER_ERROR, reason });
                }
            }
        } else {
            report.understand(&mut held)
        };
        match understood {
            Ok(Understood::Report(decoded)) => report.deliver(decoded, &held.bytes).await,
            Ok(Understood::AtDesk) => {
                let desk = FrontDesk(&report.app);
                report.receiver.answer(&report.call(&held.bytes), &desk).await
            }
            Err(malformed) => report.refuse(&held.bytes, &malformed),
        }
    }

    /// Reads the body, under the limit of the mount, of all bodies together, and of time.
    async fn read(&self, body: Body) -> Result<Held, Malformed> {
        let limit = self.app.settings.body_timeout;
        let reading = async {
            let mut held = Held { bytes: Vec::new(), places: Vec::new() };
            let mut pieces = body.into_data_stream();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|error| {
                    malformed(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
                })?;
                if held.bytes.len() + piece.len() > self.mount.max_body_bytes {
                    return Err(self.too_large());
                }
                held.places.push(self.take(piece.len())?);
                held.bytes.extend_from_slice(&piece);
            }
            Ok(held)
        };
        tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| {
            let reason = format!("the body did not arrive within {} s", limit.as_secs());
            Err(malformed(StatusCode::REQUEST_TIMEOUT, reason))
        })
    }

    fn too_large(&self) -> Malformed {
        let reason = format!("the body has more than {} bytes", self.mount.max_body_bytes);
        malformed(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Malformed> {
        let count = u32::try_from(bytes).map_err(|_| self.too_large())?;
        self.room.clone().try_acquire_many_owned(count).map_err(|_| {
            let reason = "too many reports are being read at the moment, try again later".to_owned();
            malformed(StatusCode::SERVICE_UNAVAILABLE, reason)
        })
    }

    /// Removes the content codings and reads the report, if it is one.
    fn understand(&self, held: &mut Held) -> Result<Understood, Malformed> {
        let codings = codings(&self.parts.headers);
        if codings.len() > MAX_CODINGS {
            let reason = format!("more than {MAX_CODINGS} content codings on top of each other");
            return Err(malformed(StatusCode::BAD_REQUEST, reason));
        }
        // The last coding applied is named last.
        for name in codings.iter().rev() {
            let coding = Coding::named(name).ok_or_else(|| {
                let reason =
                    format!("content coding {name:?} is not known; send gzip, deflate, zstd or none");
                malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason)
            })?;
            let bytes =
                inflate(coding, &held.bytes, self.mount.max_body_bytes).map_err(|error| match error {
                    InflateError::TooLarge(_) => self.too_large(),
                    InflateError::Broken(..) => malformed(StatusCode::BAD_REQUEST, error.to_string()),
                })?;
            let place = self.take(bytes.len())?;
            *held = Held { bytes, places: vec![place] };
        }
        if self.mount.at_desk {
            return Ok(Understood::AtDesk);
        }
        self.receiver.decode(&self.call(&held.bytes)).map(Understood::Report)
    }

    fn call<'a>(&'a self, body: &'a [u8]) -> Call<'a> {
        Call {
            method: &self.parts.method,
            mount: self.mount.path,
            parameters: &self.parameters,
            query: self.parts.uri.query(),
            headers: &self.parts.headers,
            body,
            peer: self.peer,
            received_at: self.received_at,
        }
    }

    fn refuse(&self, body: &[u8], malformed: &Malformed) -> Reply {
        tracing::debug!(path = self.mount.path, reason = malformed.reason, "refused a report");
        self.receiver.refuse(&self.call(body), malformed)
    }

    /// Sorts the entries to their projects and hands them to the pipeline; answers when they are safe.
    async fn deliver(&self, decoded: Decoded, body: &[u8]) -> Reply {
        let source = decoded
            .accepted
            .first()
            .map_or_else(|| self.mount.path.to_owned(), |(_, exchange)| exchange.origin.source.to_string());
        let sorted = self.sort(decoded);
        let mut outcome = sorted.outcome;
        self.app.pipeline.rejected(&source, MALFORMED, sorted.malformed);
        self.app.pipeline.rejected(&source, UNKNOWN_CREDENTIAL, sorted.unknown);
        if !sorted.exchanges.is_empty() {
            let count = sorted.exchanges.len();
            match self.app.pipeline.submit(&source, sorted.exchanges).await {
                // What a processor left out on purpose has arrived, too: sending it again would change nothing.
                Ok(receipt) => outcome.saved = receipt.saved + receipt.dropped,
                Err(no_room) => {
                    if let NoRoom::Failed(error) = &no_room {
                        tracing::error!(error, "a report of {count} exchanges could not be written");
                    }
                    outcome.busy = true;
                }
            }
        }
        self.receiver.reply(&self.call(body), &outcome)
    }

    fn sort(&self, decoded: Decoded) -> Sorted {
        let mut sorted = Sorted { malformed: decoded.rejected.len() as u64, ..Sorted::default() };
        // Accepted entries are those, in order, that were not rejected.
        let rejected: HashSet<usize> = decoded.rejected.iter().map(|rejected| rejected.index).collect();
        let mut indexes = (0..).filter(|index| !rejected.contains(index));
        sorted.outcome.offered = decoded.offered;
        sorted.outcome.rejected = decoded.rejected;
        let mut projects: Vec<ProjectId> = Vec::new();
        for (credential, mut exchange) in decoded.accepted {
            let index = indexes.next().unwrap_or(0);
            let Some(project) = project_of(&self.app.settings, &credential) else {
                sorted.unknown += 1;
                sorted.outcome.unknown_credential = true;
                sorted.outcome.rejected.push(Rejected { index, reason: refusal(&credential) });
                continue;
            };
            exchange.project = project;
            sorted.outcome.ids.push((index, exchange.id));
            if !projects.contains(&exchange.project) {
                projects.push(exchange.project.clone());
            }
            sorted.exchanges.push(exchange);
        }
        if let [only] = projects.as_slice() {
            sorted.outcome.governance = Some(FrontDesk(&self.app).governance(only).tag.clone());
            sorted.outcome.project = Some(only.clone());
        }
        sorted
    }
}

/// The entries of a report, sorted.
#[derive(Default)]
struct Sorted {
    exchanges: Vec<Exchange>,
    malformed: u64,
    unknown: u64,
    outcome: Outcome,
}

/// Names the credential by its end, which is enough to find it and too little to use it.
fn refusal(credential: &Credential) -> String {
    if credential.token.is_empty() {
        return "no token".to_owned();
    }
    let tail: Vec<char> = credential.token.chars().rev().take(4).collect();
    let hidden = credential.token.chars().count() > 8;
    let tail: String = if hidden { tail.into_iter().rev().collect() } else { String::new() };
    format!("unknown token …{tail}")
}

fn malformed(status: StatusCode, reason: String) -> Malformed {
    Malformed { status, reason }
}

/// The content codings of a body, in the order they were applied.
fn codings(headers: &HeaderMap) -> Vec<&str> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity")).collect()
}

/// The answer to a browser that asks whether a page of another origin may report here (CORS preflight). It may: reports
/// carry their own credential, and cookies are no part of them.
pub(crate) fn preflight(methods: &[&'static str], asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    if let Ok(methods) = HeaderValue::try_from(methods.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response.extensions_mut().insert(Bare);
    response
}

/// Marks an answer that is for no page of ours: headers for browsers would only cost its readers time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare;

/// The answer as it is sent: with its length, and with the connection's fate said out loud, which old senders need.
fn response(reply: Reply, version: Version, spelling: Option<&Spelling>) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    response.extensions_mut().insert(Bare);
    let headers = response.headers_mut();
    let mut spelled = Vec::new();
    for (name, value) in reply.headers {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            spelled.push(name);
        }
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
        if let (Ok(name), Ok(value)) = pair {
            headers.append(name, value);
        }
    }
    headers.entry(header::ACCESS_CONTROL_ALLOW_ORIGIN).or_insert(HeaderValue::from_static("*"));
    if version >= Version::HTTP_2 {
        headers.remove(header::CONNECTION);
        return response;
    }
    headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("keep-alive"));
    if let Some(spelling) = spelling
        && !spelled.is_empty()
    {
        spelling.ask(spelled);
    }
    response
}
