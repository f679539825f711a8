//! For tests and benchmarks: the suite that every store passes, and traffic that repeats by its seed.

use std::sync::Arc;
use std::time::Duration;

use weir_kit::Timestamp;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::field::FIELDS;
use weir_model::{
    Body, Captured, CompactString, Consumer, Exchange, ExchangeId, Field, FieldValue, Finding, Operation,
    Peer, ProjectId, Protocol, Request, Response, Severity, Value,
};
use weir_query::evaluate::{Subject, matches};
use weir_query::table::{Cell, Table};
use weir_query::{Aggregation, Dimension, Filter, Listing, Measure, Op, Order, TimeRange};

use crate::{Store, Total};

/// Numbers that look random and repeat by their seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len() as u64) as usize]
    }

    fn some(&mut self, all: &[&str]) -> Option<CompactString> {
        (!self.one_in(3)).then(|| self.pick(all).into())
    }
}

/// The start of generated traffic.
pub const FIRST_START: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// An exchange with odd values in every corner, from few words, so that random questions find some.
pub fn odd_exchange(random: &mut Random) -> Exchange {
    // Few different starts, so that the order of ids counts.
    let started_at = FIRST_START + Duration::from_secs(random.below(400) * 600);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.number().to_be_bytes());
    id[8..].copy_from_slice(&random.number().to_be_bytes());
    let mut exchange =
        Exchange::new(ExchangeId::with_random(started_at, id), started_at, odd_request(random));
    exchange.project = ProjectId::from(if random.one_in(5) { "other" } else { ProjectId::DEFAULT });
    exchange.origin.source = random.pick(&["gateway", "har", "galileo"]).into();
    exchange.origin.environment = random.some(&["production", "staging"]);
    exchange.service = random.some(&["billing", "users", ""]);
    exchange.route = random.some(&["r1", "r2", "r3"]);
    exchange.identity.user = random.some(&["ann", "bob", "carla", "d\u{e9}sir\u{e9}e"]);
    exchange.identity.company = random.some(&["acme", "initech"]);
    exchange.client = Peer::new([10, 0, 0, random.below(4) as u8].into(), Some(random.below(65_536) as u16));
    if random.one_in(2) {
        exchange.consumer =
            Some(Consumer { username: random.some(&["key-1", "key-2"]), ..Consumer::default() });
    }
    if !random.one_in(6) {
        exchange.response = Some(odd_response(random));
    } else {
        exchange.error = Some(random.pick(&["upstream.timeout", "downstream.closed"]).into());
    }
    exchange.timings.wait = (!random.one_in(4)).then(|| Duration::from_micros(random.below(1 << 20)));
    exchange.timings.total = random.one_in(2).then(|| Duration::from_nanos(random.below(1 << 40)));
    if random.one_in(2) {
        exchange.operation = Some(Operation {
            protocol: Protocol::ALL[random.below(6) as usize],
            template: random.pick(&["/users/{id}", "/orders", ""]).into(),
            name: random.some(&["getUser", "payOrder"]),
            kind: random.some(&["query", "mutation"]),
            error: random.one_in(4).then(|| "card_declined".into()),
        });
    }
    for _ in 0..random.below(4).saturating_sub(1) {
        exchange.findings.push(Finding {
            kind: random.pick(&["sql_injection", "path_traversal", "scanner"]).into(),
            severity: Severity::ALL[random.below(3) as usize],
            location: "url.path".into(),
            evidence: "' or 1=1".into(),
        });
    }
    exchange.weight = if random.one_in(8) { 10 } else { 1 };
    exchange.plugins = random.some(&["plugin-1"]).into_iter().collect();
    exchange.attributes.set("tyk.org_id", random.pick(&["org1", "org2"]));
    exchange.attributes.set("depth", Value::Integer(random.below(5) as i64));
    exchange.attributes.set("ratio", Value::Float(random.below(5) as f64 / 4.0));
    exchange.attributes.set("document", Value::Json("{\"a\":1}".into()));
    exchange
        .attributes
        .set("key", format!("{:0width$x}", random.below(9), width = [8, 40, 70][random.below(3) as usize]));
    exchange.attributes.set("large", Value::Integer((9_000_000_000_000_000 - 2) + random.below(4) as i64));
    exchange.attributes.set(
        "tags",
        Value::Json(
            random.pick(&["[\"a\",\"b\",\"a\"]", "[]", "[1,\"1\",true,null,{\"a\":2}]", "[oops"]).into(),
        ),
    );
    if random.one_in(2) {
        exchange.attributes.set("geo.country.iso_code", random.pick(&["DE", "NO", ""]));
    }
    exchange
}

