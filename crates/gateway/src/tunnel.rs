//! Connections that changed protocol: bytes pass both ways, unread, and are counted.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::capture::Recorder;

/// Bytes that wait in each direction at most.
const BUFFER_BYTES: usize = 16 * 1024;

/// Passes bytes until both sides have ended, one fails, or neither says anything for the service's read timeout. The
/// record ends with it.
pub(crate) async fn run(mut recorder: Box<Recorder>, client: OnUpgrade, service: OnUpgrade) {
    let (client, service) = match tokio::join!(client, service) {
        (Ok(client), Ok(service)) => (client, service),
        (client, service) => {
            tracing::debug!(client = client.is_ok(), service = service.is_ok(), "protocol not changed");
            return;
        }
    };
    let (client_read, client_write) = tokio::io::split(TokioIo::new(client));
    let (service_read, service_write) = tokio::io::split(TokioIo::new(service));
    let traffic = Traffic::new();
    let patience = recorder.call.service().map_or(Duration::from_secs(60), |service| service.read_timeout);
    let ended = {
        let both = async {
            tokio::try_join!(
                traffic.pass(client_read, service_write, &traffic.sent),
                traffic.pass(service_read, client_write, &traffic.received),
            )
        };
        tokio::select! {
            ended = both => ended.map(drop),
            () = traffic.silence(patience) => Err(io::ErrorKind::TimedOut.into()),
        }
    };
    recorder.tunnelled(traffic.sent.get(), traffic.received.get());
    if let Err(error) = ended {
        tracing::debug!(%error, "tunnel ended");
        recorder.error =
            Some(if error.kind() == io::ErrorKind::TimedOut { "tunnel.timeout" } else { "tunnel.closed" });
    }
    recorder.complete = true;
}

struct Traffic {
    sent: Cell<u64>,
    received: Cell<u64>,
    last: Cell<Instant>,
}

impl Traffic {
    fn new() -> Self {
        Self { sent: Cell::new(0), received: Cell::new(0), last: Cell::new(Instant::now()) }
    }

    async fn pass(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        count: &Cell<u64>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return to.shutdown().await;
            }
            self.last.set(Instant::now());
            to.write_all(&buffer[..length]).await?;
            to.flush().await?;
            count.set(count.get() + length as u64);
        }
    }

    /// Ends when nothing has passed for this long.
    async fn silence(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.last.get().elapsed());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
