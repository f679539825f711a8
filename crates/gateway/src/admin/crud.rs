//! Making, reading, changing and deleting any entity.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use weir_kit::{FieldKind, FieldSpec, schema};
use weir_state::{Reader, Stored, Writer};

use super::error::Refusal;
use super::form::split_list;
use super::resource::Below;
use super::view::View;
use super::{Answered, Call, Era, Inner};
use crate::entities::{Context, Entity, Fault, Object, Parent, Repository, find};

impl Call {
    fn view(&self) -> View {
        View { era: self.era, with_value: self.with_value }
    }

    /// Whether text stands for other types: in forms, and up to Kong 0.14 in JSON too.
    fn textual(&self) -> bool {
        self.given.textual || self.era == Era::Legacy
    }
}

impl Inner {
    pub(super) fn collection(&self, call: &Call, entity: &'static Entity, below: Option<&Below>) -> Answered {
        match call.method {
            Method::POST => self.create(call, entity, below),
            Method::PUT => self.put_collection(call, entity, below),
            _ => self.list(call, entity, below),
        }
    }

    pub(super) fn item(
        &self,
        call: &Call,
        entity: &'static Entity,
        key: &str,
        below: Option<&Below>,
    ) -> Answered {
        match call.method {
            Method::PUT => self.upsert(call, entity, key, below),
            Method::PATCH => self.patch(call, entity, key, below),
            Method::DELETE => self.delete(call, entity, key, below),
            _ => {
                let found = self.state.read(|reader| {
                    let parent = parent_id(reader, below)?;
                    locate(reader, entity, key, parent.as_ref(), call.era)
                })?;
                Ok((StatusCode::OK, call.view().show(entity, &found.ok_or(Refusal::NotFound)?.body)))
            }
        }
    }

    /// The parent of an entity: read or changed through its child.
    pub(super) fn above(
        &self,
        call: &Call,
        entity: &'static Entity,
        key: &str,
        parent: &'static Parent,
    ) -> Answered {
        let found = self.state.read(|reader| locate(reader, entity, key, None, call.era))?;
        let found = found.ok_or(Refusal::NotFound)?;
        let id = found.body.get(parent.field).and_then(|reference| reference.get("id"));
        let id = id.and_then(Value::as_str).ok_or(Refusal::NotFound)?.to_owned();
        let above = Entity::named(parent.entity).ok_or(Refusal::NotFound)?;
        self.item(call, above, &id, None)
    }

    fn create(&self, call: &Call, entity: &'static Entity, below: Option<&Below>) -> Answered {
        self.refuse_if_declarative("create", entity)?;
        let body = self.change(|repository, writer, context| {
            let mut given = self.given(call, entity, None)?;
            set_parent(&mut given, writer, below)?;
            // A target that exists is given its new weight.
            if entity.name == "targets"
                && let Some(body) = existing_target(call, &given, writer, repository, context)?
            {
                return Ok(body);
            }
            let mut body = complete(call, entity, given, context)?;
            let id = id_text(&body);
            if let Ok(id) = id.parse::<Uuid>()
                && writer.get(entity.name, id)?.is_some()
            {
                return Err(Refusal::IdTaken(id.to_string()));
            }
            repository.put(entity, &mut body)?;
            Ok(body)
        })?;
        Ok((StatusCode::CREATED, call.view().show(entity, &Value::Object(body))))
    }

    /// Up to 0.14: replace by the id in the body, or insert.
    fn put_collection(&self, call: &Call, entity: &'static Entity, below: Option<&Below>) -> Answered {
        match call.given.object.get("id").and_then(Value::as_str) {
            None => self.create(call, entity, below),
            Some(id) => {
                let id = id.to_owned();
                let exists = self.state.read(|reader| find(reader, Some(entity), &id))?.is_some();
                if exists { self.upsert(call, entity, &id, below) } else { Err(Refusal::NotFound) }
            }
        }
    }

