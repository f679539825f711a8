//! From file and environment to [`Settings`]: every mistake is reported, each with its key.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use weir_kit::{ConfigError, FieldKind, FieldSpec, Problem, schema};

use super::Settings;
use super::spec::SETTINGS;
use crate::wiring::targets;

/// Variables that belong to weir's commands, not to its settings.
const NOT_SETTINGS: &[&str] = &["WEIR_SETTINGS", "WEIR_URL", "WEIR_TOKEN"];

/// Reads the settings file (none: all defaults) and lays the `WEIR_…` variables over it.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let mut written = file.map_or_else(Map::new, |file| read_file(file, &mut problems));
    for (variable, text) in environment {
        overlay(&mut written, &variable, text, &mut problems);
    }
    fetch_secrets(SETTINGS, &mut written, "", &mut problems);
    problems.extend(targets::problems(written.get("targets")));
    problems.extend(two_configurations(written.get("gateway")));
    let checked = schema::check(SETTINGS, Value::Object(written)).and_then(|complete| {
        serde_path_to_error::deserialize(complete).map_err(|error| {
            let key = error.path().to_string();
            ConfigError::one(key, error.into_inner().to_string())
        })
    });
    match checked {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(ConfigError { problems }),
        Err(error) => Err(ConfigError { problems: problems.into_iter().chain(error.problems).collect() }),
    }
}

/// A gateway has its configuration from one place.
fn two_configurations(gateway: Option<&Value>) -> Option<Problem> {
    let given = |key| gateway.and_then(|gateway| gateway.get(key)).is_some_and(|value| !value.is_null());
    (given("declarative_config") && given("tyk_definitions")).then(|| Problem {
        key: "gateway.tyk_definitions".to_owned(),
        message: "give either gateway.declarative_config or gateway.tyk_definitions, not both".to_owned(),
    })
}

fn read_file(file: &Path, problems: &mut Vec<Problem>) -> Map<String, Value> {
    let mut problem = |message: String| {
        problems.push(Problem { key: file.display().to_string(), message });
        Map::new()
    };
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => return problem(format!("cannot be read: {error}")),
    };
    match toml::from_str::<Map<String, Value>>(&text) {
        Ok(table) => table,
        Err(error) => problem(error.to_string().trim().replace('\n', " ")),
    }
}

/// `WEIR_GATEWAY__PROXY_LISTEN` sets `gateway.proxy_listen`.
fn overlay(table: &mut Map<String, Value>, variable: &str, text: String, problems: &mut Vec<Problem>) {
    let Some(name) = variable.strip_prefix("WEIR_") else { return };
    if NOT_SETTINGS.contains(&variable) {
        return;
    }
    let mut problem = |message| problems.push(Problem { key: variable.to_owned(), message });
    let path: Vec<String> = name.split("__").map(str::to_lowercase).collect();
    let Some(kind) = kind_of(SETTINGS, &path) else {
        // Only names of our own form are surely meant as settings.
        if path.len() > 1 {
            problem("no such setting".to_owned());
        }
        return;
    };
    match value_of(kind, text) {
        Ok(value) => insert(table, &path, value),
        Err(message) => problem(message),
    }
}

fn value_of(kind: FieldKind, text: String) -> Result<Value, String> {
    match kind {
        FieldKind::Array(_) | FieldKind::Set(_) if !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        FieldKind::Array(_)
        | FieldKind::Set(_)
        | FieldKind::Map(_)
        | FieldKind::Record(_)
        | FieldKind::Any => serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}")),
        _ => Ok(Value::from(text)),
    }
}

fn insert(table: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let slot = table.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            // A file that has a plain value where a section belongs is reported by the check.
            if let Value::Object(inner) = slot {
                insert(inner, rest, value);
            }
        }
    }
}

/// What the setting at `path` holds; a secret may also be given as `<name>_file`.
fn kind_of(fields: &'static [FieldSpec], path: &[String]) -> Option<FieldKind> {
    let (name, rest) = path.split_first()?;
    if rest.is_empty()
        && let Some(secret) = name.strip_suffix("_file")
        && fields.iter().any(|field| field.secret && field.name == secret)
    {
        return Some(FieldKind::Text);
    }
    let field = fields.iter().find(|field| field.name == name)?;
    match (field.kind, rest) {
        (kind, []) => Some(kind),
        (FieldKind::Record(fields), rest) => kind_of(fields, rest),
        (FieldKind::Map(item), [_]) => Some(*item),
        (FieldKind::Map(FieldKind::Record(fields)), [_, rest @ ..]) => kind_of(fields, rest),
        // Settings of a target are given by the names of its own documentation, one level deep.
        (FieldKind::Any, [_]) => Some(FieldKind::Text),
        _ => None,
    }
}

