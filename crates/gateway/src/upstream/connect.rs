//! Opening connections to services.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dns::Resolver;
use super::tls::ClientTls;
use super::{Destination, Failure};

/// A connection to a service, with or without TLS.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An open connection, before HTTP is spoken on it.
pub(super) struct Opened {
    pub(super) io: TokioIo<Stream>,
    /// Whether the service chose HTTP/2 by ALPN.
    pub(super) http2: bool,
    pub(super) times: ConnectTimes,
}

/// How long the parts of opening a connection took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectTimes {
    pub(crate) dns: Duration,
    /// TCP and TLS.
    pub(crate) connect: Duration,
    pub(crate) tls: Option<Duration>,
}

/// Opens a connection; the caller limits the time.
pub(super) async fn open(
    destination: &Destination,
    resolver: &Resolver,
    tls: &ClientTls,
    http2: bool,
) -> Result<Opened, Failure> {
    let began = Instant::now();
    let addresses = resolver.resolve(&destination.host, destination.port).await;
    let addresses = addresses.ok_or(Failure::Unresolved)?;
    let resolved = Instant::now();
    let stream = connect_any(&addresses).await?;
    stream.set_nodelay(true).map_err(Failure::Connect)?;
    let mut times = ConnectTimes { dns: resolved - began, connect: Duration::ZERO, tls: None };
    if !destination.protocol.is_tls() {
        times.connect = resolved.elapsed();
        return Ok(Opened { io: TokioIo::new(Stream::Plain(stream)), http2: false, times });
    }
    let connected = Instant::now();
    let name = ServerName::try_from(destination.host.to_string())
        .map_err(|error| Failure::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let connector = TlsConnector::from(Arc::clone(tls.config(destination, http2)));
    let stream = connector.connect(name, stream).await.map_err(Failure::Tls)?;
    times.tls = Some(connected.elapsed());
    times.connect = resolved.elapsed();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened { io: TokioIo::new(Stream::Tls(Box::new(stream))), http2, times })
}

/// Tries the addresses in order; the last failure counts.
async fn connect_any(addresses: &[std::net::SocketAddr]) -> Result<TcpStream, Failure> {
    let mut failure = Failure::Unresolved;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Failure::Connect(error),
        }
    }
    Err(failure)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
