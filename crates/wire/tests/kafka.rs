//! The output `kafka` against the broker that is built into librdkafka for tests, by way of kcat.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::{Batch, ExportError};
use weir_wire::registry::exporter;

/// A broker that prints the messages of the topic `weir`, one on a line.
struct Broker {
    process: Child,
    address: String,
    printed: BufReader<ChildStdout>,
}

impl Broker {
    fn start() -> Self {
        let mut process = Command::new("kcat")
            .args(["-b", "none", "-X", "test.mock.num.brokers=1", "-C", "-t", "weir", "-o", "beginning"])
            .args(["-u", "-d", "mock"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = log.find(|line| line.contains("bootstrap.servers=")).unwrap();
        let address = line.rsplit_once("bootstrap.servers=").unwrap().1.trim().to_owned();
        log.find(|line| line.contains("Created topic")).unwrap();
        // Nobody reads on, but the pipe must not fill up.
        std::thread::spawn(move || log.for_each(drop));
        let printed = BufReader::new(process.stdout.take().unwrap());
        Self { process, address, printed }
    }

    fn messages(&mut self, count: usize) -> Vec<Value> {
        let lines = self.printed.by_ref().lines().take(count);
        lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

async fn export(settings: Value, calls: usize) -> Result<(), ExportError> {
    let kind = exporter("kafka").unwrap();
    let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
    let exporter = (kind.build)(settings).unwrap().exporter;
    let exchange = |number: usize| {
        let at = Timestamp::from_seconds(1_795_175_537);
        let request =
            Request { method: "GET".into(), path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::new(at), at, request))
    };
    let exchanges: Vec<Arc<Exchange>> = (0..calls).map(exchange).collect();
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await.map(|_| ())
}

#[tokio::test]
async fn messages_reach_a_real_implementation_of_the_protocol() {
    let mut broker = Broker::start();
    let settings = |batch_bytes: usize, compressed: bool| {
        json!({"broker": [broker.address], "topic": "weir", "timeout": 20, "batch_bytes": batch_bytes,
            "compressed": compressed, "meta_data": {"env": "test"}})
    };
    let (small, packed) = (settings(1, false), settings(1 << 20, true));
    export(small, 5).await.unwrap();
    export(packed, 7).await.unwrap();
    let mut messages = broker.messages(12);
    messages.sort_by_key(|message| message["raw_path"].as_str().unwrap().to_owned());
    let paths: Vec<&str> = messages.iter().map(|message| message["raw_path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/0", "/0", "/1", "/1", "/2", "/2", "/3", "/3", "/4", "/4", "/5", "/6"]);
    assert_eq!(messages[0]["timestamp"], "2026-11-20T11:52:17Z");
    assert_eq!(messages[0]["env"], "test");
    let missing = json!({"broker": [broker.address], "topic": "other"});
    let outcome = export(missing, 1).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
}
