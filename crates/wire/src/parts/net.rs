//! Sending to listeners that never answer: datagrams, and streams that are read to their end.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use weir_pipeline::ExportError;

use super::http::with_causes;

/// Largest content of a datagram that fits a packet of an ordinary network whole.
pub const WHOLE_PACKET: usize = 1_432;
/// Largest content of a datagram.
pub const LARGEST_DATAGRAM: usize = 65_000;
/// How long to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take to read what it was sent. One that keeps the connection open beyond it is taken to
/// have read all of it, as nothing tells.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Worth another attempt.
pub fn retry(what: impl fmt::Display, error: &dyn std::error::Error) -> ExportError {
    ExportError::Retry { after: None, cause: format!("{what}: {}", with_causes(error)) }
}

/// Sends datagrams one after the other. A host that says that nobody listens is a failure; silence is not.
pub async fn send_datagrams(address: &str, datagrams: &[Vec<u8>]) -> Result<(), ExportError> {
    let failed = |error: io::Error| retry(format_args!("udp {address}"), &error);
    let to = resolve(address).await.map_err(failed)?;
    let any = if to.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(to).await.map_err(failed)?;
    for datagram in datagrams {
        socket.send(datagram).await.map_err(failed)?;
    }
    Ok(())
}

async fn resolve(address: &str) -> io::Result<SocketAddr> {
    let found = lookup_host(address).await?.next();
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Sends bytes over a connection of their own and waits until the other side has read them to the end, so that what a
/// dying listener has not read is sent again.
pub async fn send_stream(
    address: &str,
    tls: Option<&Arc<ClientConfig>>,
    bytes: &[u8],
) -> Result<(), ExportError> {
    let protocol = if tls.is_some() { "tls" } else { "tcp" };
    let failed = |error: io::Error| retry(format_args!("{protocol} {address}"), &error);
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
    match tls {
        None => hand_over(stream, bytes).await.map_err(failed),
        Some(config) => {
            let name = host_of(address);
            let name = ServerName::try_from(name.to_owned())
                .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
            let connecting = TlsConnector::from(config.clone()).connect(name, stream);
            let stream = timeout(CONNECT_TIMEOUT, connecting).await;
            let stream = stream.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?.map_err(failed)?;
            hand_over(stream, bytes).await.map_err(failed)
        }
    }
}

async fn hand_over(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    let mut answer = [0; 1024];
    let read_to_end = async {
        while stream.read(&mut answer).await? > 0 {}
        Ok::<(), io::Error>(())
    };
    match timeout(CLOSE_PATIENCE, read_to_end).await {
        // Some TLS servers hang up without a word of farewell, after they have read ours.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(read) => read,
        Err(_) => Ok(()),
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Packs short lines into as few datagrams as hold them whole, at most `most` lines in each.
pub fn pack(lines: impl Iterator<Item = String>, most: usize) -> Vec<Vec<u8>> {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    let mut count = 0;
    for line in lines {
        match datagrams.last_mut() {
            Some(last) if count < most && last.len() + 1 + line.len() <= WHOLE_PACKET => {
                last.push(b'\n');
                last.extend_from_slice(line.as_bytes());
                count += 1;
            }
            _ => {
                datagrams.push(line.into_bytes());
                count = 1;
            }
        }
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn lines_are_packed_up_to_a_packet_and_a_count() {
        let lines = |count: usize, length: usize| (0..count).map(move |_| "x".repeat(length));
        let sizes = |packed: Vec<Vec<u8>>| packed.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(pack(lines(3, 700), 16)), [1401, 700]);
        assert_eq!(sizes(pack(lines(5, 10), 2)), [21, 21, 10]);
        assert_eq!(sizes(pack(lines(2, 2_000), 16)), [2_000, 2_000]);
        assert_eq!(sizes(pack(lines(2, 10), 1)), [10, 10]);
    }

    #[test]
    fn hosts_lose_their_port() {
        for (address, host) in [("a.test:514", "a.test"), ("[::1]:514", "::1"), ("127.0.0.1:1", "127.0.0.1")]
        {
            assert_eq!(host_of(address), host);
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_not_read_to_its_end_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            // Unread bytes make the kernel reset the connection.
            stream.readable().await.unwrap();
            drop(stream);
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        });
        let outcome = send_stream(&address, None, b"lost").await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
        send_stream(&address, None, b"read").await.unwrap();
        assert_eq!(server.await.unwrap(), "read");
        let outcome = send_stream(&address, None, b"nobody").await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn datagrams_to_nobody_are_a_failure() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        send_datagrams(&address, &[b"a".to_vec()]).await.unwrap();
        drop(socket);
        let many = vec![b"a".to_vec(); 50];
        let outcome = send_datagrams(&address, &many).await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    }
}
