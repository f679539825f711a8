//! The output `s3` against a server that checks signatures (moto), read back with an independent reader (pyarrow).
#![allow(clippy::unwrap_used)]

#[path = "support/foreign.rs"]
mod foreign;

use std::sync::Arc;
use std::time::Duration;

use foreign::Foreign;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Body, Exchange, ExchangeId, Request, Response, Value as Attribute};
use weir_pipeline::testing::random_exchange;
use weir_pipeline::{Batch, Delivered, ExportError};
use weir_wire::registry::exporter;

struct Store {
    server: Foreign,
    said: Value,
}

impl Store {
    fn start() -> Self {
        let mut server = Foreign::start("object-store", &[]);
        let said = serde_json::from_str(&server.line()).unwrap();
        Self { server, said }
    }

    fn objects(&mut self) -> Vec<Value> {
        serde_json::from_str(&self.server.ask()).unwrap()
    }

    async fn put(&self, mut settings: Value, exchanges: &[Arc<Exchange>]) -> Result<Delivered, ExportError> {
        let given = json!({"endpoint": self.said["url"], "bucket": "calls", "region": "eu-central-1",
            "access_key_id": self.said["key_id"], "secret_access_key": self.said["secret"]});
        for (name, value) in given.as_object().unwrap() {
            settings.as_object_mut().unwrap().entry(name).or_insert(value.clone());
        }
        let kind = exporter("s3").unwrap();
        let settings = weir_kit::schema::check(kind.fields, settings).unwrap();
        let exporter = (kind.build)(settings).unwrap().exporter;
        exporter.export(&Batch { exchanges, next_position: 1 }).await
    }
}

fn call(number: i64) -> Exchange {
    let at = Timestamp::from_micros(1_795_175_537_250_000 + number);
    let request = Request {
        method: "GET".into(),
        host: "a.test".into(),
        path: format!("/users/{number}").into(),
        query: Some("q=1".into()),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::with_random(at, [7; 16]), at, request);
    exchange.response = Some(Response { status: 404, body: Body::of_size(12), ..Response::default() });
    exchange.timings.total = Some(Duration::from_millis(20));
    exchange.timings.wait = Some(Duration::from_millis(15));
    exchange
}

#[tokio::test]
async fn a_parquet_file_has_typed_columns() {
    let mut store = Store::start();
    let mut tagged = call(1);
    tagged.attributes.set("tyk.tags", Attribute::Json("[\"a\",\"ü\"]".into()));
    tagged.attributes.set("geo.country.iso_code", "DE");
    let exchanges = [Arc::new(call(0)), Arc::new(tagged)];
    let settings = json!({"format": "parquet", "prefix": "day/"});
    for _ in 0..2 {
        assert_eq!(store.put(settings.clone(), &exchanges).await.unwrap(), Delivered::default());
    }
    let objects = store.objects();
    assert_eq!(objects.len(), 1, "what is sent again replaces what was there");
    let object = &objects[0];
    let name = object["name"].as_str().unwrap();
    assert!(name.starts_with("day/2026/11/20/") && name.ends_with(".parquet"), "{name}");
    assert_eq!(object["type"], "application/vnd.apache.parquet");
    assert_eq!(object["compression"], json!(["ZSTD"]));
    for (column, kind) in [
        ("id", "string"),
        ("started_at", "timestamp[us, tz=UTC]"),
        ("duration_us", "int64"),
        ("timestamp", "timestamp[us, tz=UTC]"),
        ("response_code", "int64"),
        ("tags", "list<element: string not null>"),
        ("geo_latitude", "double"),
        ("geo_city_names", "map<string, string ('geo_city_names')>"),
        ("track_path", "bool"),
    ] {
        assert_eq!(object["columns"][column], kind, "{column}");
    }
    let rows = object["rows"].as_array().unwrap();
    let (first, second) = (&rows[0], &rows[1]);
    assert_eq!(first["id"], exchanges[0].id.to_string());
    assert_eq!(first["started_at"], "2026-11-20 11:52:17.250000+00:00");
    assert_eq!(first["timestamp"], "2026-11-20 11:52:17.270000+00:00");
    assert_eq!((&first["duration_us"], &first["latency_upstream"]), (&json!(20_000), &json!(15)));
    assert_eq!((&first["response_code"], &first["response_bytes"]), (&json!(404), &json!(12)));
    assert_eq!((&first["raw_path"], &first["query"]), (&json!("/users/0"), &json!("q=1")));
    assert_eq!((&first["user_agent"], &first["geo_country_iso_code"]), (&Value::Null, &Value::Null));
    assert_eq!(first["tags"], json!(["org-default", "api-a.test"]));
    assert_eq!(second["tags"], json!(["a", "ü", "org-default", "api-a.test"]));
    assert_eq!(second["geo_country_iso_code"], "DE");
}

/// Whatever exchanges hold, both forms have a row for each, and the reader understands the file.
#[tokio::test]
async fn files_of_any_exchanges_are_read_whole() {
    let mut store = Store::start();
    let mut random = StdRng::seed_from_u64(4);
    let exchanges: Vec<Arc<Exchange>> = (0..300).map(|_| Arc::new(random_exchange(&mut random))).collect();
    let record = json!({"detailed_recording": true});
    let parquet = json!({"format": "parquet", "compression": "none", "record": record, "prefix": "p/"});
    store.put(parquet, &exchanges).await.unwrap();
    store.put(json!({"format": "tyk", "record": record, "prefix": "t/"}), &exchanges).await.unwrap();
    let objects = store.objects();
    assert_eq!(objects[0]["compression"], json!(["UNCOMPRESSED"]));
    let rows = objects[0]["rows"].as_array().unwrap();
    let lines = objects[1]["lines"].as_array().unwrap();
    assert_eq!((rows.len(), lines.len()), (300, 300));
    for (row, line) in rows.iter().zip(lines) {
        let line: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
        for column in ["method", "raw_path", "api_id", "api_key", "raw_request", "raw_response"] {
            assert_eq!(row[column].as_str().unwrap_or_default(), line[column], "{column}");
        }
        assert_eq!(row["response_code"], line["response_code"]);
        assert_eq!(row["latency_total"], line["latency"]["total"]);
    }
}

#[tokio::test]
async fn a_wrong_key_is_tried_again() {
    let mut store = Store::start();
    let outcome = store.put(json!({"secret_access_key": "wrong"}), &[Arc::new(call(0))]).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    store.put(json!({}), &[Arc::new(call(0))]).await.unwrap();
    let objects = store.objects();
    assert_eq!(objects.len(), 1);
    let line: Value = serde_json::from_str(objects[0]["lines"][0].as_str().unwrap()).unwrap();
    assert_eq!(line["request"]["path"], "/users/0");
}
