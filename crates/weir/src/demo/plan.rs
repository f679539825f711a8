//! Which calls are made: a seeded, endless sequence. It knows the answer that each call must get, so that a run can be
//! checked against it.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Calls of one day of the plan: the mixture goes from day to night and back in this many.
const DAY: u64 = 2_000;

/// Every secret that the plan sends holds this text, so that a search for it shows whether masking works.
pub const SECRET_MARK: &str = "s3cr3t";

/// One call to make and the answer it must get.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What the call is about, such as `orders`.
    pub scenario: &'static str,
    /// Method.
    pub method: &'static str,
    /// Path and query.
    pub target: String,
    /// Headers beside those of the transport.
    pub headers: Vec<(&'static str, String)>,
    /// Media type and content.
    pub body: Option<(&'static str, String)>,
    /// The status that must come back.
    pub expected: u16,
}

impl Call {
    fn get(scenario: &'static str, target: impl Into<String>) -> Self {
        Self {
            scenario,
            method: "GET",
            target: target.into(),
            headers: Vec::new(),
            body: None,
            expected: 200,
        }
    }

    fn post(scenario: &'static str, target: impl Into<String>, body: &Value) -> Self {
        let body = Some(("application/json", body.to_string()));
        Self { method: "POST", body, ..Self::get(scenario, target) }
    }

    fn expecting(mut self, status: u16) -> Self {
        self.expected = status;
        self
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Someone who calls with a key of their own.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Kong's `username`.
    pub username: &'static str,
    /// Kong's `custom_id`.
    pub custom_id: &'static str,
    /// The key for key-auth.
    pub key: &'static str,
    /// Where it stands, by its code in ISO 3166-1.
    pub country: &'static str,
    agent: &'static str,
}

/// The consumers, busiest first.
pub const CALLERS: [Caller; 5] = [
    Caller {
        username: "web-shop",
        custom_id: "app-1001",
        key: "web-s3cr3t-6f1d0c",
        country: "DE",
        agent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    },
    Caller {
        username: "mobile-app",
        custom_id: "app-1002",
        key: "mobile-s3cr3t-94be77",
        country: "US",
        agent: "ShopApp/5.2.1 (iPhone; iOS 19.1; Scale/3.00)",
    },
    Caller {
        username: "partner-acme",
        custom_id: "partner-17",
        key: "acme-s3cr3t-1b20aa",
        country: "IN",
        agent: "python-requests/2.32.5",
    },
    Caller {
        username: "erp-sync",
        custom_id: "internal-3",
        key: "erp-s3cr3t-77c0de",
        country: "NO",
        agent: "Java-http-client/21.0.9",
    },
    Caller {
        username: "ops-dashboard",
        custom_id: "internal-9",
        key: "ops-s3cr3t-0ff1ce",
        country: "SG",
        agent: "Grafana/12.3.0",
    },
];

/// A kind of call with how often it is made by day and by night.
struct Scenario {
    by_day: u32,
    by_night: u32,
    call: fn(&mut StdRng) -> Call,
}

const fn often(by_day: u32, by_night: u32, call: fn(&mut StdRng) -> Call) -> Scenario {
    Scenario { by_day, by_night, call }
}

static SCENARIOS: &[Scenario] = &[
    often(220, 60, list_products),
    often(200, 70, show_product),
    often(60, 20, search),
    often(30, 10, reviews),
    often(70, 20, graphql),
    often(60, 15, add_to_cart),
    often(40, 10, place_order),
    often(60, 30, show_order),
    often(40, 10, pay),
    often(30, 8, log_in),
    often(30, 10, show_user),
    often(10, 5, change_user),
    often(8, 2, order_events),
    often(6, 2, oauth_callback),
    often(30, 60, json_rpc),
    often(12, 50, soap),
    often(4, 30, export_catalog),
    often(2, 25, import_products),
    often(4, 12, report),
    often(12, 8, recommendations),
    often(12, 40, scan),
    often(4, 6, inject),
    often(8, 8, without_key),
];

/// Trouble that comes in bursts.
static INCIDENTS: &[fn(&mut StdRng) -> Call] = &[issuer_down, guess_password, scan, recommendations];

/// The sequence of calls that a seed stands for.
#[derive(Debug)]
pub struct Plan {
    random: StdRng,
    made: u64,
    incident: Option<(usize, u32)>,
}

impl Plan {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), made: 0, incident: None }
    }

    /// The kind of trouble to make now, if any.
    fn incident(&mut self) -> Option<usize> {
        if self.incident.is_none() && self.random.random_ratio(1, 300) {
            let which = self.random.random_range(0..INCIDENTS.len());
            self.incident = Some((which, self.random.random_range(12..40)));
        }
        let (which, left) = self.incident?;
        self.incident = (left > 1).then_some((which, left - 1));
        // Ordinary traffic goes on beside it.
        self.random.random_ratio(2, 3).then_some(which)
    }
}

