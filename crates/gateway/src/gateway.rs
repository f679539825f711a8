//! Starting and stopping a gateway.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::capture::redact::Secrets;
use crate::capture::{CaptureCounts, ChunkPool, Drain, Sink, start_drain};
use crate::draining::Draining;
use crate::listener::{accept, bind};
use crate::settings::{Certificate, Settings};
use crate::snapshot::SnapshotHandle;
use crate::upstream::ClientTls;
use crate::worker::{Common, Counters, Worker};

/// How often a worker closes connections to services that have rested for too long.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("certificate not usable: {0}")]
    Certificate(String),
    /// The system gave no thread.
    #[error("thread not started: {0}")]
    Thread(#[source] io::Error),
}

/// The gateway's data plane. See [`Gateway::start`].
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Starts listening with the current configuration of `snapshots`, which may be swapped at any time. Records of calls
    /// go to `sink` from threads of their own. Any number of gateways may run in one process.
    pub fn start(
        settings: Settings,
        snapshots: SnapshotHandle,
        sink: Sink,
    ) -> Result<GatewayHandle, StartError> {
        let certificate_error = |error: rustls::Error| StartError::Certificate(error.to_string());
        let client_tls = ClientTls::new(&settings.upstream.authorities).map_err(certificate_error)?;
        let acceptor = match settings.listen_tls.is_empty() {
            true => None,
            false => Some(server_tls(settings.certificate.as_ref())?),
        };
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let mut sockets = Sockets::bind(&settings, workers)?;
        let chunks = ChunkPool::new(settings.capture.pool_bytes);
        let drain =
            start_drain(&chunks, &sink, settings.capture.drain_threads).map_err(StartError::Thread)?;
        let (stop, stopped) = watch::channel(None);
        let secrets = Secrets::new(&settings.capture);
        let common = Arc::new(Common {
            settings,
            snapshots,
            chunks,
            secrets,
            client_tls: Arc::new(client_tls),
            counters: Counters::default(),
        });
        let mut handle = GatewayHandle {
            addresses: sockets.addresses.clone(),
            tls_addresses: sockets.tls_addresses.clone(),
            common: Arc::clone(&common),
            requests: Vec::new(),
            stop,
            threads: Vec::new(),
            drain: Some(drain),
        };
        for (index, (plain, tls)) in sockets.per_worker.drain(..).enumerate() {
            let requests = Arc::new(AtomicU64::new(0));
            handle.requests.push(Arc::clone(&requests));
            let (common, acceptor, stopped) = (Arc::clone(&common), acceptor.clone(), stopped.clone());
            let thread = std::thread::Builder::new().name(format!("gateway-{index}"));
            let started = thread.spawn(move || {
                let listeners = Listeners { plain, tls, acceptor };
                run_worker(common, workers, requests, listeners, stopped);
            });
            handle.threads.push(started.map_err(StartError::Thread)?);
        }
        Ok(handle)
    }
}

/// A running gateway. Dropping it stops it without waiting for calls to end.
#[derive(Debug)]
pub struct GatewayHandle {
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    common: Arc<Common>,
    requests: Vec<Arc<AtomicU64>>,
    stop: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<()>>,
    drain: Option<Drain>,
}

/// Counts of a gateway, for `/status` and `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GatewayCounts {
    /// Connections open now.
    pub connections_active: u64,
    /// Connections accepted so far, refused ones included.
    pub connections_accepted: u64,
    /// Connections that have ended.
    pub connections_handled: u64,
    /// Connections closed at once because there were too many.
    pub connections_refused: u64,
    /// Calls that have ended, whoever answered them.
    pub requests: u64,
    /// What became of their records.
    pub capture: CaptureCounts,
}

impl GatewayHandle {
    /// The addresses for HTTP, with the ports that were picked.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses for TLS, with the ports that were picked.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }

    /// The counts so far.
    pub fn counts(&self) -> GatewayCounts {
        self.counter().counts()
    }

    /// Something that gives the counts and may outlive the handle.
    pub fn counter(&self) -> GatewayCounter {
        GatewayCounter { common: Arc::clone(&self.common), requests: self.requests.clone() }
    }

    /// Stops accepting, lets calls under way end for at most `patience`, then ends them, and hands the last records to
    /// the sink. Blocks; call it from `spawn_blocking` in async code.
    pub fn shutdown(mut self, patience: Duration) {
        self.stop(patience);
    }

    fn stop(&mut self, patience: Duration) {
        self.stop.send_replace(Some(Instant::now() + patience));
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
        if let Some(drain) = self.drain.take() {
            drain.finish();
        }
    }
}

