//! Upstreams: names whose calls are spread over targets.

use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{is_set, problem, valid_host};
use super::{Context, Draft, Entity, Object, OnDelete, optional, parent, preset, required};

const HASH: FieldKind =
    FieldKind::OneOf(&["none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"]);
const ALGORITHM: FieldKind =
    FieldKind::OneOf(&["round-robin", "least-connections", "consistent-hashing", "latency"]);
const CHECK_TYPE: FieldKind = FieldKind::OneOf(&["tcp", "http", "https", "grpc", "grpcs"]);
const COUNT: FieldKind = FieldKind::Integer { min: 0, max: 255 };
const SECONDS: FieldKind = FieldKind::Number { min: 0.0, max: 65_535.0 };
const STATUSES: FieldKind = FieldKind::Array(&FieldKind::Integer { min: 100, max: 999 });

const ACTIVE_HEALTHY: &[FieldSpec] = &[
    preset("interval", SECONDS, "0", "seconds between checks; 0 for none"),
    preset("successes", COUNT, "0", "successes that make a target healthy"),
    preset("http_statuses", STATUSES, "[200,302]", "statuses that are successes"),
];
const ACTIVE_UNHEALTHY: &[FieldSpec] = &[
    preset("interval", SECONDS, "0", "seconds between checks; 0 for none"),
    preset("http_failures", COUNT, "0", "failures that make a target unhealthy"),
    preset("tcp_failures", COUNT, "0", "failures that make a target unhealthy"),
    preset("timeouts", COUNT, "0", "timeouts that make a target unhealthy"),
    preset("http_statuses", STATUSES, "[429,404,500,501,502,503,504,505]", "statuses that are failures"),
];
const ACTIVE: &[FieldSpec] = &[
    preset("type", CHECK_TYPE, "\"http\"", "how to check"),
    preset("timeout", SECONDS, "1", "seconds to wait"),
    preset("concurrency", FieldKind::Integer { min: 1, max: 2_147_483_648 }, "10", "checks at once"),
    preset("http_path", FieldKind::Text, "\"/\"", "what to ask for"),
    optional("https_sni", FieldKind::Text, "server name"),
    preset("https_verify_certificate", FieldKind::Boolean, "true", "whether the certificate must be valid"),
    optional("headers", FieldKind::Map(&FieldKind::Array(&FieldKind::Text)), "headers to send"),
    preset("healthy", FieldKind::Record(ACTIVE_HEALTHY), "{}", "when a target is healthy again"),
    preset("unhealthy", FieldKind::Record(ACTIVE_UNHEALTHY), "{}", "when a target is unhealthy"),
];
const PASSIVE_HEALTHY: &[FieldSpec] = &[
    preset("successes", COUNT, "0", "successes that make a target healthy"),
    preset(
        "http_statuses",
        STATUSES,
        "[200,201,202,203,204,205,206,207,208,226,300,301,302,303,304,305,306,307,308]",
        "statuses that are successes",
    ),
];
const PASSIVE_UNHEALTHY: &[FieldSpec] = &[
    preset("http_failures", COUNT, "0", "failures that make a target unhealthy"),
    preset("tcp_failures", COUNT, "0", "failures that make a target unhealthy"),
    preset("timeouts", COUNT, "0", "timeouts that make a target unhealthy"),
    preset("http_statuses", STATUSES, "[429,500,503]", "statuses that are failures"),
];
const PASSIVE: &[FieldSpec] = &[
    preset("type", CHECK_TYPE, "\"http\"", "what is looked at"),
    preset("healthy", FieldKind::Record(PASSIVE_HEALTHY), "{}", "when a target is healthy again"),
    preset("unhealthy", FieldKind::Record(PASSIVE_UNHEALTHY), "{}", "when a target is unhealthy"),
];
const HEALTH_CHECKS: &[FieldSpec] = &[
    preset(
        "threshold",
        FieldKind::Number { min: 0.0, max: 100.0 },
        "0",
        "percent of weight that must be healthy",
    ),
    preset("active", FieldKind::Record(ACTIVE), "{}", "checks made by the gateway"),
    preset("passive", FieldKind::Record(PASSIVE), "{}", "checks by looking at calls"),
];

const FIELDS: &[FieldSpec] = &[
    required("name", FieldKind::Text, "unique name, like a host"),
    preset("algorithm", ALGORITHM, "\"round-robin\"", "how targets are chosen"),
    preset("hash_on", HASH, "\"none\"", "what decides the target"),
    preset("hash_fallback", HASH, "\"none\"", "what decides it when hash_on has nothing"),
    optional("hash_on_header", FieldKind::Text, "header for hash_on"),
    optional("hash_fallback_header", FieldKind::Text, "header for hash_fallback"),
    optional("hash_on_cookie", FieldKind::Text, "cookie for hash_on"),
    preset("hash_on_cookie_path", FieldKind::Text, "\"/\"", "path of that cookie"),
    optional("hash_on_query_arg", FieldKind::Text, "query argument for hash_on"),
    optional("hash_fallback_query_arg", FieldKind::Text, "query argument for hash_fallback"),
    optional("hash_on_uri_capture", FieldKind::Text, "capture for hash_on"),
    optional("hash_fallback_uri_capture", FieldKind::Text, "capture for hash_fallback"),
    preset("slots", FieldKind::Integer { min: 10, max: 65_536 }, "10000", "positions on the ring"),
    optional("host_header", FieldKind::Text, "Host to send in place of the target's name"),
    preset("use_srv_name", FieldKind::Boolean, "false", "accepted"),
    preset("healthchecks", FieldKind::Record(HEALTH_CHECKS), "{}", "health of the targets"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "upstreams",
    singular: "upstream",
    path: "upstreams",
    nested: &[],
    key: Some("name"),
    fields: FIELDS,
    parents: &[parent("client_certificate", "certificates", OnDelete::Refuse)],
    unique: &[&["name"]],
    reshape,
    check,
};

/// Hashing on something means consistent hashing, unless another algorithm is asked for by name.
fn reshape(draft: &mut Draft<'_>, _context: &Context<'_>) {
    let hashes = draft.given.get("hash_on").and_then(Value::as_str).is_some_and(|on| on != "none");
    if hashes {
        draft.given.entry("algorithm").or_insert_with(|| "consistent-hashing".into());
    }
}

fn check(upstream: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    let name = upstream.get("name").and_then(Value::as_str).unwrap_or_default();
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    if !name.is_empty() && (is_address || name.contains(':') || !valid_host(name)) {
        let message =
            if is_address { "no ip addresses allowed".to_owned() } else { format!("invalid value: {name}") };
        problems.push(problem("name", message));
    }
    for (on, what, field) in [
        ("hash_on", "header", "hash_on_header"),
        ("hash_on", "cookie", "hash_on_cookie"),
        ("hash_on", "query_arg", "hash_on_query_arg"),
        ("hash_on", "uri_capture", "hash_on_uri_capture"),
        ("hash_fallback", "header", "hash_fallback_header"),
    ] {
        if upstream.get(on).and_then(Value::as_str) == Some(what) && !is_set(upstream, field) {
            problems.push(problem(field, weir_kit::schema::REQUIRED));
        }
    }
}
