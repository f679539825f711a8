//! Outputs against servers that others wrote, from Debian or a registry.
#![allow(clippy::unwrap_used)]

#[path = "../support/foreign.rs"]
mod foreign;
mod graylog;
mod influxdb;
mod prometheus;
mod rsyslog;
mod statsd;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_kit::Timestamp;
use weir_model::{Body, Exchange, ExchangeId, Request, Response};
use weir_pipeline::{Batch, Delivered, ExportError, Exporter};
use weir_wire::registry::exporter;

/// Writes a program's settings into the folder; gives the path of the file.
fn settings_file(folder: &Path, settings: &str) -> String {
    let file = folder.join("settings");
    fs::write(&file, settings).unwrap();
    file.display().to_string()
}

/// The output of this kind.
fn output(kind: &str, settings: Value) -> Box<dyn Exporter> {
    let kind = exporter(kind).unwrap();
    let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
    (kind.build)(settings).unwrap().exporter
}

async fn send(output: &dyn Exporter, exchanges: &[Arc<Exchange>]) -> Result<Delivered, ExportError> {
    output.export(&Batch { exchanges, next_position: 1 }).await
}

/// A call to this path, of 20 ms and with the status 404.
fn call(path: &str) -> Exchange {
    let at = Timestamp::from_micros(1_795_175_537_250_000);
    let request = Request { method: "GET".into(), path: path.into(), ..Request::default() };
    let mut exchange = Exchange::new(ExchangeId::new(at), at, request);
    exchange.response = Some(Response { status: 404, body: Body::of_size(12), ..Response::default() });
    exchange.timings.total = Some(Duration::from_millis(20));
    exchange
}

fn calls(paths: &[&str]) -> Vec<Arc<Exchange>> {
    paths.iter().map(|path| Arc::new(call(path))).collect()
}

/// Asks again and again until there is an answer.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