fn odd_request(random: &mut Random) -> Request {
    let mut request = Request {
        method: random.pick(&["GET", "POST", "post", "PATCH"]).into(),
        scheme: random.pick(&["http", "https"]).into(),
        host: random.pick(&["api.test:8000", "api.test", "[::1]:80", ""]).into(),
        path: random.pick(&["/users/42", "/users/7/orders", "/Orders", "/a%20b", "", "/gr\u{fc}n"]).into(),
        query: random.some(&["page=2&q=blue+suede%20shoes", "page=12", "flag", "", "a=1&a=2&a=%ff"]),
        version: random.pick(&["1.1", "2", ""]).into(),
        body: odd_body(random),
        ..Request::default()
    };
    let agents = ["curl/8.1 (x86_64)", "Mozilla/5.0 (compatible; weir)", ""];
    request.headers.push("User-Agent", random.pick(&agents).to_owned());
    request.headers.push("X-Trace", format!("{:032x}", random.below(40)));
    if random.one_in(2) {
        request
            .headers
            .push(random.pick(&["Content-Length", "content-length"]), random.below(300).to_string());
    }
    if random.one_in(8) {
        request.headers.push("X-Odd", vec![b'\xff', b'a', b' ', b'\xc3']);
    }
    if random.one_in(8) {
        // Longer than what groups, alike at first.
        request.path = format!("/{}{}", "long".repeat(80), random.below(3)).into();
    }
    request.trailers.push("checksum", random.pick(&["ok", "failed"]).to_owned());
    request
}

fn odd_response(random: &mut Random) -> Response {
    let status = random.pick(&[&200, &201, &304, &402, &404, &500, &503, &0, &999]);
    let mut response = Response { status: *status, body: odd_body(random), ..Response::default() };
    response.headers.push("Server", random.pick(&["weir", "nginx/1.2"]).to_owned());
    response.reason = random.some(&["OK"]);
    response.headers_size = random.one_in(2).then(|| random.below(900));
    response
}

fn odd_body(random: &mut Random) -> Body {
    let plan = random.pick(&["pro", "free", "a plan with a name longer than twenty-four bytes", "x\u{0}y"]);
    let amount =
        random.pick(&["0", "-0.0", "2", "2.0", "2.5", "1e300", "9007199254740993", "9223372036854775807"]);
    let skus: Vec<String> =
        (0..random.below(3)).map(|_| format!("{{\"sku\":\"s{}\"}}", random.below(4))).collect();
    let document = format!(
        "{{\"plan\":{},\"amount\":{amount},\"items\":[{}],\"vip\":{},\"deep\":{{\"er\":\"card declined\"}},\"none\":null}}",
        serde_json::Value::from(plan),
        skus.join(","),
        random.one_in(2)
    );
    match random.below(8) {
        0 => Body::default(),
        1 => Body::of_size(random.below(1 << 40)),
        2 => Body {
            captured: Captured::Cut(document[..document.len() - 30].to_owned().into()),
            ..Body::of_size(5_000)
        },
        3 => Body::whole(vec![0x1f, 0x8b, 8, 0, 1, 2, 3]),
        4 => Body {
            coding: ContentCoding::Known(Coding::Zstd),
            ..Body::whole(zstd::encode_all(document.as_bytes(), 1).unwrap_or_default())
        },
        5 => Body { coding: ContentCoding::Other("compress".into()), ..Body::whole(document) },
        6 => Body::whole(format!("plain words, {} words and {}", random.below(5), "w".repeat(30))),
        _ => Body { media_type: Some("application/json".into()), ..Body::whole(document) },
    }
}

