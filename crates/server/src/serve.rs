//! Connections: HTTP/1.1 and HTTP/2 in clear text on one port, under limits, until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::api::App;
use crate::collector::Collector;
use crate::governance::Governed;
use crate::metrics::Requests;
use crate::parts::ServerParts;
use crate::router::router;
use crate::spelling::{Spelled, Spelling};

/// Most bytes of the head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Most header fields of a request.
const MAX_FIELDS: usize = 200;
/// Most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// weir's own HTTP server.
#[derive(Debug, Clone, Copy)]
pub struct Server;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// Rules and rates cannot be read.
    #[error(transparent)]
    State(#[from] weir_state::StateError),
    /// Two receivers answer the same calls.
    #[error("{0}")]
    Receivers(String),
}

/// A running server.
pub struct ServerHandle {
    /// Where it listens.
    pub address: SocketAddr,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts to listen; returns once connections are accepted.
    pub async fn start(parts: ServerParts) -> Result<ServerHandle, StartError> {
        let listen = parts.settings.listen;
        let failed = |cause| StartError::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if parts.settings.token.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "the API is open to everybody who reaches this address; set server.token");
        }
        let stopping = CancellationToken::new();
        let settings = parts.settings.clone();
        let (router, collector) = build(parts, address, stopping.clone())?;
        let accepting = Accepting {
            listener,
            router,
            collector,
            builder: builder(settings.header_timeout),
            places: Arc::new(Semaphore::new(settings.max_connections)),
            stopping: stopping.clone(),
            shutdown_timeout: settings.shutdown_timeout,
        };
        let task = tokio::spawn(accepting.run());
        Ok(ServerHandle { address, stopping, task })
    }
}

impl ServerHandle {
    /// Stops accepting, lets open requests end within the setting's time, and closes what is left.
    pub async fn shutdown(self) {
        self.stopping.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the server ended in disorder");
        }
    }
}

fn build(
    parts: ServerParts,
    address: SocketAddr,
    stopping: CancellationToken,
) -> Result<(Router, Arc<Collector>), StartError> {
    let collector = Collector::new(parts.receivers, parts.settings.collector_bytes)
        .map_err(|conflict| StartError::Receivers(conflict.to_string()))?;
    let mut addresses = parts.addresses;
    addresses.server.get_or_insert_with(|| format!("http://{address}"));
    let app = App {
        store: parts.store,
        pipeline: parts.pipeline,
        profiles: parts.profiles,
        governed: Governed::open(parts.state)?,
        mask: parts.mask,
        importers: parts.importers,
        renderers: parts.renderers,
        figures: parts.figures,
        ready: parts.ready,
        addresses,
        clock: parts.clock,
        version: parts.version,
        live_readers: Arc::new(Semaphore::new(parts.settings.max_live_readers)),
        settings: parts.settings,
        requests: Requests::default(),
        stopping,
    };
    let collector = Arc::new(collector);
    Ok((router(Arc::new(app), collector.clone(), parts.admin), collector))
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX));
    builder
}

struct Accepting {
    listener: TcpListener,
    router: Router,
    collector: Arc<Collector>,
    builder: Builder<TokioExecutor>,
    places: Arc<Semaphore>,
    stopping: CancellationToken,
    shutdown_timeout: Duration,
}

impl Accepting {
    async fn run(self) {
        let graceful = GracefulShutdown::new();
        // Cancelled when patience with open connections ends.
        let closing = CancellationToken::new();
        loop {
            // A connection beyond the limit waits in the system's queue.
            let place = tokio::select! {
                () = self.stopping.cancelled() => break,
                place = self.places.clone().acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = self.stopping.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, or the peer is gone already: neither is the listener's end.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let connection = self.connection(stream, peer, &graceful);
            let closing = closing.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = connection => {}
                    () = closing.cancelled() => {}
                }
                drop(place);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(self.shutdown_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("closed connections whose requests did not end in time");
        }
        closing.cancel();
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + 'static {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "the connection cannot be made prompt");
        }
        let (router, collector) = (self.router.clone(), self.collector.clone());
        let spelling = Spelling::default();
        let stream = Spelled::new(stream, spelling.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(spelling.clone());
            let is_report = collector.takes(request.method(), request.uri().path());
            let answering = router.clone().oneshot(request);
            // A connection that ends drops what answers its request, even before that was polled once. Questions stop with
            // it, reports do not, so they must be on their way when this returns.
            let report = if is_report { Ok(tokio::spawn(answering)) } else { Err(answering) };
            async move {
                match report {
                    Ok(task) => task.await.unwrap_or_else(|error| {
                        tracing::error!(%error, "a report could not be answered");
                        Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
                    }),
                    Err(answering) => answering.await,
                }
            }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        async move {
            if let Err(error) = watched.await {
                tracing::debug!(error, %peer, "a connection ended early");
            }
        }
    }
}
