//! What settings amount to.

use std::time::Duration;

use serde_json::{Value, json};
use weir_kit::{ConfigError, schema};

use crate::moesif::config::{Config, FIELDS, Unparsed};
use crate::moesif::session::SessionToken;

fn read(mut settings: Value) -> Result<Config, ConfigError> {
    settings.as_object_mut().unwrap().entry("application_id").or_insert(json!("app"));
    Config::read(schema::check(FIELDS, settings)?)
}

fn config(settings: Value) -> Config {
    read(settings).unwrap()
}

#[test]
fn both_sets_of_defaults_are_those_of_the_plugin() {
    let (documented, current) = (config(json!({})), config(json!({"defaults": "current"})));
    assert_eq!((documented.batch_size, current.batch_size), (200, 50));
    assert_eq!((documented.send_timeout.as_millis(), current.send_timeout.as_millis()), (2_000, 5_000));
    assert_eq!(documented.identity.user_id_header.as_deref(), Some("x-consumer-custom-id"));
    assert_eq!(current.identity.user_id_header, None);
    for config in [documented, current] {
        assert_eq!(
            (config.endpoint.as_str(), config.api_version.as_str()),
            ("https://api.moesif.net", "1.0")
        );
        assert_eq!((config.connect_timeout.as_millis(), config.keep_alive.as_millis()), (1_000, 5_000));
        assert_eq!((config.request.max_body_bytes, config.response.max_body_bytes), (100_000, 100_000));
        assert!(config.request.capture_body && config.response.capture_body);
        assert_eq!(config.identity.authorization_headers, ["authorization"]);
        assert_eq!((config.identity.user_claim.as_str(), config.identity.company_claim), ("sub", None));
        assert!(config.decompress_gzip && config.transaction_id && config.verify_certificate);
        assert!(!config.compress && !config.debug && !config.mask_case_insensitive);
        assert_eq!(
            (config.identity.session_token, config.mask_unparsed),
            (SessionToken::Hashed, Unparsed::Keep)
        );
        assert_eq!((config.sample_rate, config.warnings), (100.0, Vec::<String>::new()));
    }
}

#[test]
fn every_setting_of_every_release_is_accepted() {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    for name in [
        "timeout",
        "event_queue_size",
        "max_callback_time_spent",
        "request_masks",
        "response_masks",
        "sampling_percentage",
        "enable_skip_gzip_payload_decompression",
        "max_body_sime_limit",
        "max_body_size_limit",
        "max_events_sent_per_callback",
        "enable_reading_send_event_response",
        "disable_moesif_payload_compression",
        "access_token",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let former = config(json!({
        "timeout": 10, "event_queue_size": 5, "max_callback_time_spent": 9, "request_masks": ["a"],
        "response_masks": ["b"], "sampling_percentage": "20", "enable_skip_gzip_payload_decompression": true,
        "max_body_sime_limit": 7, "max_events_sent_per_callback": {"odd": 1},
        "enable_reading_send_event_response": "yes", "disable_moesif_payload_compression": "false", "access_token": "t",
    }));
    assert_eq!(former.warnings.len(), 12, "{:?}", former.warnings);
    assert_eq!(
        (former.sample_rate, former.request.max_body_bytes, former.response.max_body_bytes),
        (20.0, 7, 7)
    );
    assert!(former.compress && !former.decompress_gzip);
    assert_eq!(
        (former.request.body_masks, former.response.body_masks),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    let both =
        config(json!({"max_body_size_limit": 7, "max_body_sime_limit": 8, "request_max_body_size_limit": 9}));
    assert_eq!((both.request.max_body_bytes, both.response.max_body_bytes), (9, 7));
}

#[test]
fn values_that_make_no_sense_are_the_default() {
    let odd = config(json!({
        "connect_timeout": -1, "send_timeout": 0, "keepalive": 1e300, "batch_size": -5, "request_max_body_size_limit": 1e300,
    }));
    assert_eq!((odd.connect_timeout.as_millis(), odd.send_timeout.as_millis()), (1_000, 2_000));
    assert_eq!(odd.keep_alive.as_millis(), 5_000);
    assert_eq!((odd.batch_size, odd.request.max_body_bytes), (200, 15_000_000));
    assert_eq!(config(json!({"batch_size": 0})).batch_size, 1);
}

#[test]
fn endpoints_of_every_release_are_understood() {
    for given in [
        "http://c.test:81",
        "http://c.test:81/",
        "http://c.test:81/v1/events/batch",
        "http://c.test:81/v1/events",
        "http://c.test:81//v1/events/batch/",
    ] {
        assert_eq!(config(json!({"api_endpoint": given})).endpoint, "http://c.test:81", "{given}");
    }
    assert_eq!(config(json!({"api_endpoint": "http://c.test/proxy/"})).endpoint, "http://c.test/proxy");
}

#[test]
fn mistakes_are_named() {
    for (settings, key) in [
        (json!({"application_id": ""}), "application_id"),
        (json!({"application_id": "a\nb"}), "application_id"),
        (json!({"api_endpoint": "c.test"}), "api_endpoint"),
        (json!({"trusted_ips": ["10.0.0.0/8", "all"]}), "trusted_ips"),
        (json!({"defaults": "new"}), "defaults"),
        (json!({"no_such": 1}), "no_such"),
    ] {
        assert_eq!(read(settings).unwrap_err().problems[0].key, key);
    }
    let secret = read(json!({"application_id": "s3cr3t\u{1}"})).unwrap_err().to_string();
    assert!(!secret.contains("s3cr3t"), "{secret}");
    assert!(!format!("{:?}", config(json!({"application_id": "s3cr3t"}))).contains("s3cr3t"));
}

#[test]
fn the_strict_preset_adds_to_what_is_given() {
    let strict = config(json!({"mask_preset": "strict", "request_header_masks": ["X-Mine", "Cookie", ""]}));
    assert_eq!(strict.request.header_masks[..2], ["x-mine", "cookie"]);
    assert!(strict.request.header_masks.contains(&"authorization".to_owned()));
    assert!(strict.response.body_masks.contains(&"password".to_owned()));
    assert!(strict.query_masks.contains(&"token".to_owned()));
    assert!(strict.mask_case_insensitive && strict.mask_unparsed == Unparsed::Drop);
}

#[test]
fn queue_and_capture_follow() {
    let config =
        config(json!({"disable_capture_request_body": true, "batch_size": 7, "send_timeout": 10_000}));
    let queue = config.queue();
    assert_eq!((queue.max_batch_size, queue.max_attempts), (7, None));
    assert_eq!(queue.max_coalescing_delay, Duration::from_millis(1_500));
    assert!(queue.timeout >= config.send_timeout);
    let capture = config.capture();
    assert_eq!((capture.request_body_bytes, capture.response_body_bytes), (0, 100_000));
}
