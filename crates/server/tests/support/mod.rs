//! A real server on port 0 over a real pipeline and the memory store, with a toy format each way.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)] // Each test file uses its part.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use weir_kit::{ManualClock, Timestamp};
use weir_model::{
    Body, Exchange, ExchangeId, Headers, Identity, Operation, Origin, Protocol, Request, Response,
};
use weir_pipeline::{
    Batch, Call, Credential, Decoded, Delivered, Desk, ExportError, Exporter, Filter, Imported, Importer,
    ImporterKind, Malformed, Mount, Outcome, Pipeline, PipelineSettings, Processors, ProfileKind,
    ProfileUpdate, Question, QueueSettings, Receiver, Rejected, Renderer, RendererKind, Reply, Start,
    TargetSpec,
};
use weir_server::{Addresses, Server, ServerHandle, ServerParts, Settings};
use weir_state::{ProfileLimits, Profiles, State};
use weir_store::memory::MemoryStore;
use weir_store::{Position, Store};

/// When "now" is in these tests.
pub const NOW: &str = "2026-11-20T12:00:00Z";

pub struct Fixture {
    pub address: SocketAddr,
    pub store: Arc<MemoryStore>,
    pub pipeline: Arc<Pipeline>,
    pub client: reqwest::Client,
    handle: ServerHandle,
    _directory: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Fixture {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut ServerParts)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let settings = PipelineSettings::in_directory(directory.path());
        let pipeline = Arc::new(Pipeline::open(settings, Processors::default(), clock.clone()).unwrap());
        let store = Arc::new(MemoryStore::new());
        pipeline.targets().add(store_target(store.clone())).await.unwrap();
        let mut parts = ServerParts {
            store: store.clone(),
            pipeline: pipeline.clone(),
            state: State::in_memory().unwrap(),
            profiles: Profiles::in_memory(ProfileLimits::default()).unwrap(),
            mask: Box::new(|text| text.contains("s3cr3t").then(|| text.replace("s3cr3t", "[masked]"))),
            receivers: vec![Box::new(Toy)],
            importers: IMPORTERS,
            renderers: RENDERERS,
            admin: None,
            figures: Vec::new(),
            ready: Vec::new(),
            addresses: Addresses { proxy: Some("http://127.0.0.1:8000".into()), ..Addresses::default() },
            clock,
            version: "0.0.0-test",
            settings: Settings {
                listen: "127.0.0.1:0".parse().unwrap(),
                shutdown_timeout: Duration::from_secs(2),
                ..Settings::default()
            },
        };
        change(&mut parts);
        let handle = Server::start(parts).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address: handle.address, store, pipeline, client, handle, _directory: directory }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.client.post(self.url(path)).body(body.to_string())).await
    }

    /// Puts exchanges in the store directly.
    pub async fn hold(&self, exchanges: Vec<Exchange>) {
        let batch: Vec<_> = exchanges.into_iter().map(Arc::new).collect();
        self.store.append(&batch, 0).await.unwrap();
    }

    /// Waits until the store holds this many.
    pub async fn stored(&self, count: u64) {
        for _ in 0..500 {
            if self.store.status().await.unwrap().exchanges >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let stored = self.store.status().await.unwrap().exchanges;
        panic!("only {stored} of {count} stored; {:?}", self.pipeline.status().ledger);
    }

    /// Writes bytes to the server as they are and gives what comes back until the connection is idle or closed.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let (address, bytes) = (self.address, bytes.to_vec());
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
            stream.write_all(&bytes).unwrap();
            let mut out = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                out.extend_from_slice(&buffer[..count]);
            }
            String::from_utf8_lossy(&out).into_owned()
        })
        .await
        .unwrap()
    }

    pub async fn stop(self) {
        self.handle.shutdown().await;
    }
}

