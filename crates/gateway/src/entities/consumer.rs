//! Consumers: who calls.

use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::{is_set, problem};
use super::{Context, Entity, Object, WHOLE, as_given, optional};

const FIELDS: &[FieldSpec] = &[
    optional("username", FieldKind::Text, "unique name"),
    optional("custom_id", FieldKind::Text, "unique id in another system"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "consumers",
    singular: "consumer",
    path: "consumers",
    nested: &[],
    key: Some("username"),
    fields: FIELDS,
    parents: &[],
    unique: &[&["username"], &["custom_id"]],
    reshape: as_given,
    check,
};

fn check(consumer: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    if !is_set(consumer, "username") && !is_set(consumer, "custom_id") {
        let message = "at least one of these fields must be non-empty: 'custom_id', 'username'";
        problems.push(problem(WHOLE, message));
    }
}
