//! One type for every plug-in point: a name, a settings schema, a constructor.
//!
//! Each point keeps a `static` slice of [`Kind`]s sorted by name. Settings validation, the Admin API's schemas, forms in
//! the page, documents and contract tests all walk that slice.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::schema::FieldSpec;

/// One implementation that settings can name.
pub struct Kind<T: ?Sized + 'static> {
    /// The name as written in settings and in the Admin API.
    pub name: &'static str,
    /// Its settings.
    pub fields: &'static [FieldSpec],
    /// Builds the thing from settings that [`crate::schema::check`] has completed; does no IO.
    pub build: fn(Value) -> Result<Box<T>, ConfigError>,
}

impl<T: ?Sized> fmt::Debug for Kind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Finds a kind by name in a registry.
pub fn find<'a, T: ?Sized>(kinds: &'a [Kind<T>], name: &str) -> Option<&'a Kind<T>> {
    kinds.iter().find(|kind| kind.name == name)
}

/// Reads settings into their struct; unknown and mistyped keys become [`Problem`]s.
pub fn read<C: DeserializeOwned>(settings: Value) -> Result<C, ConfigError> {
    serde_json::from_value(settings).map_err(|error| ConfigError::one("", error.to_string()))
}

/// The bytes of a checked setting of the kind `Size`: a number, or text such as `16MiB`.
///
/// # Errors
/// A value that is neither, with the key of the setting.
pub fn size(key: &str, value: &Value) -> Result<usize, ConfigError> {
    let bytes = match value {
        Value::String(text) => crate::units::size(text),
        other => other.as_u64().ok_or_else(|| format!("{other} is not a size")),
    };
    let bytes = bytes.map_err(|message| ConfigError::one(key, message))?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// One mistake in settings.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Path of the key, dotted; empty for the whole.
    pub key: String,
    /// What is wrong, naming the value; lower case, without a final stop.
    pub message: String,
}

/// All mistakes found in one set of settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", join(.problems))]
pub struct ConfigError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// An error with a single mistake.
    pub fn one(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problems: vec![Problem { key: key.into(), message: message.into() }] }
    }
}

fn join(problems: &[Problem]) -> String {
    let parts: Vec<String> = problems
        .iter()
        .map(|problem| match problem.key.as_str() {
            "" => problem.message.clone(),
            key => format!("{key}: {}", problem.message),
        })
        .collect();
    parts.join("; ")
}
