//! From entities to snapshots.

use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_pipeline::ExporterKind;
use weir_state::State;

use super::*;
use crate::entities::{Context, Entity, Repository};
use crate::snapshot::RequestHead;

static NO_EXPORTERS: &[ExporterKind] = &[];

/// Builds from `(collection, body)`.
fn assembled(entities: &[(&str, Value)]) -> Assembled {
    let registry = PluginRegistry::new(NO_EXPORTERS);
    let state = State::in_memory().unwrap();
    let context = Context { plugins: &registry, now: Timestamp::from_seconds(1_000), strict_paths: false };
    state
        .write(|writer| {
            for (collection, body) in entities {
                let entity = Entity::named(collection).unwrap();
                let mut body = entity.create(body.as_object().unwrap().clone(), true, &context).unwrap();
                Repository::new(writer).put(entity, &mut body)?;
            }
            Assembler::new(registry).assemble(writer, false)
        })
        .unwrap()
}

const SERVICE: &str = "00000000-0000-0000-0000-00000000000a";
const ROUTE: &str = "00000000-0000-0000-0000-00000000000b";
const CONSUMER: &str = "00000000-0000-0000-0000-00000000000c";
const API: &str = "00000000-0000-0000-0000-00000000000d";

/// The scopes of section 8 from the first to the last: which of route, service, api and consumer they name.
const SCOPES: &[&[&str]] = &[
    &["route", "service", "consumer"],
    &["route", "consumer"],
    &["service", "consumer"],
    &["route", "service"],
    &["consumer"],
    &["route"],
    &["service"],
    &[],
];
const API_SCOPES: &[&[&str]] = &[&["api", "consumer"], &["consumer"], &["api"], &[]];

fn base() -> Vec<(&'static str, Value)> {
    vec![
        ("services", json!({"id": SERVICE, "name": "s", "url": "http://s"})),
        ("routes", json!({"id": ROUTE, "name": "r", "paths": ["/r"], "service": {"id": SERVICE}})),
        ("routes", json!({"name": "other", "paths": ["/other"]})),
        ("consumers", json!({"id": CONSUMER, "username": "ann"})),
        ("apis", json!({"id": API, "name": "a", "uris": ["/api"], "upstream_url": "http://a"})),
    ]
}

fn plugin(id: u128, scope: &[&str], enabled: bool) -> (&'static str, Value) {
    let mut body =
        json!({"id": uuid::Uuid::from_u128(id).to_string(), "name": "correlation-id", "enabled": enabled});
    for field in scope {
        let id = match *field {
            "route" => ROUTE,
            "service" => SERVICE,
            "api" => API,
            _ => CONSUMER,
        };
        body[*field] = json!({"id": id});
    }
    ("plugins", body)
}

/// The configuration that runs on a route for a consumer, by the number of its id.
fn running(snapshot: &Snapshot, route: &str, consumer: Option<&str>) -> Option<u128> {
    let route = snapshot.routes.iter().find(|found| found.label().as_ref() == route).unwrap();
    let slot = route.chain.slots().first()?;
    slot.pick(consumer).map(|plugin| plugin.id().parse::<uuid::Uuid>().unwrap().as_u128())
}

#[test]
fn of_two_configurations_the_more_specific_runs() {
    for (route, scopes) in [("r", SCOPES), ("a", API_SCOPES)] {
        for (first, specific) in scopes.iter().enumerate() {
            for (second, general) in scopes.iter().enumerate().skip(first + 1) {
                let mut entities = base();
                // The order of creation has no say.
                entities.push(plugin(second as u128 + 1, general, true));
                entities.push(plugin(first as u128 + 1, specific, true));
                let snapshot = assembled(&entities).snapshot;
                let ran = running(&snapshot, route, Some(CONSUMER));
                assert_eq!(ran, Some(first as u128 + 1), "{route}: {specific:?} before {general:?}");
                let without_consumer = [(first, specific), (second, general)];
                let expected = without_consumer
                    .iter()
                    .find(|(_, scope)| !scope.contains(&"consumer"))
                    .map(|(n, _)| *n as u128 + 1);
                assert_eq!(
                    running(&snapshot, route, None),
                    expected,
                    "{route}: {specific:?}, {general:?}, nobody"
                );
                assert_eq!(running(&snapshot, route, Some("someone")), expected);
            }
        }
    }
}