/// The n-th exchange of a minute-by-minute series that ends at `NOW`, going back in time.
pub fn exchange(n: u64) -> Exchange {
    let now: Timestamp = NOW.parse().unwrap();
    let started_at = now - Duration::from_secs(60 * n + 1);
    let mut random = [0; 16];
    random[8..].copy_from_slice(&n.to_be_bytes());
    let request = Request {
        method: if n.is_multiple_of(3) { "POST" } else { "GET" }.into(),
        scheme: "https".into(),
        host: "api.example.com:8443".into(),
        path: format!("/users/{n}").into(),
        query: Some("page=2".into()),
        version: "1.1".into(),
        headers: Headers::from_iter([("Content-Type", "application/json"), ("User-Agent", "curl/8")]),
        body: Body::whole(format!("{{\"amount\":{n},\"note\":\"card declined\"}}")),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::with_random(started_at, random), started_at, request);
    exchange.origin = Origin { source: "gateway".into(), ..Origin::default() };
    exchange.identity = Identity { user: Some(format!("u{}", n % 5).into()), ..Identity::default() };
    exchange.timings.total = Some(Duration::from_millis(n));
    exchange.operation = Some(Operation {
        protocol: Protocol::Rest,
        template: "/users/{id}".into(),
        name: None,
        kind: None,
        error: None,
    });
    exchange.response = Some(Response {
        status: if n.is_multiple_of(10) { 502 } else { 200 },
        headers: Headers::from_iter([("Content-Type", "text/plain")]),
        body: Body::whole("0123456789".repeat(5)),
        ..Response::default()
    });
    exchange
}

fn store_target(store: Arc<MemoryStore>) -> TargetSpec {
    TargetSpec {
        name: "store".into(),
        kind: "memory".into(),
        fingerprint: String::new(),
        exporter: Arc::new(Storing(store)),
        queue: QueueSettings { max_coalescing_delay: Duration::from_millis(10), ..QueueSettings::default() },
        filter: Filter::All,
        start: Start::Now,
    }
}

struct Storing(Arc<MemoryStore>);

#[async_trait]
impl Exporter for Storing {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let position: Position = batch.next_position;
        let appended = self.0.append(batch.exchanges, position).await;
        appended
            .map(|()| Delivered::default())
            .map_err(|error| ExportError::Refused { cause: error.to_string() })
    }
}

/// Understands `{"token": t, "paths": [p…]}`; a path that is no string is rejected.
pub struct Toy;

pub const TOY_LIMIT: usize = 100_000;

static MOUNTS: [Mount; 5] = [
    Mount::report("POST", "/toy", TOY_LIMIT),
    Mount::report("GET", "/toy", TOY_LIMIT),
    Mount::report("POST", "/toy/{bucket}/events", TOY_LIMIT),
    Mount::desk("GET", "/toy/{token}/paths", TOY_LIMIT),
    Mount::desk("POST", "/toy/{token}/users", TOY_LIMIT),
];

