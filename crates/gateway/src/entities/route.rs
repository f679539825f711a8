//! Routes: which calls go to a service.

use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{each, is_set, method, problem, route_path, valid_host_pattern, valid_name};
use super::{Context, Entity, Object, OnDelete, PROTOCOL, WHOLE, as_given, optional, parent, preset};

const STATUS: FieldKind = FieldKind::Integer { min: 301, max: 426 };
const PEER: FieldKind = FieldKind::Record(&[
    optional("ip", FieldKind::Text, "address or range"),
    optional("port", super::PORT, "port"),
]);

const FIELDS: &[FieldSpec] = &[
    optional("name", FieldKind::Text, "unique name"),
    preset("protocols", FieldKind::Set(&PROTOCOL), r#"["http","https"]"#, "protocols it is for"),
    optional("methods", FieldKind::Set(&FieldKind::Text), "methods, upper case"),
    optional("hosts", FieldKind::Array(&FieldKind::Text), "hosts, with one * at an end"),
    optional("paths", FieldKind::Array(&FieldKind::Text), "prefixes, or expressions after ~"),
    optional("headers", FieldKind::Map(&FieldKind::Array(&FieldKind::Text)), "values by header name"),
    optional("snis", FieldKind::Set(&FieldKind::Text), "server names of TLS"),
    optional("sources", FieldKind::Set(&PEER), "for streams"),
    optional("destinations", FieldKind::Set(&PEER), "for streams"),
    preset("https_redirect_status_code", STATUS, "426", "answer to a call without TLS"),
    preset("regex_priority", FieldKind::Integer { min: i64::MIN, max: i64::MAX }, "0", "higher goes first"),
    preset("strip_path", FieldKind::Boolean, "true", "whether the matched part is taken off"),
    preset("path_handling", FieldKind::OneOf(&["v0", "v1"]), "\"v0\"", "how paths are joined"),
    preset("preserve_host", FieldKind::Boolean, "false", "whether the client's Host goes on"),
    preset("request_buffering", FieldKind::Boolean, "true", "accepted; bodies always stream"),
    preset("response_buffering", FieldKind::Boolean, "true", "accepted; bodies always stream"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "routes",
    singular: "route",
    path: "routes",
    nested: &["routes"],
    key: Some("name"),
    fields: FIELDS,
    parents: &[parent("service", "services", OnDelete::Refuse)],
    unique: &[&["name"]],
    reshape: as_given,
    check,
};

fn check(route: &mut Object, context: &Context<'_>, problems: &mut Vec<Problem>) {
    valid_name(route, "name", problems);
    each(route, "methods", problems, method);
    each(route, "hosts", problems, valid_host_pattern);
    each(route, "paths", problems, |path| route_path(path, context.strict_paths));
    check_headers(route, problems);
    if !matches!(
        route.get("https_redirect_status_code").and_then(Value::as_i64),
        Some(301 | 302 | 307 | 308 | 426) | None
    ) {
        problems.push(problem("https_redirect_status_code", "expected one of: 426, 301, 302, 307, 308"));
    }
    check_conditions(route, problems);
}

fn check_headers(route: &Object, problems: &mut Vec<Problem>) {
    for (name, values) in route.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let key = || format!("headers.{name}");
        if name.eq_ignore_ascii_case("host") {
            problems.push(problem(
                key(),
                "cannot contain 'host' header, which must be specified in the 'hosts' attribute",
            ));
        } else if http::HeaderName::try_from(name.as_str()).is_err() {
            problems.push(problem(key(), format!("invalid header name {name:?}")));
        }
        if let Some(Err(error)) = crate::router::header_expression(values) {
            problems.push(problem(key(), format!("invalid regex: {error}")));
        }
    }
}

/// A route must ask for something.
fn check_conditions(route: &Object, problems: &mut Vec<Problem>) {
    let protocols: Vec<&str> = route
        .get("protocols")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if protocols.is_empty() {
        return;
    }
    let has = |names: &[&str]| protocols.iter().any(|protocol| names.contains(protocol));
    let (wanted, protocol): (&[&str], &str) = if has(&["https", "wss"]) {
        (&["methods", "hosts", "headers", "paths", "snis"], "https")
    } else if has(&["http", "ws"]) {
        (&["methods", "hosts", "headers", "paths"], "http")
    } else if has(&["grpcs"]) {
        (&["hosts", "headers", "paths", "snis"], "grpcs")
    } else if has(&["grpc"]) {
        (&["hosts", "headers", "paths"], "grpc")
    } else {
        (&["sources", "destinations", "snis"], protocols.first().copied().unwrap_or("tcp"))
    };
    if !wanted.iter().any(|field| is_set(route, field)) {
        let names: Vec<String> = wanted.iter().map(|field| format!("'{field}'")).collect();
        let message = format!("must set one of {} when 'protocols' is '{protocol}'", names.join(", "));
        problems.push(problem(WHOLE, message));
    }
}