/// Fields that questions of the tests are about.
pub fn asked_fields() -> Vec<Field> {
    let open = [
        "request.header.user-agent",
        "request.header.content-length",
        "request.header.x-trace",
        "request.header.x-odd",
        "response.header.server",
        "request.query.page",
        "request.query.q",
        "request.query.a",
        "request.query.flag",
        "request.body.plan",
        "request.body.amount",
        "request.body.items.sku",
        "request.body.vip",
        "request.body.none",
        "response.body.plan",
        "response.body.amount",
        "response.body.deep.er",
        "attribute.tyk.org_id",
        "attribute.depth",
        "attribute.ratio",
        "attribute.document",
        "attribute.key",
        "attribute.large",
        "attribute.tags",
        "attribute.unheard",
    ];
    FIELDS.iter().map(Field::Row).chain(open.into_iter().filter_map(Field::named)).collect()
}

/// A filter that some of these exchanges are likely to match.
pub fn odd_filter(random: &mut Random, exchanges: &[Arc<Exchange>], depth: u64) -> Filter {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Filter::Any,
        1 => odd_words(random),
        2..=4 => odd_test(random, exchanges),
        5 => Filter::Not(Box::new(odd_filter(random, exchanges, depth - 1))),
        6 => Filter::And((0..random.below(3)).map(|_| odd_filter(random, exchanges, depth - 1)).collect()),
        _ => Filter::Or((0..random.below(4)).map(|_| odd_filter(random, exchanges, depth - 1)).collect()),
    }
}

fn odd_words(random: &mut Random) -> Filter {
    let texts = [
        "card declined",
        "declined card",
        "pro",
        "users",
        "blue suede shoes",
        "curl 8",
        "weir",
        "missing",
        "orders",
        "wwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
        "00000000000000000000000000000007",
        "gr\u{fc}n",
        "words and",
        "trace",
        "a b",
    ];
    Filter::Words(weir_query::text::words(random.pick(&texts)))
}

fn odd_test(random: &mut Random, exchanges: &[Arc<Exchange>]) -> Filter {
    let fields = asked_fields();
    let field = fields[random.below(fields.len() as u64) as usize].clone();
    let mut values = Vec::new();
    for _ in 0..6 {
        if exchanges.is_empty() {
            break;
        }
        let exchange = &exchanges[random.below(exchanges.len() as u64) as usize];
        Subject::new(exchange).each_value(&field, &mut |value| {
            values.push(value.into_owned());
            std::ops::ControlFlow::Continue(())
        });
    }
    let Some(value) = values.first().cloned() else { return Filter::Test { field, op: Op::Exists } };
    let op = match (random.below(5), &value) {
        (0, _) => Op::Exists,
        (1, FieldValue::Text(text)) => Op::Prefix(text.chars().take(random.below(12) as usize).collect()),
        (2, FieldValue::Text(text)) => {
            let middle: String = text.chars().skip(1).take(random.below(5) as usize).collect();
            Op::Like(random.pick(&["*{}*", "{}*", "*{}", "*"]).replace("{}", &middle))
        }
        (3, FieldValue::Text(_)) => {
            Op::Range { from: Some((FieldValue::Integer(100), random.one_in(2))), to: None }
        }
        (1..=3, FieldValue::Bool(_)) => Op::In(vec![value]),
        (1..=3, _) => {
            let to =
                values.last().cloned().filter(|_| random.one_in(2)).map(|value| (value, random.one_in(2)));
            Op::Range { from: Some((value, random.one_in(2))), to }
        }
        _ => {
            values.truncate(3);
            values.push(FieldValue::Text("2".into()));
            values.push(FieldValue::Integer(2));
            Op::In(values)
        }
    };
    Filter::Test { field, op }
}

/// A range that holds some of the traffic of [`odd_exchange`].
pub fn odd_range(random: &mut Random) -> TimeRange {
    if random.one_in(2) {
        return TimeRange::ALL;
    }
    let from = FIRST_START + Duration::from_secs(random.below(400) * 600);
    TimeRange { from, to: from + Duration::from_secs(random.below(300) * 600) }
}

