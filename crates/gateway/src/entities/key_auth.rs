//! Credentials of the key-auth plugin.

use rand::distr::{Alphanumeric, SampleString};
use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem};

use super::{Context, Entity, Object, OnDelete, Parent, as_given, optional};

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        secret: true,
        ..optional("key", FieldKind::Text, "what the caller shows; made when not given")
    },
    optional("ttl", FieldKind::Integer { min: 0, max: 100_000_000 }, "seconds after which it ends"),
];

/// Characters of a key that is made here.
const KEY_LENGTH: usize = 32;

pub(super) static ENTITY: Entity = Entity {
    name: "keyauth_credentials",
    singular: "keyauth_credential",
    path: "key-auths",
    nested: &["key-auth", "keyauth"],
    key: Some("key"),
    fields: FIELDS,
    parents: &[Parent {
        field: "consumer",
        entity: "consumers",
        required: true,
        on_delete: OnDelete::Cascade,
    }],
    unique: &[&["key"]],
    reshape: as_given,
    check,
};

fn check(credential: &mut Object, _context: &Context<'_>, _problems: &mut Vec<Problem>) {
    if credential.get("key").is_none_or(Value::is_null) {
        let key = Alphanumeric.sample_string(&mut rand::rng(), KEY_LENGTH);
        credential.insert("key".to_owned(), key.into());
    }
}