impl Iterator for Plan {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        let night = (self.made % DAY) * 2 >= DAY;
        self.made += 1;
        let make = match self.incident() {
            Some(which) => INCIDENTS[which],
            None => {
                let weight = |scenario: &Scenario| if night { scenario.by_night } else { scenario.by_day };
                SCENARIOS
                    .choose_weighted(&mut self.random, weight)
                    .map_or(list_products as fn(&mut StdRng) -> Call, |scenario| scenario.call)
            }
        };
        Some(make(&mut self.random))
    }
}

fn one_of<'a>(random: &mut StdRng, choices: &[&'a str]) -> &'a str {
    choices.choose(random).copied().unwrap_or_default()
}

/// Busier callers come earlier in the list.
fn caller(random: &mut StdRng) -> Caller {
    let highest = random.random_range(0..CALLERS.len());
    CALLERS[random.random_range(0..=highest)]
}

fn keyed(random: &mut StdRng, call: Call) -> Call {
    let caller = caller(random);
    call.with("apikey", caller.key).with("user-agent", caller.agent)
}

fn visitor(random: &mut StdRng, call: Call) -> Call {
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    ];
    let call = call.with("user-agent", one_of(random, &AGENTS)).with("accept-encoding", "gzip");
    let session = format!("theme=dark; sid={SECRET_MARK}-{:08x}", random.random::<u32>());
    if random.random_ratio(1, 2) { call.with("cookie", session) } else { call }
}

fn product(random: &mut StdRng) -> String {
    super::shop::product_slug(random.random_range(0..super::shop::PRODUCTS))
}

fn order(random: &mut StdRng) -> u32 {
    random.random_range(10_000..60_000)
}

fn list_products(random: &mut StdRng) -> Call {
    let page = random.random_range(1..=12);
    let category = one_of(random, &super::shop::CATEGORIES);
    visitor(
        random,
        Call::get("catalog", format!("/api/products?category={category}&page={page}&per_page=20")),
    )
}

fn show_product(random: &mut StdRng) -> Call {
    let slug = product(random);
    match random.random_ratio(1, 25) {
        true => {
            visitor(random, Call::get("catalog", format!("/api/products/{slug}-discontinued")).expecting(404))
        }
        false => visitor(random, Call::get("catalog", format!("/api/products/{slug}"))),
    }
}

fn search(random: &mut StdRng) -> Call {
    let words =
        one_of(random, &["red+shoes", "rain+jacket", "gift", "wool", "size+42", "caf%C3%A9+table", "lamp"]);
    visitor(random, Call::get("catalog", format!("/api/products?q={words}&page=1")))
}

fn reviews(random: &mut StdRng) -> Call {
    let slug = product(random);
    visitor(random, Call::get("catalog", format!("/api/products/{slug}/reviews")))
}

fn graphql(random: &mut StdRng) -> Call {
    let id = order(random);
    let body = match random.random_range(0..6) {
        0 => {
            json!({"operationName": "ProductPage", "query": "query ProductPage($slug: String!) { product(slug: $slug) { name price reviews { stars text } } }", "variables": {"slug": product(random)}})
        }
        1 => {
            json!({"query": "query OrderStatus($id: ID!) { order(id: $id) { status total } }", "variables": {"id": id}})
        }
        2 => json!({"query": "{ viewer { name cart { total } } }"}),
        3 => {
            json!({"operationName": "SignIn", "query": "mutation SignIn($email: String!, $password: String!) { signIn(email: $email, password: $password) { token } }", "variables": {"email": "ann@example.com", "password": format!("{SECRET_MARK}-graphql")}})
        }
        4 => {
            json!({"query": "mutation Cancel($id: ID!) { cancelOrder(id: $id) { status } }", "variables": {"id": 0}})
        }
        _ => json!({"query": "query Missing { nothingHere }"}),
    };
    keyed(random, Call::post("graphql", "/graphql", &body)).with("accept-encoding", "gzip")
}

