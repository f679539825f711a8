//! Measures the embedded store: what an exchange of about 2 KB costs to take in, and how long typical questions take.
//!
//! `cargo bench -p weir-store` takes 100,000 exchanges; `WEIR_BENCH_EXCHANGES` sets another number. Each line of
//! output is a JSON object; `WEIR_BENCH_ATTRIBUTES=1` gives exchanges what Tyk's records say in attributes, and asks for it. Ingest is the median of five stores of a fifth of the exchanges each, and one of all of
//! them, which is then asked: each question five times, of which the median counts.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_kit::Timestamp;
use weir_model::{
    Body, Exchange, ExchangeId, Field, Operation, Peer, ProjectId, Protocol, Request, Response,
};
use weir_query::{Aggregation, Dimension, Filter, Listing, Measure, Op, Order, TimeRange};
use weir_store::testing::{FIRST_START, Random};
use weir_store::{EmbeddedSettings, EmbeddedStore, Store};

const SPAN: Duration = Duration::from_secs(3 * 86_400);
const BATCH: usize = 1_000;
const REPEATS: usize = 5;
const FREQUENT: &str = "quarterly";
const RARE: &str = "needle";

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let count = count.or_else(|| std::env::var("WEIR_BENCH_EXCHANGES").ok()?.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(bench(count));
}

async fn bench(count: usize) {
    let mut rounds = Vec::new();
    for _ in 0..REPEATS {
        rounds.push(filled(count / REPEATS).await.2);
    }
    let of = |figure: fn(&Ingest) -> f64| median(rounds.iter().map(figure));
    print(&serde_json::json!({
        "ingest": count / REPEATS,
        "rounds": REPEATS,
        "cpu_us_per_event": of(|ingest| ingest.cpu_us_per_event),
        "events_per_s": of(|ingest| ingest.events_per_second),
        "bytes_per_event": of(|ingest| ingest.bytes_per_event),
    }));
    let (_directory, store, whole) = filled(count).await;
    print(&serde_json::json!({
        "ingest": count,
        "rounds": 1,
        "cpu_us_per_event": whole.cpu_us_per_event,
        "events_per_s": whole.events_per_second,
        "bytes_per_event": whole.bytes_per_event,
    }));
    questions(count, &store, whole.id).await;
}

/// What taking exchanges in cost, and the id of one of them.
struct Ingest {
    cpu_us_per_event: f64,
    events_per_second: f64,
    bytes_per_event: f64,
    id: ExchangeId,
}

/// A new store with this many exchanges, in a folder that lives as long as the first item.
async fn filled(count: usize) -> (tempfile::TempDir, EmbeddedStore, Ingest) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = EmbeddedStore::open(EmbeddedSettings::new(directory.path())).expect("a store");
    let ingest = generate(count, &store).await;
    (directory, store, ingest)
}

