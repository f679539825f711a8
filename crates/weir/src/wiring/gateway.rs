//! The proxy and its Admin API.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_gateway::admin::{Admin, AdminOptions, NodeInfo, Traffic};
use weir_gateway::assemble::ExporterPlugin;
use weir_gateway::capture::Sink;
use weir_gateway::gateway_url::GatewayUrls;
use weir_gateway::settings::{CaptureSettings, Certificate};
use weir_gateway::snapshot::{Snapshot, SnapshotHandle};
use weir_gateway::{Gateway, GatewayCounter, GatewayHandle};
use weir_model::ProjectId;
use weir_pipeline::{Intake, Pipeline};
use weir_state::{State, StateError};
use weir_wire::registry;

use super::targets::{Configured, Reconciler};
use crate::definitions;
use crate::settings::{self, Settings};

/// The account that captured calls are booked under.
pub const SOURCE: &str = "gateway";

/// A running gateway with its Admin API.
pub struct RunningGateway {
    handle: GatewayHandle,
    /// The Admin API, to be mounted under the server as well.
    pub admin: Admin,
    admin_address: Option<SocketAddr>,
    admin_task: Option<JoinHandle<()>>,
    stop_admin: watch::Sender<bool>,
    reconciling: JoinHandle<()>,
}

/// Starts the proxy with what is configured, and the Admin API to change it.
pub async fn start(
    settings: &Settings,
    state: &State,
    pipeline: &Arc<Pipeline>,
    targets: Reconciler,
) -> Result<RunningGateway> {
    // Routes and targets are in place before the first connection is accepted.
    let snapshots = SnapshotHandle::new(Snapshot::empty());
    let counter = Arc::new(OnceLock::new());
    let admin = open_admin(settings, state, snapshots.clone(), counter.clone())?;
    let mut plugins = admin.exporters();
    let configured_now = plugins.borrow_and_update().clone();
    targets.apply(&configured(&configured_now)).await;

    let sink = sink(pipeline.intake().clone(), settings.gateway.project.as_str().into());
    let proxy = proxy_settings(settings)?;
    let handle = Gateway::start(proxy, snapshots, sink).context("the gateway did not start")?;
    counter.get_or_init(|| handle.counter());

    let reconciling = tokio::spawn(async move {
        while plugins.changed().await.is_ok() {
            let current = plugins.borrow_and_update().clone();
            targets.apply(&configured(&current)).await;
        }
    });

    let (stop_admin, stopped) = watch::channel(false);
    let (admin_address, admin_task) = match settings.gateway.admin_listen.0 {
        None => (None, None),
        Some(address) => {
            let (address, task) = serve_admin(address, &admin, stopped).await?;
            (Some(address), Some(task))
        }
    };
    Ok(RunningGateway { handle, admin, admin_address, admin_task, stop_admin, reconciling })
}

impl RunningGateway {
    /// Addresses by role, with the ports that were picked.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let proxy = self.handle.addresses().first().map(|address| ("proxy", *address));
        let tls = self.handle.tls_addresses().first().map(|address| ("proxy_tls", *address));
        let admin = self.admin_address.map(|address| ("admin", address));
        [proxy, tls, admin].into_iter().flatten()
    }

    /// Gives the counts for `/metrics` and the ledger.
    pub fn counter(&self) -> GatewayCounter {
        self.handle.counter()
    }

    /// Takes no more calls, lets those under way end, and hands on what was captured.
    pub async fn stop(self, patience: Duration) {
        self.stop_admin.send_replace(true);
        self.reconciling.abort();
        let handle = self.handle;
        if let Err(error) = tokio::task::spawn_blocking(move || handle.shutdown(patience)).await {
            tracing::error!(%error, "the gateway did not stop cleanly");
        }
        if let Some(task) = self.admin_task {
            task.abort();
        }
    }
}

/// Captured calls go in by the door that never waits; what does not fit is counted there.
fn sink(intake: Intake, project: ProjectId) -> Sink {
    Arc::new(move |mut exchanges| {
        for exchange in &mut exchanges {
            exchange.project = project.clone();
        }
        intake.offer(SOURCE, exchanges);
    })
}

fn configured(plugins: &[ExporterPlugin]) -> Vec<Configured> {
    let known = plugins.iter().filter_map(|plugin| Some((plugin, registry::exporter(plugin.kind)?)));
    known.map(|(plugin, kind)| Reconciler::plugin(&plugin.id, kind, plugin.config.clone())).collect()
}

