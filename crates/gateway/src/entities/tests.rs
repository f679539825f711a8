//! What holds for every entity.

use std::collections::HashSet;

use super::*;

#[test]
fn names_are_unique_and_parents_come_first() {
    let mut names = HashSet::new();
    let mut paths = HashSet::new();
    for entity in ENTITIES {
        assert!(names.insert(entity.name), "{}", entity.name);
        assert!(paths.insert(entity.path), "{}", entity.path);
        if let Some(key) = entity.key {
            assert!(entity.fields.iter().any(|field| field.name == key), "{}: {key}", entity.name);
        }
        for parent in entity.parents {
            assert!(Entity::named(parent.entity).is_some(), "{}: {}", entity.name, parent.entity);
        }
        for field in entity.unique.iter().copied().flatten() {
            let known = entity.fields.iter().any(|spec| spec.name == *field)
                || entity.parents.iter().any(|parent| parent.field == *field);
            assert!(known, "{}: {field}", entity.name);
        }
    }
    for entity in ENTITIES.iter().filter(|entity| entity.name != "plugins") {
        let position = |name: &str| ENTITIES.iter().position(|entity| entity.name == name);
        for parent in entity.parents {
            assert!(position(parent.entity) < position(entity.name), "{}: {}", entity.name, parent.entity);
        }
    }
}

#[test]
fn defaults_are_json_and_pass_their_own_check() {
    fn walk(fields: &[FieldSpec], place: &str) {
        for field in fields {
            let place = format!("{place}.{}", field.name);
            if let Some(default) = field.default {
                let value: Value =
                    serde_json::from_str(default).unwrap_or_else(|error| panic!("{place}: {error}"));
                let given = Value::Object(Object::from_iter([(field.name.to_owned(), value)]));
                weir_kit::schema::check_typed(std::slice::from_ref(field), given)
                    .unwrap_or_else(|error| panic!("{place}: {error}"));
            }
            if let FieldKind::Record(inner) = field.kind {
                walk(inner, &place);
            }
        }
    }
    for entity in ENTITIES {
        walk(entity.fields, entity.name);
    }
    for kind in crate::plugins::PLUGINS {
        walk(kind.fields, kind.name);
    }
}
