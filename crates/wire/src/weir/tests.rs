//! What is written is read back whole.

use proptest::prelude::*;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::{
    Captured, Consumer, Exchange, Finding, Identity, Operation, Origin, Protocol, Severity, Value, WhyNot,
};
use weir_pipeline::Imported;

use super::{IMPORTER, RENDERER, decode};

fn render(exchanges: &[Exchange]) -> Vec<u8> {
    let (mut renderer, mut out) = ((RENDERER.open)(), Vec::new());
    renderer.begin(&mut out);
    for exchange in exchanges {
        renderer.exchange(exchange, &mut out);
    }
    renderer.end(&mut out);
    out
}

fn import(bytes: &[u8]) -> Imported {
    let (mut importer, mut out) = ((IMPORTER.open)(), Imported::default());
    importer.feed(bytes, &mut out);
    importer.finish(&mut out);
    out
}

/// Fills in everything that the common strategy leaves empty.
fn complete(mut exchange: Exchange, seed: u32) -> Exchange {
    let some = |name: &str| Some(format!("{name} \"{seed}\" é\n").into());
    let pick = |count: usize| seed as usize % count;
    exchange.project = "shop".into();
    exchange.origin = Origin { source: "gateway".into(), node: some("node"), environment: some("env") };
    (exchange.service, exchange.route, exchange.error) = (some("service"), some("route"), some("error"));
    exchange.consumer = Some(Consumer { id: some("id"), username: some("name"), ..Consumer::default() });
    exchange.identity = Identity { user: some("user"), session: some("session"), ..Identity::default() };
    exchange.operation = Some(Operation {
        protocol: Protocol::ALL[pick(Protocol::ALL.len())],
        template: "/users/{id}".into(),
        name: some("name"),
        kind: None,
        error: some("error"),
    });
    exchange.findings = vec![Finding {
        kind: "path_traversal".into(),
        severity: Severity::ALL[pick(3)],
        location: "url.query".into(),
        evidence: "../".into(),
    }];
    exchange.weight = seed;
    exchange.plugins = vec!["p1".into()];
    exchange.request.headers_size = Some(u64::from(seed));
    exchange.request.trailers.push("Grpc-Status", "0");
    exchange.request.body.coding = ContentCoding::Known(Coding::Zstd);
    if let Some(answer) = &mut exchange.response {
        answer.body.captured = match seed % 2 {
            0 => Captured::No(WhyNot::ALL[pick(WhyNot::ALL.len())]),
            _ => Captured::Cut(vec![0xFF, 0].into()),
        };
        answer.body.coding = ContentCoding::Other("compress".into());
    }
    for (name, value) in [
        ("text", Value::from("x")),
        ("number", Value::Integer(i64::from(seed) - 7)),
        ("whole float", Value::Float(f64::from(seed))),
        ("float", Value::Float(0.1)),
        ("bool", Value::Bool(true)),
        ("document", Value::Json("{ \"a\": [1] }".into())),
    ] {
        exchange.attributes.set(name, value);
    }
    exchange
}

proptest! {
    #[test]
    fn nothing_is_lost(exchanges in proptest::collection::vec(crate::testing::exchanges(), 0..4), seed: u32) {
        let mut exchanges = exchanges;
        let full: Vec<Exchange> = exchanges.iter().cloned().map(|exchange| complete(exchange, seed)).collect();
        exchanges.extend(full);
        let imported = import(&render(&exchanges));
        prop_assert_eq!(imported.rejected, []);
        prop_assert_eq!(imported.accepted, exchanges);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _outcome = decode::line(&bytes);
    }

    #[test]
    fn damaged_lines_never_panic_and_are_counted(
        exchange in crate::testing::exchanges(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = render(&[complete(exchange, 3)]);
        for (index, byte) in damage {
            let index = index.index(file.len());
            file[index] = byte;
        }
        let imported = import(&file);
        prop_assert_eq!(imported.offered as usize, imported.accepted.len() + imported.rejected.len());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |line: &str| decode::line(line.as_bytes()).unwrap_err();
    assert!(wrong("{}").starts_with("not an exchange: missing field `weir`"));
    let head = r#""started_at":"2026-01-01T00:00:00Z","project":"p","request":{"method":"GET","path":"/"}"#;
    assert_eq!(
        wrong(&format!(r#"{{"weir":2,"id":"x",{head}}}"#)),
        "form 2 is newer than this weir, which reads form 1"
    );
    assert_eq!(wrong(&format!(r#"{{"weir":1,"id":"x",{head}}}"#)), "id \"x\" is not a UUID");
    let id = "01890000-0000-7000-8000-000000000000";
    let body = r#""response":{"status":200,"body":{"captured":"half"}}"#;
    let reason = wrong(&format!(r#"{{"weir":1,"id":"{id}",{head},{body}}}"#));
    assert_eq!(reason, "response.body.captured: unknown name \"half\"");
}
