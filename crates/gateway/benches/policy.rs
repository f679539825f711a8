//! What an exporter's policy costs a call: CPU time of gateway, client and service together, and the time until the answer is
//! there, with and without it. Turn by turn in one run; medians of the turns.
//!
//! Run with `cargo bench -p weir-gateway --bench policy`.

#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code)]

#[path = "../tests/data_plane/harness.rs"]
mod harness;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use serde_json::Value;
use weir_gateway::plugins::{Asked, Chain, Configured, Directory, PluginRegistry, Slot};
use weir_gateway::snapshot::Route;
use weir_model::Identity;
use weir_pipeline::{CaptureWish, ExporterKind, Policy, PolicyCall, Verdict};

use harness::{Client, TestGateway, answering, route, service_at, settings, snapshot_with};

const CALLS: u32 = 2_000;
const TURNS: usize = 11;

/// Does what the simplest useful policy does: names the caller and the call.
struct Naming {
    body_bytes: usize,
}

impl Policy for Naming {
    fn body_wanted(&self, _call: &PolicyCall<'_>) -> usize {
        self.body_bytes
    }

    fn request(&self, call: &PolicyCall<'_>) -> Verdict {
        assert_eq!(call.body.is_some(), self.body_bytes > 0);
        let id = (HeaderName::from_static("x-call"), HeaderValue::try_from(call.id.to_string()).unwrap());
        let user = call.headers.get("x-user").map(|user| user.to_str().unwrap().to_owned());
        Verdict {
            identity: Identity { user: user.map(Into::into), ..Identity::default() },
            request_headers: vec![id.clone()],
            response_headers: vec![id],
            ..Verdict::default()
        }
    }
}

static EXPORTERS: &[ExporterKind] =
    &[ExporterKind { name: "bench", about: "", aliases: &[], fields: &[], build: |_| unreachable!() }];

struct Setup {
    name: &'static str,
    request: Vec<u8>,
    client: Client,
    /// Lives as long as the calls.
    _gateway: TestGateway,
    cpu: Vec<u128>,
    elapsed: Vec<u128>,
}

fn main() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let service = answering(OK);
    let setup = |name, policy: Option<Naming>, body: &str| {
        let wish = CaptureWish { request_body_bytes: 1_000, response_body_bytes: 1_000 };
        let asked = Asked { wish, policy: policy.map(|policy| Arc::new(policy) as Arc<dyn Policy>) };
        let directory = Arc::new(Directory::default());
        let configured = Configured { id: "plugin".into(), config: &Value::Null, directory: &directory };
        let plugin = PluginRegistry::new(EXPORTERS).build("bench", configured, asked).unwrap();
        let route = Route { chain: Chain::new(vec![Slot::for_anyone(plugin)]), ..route() };
        let gateway = TestGateway::start(settings(), snapshot_with(service_at(service), route, "/"));
        let length = body.len();
        let head = format!(
            "POST /v1/orders HTTP/1.1\r\nHost: a.test\r\nX-User: ann\r\nAccept: */*\r\nContent-Length: {length}\r\n\r\n"
        );
        let request = (head + body).into_bytes();
        Setup {
            name,
            request,
            client: gateway.connect(),
            _gateway: gateway,
            cpu: Vec::new(),
            elapsed: Vec::new(),
        }
    };
    let body = "x".repeat(1_000);
    let mut setups = [
        setup("no body, without policy", None, ""),
        setup("no body, with policy", Some(Naming { body_bytes: 0 }), ""),
        setup("1 KB, without policy", None, &body),
        setup("1 KB, with policy", Some(Naming { body_bytes: 0 }), &body),
        setup("1 KB, with a policy that sees it", Some(Naming { body_bytes: 1_000 }), &body),
    ];
    for _ in 0..TURNS {
        setups.iter_mut().for_each(turn);
    }
    println!("{:<36} {:>12} {:>8} {:>14}", "per call", "CPU, us", "ratio", "elapsed, us");
    let mut base = 1.0;
    for setup in &mut setups {
        let (cpu, elapsed) = (median(&mut setup.cpu), median(&mut setup.elapsed));
        if setup.name.ends_with("without policy") {
            base = cpu;
        }
        println!("{:<36} {cpu:>12.2} {:>8.3} {elapsed:>14.2}", setup.name, cpu / base);
    }
}

fn turn(setup: &mut Setup) {
    let (cpu, began) = (cpu_time(), Instant::now());
    for _ in 0..CALLS {
        assert_eq!(setup.client.send(&setup.request).answer().status, 200);
    }
    setup.elapsed.push(began.elapsed().as_nanos());
    setup.cpu.push((cpu_time() - cpu).as_nanos());
}

/// Microseconds per call.
fn median(turns: &mut [u128]) -> f64 {
    turns.sort_unstable();
    turns[turns.len() / 2] as f64 / f64::from(CALLS) / 1_000.0
}

/// Time that all threads of this process were on a processor.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
