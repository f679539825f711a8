//! Accepting connections: plain or TLS, HTTP/1 or HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::FutureExt;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::draining::{Draining, drive};
use crate::framing::{Guarded, Waits};
use crate::proxy::serve;
use crate::upstream::LocalExecutor;
use crate::worker::{ClientConnection, Worker};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4_096;
/// Pause after a failure to accept, such as no free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What an HTTP/2 client says first.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Binds one address; several workers may bind the same, and share its connections.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// When the gateway stops: how long a connection may take to say its first word.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Accepts connections until the worker drains, and then those that the system has already accepted.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    worker: Rc<Worker>,
    draining: Rc<Draining>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = draining.started() => break,
        };
        match accepted {
            Ok((stream, peer)) => spawn(stream, peer, tls.clone(), &worker, &draining),
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        spawn(stream, peer, tls.clone(), &worker, &draining);
    }
}

/// Serves a connection on a task of its own.
fn spawn(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    worker: &Rc<Worker>,
    draining: &Rc<Draining>,
) {
    let Some(counted) = Counted::new(worker) else { return };
    let (worker, draining) = (Rc::clone(worker), Rc::clone(draining));
    let open = draining.open();
    tokio::task::spawn_local(async move {
        if let Err(error) = connection(stream, peer, tls, worker, &draining).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
        drop((counted, open));
    });
}

/// Counts a connection while it is open.
struct Counted(Rc<Worker>);

impl Counted {
    /// `None` when there are too many.
    fn new(worker: &Rc<Worker>) -> Option<Self> {
        let counters = &worker.common.counters;
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        let most = worker.common.settings.max_connections as u64;
        if counters.active.fetch_add(1, Ordering::Relaxed) >= most {
            counters.active.fetch_sub(1, Ordering::Relaxed);
            counters.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Self(Rc::clone(worker)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counters = &self.0.common.counters;
        counters.active.fetch_sub(1, Ordering::Relaxed);
        counters.closed.fetch_add(1, Ordering::Relaxed);
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    worker: Rc<Worker>,
    draining: &Draining,
) -> Result<(), Failed> {
    stream.set_nodelay(true)?;
    let too_late = async {
        draining.started().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let accepted = tokio::select! {
        accepted = negotiate(stream, peer, tls, &worker) => accepted?,
        () = too_late => return Ok(()),
    };
    speak(accepted, worker, draining).await
}

/// Finds out what is spoken on a connection.
async fn negotiate(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    worker: &Worker,
) -> Result<Accepted, Failed> {
    let local = stream.local_addr()?;
    let settings = &worker.common.settings;
    let Some(acceptor) = tls else {
        let mut stream = ClientStream::Left(stream);
        let first = tokio::time::timeout(settings.idle_timeout, first_bytes(&mut stream)).await??;
        let http2 = first.starts_with(HTTP2_PREFACE);
        return Ok(Accepted { stream, first, http2, peer, local, sni: None });
    };
    let stream = tokio::time::timeout(settings.head_timeout, acceptor.accept(stream)).await??;
    let session = stream.get_ref().1;
    let http2 = session.alpn_protocol() == Some(b"h2");
    let sni = Some(session.server_name().map(str::to_owned));
    let stream = ClientStream::Right(Box::new(stream));
    Ok(Accepted { stream, first: BytesMut::new(), http2, peer, local, sni })
}

/// Reads until it is certain whether the client speaks HTTP/2.
async fn first_bytes(stream: &mut ClientStream) -> io::Result<BytesMut> {
    let mut first = BytesMut::with_capacity(4 * 1024);
    while first.len() < HTTP2_PREFACE.len() && HTTP2_PREFACE.starts_with(&first) {
        if stream.read_buf(&mut first).await? == 0 {
            break;
        }
    }
    Ok(first)
}

struct Accepted {
    stream: ClientStream,
    first: BytesMut,
    http2: bool,
    peer: SocketAddr,
    local: SocketAddr,
    /// `Some` with TLS; the name the client asked for, if any.
    sni: Option<Option<String>>,
}

async fn speak(accepted: Accepted, worker: Rc<Worker>, draining: &Draining) -> Result<(), Failed> {
    let Accepted { stream, first, http2, peer, local, sni } = accepted;
    let settings = &worker.common.settings;
    let waits = Waits {
        idle: settings.idle_timeout,
        head: settings.head_timeout,
        body: settings.body_timeout,
        write: settings.send_timeout,
    };
    let limits = settings.head;
    let guarded = if http2 {
        Guarded::http2(stream, first, waits)
    } else {
        Guarded::http1(stream, first, limits, waits)
    };
    let shared = Arc::clone(guarded.shared());
    let client = Rc::new(ClientConnection::new(worker, peer, local, sni, Arc::clone(&shared)));
    let service = service_fn(move |request| serve(Rc::clone(&client), request));
    if http2 {
        let connection = http2::Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(1024 * 1024)
            .initial_connection_window_size(4 * 1024 * 1024)
            .serve_connection(TokioIo::new(guarded), service);
        return Ok(drive(connection, draining, &shared).await?);
    }
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_buf_size(limits.head_bytes.max(32 * 1024) + 64 * 1024);
    if limits.headers > 100 {
        // The library counts 100 without being told, and does so without allocating.
        builder.max_headers(limits.headers);
    }
    let connection = builder.serve_connection(TokioIo::new(guarded), service).with_upgrades();
    Ok(drive(connection, draining, &shared).await?)
}

/// A client's socket: plain or TLS.
pub(crate) type ClientStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;
