//! The contract suites accept what keeps the contract and find what does not.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::testing::{Answer, ExporterCase, ReceiverCase, check_exporter, check_receiver};
use weir_pipeline::*;

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    GivesUpAtOnce,
    IgnoresRetryAfter,
    TakesRefusalForSuccess,
    LosesAnEntry,
    Panics,
    SaysNothingWhenBusy,
}

/// Sends one line per exchange.
struct Lines(SocketAddr, Flaw);

#[async_trait]
impl Exporter for Lines {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let answer = self.post(batch.exchanges.len()).await;
        let text = answer.map_err(|error| self.retry(None, error.to_string()))?;
        let status = text.split(' ').nth(1).unwrap_or("").to_owned();
        let after = text.lines().find_map(|line| line.strip_prefix("retry-after: "));
        let after = after.filter(|_| self.1 != Flaw::IgnoresRetryAfter);
        match status.as_str() {
            "200" => Ok(Delivered::default()),
            "400" if self.1 == Flaw::TakesRefusalForSuccess => Ok(Delivered::default()),
            "400" => Err(ExportError::Refused { cause: status }),
            _ => Err(self.retry(after.map(|after| Duration::from_secs(after.parse().unwrap())), status)),
        }
    }
}

impl Lines {
    fn retry(&self, after: Option<Duration>, cause: String) -> ExportError {
        match self.1 {
            Flaw::GivesUpAtOnce => ExportError::Refused { cause },
            _ => ExportError::Retry { after, cause },
        }
    }

    async fn post(&self, count: usize) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.0).await?;
        let body = "x\n".repeat(count);
        stream
            .write_all(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
    }
}

async fn exporter_passes(flaw: Flaw) -> bool {
    let run = async move {
        let build = move |address| -> Box<dyn Exporter> { Box::new(Lines(address, flaw)) };
        check_exporter(ExporterCase { build: &build, accepts: Answer::with(200, "") }).await;
    };
    let thread = std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(run));
    tokio::task::spawn_blocking(|| thread.join().is_ok()).await.unwrap()
}

#[tokio::test]
async fn flaws_of_exporters_are_found() {
    assert!(exporter_passes(Flaw::None).await);
    for flaw in [Flaw::GivesUpAtOnce, Flaw::IgnoresRetryAfter, Flaw::TakesRefusalForSuccess] {
        assert!(!exporter_passes(flaw).await);
    }
}

/// Takes one path per line.
struct Paths(Flaw);

impl Receiver for Paths {
    fn mounts(&self) -> &'static [Mount] {
        &[Mount { method: "POST", path: "/paths", max_body_bytes: 1_000, at_desk: false }]
    }

    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed> {
        let Ok(text) = std::str::from_utf8(call.body) else {
            assert!(self.0 != Flaw::Panics, "not UTF-8");
            let reason = "not UTF-8".to_owned();
            return Err(Malformed { status: StatusCode::BAD_REQUEST, reason });
        };
        let mut decoded = Decoded::default();
        for (index, line) in text.lines().enumerate() {
            decoded.offered += 1;
            if line.starts_with('/') {
                let request = Request { path: line.into(), ..Request::default() };
                let at = Timestamp::from_seconds(1);
                decoded
                    .accepted
                    .push((Credential::default(), Exchange::new(ExchangeId::new(at), at, request)));
            } else if self.0 != Flaw::LosesAnEntry {
                decoded.rejected.push(Rejected { index, reason: format!("not a path: {line:?}") });
            }
        }
        Ok(decoded)
    }

    fn reply(&self, _call: &Call<'_>, outcome: &Outcome) -> Reply {
        let busy = outcome.busy && self.0 != Flaw::SaysNothingWhenBusy;
        let status = if busy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        Reply { status, headers: Vec::new(), body: outcome.saved.to_string().into_bytes() }
    }

    fn refuse(&self, _call: &Call<'_>, malformed: &Malformed) -> Reply {
        Reply { status: malformed.status, headers: Vec::new(), body: Vec::new() }
    }
}

fn receiver_passes(flaw: Flaw) -> bool {
    let check = move || {
        check_receiver(&ReceiverCase {
            receiver: &Paths(flaw),
            mount: "/paths",
            parameters: &[],
            headers: &HeaderMap::new(),
            body: b"/a\n/b\n",
            exchanges: 2,
        });
    };
    std::thread::spawn(check).join().is_ok()
}

#[test]
fn flaws_of_receivers_are_found() {
    assert!(receiver_passes(Flaw::None));
    for flaw in [Flaw::Panics, Flaw::LosesAnEntry, Flaw::SaysNothingWhenBusy] {
        assert!(!receiver_passes(flaw));
    }
}