/// Takes everything in. Making the exchanges is measured apart and taken off.
async fn generate(count: usize, store: &EmbeddedStore) -> Ingest {
    let mut traffic = Traffic::new(count);
    let cpu = cpu_time();
    for number in 0..count.min(20_000) {
        std::hint::black_box(traffic.exchange(number));
    }
    let generator = (cpu_time() - cpu).as_secs_f64() * 1e6 / count.clamp(1, 20_000) as f64;

    let mut traffic = Traffic::new(count);
    let mut id = None;
    let cpu = cpu_time();
    let began = Instant::now();
    let mut number = 0;
    while number < count {
        let batch: Vec<Arc<Exchange>> =
            (number..count.min(number + BATCH)).map(|number| Arc::new(traffic.exchange(number))).collect();
        number += batch.len();
        id = id.or(batch.get(BATCH / 2).map(|exchange| exchange.id));
        store.append(&batch, number as u64).await.expect("append");
    }
    store.flush().await.expect("flush");
    let wall = began.elapsed().as_secs_f64();
    // Merges go on for a while after the last commit.
    let mut before = cpu_time();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = cpu_time();
        if now - before < Duration::from_millis(50) {
            break;
        }
        before = now;
    }
    let spent = (cpu_time() - cpu).as_secs_f64() * 1e6 / count as f64;
    store.append(&[], number as u64 + 1).await.expect("append");
    store.flush().await.expect("flush");
    let status = store.status().await.expect("status");
    Ingest {
        cpu_us_per_event: spent - generator,
        events_per_second: count as f64 / wall,
        bytes_per_event: status.bytes as f64 / count as f64,
        id: id.expect("an exchange"),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn questions(count: usize, store: &EmbeddedStore, id: ExchangeId) {
    let field = |name: &str| Field::named(name).expect("a field");
    let latency = || field("latency");
    let aggregation =
        |filter: Filter, dimensions: Vec<Dimension>, measures: Vec<Measure>, order_by: Option<usize>| {
            Aggregation {
                project: ProjectId::default(),
                range: TimeRange::ALL,
                filter,
                dimensions,
                measures,
                order_by,
                limit: if order_by.is_some() { 20 } else { 10_000 },
            }
        };
    let route = || Dimension::Field(field("route"));
    let day = Dimension::Time(Duration::from_secs(86_400));
    let minute = Dimension::Time(Duration::from_secs(60));
    let percentiles = [0.5, 0.95, 0.99].map(|quantile| Measure::Quantile(latency(), quantile)).to_vec();
    let mut one_day = aggregation(Filter::Any, vec![minute], percentiles, None);
    one_day.range = TimeRange { from: FIRST_START, to: FIRST_START + Duration::from_secs(86_400) };
    let errors = vec![Measure::Count, Measure::ErrorRatio];
    let pro = Filter::Test { field: field("request.body.plan"), op: Op::In(vec![text("pro")]) };
    let aggregations = [
        ("Q1 minute percentiles of one day", one_day),
        ("Q2 top 20 routes and error ratio", aggregation(Filter::Any, vec![route()], errors, Some(0))),
        (
            "Q3 top 20 users",
            aggregation(Filter::Any, vec![Dimension::Field(field("user"))], vec![Measure::Count], Some(0)),
        ),
        (
            "Q4 distinct users by day",
            aggregation(Filter::Any, vec![day], vec![Measure::Distinct(field("user"))], None),
        ),
        ("Q6 body field by route", aggregation(pro, vec![route()], vec![Measure::Count], Some(0))),
    ];
    for (name, aggregation) in &aggregations {
        ask(count, store, name, aggregation).await;
    }
    if with_attributes() {
        let figures = || {
            let mut measures = vec![Measure::Count, Measure::ErrorRatio];
            measures.extend([0.5, 0.95, 0.99].map(|quantile| Measure::Quantile(latency(), quantile)));
            measures.push(Measure::Max(field("time")));
            measures
        };
        for name in ["country", "attribute.geo.country.iso_code", "attribute.tyk.alias", "attribute.tyk.tags"]
            .into_iter()
            .chain(["attribute.tyk.oauth_id"])
        {
            let dimensions = vec![Dimension::Field(field(name))];
            let aggregation = aggregation(Filter::Any, dimensions, figures(), Some(0));
            ask(count, store, &format!("figures by {name}"), &aggregation).await;
        }
        let versions =
            ["service", "attribute.tyk.api_version"].map(|name| Dimension::Field(field(name))).to_vec();
        let aggregation = aggregation(Filter::Any, versions, figures(), Some(0));
        ask(count, store, "figures by service and attribute.tyk.api_version", &aggregation).await;
    }
    let words = |word: &str| Filter::Words(vec![word.to_owned()]);
    let both = Filter::Words(vec![FREQUENT.to_owned(), "report".to_owned()]);
    let user = Filter::Test { field: field("user"), op: Op::In(vec![text("user-7")]) };
    let failed = Filter::Test {
        field: field("status"),
        op: Op::Range { from: Some((weir_model::FieldValue::Integer(500), true)), to: None },
    };
    for (name, filter) in [
        ("Q5 rare word, newest 50", words(RARE)),
        ("Q5 frequent word, newest 50", words(FREQUENT)),
        ("frequent phrase, newest 50", both),
        ("one user, newest 50", user),
        ("status 500 and above, newest 50", failed),
        ("everything, newest 50", Filter::Any),
    ] {
        let project = ProjectId::default();
        let listing = Listing {
            project,
            range: TimeRange::ALL,
            filter,
            order: Order::NewestFirst,
            limit: 50,
            after: None,
        };
        let mut found = None;
        let median_ms = timed(async || {
            let page = store.list(&listing).await.expect("a page");
            found = Some((page.exchanges.len(), format!("{:?}", page.total)));
        })
        .await;
        print(&serde_json::json!({ "question": name, "exchanges": count, "ms": median_ms, "found": found }));
    }
    let median_ms =
        timed(async || assert!(store.get(&ProjectId::default(), id).await.expect("an answer").is_some()))
            .await;
    print(&serde_json::json!({ "question": "Q7 one by id", "exchanges": count, "ms": median_ms }));
}

/// Asks for a table and prints how long it took.
async fn ask(count: usize, store: &EmbeddedStore, name: &str, aggregation: &Aggregation) {
    let mut table = None;
    let median_ms = timed(async || table = store.aggregate(aggregation).await.ok()).await;
    let table = table.expect("a table");
    print(&serde_json::json!({
        "question": name, "exchanges": count, "ms": median_ms, "rows": table.rows.len(), "approximate": table.approximate,
    }));
}

fn with_attributes() -> bool {
    std::env::var_os("WEIR_BENCH_ATTRIBUTES").is_some()
}

/// Milliseconds: the median of several times asked.
async fn timed(mut question: impl AsyncFnMut()) -> f64 {
    let mut times = Vec::new();
    for _ in 0..REPEATS {
        let began = Instant::now();
        question().await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    median(times.into_iter())
}

fn text(text: &str) -> weir_model::FieldValue<'static> {
    weir_model::FieldValue::Text(text.to_owned().into())
}

fn print(line: &serde_json::Value) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// User and system time of this process, from Linux's `/proc`, in steps of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Repeatable traffic: 300 routes and a million users, both by Zipf's law, ten random ids each, over three days.
struct Traffic {
    random: Random,
    step: Duration,
}

impl Traffic {
    fn new(count: usize) -> Self {
        Self { random: Random::seeded(1), step: SPAN / u32::try_from(count.max(1)).unwrap_or(u32::MAX) }
    }

    /// Rank `n` comes with a frequency of about 1/n.
    fn zipf(&mut self, bound: u64) -> u64 {
        let uniform = self.random.below(1 << 32) as f64 / f64::from(u32::MAX);
        (bound as f64).powf(uniform) as u64 % bound
    }

    fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.number(), self.random.number())
    }

    fn exchange(&mut self, number: usize) -> Exchange {
        let started_at: Timestamp = FIRST_START + self.step * number as u32;
        let mut bits = [0; 16];
        bits[6..14].copy_from_slice(&self.random.number().to_le_bytes());
        let route = self.zipf(300);
        let entity = self.random.below(100_000);
        let mut request = Request {
            method: self.random.pick(&["GET", "GET", "GET", "POST", "PUT", "DELETE"]).into(),
            scheme: "https".into(),
            host: format!("api{}.example.com", route % 4).into(),
            path: format!("/v1/resource{route}/{entity}").into(),
            query: self.random.one_in(2).then(|| format!("page={entity}&size=50").into()),
            version: "1.1".into(),
            body: Body::whole(self.request_body()),
            ..Request::default()
        };
        for (name, value) in [
            ("Host", request.host.to_string()),
            ("User-Agent", format!("client-library/{}.{} (linux; x86_64)", route % 7, route % 13)),
            ("Accept", "application/json, text/plain, */*".into()),
            ("Accept-Encoding", "gzip, deflate, br".into()),
            ("Content-Type", "application/json; charset=utf-8".into()),
            ("X-Request-Id", self.hex()),
            ("Traceparent", format!("00-{}-{:016x}-01", self.hex(), self.random.number())),
            ("X-Forwarded-For", format!("203.0.113.{}, 10.0.0.1", entity % 256)),
        ] {
            request.headers.push(name, value);
        }
        let mut exchange = Exchange::new(ExchangeId::with_random(started_at, bits), started_at, request);
        exchange.response = Some(self.response());
        exchange.origin.source = "gateway".into();
        exchange.origin.environment = Some(self.random.pick(&["production", "production", "staging"]).into());
        exchange.service = Some(format!("service-{}", route % 20).into());
        exchange.route = Some(format!("route-{route}").into());
        exchange.identity.user = Some(format!("user-{}", self.zipf(1_000_000)).into());
        exchange.identity.company = Some(format!("company-{}", self.zipf(5_000)).into());
        exchange.client =
            Peer::new([10, (entity >> 16) as u8, (entity >> 8) as u8, entity as u8].into(), Some(50_000));
        exchange.operation = Some(Operation {
            protocol: Protocol::Rest,
            template: format!("/v1/resource{route}/{{id}}").into(),
            name: None,
            kind: None,
            error: None,
        });
        // The product of uniform numbers is close to log-normal.
        let latency: f64 =
            (0..4).map(|_| 0.5 + self.random.below(1_000) as f64 / 250.0).product::<f64>() * 1_500.0;
        exchange.timings.wait = Some(Duration::from_micros(latency as u64));
        exchange.timings.total = Some(Duration::from_micros(latency as u64 + 700));
        if with_attributes() {
            self.add_attributes(&mut exchange);
        }
        exchange
    }

    /// As the pump makes them: a few values each, but for clients with their long ids.
    fn add_attributes(&mut self, exchange: &mut Exchange) {
        let country = self.zipf(120);
        let letter = |number: u64| char::from(b'A' + (number % 26) as u8);
        let facts = &mut exchange.attributes;
        facts.set("geo.country.iso_code", format!("{}{}", letter(country / 26), letter(country)));
        facts.set("tyk.org_id", "664a14650619d40001f1f00f");
        facts.set("tyk.api_version", self.random.pick(&["v1", "v2", "Non Versioned"]));
        facts.set("tyk.alias", format!("team-{}", self.zipf(5_000)));
        facts.set("tyk.oauth_id", format!("{:032x}", self.zipf(200)));
        let tags = format!("[\"edge-{}\",\"key-{:08x}\"]", self.random.below(3), self.zipf(5_000));
        facts.set("tyk.tags", weir_model::Value::Json(tags.into()));
    }

    fn response(&mut self) -> Response {
        let status = match self.random.below(100) {
            0 => 500,
            1 => 503,
            2..6 => 404,
            6..10 => 201,
            _ => 200,
        };
        let mut response =
            Response { status, body: Body::whole(self.response_body()), ..Response::default() };
        for (name, value) in [
            ("Content-Type", "application/json; charset=utf-8".to_owned()),
            ("Cache-Control", "no-store, max-age=0".to_owned()),
            ("Server", "upstream/2.4".to_owned()),
            ("X-Request-Id", self.hex()),
            ("ETag", format!("\"{}\"", self.hex())),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains".to_owned()),
        ] {
            response.headers.push(name, value);
        }
        response
    }

    fn words(&mut self, count: usize) -> String {
        let words: Vec<String> = (0..count)
            .map(|_| match self.random.below(100_000) {
                0 => RARE.to_owned(),
                1..4_000 => format!("{FREQUENT} report"),
                _ => format!("word{}", self.zipf(20_000)),
            })
            .collect();
        words.join(" ")
    }

    fn request_body(&mut self) -> String {
        let plan = self.random.pick(&["pro", "free", "free", "free", "team"]);
        format!(
            "{{\"plan\":\"{plan}\",\"order\":{{\"id\":\"{}\",\"amount\":{},\"currency\":\"EUR\",\"items\":[{{\"sku\":\"sku-{}\",\
             \"count\":{}}}]}},\"note\":\"{}\"}}",
            self.hex(),
            self.random.below(100_000),
            self.random.below(5_000),
            self.random.below(9),
            self.words(12)
        )
    }

    fn response_body(&mut self) -> String {
        format!(
            "{{\"id\":\"{}\",\"status\":\"accepted\",\"customer\":{{\"id\":\"{}\",\"name\":\"{}\"}},\"links\":{{\"self\":\"/v1/orders/{}\"}},\
             \"text\":\"{}\"}}",
            self.hex(),
            self.hex(),
            self.words(2),
            self.random.below(1_000_000),
            self.words(24)
        )
    }
}
