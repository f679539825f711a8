//! APIs: what services and routes were before Kong 0.13, in the names of three eras.
//!
//! | 0.2-0.4 | 0.5-0.9 | 0.10-0.14 |
//! |---|---|---|
//! | `public_dns` | `request_host` | `hosts` |
//! | `path` | `request_path` | `uris` |
//! | `strip_path` | `strip_request_path` | `strip_uri` |
//! | `target_url` | `upstream_url` | `upstream_url` |
//!
//! The rightmost is stored. An API made with older names keeps to the matching and to the default of their time.

use serde_json::Value;
use url::Url;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{each, is_set, method, problem, route_path, valid_host_pattern, valid_name};
use super::{Context, Draft, Entity, Object, RETRIES, WHOLE, optional, preset, required};

const TIMEOUT: FieldKind = FieldKind::Integer { min: 1, max: 2_147_483_647 };
const LIST: FieldKind = FieldKind::Array(&FieldKind::Text);

const fn renamed(aliases: &'static [&'static str], field: FieldSpec) -> FieldSpec {
    FieldSpec { aliases, ..field }
}

const FIELDS: &[FieldSpec] = &[
    optional("name", FieldKind::Text, "unique name; else the host, else the path"),
    renamed(&["request_host", "public_dns"], optional("hosts", LIST, "hosts, with one * at an end")),
    renamed(&["request_path", "path"], optional("uris", LIST, "prefixes or expressions")),
    optional("methods", LIST, "methods, upper case"),
    renamed(
        &["strip_request_path", "strip_path"],
        optional("strip_uri", FieldKind::Boolean, "whether the matched part is taken off"),
    ),
    renamed(&["target_url"], required("upstream_url", FieldKind::Url, "where calls go")),
    preset("preserve_host", FieldKind::Boolean, "false", "whether the client's Host goes on"),
    preset("https_only", FieldKind::Boolean, "false", "whether calls without TLS are refused"),
    preset("http_if_terminated", FieldKind::Boolean, "false", "whether X-Forwarded-Proto counts as TLS"),
    preset("retries", RETRIES, "5", "further attempts when a connection fails"),
    preset("upstream_connect_timeout", TIMEOUT, "60000", "longest wait for a connection, in milliseconds"),
    preset("upstream_send_timeout", TIMEOUT, "60000", "longest pause between two writes, in milliseconds"),
    preset("upstream_read_timeout", TIMEOUT, "60000", "longest pause between two reads, in milliseconds"),
    preset("spelling", FieldKind::OneOf(&["0.4", "0.9", "0.14"]), "\"0.14\"", "whose names it was made with"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "apis",
    singular: "api",
    path: "apis",
    nested: &[],
    key: Some("name"),
    fields: FIELDS,
    parents: &[],
    unique: &[&["name"]],
    reshape,
    check,
};

/// Whose names an API was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Kong 0.2 to 0.4.
    UpTo04,
    /// Kong 0.5 to 0.9.
    UpTo09,
    /// Kong 0.10 to 0.14.
    UpTo014,
}

impl Spelling {
    /// The stored name of the latest spelling.
    pub const CURRENT: &str = "0.14";

    /// Reads the stored name of a spelling.
    pub fn of(api: &Object) -> Self {
        match api.get("spelling").and_then(Value::as_str) {
            Some("0.4") => Self::UpTo04,
            Some("0.9") => Self::UpTo09,
            _ => Self::UpTo014,
        }
    }

    /// Names in answers beside the current ones, and whether they held a single value.
    pub fn older_names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::UpTo04 => &[
                ("hosts", "public_dns"),
                ("uris", "path"),
                ("strip_uri", "strip_path"),
                ("upstream_url", "target_url"),
            ],
            Self::UpTo09 => {
                &[("hosts", "request_host"), ("uris", "request_path"), ("strip_uri", "strip_request_path")]
            }
            Self::UpTo014 => &[],
        }
    }
}

fn reshape(draft: &mut Draft<'_>, _context: &Context<'_>) {
    // Where it was made decides, not where it is changed; nobody sets it by hand.
    draft.given.remove("spelling");
    let has = |names: &[&str]| names.iter().any(|name| draft.given.contains_key(*name));
    let spelling = if has(&["public_dns", "path", "strip_path", "target_url"]) {
        "0.4"
    } else if has(&["request_host", "request_path", "strip_request_path"]) {
        "0.9"
    } else {
        "0.14"
    };
    if draft.stored.is_none() {
        draft.given.insert("spelling".to_owned(), spelling.into());
    }
}

fn check(api: &mut Object, context: &Context<'_>, problems: &mut Vec<Problem>) {
    let old = Spelling::of(api) != Spelling::UpTo014;
    if let Some(Value::Array(uris)) = api.get_mut("uris") {
        uris.iter_mut().for_each(without_final_slash);
    }
    each(api, "hosts", problems, valid_host_pattern);
    each(api, "uris", problems, |uri| route_path(uri, context.strict_paths));
    each(api, "methods", problems, method);
    let conditions = ["hosts", "uris", "methods"];
    if !conditions.iter().any(|field| is_set(api, field)) {
        problems.push(problem(
            WHOLE,
            if old {
                "At least a 'request_host' or a 'request_path' must be specified"
            } else {
                "at least one of 'hosts', 'uris' or 'methods' must be specified"
            },
        ));
    }
    if api.get("strip_uri").is_none_or(Value::is_null) {
        api.insert("strip_uri".to_owned(), (!old).into());
    }
    let url = api.get("upstream_url").and_then(Value::as_str);
    if url.is_some_and(|url| Url::parse(url).is_err()) {
        problems.push(problem("upstream_url", "upstream_url is not a url"));
    }
    name_after_condition(api);
    valid_name(api, "name", problems);
}

fn without_final_slash(uri: &mut Value) {
    if let Value::String(text) = uri
        && text.len() > 1
        && text.ends_with('/')
    {
        text.pop();
    }
}

/// An API without name takes its first host, else its first path with `-` for `/`.
fn name_after_condition(api: &mut Object) {
    if is_set(api, "name") {
        return;
    }
    let first = |field| api.get(field).and_then(|list| list.get(0)).and_then(Value::as_str);
    let name = match (first("hosts"), first("uris")) {
        (Some(host), _) => host.replace('*', "any").replace(':', "-"),
        (None, Some(uri)) => uri.trim_matches('/').replace('/', "-"),
        (None, None) => return,
    };
    if !name.is_empty() {
        api.insert("name".to_owned(), name.into());
    }
}
