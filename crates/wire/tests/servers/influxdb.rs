//! The output `influx` against InfluxDB 1.

use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;
use weir_pipeline::testing::Program;
use weir_pipeline::{ExportError, Exporter};

use crate::{call, calls, output, send, settings_file};

struct Influx {
    program: Program,
    _folder: TempDir,
}

impl Influx {
    /// One with the administrator `admin`.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = |port: u16| {
            let place = folder.path().display();
            let settings = format!(
                r#"reporting-disabled = true
                bind-address = "127.0.0.1:0"
                [meta]
                dir = "{place}/meta"
                [data]
                dir = "{place}/data"
                wal-dir = "{place}/wal"
                [monitor]
                store-enabled = false
                [http]
                bind-address = "127.0.0.1:{port}"
                auth-enabled = true
                "#
            );
            vec!["-config".to_owned(), settings_file(folder.path(), &settings)]
        };
        let influx = Self { program: Program::start("influxd", arguments).await, _folder: folder };
        influx.ask("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES").await;
        influx
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.program.port())
    }

    async fn ask(&self, question: &str) -> Value {
        let parameters = [("db", "calls"), ("epoch", "u"), ("q", question)];
        let url = Url::parse_with_params(&format!("{}/query", self.address()), parameters).unwrap();
        let answer =
            reqwest::Client::new().post(url).basic_auth("admin", Some("secret")).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let result = answer["results"][0].clone();
        assert!(answer["error"].is_null() && result["error"].is_null(), "{question}: {answer}");
        result
    }

    /// What the output writes with this password.
    fn output(&self, password: &str) -> Box<dyn Exporter> {
        let settings = json!({"address": self.address(), "database_name": "calls", "username": "admin",
            "password": password, "tags": ["method", "path"],
            "fields": ["request_time", "response_code", "user_agent", "track_path"]});
        output("influx", settings)
    }
}

#[tokio::test]
async fn influxdb_keeps_each_call_once_and_every_character() {
    let influx = Influx::start().await;
    let mut odd = call("/a b,c=d\\é");
    odd.request.headers.push("User-Agent", "say \"hi\\\" = ,\nü");
    let calls: Vec<_> = calls(&["/plain", "/plain"]).into_iter().chain([odd.into()]).collect();
    let outcome = send(&*influx.output("secret"), &calls).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "there is no database yet: {outcome:?}");
    influx.ask("CREATE DATABASE calls").await;
    let outcome = send(&*influx.output("wrong"), &calls).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    for _ in 0..2 {
        send(&*influx.output("secret"), &calls).await.unwrap();
    }
    let answer = influx.ask("SELECT * FROM analytics ORDER BY time").await;
    let series = &answer["series"][0];
    let columns =
        json!(["time", "method", "path", "request_time", "response_code", "track_path", "user_agent"]);
    assert_eq!(series["columns"], columns);
    let mut values = series["values"].as_array().unwrap().clone();
    assert!(
        values.iter().all(|value| value[0] == 1_795_175_537_270_000_i64),
        "they ended together: {values:?}"
    );
    values.sort_by_key(|value| value[2].as_str().unwrap().to_owned());
    let rest: Vec<&[Value]> = values.iter().map(|value| &value.as_array().unwrap()[1..]).collect();
    let plain = json!(["GET", "/plain", 20, 404, false, ""]);
    let odd = json!(["GET", "/a b,c=d\\é", 20, 404, false, "say \"hi\\\" = ,\nü"]);
    assert_eq!(json!(rest), json!([odd, plain, plain]));
}
