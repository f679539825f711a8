//! What the server is made of: the binary builds these and hands them over.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_kit::{Clock, Secret};
use weir_model::{Exchange, ProjectId};
use weir_pipeline::{
    ImporterKind, JournalStatus, LedgerSnapshot, NoRoom, Receipt, Receiver, RendererKind, Subscription,
};
use weir_state::{Profiles, State};
use weir_store::Store;

/// Everything the server needs.
pub struct ServerParts {
    /// Where questions are answered.
    pub store: Arc<dyn Store>,
    /// Where reports go, and what is known about their way.
    pub pipeline: Arc<dyn Pipeline>,
    /// Where rules and rates for reporters are kept.
    pub state: State,
    /// What is known of users, companies and subscriptions.
    pub profiles: Profiles,
    /// Masks secrets in JSON that does not pass the pipeline.
    pub mask: Mask,
    /// What understands foreign reports; empty in a role without a collector.
    pub receivers: Vec<Box<dyn Receiver>>,
    /// File formats that can be read.
    pub importers: &'static [ImporterKind],
    /// File formats that can be written.
    pub renderers: &'static [RendererKind],
    /// The Admin API, mounted under `/admin` behind the same guard as the rest.
    pub admin: Option<axum::Router>,
    /// Figures of other parts for `/metrics`.
    pub figures: Vec<Arc<dyn Figures>>,
    /// What must hold for `/readyz`, beside a store that answers.
    pub ready: Vec<ReadyCheck>,
    /// Addresses shown on the first-run page.
    pub addresses: Addresses,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// The program's version.
    pub version: &'static str,
    /// How it behaves.
    pub settings: Settings,
}

/// Masks the secrets of a JSON text; `None` when there are none.
pub type Mask = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How the server behaves. Every limit has a default in [`Settings::default`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 for any.
    pub listen: SocketAddr,
    /// Whoever calls the API, the Admin API or the page's data must show it (`Authorization: Bearer`, or the cookie that
    /// `POST /api/v1/session` gives). Without it everybody who reaches the address may ask everything.
    pub token: Option<Secret>,
    /// Host names, beside addresses, `localhost` and names without a dot, under which the API answers when there is no
    /// token. A page of a foreign site that resolves its own name to this address is refused by this.
    pub allowed_hosts: Vec<String>,
    /// Projects of known collector credentials.
    pub credentials: HashMap<String, ProjectId>,
    /// What happens to reports under any other credential.
    pub unknown_credentials: UnknownCredentials,
    /// A credential shown on the first-run page for use in snippets.
    pub collector_token: Option<String>,
    /// Most connections at a time.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request, and so how long an idle connection is kept. Longer than
    /// the minute for which senders keep theirs, so that none sends into a connection that is being closed.
    pub header_timeout: Duration,
    /// How long a client may take to send the body of a collector call.
    pub body_timeout: Duration,
    /// Most bytes of collector bodies, packed and inflated, held at a time.
    pub collector_bytes: usize,
    /// Most bytes of a question.
    pub question_bytes: usize,
    /// How long a question may take.
    pub question_timeout: Duration,
    /// How long the list of a field's values may take.
    pub values_timeout: Duration,
    /// Most readers of live exchanges at a time.
    pub max_live_readers: usize,
    /// Most rows a second for a reader of live exchanges.
    pub live_rows_per_second: u32,
    /// How long open requests may still take at shutdown.
    pub shutdown_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8002)),
            token: None,
            allowed_hosts: Vec::new(),
            credentials: HashMap::new(),
            unknown_credentials: UnknownCredentials::Accept,
            collector_token: None,
            max_connections: 4_096,
            header_timeout: Duration::from_secs(90),
            body_timeout: Duration::from_secs(120),
            collector_bytes: 512 << 20,
            question_bytes: 256 << 10,
            question_timeout: Duration::from_secs(60),
            values_timeout: Duration::from_secs(2),
            max_live_readers: 64,
            live_rows_per_second: 200,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// What happens to reports under a credential that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownCredentials {
    /// They belong to the default project.
    Accept,
    /// They are rejected, in the words of their protocol.
    Refuse,
}

/// Addresses of the other listeners, as a client on this machine would use them.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The gateway, plain.
    pub proxy: Option<String>,
    /// The gateway, TLS.
    pub proxy_tls: Option<String>,
    /// The Admin API.
    pub admin: Option<String>,
    /// This server; its own address when `None`.
    pub server: Option<String>,
}

/// The pipeline as the server sees it.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// Takes exchanges and returns once those saved are safe in the journal. May wait briefly for room. `source` is the
    /// account they are booked under.
    async fn submit(&self, source: &str, exchanges: Vec<Exchange>) -> Result<Receipt, NoRoom>;

    /// Waits for room at most this long, for a reader that can slow its sender down instead of losing anything.
    async fn room(&self, patience: Duration) -> Result<(), NoRoom>;

    /// Books entries of a report that could not be used.
    fn rejected(&self, source: &str, reason: &'static str, count: u64);

    /// The books.
    fn ledger(&self) -> LedgerSnapshot;

    /// What the journal holds.
    fn journal(&self) -> JournalStatus;

    /// Every exchange from now on that is wanted, as it passes. The test runs on the threads of the intake.
    fn subscribe(&self, wanted: Wanted) -> Box<dyn Tap>;
}

/// Which exchanges a reader wants.
pub type Wanted = Box<dyn Fn(&Exchange) -> bool + Send + Sync>;

/// A view on passing exchanges that never holds them up.
#[async_trait]
pub trait Tap: Send {
    /// Waits for exchanges; gives those that have come, oldest first, and how many wanted ones passed unseen so far because
    /// the reader was too slow. Dropping the future loses nothing.
    async fn next(&mut self) -> (Vec<Arc<Exchange>>, u64);
}

#[async_trait]
impl Pipeline for weir_pipeline::Pipeline {
    async fn submit(&self, source: &str, exchanges: Vec<Exchange>) -> Result<Receipt, NoRoom> {
        self.intake().submit(source, exchanges).await
    }

    async fn room(&self, patience: Duration) -> Result<(), NoRoom> {
        self.intake().room(patience).await
    }

    fn rejected(&self, source: &str, reason: &'static str, count: u64) {
        if count > 0 {
            self.intake().dropped_before(source, reason, count);
        }
    }

    fn ledger(&self) -> LedgerSnapshot {
        self.status().ledger
    }

    fn journal(&self) -> JournalStatus {
        self.status().journal
    }

    fn subscribe(&self, wanted: Wanted) -> Box<dyn Tap> {
        Box::new(self.tap().subscribe(wanted))
    }
}

#[async_trait]
impl Tap for Subscription {
    async fn next(&mut self) -> (Vec<Arc<Exchange>>, u64) {
        Subscription::next(self).await
    }
}

/// Figures of a part for `/metrics`.
pub trait Figures: Send + Sync {
    /// The figures of this moment; those of one name follow each other.
    fn figures(&self) -> Vec<Figure>;
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name without suffix, such as `weir_gateway_requests`.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// How it moves.
    pub kind: FigureKind,
    /// What tells it from others of its name.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

/// How a figure moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Up only.
    Counter,
    /// Up and down.
    Gauge,
}

/// Something that must hold before the server counts as ready.
pub struct ReadyCheck {
    /// What is looked at.
    pub name: &'static str,
    /// Whether it holds, or why not.
    pub check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}