fn cart(random: &mut StdRng) -> String {
    let half = |random: &mut StdRng| random.random::<u64>();
    let (high, low) = (half(random), half(random));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        high & 0xffff,
        (high >> 16) & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    )
}

fn add_to_cart(random: &mut StdRng) -> Call {
    let (cart, slug, quantity) = (cart(random), product(random), random.random_range(1..4));
    let (quantity, status) = if random.random_ratio(1, 20) { (1_000, 409) } else { (quantity, 201) };
    let body = json!({"product": slug, "quantity": quantity});
    keyed(random, Call::post("carts", format!("/api/carts/{cart}/items"), &body).expecting(status))
}

fn place_order(random: &mut StdRng) -> Call {
    let incomplete = random.random_ratio(1, 12);
    let mut body = json!({"cart": cart(random), "address": {"name": "Ann Example", "city": "Utrecht", "country": "NL"}, "note": "ring twice"});
    if incomplete {
        body["address"] = Value::Null;
    }
    keyed(random, Call::post("orders", "/api/orders", &body).expecting(if incomplete { 422 } else { 201 }))
}

fn show_order(random: &mut StdRng) -> Call {
    let (id, status) = if random.random_ratio(1, 15) { (99_999, 404) } else { (order(random), 200) };
    keyed(random, Call::get("orders", format!("/api/orders/{id}")).expecting(status))
}

fn payment(random: &mut StdRng, card: &str, status: u16) -> Call {
    let body = json!({"order": order(random), "amount": {"value": random.random_range(500..40_000), "currency": "EUR"},
        "card": {"card_number": card, "cvv": format!("{SECRET_MARK}-cvv"), "holder": "Ann Example"}});
    keyed(random, Call::post("payments", "/api/payments", &body).expecting(status))
}

fn pay(random: &mut StdRng) -> Call {
    let declined = random.random_ratio(1, 8);
    let card = if declined { "4000-0000-s3cr3t-0002" } else { "4242-4242-s3cr3t-4242" };
    payment(random, card, if declined { 402 } else { 201 })
}

fn issuer_down(random: &mut StdRng) -> Call {
    payment(random, "5105-1051-s3cr3t-5100", 503)
}

fn sign_in(random: &mut StdRng, password: &str, status: u16) -> Call {
    let user = random.random_range(0..super::shop::USERS);
    let form = format!("grant_type=password&email=user{user}%40example.com&password={password}");
    let mut call = Call::get("accounts", "/api/login").expecting(status);
    call.method = "POST";
    call.body = Some(("application/x-www-form-urlencoded", form));
    visitor(random, call)
}

fn log_in(random: &mut StdRng) -> Call {
    sign_in(random, "right-s3cr3t", 200)
}

fn guess_password(random: &mut StdRng) -> Call {
    let guess = random.random::<u16>();
    sign_in(random, &format!("wrong-s3cr3t-{guess}"), 401)
}

fn show_user(random: &mut StdRng) -> Call {
    let user = random.random_range(0..super::shop::USERS);
    let rest = one_of(random, &["", "/orders", "/addresses"]);
    keyed(random, Call::get("users", format!("/api/users/{user}{rest}")))
}

fn change_user(random: &mut StdRng) -> Call {
    let user = random.random_range(0..super::shop::USERS);
    let body = json!({"newsletter": random.random::<bool>(), "new_password": format!("{SECRET_MARK}-new")});
    let mut call = Call::post("users", format!("/api/users/{user}"), &body);
    call.method = "PATCH";
    keyed(random, call)
}

fn order_events(random: &mut StdRng) -> Call {
    let id = order(random);
    keyed(random, Call::get("orders", format!("/api/orders/{id}/events"))).with("accept", "text/event-stream")
}

fn oauth_callback(random: &mut StdRng) -> Call {
    let code = random.random::<u32>();
    visitor(
        random,
        Call::get("accounts", format!("/api/oauth/callback?code={code}&access_token={SECRET_MARK}-oauth"))
            .expecting(302),
    )
}