fn proxy_settings(settings: &Settings) -> Result<weir_gateway::settings::Settings> {
    let ours = &settings.gateway;
    let mut proxy = weir_gateway::settings::Settings {
        listen: ours.proxy_listen.0.into_iter().collect(),
        listen_tls: ours.proxy_tls_listen.0.into_iter().collect(),
        workers: ours.workers.unwrap_or(0),
        max_connections: ours.max_connections,
        idle_timeout: ours.keepalive_timeout,
        head_timeout: ours.header_timeout,
        capture: capture_settings(&ours.capture, ours.environment.clone(), settings),
        ..weir_gateway::settings::Settings::default()
    };
    proxy.head.head_bytes = ours.max_header_bytes;
    proxy.head.headers = ours.max_header_count;
    for network in &ours.trusted_ips {
        proxy.trusted_ips.push(network.parse().context("gateway.trusted_ips")?);
    }
    let urls = &ours.gateway_urls;
    if let Some(host) = &urls.host {
        let tokens = urls.tokens.iter().map(|(bucket, token)| (bucket.clone(), token.expose().to_owned()));
        let urls = GatewayUrls::new(host, &urls.targets, tokens).context("gateway.gateway_urls.targets")?;
        proxy.gateway_urls = Some(urls);
    }
    if proxy.listen_tls.is_empty() {
        return Ok(proxy);
    }
    proxy.certificate = Some(match (&ours.tls_certificate, &ours.tls_certificate_key) {
        (Some(chain), Some(key)) => {
            let read = |file: &Path| std::fs::read(file).with_context(|| format!("{}", file.display()));
            Certificate { chain: read(chain)?, key: read(key)? }
        }
        (None, None) => self_signed(&settings.data_dir.join("tls"))?,
        _ => anyhow::bail!("give both gateway.tls_certificate and gateway.tls_certificate_key, or neither"),
    });
    Ok(proxy)
}

/// Bodies under way and finished records share the memory that the settings give, half each.
fn capture_settings(
    ours: &settings::Capture,
    environment: Option<String>,
    settings: &Settings,
) -> CaptureSettings {
    CaptureSettings {
        enabled: ours.enabled,
        request_body_bytes: ours.request_body_bytes,
        response_body_bytes: ours.response_body_bytes,
        pool_bytes: ours.memory / 2,
        body_budget_bytes: ours.memory / 2,
        secret_headers: settings.redact.mask_headers.clone(),
        secret_parameters: settings.redact.mask_parameters.clone(),
        environment,
        ..CaptureSettings::default()
    }
}

/// The certificate made on first start, kept so that clients that were told to trust it can go on doing so.
fn self_signed(directory: &Path) -> Result<Certificate> {
    let (chain_file, key_file) = (directory.join("certificate.pem"), directory.join("key.pem"));
    if let (Ok(chain), Ok(key)) = (std::fs::read(&chain_file), std::fs::read(&key_file)) {
        return Ok(Certificate { chain, key });
    }
    let certificate = weir_gateway::self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
        .context("cannot make a certificate")?;
    std::fs::create_dir_all(directory)?;
    write_private(&key_file, &certificate.key)?;
    std::fs::write(&chain_file, &certificate.chain)?;
    Ok(certificate)
}

/// Writes a file that only its owner may read.
fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    Ok(())
}

fn open_admin(
    settings: &Settings,
    state: &State,
    snapshots: SnapshotHandle,
    counter: Arc<OnceLock<GatewayCounter>>,
) -> Result<Admin> {
    let declarative = declarative(&settings.gateway)?;
    let state = match &declarative {
        Some(_) => State::in_memory().context("the configuration cannot be opened")?,
        None => state.clone(),
    };
    let traffic = move || {
        let counts = counter.get().map(GatewayCounter::counts).unwrap_or_default();
        Traffic {
            active: counts.connections_active,
            accepted: counts.connections_accepted,
            handled: counts.connections_handled,
            requests: counts.requests,
        }
    };
    let node = NodeInfo {
        hostname: hostname(),
        node_id: node_id(&state).context("the configuration cannot be opened")?,
        traffic: Box::new(traffic),
        ..NodeInfo::default()
    };
    let admin = Admin::new(AdminOptions {
        declarative: declarative.is_some(),
        node,
        ..AdminOptions::new(state, registry::EXPORTERS, snapshots)
    })
    .map_err(|fault| anyhow::anyhow!("the configuration cannot be served: {fault}"))?;
    if let Some((path, text)) = declarative {
        admin.load_declarative(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    }
    Ok(admin)
}

/// The declarative configuration of the settings and where it is from, if there is one.
fn declarative(ours: &settings::Gateway) -> Result<Option<(&Path, String)>> {
    match (&ours.declarative_config, &ours.tyk_definitions) {
        (None, None) => Ok(None),
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
            Ok(Some((file, text)))
        }
        (None, Some(path)) => {
            let conversion = definitions::read(std::slice::from_ref(path))?;
            for key in &conversion.unsupported {
                tracing::warn!("not taken over from {}: {key}", path.display());
            }
            Ok(Some((path, conversion.declarative.to_string())))
        }
    }
}

/// This machine's name; `localhost` where the system does not tell.
fn hostname() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match told.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// The id of this node, the same over restarts.
fn node_id(state: &State) -> Result<String, StateError> {
    const NODE_ID: &str = "node_id";
    state.write(|writer| match writer.setting(NODE_ID)? {
        Some(id) => Ok(id),
        None => {
            let id = NodeInfo::default().node_id;
            writer.set_setting(NODE_ID, &id)?;
            Ok(id)
        }
    })
}

async fn serve_admin(
    address: SocketAddr,
    admin: &Admin,
    mut stopped: watch::Receiver<bool>,
) -> Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (Admin API)"))?;
    let address = listener.local_addr()?;
    let router = admin.router();
    let task = tokio::spawn(async move {
        let until_stopped = async move {
            let _ended_either_way = stopped.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until_stopped).await {
            tracing::error!(%error, "the Admin API ended");
        }
    });
    Ok((address, task))
}
