//! A whole configuration as one text: Kong's declarative files of formats 1.1, 2.1 and 3.0 (`kong-admin-api`, section 11).
//!
//! All or nothing: the text is read and checked entity by entity, every mistake is told in a tree by collection and place, and
//! only a text without mistakes replaces what is there. Entities without id get one derived from their key, so that
//! the same text gives the same ids.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weir_kit::{Problem, schema};
use weir_state::{StateError, Writer};

use crate::admin::tree;
use crate::entities::{Context, ENTITIES, Entity, Fault, Object, Repository, id_of};

/// Setting of the state: whether only paths that begin with `~` are expressions.
pub(crate) const STRICT_PATHS: &str = "declarative.strict_paths";
/// Setting of the state: hash of the text.
pub(crate) const HASH: &str = "declarative.hash";
/// Setting of the state: the text.
pub(crate) const TEXT: &str = "declarative.text";

/// What ids without value are derived under.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f3c_1f5e_9a2b_5d0c_8e47_2b1d_7c90_aa31);
/// Deepest nesting of entities below entities.
const DEEPEST: usize = 4;

/// Why a declarative configuration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DeclarativeError {
    /// Its mistakes, as a tree by collection, place and field.
    #[error("invalid declarative configuration: {}", Value::Object(.0.clone()))]
    Invalid(Object),
    /// It could not be stored.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<StateError> for DeclarativeError {
    fn from(error: StateError) -> Self {
        Self::Fault(Fault::State(error))
    }
}

/// A configuration without mistakes in its parts.
#[derive(Debug)]
pub(crate) struct Loaded {
    entities: Vec<Placed>,
    pub(crate) strict_paths: bool,
    text: String,
}

/// An entity and where it stands in the text.
#[derive(Debug)]
struct Placed {
    entity: &'static Entity,
    /// `services.1.routes.2`
    place: String,
    body: Object,
}

/// Identifies a text.
pub(crate) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a configuration.
pub(crate) fn read(text: &str, context: &Context<'_>) -> Result<Loaded, DeclarativeError> {
    let invalid = |key: &str, message: String| {
        DeclarativeError::Invalid(tree(&[Problem { key: key.to_owned(), message }]))
    };
    let parsed: Result<Value, String> = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    };
    let Value::Object(mut root) =
        parsed.map_err(|error| invalid("error", format!("failed parsing: {error}")))?
    else {
        return Err(invalid("error", "expected a map of collections".to_owned()));
    };
    let major = major_version(root.remove("_format_version"))
        .map_err(|message| invalid("_format_version", message))?;
    // Kong writes these for itself and for people.
    root.retain(|name, _| !name.starts_with('_'));
    let strict_paths = context.strict_paths || major >= 3;
    let context = Context { strict_paths, ..*context };
    let mut reading = Reading { context: &context, entities: Vec::new(), problems: Vec::new() };
    for (name, list) in root {
        match Entity::named(&name) {
            Some(entity) => reading.list(entity, list, &name, None, 0),
            None if list.is_null() => {}
            None => reading.problem(&name, schema::UNKNOWN),
        }
    }
    reading.refuse_twins();
    if !reading.problems.is_empty() {
        return Err(DeclarativeError::Invalid(tree(&reading.problems)));
    }
    let mut entities = reading.entities;
    let position = |placed: &Placed| ENTITIES.iter().position(|entity| entity.name == placed.entity.name);
    entities.sort_by_key(position);
    Ok(Loaded { entities, strict_paths, text: text.to_owned() })
}

fn major_version(given: Option<Value>) -> Result<u32, String> {
    let text = match given {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(schema::REQUIRED.to_owned()),
    };
    let major = text.split('.').next().and_then(|major| major.parse().ok());
    major
        .filter(|major| (1..=3).contains(major))
        .ok_or_else(|| format!("expected one of: 1.1, 2.1, 3.0, not {text:?}"))
}

