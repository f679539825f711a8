//! One file, read key by key: every value of the wrong kind is told with file and key, and what nobody read is found.

use serde_json::Value;
use weir_kit::{Problem, schema};

use super::api::{Endpoint, Target};
use super::listen_path;
use super::target::{self, Unusable};

/// A file under way.
#[derive(Debug)]
pub(super) struct Document<'a> {
    /// Its name, which stands before every key that is told.
    pub(super) file: &'a str,
    root: &'a Value,
    /// Mistakes found so far.
    pub(super) problems: Vec<Problem>,
    /// What asks for something that is not done here, as `file: key` and perhaps why.
    pub(super) left_out: Vec<String>,
}

impl<'a> Document<'a> {
    pub(super) fn new(file: &'a str, root: &'a Value) -> Self {
        Self { file, root, problems: Vec::new(), left_out: Vec::new() }
    }

    /// What lies at a path; null counts as nothing.
    pub(super) fn at(&self, path: &[&str]) -> Option<&'a Value> {
        path.iter().try_fold(self.root, |value, name| value.get(*name)).filter(|value| !value.is_null())
    }

    /// Text; empty when there is none.
    pub(super) fn text(&mut self, path: &[&str]) -> &'a str {
        self.typed(path, "text", Value::as_str).unwrap_or_default()
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, path: &[&str]) -> &'a str {
        let before = self.problems.len();
        let text = self.text(path);
        if text.is_empty() && self.problems.len() == before {
            self.problem(&path.join("."), schema::REQUIRED);
        }
        text
    }

    /// Whether something is on.
    pub(super) fn is_on(&mut self, path: &[&str]) -> bool {
        self.typed(path, "true or false", Value::as_bool).unwrap_or_default()
    }

    /// A whole number that is not negative; 0 when there is none.
    pub(super) fn count(&mut self, path: &[&str]) -> u64 {
        self.typed(path, "a whole number", Value::as_u64).unwrap_or_default()
    }

    /// Items of a list, none when there is no list.
    pub(super) fn items(&mut self, path: &[&str]) -> &'a [Value] {
        self.typed(path, "a list", |value| value.as_array().map(Vec::as_slice)).unwrap_or_default()
    }

    /// Texts of a list.
    pub(super) fn texts(&mut self, path: &[&str]) -> Vec<String> {
        let items = self.items(path);
        let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if texts.len() < items.len() {
            self.problem(&path.join("."), "expected a list of text");
        }
        texts
    }

    /// A list of endpoints of a classic definition, without those that are off.
    pub(super) fn endpoints(&mut self, path: &[&str]) -> Vec<Endpoint> {
        let mut endpoints = Vec::new();
        for item in self.items(path).iter().filter(|item| item["disabled"] != true) {
            match (item["path"].as_str(), item["method"].as_str().unwrap_or_default()) {
                (Some(path), method) => {
                    endpoints.push(Endpoint { method: method.to_owned(), path: path.to_owned() });
                }
                (None, _) => self.problem(&path.join("."), "expected items with a path"),
            }
        }
        endpoints
    }

    /// Members of a group by their names, none when there is no group.
    pub(super) fn members(&mut self, path: &[&str]) -> Vec<&'a str> {
        let group = self.typed(path, "a group of keys", Value::as_object);
        group.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn typed<T>(&mut self, path: &[&str], wanted: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.at(path)?;
        let typed = read(value);
        if typed.is_none() {
            self.problem(&path.join("."), &format!("expected {wanted}, not {}", shown(value)));
        }
        typed
    }

    pub(super) fn problem(&mut self, key: &str, message: &str) {
        let key = format!("{}: {key}", self.file);
        self.problems.push(Problem { key, message: message.to_owned() });
    }

    /// Something that is asked for and not done here; `why` is empty when the key says it all.
    pub(super) fn leave_out(&mut self, key: &str, why: &str) {
        let file = self.file;
        let colon = if why.is_empty() { "" } else { ": " };
        self.left_out.push(format!("{file}: {key}{colon}{why}"));
    }

    /// A listen path, which must be there.
    pub(super) fn listen_path(&mut self, path: &[&str]) -> String {
        let text = self.required(path);
        if let Err(message) = listen_path::check(text)
            && !text.is_empty()
        {
            self.problem(&path.join("."), &message);
        }
        text.to_owned()
    }

    /// A host name.
    pub(super) fn host(&mut self, path: &[&str]) -> Option<String> {
        let text = self.text(path);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !text.chars().all(allowed) {
            self.problem(&path.join("."), &format!("{text:?} is not a host name"));
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A name that headers can have.
    pub(super) fn header(&mut self, path: &[&str]) -> Option<&'a str> {
        let text = self.text(path);
        if !text.is_empty() && http::HeaderName::try_from(text).is_err() {
            self.problem(&path.join("."), &format!("{text:?} is not a name that headers can have"));
        }
        (!text.is_empty()).then_some(text)
    }

    /// A name that headers can have, which must be there.
    pub(super) fn required_header(&mut self, path: &[&str]) -> String {
        self.required(path);
        self.header(path).unwrap_or_default().to_owned()
    }

    /// Reads an address; one that cannot be used is told.
    pub(super) fn target(&mut self, key: &str, text: &str) -> Option<Target> {
        match target::read(text) {
            Ok(target) => return Some(target),
            Err(Unusable::Wrong(message)) => self.problem(key, &message),
            Err(Unusable::NotHere(why)) => self.leave_out(key, &format!("{why}: left out")),
        }
        None
    }

    /// Names all texts that stand for a value kept elsewhere: they are taken as they are.
    pub(super) fn leave_out_placeholders(&mut self) {
        let mut found = Vec::new();
        placeholders(self.root, &mut Vec::new(), &mut found);
        for path in found {
            self.leave_out(&path, "the placeholder is not resolved");
        }
    }

    /// Names all that asks for something below `root` and is not covered by `known`: dotted paths, `*` for any one name,
    /// each with everything below it.
    pub(super) fn leave_out_rest(&mut self, root: &[&str], known: &[&str]) {
        let mut found = Vec::new();
        if let Some(value) = self.at(root) {
            rest(value, &mut Vec::new(), known, &mut found);
        }
        for path in found {
            let prefix = root.iter().map(|name| format!("{name}.")).collect::<String>();
            self.leave_out(&format!("{prefix}{path}"), "");
        }
    }
}