    fn upsert(&self, call: &Call, entity: &'static Entity, key: &str, below: Option<&Below>) -> Answered {
        self.refuse_if_declarative("create or update", entity)?;
        let body = self.change(|repository, writer, context| {
            let mut given = self.given(call, entity, None)?;
            set_parent(&mut given, writer, below)?;
            let parent = parent_id(writer, below)?;
            let existing = locate(writer, entity, key, parent.as_ref(), call.era)?;
            match (&existing, key.parse::<Uuid>()) {
                (Some(stored), _) => {
                    given.insert("id".to_owned(), stored.id.to_string().into());
                    let created = stored.body.get("created_at").cloned().unwrap_or_default();
                    given.insert("created_at".to_owned(), created);
                }
                (None, Ok(id)) => {
                    given.insert("id".to_owned(), id.to_string().into());
                }
                (None, Err(_)) => {}
            }
            // The name in the path is the name, unless the body gives another.
            if key.parse::<Uuid>().is_err() {
                let field = entity.key.ok_or(Refusal::NotFound)?;
                given.entry(field).or_insert_with(|| key.into());
            }
            let mut body = complete(call, entity, given, context)?;
            repository.put(entity, &mut body)?;
            Ok(body)
        })?;
        Ok((StatusCode::OK, call.view().show(entity, &Value::Object(body))))
    }

    fn patch(&self, call: &Call, entity: &'static Entity, key: &str, below: Option<&Below>) -> Answered {
        self.refuse_if_declarative("update", entity)?;
        if call.era == Era::Legacy && call.given.object.is_empty() {
            return Err(Refusal::message(StatusCode::BAD_REQUEST, "empty body"));
        }
        let body = self.change(|repository, writer, context| {
            let parent = parent_id(writer, below)?;
            let stored = locate(writer, entity, key, parent.as_ref(), call.era)?;
            let Value::Object(stored) = stored.ok_or(Refusal::NotFound)?.body else {
                return Err(Refusal::NotFound);
            };
            let given = self.given(call, entity, Some(&stored))?;
            let mut body = entity.patch(&stored, given, call.textual(), context).map_err(Fault::Invalid)?;
            repository.put(entity, &mut body)?;
            Ok(body)
        })?;
        Ok((StatusCode::OK, call.view().show(entity, &Value::Object(body))))
    }

    fn delete(&self, call: &Call, entity: &'static Entity, key: &str, below: Option<&Below>) -> Answered {
        self.refuse_if_declarative("delete", entity)?;
        let strict = call.era == Era::Legacy || below.is_some();
        self.change(|repository, writer, _context| {
            let parent = parent_id(writer, below)?;
            match locate(writer, entity, key, parent.as_ref(), call.era)? {
                Some(stored) => repository.delete(entity, stored.id).map(|_| ()).map_err(Refusal::from),
                None if strict => Err(Refusal::NotFound),
                None => Ok(()),
            }
        })?;
        Ok((StatusCode::NO_CONTENT, Value::Null))
    }

    fn refuse_if_declarative(&self, verb: &'static str, entity: &Entity) -> Result<(), Refusal> {
        if self.declarative { Err(Refusal::ReadOnly { verb, entity: entity.name }) } else { Ok(()) }
    }

    /// What was sent; up to 0.14, lists as text with commas.
    fn given(
        &self,
        call: &Call,
        entity: &'static Entity,
        stored: Option<&Object>,
    ) -> Result<Object, Refusal> {
        let mut given = call.given.object.clone();
        if call.era == Era::Legacy {
            split_lists(entity.fields, &mut given);
            let name = given.get("name").or_else(|| stored?.get("name")).and_then(Value::as_str);
            if let Some(fields) =
                name.and_then(|name| self.registry.fields(name)).filter(|_| entity.name == "plugins")
            {
                for member in ["config", "value"] {
                    if let Some(Value::Object(config)) = given.get_mut(member) {
                        split_lists(fields, config);
                    }
                }
            }
        }
        Ok(given)
    }

    /// Targets with their health. Nothing checks it, and the answer says so.
    pub(super) fn upstream_health(&self, upstream: &str) -> Answered {
        let entity = Entity::named("targets").ok_or(Refusal::NotFound)?;
        let targets = self.state.read(|reader| {
            let found = find(reader, Entity::named("upstreams"), upstream)?.ok_or(Refusal::NotFound)?;
            let own = found.id.to_string();
            Ok::<_, Refusal>(reader.list_by("targets", ("upstream", &own), 0, usize::MAX)?.records)
        })?;
        let view = View { era: Era::Modern, with_value: false };
        let shown = targets.iter().map(|target| {
            let mut shown = view.show(entity, &target.body);
            if let Value::Object(members) = &mut shown {
                members.insert("health".to_owned(), "HEALTHCHECKS_OFF".into());
            }
            shown
        });
        let shown: Vec<Value> = shown.collect();
        Ok((StatusCode::OK, json!({"data": shown, "next": null, "node_id": self.node.node_id})))
    }
}

