#![doc = include_str!("README.md")]
//!
//! ---
//!
//! In reading order: [`read`], `document` (one file, key by key), `api` (what both formats say), `classic` and `oas` (which read
//! it), `target` and `listen_path`, `ways` (which calls of which version go where), `entities` (as services, routes, plugins).
//!
//! What weir does not do is named by its key, never passed over; what a definition says only to switch something off is not.

mod api;
mod classic;
mod document;
mod entities;
mod listen_path;
mod oas;
mod target;
#[cfg(test)]
mod tests;
mod ways;

use serde_json::Value;
use weir_kit::{ConfigError, Problem};

use api::Api;
use document::Document;

/// A file with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, for messages.
    pub name: String,
    /// What it holds: JSON, or YAML when its name ends so.
    pub text: String,
}

/// What definitions became.
#[derive(Debug)]
pub struct Conversion {
    /// A declarative configuration in Kong's format 3.0.
    pub declarative: Value,
    /// What is asked for and not done here, one `file: key` and perhaps a reason each.
    pub unsupported: Vec<String>,
}

impl Conversion {
    /// The declarative configuration as YAML.
    ///
    /// # Errors
    /// None that is known: its parts are text, numbers, lists and maps.
    pub fn yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        serde_saphyr::to_string(&self.declarative)
    }
}

/// Whether a file of this name holds a definition.
pub fn is_definition(name: &str) -> bool {
    [".json", ".yaml", ".yml"].iter().any(|ending| name.ends_with(ending))
}

/// Reads definitions.
///
/// # Errors
/// Every mistake in every file, each with the file and the key.
pub fn read(files: &[File]) -> Result<Conversion, ConfigError> {
    let mut problems = Vec::new();
    let mut unsupported = Vec::new();
    let mut apis = Vec::new();
    for file in files {
        let root = match parse(file) {
            Ok(root) => root,
            Err(message) => {
                problems.push(Problem { key: file.name.clone(), message });
                continue;
            }
        };
        if is_companion_of(file, files, &root) {
            continue;
        }
        let mut document = Document::new(&file.name, &root);
        let is_oas = root.get(oas::EXTENSION).is_some();
        document.leave_out_placeholders();
        apis.extend(if is_oas { oas::read(&mut document) } else { classic::read(&mut document) });
        problems.append(&mut document.problems);
        unsupported.append(&mut document.left_out);
    }
    check(&apis, &mut problems);
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let ways = ways::of(&apis, &mut unsupported);
    Ok(Conversion { declarative: entities::declarative(&ways), unsupported })
}

fn parse(file: &File) -> Result<Value, String> {
    let parsed: Result<Value, String> = if file.name.ends_with(".json") {
        serde_json::from_str(&file.text).map_err(|error| format!("not JSON: {error}"))
    } else {
        serde_saphyr::from_str(&file.text).map_err(|error| {
            // What follows the first line shows the place.
            format!("not YAML: {}", error.to_string().lines().next().unwrap_or_default())
        })
    };
    match parsed? {
        root @ Value::Object(_) if root.get("openapi").is_some() && root.get(oas::EXTENSION).is_none() => {
            Err(format!("an OpenAPI document without {}", oas::EXTENSION))
        }
        root @ Value::Object(_) => Ok(root),
        _ => Err("expected a definition, which is an object".to_owned()),
    }
}

/// Tyk keeps an OpenAPI definition in two files, `x-oas.json` and a classic `x.json` that is made from it.
fn is_companion_of(file: &File, files: &[File], root: &Value) -> bool {
    let oas = file.name.strip_suffix(".json").map(|stem| format!("{stem}-oas.json"));
    root.get("is_oas") == Some(&Value::Bool(true))
        && files.iter().any(|other| Some(&other.name) == oas.as_ref())
}

/// What no file shows alone: ids and places that two APIs have.
fn check(apis: &[Api], problems: &mut Vec<Problem>) {
    for (index, api) in apis.iter().enumerate() {
        let mut twin = |other: Option<&Api>, key: &str, value: &str| {
            if let Some(other) = other.filter(|_| !value.is_empty()) {
                let message = format!("{value:?} is that of {} too", other.file);
                problems.push(Problem { key: format!("{}: {key}", api.file), message });
            }
        };
        let earlier = &apis[..index];
        twin(earlier.iter().find(|other| other.id == api.id), api.keys.id, &api.id);
        let path = &api.listen_path.path;
        let same_place =
            |other: &&Api| !other.internal && other.domain == api.domain && other.listen_path.path == *path;
        twin(earlier.iter().find(same_place).filter(|_| !api.internal), api.keys.listen_path, path);
    }
}
