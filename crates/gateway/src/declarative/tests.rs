//! Texts and what becomes of them.

use serde_json::json;
use weir_kit::Timestamp;
use weir_pipeline::ExporterKind;

use super::*;
use crate::plugins::PluginRegistry;

static NO_EXPORTERS: &[ExporterKind] = &[];

fn loaded(text: &str) -> Result<Loaded, DeclarativeError> {
    let registry = PluginRegistry::new(NO_EXPORTERS);
    let context = Context { plugins: &registry, now: Timestamp::from_seconds(1_000), strict_paths: false };
    read(text, &context)
}

fn mistakes(text: &str) -> Value {
    match loaded(text).unwrap_err() {
        DeclarativeError::Invalid(fields) => Value::Object(fields),
        DeclarativeError::Fault(fault) => panic!("{fault}"),
    }
}

const NESTED: &str = r#"
_format_version: "2.1"
_transform: true
_comment: made by hand
services:
- name: orders
  url: http://orders.internal:8080
  _comment: the first
  routes:
  - name: orders-r
    paths: [/orders]
    plugins:
    - name: key-auth
      config: {key_names: [x]}
  plugins:
  - name: correlation-id
consumers:
- username: ann
  keyauth_credentials: [{key: k1}]
upstreams:
- name: backend
  targets:
  - target: 10.0.0.1:80
  - target: 10.0.0.2:80
"#;

#[test]
fn children_may_be_nested() {
    let loaded = loaded(NESTED).unwrap();
    let names: Vec<&str> = loaded.entities.iter().map(|placed| placed.entity.name).collect();
    assert_eq!(
        names,
        [
            "services",
            "routes",
            "consumers",
            "upstreams",
            "targets",
            "targets",
            "keyauth_credentials",
            "plugins",
            "plugins"
        ]
    );
    let service = &loaded.entities[0].body["id"];
    assert_eq!(loaded.entities[1].body["service"], json!({"id": service}));
    assert!(!loaded.strict_paths);
}

#[test]
fn ids_are_stable() {
    let ids = |text: &str| -> Vec<Value> {
        loaded(text).unwrap().entities.iter().map(|placed| placed.body["id"].clone()).collect()
    };
    let once = ids(NESTED);
    assert_eq!(once, ids(NESTED));
    let mut unique = once.clone();
    unique.dedup();
    assert_eq!(unique.len(), once.len());
    // What stands elsewhere in the text changes nothing.
    let moved = NESTED.replace("services:", "snis: []\nservices:");
    assert_eq!(once, ids(&moved));
}

#[test]
fn formats_decide_what_an_expression_is() {
    for (version, strict) in
        [("\"1.1\"", false), ("\"2.1\"", false), ("\"3.0\"", true), ("3.0", true), ("2.1", false)]
    {
        let text = format!("_format_version: {version}\nroutes:\n- paths: [\"/a(b)\"]\n");
        assert_eq!(loaded(&text).unwrap().strict_paths, strict, "{version}");
    }
    assert_eq!(mistakes("services: []"), json!({"_format_version": "required field missing"}));
    assert_eq!(
        mistakes("_format_version: \"9.9\""),
        json!({"_format_version": "expected one of: 1.1, 2.1, 3.0, not \"9.9\""})
    );
}

#[test]
fn mistakes_are_told_in_their_places() {
    let text = r#"
_format_version: "3.0"
services:
- name: good
  host: h
- name: "bad name"
  routes:
  - name: r
    paths: [b]
  - 7
plugins:
- name: nothing
whatever: []
"#;
    let fields = mistakes(text);
    assert_eq!(fields["services"][0], Value::Null);
    assert_eq!(fields["services"][1]["host"], "required field missing");
    assert_eq!(
        fields["services"][1]["routes"][0]["paths"][0],
        "should start with: / (fixed path) or ~/ (regex path)"
    );
    assert_eq!(fields["services"][1]["routes"][1], "expected a record");
    assert!(fields["plugins"][0]["name"].as_str().unwrap().contains("not enabled"));
    assert_eq!(fields["whatever"], "unknown field");
}

#[test]
fn twins_are_refused() {
    let text = "_format_version: \"3.0\"\nservices:\n- {name: a, host: h}\n- {name: a, host: i}\n";
    assert!(mistakes(text)["services"][1]["id"].is_string());
}

proptest::proptest! {
    #[test]
    fn foreign_texts_never_panic(text in "[a-z:\\[\\]{}\"_0-9.\\- \n&*!|>]{0,60}") {
        let _outcome = loaded(&format!("_format_version: '3.0'\n{text}"));
    }
}
