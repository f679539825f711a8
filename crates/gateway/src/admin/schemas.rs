//! The tables of fields as Kong's schema endpoints show them.

use serde_json::{Map, Value, json};
use weir_kit::{FieldKind, FieldSpec};

use crate::entities::Entity;

/// The fields of a plugin, era of 0.13 and later: a list of single-member objects.
pub(super) fn list(fields: &[FieldSpec]) -> Value {
    fields.iter().map(|field| json!({field.name: one(field)})).collect()
}

/// The fields of a plugin up to 0.12: an object.
pub(super) fn map(fields: &[FieldSpec]) -> Value {
    let shown = fields.iter().map(|field| (field.name.to_owned(), one(field)));
    Value::Object(shown.collect())
}

/// The fields of an entity, with those that all have.
pub(super) fn entity(entity: &Entity) -> Value {
    let mut fields: Vec<Value> = vec![
        json!({"id": {"type": "string", "uuid": true, "auto": true}}),
        json!({"created_at": {"type": "integer", "timestamp": true, "auto": true}}),
        json!({"updated_at": {"type": "integer", "timestamp": true, "auto": true}}),
        json!({"tags": {"type": "set", "elements": {"type": "string"}, "description": "words to find it by"}}),
    ];
    fields.extend(
        entity
            .fields
            .iter()
            .filter(|field| field.name != "spelling")
            .map(|field| json!({field.name: one(field)})),
    );
    fields.extend(entity.parents.iter().map(|parent| {
        let about = match entity.name {
            "plugins" => format!("runs only for calls of this {}", parent.field),
            _ => format!("the {} it belongs to", parent.field.replace('_', " ")),
        };
        json!({parent.field: {"type": "foreign", "reference": parent.entity, "required": parent.required,
            "description": about}})
    }));
    json!({"fields": fields})
}

/// The schema of a plugin from 0.13 on, with its `config` as a record. One that finds the consumer cannot belong to one.
pub(super) fn plugin(fields: &[FieldSpec], authenticates: bool) -> Value {
    let mut shown = Vec::new();
    if authenticates {
        shown.push(json!({"consumer": {"type": "foreign", "reference": "consumers", "eq": null,
            "description": "stays empty: this plugin finds the consumer"}}));
    }
    shown.extend(Entity::named("plugins").into_iter().flat_map(|entity| {
        let protocols = entity.fields.iter().filter(|field| field.name == "protocols");
        protocols.map(|field| json!({field.name: one(field)}))
    }));
    shown.push(json!({"config": {"type": "record", "required": true, "fields": list(fields)}}));
    json!({"fields": shown})
}

fn one(field: &FieldSpec) -> Value {
    let mut shown = kind(&field.kind);
    if field.required {
        shown.insert("required".to_owned(), true.into());
    }
    if let Some(default) = field.default.and_then(|text| serde_json::from_str(text).ok()) {
        shown.insert("default".to_owned(), default);
    }
    if field.secret {
        shown.insert("encrypted".to_owned(), true.into());
    }
    shown.insert("description".to_owned(), field.about.into());
    Value::Object(shown)
}

fn kind(kind_of: &FieldKind) -> Map<String, Value> {
    let shown = match kind_of {
        FieldKind::Text | FieldKind::Url | FieldKind::Duration | FieldKind::Size | FieldKind::Listen => {
            json!({"type": "string"})
        }
        FieldKind::OneOf(names) => json!({"type": "string", "one_of": names}),
        FieldKind::Number { min, max } => json!({"type": "number", "between": [min, max]}),
        FieldKind::Integer { min, max } => json!({"type": "integer", "between": [min, max]}),
        FieldKind::Boolean => json!({"type": "boolean"}),
        FieldKind::Array(item) => json!({"type": "array", "elements": kind(item)}),
        FieldKind::Set(item) => json!({"type": "set", "elements": kind(item)}),
        FieldKind::Map(item) => json!({"type": "map", "keys": {"type": "string"}, "values": kind(item)}),
        FieldKind::Record(fields) => json!({"type": "record", "fields": list(fields)}),
        FieldKind::Any => json!({"type": "any"}),
    };
    match shown {
        Value::Object(shown) => shown,
        _ => Map::new(),
    }
}