struct Reading<'a> {
    context: &'a Context<'a>,
    entities: Vec<Placed>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn problem(&mut self, key: &str, message: &str) {
        self.problems.push(Problem { key: key.to_owned(), message: message.to_owned() });
    }

    fn list(
        &mut self,
        entity: &'static Entity,
        list: Value,
        place: &str,
        parent: Option<(&str, &str)>,
        depth: usize,
    ) {
        match list {
            Value::Array(_) if depth > DEEPEST => self.problem(place, "nested too deep"),
            Value::Array(items) => {
                for (index, item) in items.into_iter().enumerate() {
                    let place = format!("{place}.{}", index + 1);
                    match item {
                        Value::Object(item) => self.item(entity, item, &place, parent, depth),
                        // A plain text stands for an entity that only has its key.
                        Value::String(text) if entity.key.is_some() => {
                            let key = entity.key.unwrap_or_default().to_owned();
                            self.item(entity, Object::from_iter([(key, text.into())]), &place, parent, depth);
                        }
                        _ => self.problem(&place, "expected a record"),
                    }
                }
            }
            Value::Null => {}
            _ => self.problem(place, "expected an array"),
        }
    }

    fn item(
        &mut self,
        entity: &'static Entity,
        mut given: Object,
        place: &str,
        parent: Option<(&str, &str)>,
        depth: usize,
    ) {
        given.retain(|name, _| !name.starts_with('_'));
        if let Some((field, id)) = parent {
            given.insert(field.to_owned(), serde_json::json!({"id": id}));
        }
        if given.get("id").is_none_or(Value::is_null) {
            given.insert("id".to_owned(), derived_id(entity, &given, place).to_string().into());
        }
        let id = given.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        for (child, parent) in entity.children() {
            if let Some(list) = given.remove(child.name) {
                let place = format!("{place}.{}", child.name);
                self.list(child, list, &place, Some((parent.field, &id)), depth + 1);
            }
        }
        // In the time of APIs text stood for other types in JSON too.
        let textual = entity.name == "apis";
        match entity.create(given, textual, self.context) {
            Ok(body) => self.entities.push(Placed { entity, place: place.to_owned(), body }),
            Err(problems) => self.problems.extend(problems.into_iter().map(|problem| Problem {
                key: format!("{place}.{}", problem.key),
                message: problem.message,
            })),
        }
    }

    fn refuse_twins(&mut self) {
        let mut seen = HashSet::new();
        let twins =
            self.entities.iter().filter(|placed| !seen.insert((placed.entity.name, id_of(&placed.body))));
        let twins: Vec<Problem> = twins
            .map(|placed| Problem {
                key: format!("{}.id", placed.place),
                message: "another entity of this collection has the same id or key".to_owned(),
            })
            .collect();
        self.problems.extend(twins);
    }
}

/// An id for an entity without one: from its key, else from what makes it unique, else from its place.
fn derived_id(entity: &Entity, given: &Object, place: &str) -> Uuid {
    let key = entity.key.and_then(|key| given.get(key)).and_then(Value::as_str);
    let name = match key {
        Some(key) => {
            let parents = entity.parents.iter().filter(|parent| parent.required);
            let parents: String = parents.map(|parent| reference(given, parent.field)).collect();
            // Keys that are unique by themselves do not need their parents.
            let own = entity.unique.contains(&[entity.key.unwrap_or_default()].as_slice());
            format!("{}:{key}:{}", entity.name, if own { "" } else { &parents })
        }
        None if entity.name == "plugins" => {
            let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
            let scope: Vec<String> =
                entity.parents.iter().map(|parent| reference(given, parent.field)).collect();
            format!("plugins:{name}:{}", scope.join(":"))
        }
        None => format!("{}:@{place}", entity.name),
    };
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A reference as text, however it is written.
fn reference(given: &Object, field: &str) -> String {
    let flat = given.get(field).or_else(|| given.get(&format!("{field}_id")));
    match flat {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(members)) => {
            let inner = members.get("id").or_else(|| members.get("name")).or_else(|| members.get("username"));
            inner.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Loaded {
    /// Replaces everything that is stored.
    pub(crate) fn store(&self, writer: &Writer<'_>) -> Result<(), DeclarativeError> {
        for entity in ENTITIES.iter().rev() {
            writer.clear(entity.name)?;
        }
        let repository = Repository::new(writer);
        let mut problems = Vec::new();
        for placed in &self.entities {
            match repository.put(placed.entity, &mut placed.body.clone()) {
                Ok(()) => {}
                Err(Fault::State(error)) => return Err(error.into()),
                Err(fault) => problems.push(told(&placed.place, fault)),
            }
        }
        if !problems.is_empty() {
            return Err(DeclarativeError::Invalid(tree(&problems)));
        }
        writer.set_setting(STRICT_PATHS, if self.strict_paths { "true" } else { "false" })?;
        writer.set_setting(HASH, &hash(&self.text))?;
        writer.set_setting(TEXT, &self.text)?;
        Ok(())
    }
}

fn told(place: &str, fault: Fault) -> Problem {
    let (field, message) = match fault {
        Fault::MissingParent { field, entity, key } => {
            (field.to_owned(), format!("invalid reference '{entity}: {key}' (no such entry in '{entity}')"))
        }
        Fault::NotUnique(unique) => {
            let first = unique.fields.first().map_or_else(|| "id".to_owned(), |(name, _)| name.clone());
            let shown: Vec<String> =
                unique.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (
                first,
                format!(
                    "uniqueness violation: '{}' with {} already declared",
                    unique.entity,
                    shown.join(",")
                ),
            )
        }
        other => (crate::entities::WHOLE.to_owned(), other.to_string()),
    };
    Problem { key: format!("{place}.{field}"), message }
}
