//! The shape of settings, as data: one table per plug-in serves validation, Kong's schema endpoints, forms and documents.

use serde_json::{Map, Value};

use crate::kind::{ConfigError, Problem};
use crate::units;

/// The message for a required setting that is not given.
pub const REQUIRED: &str = "required field missing";
/// The message for a setting that nobody knows.
pub const UNKNOWN: &str = "unknown field";

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it must be given (a default satisfies this).
    pub required: bool,
    /// Its default as JSON text; `None` when it has none.
    pub default: Option<&'static str>,
    /// Other spellings that documentation has used.
    pub aliases: &'static [&'static str],
    /// Whether its value must not be shown or logged.
    pub secret: bool,
    /// One line for people, with the unit.
    pub about: &'static str,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text, one of these.
    OneOf(&'static [&'static str]),
    /// Any number within bounds.
    Number {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// A whole number within bounds.
    Integer {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// True or false.
    Boolean,
    /// An absolute http or https URL.
    Url,
    /// Text with a unit, read by [`crate::units::duration`].
    Duration,
    /// Text with a unit or a whole number of bytes, read by [`crate::units::size`].
    Size,
    /// An address to listen on: `host:port`, or `off`.
    Listen,
    /// A list.
    Array(&'static FieldKind),
    /// Like a list, order without meaning and no item twice.
    Set(&'static FieldKind),
    /// Values by free names.
    Map(&'static FieldKind),
    /// Anything; whoever reads it checks it.
    Any,
    /// A group of settings.
    Record(&'static [FieldSpec]),
}

impl FieldSpec {
    /// An optional setting without default; adjust with struct update syntax.
    pub const fn new(name: &'static str, kind: FieldKind, about: &'static str) -> Self {
        Self { name, kind, required: false, default: None, aliases: &[], secret: false, about }
    }
}

/// Completes settings and reports every mistake in them at once.
///
/// Text is converted where a number, truth value or list is wanted, as it comes from forms and from the environment. The
/// result has every field under its own name: given, else its default, else null.
///
/// # Errors
/// One [`Problem`] for each mistake; keys are dotted, items of lists count from 1. Values of secrets are not quoted.
pub fn check(fields: &[FieldSpec], settings: Value) -> Result<Value, ConfigError> {
    check_typed(fields, convert(fields, settings))
}

/// Like [`check`], but text stays text: for sources that have types, such as JSON.
///
/// # Errors
/// As for [`check`].
pub fn check_typed(fields: &[FieldSpec], settings: Value) -> Result<Value, ConfigError> {
    let mut problems = Vec::new();
    let complete = record(fields, settings, "", &mut problems);
    if problems.is_empty() { Ok(complete) } else { Err(ConfigError { problems }) }
}

/// The field that is written as `name`, by its own name or another spelling.
pub fn named<'a>(fields: &'a [FieldSpec], name: &str) -> Option<&'a FieldSpec> {
    fields.iter().find(|field| field.name == name || field.aliases.contains(&name))
}

/// Turns text into the type a field wants where that can be done; everything else stays as it is.
pub fn convert(fields: &[FieldSpec], settings: Value) -> Value {
    let Value::Object(given) = settings else { return settings };
    let converted = given.into_iter().map(|(name, value)| {
        let value = match named(fields, &name) {
            Some(field) => convert_value(&field.kind, value),
            None => value,
        };
        (name, value)
    });
    Value::Object(converted.collect())
}

/// [`convert`] for one value.
pub fn convert_value(kind: &FieldKind, value: Value) -> Value {
    match (kind, value) {
        (FieldKind::Array(item) | FieldKind::Set(item), Value::Array(items)) => {
            items.into_iter().map(|value| convert_value(item, value)).collect()
        }
        (FieldKind::Array(_) | FieldKind::Set(_), Value::Null) => Value::Null,
        (FieldKind::Array(item) | FieldKind::Set(item), value) if !value.is_object() => {
            Value::Array(vec![convert_value(item, value)])
        }
        (FieldKind::Map(item), Value::Object(entries)) => {
            let entries = entries.into_iter().map(|(name, value)| (name, convert_value(item, value)));
            Value::Object(entries.collect())
        }
        (FieldKind::Record(fields), value) => convert(fields, value),
        (FieldKind::Boolean | FieldKind::Integer { .. } | FieldKind::Number { .. }, Value::String(text)) => {
            convert_text(kind, text)
        }
        (_, value) => value,
    }
}

fn convert_text(kind: &FieldKind, text: String) -> Value {
    let trimmed = text.trim();
    match (kind, trimmed) {
        (_, "") => return Value::Null,
        (FieldKind::Boolean, "true") => return Value::Bool(true),
        (FieldKind::Boolean, "false") => return Value::Bool(false),
        (FieldKind::Boolean, _) => return Value::String(text),
        _ => {}
    }
    if let Ok(whole) = trimmed.parse::<i64>() {
        return whole.into();
    }
    match trimmed.parse::<f64>() {
        Ok(number) if number.is_finite() => number.into(),
        _ => Value::String(text),
    }
}

fn record(fields: &[FieldSpec], settings: Value, key: &str, problems: &mut Vec<Problem>) -> Value {
    let mut given = match settings {
        Value::Object(given) => given,
        Value::Null => Map::new(),
        _ => {
            problems.push(problem(key, "expected a record".to_owned()));
            return Value::Null;
        }
    };
    let mut complete = Map::new();
    for field in fields {
        let key = join(key, field.name);
        let value = take(field, &mut given, &key, problems);
        complete.insert(field.name.to_owned(), complete_field(field, value, &key, problems));
    }
    for unknown in given.keys() {
        problems.push(problem(&join(key, unknown), UNKNOWN.to_owned()));
    }
    Value::Object(complete)
}

/// The value of a field under whichever spelling it is given.
fn take(field: &FieldSpec, given: &mut Map<String, Value>, key: &str, problems: &mut Vec<Problem>) -> Value {
    let mut found: Option<(&str, Value)> = None;
    for name in std::iter::once(&field.name).chain(field.aliases) {
        let Some(value) = given.remove(*name) else { continue };
        match &found {
            Some((first, other)) if *other != value && !value.is_null() && !other.is_null() => {
                problems.push(problem(key, format!("given as {first} and as {name} with different values")));
            }
            Some((_, other)) if !other.is_null() => {}
            _ => found = Some((name, value)),
        }
    }
    found.map_or(Value::Null, |(_, value)| value)
}

fn complete_field(field: &FieldSpec, value: Value, key: &str, problems: &mut Vec<Problem>) -> Value {
    let value = match (value, field.default) {
        // Defaults are part of the program; a broken one would show up as a null in the first test.
        (Value::Null, Some(default)) => serde_json::from_str(default).unwrap_or_default(),
        (value, _) => value,
    };
    let missing = value.is_null() || (field.required && value.as_str() == Some(""));
    match (missing, field.required) {
        (true, true) => {
            problems.push(problem(key, REQUIRED.to_owned()));
            Value::Null
        }
        (true, false) => value,
        _ => typed(&field.kind, value, key, field.secret, problems),
    }
}

fn typed(kind: &FieldKind, value: Value, key: &str, secret: bool, problems: &mut Vec<Problem>) -> Value {
    match kind {
        FieldKind::Record(fields) => return record(fields, value, key, problems),
        FieldKind::Array(item) | FieldKind::Set(item) => {
            let Value::Array(items) = value else {
                let what = if matches!(kind, FieldKind::Set(_)) { "a set" } else { "an array" };
                problems.push(problem(key, expected(what, &value, secret)));
                return Value::Null;
            };
            let mut kept = Vec::with_capacity(items.len());
            for (index, value) in items.into_iter().enumerate() {
                let value = typed(item, value, &join(key, &(index + 1).to_string()), secret, problems);
                if matches!(kind, FieldKind::Array(_)) || !kept.contains(&value) {
                    kept.push(value);
                }
            }
            return Value::Array(kept);
        }
        FieldKind::Map(item) => {
            let Value::Object(entries) = value else {
                problems.push(problem(key, expected("a map", &value, secret)));
                return Value::Null;
            };
            let entries = entries.into_iter().map(|(name, value)| {
                let key = join(key, &name);
                (name, typed(item, value, &key, secret, problems))
            });
            return Value::Object(entries.collect());
        }
        _ => {}
    }
    match scalar(kind, &value, secret) {
        Ok(()) => match (kind, value.as_f64()) {
            // 5.0 is a whole number too.
            (FieldKind::Integer { .. }, Some(number)) if value.as_i64().is_none() => (number as i64).into(),
            _ => value,
        },
        Err(message) => {
            problems.push(problem(key, message));
            Value::Null
        }
    }
}

/// Checks a value without parts.
fn scalar(kind: &FieldKind, value: &Value, secret: bool) -> Result<(), String> {
    let text = || value.as_str().ok_or_else(|| expected("a string", value, secret));
    match kind {
        FieldKind::Text => text().map(|_| ()),
        FieldKind::OneOf(names) if names.contains(&text()?) => Ok(()),
        FieldKind::OneOf(names) => Err(expected(&format!("one of: {}", names.join(", ")), value, secret)),
        FieldKind::Boolean if value.is_boolean() => Ok(()),
        FieldKind::Boolean => Err(expected("a boolean", value, secret)),
        FieldKind::Number { min, max } => {
            let number = value.as_f64().ok_or_else(|| expected("a number", value, secret))?;
            within(*min <= number && number <= *max, min, max, value)
        }
        FieldKind::Integer { min, max } => {
            let whole = value.as_f64().filter(|number| number.fract() == 0.0);
            let whole = whole.ok_or_else(|| expected("an integer", value, secret))?;
            within(*min as f64 <= whole && whole <= *max as f64, min, max, value)
        }
        FieldKind::Url if is_url(text()?) => Ok(()),
        FieldKind::Url => Err(expected("an http or https URL", value, secret)),
        FieldKind::Duration => match value.as_f64() {
            Some(0.0) => Ok(()),
            _ => units::duration(text()?).map(|_| ()),
        },
        FieldKind::Size if value.is_u64() => Ok(()),
        FieldKind::Size => units::size(text()?).map(|_| ()),
        FieldKind::Listen if is_listen(text()?) => Ok(()),
        FieldKind::Listen => Err(expected("host:port or off", value, secret)),
        FieldKind::Array(_)
        | FieldKind::Set(_)
        | FieldKind::Map(_)
        | FieldKind::Record(_)
        | FieldKind::Any => Ok(()),
    }
}

fn within(
    inside: bool,
    min: impl std::fmt::Display,
    max: impl std::fmt::Display,
    value: &Value,
) -> Result<(), String> {
    if inside { Ok(()) } else { Err(format!("value should be between {min} and {max}, not {value}")) }
}

fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let plain = |text: &str| !text.contains(|c: char| c.is_whitespace() || c.is_control());
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':', '?', '#']) && plain(rest))
}

