//! Stored entities as answers show them.

use serde_json::{Value, json};
use weir_kit::Timestamp;

use super::Era;
use crate::entities::{Entity, Object, Spelling};

/// How an answer is to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) era: Era,
    /// Whether plugins also show `config` as `value`, as up to Kong 0.4.
    pub(super) with_value: bool,
}

impl View {
    pub(super) fn show(self, entity: &Entity, body: &Value) -> Value {
        let Value::Object(body) = body else { return Value::Null };
        let mut shown = body.clone();
        match self.era {
            Era::Modern => modern(entity, &mut shown),
            Era::Legacy => legacy(entity, &mut shown),
        }
        if self.with_value
            && let Some(config) = shown.get("config").cloned()
        {
            shown.insert("value".to_owned(), config);
        }
        Value::Object(shown)
    }
}

fn modern(entity: &Entity, body: &mut Object) {
    for field in ["created_at", "updated_at"] {
        let Some(millis) = body.get(field).and_then(Value::as_i64) else { continue };
        let shown = if entity.name == "targets" {
            json!(millis as f64 / 1_000.0)
        } else {
            Timestamp::from_millis(millis).seconds().into()
        };
        body.insert(field.to_owned(), shown);
    }
    body.remove("spelling");
}

fn legacy(entity: &Entity, body: &mut Object) {
    for parent in entity.parents {
        let reference = body.remove(parent.field);
        if let Some(id) = reference.as_ref().and_then(|reference| reference.get("id")) {
            body.insert(format!("{}_id", parent.field), id.clone());
        }
    }
    body.remove("protocols");
    body.remove("updated_at");
    body.retain(|_, value| !value.is_null());
    if let Some(Value::Object(config)) = body.get_mut("config") {
        config.retain(|_, value| !value.is_null());
    }
    for (name, old) in Spelling::of(body).older_names() {
        let Some(value) = body.get(*name) else { continue };
        let single = value.as_array().and_then(|items| items.first()).unwrap_or(value).clone();
        body.insert((*old).to_owned(), single);
    }
    body.remove("spelling");
}