impl Drop for GatewayHandle {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Gives the counts of a gateway.
#[derive(Debug, Clone)]
pub struct GatewayCounter {
    common: Arc<Common>,
    requests: Vec<Arc<AtomicU64>>,
}

impl GatewayCounter {
    /// The counts so far.
    pub fn counts(&self) -> GatewayCounts {
        let counters = &self.common.counters;
        GatewayCounts {
            connections_active: counters.active.load(Ordering::Relaxed),
            connections_accepted: counters.accepted.load(Ordering::Relaxed),
            connections_handled: counters.closed.load(Ordering::Relaxed),
            connections_refused: counters.refused.load(Ordering::Relaxed),
            requests: self.requests.iter().map(|requests| requests.load(Ordering::Relaxed)).sum(),
            capture: self.common.chunks.counts(),
        }
    }
}

type Bound = Vec<std::net::TcpListener>;

/// The listening sockets of all workers.
struct Sockets {
    addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    per_worker: Vec<(Bound, Bound)>,
}

impl Sockets {
    fn bind(settings: &Settings, workers: usize) -> Result<Self, StartError> {
        let mut sockets = Self {
            addresses: settings.listen.clone(),
            tls_addresses: settings.listen_tls.clone(),
            per_worker: Vec::new(),
        };
        for _ in 0..workers {
            // The first worker's sockets settle the ports that the others bind as well.
            let plain = bind_all(&mut sockets.addresses)?;
            let tls = bind_all(&mut sockets.tls_addresses)?;
            sockets.per_worker.push((plain, tls));
        }
        Ok(sockets)
    }
}

fn bind_all(addresses: &mut [SocketAddr]) -> Result<Bound, StartError> {
    let bind_one = |address: &mut SocketAddr| {
        let failed = |cause| StartError::Bind { address: *address, cause };
        let listener = bind(*address).map_err(failed)?;
        *address = listener.local_addr().map_err(failed)?;
        Ok(listener)
    };
    addresses.iter_mut().map(bind_one).collect()
}

struct Listeners {
    plain: Bound,
    tls: Bound,
    acceptor: Option<TlsAcceptor>,
}

fn run_worker(
    common: Arc<Common>,
    workers: usize,
    requests: Arc<AtomicU64>,
    listeners: Listeners,
    stopped: watch::Receiver<Option<Instant>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a worker has no event loop and does not serve");
            return;
        }
    };
    let local = LocalSet::new();
    let worker = Rc::new(Worker::new(common, workers, requests));
    let result = local.block_on(&runtime, work(Rc::clone(&worker), listeners, stopped));
    if let Err(error) = result {
        tracing::error!(%error, "a worker cannot listen and does not serve");
    }
    // Ends what is still under way: its records are kept as aborted calls.
    drop(local);
    worker.upstreams.clear();
}

async fn work(
    worker: Rc<Worker>,
    listeners: Listeners,
    mut stopped: watch::Receiver<Option<Instant>>,
) -> io::Result<()> {
    let draining = Rc::new(Draining::default());
    let mut accepting = Vec::new();
    let plain = listeners.plain.into_iter().map(|listener| (listener, None));
    let tls = listeners.tls.into_iter().map(|listener| (listener, listeners.acceptor.clone()));
    for (listener, acceptor) in plain.chain(tls) {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let loop_ = accept(listener, acceptor, Rc::clone(&worker), Rc::clone(&draining));
        accepting.push(tokio::task::spawn_local(loop_));
    }
    let sweeping = tokio::task::spawn_local(sweep(Rc::clone(&worker)));
    let deadline = stopped.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
    sweeping.abort();
    draining.start();
    for task in accepting {
        // Ends by itself, now that it has been told; its listeners are closed with it.
        let _ended = task.await;
    }
    if let Some(deadline) = deadline {
        let closed = tokio::time::timeout_at(deadline.into(), draining.closed()).await;
        if closed.is_err() {
            tracing::warn!("calls under way were cut off at shutdown");
        }
    }
    Ok(())
}

async fn sweep(worker: Rc<Worker>) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    loop {
        every.tick().await;
        worker.upstreams.sweep();
    }
}

/// A certificate for these names that nobody vouches for.
pub fn self_signed(names: Vec<String>) -> Result<Certificate, StartError> {
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| StartError::Certificate(error.to_string()))?;
    Ok(Certificate {
        chain: made.cert.pem().into_bytes(),
        key: made.signing_key.serialize_pem().into_bytes(),
    })
}

/// TLS towards clients: the certificate given, or one made now that nobody vouches for.
fn server_tls(certificate: Option<&Certificate>) -> Result<TlsAcceptor, StartError> {
    let wrong = |what: &dyn std::fmt::Display| StartError::Certificate(what.to_string());
    let made;
    let certificate = match certificate {
        Some(given) => given,
        None => {
            made = self_signed(vec!["localhost".to_owned()])?;
            &made
        }
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate.chain).collect();
    let chain = chain.map_err(|error| wrong(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&certificate.key).map_err(|error| wrong(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
