//! What every entity of the Admin API can do, over all of `ENTITIES`.

#![allow(clippy::unwrap_used)]

mod admin_support;

use std::sync::atomic::{AtomicUsize, Ordering};

use admin_support::{Discard, EXPORTERS, Running, answer, multipart};
use serde_json::{Value, json};
use weir_gateway::entities::{ENTITIES, Entity};
use weir_kit::ConfigError;
use weir_pipeline::{Built, CaptureWish, ExporterKind, QueueSettings};
use weir_state::State;

/// The members of an example, for an entity whose parent has this id. Every entity has one.
fn example(entity: &Entity, number: usize, parent: &str) -> Vec<(String, String)> {
    let name = format!("example-{number}");
    let fields: Vec<(&str, String)> = match entity.name {
        "certificates" => vec![
            ("cert", "-----BEGIN CERTIFICATE-----".to_owned()),
            ("key", "-----BEGIN PRIVATE KEY-----".to_owned()),
        ],
        "snis" => vec![("name", format!("{name}.test")), ("certificate.id", parent.to_owned())],
        "services" => vec![("name", name), ("url", "http://s.internal:81/x".to_owned())],
        "routes" => {
            vec![("name", name), ("paths[]", format!("/{number}")), ("service.id", parent.to_owned())]
        }
        "consumers" => vec![("username", name)],
        "upstreams" => vec![("name", name)],
        "targets" => vec![("target", format!("{name}:81")), ("upstream.id", parent.to_owned())],
        "keyauth_credentials" => vec![("key", name), ("consumer.id", parent.to_owned())],
        "apis" => {
            vec![("name", name), ("uris", format!("/{number}")), ("upstream_url", "http://u".to_owned())]
        }
        "plugins" => vec![("name", "correlation-id".to_owned()), ("instance_name", name)],
        other => panic!("no example for {other}: add one"),
    };
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn as_json(fields: &[(String, String)]) -> Value {
    let mut body = json!({});
    for (name, value) in fields {
        match (name.split_once('.'), name.strip_suffix("[]")) {
            (Some((field, inner)), _) => body[field] = json!({inner: value}),
            (None, Some(list)) => body[list] = json!([value]),
            (None, None) => body[name] = value.as_str().into(),
        }
    }
    body
}

/// Makes what an entity must belong to; gives its id.
async fn make_parent(running: &Running, entity: &Entity) -> String {
    let Some(parent) = entity.parents.iter().find(|parent| parent.required || entity.name == "routes") else {
        return String::new();
    };
    let above = Entity::named(parent.entity).unwrap();
    let (status, body) =
        running.json("POST", &format!("/{}", above.path), &as_json(&example(above, 0, ""))).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// Without what differs from one making to the next.
fn comparable(mut body: Value) -> Value {
    for name in ["id", "created_at", "updated_at"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_types_make_equal_entities() {
    for entity in ENTITIES {
        let mut made = Vec::new();
        for kind in ["json", "form", "multipart"] {
            let running = Running::start(false).await;
            let parent = make_parent(&running, entity).await;
            let fields = example(entity, 1, &parent);
            let request = running.request("POST", &format!("/{}/", entity.path));
            let request = match kind {
                "json" => {
                    request.header("content-type", "application/json").body(as_json(&fields).to_string())
                }
                "form" => request.form_of(&fields),
                _ => {
                    let (content_type, body) = multipart(&fields);
                    request.header("content-type", content_type).body(body)
                }
            };
            let (status, body) = answer(request).await;
            assert_eq!(status, 201, "{} as {kind}: {body}", entity.name);
            let mut body = comparable(body);
            if !parent.is_empty() {
                let text = body.to_string().replace(&parent, "parent");
                body = serde_json::from_str(&text).unwrap();
            }
            made.push(body);
        }
        assert_eq!(made[0], made[1], "{}", entity.name);
        assert_eq!(made[0], made[2], "{}", entity.name);
    }
}

trait Form {
    fn form_of(self, fields: &[(String, String)]) -> Self;
}

impl Form for reqwest::RequestBuilder {
    fn form_of(self, fields: &[(String, String)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entity_lives_and_dies() {
    for entity in ENTITIES {
        let running = Running::start(false).await;
        let parent = make_parent(&running, entity).await;
        let collection = format!("/{}", entity.path);
        let given = as_json(&example(entity, 1, &parent));
        let (status, made) = running.json("POST", &collection, &given).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap();
        let item = format!("{collection}/{id}");

        assert_eq!(running.get(&item).await, (200, made.clone()), "{}", entity.name);
        assert_eq!(running.get(&format!("{item}/")).await.0, 200);
        let head = running.request("HEAD", &item).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.text().await.unwrap()), (200, String::new()));
        if let Some(key) = entity.key {
            let key = made[key].as_str().unwrap();
            assert_eq!(running.get(&format!("{collection}/{key}")).await, (200, made.clone()));
        }
        let (_, list) = running.get(&collection).await;
        assert_eq!(list["data"], json!([made]), "{}", entity.name);

        let (status, patched) = running.json("PATCH", &item, &json!({"tags": ["x"]})).await;
        assert_eq!((status, &patched["tags"]), (200, &json!(["x"])), "{}: {patched}", entity.name);
        assert_eq!(patched["id"], made["id"]);
        let (_, tagged) = running.get(&format!("{collection}?tags=x")).await;
        assert_eq!(tagged["data"].as_array().unwrap().len(), 1, "{}", entity.name);

        let (status, wrong) = running.json("PATCH", &item, &json!({"no_such_field": 1})).await;
        assert_eq!(status, 400, "{}: {wrong}", entity.name);
        assert_eq!(
            running.get(&item).await,
            (200, patched),
            "{}: refused changes leave nothing",
            entity.name
        );

        let options = running.request("OPTIONS", &item).send().await.unwrap();
        assert_eq!(options.status().as_u16(), 204);
        assert_eq!(running.request("POST", &item).send().await.unwrap().status().as_u16(), 405);

        let legacy = entity.path == "apis";
        if !legacy {
            let (status, replaced) = running.json("PUT", &item, &given).await;
            assert_eq!((status, &replaced["id"]), (200, &made["id"]), "{}: {replaced}", entity.name);
            assert_eq!(replaced["created_at"], made["created_at"]);
            assert_eq!(replaced["tags"], Value::Null, "{}: unnamed fields go back", entity.name);
        }
        assert_eq!(answer(running.request("DELETE", &item)).await, (204, Value::Null), "{}", entity.name);
        assert_eq!(running.get(&item).await.0, 404);
        let again = answer(running.request("DELETE", &item)).await.0;
        assert_eq!(again, if legacy { 404 } else { 204 }, "{}", entity.name);
        assert_eq!(running.get(&format!("/schemas/{}", entity.name)).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_tell_what_a_form_needs() {
    let running = Running::start(false).await;
    let member = |schema: &Value, name: &str| {
        let fields = schema["fields"].as_array().unwrap().clone();
        fields.into_iter().find_map(|field| field.get(name).cloned())
    };
    let (_, galileo) = running.get("/schemas/plugins/galileo").await;
    let token = member(&member(&galileo, "config").unwrap(), "service_token").unwrap();
    assert_eq!((&token["required"], &token["encrypted"]), (&json!(true), &json!(true)));
    assert!(token["description"].is_string());
    let protocols = member(&galileo, "protocols").unwrap();
    assert!(protocols["elements"]["one_of"].as_array().unwrap().contains(&json!("https")));
    assert_eq!(protocols["default"], json!(["grpc", "grpcs", "http", "https"]));
    assert_eq!(member(&galileo, "consumer"), None);
    let (_, key_auth) = running.get("/schemas/plugins/key-auth").await;
    assert_eq!(member(&key_auth, "consumer").unwrap()["eq"], Value::Null, "it finds the consumer");
    let (_, root) = running.get("/").await;
    let about = &root["plugins"]["available_on_server"]["key-auth"]["description"];
    assert!(about.as_str().unwrap().contains("key"), "{about}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_cover_every_entity_once() {
    let running = Running::start(false).await;
    let names: Vec<String> = (0..250).map(|number| format!("c{number}")).collect();
    for name in &names {
        let (status, _) = running.json("POST", "/consumers", &json!({"username": name})).await;
        assert_eq!(status, 201);
    }
    let mut seen = Vec::new();
    let mut path = "/consumers?size=100".to_owned();
    let mut pages = 0;
    loop {
        let (status, page) = running.get(&path).await;
        assert_eq!(status, 200);
        pages += 1;
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|row| row["username"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            // `next` does not repeat `size`; the default is the same.
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_reach_the_snapshot_and_the_exporters() {
    let running = Running::start(false).await;
    let mut exporters = running.admin.exporters();
    assert!(exporters.borrow_and_update().is_empty());
    let before = running.snapshot.load().version;
    let given = json!({"name": "analytics", "config": {"service_token": "t", "log_body": true}});
    let (_, plugin) = running.json("POST", "/plugins", &given).await;
    let id = plugin["id"].as_str().unwrap();
    let snapshot = running.snapshot.load();
    assert!(snapshot.version > before);
    assert_eq!(snapshot.global.capture(None).unwrap().request_body_bytes, 1024);
    assert!(exporters.has_changed().unwrap());
    let active = exporters.borrow_and_update().clone();
    assert_eq!(active.len(), 1);
    assert_eq!((active[0].kind, &*active[0].name, &*active[0].id), ("mashape-analytics", "analytics", id));
    assert_eq!(active[0].config["service_token"], "t");

    running.json("POST", "/consumers", &json!({"username": "ann"})).await;
    assert!(!exporters.has_changed().unwrap(), "nothing of an exporter has changed");
    running.json("PATCH", &format!("/plugins/{id}"), &json!({"enabled": false})).await;
    assert!(exporters.has_changed().unwrap());
    assert!(exporters.borrow_and_update().is_empty());
    assert!(running.snapshot.load().global.slots().is_empty());
}

/// Accepts its settings when they are checked and not when they are to be used.
fn build_once(_config: Value) -> Result<Built, ConfigError> {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    match ASKED.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(Built {
            exporter: Box::new(Discard),
            queue: QueueSettings::default(),
            capture: CaptureWish::default(),
        }),
        _ => Err(ConfigError::one("", "changed its mind")),
    }
}

static MOODY: &[ExporterKind] =
    &[ExporterKind { name: "moody", aliases: &[], about: "", fields: &[], build: build_once }];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_served_is_refused_and_leaves_nothing() {
    let running = Running::over(State::in_memory().unwrap(), MOODY, false).await;
    let (status, _) = running.json("POST", "/consumers", &json!({"username": "ann"})).await;
    assert_eq!(status, 201);
    let before = running.snapshot.load().version;
    let (status, body) = running.json("POST", "/plugins", &json!({"name": "moody"})).await;
    assert_eq!(status, 400, "{body}");
    assert!(body["message"].as_str().unwrap().contains("changed its mind"), "{body}");
    assert_eq!(running.snapshot.load().version, before);
    assert_eq!(running.get("/plugins").await.1["data"], json!([]));
    let (status, _) = running.json("POST", "/consumers", &json!({"username": "bob"})).await;
    assert_eq!(status, 201, "later changes are not held up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_serves_what_was_configured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.sqlite");
    let first = Running::over(State::open(&file).unwrap(), EXPORTERS, false).await;
    first.json("POST", "/services", &json!({"name": "s", "url": "http://s"})).await;
    first.json("POST", "/services/s/routes", &json!({"name": "r", "paths": ["/"]})).await;
    let galileo = json!({"name": "galileo", "config": {"service_token": "t"}});
    assert_eq!(first.json("POST", "/plugins", &galileo).await.0, 201);
    let (version, services) = (first.snapshot.load().version, first.get("/services").await);
    drop(first);
    let second = Running::over(State::open(&file).unwrap(), EXPORTERS, false).await;
    let snapshot = second.snapshot.load();
    assert_eq!((snapshot.version, snapshot.routes.len()), (version, 1));
    assert_eq!(second.get("/services").await, services);
    assert_eq!(second.admin.exporters().borrow().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_at_once_all_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let running =
        Running::over(State::open(&folder.path().join("state.sqlite")).unwrap(), EXPORTERS, false).await;
    let given: Vec<Value> =
        (0..20).map(|n| json!({"name": format!("r{n}"), "paths": [format!("/{n}")]})).collect();
    let changes = given.iter().map(|route| running.json("POST", "/routes", route));
    let answers = futures_util::future::join_all(changes).await;
    assert!(answers.iter().all(|(status, _)| *status == 201), "{answers:?}");
    assert_eq!(running.snapshot.load().routes.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_can_be_mounted_elsewhere() {
    let running = Running::start(false).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().nest_service("/admin", running.admin.router());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = reqwest::Client::new();
    for (path, status) in [
        ("/admin", 200),
        ("/admin/", 200),
        ("/admin/services", 200),
        ("/admin/nothing", 404),
        ("/services", 404),
    ] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}
