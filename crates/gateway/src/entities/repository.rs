//! Entities in the state: references resolved and checked, uniqueness, deletion with what hangs below.

use serde_json::Value;
use uuid::Uuid;
use weir_kit::Problem;
use weir_state::{Reader, Record, StateError, Stored, Writer};

use super::checks::problem;
use super::{Entity, Object, OnDelete, id_of};

/// Why an entity cannot be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Mistakes in what was sent.
    #[error("{}", .0.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// A reference leads nowhere.
    #[error("{field} does not exist: {key}")]
    MissingParent {
        /// The field that refers.
        field: &'static str,
        /// The collection it should point into.
        entity: &'static str,
        /// What was given: `id="..."` or `name="..."`.
        key: String,
    },
    /// Others still refer to it.
    #[error("an existing '{by}' entity references this '{entity}' entity")]
    Referenced {
        /// The collection of the others.
        by: &'static str,
        /// Its own collection.
        entity: &'static str,
    },
    /// Another one has these values.
    #[error("{} is taken", .0.fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))]
    NotUnique(Unique),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Values that another entity of the collection has already.
#[derive(Debug, Clone, PartialEq)]
pub struct Unique {
    /// The collection.
    pub entity: &'static str,
    /// Fields, sorted, with their values.
    pub fields: Vec<(String, Value)>,
}

/// Between values of a name made of several; never part of a value that passed the checks.
const SEPARATOR: &str = "\u{1f}";

/// Entities inside one transaction.
#[derive(Debug, Clone, Copy)]
pub struct Repository<'a> {
    writer: &'a Writer<'a>,
}

impl<'a> Repository<'a> {
    /// Works inside this transaction.
    pub fn new(writer: &'a Writer<'a>) -> Self {
        Self { writer }
    }

    /// Keeps a new entity, or the new content of one that exists.
    ///
    /// # Errors
    /// References that lead nowhere, values that are taken.
    pub fn put(&self, entity: &'static Entity, body: &mut Object) -> Result<(), Fault> {
        for parent in entity.parents {
            if let Some(reference) = body.get_mut(parent.field).filter(|value| !value.is_null()) {
                *reference = self.resolve(parent.field, parent.entity, reference)?;
            }
        }
        let id = id_of(body).ok_or_else(|| Fault::Invalid(vec![problem("id", "expected a valid UUID")]))?;
        let unique = unique_names(entity, body);
        for (name, value) in &unique {
            if let Some(other) = self.writer.find(entity.name, name, value)?
                && other.id != id
            {
                let value = |field: &str| (field.to_owned(), body.get(field).cloned().unwrap_or_default());
                let fields = name.split(',').map(value).collect();
                return Err(Fault::NotUnique(Unique { entity: entity.name, fields }));
            }
        }
        let record =
            Record { id, body: Value::Object(body.clone()), unique, index: index_names(entity, body) };
        self.writer.put(entity.name, &record)?;
        Ok(())
    }

    /// Deletes an entity with its children.
    ///
    /// # Errors
    /// [`Fault::Referenced`] by children that must not be orphaned.
    pub fn delete(&self, entity: &'static Entity, id: Uuid) -> Result<bool, Fault> {
        let own = id.to_string();
        for (child, parent) in entity.children() {
            let below = self.writer.list_by(child.name, (parent.field, &own), 0, usize::MAX)?.records;
            if parent.on_delete == OnDelete::Refuse && !below.is_empty() {
                return Err(Fault::Referenced { by: child.name, entity: entity.name });
            }
            for record in below {
                self.delete(child, record.id)?;
            }
        }
        Ok(self.writer.delete(entity.name, id)?)
    }

    /// The reference by id for one by id or name.
    fn resolve(&self, field: &'static str, entity: &'static str, reference: &Value) -> Result<Value, Fault> {
        let text = |member: &str| reference.get(member).and_then(Value::as_str);
        let found = match (text("id"), text("name").or_else(|| text("username"))) {
            (Some(id), _) => match id.parse() {
                Ok(id) => self.writer.get(entity, id)?,
                Err(_) => None,
            },
            (None, Some(name)) => find(self.writer, Entity::named(entity), name)?,
            (None, None) => None,
        };
        match found {
            Some(found) => {
                Ok(Value::Object(Object::from_iter([("id".to_owned(), found.id.to_string().into())])))
            }
            None => {
                let members = reference.as_object().into_iter().flatten();
                let key =
                    members.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",");
                Err(Fault::MissingParent { field, entity, key })
            }
        }
    }
}

/// The entity that a path segment or reference names: by id, else by its key.
pub(crate) fn find(
    reader: &Reader<'_>,
    entity: Option<&'static Entity>,
    key: &str,
) -> Result<Option<Stored>, StateError> {
    let Some(entity) = entity else { return Ok(None) };
    if let Ok(id) = key.parse::<Uuid>() {
        let by_id = reader.get(entity.name, id)?;
        // A key may look like an id.
        if by_id.is_some() || entity.name != "keyauth_credentials" {
            return Ok(by_id);
        }
    }
    let Some(field) = entity.key else { return Ok(None) };
    if entity.unique.contains(&[field].as_slice()) {
        return reader.find(entity.name, field, key);
    }
    Ok(reader.list_by(entity.name, (field, key), 0, 1)?.records.into_iter().next())
}

fn unique_names(entity: &Entity, body: &Object) -> Vec<(String, String)> {
    let sets = entity.unique.iter().filter(|set| {
        // A single unset field is shared by many; unset members of a set are part of it.
        set.len() > 1 || set.iter().any(|field| body.get(*field).is_some_and(|value| !value.is_null()))
    });
    sets.map(|set| {
        let values: Vec<String> = set.iter().map(|field| flat(body.get(*field))).collect();
        (set.join(","), values.join(SEPARATOR))
    })
    .collect()
}

/// Parents and tags, and the key where it is not unique by itself.
fn index_names(entity: &Entity, body: &Object) -> Vec<(String, String)> {
    let parents = entity.parents.iter().map(|parent| (parent.field.to_owned(), flat(body.get(parent.field))));
    let parents = parents.filter(|(_, id)| !id.is_empty());
    let tags = body.get("tags").and_then(Value::as_array).into_iter().flatten();
    let tags = tags.filter_map(Value::as_str).map(|tag| ("tag".to_owned(), tag.to_owned()));
    let key = entity.key.filter(|key| !entity.unique.contains(&[*key].as_slice()));
    let key = key.map(|key| (key.to_owned(), flat(body.get(key))));
    parents.chain(tags).chain(key).collect()
}

fn flat(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(reference)) => flat(reference.get("id")),
        Some(other) => other.to_string(),
    }
}