/// Replaces `<name>_file` of every secret by the file's text without its final line break.
fn fetch_secrets(
    fields: &[FieldSpec],
    table: &mut Map<String, Value>,
    prefix: &str,
    problems: &mut Vec<Problem>,
) {
    for field in fields {
        if let (FieldKind::Record(fields), Some(Value::Object(inner))) =
            (field.kind, table.get_mut(field.name))
        {
            fetch_secrets(fields, inner, &format!("{prefix}{}.", field.name), problems);
        }
        let name = format!("{}_file", field.name);
        if !field.secret {
            continue;
        }
        let Some(Value::String(file)) = table.remove(&name) else { continue };
        let mut problem = |message| problems.push(Problem { key: format!("{prefix}{name}"), message });
        match fs::read_to_string(&file) {
            Err(error) => problem(format!("{file:?} cannot be read: {error}")),
            Ok(_) if table.contains_key(field.name) => {
                problem(format!("give either {} or {name}, not both", field.name));
            }
            Ok(text) => {
                table.insert(field.name.to_owned(), Value::from(text.trim_end_matches(['\r', '\n'])));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Listen;
    use super::*;

    fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.toml");
        fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, text)| (name.to_string(), text.to_string()));
        match load(Some(&path), environment) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems.into_iter().map(|problem| problem.key).collect(),
        }
    }

    #[test]
    fn no_file_and_no_variables_give_the_documented_defaults() {
        let settings = load(None, std::iter::empty()).unwrap();
        assert_eq!(settings.gateway.proxy_listen, Listen(Some("127.0.0.1:8000".parse().unwrap())));
        assert_eq!(settings.gateway.max_header_bytes, 65_536);
        assert_eq!(settings.store.retention.as_secs(), 30 * 86_400);
        assert!(settings.server.token.is_none());
    }

    #[test]
    fn variables_override_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weir.toml");
        let token = directory.path().join("token");
        fs::write(&path, "data_dir = 'a'\n[gateway]\nmax_connections = 5\ntrusted_ips = ['10.0.0.0/8']")
            .unwrap();
        fs::write(&token, "tok-1\n").unwrap();
        let variables = [
            ("WEIR_DATA_DIR", "b"),
            ("WEIR_GATEWAY__PROXY_LISTEN", "off"),
            ("WEIR_GATEWAY__TRUSTED_IPS", "::1, 127.0.0.1"),
            ("WEIR_GATEWAY__CAPTURE__ENABLED", "false"),
            ("WEIR_SERVER__TOKEN_FILE", token.to_str().unwrap()),
            ("WEIR_COLLECTOR__TOKENS", r#"{"tok-2":"shop"}"#),
            ("WEIR_TARGETS__COPY__KIND", "galileo"),
            ("WEIR_TARGETS__COPY__CONFIG__HOST", "127.0.0.1"),
            ("WEIR_TARGETS__COPY__CONFIG__SERVICE_TOKEN", "tok-3"),
        ];
        let variables = variables.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let settings = load(Some(&path), variables.into_iter()).unwrap();
        assert_eq!(settings.data_dir, Path::new("b"));
        assert_eq!(settings.gateway.proxy_listen.0, None);
        assert_eq!(settings.gateway.trusted_ips, ["::1", "127.0.0.1"]);
        assert_eq!(settings.gateway.max_connections, 5);
        assert!(!settings.gateway.capture.enabled);
        assert_eq!(settings.server.token.unwrap().expose(), "tok-1");
        assert_eq!(settings.collector.tokens["tok-2"], "shop");
        assert_eq!(settings.targets["copy"].config["host"], "127.0.0.1");
    }

    #[test]
    fn every_mistake_is_reported_with_its_key() {
        let found = problems(
            "colour = 1\n[gateway]\nworkers = 0\nproxi_listen = 'x'\n[store]\nretention = 'long'\n[log]\nformat = 'xml'",
            &[("WEIR_GATEWAY__ADMIN_LISTN", "off"), ("WEIR_SERVER__TOKEN_FILE", "no/such/file")],
        );
        for key in [
            "colour",
            "gateway.workers",
            "gateway.proxi_listen",
            "store.retention",
            "log.format",
            "WEIR_GATEWAY__ADMIN_LISTN",
            "server.token_file",
        ] {
            assert!(found.iter().any(|name| name == key), "{key} is not among {found:?}");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        assert_eq!(problems("[gateway", &[]).len(), 1);
        assert!(load(Some(Path::new("no-such.toml")), std::iter::empty()).is_err());
    }
}