#[async_trait]
impl Receiver for Toy {
    fn mounts(&self) -> &'static [Mount] {
        &MOUNTS
    }

    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed> {
        let bad = |reason: String| Malformed { status: StatusCode::BAD_REQUEST, reason };
        let report: Value = serde_json::from_slice(call.body).map_err(|error| bad(error.to_string()))?;
        let paths = report["paths"].as_array().ok_or_else(|| bad("no \"paths\"".into()))?;
        let bucket = call.parameters.first().map(|(_, bucket)| bucket.clone());
        let token = bucket.unwrap_or_else(|| report["token"].as_str().unwrap_or("").to_owned());
        let mut decoded = Decoded { offered: paths.len(), ..Decoded::default() };
        for (index, path) in paths.iter().enumerate() {
            match path.as_str() {
                Some(path) => {
                    let request = Request { path: path.into(), method: "GET".into(), ..Request::default() };
                    let started_at = call.received_at;
                    let mut exchange = Exchange::new(ExchangeId::new(started_at), started_at, request);
                    exchange.origin.source = "toy".into();
                    exchange.client = call.peer;
                    let credential = Credential { token: token.clone(), environment: None };
                    decoded.accepted.push((credential, exchange));
                }
                None => decoded.rejected.push(Rejected { index, reason: format!("{path} is not a path") }),
            }
        }
        Ok(decoded)
    }

    fn reply(&self, _: &Call<'_>, outcome: &Outcome) -> Reply {
        let rejected: Vec<_> = outcome
            .rejected
            .iter()
            .map(|rejected| format!("[{}] {}", rejected.index, rejected.reason))
            .collect();
        let project = outcome.project.as_ref().map(|project| project.as_str());
        let body = json!({
            "offered": outcome.offered, "saved": outcome.saved, "rejected": rejected, "project": project
        });
        let status = if outcome.busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        Reply {
            status,
            headers: vec![("X-Toy-ETag", "t1".into()), ("content-type", "application/json".into())],
            body: body.to_string().into_bytes(),
        }
    }

    /// Keeps users, or gives the paths of what matches the query string, or of the exchange that it names.
    async fn answer(&self, call: &Call<'_>, desk: &dyn Desk) -> Reply {
        let answer = |status, body: String| Reply { status, headers: Vec::new(), body: body.into_bytes() };
        let credential = Credential { token: call.parameters[0].1.clone(), environment: None };
        let Some(project) = desk.project(&credential) else {
            return answer(StatusCode::UNAUTHORIZED, "who are you?".into());
        };
        if call.method == "POST" {
            let users: Vec<Value> = serde_json::from_slice(call.body).unwrap();
            let refused = desk.upsert(&project, users.iter().map(update).collect()).await.unwrap();
            return answer(StatusCode::OK, format!("{refused:?} {}", desk.governance(&project).tag));
        }
        let text = call.query.unwrap_or("");
        let found = match text.parse() {
            Ok(id) => desk.get(&project, id).await.map(|found| found.into_iter().collect()),
            Err(_) => desk.list(&project, &Question { text, since: None, before: None, limit: 2 }).await,
        };
        match found {
            Ok(found) => {
                let paths: Vec<_> = found.into_iter().map(|found| found.request.path).collect();
                answer(StatusCode::OK, paths.join(" "))
            }
            Err(error) => answer(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }

    fn refuse(&self, _: &Call<'_>, malformed: &Malformed) -> Reply {
        Reply {
            status: malformed.status,
            headers: Vec::new(),
            body: format!("toy: {}", malformed.reason).into(),
        }
    }
}

fn update(user: &Value) -> ProfileUpdate {
    ProfileUpdate {
        kind: match user["kind"].as_str() {
            Some("company") => ProfileKind::Company,
            Some("subscription") => ProfileKind::Subscription,
            _ => ProfileKind::User,
        },
        id: user["id"].as_str().unwrap_or("").to_owned(),
        company: user["company"].as_str().map(str::to_owned),
        sessions: Vec::new(),
        properties: user["properties"].as_object().cloned().unwrap_or_default(),
    }
}

static IMPORTERS: &[ImporterKind] =
    &[ImporterKind { name: "lines", extensions: &["lines"], open: || Box::new(Lines::default()) }];

/// Reads a path from every line; an empty line is rejected.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    fn line(&mut self, out: &mut Imported) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.unfinished)).into_owned();
        out.offered += 1;
        if line.is_empty() {
            let index = usize::try_from(out.offered).unwrap();
            out.rejected.push(Rejected { index, reason: format!("line {index} is empty") });
            return;
        }
        let at: Timestamp = NOW.parse().unwrap();
        let request = Request { path: line.into(), ..Request::default() };
        out.accepted.push(Exchange::new(ExchangeId::new(at), at, request));
    }
}

impl Importer for Lines {
    fn feed(&mut self, bytes: &[u8], out: &mut Imported) {
        for byte in bytes {
            match byte {
                b'\n' => self.line(out),
                byte => self.unfinished.push(*byte),
            }
        }
    }

    fn finish(&mut self, out: &mut Imported) {
        if !self.unfinished.is_empty() {
            self.line(out);
        }
    }
}

static RENDERERS: &[RendererKind] = &[
    RendererKind { name: "har", media_type: "application/json", open: || Box::new(Paths { first: true }) },
    RendererKind { name: "ndjson", media_type: "application/x-ndjson", open: || Box::new(Ndjson) },
];

/// Writes `{"entries":["/a","/b"]}`.
struct Paths {
    first: bool,
}

impl Renderer for Paths {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"entries\":[");
    }

    fn exchange(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.first) {
            out.push(b',');
        }
        out.extend_from_slice(json!(exchange.request.path).to_string().as_bytes());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}

/// Writes one path a line.
struct Ndjson;

impl Renderer for Ndjson {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn exchange(&mut self, exchange: &Exchange, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}\n", json!(exchange.request.path)).as_bytes());
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