#[test]
fn a_disabled_configuration_is_skipped() {
    let mut entities = base();
    entities.push(plugin(1, &["route"], false));
    entities.push(plugin(2, &[], true));
    let snapshot = assembled(&entities).snapshot;
    assert_eq!(running(&snapshot, "r", None), Some(2));
    assert_eq!(snapshot.global.slots().len(), 1);
}

#[test]
fn configurations_of_others_do_not_run() {
    let mut entities = base();
    entities.push(plugin(1, &["route"], true));
    let snapshot = assembled(&entities).snapshot;
    assert_eq!(running(&snapshot, "other", None), None);
    assert!(snapshot.global.slots().is_empty());
}

#[test]
fn plugins_run_by_priority() {
    let mut entities = base();
    entities.push(("plugins", json!({"name": "key-auth", "route": {"id": ROUTE}})));
    entities.push(plugin(1, &[], true));
    let snapshot = assembled(&entities).snapshot;
    let route = snapshot.routes.iter().find(|route| route.label().as_ref() == "r").unwrap();
    let phases: Vec<bool> =
        route.chain.slots().iter().map(|slot| slot.pick(None).unwrap().credentials().is_empty()).collect();
    assert_eq!(phases, [true, false], "correlation-id before key-auth");
}

#[test]
fn of_plugins_that_add_up_all_run_the_widest_scope_first() {
    let mut entities = base();
    for (number, scope) in SCOPES.iter().enumerate() {
        let (collection, mut body) = plugin(number as u128, scope, true);
        body["name"] = "do-not-track".into();
        entities.push((collection, body));
    }
    let snapshot = assembled(&entities).snapshot;
    let route = snapshot.routes.iter().find(|route| route.label().as_ref() == "r").unwrap();
    let of = |consumer| -> Vec<u128> {
        let running = route.chain.running(crate::plugins::Phases::RECORD, consumer);
        running.map(|plugin| plugin.id().parse::<uuid::Uuid>().unwrap().as_u128()).collect()
    };
    assert_eq!(of(Some(CONSUMER)), [7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(of(None), [7, 6, 5, 3]);
    assert_eq!(snapshot.global.slots().len(), 2, "global, and that of the consumer");
}

fn route_of<'a>(snapshot: &'a Snapshot, host: &str, path: &str) -> Option<&'a str> {
    let headers = http::HeaderMap::new();
    let method = http::Method::GET;
    let head = RequestHead {
        method: &method,
        tls: false,
        grpc: false,
        host,
        port: 80,
        path,
        headers: &headers,
        sni: None,
    };
    let found = snapshot.router.find(&head)?.route;
    Some(snapshot.routes[found].label())
}

#[test]
fn services_and_apis_become_routes() {
    let mut entities = base();
    entities.extend([
        ("services", json!({"name": "off", "url": "http://off", "enabled": false})),
        ("routes", json!({"name": "of-off", "paths": ["/off"], "service": {"name": "off"}})),
        ("apis", json!({"name": "old", "request_host": "old.test", "request_path": "/old", "upstream_url": "https://u:8443/base"})),
        ("upstreams", json!({"name": "s"})),
        ("targets", json!({"target": "10.0.0.1:81", "upstream": {"name": "s"}})),
    ]);
    let snapshot = assembled(&entities).snapshot;
    assert_eq!(route_of(&snapshot, "h", "/r/x"), Some("r"));
    assert_eq!(route_of(&snapshot, "h", "/off"), None);
    assert_eq!(route_of(&snapshot, "h", "/api"), Some("a"));
    assert_eq!(route_of(&snapshot, "old.test", "/anything"), Some("old"));
    assert_eq!(route_of(&snapshot, "h", "/old/x"), Some("old"));
    assert_eq!(route_of(&snapshot, "h", "/older"), None);
    let service = snapshot.services.iter().find(|service| service.label().as_ref() == "old").unwrap();
    assert_eq!((service.port, service.path.as_deref()), (8443, Some("/base")));
    assert_eq!(service.protocol, UpstreamProtocol::Https);
    let balanced = snapshot.services.iter().find(|service| service.label().as_ref() == "s").unwrap();
    assert_eq!(balanced.upstream.as_ref().unwrap().pick().unwrap().port, 81);
}