/// An aggregation over the traffic of [`odd_exchange`].
pub fn odd_aggregation(random: &mut Random, exchanges: &[Arc<Exchange>]) -> Aggregation {
    let fields = asked_fields();
    let field = |random: &mut Random| fields[random.below(fields.len() as u64) as usize].clone();
    let mut dimensions = Vec::new();
    for _ in 0..random.below(4) {
        dimensions.push(match random.below(4) {
            0 => Dimension::Time(Duration::from_secs(1 + random.below(86_400))),
            1 => Dimension::Bands { field: field(random), bounds: vec![2.0, 200.0, 500.0, 1e5] },
            _ => Dimension::Field(field(random)),
        });
    }
    let mut measures = vec![Measure::Count, Measure::ErrorRatio];
    for _ in 0..random.below(4) {
        measures.push(match random.below(6) {
            0 => Measure::Sum(field(random)),
            1 => Measure::Mean(field(random)),
            2 => Measure::Min(field(random)),
            3 => Measure::Max(field(random)),
            4 => Measure::Quantile(field(random), random.below(101) as f64 / 100.0),
            _ => Measure::Distinct(field(random)),
        });
    }
    if let Some(Measure::Quantile(field, _)) = measures.last().cloned() {
        measures.push(Measure::Quantile(field, 0.5));
    }
    let order_by = random.one_in(2).then(|| random.below(measures.len() as u64) as usize);
    Aggregation {
        project: ProjectId::default(),
        range: odd_range(random),
        filter: odd_filter(random, exchanges, 2),
        dimensions,
        measures,
        order_by,
        limit: 1 + random.below(60) as usize,
    }
}

/// A listing of everything in the default project.
pub fn everything(order: Order, limit: usize) -> Listing {
    let project = ProjectId::default();
    Listing { project, range: TimeRange::ALL, filter: Filter::Any, order, limit, after: None }
}

/// All pages of a listing, and the total that each gave.
pub async fn all_pages(store: &dyn Store, listing: &Listing) -> (Vec<Exchange>, Vec<Total>) {
    let mut listing = listing.clone();
    let (mut exchanges, mut totals) = (Vec::new(), Vec::new());
    loop {
        let page = store.list(&listing).await.expect("a page");
        assert!(page.exchanges.len() <= listing.limit, "the page is longer than asked for");
        exchanges.extend(page.exchanges);
        totals.push(page.total);
        match page.next {
            None => return (exchanges, totals),
            next => listing.after = next,
        }
    }
}

/// Panics unless the tables are equal. Floats may differ in their last digits: sums depend on their order.
pub fn assert_tables_agree(left: &Table, right: &Table, about: &str) {
    assert_eq!(left.columns, right.columns, "{about}");
    assert_eq!((left.more, left.rows.len()), (right.more, right.rows.len()), "{about}\n{left:?}\n{right:?}");
    for (left, right) in left.rows.iter().zip(&right.rows) {
        let agree = left.iter().zip(right).all(|(left, right)| match (left, right) {
            (Cell::Float(left), Cell::Float(right)) => {
                left.total_cmp(right).is_eq() || (left - right).abs() <= 1e-9 * left.abs().max(right.abs())
            }
            _ => left == right,
        });
        assert!(agree, "{about}\n{left:?}\n{right:?}");
    }
}

/// Generated exchanges.
pub fn odd_exchanges(seed: u64, count: usize) -> Vec<Arc<Exchange>> {
    let mut random = Random::seeded(seed);
    (0..count).map(|_| Arc::new(odd_exchange(&mut random))).collect()
}

/// What every store does. `open` makes an empty one each time.
pub async fn check_store<S: Store>(open: impl Fn() -> S) {
    check_pages(&open()).await;
    check_idempotence(&open()).await;
    check_projects(&open()).await;
    check_every_field(&open()).await;
    check_empty_answers(&open()).await;
    check_positions(&open()).await;
    check_removal(&open()).await;
    check_erasure(&open()).await;
}

async fn check_pages(store: &dyn Store) {
    let exchanges = odd_exchanges(1, 120);
    store.append(&exchanges, 1).await.expect("append");
    let mut expected: Vec<&Exchange> = exchanges
        .iter()
        .map(Arc::as_ref)
        .filter(|exchange| exchange.project == ProjectId::default())
        .collect();
    expected.sort_by_key(|exchange| (exchange.started_at, exchange.id));
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for limit in [1, 7, expected.len(), 1_000] {
            let (listed, totals) = all_pages(store, &everything(order, limit)).await;
            assert!(listed.iter().eq(expected.iter().copied()), "{order:?} {limit}");
            assert!(totals.iter().all(|total| *total == Total::Exactly(expected.len() as u64)));
            assert_eq!(totals.len(), expected.len().div_ceil(limit), "no page is empty");
        }
        expected.reverse();
    }
}

