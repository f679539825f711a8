//! Refusals in Kong's shapes: `code`, `name`, `message`, `fields` of Kong 0.13 and later, or a flat object of field and text
//! for `/apis` (`kong-admin-api`, section 2).

use http::StatusCode;
use serde_json::{Value, json};
use weir_kit::{Problem, schema};
use weir_state::StateError;

use super::Era;
use crate::entities::{Fault, Object, Unique, WHOLE};

/// Why a request is not done.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The entity cannot be changed so.
    Fault(Fault),
    /// No such entity, or no such path.
    NotFound,
    /// The path does not take this method.
    MethodNotAllowed,
    /// A cursor that was not given by us.
    BadOffset(String),
    /// A page size out of bounds.
    BadSize(String),
    /// Writing to a gateway that is configured by a file.
    ReadOnly { verb: &'static str, entity: &'static str },
    /// An id that exists.
    IdTaken(String),
    /// A declarative configuration with mistakes.
    Declarative(Object),
    /// Anything that only has words.
    Message(StatusCode, String),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::Fault(Fault::State(error))
    }
}

impl Refusal {
    pub(super) fn message(status: StatusCode, text: &str) -> Self {
        Self::Message(status, text.to_owned())
    }

    /// Status and body.
    pub(super) fn answer(self, era: Era) -> (StatusCode, Value) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, json!({"message": "Not found"})),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, json!({"message": "Method not allowed"}))
            }
            Self::Message(status, message) => (status, json!({"message": message})),
            Self::BadOffset(text) => coded(
                StatusCode::BAD_REQUEST,
                7,
                "invalid offset",
                format!("invalid offset: {text}"),
                json!({}),
            ),
            Self::BadSize(message) => coded(StatusCode::BAD_REQUEST, 9, "invalid size", message, json!({})),
            Self::ReadOnly { verb, entity } => coded(
                StatusCode::METHOD_NOT_ALLOWED,
                12,
                "operation unsupported",
                format!("cannot {verb} '{entity}' entities when not using a database"),
                json!({}),
            ),
            Self::IdTaken(id) => coded(
                StatusCode::BAD_REQUEST,
                3,
                "primary key violation",
                format!("primary key violation on key '{{id=\"{id}\"}}'"),
                json!({"id": id}),
            ),
            Self::Declarative(fields) => coded(
                StatusCode::BAD_REQUEST,
                14,
                "invalid declarative configuration",
                format!("declarative config is invalid: {}", Value::Object(fields.clone())),
                Value::Object(fields),
            ),
            Self::Fault(Fault::State(error)) => {
                tracing::error!(%error, "the state failed");
                (StatusCode::INTERNAL_SERVER_ERROR, json!({"message": "An unexpected error occurred"}))
            }
            Self::Fault(fault) => match era {
                Era::Modern => modern(fault),
                Era::Legacy => legacy(fault),
            },
        }
    }
}

fn coded(status: StatusCode, code: u8, name: &str, message: String, fields: Value) -> (StatusCode, Value) {
    (status, json!({"code": code, "name": name, "message": message, "fields": fields}))
}

fn modern(fault: Fault) -> (StatusCode, Value) {
    match fault {
        Fault::Invalid(problems) => {
            let (message, fields) = (violations(&problems), Value::Object(tree(&problems)));
            coded(StatusCode::BAD_REQUEST, 2, "schema violation", message, fields)
        }
        Fault::MissingParent { field, entity, key } => {
            let message =
                format!("the foreign key '{{{key}}}' does not reference an existing '{entity}' entity.");
            let (name, value) = key.split_once('=').unwrap_or(("id", key.as_str()));
            let fields = json!({field: {name: value.trim_matches('"')}});
            coded(StatusCode::BAD_REQUEST, 4, "foreign key violation", message, fields)
        }
        Fault::Referenced { by, entity } => {
            let message = format!("an existing '{by}' entity references this '{entity}' entity");
            coded(StatusCode::BAD_REQUEST, 4, "foreign key violation", message, json!({"@referenced_by": by}))
        }
        Fault::NotUnique(Unique { fields, .. }) => {
            let shown: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", lua(value))).collect();
            let message = format!("UNIQUE violation detected on '{{{}}}'", shown.join(","));
            let fields = Value::Object(fields.into_iter().collect());
            coded(StatusCode::CONFLICT, 5, "unique constraint violation", message, fields)
        }
        // Answered before.
        Fault::State(error) => {
            coded(StatusCode::INTERNAL_SERVER_ERROR, 8, "database error", error.to_string(), json!({}))
        }
    }
}

/// Values as Kong's messages show them.
fn lua(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let shown: Vec<String> =
                members.iter().map(|(name, value)| format!("{name}={}", lua(value))).collect();
            format!("{{{}}}", shown.join(","))
        }
        other => other.to_string(),
    }
}

/// `schema violation (host: required field missing)`
fn violations(problems: &[Problem]) -> String {
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| match problem.key.as_str() {
            WHOLE => problem.message.clone(),
            key => format!("{key}: {}", problem.message),
        })
        .collect();
    match shown.len() {
        1 => format!("schema violation ({})", shown.join("; ")),
        count => format!("{count} schema violations ({})", shown.join("; ")),
    }
}

