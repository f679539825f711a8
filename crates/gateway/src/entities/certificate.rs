//! Certificates, for TLS towards clients.

use weir_kit::{FieldKind, FieldSpec, Problem};

use super::checks::problem;
use super::{Context, Entity, Object, as_given, optional, required};

const FIELDS: &[FieldSpec] = &[
    required("cert", FieldKind::Text, "chain of certificates in PEM"),
    FieldSpec { secret: true, ..required("key", FieldKind::Text, "private key in PEM") },
    optional("cert_alt", FieldKind::Text, "a second chain, of another kind of key"),
    FieldSpec { secret: true, ..optional("key_alt", FieldKind::Text, "its private key") },
];

pub(super) static ENTITY: Entity = Entity {
    name: "certificates",
    singular: "certificate",
    path: "certificates",
    nested: &[],
    key: None,
    fields: FIELDS,
    parents: &[],
    unique: &[],
    reshape: as_given,
    check,
};

fn check(certificate: &mut Object, _context: &Context<'_>, problems: &mut Vec<Problem>) {
    for (field, block) in [("cert", "CERTIFICATE"), ("key", "PRIVATE KEY")] {
        let text = certificate.get(field).and_then(serde_json::Value::as_str);
        if text.is_some_and(|text| !text.contains("-----BEGIN") || !text.contains(block)) {
            problems.push(problem(field, format!("invalid {field}: no {block} block in PEM")));
        }
    }
}
