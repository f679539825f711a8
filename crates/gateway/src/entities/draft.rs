//! From what somebody sent to a complete, checked entity.

use serde_json::Value;
use uuid::Uuid;
use weir_kit::{FieldKind, FieldSpec, Problem, Timestamp, schema};

use super::checks::problem;
use super::{Context, Entity, Object};

/// What somebody sent, on its way to an entity.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its members.
    pub given: Object,
    /// Whether text stands for other types too, as in forms.
    pub textual: bool,
    /// What is there already, when this is a change of it.
    pub stored: Option<&'a Object>,
    /// The mistakes found so far.
    pub problems: Vec<Problem>,
}

impl Entity {
    /// A new entity from what was sent: defaults filled in, everything checked.
    ///
    /// # Errors
    /// All mistakes.
    pub fn create(
        &self,
        given: Object,
        textual: bool,
        context: &Context<'_>,
    ) -> Result<Object, Vec<Problem>> {
        let draft = self.shape(Draft { given, textual, stored: None, problems: Vec::new() }, context);
        self.finish(draft.given, draft.problems, context)
    }

    /// A stored entity with what was sent laid over it: records by field, everything else whole; null unsets.
    ///
    /// # Errors
    /// All mistakes.
    pub fn patch(
        &self,
        stored: &Object,
        given: Object,
        textual: bool,
        context: &Context<'_>,
    ) -> Result<Object, Vec<Problem>> {
        let draft = Draft { given, textual, stored: Some(stored), problems: Vec::new() };
        let mut draft = self.shape(draft, context);
        if let Some(id) = draft.given.remove("id")
            && Some(&id) != stored.get("id")
        {
            draft.problems.push(problem("id", "cannot be changed"));
        }
        draft.given.remove("updated_at");
        let mut merged = stored.clone();
        let config = draft.given.remove("config").filter(|_| self.name == "plugins");
        merge(self.fields, &mut merged, draft.given);
        if let Some(Value::Object(config)) = config {
            let name = merged.get("name").and_then(Value::as_str).unwrap_or_default();
            let fields = context.plugins.fields(name).unwrap_or_default();
            if let Some(Value::Object(old)) = merged.get_mut("config") {
                merge(fields, old, config);
            }
        }
        self.finish(merged, draft.problems, context)
    }

    /// Other spellings, references and text brought into shape.
    fn shape<'a>(&self, mut draft: Draft<'a>, context: &Context<'_>) -> Draft<'a> {
        for parent in self.parents {
            take_reference(parent.field, &mut draft);
        }
        (self.reshape)(&mut draft, context);
        let given = std::mem::take(&mut draft.given);
        draft.given = rename(self.fields, given, "", &mut draft.problems);
        if draft.textual
            && let Value::Object(converted) = schema::convert(self.fields, Value::Object(draft.given.clone()))
        {
            draft.given = converted;
        }
        if draft.textual
            && let Some(tags) = draft.given.remove("tags")
        {
            let tags = schema::convert_value(&FieldKind::Set(&FieldKind::Text), tags);
            draft.given.insert("tags".to_owned(), tags);
        }
        draft
    }

    /// The table and the entity's own check, over members in their own names and types.
    fn finish(
        &self,
        mut given: Object,
        mut problems: Vec<Problem>,
        context: &Context<'_>,
    ) -> Result<Object, Vec<Problem>> {
        let mut common = Object::new();
        common.insert("id".to_owned(), take_id(&mut given, &mut problems));
        let created = take_time(&mut given, "created_at").unwrap_or(context.now);
        common.insert("created_at".to_owned(), created.millis().into());
        given.remove("updated_at");
        common.insert("updated_at".to_owned(), context.now.millis().into());
        common.insert("tags".to_owned(), take_tags(&mut given, &mut problems));
        for parent in self.parents {
            let reference = given.remove(parent.field).unwrap_or_default();
            if parent.required && reference.is_null() {
                problems.push(problem(parent.field, schema::REQUIRED));
            }
            common.insert(parent.field.to_owned(), reference);
        }
        // The entity's own check looks at the fields that are right, so it runs beside mistakes of the table.
        let mut checked = match schema::check_typed(self.fields, Value::Object(given.clone())) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => Object::new(),
            Err(error) => {
                let wrong = |name: &str| {
                    error.problems.iter().any(|problem| problem.key.split('.').next() == Some(name))
                };
                given.retain(|name, _| !wrong(name));
                problems.extend(error.problems.iter().cloned());
                given
            }
        };
        checked.extend(common);
        (self.check)(&mut checked, context, &mut problems);
        if problems.is_empty() {
            return Ok(checked);
        }
        problems.sort_by(|a, b| a.key.cmp(&b.key));
        problems.dedup();
        Err(problems)
    }
}

/// The id in a stored body.
pub(crate) fn id_of(body: &Object) -> Option<Uuid> {
    body.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok())
}

/// Adds a member unless it is there with another value, which is a mistake.
pub(super) fn put_once(
    object: &mut Object,
    prefix: &str,
    name: String,
    value: Value,
    problems: &mut Vec<Problem>,
) {
    match object.get(&name) {
        Some(other) if *other != value && !value.is_null() => {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            problems.push(problem(key, "given twice with different values"));
        }
        Some(_) => {}
        None => {
            object.insert(name, value);
        }
    }
}