/// Completes and checks what was sent.
fn complete(
    call: &Call,
    entity: &'static Entity,
    given: Object,
    context: &Context<'_>,
) -> Result<Object, Refusal> {
    let completed = entity.create(given, call.textual(), context);
    Ok(completed.map_err(Fault::Invalid)?)
}

/// A target that is there already, with what was sent laid over it.
fn existing_target(
    call: &Call,
    given: &Object,
    writer: &Writer<'_>,
    repository: Repository<'_>,
    context: &Context<'_>,
) -> Result<Option<Object>, Refusal> {
    let Some(entity) = Entity::named("targets") else { return Ok(None) };
    let body = complete(call, entity, given.clone(), context)?;
    let upstream = body.get("upstream").and_then(|reference| reference.get("id")).and_then(Value::as_str);
    let (Some(upstream), Some(target)) = (upstream, body.get("target").and_then(Value::as_str)) else {
        return Ok(None);
    };
    let Some(stored) = locate(writer, entity, target, Some(&("upstream", upstream.to_owned())), call.era)?
    else {
        return Ok(None);
    };
    let Value::Object(stored) = stored.body else { return Ok(None) };
    let mut body = entity.patch(&stored, given.clone(), call.textual(), context).map_err(Fault::Invalid)?;
    repository.put(entity, &mut body)?;
    Ok(Some(body))
}

fn split_lists(fields: &[FieldSpec], object: &mut Object) {
    for (name, value) in object.iter_mut() {
        let kind = schema::named(fields, name).map(|field| field.kind);
        if let (Some(FieldKind::Array(_) | FieldKind::Set(_)), Value::String(text)) = (kind, &value) {
            *value = split_list(text).into();
        }
    }
}

fn id_text(body: &Object) -> &str {
    body.get("id").and_then(Value::as_str).unwrap_or_default()
}

/// The field that refers to the parent of the path, with the parent's id.
pub(super) fn parent_id(
    reader: &Reader<'_>,
    below: Option<&Below>,
) -> Result<Option<(&'static str, String)>, Refusal> {
    let Some(below) = below else { return Ok(None) };
    let parent = find(reader, Some(below.entity), &below.key)?.ok_or(Refusal::NotFound)?;
    Ok(Some((below.field, parent.id.to_string())))
}

/// The parent of the path becomes the parent of the entity.
fn set_parent(given: &mut Object, reader: &Reader<'_>, below: Option<&Below>) -> Result<(), Refusal> {
    if let Some((field, id)) = parent_id(reader, below)? {
        given.remove(&format!("{field}_id"));
        given.insert(field.to_owned(), json!({"id": id}));
    }
    Ok(())
}

/// The entity of a path, if it belongs to the parent of the path.
fn locate(
    reader: &Reader<'_>,
    entity: &'static Entity,
    key: &str,
    parent: Option<&(&'static str, String)>,
    era: Era,
) -> Result<Option<Stored>, Refusal> {
    let belongs = |stored: &Stored| {
        parent.is_none_or(|(field, id)| {
            let own = stored.body.get(field).and_then(|reference| reference.get("id"));
            own.and_then(Value::as_str) == Some(id)
        })
    };
    let found = find(reader, Some(entity), key)?.filter(belongs);
    let Some((field, id)) = parent.filter(|_| found.is_none()) else { return Ok(found) };
    // Up to 0.4 the plugins of an API were named by the plugin; targets have no key of their own across upstreams.
    let by = match entity.name {
        "plugins" if era == Era::Legacy => "name",
        "targets" => "target",
        _ => return Ok(None),
    };
    let siblings = reader.list_by(entity.name, (field, id), 0, usize::MAX)?.records;
    Ok(siblings.into_iter().find(|stored| stored.body.get(by).and_then(Value::as_str) == Some(key)))
}
