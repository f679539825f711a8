//! The Admin API: Kong's paths, bodies and answers over the entities (`kong-admin-api`).
//!
//! One handler for all paths: [`resource`] says what a path names, [`crud`] and [`list`] do it for any entity, [`info`] and
//! [`schemas`] answer the rest. A change is checked, stored and built into a snapshot in one transaction; what cannot be
//! built is refused and leaves nothing behind.

mod body;
mod crud;
mod error;
mod form;
mod info;
mod list;
mod resource;
mod schemas;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use weir_kit::{Clock, SystemClock};
use weir_pipeline::ExporterKind;
use weir_state::{State, Writer};

use self::body::Given;
use self::error::Refusal;
pub(crate) use self::error::tree;
use self::resource::{Info, Resource};
use crate::assemble::{Assembled, Assembler, ExporterPlugin};
use crate::declarative::{self, DeclarativeError};
use crate::entities::{Context, Fault, Repository};
use crate::plugins::PluginRegistry;
use crate::snapshot::SnapshotHandle;

/// Largest body of a request, in bytes; a declarative file is the only one that comes near.
const LARGEST_BODY: usize = 32 * 1024 * 1024;

/// What the Admin API needs.
pub struct AdminOptions {
    /// Where entities are kept. With `declarative`, one in memory.
    pub state: State,
    /// Exporters that can be configured as plugins.
    pub exporters: &'static [ExporterKind],
    /// Where finished snapshots go.
    pub snapshot: SnapshotHandle,
    /// Whether the configuration comes as a whole and single entities cannot be changed (Kong's DB-less mode).
    pub declarative: bool,
    /// Whether only paths that begin with `~` are expressions, as in Kong 3.
    pub strict_paths: bool,
    /// What `GET /` tells.
    pub node: NodeInfo,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl AdminOptions {
    /// The ordinary way, over this state.
    pub fn new(state: State, exporters: &'static [ExporterKind], snapshot: SnapshotHandle) -> Self {
        Self {
            state,
            exporters,
            snapshot,
            declarative: false,
            strict_paths: false,
            node: NodeInfo::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// What `GET /` and `GET /status` tell of this node.
pub struct NodeInfo {
    /// The Kong version whose behaviour is offered; clients look at it.
    pub kong_version: String,
    /// This machine's name.
    pub hostname: String,
    /// This node's id.
    pub node_id: String,
    /// Settings worth showing, without secrets.
    pub configuration: Value,
    /// Connections and requests of the proxy.
    pub traffic: Box<dyn Fn() -> Traffic + Send + Sync>,
}

impl Default for NodeInfo {
    fn default() -> Self {
        Self {
            kong_version: "3.9.1".to_owned(),
            hostname: "localhost".to_owned(),
            node_id: uuid::Uuid::new_v4().to_string(),
            configuration: Value::Object(serde_json::Map::new()),
            traffic: Box::new(Traffic::default),
        }
    }
}

/// Connections and requests of the proxy, for `GET /status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections open now.
    pub active: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections served so far.
    pub handled: u64,
    /// Requests so far.
    pub requests: u64,
}

/// Which generation of Kong an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// `/apis`, 0.2 to 0.14.
    Legacy,
    /// Everything else.
    Modern,
}

/// The Admin API. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<Inner>);

struct Inner {
    state: State,
    registry: PluginRegistry,
    assembler: Assembler,
    snapshot: SnapshotHandle,
    exporters: watch::Sender<Arc<Vec<ExporterPlugin>>>,
    declarative: bool,
    strict_paths: bool,
    node: NodeInfo,
    clock: Arc<dyn Clock>,
    /// Held from a change to the swap of its snapshot, so that snapshots appear in the order of changes.
    changing: Mutex<()>,
}

impl Admin {
    /// Opens the configuration in the state and puts its snapshot in place.
    ///
    /// # Errors
    /// When the state cannot be read, or holds what cannot be served.
    pub fn new(options: AdminOptions) -> Result<Self, Fault> {
        let registry = PluginRegistry::new(options.exporters);
        let admin = Self(Arc::new(Inner {
            registry,
            assembler: Assembler::new(registry),
            state: options.state,
            snapshot: options.snapshot,
            exporters: watch::Sender::new(Arc::default()),
            declarative: options.declarative,
            strict_paths: options.strict_paths,
            node: options.node,
            clock: options.clock,
            changing: Mutex::new(()),
        }));
        let inner = &admin.0;
        let strict = inner.strict()?;
        let assembled = inner.state.read(|reader| inner.assembler.assemble(reader, strict))?;
        inner.publish(assembled);
        Ok(admin)
    }

    /// The paths of the Admin API, from `/` on. To mount it elsewhere use `nest_service`.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// The active configurations of exporters, now and after every change.
    pub fn exporters(&self) -> watch::Receiver<Arc<Vec<ExporterPlugin>>> {
        self.0.exporters.subscribe()
    }

    /// Replaces the whole configuration by a declarative one (YAML or JSON), or leaves it as it is. Blocks.
    ///
    /// # Errors
    /// All mistakes, or what the state says.
    pub fn load_declarative(&self, text: &str) -> Result<(), DeclarativeError> {
        self.0.load_declarative(text)
    }
}

impl Inner {
    fn context(&self) -> Result<Context<'_>, Fault> {
        Ok(Context { plugins: &self.registry, now: self.clock.now(), strict_paths: self.strict()? })
    }

    /// A declarative file of format 3 has strict paths whatever the option says.
    fn strict(&self) -> Result<bool, Fault> {
        let loaded = self.state.read(|reader| reader.setting(declarative::STRICT_PATHS))?;
        Ok(loaded.map_or(self.strict_paths, |strict| strict == "true"))
    }

    fn publish(&self, assembled: Assembled) {
        self.snapshot.swap(assembled.snapshot);
        let exporters = Arc::new(assembled.exporters);
        self.exporters.send_if_modified(|current| {
            let changed = *current != exporters;
            *current = exporters;
            changed
        });
    }

    /// Does a change and puts its snapshot in place, or neither.
    fn change<T>(
        &self,
        work: impl FnOnce(Repository<'_>, &Writer<'_>, &Context<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let _order = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the transaction: while it lasts, reading elsewhere would wait for it.
        let context = self.context()?;
        let (done, assembled) = self.state.write(|writer| {
            let done = work(Repository::new(writer), writer, &context)?;
            let assembled = self.assembler.assemble(writer, context.strict_paths)?;
            Ok::<_, Refusal>((done, assembled))
        })?;
        self.publish(assembled);
        Ok(done)
    }

    fn load_declarative(&self, text: &str) -> Result<(), DeclarativeError> {
        let _order = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let context =
            Context { plugins: &self.registry, now: self.clock.now(), strict_paths: self.strict_paths };
        let loaded = declarative::read(text, &context)?;
        let assembled = self.state.write(|writer| {
            loaded.store(writer)?;
            Ok::<_, DeclarativeError>(self.assembler.assemble(writer, loaded.strict_paths)?)
        })?;
        self.publish(assembled);
        Ok(())
    }
}

/// A request, read.
struct Call {
    method: Method,
    era: Era,
    /// Whether it came under a path of Kong 0.2 to 0.4.
    with_value: bool,
    query: Vec<(String, String)>,
    given: Given,
    /// Body as it came, for `/config`.
    raw: axum::body::Bytes,
    /// Scheme, host and port of this API as the client sees them.
    base: String,
}

impl Call {
    fn argument(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Status and body of an answer; null for none.
type Answered = Result<(StatusCode, Value), Refusal>;

async fn serve(Shared(admin): Shared<Admin>, request: Request) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let segments = resource::segments(request.uri().path());
    let old = segments.first().is_some_and(|first| first == "plugins_configurations");
    let era =
        if old || segments.first().is_some_and(|first| first == "apis") { Era::Legacy } else { Era::Modern };
    let resource = resource::resolve(&segments);
    let mut allowed = None;
    let outcome = match resource {
        None => Err(Refusal::NotFound),
        Some(resource) => {
            let methods = methods(&resource, era);
            allowed = Some(methods);
            if method == Method::OPTIONS {
                Ok((StatusCode::NO_CONTENT, Value::Null))
            } else if !methods.split(", ").any(|name| name == method.as_str()) {
                Err(Refusal::MethodNotAllowed)
            } else {
                match read(request, &resource, era, old).await {
                    Ok(call) => answer(admin, call, resource).await,
                    Err(refusal) => Err(refusal),
                }
            }
        }
    };
    let (status, body) = outcome.unwrap_or_else(|refusal| refusal.answer(era));
    let mut response = respond(status, &body, &method);
    let headers = response.headers_mut();
    if let Some(methods) = allowed.filter(|_| method == Method::OPTIONS) {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
        headers.insert(
            HeaderName::from_static("access-control-allow-methods"),
            HeaderValue::from_static(methods),
        );
        headers.insert(
            HeaderName::from_static("access-control-allow-headers"),
            HeaderValue::from_static("Content-Type"),
        );
    }
    let latency = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    headers.insert(HeaderName::from_static("x-kong-admin-latency"), latency.into());
    response
}

/// The methods a path takes.
fn methods(resource: &Resource, era: Era) -> &'static str {
    match (resource, era) {
        (Resource::Collection { .. }, Era::Modern) => "GET, HEAD, OPTIONS, POST",
        (Resource::Collection { .. }, Era::Legacy) => "GET, HEAD, OPTIONS, POST, PUT",
        (Resource::Item { .. }, Era::Modern) => "DELETE, GET, HEAD, OPTIONS, PATCH, PUT",
        (Resource::Item { .. }, Era::Legacy) => "DELETE, GET, HEAD, OPTIONS, PATCH",
        (Resource::Above { .. }, _) => "GET, HEAD, OPTIONS, PATCH, PUT",
        (Resource::Info(Info::ValidatePlugin | Info::ValidateEntity(_)), _) => "OPTIONS, POST",
        (Resource::Info(Info::Config), _) => "GET, HEAD, OPTIONS, POST",
        (Resource::Info(_) | Resource::UpstreamHealth { .. }, _) => "GET, HEAD, OPTIONS",
    }
}

async fn read(request: Request, resource: &Resource, era: Era, with_value: bool) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    let raw = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| Refusal::message(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"))?;
    let writes = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    let is_config = matches!(resource, Resource::Info(Info::Config));
    let given = match writes && !is_config {
        true => body::read(&parts.headers, raw.clone()).await?,
        false => Given::default(),
    };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let raw = if is_config { body::config_text(&parts.headers, raw).await? } else { raw };
    Ok(Call {
        method: parts.method,
        era,
        with_value,
        query: url::form_urlencoded::parse(query).into_owned().collect(),
        given,
        raw,
        base: format!("http://{}", host.unwrap_or("localhost")),
    })
}

/// The state blocks, so this runs beside the event loop.
async fn answer(admin: Admin, call: Call, resource: Resource) -> Answered {
    let work = move || match resource {
        Resource::Collection { entity, below } => admin.0.collection(&call, entity, below.as_ref()),
        Resource::Item { entity, key, below } => admin.0.item(&call, entity, &key, below.as_ref()),
        Resource::Above { entity, key, parent } => admin.0.above(&call, entity, &key, parent),
        Resource::UpstreamHealth { upstream } => admin.0.upstream_health(&upstream),
        Resource::Info(info) => admin.0.info(&call, info),
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answered) => answered,
        Err(error) => {
            tracing::error!(%error, "an Admin API request failed");
            Err(Refusal::message(StatusCode::INTERNAL_SERVER_ERROR, "An unexpected error occurred"))
        }
    }
}

fn respond(status: StatusCode, body: &Value, method: &Method) -> Response {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let length = bytes.len();
    let body = if *method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let server = concat!("weir/", env!("CARGO_PKG_VERSION"));
    headers.insert(SERVER, HeaderValue::from_static(server));
    headers.insert(HeaderName::from_static("access-control-allow-origin"), HeaderValue::from_static("*"));
    if length > 0 {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(http::header::CONTENT_LENGTH, length.into());
    }
    response
}