/// Gives every member the name of its field.
pub(super) fn rename(
    fields: &[FieldSpec],
    given: Object,
    prefix: &str,
    problems: &mut Vec<Problem>,
) -> Object {
    let mut renamed = Object::new();
    for (name, value) in given {
        let name = schema::named(fields, &name).map_or(name, |field| field.name.to_owned());
        // `hosts=a` and `request_host=["a"]` agree.
        let value = match schema::named(fields, &name).map(|field| field.kind) {
            Some(kind @ FieldKind::Array(_)) if renamed.contains_key(&name) => {
                schema::convert_value(&kind, value)
            }
            _ => value,
        };
        put_once(&mut renamed, prefix, name, value, problems);
    }
    renamed
}

/// Lays `new` over `old`: records by field, everything else whole; null unsets.
fn merge(fields: &[FieldSpec], old: &mut Object, new: Object) {
    for (name, value) in new {
        let record = match schema::named(fields, &name).map(|field| field.kind) {
            Some(FieldKind::Record(inner)) => Some(inner),
            _ => None,
        };
        match (record, old.get_mut(&name), value) {
            (Some(inner), Some(Value::Object(old)), Value::Object(new)) => merge(inner, old, new),
            (_, _, Value::Null) => {
                old.remove(&name);
            }
            (_, _, value) => {
                old.insert(name, value);
            }
        }
    }
}

/// Brings `service_id=x`, `service=x`, `service.id=x` and `service.name=x` into `{"id": x}` or `{"name": x}`.
fn take_reference(field: &str, draft: &mut Draft<'_>) {
    let flat = draft.given.remove(&format!("{field}_id"));
    let nested = draft.given.remove(field);
    let unset = matches!((&flat, &nested), (Some(Value::Null), _) | (_, Some(Value::Null)));
    let flat = flat.filter(|value| !value.is_null());
    let nested = nested.filter(|value| !value.is_null());
    let reference = match (flat, nested) {
        (None, None) if unset => Value::Null,
        (None, None) => return,
        (Some(id), None) => by_id(id),
        (None, Some(Value::Object(object))) if object.values().all(Value::is_null) => Value::Null,
        (None, Some(Value::Object(object))) => Value::Object(object),
        (None, Some(text)) => by_id_or_name(text),
        (Some(id), Some(other)) => {
            let other = if other.is_object() { other } else { by_id_or_name(other) };
            if by_id(id.clone()) != other {
                draft.problems.push(problem(field, format!("{field} and {field}_id name different ones")));
            }
            other
        }
    };
    let known =
        |object: &Object| object.keys().all(|name| matches!(name.as_str(), "id" | "name" | "username"));
    match &reference {
        Value::Object(object) if !known(object) => draft.problems.push(problem(field, schema::UNKNOWN)),
        Value::Object(object) => {
            let id = object.get("id");
            if id.is_some_and(|id| id.as_str().is_none_or(|id| id.parse::<Uuid>().is_err())) {
                draft.problems.push(problem(format!("{field}.id"), "expected a valid UUID"));
            }
        }
        _ => {}
    }
    draft.given.insert(field.to_owned(), reference);
}

fn by_id(id: Value) -> Value {
    Value::Object(Object::from_iter([("id".to_owned(), id)]))
}

fn by_id_or_name(text: Value) -> Value {
    let is_id = text.as_str().is_some_and(|text| text.parse::<Uuid>().is_ok());
    if is_id { by_id(text) } else { Value::Object(Object::from_iter([("name".to_owned(), text)])) }
}

fn take_id(given: &mut Object, problems: &mut Vec<Problem>) -> Value {
    match given.remove("id") {
        None | Some(Value::Null) => Uuid::new_v4().to_string().into(),
        Some(given) => match given.as_str().map(str::parse::<Uuid>) {
            Some(Ok(id)) => id.to_string().into(),
            _ => {
                problems.push(problem("id", "expected a valid UUID"));
                Value::Null
            }
        },
    }
}

/// A time in seconds or milliseconds: nothing was configured before 1973 or will be after the year 5000.
fn take_time(given: &mut Object, field: &str) -> Option<Timestamp> {
    const FIRST_MILLIS: f64 = 1e11;
    let number = match given.remove(field)? {
        Value::String(text) => text.parse().ok()?,
        value => value.as_f64()?,
    };
    let millis = if number < FIRST_MILLIS { number * 1_000.0 } else { number };
    (millis.is_finite() && millis >= 0.0).then(|| Timestamp::from_millis(millis as i64))
}

fn take_tags(given: &mut Object, problems: &mut Vec<Problem>) -> Value {
    let tags = given.remove("tags").unwrap_or_default();
    let Value::Array(items) = &tags else {
        if !tags.is_null() {
            problems.push(problem("tags", "expected a set"));
        }
        return Value::Null;
    };
    let mut kept: Vec<Value> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let good =
            |tag: &str| !tag.is_empty() && !tag.contains([',', '/']) && !tag.chars().any(char::is_control);
        match item.as_str() {
            Some(tag) if good(tag) => {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            _ => problems.push(problem(
                format!("tags.{}", index + 1),
                format!("invalid tag {item}: expected printable characters except `,` and `/`"),
            )),
        }
    }
    Value::Array(kept)
}
