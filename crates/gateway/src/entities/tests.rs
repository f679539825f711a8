//! What holds for every entity.

use std::collections::HashSet;

use proptest::prelude::*;

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

/// Anything JSON can say, with the names and values that the checks look for.
fn any_value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "/a",
        "~/(",
        "*.a.*",
        "http://u:99999/",
        "a:b:c",
        "5a6c0f1e-7d4b-4b1c-9b0e-2f6f3f0a9d11",
        "é\u{0}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| serde_json::json!(number)),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(vec!["id", "name", "a"]), inner, 0..3).prop_map(
                |members| members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Object>()
                    .into()
            ),
        ]
    })
}

proptest! {
    #[test]
    fn foreign_members_never_panic_and_what_is_accepted_stays_accepted(
        index in 0..ENTITIES.len(),
        values in prop::collection::vec((any::<prop::sample::Index>(), any_value()), 0..6),
        textual: bool,
    ) {
        let entity = ENTITIES[index];
        let registry = PluginRegistry::new(&[]);
        let context = Context { plugins: &registry, now: Timestamp::from_seconds(1_700_000_000), strict_paths: false };
        let mut names: Vec<String> = ["id", "tags", "created_at", "value", "url", "nothing"].map(str::to_owned).into();
        names.extend(entity.fields.iter().map(|field| field.name.to_owned()));
        names.extend(entity.parents.iter().flat_map(|parent| [parent.field.to_owned(), format!("{}_id", parent.field)]));
        let given: Object = values.into_iter().map(|(name, value)| (name.get(&names).clone(), value)).collect();
        if let Ok(made) = entity.create(given, textual, &context) {
            // An empty change of what was accepted changes nothing.
            prop_assert_eq!(entity.patch(&made, Object::new(), textual, &context), Ok(made));
        }
    }
}
