//! Services, routes, upstreams and plugins as a declarative configuration (Kong's format 3.0).

use serde_json::{Map, Value, json};

use super::api::{Endpoint, KeySource, Target};
use super::ways::{Route, Way};
use crate::tyk::NAMES;

/// The whole configuration.
pub(super) fn declarative(ways: &[Way<'_>]) -> Value {
    let services: Vec<Value> = ways.iter().map(service).collect();
    let upstreams: Vec<Value> = ways.iter().filter(|way| way.targets.len() > 1).map(upstream).collect();
    let mut whole = json!({"_format_version": "3.0", "services": services});
    if !upstreams.is_empty() {
        whole["upstreams"] = upstreams.into();
    }
    whole
}

fn service(way: &Way<'_>) -> Value {
    let mut service = json!({
        "name": way.name,
        "routes": way.routes.iter().map(|one| route(way, one)).collect::<Vec<_>>(),
        "plugins": plugins(way),
    });
    let Some(first) = way.targets.first() else { return service };
    service["protocol"] = first.protocol.into();
    if way.targets.len() > 1 {
        service["host"] = upstream_name(way).into();
    } else {
        service["host"] = first.host.as_str().into();
        service["port"] = first.port.into();
    }
    if !first.path.is_empty() {
        service["path"] = first.path.as_str().into();
    }
    if first.protocol == "https" {
        // Tyk checks certificates unless told not to, Kong the other way round.
        service["tls_verify"] = (!way.api.upstream.insecure).into();
    }
    service
}

/// Names of upstreams are like those of hosts.
fn upstream_name(way: &Way<'_>) -> String {
    let host = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    format!("{}.targets.tyk", way.name.chars().map(host).collect::<String>())
}

fn upstream(way: &Way<'_>) -> Value {
    let mut targets: Vec<(String, u64)> = Vec::new();
    for Target { host, port, weight, .. } in &way.targets {
        let address = format!("{host}:{port}");
        match targets.iter_mut().find(|(known, _)| *known == address) {
            Some((_, known)) => *known += weight,
            None => targets.push((address, *weight)),
        }
    }
    let target = |(address, weight): &(String, u64)| json!({"target": address, "weight": weight});
    json!({"name": upstream_name(way), "targets": targets.iter().map(target).collect::<Vec<_>>()})
}

fn route(way: &Way<'_>, route: &Route<'_>) -> Value {
    let listener = route.listener;
    let mut out = json!({
        "name": route.name,
        "paths": [route.path.text],
        "strip_path": route.strip,
    });
    if route.path.is_expression {
        out["regex_priority"] = route.path.rank.into();
    }
    if let Some(domain) = &listener.domain {
        out["hosts"] = json!([domain]);
    }
    if listener.tls_only {
        out["protocols"] = json!(["https"]);
    }
    if let Some((header, version)) = route.header {
        out["headers"] = json!({header: [version]});
    }
    if way.api.upstream.preserve_host {
        out["preserve_host"] = true.into();
    }
    let mut plugins = Vec::new();
    if let Some(version) = route.version {
        plugins.push(attributes([(NAMES.api_version, version.name.as_str())]));
        plugins.extend(do_not_track(&version.endpoints.untracked));
        let tracked = &version.endpoints.tracked;
        if !tracked.is_empty() {
            plugins.push(plugin("recording", json!({"track_endpoints": listed(tracked)})));
        }
        out["plugins"] = plugins.into();
    }
    out
}

/// What holds for all calls of a service.
fn plugins(way: &Way<'_>) -> Vec<Value> {
    let api = way.api;
    let mut plugins = vec![attributes([
        (NAMES.api_id, api.id.as_str()),
        (NAMES.api_name, &api.name),
        (NAMES.org_id, &api.organisation),
        (NAMES.listen_path, &api.listen_path.path),
    ])];
    plugins.extend(api.key.as_ref().map(key_auth));
    let endpoints = api.versions.is_none().then_some(&api.endpoints);
    if api.recording.off {
        plugins.push(plugin("do-not-track", json!({})));
    } else if let Some(endpoints) = endpoints {
        plugins.extend(do_not_track(&endpoints.untracked));
    }
    plugins.extend(recording(way));
    plugins
}

fn attributes<const N: usize>(given: [(&str, &str); N]) -> Value {
    let given = given.into_iter().filter(|(_, value)| !value.is_empty());
    let attributes: Map<String, Value> = given.map(|(name, value)| (name.to_owned(), value.into())).collect();
    plugin("attributes", json!({"attributes": attributes}))
}

fn key_auth(source: &KeySource) -> Value {
    let mut names: Vec<&String> = source.header.iter().chain(&source.parameter).collect();
    names.dedup();
    let config = json!({
        "key_names": names,
        "key_in_header": source.header.is_some(),
        "key_in_query": source.parameter.is_some(),
        "hide_credentials": source.strip,
    });
    plugin("key-auth", config)
}

fn do_not_track(endpoints: &[Endpoint]) -> Option<Value> {
    (!endpoints.is_empty()).then(|| plugin("do-not-track", json!({"endpoints": listed(endpoints)})))
}

fn recording(way: &Way<'_>) -> Option<Value> {
    let recording = &way.api.recording;
    let mut config = Map::new();
    if recording.detailed {
        config.insert("detailed".to_owned(), true.into());
    }
    for (name, list) in [("tags", &recording.tags), ("tag_headers", &recording.tag_headers)] {
        if !list.is_empty() {
            config.insert(name.to_owned(), list.clone().into());
        }
    }
    if recording.expire_after > 0 {
        config.insert("keep_for".to_owned(), recording.expire_after.into());
    }
    let tracked = &way.api.endpoints.tracked;
    if way.api.versions.is_none() && !tracked.is_empty() {
        config.insert("track_endpoints".to_owned(), listed(tracked));
    }
    (!config.is_empty()).then(|| plugin("recording", config.into()))
}

fn listed(endpoints: &[Endpoint]) -> Value {
    let endpoint = |Endpoint { method, path }: &Endpoint| {
        if method.is_empty() { json!({"path": path}) } else { json!({"method": method, "path": path}) }
    };
    endpoints.iter().map(endpoint).collect()
}

fn plugin(name: &str, config: Value) -> Value {
    json!({"name": name, "config": config})
}
