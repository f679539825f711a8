//! `attributes`: puts facts about an API on the records of its calls, those that were refused included.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;
use weir_kit::{ConfigError, FieldKind, FieldSpec};
use weir_model::Value;

use super::{Call, Configured, Notes, Phases, Plugin, PluginKind};

const FIELDS: &[FieldSpec] = &[FieldSpec {
    required: true,
    ..FieldSpec::new(
        "attributes",
        FieldKind::Map(&FieldKind::Any),
        "by name, what every record says: text, numbers, true or false, or JSON",
    )
}];

pub(super) const KIND: PluginKind = PluginKind {
    name: "attributes",
    priority: 100_001,
    authenticates: false,
    adds_up: true,
    about: "puts attributes on the records of calls, such as the id of the API",
    fields: FIELDS,
    build,
};

struct FixedAttributes {
    id: Arc<str>,
    attributes: Vec<(String, Value)>,
}

fn build(configured: Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError> {
    let given = configured.config.get("attributes").and_then(Json::as_object);
    let read = |(name, value): (&String, &Json)| match value {
        _ if name.is_empty() => Err(ConfigError::one("attributes", "a name is empty")),
        Json::Null => Err(ConfigError::one(format!("attributes.{name}"), "expected a value, not null")),
        value => Ok((name.clone(), recorded(value))),
    };
    let attributes = given.into_iter().flatten().map(read).collect::<Result<_, _>>()?;
    Ok(Arc::new(FixedAttributes { id: configured.id, attributes }))
}

fn recorded(value: &Json) -> Value {
    match value {
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => text.as_str().into(),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        other => Value::Json(other.to_string().into()),
    }
}

#[async_trait(?Send)]
impl Plugin for FixedAttributes {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::RECORD
    }

    /// Narrower scopes come later, and have the last word on a name.
    fn annotate(&self, _call: &Call, notes: &mut Notes) {
        for (name, value) in &self.attributes {
            notes.attributes.set(name.clone(), value.clone());
        }
    }
}
