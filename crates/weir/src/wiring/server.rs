//! Page, API and collector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use weir_gateway::{GatewayCounter, GatewayCounts};
use weir_inspect::Redactor;
use weir_kit::SystemClock;
use weir_model::Exchange;
use weir_pipeline::{JournalStatus, LedgerSnapshot, NoRoom, Pipeline, Receipt};
use weir_server::{
    Addresses, Figure, FigureKind, Figures, Server, ServerHandle, ServerParts, Tap, UnknownCredentials,
    Wanted,
};
use weir_state::{ProfileLimits, Profiles, State};
use weir_store::Store;
use weir_wire::registry;

use super::gateway::{RunningGateway, SOURCE};
use crate::settings::{self, Settings};

/// Starts the server over the store and the pipeline.
pub async fn start(
    settings: &Settings,
    state: State,
    store: &Arc<dyn Store>,
    pipeline: &Arc<Pipeline>,
    gateway: Option<&RunningGateway>,
) -> Result<ServerHandle> {
    let listen =
        settings.server.listen.0.context("server.listen is off; `weir gateway` runs without a server")?;
    let receivers = registry::RECEIVERS
        .iter()
        .map(|kind| (kind.build)(serde_json::Value::Null))
        .collect::<Result<_, _>>()
        .context("a receiver cannot be built")?;
    let capture = gateway.map(|gateway| Arc::new(CaptureBooks::new(gateway.counter())));
    let figures = gateway.map(|gateway| Arc::new(GatewayFigures(gateway.counter())) as Arc<dyn Figures>);
    let profiles = Profiles::open(&settings.data_dir.join("profiles.db"), ProfileLimits::default())
        .context("the profiles cannot be opened")?;
    let redactor = Redactor::new(&super::redact_settings(settings));
    let parts = ServerParts {
        store: store.clone(),
        pipeline: Arc::new(Facade { pipeline: pipeline.clone(), capture }),
        state,
        profiles,
        mask: Box::new(move |json| redactor.json(json)),
        receivers,
        importers: registry::IMPORTERS,
        renderers: registry::RENDERERS,
        admin: gateway.map(|gateway| gateway.admin.router()),
        figures: figures.into_iter().collect(),
        ready: Vec::new(),
        addresses: addresses(gateway),
        clock: Arc::new(SystemClock),
        version: env!("CARGO_PKG_VERSION"),
        settings: weir_server::Settings {
            listen,
            token: settings.server.token.clone(),
            max_connections: settings.server.max_connections,
            credentials: credentials(&settings.collector),
            unknown_credentials: match settings.collector.unknown_credentials {
                settings::UnknownCredentials::Accept => UnknownCredentials::Accept,
                settings::UnknownCredentials::Refuse => UnknownCredentials::Refuse,
            },
            collector_token: settings.collector.tokens.keys().next().cloned(),
            ..weir_server::Settings::default()
        },
    };
    Server::start(parts).await.context("the server did not start")
}

fn credentials(collector: &settings::Collector) -> HashMap<String, weir_model::ProjectId> {
    collector.tokens.iter().map(|(token, project)| (token.clone(), project.as_str().into())).collect()
}

fn addresses(gateway: Option<&RunningGateway>) -> Addresses {
    let mut addresses = Addresses::default();
    for (role, address) in gateway.into_iter().flat_map(RunningGateway::addresses) {
        let (slot, scheme) = match role {
            "proxy" => (&mut addresses.proxy, "http"),
            "proxy_tls" => (&mut addresses.proxy_tls, "https"),
            _ => (&mut addresses.admin, "http"),
        };
        *slot = Some(format!("{scheme}://{address}"));
    }
    addresses
}

/// The pipeline as the server sees it.
struct Facade {
    pipeline: Arc<Pipeline>,
    capture: Option<Arc<CaptureBooks>>,
}

#[async_trait]
impl weir_server::Pipeline for Facade {
    async fn submit(&self, source: &str, exchanges: Vec<Exchange>) -> Result<Receipt, NoRoom> {
        self.pipeline.intake().submit(source, exchanges).await
    }

    async fn room(&self, patience: Duration) -> Result<(), NoRoom> {
        self.pipeline.intake().room(patience).await
    }

    fn rejected(&self, source: &str, reason: &'static str, count: u64) {
        self.pipeline.intake().dropped_before(source, reason, count);
    }

    fn ledger(&self) -> LedgerSnapshot {
        if let Some(capture) = &self.capture {
            capture.carry_over(&self.pipeline);
        }
        self.pipeline.ledger().snapshot()
    }

    fn journal(&self) -> JournalStatus {
        self.pipeline.status().journal
    }

    fn subscribe(&self, wanted: Wanted) -> Box<dyn Tap> {
        Box::new(self.pipeline.tap().subscribe(wanted))
    }
}

/// Carries what the workers dropped or still hold over into the ledger, which otherwise sees only what was handed to it.
struct CaptureBooks {
    counter: GatewayCounter,
    carried: Mutex<GatewayCounts>,
}

impl CaptureBooks {
    fn new(counter: GatewayCounter) -> Self {
        Self { counter, carried: Mutex::default() }
    }

    fn carry_over(&self, pipeline: &Pipeline) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.counter.counts();
        let intake = pipeline.intake();
        let newly = |count: fn(&GatewayCounts) -> u64| count(&now).saturating_sub(count(&carried));
        intake.dropped_before(SOURCE, "no_chunk", newly(|counts| counts.capture.no_chunk));
        intake.dropped_before(SOURCE, "undecodable", newly(|counts| counts.capture.undecodable));
        intake.held_before(SOURCE, now.capture.held());
        *carried = now;
    }
}

/// The gateway's counts for `/metrics`.
struct GatewayFigures(GatewayCounter);

impl Figures for GatewayFigures {
    fn figures(&self) -> Vec<Figure> {
        let counts = self.0.counts();
        let figure = |name, about, kind, value: u64| Figure {
            name,
            about,
            kind,
            labels: Vec::new(),
            value: value as f64,
        };
        let (counter, gauge) = (FigureKind::Counter, FigureKind::Gauge);
        vec![
            figure("weir_gateway_requests", "calls that have ended", counter, counts.requests),
            figure(
                "weir_gateway_connections_active",
                "client connections open now",
                gauge,
                counts.connections_active,
            ),
            figure(
                "weir_gateway_connections_accepted",
                "client connections accepted",
                counter,
                counts.connections_accepted,
            ),
            figure(
                "weir_gateway_connections_refused",
                "client connections closed because there were too many",
                counter,
                counts.connections_refused,
            ),
            figure(
                "weir_gateway_bodies_skipped",
                "calls recorded without a body because too many bodies were under way",
                counter,
                counts.capture.body_budget,
            ),
            figure(
                "weir_gateway_untracked",
                "calls that left no record because do-not-track says so",
                counter,
                counts.capture.untracked,
            ),
        ]
    }
}
