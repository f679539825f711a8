//! The outputs `sql` and `sql_aggregate` against a real PostgreSQL.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use support::Postgres;
use tokio_postgres::Client;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Operation, Protocol, Request, Response};
use weir_pipeline::testing::random_exchange;
use weir_pipeline::{Batch, Delivered, ExportError, Exporter};
use weir_wire::registry::exporter;

/// 2026-11-20T11:00:00Z
const HOUR: i64 = 1_795_172_400;

fn build(kind: &str, postgres: &Postgres, mut settings: Value) -> Box<dyn Exporter> {
    settings["connection_string"] = json!(postgres.connection_string());
    let kind = exporter(kind).unwrap();
    (kind.build)(weir_kit::schema::check(kind.fields, settings).unwrap()).unwrap().exporter
}

fn call(seconds: i64, status: u16, millis: u64) -> Arc<Exchange> {
    let at = Timestamp::from_seconds(HOUR + seconds);
    let request = Request {
        method: "GET".into(),
        host: "a.test".into(),
        path: format!("/users/{seconds}").into(),
        ..Request::default()
    };
    let mut exchange = Exchange::new(ExchangeId::new(at), at, request);
    exchange.service = Some("users".into());
    exchange.response = Some(Response { status, ..Response::default() });
    exchange.timings.total = Some(Duration::from_millis(millis));
    exchange.operation = Some(Operation {
        protocol: Protocol::Rest,
        template: "/users/{id}".into(),
        name: None,
        kind: None,
        error: None,
    });
    Arc::new(exchange)
}

