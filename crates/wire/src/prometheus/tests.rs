//! What is counted, and that it is shown.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::Batch;

use super::EXPORTER;
use super::metrics::{Kind, MOST_SERIES, Metrics, Spec, base};
use crate::tyk::record::{Latency, Record};

fn record() -> Record<'static> {
    Record {
        method: "GET".into(),
        path: "/a\"b".into(),
        response_code: 200,
        api_id: "api".into(),
        api_key: "secret-key".into(),
        request_time: 7,
        latency: Latency { total: 7, upstream: 5, gateway: 2 },
        ..Record::default()
    }
}

#[test]
fn the_metrics_of_the_original() {
    let mut metrics = Metrics::new(base(&[5.0, 10.0]), false);
    metrics.add(&record(), 1);
    metrics.add(&Record { track_path: true, request_time: 11, ..record() }, 2);
    let text = metrics.text();
    for line in [
        "# TYPE tyk_http_status counter",
        "tyk_http_status{code=\"200\",api=\"api\"} 3",
        "tyk_http_status_per_path{code=\"200\",api=\"api\",path=\"unknown\",method=\"GET\"} 1",
        "tyk_http_status_per_path{code=\"200\",api=\"api\",path=\"/a\\\"b\",method=\"GET\"} 2",
        "tyk_http_status_per_key{code=\"200\",key=\"secret-key\"} 3",
        "tyk_http_status_per_oauth_client{code=\"200\",client_id=\"\"} 3",
        "# TYPE tyk_latency histogram",
        "tyk_latency_bucket{type=\"total\",api=\"api\",le=\"5\"} 0",
        "tyk_latency_bucket{type=\"total\",api=\"api\",le=\"10\"} 1",
        "tyk_latency_bucket{type=\"total\",api=\"api\",le=\"+Inf\"} 3",
        "tyk_latency_sum{type=\"total\",api=\"api\"} 29",
        "tyk_latency_count{type=\"total\",api=\"api\"} 3",
        "tyk_latency_bucket{type=\"upstream\",api=\"api\",le=\"5\"} 3",
        "tyk_latency_sum{type=\"gateway\",api=\"api\"} 6",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn series_are_bounded() {
    let spec = Spec {
        name: "by_key".into(),
        help: String::new(),
        kind: Kind::Counter,
        labels: vec!["key".into()],
        shown_of_keys: None,
        mcp_only: false,
    };
    let mut metrics = Metrics::new(vec![spec], false);
    for number in 0..MOST_SERIES + 5 {
        metrics.add(&Record { api_key: number.to_string().into(), ..record() }, 1);
    }
    let text = metrics.text();
    assert_eq!(text.lines().count(), MOST_SERIES + 3);
    assert!(text.contains("by_key{key=\"other\"} 5\n"));
}

fn built(settings: Value) -> Result<weir_pipeline::Built, weir_kit::ConfigError> {
    weir_kit::schema::check(EXPORTER.fields, settings).and_then(EXPORTER.build)
}

#[test]
fn mistakes_in_metrics_are_told() {
    let custom = |metric: Value| json!({"listen_address": "localhost:0", "custom_metrics": [metric]});
    for (settings, message) in [
        (json!({"listen_address": "here"}), "listen_address: \"here\" is not host:port"),
        (
            custom(json!({"name": "1x", "metric_type": "counter"})),
            "custom_metrics.1.name: \"1x\" is not a name of a metric",
        ),
        (
            custom(json!({"name": "tyk_latency", "metric_type": "counter"})),
            "custom_metrics.1.name: \"tyk_latency\" is there twice",
        ),
        (
            custom(json!({"name": "x", "metric_type": "counter", "labels": ["password"]})),
            "custom_metrics.1.labels: \"password\" is none of host",
        ),
    ] {
        let error = built(settings).err().unwrap().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[tokio::test]
async fn the_page_is_shown_until_the_output_ends() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let settings = json!({
        "listen_address": address, "path": "figures", "disabled_metrics": ["tyk_latency"],
        "custom_metrics": [
            {"name": "mine", "metric_type": "histogram", "buckets": [100, 50], "labels": ["type", "key"],
             "obfuscate_api_keys": true},
            {"name": "of_mcp", "metric_type": "counter", "mcp_only": true},
        ],
    });
    let exporter = built(settings).unwrap().exporter;
    exporter.start();
    let at = Timestamp::from_seconds(1);
    let mut exchange = Exchange::new(ExchangeId::new(at), at, Request::default());
    exchange.identity.session = Some("0123456789".into());
    exchange.timings.total = Some(Duration::from_millis(60));
    let exchanges = [Arc::new(exchange)];
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await.unwrap();
    let get = |path: &str| reqwest::get(format!("http://{address}{path}"));
    let page = loop {
        if let Ok(answer) = get("/figures").await {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(page.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = page.text().await.unwrap();
    assert!(text.contains("mine_bucket{type=\"total\",key=\"****6789\",le=\"50\"} 0\n"), "{text}");
    assert!(text.contains("mine_bucket{type=\"total\",key=\"****6789\",le=\"100\"} 1\n"), "{text}");
    assert!(!text.contains("tyk_latency") && text.contains("# TYPE of_mcp counter\n"), "{text}");
    assert_eq!(get("/metrics").await.unwrap().status(), 404);
    drop(exporter);
    while get("/figures").await.is_ok() {
        tokio::task::yield_now().await;
    }
}
