//! What the gateway is configured to do, as one immutable value that is swapped in whole.
//!
//! **Who fills what.** The Admin API side (`admin`, `entities`, `declarative`, `router`) builds a [`Snapshot`] from the
//! stored entities whenever they change, and hands it to [`SnapshotHandle::swap`]. The data plane (`proxy`) only reads:
//! it takes the current snapshot once per call and keeps it until that call has ended, so a call sees one
//! configuration from its first to its last byte. A snapshot that cannot be built is never swapped in.
//!
//! Routing itself sits behind [`Router`]; its one implementation for Kong's rules lives in `router`.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, Method, StatusCode};

use crate::answer::Answer;
use crate::plugins::Chain;

/// One configuration, complete.
#[derive(Debug)]
pub struct Snapshot {
    /// Grows with every change.
    pub version: u64,
    /// Services; [`Route::service`] points into it.
    pub services: Vec<Service>,
    /// Routes; [`Match::route`] points into it.
    pub routes: Vec<Route>,
    /// Finds the route of a call.
    pub router: Box<dyn Router>,
    /// Global plugins: those that run for calls without a route; their `rewrite` runs for every call.
    pub global: Chain,
}

impl Snapshot {
    /// The configuration of a gateway that was told nothing: every call is answered 404.
    pub fn empty() -> Self {
        Self {
            version: 0,
            services: Vec::new(),
            routes: Vec::new(),
            router: Box::new(NoRoutes),
            global: Chain::default(),
        }
    }

    /// The service of a route.
    pub fn service_of(&self, route: usize) -> Option<&Service> {
        self.services.get(self.routes.get(route)?.service?)
    }

    /// The plugins of a call: those of its route, else the global ones.
    pub fn chain(&self, route: Option<usize>) -> &Chain {
        route.and_then(|index| self.routes.get(index)).map_or(&self.global, |route| &route.chain)
    }
}

/// The current snapshot, shared by the workers and whoever changes it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SnapshotHandle(Arc<ArcSwap<Snapshot>>);

impl SnapshotHandle {
    /// A handle that starts with `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(snapshot)))
    }

    /// Replaces the configuration; calls under way finish with the one they began with.
    pub fn swap(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }

    /// The current configuration.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// The current configuration, without touching its reference count.
    pub(crate) fn peek(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.0.load()
    }
}

/// A snapshot as a worker's calls hold it. The outer count is the worker's own, so that calls of different workers do
/// not fight over one counter.
#[allow(clippy::redundant_allocation)] // The point of it, see above.
pub type HeldSnapshot = Rc<Arc<Snapshot>>;

/// A service: where calls go.
#[derive(Debug, Clone)]
pub struct Service {
    /// Kong's id.
    pub id: Arc<str>,
    /// Kong's name.
    pub name: Option<Arc<str>>,
    /// How to speak to it.
    pub protocol: UpstreamProtocol,
    /// Host name or address; its `Host` header. With `upstream`, the upstream's name.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// Path that goes before the rest of the request's path; `None` is `/`.
    pub path: Option<Arc<str>>,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest pause between two successive writes.
    pub write_timeout: Duration,
    /// Longest pause between two successive reads.
    pub read_timeout: Duration,
    /// Further attempts after a failed connection (and after a lost one, where repeating is harmless).
    pub retries: u32,
    /// Whether the certificate must be valid (only with TLS).
    pub tls_verify: bool,
    /// The targets to spread calls over, when `host` is the name of an upstream.
    pub upstream: Option<Arc<Upstream>>,
}

impl Service {
    /// Name, else id.
    pub fn label(&self) -> &Arc<str> {
        self.name.as_ref().unwrap_or(&self.id)
    }
}

/// How to speak to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http,
    /// TLS; HTTP/2 if the service chooses it by ALPN, else HTTP/1.1.
    Https,
    /// HTTP/2 without TLS, by prior knowledge.
    Grpc,
    /// HTTP/2 over TLS.
    Grpcs,
}

impl UpstreamProtocol {
    /// Whether the connection is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }

    /// The port that needs not be named in `Host`.
    pub fn default_port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

/// Targets that share the calls of a service, in proportion to their weights.
#[derive(Debug, Default)]
pub struct Upstream {
    /// Targets in service; weights of 0 and targets found unhealthy are left out.
    targets: Vec<Target>,
    /// `Host` header to send instead of the target's name.
    pub host_header: Option<Arc<str>>,
    /// One entry per turn; a target occurs as often as its weight says.
    turns: Vec<usize>,
    next: AtomicUsize,
}

/// One place behind an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// Share of the calls, relative to the others; 0 for none.
    pub weight: u32,
}

impl Upstream {
    /// An upstream over these targets.
    pub fn new(targets: Vec<Target>, host_header: Option<Arc<str>>) -> Self {
        let targets: Vec<Target> = targets.into_iter().filter(|target| target.weight > 0).collect();
        let turns = turns(&targets);
        Self { targets, host_header, turns, next: AtomicUsize::new(0) }
    }

    /// The target whose turn it is; `None` when there is none in service.
    pub fn pick(&self) -> Option<&Target> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.turns.len())?;
        self.targets.get(*self.turns.get(turn)?)
    }
}