fn json_rpc(random: &mut StdRng) -> Call {
    let id = random.random_range(1..1_000_000);
    let body = match random.random_range(0..5) {
        0 => {
            json!({"jsonrpc": "2.0", "id": id, "method": "stock.level", "params": {"product": product(random)}})
        }
        1 => {
            json!({"jsonrpc": "2.0", "id": id, "method": "stock.reserve", "params": {"product": product(random), "quantity": 2}})
        }
        2 => json!({"jsonrpc": "2.0", "id": id, "method": "stock.release", "params": [id]}),
        3 => {
            json!([{"jsonrpc": "2.0", "id": id, "method": "stock.level", "params": {"product": product(random)}}, {"jsonrpc": "2.0", "method": "stock.touch"}])
        }
        _ => json!({"jsonrpc": "2.0", "id": id, "method": "stock.unknown"}),
    };
    keyed(random, Call::post("stock", "/rpc", &body))
}

fn soap(random: &mut StdRng) -> Call {
    let fails = random.random_ratio(1, 10);
    let number = if fails { 0 } else { order(random) };
    let operation = one_of(random, &["GetInvoice", "BookInvoice"]);
    let envelope = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:i=\"urn:example:invoices\"><s:Header><i:Password>{SECRET_MARK}-soap</i:Password></s:Header><s:Body><i:{operation}><i:number>{number}</i:number></i:{operation}></s:Body></s:Envelope>"
    );
    let mut call = Call::get("invoices", "/soap/invoices").expecting(if fails { 500 } else { 200 });
    call.method = "POST";
    call.body = Some(("text/xml; charset=utf-8", envelope));
    keyed(random, call).with("soapaction", format!("\"urn:example:invoices/{operation}\""))
}

fn export_catalog(random: &mut StdRng) -> Call {
    keyed(random, Call::get("catalog", "/api/catalog/export")).with("accept-encoding", "gzip")
}

fn import_products(random: &mut StdRng) -> Call {
    let rows = random.random_range(100..1_500);
    let products: Vec<Value> =
        (0..rows).map(|row| json!({"slug": super::shop::product_slug(row), "price": row * 7 % 9_973, "stock": row % 50})).collect();
    keyed(
        random,
        Call::post("catalog", "/api/catalog/import", &json!({ "products": products })).expecting(202),
    )
}

fn report(random: &mut StdRng) -> Call {
    let day = random.random_range(1..=28);
    keyed(random, Call::get("reports", format!("/api/reports/2026-10-{day:02}")))
}

/// A service whose upstream is not there: the gateway answers for it.
fn recommendations(random: &mut StdRng) -> Call {
    let user = random.random_range(0..super::shop::USERS);
    visitor(random, Call::get("recommendations", format!("/recommendations/{user}")).expecting(502))
}

fn scan(random: &mut StdRng) -> Call {
    const PATHS: [&str; 8] = [
        "/wp-login.php",
        "/.env",
        "/admin/config.php",
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
        "/.git/config",
        "/cgi-bin/luci",
        "/actuator/env",
        "/phpmyadmin/index.php",
    ];
    const AGENTS: [&str; 3] = ["Mozilla/5.0 zgrab/0.x", "masscan/1.3", "python-httpx/0.28.1"];
    Call::get("scans", one_of(random, &PATHS)).with("user-agent", one_of(random, &AGENTS)).expecting(404)
}

fn inject(random: &mut StdRng) -> Call {
    const WORDS: [&str; 3] =
        ["%27%20OR%201%3D1--%20", "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "..%2F..%2F..%2Fetc%2Fpasswd"];
    let words = one_of(random, &WORDS);
    Call::get("scans", format!("/api/products?q={words}")).with("user-agent", "sqlmap/1.9.11#stable")
}

fn without_key(random: &mut StdRng) -> Call {
    let id = order(random);
    let call = Call::get("orders", format!("/api/orders/{id}")).expecting(401);
    match random.random_ratio(1, 2) {
        true => call.with("apikey", "expired-s3cr3t"),
        false => call,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_stands_for_one_sequence() {
        let first: Vec<Call> = Plan::new(7).take(500).collect();
        assert_eq!(first, Plan::new(7).take(500).collect::<Vec<_>>());
        assert_ne!(first, Plan::new(8).take(500).collect::<Vec<_>>());
    }

    #[test]
    fn every_scenario_comes_within_a_day() {
        let calls: Vec<Call> = Plan::new(1).take(2_000).collect();
        let scenarios: HashSet<_> = calls.iter().map(|call| call.scenario).collect();
        assert_eq!(scenarios.len(), 12, "{scenarios:?}");
        let statuses: HashSet<_> = calls.iter().map(|call| call.expected).collect();
        for status in [200, 201, 202, 302, 401, 402, 404, 409, 422, 500, 502, 503] {
            assert!(statuses.contains(&status), "{status}");
        }
    }
}
