//! The output `prometheus`, asked by Prometheus.

use std::sync::Arc;

use serde_json::{Value, json};
use url::Url;
use weir_pipeline::testing::{Program, free_port};

use crate::{call, eventually, output, send, settings_file};

/// The answer to an instant query: labels and values.
async fn ask(prometheus: &Program, question: &str) -> Vec<(Value, f64)> {
    let address = format!("http://127.0.0.1:{}/api/v1/query", prometheus.port());
    let answer =
        reqwest::get(Url::parse_with_params(&address, [("query", question)]).unwrap()).await.unwrap();
    // It listens before it can answer.
    if answer.status() == 503 {
        return Vec::new();
    }
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let value = |one: &Value| one["value"][1].as_str().unwrap().parse().unwrap();
    found.iter().map(|one| (one["metric"].clone(), value(one))).collect()
}

#[tokio::test]
async fn prometheus_reads_the_page() {
    let page = free_port();
    let settings = json!({"listen_address": format!("127.0.0.1:{page}"), "path": "/figures", "custom_metrics": [
        {"name": "by_key", "metric_type": "counter", "labels": ["key"]}]});
    let exporter = output("prometheus", settings);
    exporter.start();
    let odd = "a\"b\\c\n{d=\"e\"}é";
    let calls = ["plain", "plain", odd].map(|key| {
        let mut call = call("/");
        call.identity.session = Some(key.into());
        Arc::new(call)
    });
    send(&*exporter, &calls).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let settings = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: weir, metrics_path: /figures, \
         static_configs: [{{targets: ['127.0.0.1:{page}']}}]}}]\n"
    );
    let file = settings_file(folder.path(), &settings);
    let arguments = |port: u16| {
        vec![
            format!("--config.file={file}"),
            format!("--storage.tsdb.path={}/data", folder.path().display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]
    };
    let prometheus = Program::start("prometheus", arguments).await;
    let statuses = eventually("Prometheus asks", async || {
        Some(ask(&prometheus, "tyk_http_status").await).filter(|found| !found.is_empty())
    })
    .await;
    assert_eq!((statuses[0].0["code"].as_str(), statuses[0].1), (Some("404"), 3.0));
    let keys = ask(&prometheus, "sort(by_key)").await;
    let keys: Vec<_> = keys.iter().map(|(labels, count)| (labels["key"].as_str().unwrap(), *count)).collect();
    assert_eq!(keys, [(odd, 1.0), ("plain", 2.0)]);
    // All took 20 ms, which is the end of a bucket that begins at 15.
    let median = ask(&prometheus, "histogram_quantile(0.5, tyk_latency_bucket{type='total'})").await;
    assert_eq!(median[0].1, 17.5);
    assert_eq!(ask(&prometheus, "up").await[0].1, 1.0);
}