/// Smooth weighted round robin over one cycle, weights reduced so that a cycle has at most 1,000 turns.
fn turns(targets: &[Target]) -> Vec<usize> {
    const MOST_TURNS: u64 = 1_000;
    let sum: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    let common = targets.iter().fold(0, |a, target| greatest_common_divisor(a, u64::from(target.weight)));
    let divisor = common.max(sum.div_ceil(MOST_TURNS)).max(1);
    let weights: Vec<i64> = targets
        .iter()
        .map(|target| i64::try_from((u64::from(target.weight) / divisor).max(1)).unwrap_or(1))
        .collect();
    let total: i64 = weights.iter().sum();
    let mut current = vec![0; weights.len()];
    let mut turns = Vec::new();
    for _ in 0..total {
        for (value, weight) in current.iter_mut().zip(&weights) {
            *value += weight;
        }
        let Some(best) = (0..current.len()).max_by_key(|&index| (current[index], usize::MAX - index)) else {
            break;
        };
        current[best] -= total;
        turns.push(best);
    }
    turns
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// A route: which calls go to a service and how.
#[derive(Debug, Clone)]
pub struct Route {
    /// Kong's id.
    pub id: Arc<str>,
    /// Kong's name.
    pub name: Option<Arc<str>>,
    /// Index into [`Snapshot::services`]; `None` for a route whose plugins answer.
    pub service: Option<usize>,
    /// Kong's `hosts`, as configured; for plugins.
    pub hosts: Vec<String>,
    /// Whether the matched prefix is taken off the path.
    pub strip_path: bool,
    /// Whether the client's `Host` goes to the service.
    pub preserve_host: bool,
    /// Whether a call without TLS is accepted (`protocols` has `http`, `grpc`, `ws`).
    pub accepts_plain: bool,
    /// What a call without TLS is told when it is not accepted: 426 or a redirection.
    pub https_redirect_status: StatusCode,
    /// How the service's path and the rest of the request's path are joined.
    pub path_handling: PathHandling,
    /// Kong's `request_buffering`. The gateway always streams, which satisfies both values.
    pub request_buffering: bool,
    /// Kong's `response_buffering`. The gateway always streams, which satisfies both values.
    pub response_buffering: bool,
    /// The plugins of calls on this route, global ones included, in the order they run.
    pub chain: Chain,
}

impl Route {
    /// Name, else id.
    pub fn label(&self) -> &Arc<str> {
        self.name.as_ref().unwrap_or(&self.id)
    }
}

/// Kong's `path_handling`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PathHandling {
    /// Exactly one slash between the service's path and the rest.
    #[default]
    V0,
    /// Plain concatenation, of two slashes one is dropped.
    V1,
}

/// Finds the route of a call. Implemented in `router` for Kong's rules.
pub trait Router: Send + Sync + std::fmt::Debug {
    /// The route of this call; `None` when none matches. Called once per call: no locks, no waiting.
    fn find<'a>(&self, head: &RequestHead<'a>) -> Option<Match<'a>>;

    /// What a call without a route is told.
    fn no_match(&self, _head: &RequestHead<'_>) -> Answer {
        Answer::message(StatusCode::NOT_FOUND, "no Route matched with those values")
    }
}

/// What routing may look at.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// Method.
    pub method: &'a Method,
    /// Whether the client came over TLS (also as told by a trusted proxy).
    pub tls: bool,
    /// Whether the call is gRPC.
    pub grpc: bool,
    /// Host as the client named it, without port, its case as sent; empty when none was named.
    pub host: &'a str,
    /// Port the client named, else the default of the scheme.
    pub port: u16,
    /// Path as sent, neither decoded nor normalised, without query.
    pub path: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Server name of the TLS handshake.
    pub sni: Option<&'a str>,
}

/// The route that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// Index into [`Snapshot::routes`].
    pub route: usize,
    /// The path to go on with: as sent, or normalised where that differs.
    pub path: std::borrow::Cow<'a, str>,
    /// How many bytes of `path` the route's path matched; `None` when the route has no path condition.
    pub prefix: Option<usize>,
}

/// The router of a gateway without routes.
#[derive(Debug)]
struct NoRoutes;

impl Router for NoRoutes {
    fn find<'a>(&self, _head: &RequestHead<'a>) -> Option<Match<'a>> {
        None
    }
}

/// A router that sends calls to routes by the longest prefix of the path as sent; for tests and the simplest set-ups.
#[derive(Debug, Default)]
pub struct PrefixRouter(HashMap<String, usize>);

impl PrefixRouter {
    /// A router over path prefixes and indexes into [`Snapshot::routes`].
    pub fn new(prefixes: impl IntoIterator<Item = (String, usize)>) -> Self {
        Self(prefixes.into_iter().collect())
    }
}

impl Router for PrefixRouter {
    fn find<'a>(&self, head: &RequestHead<'a>) -> Option<Match<'a>> {
        let longest = self.0.iter().filter(|(prefix, _)| head.path.starts_with(prefix.as_str()));
        let (prefix, route) = longest.max_by_key(|(prefix, _)| prefix.len())?;
        Some(Match { route: *route, path: head.path.into(), prefix: Some(prefix.len()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(weights: &[(&str, u32)]) -> Upstream {
        let target = |&(host, weight): &(&str, u32)| Target { host: host.into(), port: 80, weight };
        Upstream::new(weights.iter().map(target).collect(), None)
    }

    fn picks(upstream: &Upstream, count: usize) -> String {
        (0..count).filter_map(|_| upstream.pick().map(|target| target.host.to_string())).collect()
    }

    #[test]
    fn targets_take_turns_by_weight() {
        assert_eq!(picks(&upstream(&[("a", 100), ("b", 100)]), 4), "abab");
        assert_eq!(picks(&upstream(&[("a", 200), ("b", 100), ("c", 0)]), 6), "abaaba");
        assert_eq!(picks(&upstream(&[]), 3), "");
        let heavy = upstream(&[("a", 65_535), ("b", 1)]);
        assert!(heavy.turns.len() <= 1_001, "{}", heavy.turns.len());
        assert!(heavy.turns.contains(&1));
    }
}
