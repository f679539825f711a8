//! Services: where calls go.

use serde_json::Value;
use url::Url;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{problem, valid_host, valid_name, valid_path};
use super::{
    Context, Draft, Entity, Object, OnDelete, PORT, PROTOCOL, RETRIES, TIMEOUT, optional, parent, preset,
    required,
};

const FIELDS: &[FieldSpec] = &[
    optional("name", FieldKind::Text, "unique name"),
    preset("protocol", PROTOCOL, "\"http\"", "how to speak to it"),
    required("host", FieldKind::Text, "host name, address, or name of an upstream"),
    preset("port", PORT, "80", "port"),
    optional("path", FieldKind::Text, "path that goes before that of the request"),
    preset("retries", RETRIES, "5", "further attempts when a connection fails"),
    preset("connect_timeout", TIMEOUT, "60000", "longest wait for a connection, in milliseconds"),
    preset("write_timeout", TIMEOUT, "60000", "longest pause between two writes, in milliseconds"),
    preset("read_timeout", TIMEOUT, "60000", "longest pause between two reads, in milliseconds"),
    preset("enabled", FieldKind::Boolean, "true", "whether its routes are served"),
    optional("tls_verify", FieldKind::Boolean, "whether its certificate must be valid"),
    optional("tls_verify_depth", FieldKind::Integer { min: 0, max: 64 }, "longest chain of certificates"),
    optional("ca_certificates", FieldKind::Array(&FieldKind::Text), "ids of trusted certificates"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "services",
    singular: "service",
    path: "services",
    nested: &[],
    key: Some("name"),
    fields: FIELDS,
    parents: &[parent("client_certificate", "certificates", OnDelete::Refuse)],
    unique: &[&["name"]],
    reshape,
    check,
};

/// `url` stands for protocol, host, port and path.
fn reshape(draft: &mut Draft<'_>, _context: &Context<'_>) {
    let Some(url) = draft.given.remove("url") else { return };
    if url.is_null() {
        return;
    }
    let parsed = url.as_str().and_then(|text| Url::parse(text).ok());
    let Some((url, host)) = parsed.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        draft.problems.push(problem("url", format!("missing host in url {url}")));
        // What the URL would have given is not also missing.
        draft.given.entry("host").or_insert_with(|| "unknown".into());
        return;
    };
    let port = url.port().unwrap_or(if matches!(url.scheme(), "https" | "grpcs") { 443 } else { 80 });
    let path = Some(url.path()).filter(|path| !matches!(*path, "" | "/"));
    let given = &mut draft.given;
    given.insert("protocol".to_owned(), url.scheme().into());
    given.insert("host".to_owned(), host.into());
    given.insert("port".to_owned(), port.into());
    given.insert("path".to_owned(), path.map_or(Value::Null, Value::from));
}

fn check(service: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    valid_name(service, "name", problems);
    valid_path(service, "path", problems);
    if let Some(host) = service.get("host").and_then(Value::as_str)
        && !valid_host(host)
    {
        problems.push(problem("host", format!("invalid value: {host}")));
    }
}
