//! Exchanges as they pass.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Fixture, exchange};
use weir_model::{Exchange, ExchangeId};

/// Reads server-sent events as they come.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(fixture: &Fixture, path: &str) -> Self {
        let response = fixture.client.get(fixture.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut events = Self { response, text: String::new() };
        assert_eq!(events.next().await, ("retry: 2000".to_owned(), Value::Null));
        events
    }

    /// The kind and data of the next event; comments are passed over.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                match (field("event: "), field("data: ")) {
                    (Some(kind), Some(data)) => {
                        let data: Value = serde_json::from_str(&data).unwrap();
                        if kind == "exchange" {
                            assert_eq!(field("id: ").unwrap(), data["id"]);
                        }
                        return (kind, data);
                    }
                    _ if event.starts_with(':') => continue,
                    _ => return (event, Value::Null),
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk());
            let chunk = chunk.await.expect("nothing came").unwrap().expect("the stream ended");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn passing(path: &str) -> Exchange {
    let mut exchange = exchange(1);
    exchange.id = ExchangeId::new(exchange.started_at);
    exchange.request.path = path.into();
    exchange
}

#[tokio::test]
async fn matching_exchanges_are_seen_as_they_pass() {
    let fixture = Fixture::start().await;
    for query in ["q=path:/b*", "q=path:/b*+declined", "q=request.body.amount:1+path:/b*"] {
        let mut events = Events::open(&fixture, &format!("/api/v1/live?{query}")).await;
        let batch = ["/a", "/b1", "/c", "/b2"].map(passing).to_vec();
        fixture.pipeline.intake().submit("test", batch).await.unwrap();
        for path in ["/b1", "/b2"] {
            let (kind, row) = events.next().await;
            assert_eq!((kind.as_str(), row["path"].as_str()), ("exchange", Some(path)), "{query}");
        }
    }
}

#[tokio::test]
async fn what_is_too_much_is_counted() {
    let fixture = Fixture::with(|parts| parts.settings.live_rows_per_second = 20).await;
    let mut events = Events::open(&fixture, "/api/v1/live").await;
    let offered = 500;
    for _ in 0..5 {
        let batch = (0..100).map(|_| passing("/x")).collect();
        fixture.pipeline.intake().submit("test", batch).await.unwrap();
    }
    let (mut rows, mut dropped) = (0, 0);
    while rows + dropped < offered {
        match events.next().await {
            (kind, _) if kind == "exchange" => rows += 1,
            (kind, count) => {
                assert_eq!(kind, "dropped");
                dropped = count["dropped"].as_u64().unwrap();
            }
        }
    }
    assert_eq!(rows + dropped, offered);
    assert!((20..=80).contains(&rows), "{rows}");
}

#[tokio::test]
async fn readers_are_limited_and_free_their_place() {
    let fixture = Fixture::with(|parts| parts.settings.max_live_readers = 1).await;
    let events = Events::open(&fixture, "/api/v1/live").await;
    assert_eq!(fixture.get("/api/v1/live").await.status, 503);
    assert_eq!(fixture.get("/api/v1/live?q=staus:1").await.status, 400);
    drop(events);
    for _ in 0..100 {
        let response = fixture.client.get(fixture.url("/api/v1/live")).send().await.unwrap();
        if response.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the place of a reader that has gone was never freed");
}

#[tokio::test]
async fn a_stopping_server_ends_the_stream() {
    let fixture = Fixture::start().await;
    let mut events = Events::open(&fixture, "/api/v1/live").await;
    let started = std::time::Instant::now();
    fixture.stop().await;
    while let Ok(Some(_)) = events.response.chunk().await {}
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