fn rest<'a>(value: &'a Value, path: &mut Vec<&'a str>, known: &[&str], found: &mut Vec<String>) {
    match coverage(path, known) {
        Coverage::Whole => {}
        Coverage::Parts => {
            for (name, value) in value.as_object().into_iter().flatten() {
                path.push(name);
                rest(value, path, known, found);
                path.pop();
            }
        }
        Coverage::Nothing if asks(value) => found.push(path.join(".")),
        Coverage::Nothing => {}
    }
}

/// How texts begin that Tyk replaces by values of its environment, its settings or a store of secrets.
const PLACEHOLDERS: &[&str] = &["env://", "secrets://", "vault://", "consul://"];

fn placeholders(value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
    let mut below = |name: String, value: &Value| {
        path.push(name);
        placeholders(value, path, found);
        path.pop();
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| below(index.to_string(), item));
        }
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name.clone(), value)),
        Value::String(text) if PLACEHOLDERS.iter().any(|start| text.starts_with(start)) => {
            found.push(path.join("."));
        }
        _ => {}
    }
}

enum Coverage {
    /// It is known with everything below.
    Whole,
    /// Something below it is known.
    Parts,
    Nothing,
}

fn coverage(path: &[&str], known: &[&str]) -> Coverage {
    let mut found = Coverage::Nothing;
    for pattern in known {
        let mut wanted = pattern.split('.');
        if path.iter().all(|name| wanted.next().is_some_and(|wanted| wanted == "*" || wanted == *name)) {
            match wanted.next() {
                None => return Coverage::Whole,
                Some(_) => found = Coverage::Parts,
            }
        }
    }
    found
}

/// Names of switches that turn a group off when they are false.
const SWITCHES: &[&str] = &["enabled", "enable", "is_enabled", "enable_cache", "use_discovery_service"];

/// Whether a value asks for anything: it is not the one that stands for nothing, and no switch turns it off.
fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(asks),
        Value::Object(members) => {
            let is = |name: &str, value: bool| members.get(name).and_then(Value::as_bool) == Some(value);
            let off = SWITCHES.iter().any(|name| is(name, false)) || is("disabled", true);
            !off && members.values().any(asks)
        }
    }
}

/// A value in a message: short, and never a group that could hold secrets.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a group of keys".to_owned(),
        value => value.to_string().chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_asks_for_something_is_told_by_its_highest_key() {
        let root = json!({
            "read": {"deep": [1]}, "group": {"known": 1, "other": {"a": {"b": true}}}, "off": {"enabled": false, "x": 5},
            "none": [[], {}, "", 0, 0.0, false, null, {"a": {"disabled": true, "path": "/x"}}], "list": [{"path": "/x"}],
            "versions": {"v1": {"name": "v1", "size": 5}, "v2": {"name": "v2", "size": 0}},
        });
        let mut document = Document::new("f", &root);
        document.leave_out_rest(&[], &["read", "group.known", "versions.*.name"]);
        assert_eq!(document.left_out, ["f: group.other", "f: list", "f: versions.v1.size"]);
        document.left_out.clear();
        document.leave_out_rest(&["versions"], &["*.name"]);
        assert_eq!(document.left_out, ["f: versions.v1.size"]);
    }

    #[test]
    fn placeholders_are_told_wherever_they_stand() {
        let root = json!({"name": "env://NAME", "proxy": {"hosts": ["a", "vault://secret/host"]}, "path": "/env://x"});
        let mut document = Document::new("f", &root);
        document.leave_out_placeholders();
        let why = "the placeholder is not resolved";
        assert_eq!(document.left_out, [format!("f: name: {why}"), format!("f: proxy.hosts.1: {why}")]);
    }

    #[test]
    fn values_of_the_wrong_kind_are_told_and_count_as_none() {
        let root = json!({"a": {"b": 5, "c": "x", "d": ["x", 1], "e": {"secret": 1}, "f": null}});
        let mut document = Document::new("f", &root);
        assert_eq!(document.text(&["a", "b"]), "");
        assert!(!document.is_on(&["a", "c"]));
        assert_eq!(document.texts(&["a", "d"]), ["x"]);
        assert_eq!(document.text(&["a", "e"]), "");
        assert_eq!((document.text(&["a", "f"]), document.count(&["a", "g"])), ("", 0));
        let told: Vec<String> =
            document.problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect();
        let expected = [
            "f: a.b: expected text, not 5",
            "f: a.c: expected true or false, not \"x\"",
            "f: a.d: expected a list of text",
            "f: a.e: expected text, not a group of keys",
        ];
        assert_eq!(told, expected);
    }
}