async fn check_idempotence(store: &dyn Store) {
    let exchanges = odd_exchanges(2, 30);
    let twice: Vec<_> = exchanges.iter().chain(&exchanges).cloned().collect();
    store.append(&twice, 1).await.expect("append");
    store.append(&exchanges[..10], 2).await.expect("append");
    store.flush().await.expect("flush");
    store.append(&exchanges[5..20], 3).await.expect("append");
    let status = store.status().await.expect("status");
    assert_eq!(status.exchanges, exchanges.len() as u64);
    assert_eq!(status.oldest, exchanges.iter().map(|exchange| exchange.started_at).min());
    assert_eq!(status.newest, exchanges.iter().map(|exchange| exchange.started_at).max());
}

async fn check_projects(store: &dyn Store) {
    let exchanges = odd_exchanges(3, 40);
    store.append(&exchanges, 1).await.expect("append");
    for _ in 0..2 {
        for exchange in &exchanges {
            let found = store.get(&exchange.project, exchange.id).await.expect("get");
            assert_eq!(found.as_ref(), Some(exchange.as_ref()));
            let elsewhere = store.get(&ProjectId::from("nobody"), exchange.id).await.expect("get");
            assert_eq!(elsewhere, None);
        }
        let unknown = ExchangeId::with_random(FIRST_START, [7; 16]);
        assert_eq!(store.get(&ProjectId::default(), unknown).await.expect("get"), None);
        store.flush().await.expect("flush");
    }
}

async fn check_every_field(store: &dyn Store) {
    let exchanges = odd_exchanges(4, 100);
    store.append(&exchanges, 1).await.expect("append");
    for field in asked_fields() {
        let mut ops = vec![Op::Exists];
        for exchange in &exchanges[..10] {
            Subject::new(exchange).each_value(&field, &mut |value| {
                ops.push(Op::In(vec![value.into_owned()]));
                std::ops::ControlFlow::Continue(())
            });
        }
        for op in ops {
            let filter = Filter::Test { field: field.clone(), op };
            let expected = exchanges
                .iter()
                .filter(|exchange| exchange.project == ProjectId::default() && matches(&filter, exchange))
                .count();
            let listing = Listing { filter, ..everything(Order::NewestFirst, 1) };
            let page = store.list(&listing).await.expect("a page");
            assert_eq!(page.total, Total::Exactly(expected as u64), "{:?}", listing.filter);
        }
    }
}

async fn check_empty_answers(store: &dyn Store) {
    let mut aggregation = Aggregation {
        project: ProjectId::default(),
        range: TimeRange::ALL,
        filter: Filter::Any,
        dimensions: Vec::new(),
        measures: vec![
            Measure::Count,
            Measure::ErrorRatio,
            Measure::Sum(Field::Row(&FIELDS[2])),
            Measure::Quantile(Field::Row(&FIELDS[2]), 0.5),
            Measure::Distinct(Field::Row(&FIELDS[1])),
        ],
        order_by: None,
        limit: 10,
    };
    let table = store.aggregate(&aggregation).await.expect("a table");
    let nothing = vec![Cell::Integer(0), Cell::Null, Cell::Integer(0), Cell::Null, Cell::Integer(0)];
    assert_eq!(table.rows, [nothing]);
    aggregation.dimensions = vec![Dimension::Field(Field::Row(&FIELDS[1]))];
    let table = store.aggregate(&aggregation).await.expect("a table");
    assert!(table.rows.is_empty() && !table.more);
    let page = store.list(&everything(Order::NewestFirst, 10)).await.expect("a page");
    assert_eq!((page.exchanges.len(), page.next, page.total), (0, None, Total::Exactly(0)));
    let status = store.status().await.expect("status");
    assert_eq!((status.exchanges, status.oldest, status.newest), (0, None, None));
}

async fn check_positions(store: &dyn Store) {
    assert_eq!(store.durable_position(), 0);
    store.append(&odd_exchanges(5, 3), 17).await.expect("append");
    store.append(&[], 18).await.expect("append");
    store.flush().await.expect("flush");
    let position = store.durable_position();
    assert!(position == 18 || position == 0, "durable after a flush, or never: {position}");
}