async fn deliver(exporter: &dyn Exporter, exchanges: &[Arc<Exchange>]) -> Result<Delivered, ExportError> {
    exporter.export(&Batch { exchanges, next_position: 1 }).await
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

#[tokio::test]
async fn single_calls_on_a_real_postgres() {
    let mut postgres = Postgres::start().await;
    let client = postgres.client().await;
    rows_are_written_once(&postgres, &client).await;
    days_have_tables_of_their_own(&postgres, &client).await;
    a_table_of_the_original_is_written_as_it_is(&postgres, &client).await;
    any_exchange_is_taken(&postgres, &client).await;
    a_call_that_a_table_cannot_hold_is_refused_alone(&postgres, &client).await;
    a_dead_server_is_tried_again(&mut postgres).await;
}

async fn rows_are_written_once(postgres: &Postgres, client: &Client) {
    let sql = build("sql", postgres, json!({}));
    let batch = [call(1, 200, 12), call(2, 404, 5)];
    assert_eq!(deliver(&*sql, &batch).await.unwrap(), Delivered::default());
    // The answer was lost, and weir started again and cut its batches otherwise.
    deliver(&*sql, &batch).await.unwrap();
    let again = build("sql", postgres, json!({}));
    deliver(&*again, &[batch[1].clone(), call(3, 500, 1)]).await.unwrap();
    assert_eq!(number(client, "SELECT count(*) FROM tyk_analytics").await, 3);
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'tyk_analytics'";
    assert_eq!(number(client, columns).await, 52);
    let row = "SELECT concat_ws(' ', method, host, path, rawpath, responsecode, timestamp AT TIME ZONE 'UTC', \
        apiid, orgid, requesttime, latency_total, tags, trackpath, \"expireAt\" IS NULL, day, month, year, hour) \
        FROM tyk_analytics WHERE responsecode = 200";
    assert_eq!(
        text(client, row).await,
        "GET a.test /users/{id} /users/1 200 2026-11-20 11:00:01.012 users default 12 12 \
         [\"org-default\",\"api-users\"] t f 20 11 2026 11"
    );
}

async fn days_have_tables_of_their_own(postgres: &Postgres, client: &Client) {
    let sql = build("sql", postgres, json!({"table_sharding": true}));
    deliver(&*sql, &[call(10, 200, 1), call(86_400, 200, 1), call(11, 200, 1)]).await.unwrap();
    assert_eq!(number(client, "SELECT count(*) FROM tyk_analytics_20261120").await, 2);
    assert_eq!(number(client, "SELECT count(*) FROM tyk_analytics_20261121").await, 1);
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'tyk_analytics_20261120' \
        AND indexname LIKE 'tyk_analytics_20261120_idx_%'";
    assert_eq!(number(client, indexes).await, 6);
    // Old days are dropped by hand; what comes late makes them again.
    client.batch_execute("DROP TABLE tyk_analytics_20261120").await.unwrap();
    let late = [call(12, 200, 1)];
    let first = deliver(&*sql, &late).await;
    if first.is_err() {
        deliver(&*sql, &late).await.unwrap();
    }
    assert_eq!(number(client, "SELECT count(*) FROM tyk_analytics_20261120").await, 1);
}

/// Text in place of JSON, fewer columns, a column of somebody's own.
async fn a_table_of_the_original_is_written_as_it_is(postgres: &Postgres, client: &Client) {
    client
        .batch_execute(
            "CREATE TABLE tyk_analytics_20261122 (method text, responsecode bigint, tags text, \
             timestamp timestamptz, \"expireAt\" timestamptz, mine serial)",
        )
        .await
        .unwrap();
    let sql = build("sql", postgres, json!({"table_sharding": true}));
    deliver(&*sql, &[call(2 * 86_400, 201, 1)]).await.unwrap();
    let row = "SELECT concat_ws(' ', method, responsecode, tags, mine) FROM tyk_analytics_20261122";
    assert_eq!(text(client, row).await, "GET 201 [\"org-default\",\"api-users\"] 1");
}

async fn any_exchange_is_taken(postgres: &Postgres, client: &Client) {
    let sql = build("sql", postgres, json!({"record": {"detailed_recording": true}}));
    let mut rng = StdRng::seed_from_u64(1);
    let batch: Vec<Arc<Exchange>> = (0..300).map(|_| Arc::new(random_exchange(&mut rng))).collect();
    let before = number(client, "SELECT count(*) FROM tyk_analytics").await;
    let delivered = deliver(&*sql, &batch).await.unwrap();
    let written = number(client, "SELECT count(*) FROM tyk_analytics").await - before;
    assert_eq!(written + i64::try_from(delivered.rejected.len()).unwrap(), 300);
    assert_eq!(delivered, Delivered::default());
}

async fn a_call_that_a_table_cannot_hold_is_refused_alone(postgres: &Postgres, client: &Client) {
    client.batch_execute("CREATE TABLE tyk_analytics_20261123 (rawpath varchar(10))").await.unwrap();
    let sql = build("sql", postgres, json!({"table_sharding": true}));
    let day = 3 * 86_400;
    let mut long = Exchange::clone(&call(day, 200, 1));
    long.request.path = "/much/too/long".into();
    let mut batch: Vec<Arc<Exchange>> = (0..7)
        .map(|number| {
            let mut exchange = Exchange::clone(&call(day + number, 200, 1));
            exchange.request.path = format!("/{number}").into();
            Arc::new(exchange)
        })
        .collect();
    batch.insert(5, Arc::new(long));
    let delivered = deliver(&*sql, &batch).await.unwrap();
    assert_eq!(delivered.rejected.len(), 1);
    assert_eq!(delivered.rejected[0].0, 5);
    assert!(delivered.rejected[0].1.contains("too long"), "{delivered:?}");
    assert_eq!(number(client, "SELECT count(*) FROM tyk_analytics_20261123").await, 7);
}

async fn a_dead_server_is_tried_again(postgres: &mut Postgres) {
    let sql = build("sql", postgres, json!({}));
    let batch = [call(20, 200, 1)];
    deliver(&*sql, &[call(21, 200, 1)]).await.unwrap();
    postgres.stop();
    for _ in 0..2 {
        let outcome = deliver(&*sql, &batch).await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    }
    postgres.restart().await;
    deliver(&*sql, &batch).await.unwrap();
    let client = postgres.client().await;
    let rows = "SELECT count(*) FROM tyk_analytics WHERE rawpath = '/users/20'";
    assert_eq!(number(&client, rows).await, 1);
}

#[tokio::test]
async fn aggregates_on_a_real_postgres() {
    let postgres = Postgres::start().await;
    let client = postgres.client().await;
    batches_merge_and_repeats_do_not(&postgres, &client).await;
    two_writers_do_not_wait_for_each_other(&postgres, &client).await;
}

async fn batches_merge_and_repeats_do_not(postgres: &Postgres, client: &Client) {
    let sql = build("sql_aggregate", postgres, json!({}));
    let first = [call(0, 200, 10), call(1, 404, 2), call(3_599, 200, 30)];
    let second = [call(2, 200, 20), call(3_600, 500, 40), call(3, 418, 1)];
    deliver(&*sql, &first).await.unwrap();
    deliver(&*sql, &first).await.unwrap();
    deliver(&*sql, &second).await.unwrap();
    let again = build("sql_aggregate", postgres, json!({}));
    deliver(&*again, &second).await.unwrap();
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'tyk_aggregated'";
    assert_eq!(number(client, columns).await, 48);
    let row = |dimension: &str, value: &str, hour: i64| {
        format!(
            "SELECT concat_ws(' ', counter_hits, counter_success, counter_error, counter_total_latency, \
             trim_scale(round(counter_latency, 2)), counter_min_latency, counter_max_latency, code_404, code_4x, \
             code_5x, code_500, counter_last_time AT TIME ZONE 'UTC') FROM tyk_aggregated \
             WHERE dimension = '{dimension}' AND dimension_value = '{value}' AND timestamp = {hour} \
             AND org_id = 'default'"
        )
    };
    let hour = "5 3 2 63 12.6 10 30 1 1 0 0 2026-11-20 11:59:59.03";
    assert_eq!(text(client, &row("", "total", HOUR)).await, hour);
    assert_eq!(text(client, &row("apiid", "users", HOUR)).await, hour);
    assert_eq!(text(client, &row("endpoints", "/users/{id}", HOUR)).await, hour);
    let next = "1 0 1 40 40 40 40 0 0 0 1 2026-11-20 12:00:00.04";
    assert_eq!(text(client, &row("", "total", HOUR + 3_600)).await, next);
    let id = "SELECT convert_from(decode(id, 'hex'), 'UTF8') FROM tyk_aggregated WHERE dimension = 'apiid' \
        AND timestamp = 1795172400";
    assert_eq!(text(client, id).await, "1795172400defaultapiidusers");
    let index = "SELECT count(*) FROM pg_indexes WHERE indexname = 'tyk_aggregated_idx_dimension'";
    assert_eq!(number(client, index).await, 1);
    percentiles_come_from_bins(client).await;
}

/// The question that the page for users shows.
async fn percentiles_come_from_bins(client: &Client) {
    let median = "SELECT round(2 * power(1.01 / 0.99, bin) / (1.01 / 0.99 + 1))::bigint FROM ( \
        SELECT l.bin, sum(sum(l.hits)) OVER (ORDER BY l.bin) AS passed, sum(sum(l.hits)) OVER () AS total \
        FROM tyk_aggregated_latency l JOIN tyk_aggregated a USING (id) \
        WHERE a.dimension = '' AND a.timestamp = 1795172400 GROUP BY l.bin) bins \
        WHERE passed >= total * 0.5 ORDER BY bin LIMIT 1";
    assert_eq!(number(client, median).await, 10);
}

async fn two_writers_do_not_wait_for_each_other(postgres: &Postgres, client: &Client) {
    let writers = (0..4).map(|writer| {
        let sql = build("sql_aggregate", postgres, json!({"store_analytics_per_minute": true}));
        async move {
            for round in 0..10 {
                let calls = (0..50).map(|number| {
                    let mut exchange = Exchange::clone(&call(7_200, 200, 1));
                    exchange.id = ExchangeId::new(exchange.started_at);
                    exchange.service = Some(format!("api-{}", (number + writer * 7 + round) % 20).into());
                    Arc::new(exchange)
                });
                let calls: Vec<Arc<Exchange>> = calls.collect();
                deliver(&*sql, &calls).await.unwrap();
            }
        }
    });
    let tasks: Vec<_> = writers.map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let total = "SELECT counter_hits FROM tyk_aggregated WHERE dimension = '' AND timestamp = 1795179600";
    assert_eq!(number(client, total).await, 2_000);
}