fn is_listen(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    text == "off" || parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn expected(what: &str, value: &Value, secret: bool) -> String {
    const LONGEST: usize = 60;
    if secret {
        return format!("expected {what}");
    }
    let shown = value.to_string();
    match shown.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("expected {what}, not {}…", shown.get(..end).unwrap_or_default()),
        None => format!("expected {what}, not {shown}"),
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn problem(key: &str, message: String) -> Problem {
    Problem { key: key.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INNER: &[FieldSpec] = &[
        FieldSpec { required: true, ..FieldSpec::new("a", FieldKind::Text, "") },
        FieldSpec { default: Some("2"), ..FieldSpec::new("b", FieldKind::Integer { min: 1, max: 9 }, "") },
    ];
    const FIELDS: &[FieldSpec] = &[
        FieldSpec {
            aliases: &["bucket"],
            required: true,
            ..FieldSpec::new("bucket_key", FieldKind::Text, "")
        },
        FieldSpec { secret: true, ..FieldSpec::new("token", FieldKind::Text, "") },
        FieldSpec::new("on", FieldKind::Boolean, ""),
        FieldSpec::new("ratio", FieldKind::Number { min: 0.0, max: 1.0 }, ""),
        FieldSpec::new("names", FieldKind::Set(&FieldKind::Text), ""),
        FieldSpec::new("ports", FieldKind::Array(&FieldKind::Integer { min: 0, max: 65_535 }), ""),
        FieldSpec::new("map", FieldKind::Map(&FieldKind::Array(&FieldKind::Text)), ""),
        FieldSpec::new("inner", FieldKind::Record(INNER), ""),
        FieldSpec::new("url", FieldKind::Url, ""),
        FieldSpec::new("mode", FieldKind::OneOf(&["x", "y"]), ""),
        FieldSpec { default: Some("\"1s\""), ..FieldSpec::new("wait", FieldKind::Duration, "") },
        FieldSpec::new("size", FieldKind::Size, ""),
        FieldSpec::new("listen", FieldKind::Listen, ""),
    ];

    fn problems(settings: Value) -> Vec<String> {
        let error = check(FIELDS, settings).unwrap_err();
        error.problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
    }

    #[test]
    fn defaults_and_conversions_complete_the_settings() {
        let given = json!({"bucket": "b", "on": "true", "ratio": "0.5", "names": "n", "ports": ["80", 443.0, "80"],
            "map": {"h": "v"}, "inner": {"a": "1"}, "mode": "x", "size": 3, "listen": "127.0.0.1:0"});
        assert_eq!(
            check(FIELDS, given).unwrap(),
            json!({"bucket_key": "b", "token": null, "on": true, "ratio": 0.5, "names": ["n"],
                "ports": [80, 443, 80], "map": {"h": ["v"]}, "inner": {"a": "1", "b": 2}, "url": null,
                "mode": "x", "wait": "1s", "size": 3, "listen": "127.0.0.1:0"})
        );
    }

    #[test]
    fn a_completed_record_stays_as_it_is() {
        let once = check(FIELDS, json!({"bucket": "b", "names": ["a", "a"]})).unwrap();
        assert_eq!(once["names"], json!(["a"]));
        assert_eq!(check_typed(FIELDS, once.clone()).unwrap(), once);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let given = json!({"token": 7, "on": "maybe", "ratio": 2, "names": {}, "ports": [1, "x"], "map": [],
            "inner": {"b": 10, "c": 1}, "url": "http:///x", "mode": "z", "wait": "soon", "size": -1, "listen": "here",
            "other": 1});
        assert_eq!(
            problems(given),
            [
                "bucket_key: required field missing",
                "token: expected a string",
                "on: expected a boolean, not \"maybe\"",
                "ratio: value should be between 0 and 1, not 2",
                "names: expected a set, not {}",
                "ports.2: expected an integer, not \"x\"",
                "map: expected a map, not []",
                "inner.a: required field missing",
                "inner.b: value should be between 1 and 9, not 10",
                "inner.c: unknown field",
                "url: expected an http or https URL, not \"http:///x\"",
                "mode: expected one of: x, y, not \"z\"",
                "wait: \"soon\" is not a duration; write it with a unit, such as 500ms or 2s",
                "size: expected a string, not -1",
                "listen: expected host:port or off, not \"here\"",
                "other: unknown field",
            ]
        );
    }

    #[test]
    fn two_spellings_must_agree() {
        assert!(check(FIELDS, json!({"bucket": "b", "bucket_key": "b"})).is_ok());
        assert_eq!(
            problems(json!({"bucket": "b", "bucket_key": "c"})),
            ["bucket_key: given as bucket_key and as bucket with different values"]
        );
    }

    #[test]
    fn typed_sources_are_not_converted() {
        assert!(check_typed(FIELDS, json!({"bucket": "b", "ratio": "0.5"})).is_err());
        assert!(check_typed(FIELDS, json!({"bucket": "b", "names": "n"})).is_err());
    }
}