/// Mistakes by field, nested; items of lists in their places, those of a whole as a list.
pub(crate) fn tree(problems: &[Problem]) -> Object {
    let mut root = Value::Object(Object::new());
    for problem in problems {
        let steps: Vec<&str> = problem.key.split('.').collect();
        graft(&mut root, &steps, &problem.message);
    }
    match root {
        Value::Object(root) => root,
        _ => Object::new(),
    }
}

fn graft(place: &mut Value, steps: &[&str], message: &str) {
    /// Longest list of nulls before a message.
    const LONGEST: usize = 1_000;
    let Some((step, rest)) = steps.split_first() else {
        if place.is_null() {
            *place = message.into();
        }
        return;
    };
    if *step == WHOLE {
        let list = member(place, WHOLE);
        match list {
            Some(Value::Array(items)) => items.push(message.into()),
            Some(list) => *list = json!([message]),
            None => {}
        }
        return;
    }
    // Items count from 1.
    let index = step.parse::<usize>().ok().filter(|index| (1..=LONGEST).contains(index));
    let next = match (index, &mut *place) {
        (Some(index), Value::Null | Value::Array(_)) => {
            if place.is_null() {
                *place = json!([]);
            }
            let Value::Array(items) = place else { return };
            items.resize(items.len().max(index), Value::Null);
            items.get_mut(index - 1)
        }
        _ => member(place, step),
    };
    if let Some(next) = next {
        graft(next, rest, message);
    }
}

/// The member of an object, made if need be; `None` when something else stands there.
fn member<'a>(place: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    if place.is_null() {
        *place = json!({});
    }
    Some(place.as_object_mut()?.entry(name).or_insert(Value::Null))
}

fn legacy(fault: Fault) -> (StatusCode, Value) {
    match fault {
        Fault::Invalid(problems) => {
            let members = problems.iter().map(|problem| {
                let key = if problem.key == WHOLE { "message" } else { problem.key.as_str() };
                (key.to_owned(), Value::from(legacy_message(problem)))
            });
            (StatusCode::BAD_REQUEST, Value::Object(members.collect()))
        }
        Fault::MissingParent { field, key, .. } => {
            let value = key.split_once('=').map_or(key.as_str(), |(_, value)| value).trim_matches('"');
            let text = format!("does not exist with value '{value}'");
            (StatusCode::NOT_FOUND, json!({format!("{field}_id"): text}))
        }
        Fault::NotUnique(Unique { fields, .. }) => {
            let taken = fields.iter().find(|(name, _)| name == "name").or(fields.first());
            let (name, value) =
                taken.map_or(("id", ""), |(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
            (StatusCode::CONFLICT, json!({name: format!("already exists with value '{value}'")}))
        }
        fault @ (Fault::Referenced { .. } | Fault::State(_)) => {
            (StatusCode::BAD_REQUEST, json!({"message": fault.to_string()}))
        }
    }
}

/// Kong 0.x named the field again in its words.
fn legacy_message(problem: &Problem) -> String {
    let field = problem.key.rsplit('.').next().unwrap_or_default();
    let message = problem.message.as_str();
    let begins = |start: &str| message.starts_with(start);
    match message {
        schema::REQUIRED => format!("{field} is required"),
        schema::UNKNOWN => format!("{field} is an unknown field"),
        _ if begins("expected a number") || begins("expected an integer") => {
            format!("{field} is not a number")
        }
        _ if begins("expected a boolean") => format!("{field} is not a boolean"),
        _ if begins("expected a string") => format!("{field} is not a string"),
        _ if begins("expected an array") => format!("{field} is not an array"),
        _ if begins("expected an http or https URL") => format!("{field} is not a url"),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(key: &str, message: &str) -> Problem {
        Problem { key: key.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn mistakes_have_two_shapes() {
        let problems = vec![
            problem("config.service_token", schema::REQUIRED),
            problem("config.foo", schema::UNKNOWN),
            problem("paths.2", "should start with: /"),
            problem(WHOLE, "must set one of"),
        ];
        let (status, body) = Refusal::Fault(Fault::Invalid(problems.clone())).answer(Era::Modern);
        assert_eq!(status, 400);
        assert_eq!(
            body,
            json!({"code": 2, "name": "schema violation", "message": "4 schema violations \
                (config.service_token: required field missing; config.foo: unknown field; paths.2: should start with: /; \
                must set one of)",
                "fields": {"config": {"service_token": "required field missing", "foo": "unknown field"},
                    "paths": [null, "should start with: /"], "@entity": ["must set one of"]}})
        );
        let (_, body) = Refusal::Fault(Fault::Invalid(problems)).answer(Era::Legacy);
        assert_eq!(
            body,
            json!({"config.service_token": "service_token is required", "config.foo": "foo is an unknown field",
                "paths.2": "should start with: /", "message": "must set one of"})
        );
    }
}
