//! Opening connections to services.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::dns::Resolver;
use super::tls::ClientTls;
use super::{Destination, Failure};

/// A connection to a service: plain or TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

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
        return Ok(Opened { io: TokioIo::new(Stream::Left(stream)), http2: false, times });
    }
    let connected = Instant::now();
    let name = ServerName::try_from(destination.host.to_string())
        .map_err(|error| Failure::Tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let connector = TlsConnector::from(Arc::clone(tls.config(destination, http2)));
    let stream = connector.connect(name, stream).await.map_err(Failure::Tls)?;
    times.tls = Some(connected.elapsed());
    times.connect = resolved.elapsed();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened { io: TokioIo::new(Stream::Right(Box::new(stream))), http2, times })
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
