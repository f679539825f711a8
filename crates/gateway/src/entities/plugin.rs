//! Plugins: what is done with calls, globally or for a service, route, consumer or API.

use serde_json::Value;
use weir_kit::{FieldKind, FieldSpec, Problem, schema};

use super::checks::{is_set, problem};
use super::draft::{put_once, rename};
use super::{Context, Draft, Entity, Object, OnDelete, PROTOCOL, WHOLE, optional, parent, preset, required};

const FIELDS: &[FieldSpec] = &[
    required("name", FieldKind::Text, "which plugin"),
    optional("instance_name", FieldKind::Text, "a name for this configuration"),
    preset("enabled", FieldKind::Boolean, "true", "whether it runs"),
    preset("config", FieldKind::Any, "{}", "its settings"),
    preset(
        "protocols",
        FieldKind::Set(&PROTOCOL),
        r#"["grpc","grpcs","http","https"]"#,
        "protocols it runs for",
    ),
    optional("ordering", FieldKind::Any, "accepted"),
];

pub(super) static ENTITY: Entity = Entity {
    name: "plugins",
    singular: "plugin",
    path: "plugins",
    nested: &["plugins"],
    key: None,
    fields: FIELDS,
    parents: &[
        parent("service", "services", OnDelete::Cascade),
        parent("route", "routes", OnDelete::Cascade),
        parent("consumer", "consumers", OnDelete::Cascade),
        parent("api", "apis", OnDelete::Cascade),
    ],
    unique: &[&["api", "consumer", "name", "route", "service"], &["instance_name"]],
    reshape,
    check,
};

/// Members of a plugin beside those in the tables.
const OTHER_MEMBERS: &[&str] = &["id", "created_at", "updated_at", "tags"];

/// Brings `value.x` and bare `x` into `config`, under the field's own name and type.
fn reshape(draft: &mut Draft<'_>, context: &Context<'_>) {
    draft.given.remove("run_on");
    let name = draft.given.get("name").or_else(|| draft.stored?.get("name")).and_then(Value::as_str);
    let fields = name.and_then(|name| context.plugins.fields(name));
    let mut config = match draft.given.remove("config") {
        Some(Value::Object(config)) => config,
        None | Some(Value::Null) => Object::new(),
        Some(_) => {
            draft.problems.push(problem("config", "expected a record"));
            Object::new()
        }
    };
    match draft.given.remove("value") {
        Some(Value::Object(value)) => {
            value
                .into_iter()
                .for_each(|(name, value)| put_once(&mut config, "config", name, value, &mut draft.problems));
        }
        None | Some(Value::Null) => {}
        Some(_) => draft.problems.push(problem("value", "expected a record")),
    }
    if let Some(fields) = fields {
        move_bare(&mut draft.given, fields, &mut config, &mut draft.problems);
        config = rename(fields, config, "config", &mut draft.problems);
        if draft.textual
            && let Value::Object(converted) = schema::convert(fields, Value::Object(config.clone()))
        {
            config = converted;
        }
    }
    if !config.is_empty() {
        draft.given.insert("config".to_owned(), Value::Object(config));
    }
}

/// Moves top-level members that only the plugin's table knows.
fn move_bare(given: &mut Object, fields: &[FieldSpec], config: &mut Object, problems: &mut Vec<Problem>) {
    let is_own = |name: &str| {
        OTHER_MEMBERS.contains(&name)
            || schema::named(FIELDS, name).is_some()
            || ENTITY.parents.iter().any(|parent| parent.field == name)
    };
    let bare: Vec<String> =
        given.keys().filter(|name| !is_own(name) && schema::named(fields, name).is_some()).cloned().collect();
    for name in bare {
        if let Some(value) = given.remove(&name) {
            put_once(config, "config", name, value, problems);
        }
    }
}

fn check(plugin: &mut Object, context: &Context<'_>, problems: &mut Vec<Problem>) {
    let Some(name) = plugin.get("name").and_then(Value::as_str).map(str::to_owned) else { return };
    let Some(fields) = context.plugins.fields(&name) else {
        let message = format!("plugin '{name}' not enabled; add it to the 'plugins' configuration property");
        problems.push(problem("name", message));
        return;
    };
    let config = plugin.remove("config").unwrap_or_default();
    match schema::check_typed(fields, config).and_then(|config| {
        context.plugins.try_build(&name, &config)?;
        Ok(config)
    }) {
        Ok(config) => {
            plugin.insert("config".to_owned(), config);
        }
        Err(error) => problems.extend(error.problems.into_iter().map(|inner| {
            let key =
                if inner.key.is_empty() { "config".to_owned() } else { format!("config.{}", inner.key) };
            problem(key, inner.message)
        })),
    }
    if is_set(plugin, "api") && (is_set(plugin, "route") || is_set(plugin, "service")) {
        problems.push(problem(WHOLE, "a plugin of an api cannot also belong to a route or service"));
    }
    if is_set(plugin, "consumer") && context.plugins.authenticates(&name) {
        problems.push(problem("consumer", "value must be null"));
    }
}