async fn check_removal(store: &dyn Store) {
    let exchanges = odd_exchanges(6, 50);
    store.append(&exchanges, 1).await.expect("append");
    store.flush().await.expect("flush");
    let middle = FIRST_START + Duration::from_secs(200 * 600);
    let removed = store.expire(middle).await.expect("expire");
    let old = exchanges.iter().filter(|exchange| exchange.started_at < middle).count() as u64;
    assert!(removed <= old, "nothing that began later goes");
    assert_eq!(store.status().await.expect("status").exchanges, exchanges.len() as u64 - removed);
    let after_all = FIRST_START + Duration::from_secs(1_000 * 600);
    let removed = removed + store.expire(after_all).await.expect("expire");
    assert_eq!(removed, exchanges.len() as u64);
    // What went may come again.
    store.append(&exchanges[..20], 2).await.expect("append");
    assert_eq!(store.status().await.expect("status").exchanges, 20);
    assert_eq!(store.shrink(u64::MAX).await.expect("shrink"), 0);
    assert_eq!(store.shrink(0).await.expect("shrink"), 20);
    assert_eq!(store.status().await.expect("status").exchanges, 0);
}

async fn check_erasure(store: &dyn Store) {
    let exchanges = odd_exchanges(7, 200);
    let (ours, theirs) = (ProjectId::default(), ProjectId::from("other"));
    let mut left: Vec<Arc<Exchange>> = Vec::new();
    let mut random = Random::seeded(7);
    for (index, part) in exchanges.chunks(50).enumerate() {
        store.append(part, index as u64 + 1).await.expect("append");
        left.extend_from_slice(part);
        if index % 2 == 0 {
            store.flush().await.expect("flush");
        }
        for _ in 0..3 {
            let filter = Filter::And(vec![
                odd_filter(&mut random, &exchanges, 2),
                Filter::Test { field: Field::Row(&FIELDS[1]), op: Op::Prefix("P".to_owned()) },
            ]);
            let is_meant = |it: &Arc<Exchange>| it.project == ours && matches(&filter, it);
            let expected = left.iter().filter(|it| is_meant(it)).count() as u64;
            left.retain(|it| !is_meant(it));
            assert_eq!(store.erase(&ours, &filter).await.expect("erase"), expected, "{filter:?}");
            assert_eq!(store.erase(&ours, &filter).await.expect("erase"), 0, "once is enough");
            assert_holds(store, &exchanges, &left).await;
        }
    }
    let none = Filter::Test { field: Field::Row(&FIELDS[1]), op: Op::Prefix("nothing".to_owned()) };
    assert_eq!(store.erase(&ours, &none).await.expect("erase"), 0);
    let all = left.iter().filter(|it| it.project == theirs).count() as u64;
    left.retain(|it| it.project != theirs);
    assert_eq!(store.erase(&theirs, &Filter::Any).await.expect("erase"), all);
    assert_holds(store, &exchanges, &left).await;
    // What went may come again, later.
    let missing: Vec<_> = exchanges.iter().filter(|it| !left.contains(it)).cloned().collect();
    store.append(&missing, 100).await.expect("append");
    assert_holds(store, &exchanges, &exchanges).await;
}

/// Panics unless the store holds exactly `left` of `all`, however it is asked.
async fn assert_holds(store: &dyn Store, all: &[Arc<Exchange>], left: &[Arc<Exchange>]) {
    for exchange in all {
        let found = store.get(&exchange.project, exchange.id).await.expect("get");
        assert_eq!(found.as_ref(), left.contains(exchange).then_some(exchange.as_ref()));
    }
    for project in [ProjectId::default(), ProjectId::from("other")] {
        let mut expected: Vec<&Exchange> =
            left.iter().map(Arc::as_ref).filter(|it| it.project == project).collect();
        expected.sort_by_key(|exchange| (exchange.started_at, exchange.id));
        let listing = Listing { project, ..everything(Order::OldestFirst, 30) };
        let (listed, totals) = all_pages(store, &listing).await;
        assert!(listed.iter().eq(expected.iter().copied()), "{} listed", listed.len());
        assert!(totals.iter().all(|total| *total == Total::Exactly(expected.len() as u64)), "{totals:?}");
    }
    let status = store.status().await.expect("status");
    assert_eq!(status.exchanges, left.len() as u64);
    assert_eq!(status.oldest, left.iter().map(|exchange| exchange.started_at).min());
    assert_eq!(status.newest, left.iter().map(|exchange| exchange.started_at).max());
}
