//! Targets: the places behind an upstream.

use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{problem, valid_host};
use super::{Context, Entity, Object, OnDelete, Parent, as_given, preset, required};

const FIELDS: &[FieldSpec] = &[
    required("target", FieldKind::Text, "host:port"),
    preset("weight", FieldKind::Integer { min: 0, max: 65_535 }, "100", "share of the calls; 0 for none"),
];

/// The port of a target that names none.
const DEFAULT_PORT: u16 = 8000;

pub(super) static ENTITY: Entity = Entity {
    name: "targets",
    singular: "target",
    path: "targets",
    nested: &["targets"],
    key: Some("target"),
    fields: FIELDS,
    parents: &[Parent {
        field: "upstream",
        entity: "upstreams",
        required: true,
        on_delete: OnDelete::Cascade,
    }],
    unique: &[&["target", "upstream"]],
    reshape: as_given,
    check,
};

fn check(target: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    let Some(text) = target.get("target").and_then(Value::as_str) else { return };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse::<u16>().ok()),
        _ => (text, Some(DEFAULT_PORT)),
    };
    match port {
        Some(port) if valid_host(host) => {
            let whole = format!("{host}:{port}");
            target.insert("target".to_owned(), whole.into());
        }
        _ => problems.push(problem(
            "target",
            format!("Invalid target ('{text}'); not a valid hostname or ip address"),
        )),
    }
}
