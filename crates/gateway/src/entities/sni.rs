//! Server names that certificates are for.

use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{problem, valid_host_pattern};
use super::{Context, Entity, Object, OnDelete, Parent, as_given, required};

const FIELDS: &[FieldSpec] = &[required("name", FieldKind::Text, "server name, with one * at an end")];

pub(super) static ENTITY: Entity = Entity {
    name: "snis",
    singular: "sni",
    path: "snis",
    nested: &["snis"],
    key: Some("name"),
    fields: FIELDS,
    parents: &[Parent {
        field: "certificate",
        entity: "certificates",
        required: true,
        on_delete: OnDelete::Cascade,
    }],
    unique: &[&["name"]],
    reshape: as_given,
    check,
};

fn check(sni: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    if let Some(Err(message)) = sni.get("name").and_then(Value::as_str).map(valid_host_pattern) {
        problems.push(problem("name", message));
    }
}
