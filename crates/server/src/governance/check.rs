//! What is wrong with a rule or with rates: every mistake, with the member and its value.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde_json::Value;
use weir_query::{Mistake, Place};

use super::documents::{AppliesTo, ConditionDocument, RuleDocument, SamplingDocument};

/// Most members of a rule, and most users or companies with a rate.
const MAX_MEMBERS: usize = 10_000;
/// Most alternatives of a rule, and most rates of calls that look alike.
const MAX_ALTERNATIVES: usize = 100;
/// Most conditions of one alternative.
const MAX_CONDITIONS: usize = 20;
/// Longest name, id or text, in bytes.
const MAX_TEXT: usize = 1_024;
/// Most bytes of an answer's body: it is held by every reporter.
const MAX_ANSWER: usize = 64 << 10;

/// Reads and checks a rule.
pub(crate) fn rule(body: Value) -> Result<RuleDocument, Vec<Mistake>> {
    let rule: RuleDocument = read(body)?;
    let mut mistakes = Mistakes::default();
    mistakes.text("/name", &rule.name);
    members(&rule, &mut mistakes);
    mistakes.most("/when", rule.when.len(), MAX_ALTERNATIVES, "alternatives");
    for (number, alternative) in rule.when.iter().enumerate() {
        conditions(&format!("/when/{number}"), alternative, &REQUEST, &mut mistakes);
    }
    answer(&rule, &mut mistakes);
    mistakes.none(rule)
}

/// Reads and checks rates.
pub(crate) fn sampling(body: Value) -> Result<SamplingDocument, Vec<Mistake>> {
    let sampling: SamplingDocument = read(body)?;
    let mut mistakes = Mistakes::default();
    mistakes.rate("/rate", sampling.rate);
    for (name, rates) in [("users", &sampling.users), ("companies", &sampling.companies)] {
        mistakes.most(&format!("/{name}"), rates.len(), MAX_MEMBERS, "entries");
        for (id, rate) in rates {
            let pointer = format!("/{name}/{}", escaped(id));
            mistakes.text(&pointer, id);
            mistakes.rate(&pointer, *rate);
        }
    }
    mistakes.most("/requests", sampling.requests.len(), MAX_ALTERNATIVES, "entries");
    for (number, request) in sampling.requests.iter().enumerate() {
        mistakes.rate(&format!("/requests/{number}/rate"), request.rate);
        conditions(&format!("/requests/{number}/when"), &request.when, &REQUEST_AND_RESPONSE, &mut mistakes);
    }
    mistakes.none(sampling)
}

/// Mistakes of form come one at a time, with their place.
fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Vec<Mistake>> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        let pointer = match path.as_str() {
            "." => String::new(),
            path => format!("/{}", path.replace(['.', '['], "/").replace(']', "")),
        };
        vec![Mistake { place: Place::Pointer(pointer.replace("//", "/")), detail: error.inner().to_string() }]
    })
}

/// Parts of a call that every client that applies rules can look at.
const REQUEST: [&str; 3] = ["request.verb", "request.route", "request.ip_address"];
const REQUEST_AND_RESPONSE: [&str; 4] =
    ["request.verb", "request.route", "request.ip_address", "response.status"];
/// Parts with a name of their own behind.
const FAMILIES: [&str; 2] = ["request.body.", "request.headers."];

fn conditions(pointer: &str, conditions: &[ConditionDocument], paths: &[&str], mistakes: &mut Mistakes) {
    if conditions.is_empty() {
        mistakes.add(pointer, "no conditions; leave the list out to mean every call".to_owned());
    }
    mistakes.most(pointer, conditions.len(), MAX_CONDITIONS, "conditions");
    let mut seen: Vec<&str> = Vec::new();
    for (number, ConditionDocument { path, pattern }) in conditions.iter().enumerate() {
        let in_family =
            FAMILIES.iter().any(|family| path.strip_prefix(family).is_some_and(|name| !name.is_empty()));
        if !in_family && !paths.contains(&path.as_str()) {
            let known = [paths, &["request.body.<key>", "request.headers.<name>"]].concat().join(", ");
            mistakes.add(
                &format!("{pointer}/{number}/path"),
                format!("unknown path {path:?}; known are {known}"),
            );
        }
        if seen.contains(&path.as_str()) {
            let detail = format!("{path:?} occurs twice; clients look at the last one only");
            mistakes.add(&format!("{pointer}/{number}/path"), detail);
        }
        seen.push(path);
        let pointer = format!("{pointer}/{number}/pattern");
        mistakes.text(&pointer, pattern);
        if let Err(error) = regex::Regex::new(pattern) {
            let cause = error.to_string();
            let cause = cause.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            mistakes.add(&pointer, format!("not a regular expression: {pattern:?}: {cause}"));
        }
    }
}

fn members(rule: &RuleDocument, mistakes: &mut Mistakes) {
    if rule.applies_to == AppliesTo::Anyone {
        for (pointer, given) in [
            ("/members", !rule.members.is_empty()),
            ("/except", rule.except),
            ("/unidentified", rule.unidentified),
            ("/variables", !rule.variables.is_empty()),
        ] {
            if given {
                let detail = "has no meaning when applies_to is \"anyone\"; use \"users\" or \"companies\"";
                mistakes.add(pointer, detail.to_owned());
            }
        }
        return;
    }
    mistakes.most("/members", rule.members.len(), MAX_MEMBERS, "members");
    if rule.members.is_empty() && !rule.except && !rule.unidentified {
        let detail = "fits nobody; name members, or set except or unidentified";
        mistakes.add("/members", detail.to_owned());
    }
    for name in rule.variables.keys() {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            let pointer = format!("/variables/{}", escaped(name));
            mistakes.add(&pointer, format!("{name:?} is not a number, as in {{{{0}}}}"));
        }
    }
    for (id, values) in &rule.members {
        let pointer = format!("/members/{}", escaped(id));
        mistakes.text(&pointer, id);
        texts_of(rule, &pointer, values, mistakes);
    }
}

fn texts_of(rule: &RuleDocument, pointer: &str, values: &BTreeMap<String, String>, mistakes: &mut Mistakes) {
    for (name, value) in values {
        let pointer = format!("{pointer}/{}", escaped(name));
        if !rule.variables.contains_key(name) {
            mistakes.add(&pointer, format!("{name:?} is not among the variables of the rule"));
        }
        if value.len() > MAX_TEXT {
            mistakes.add(&pointer, format!("{} bytes, at most {MAX_TEXT}", value.len()));
        }
    }
}

fn answer(rule: &RuleDocument, mistakes: &mut Mistakes) {
    let answer = &rule.answer;
    if !(200..=599).contains(&answer.status) {
        mistakes.add("/answer/status", format!("expected a status from 200 to 599, found {}", answer.status));
    }
    for (name, value) in &answer.headers {
        let pointer = format!("/answer/headers/{}", escaped(name));
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            mistakes.add(&pointer, format!("{name:?} is not a name of a header"));
        }
        if HeaderValue::from_str(value).is_err() {
            mistakes.add(&pointer, format!("{value:?} is not a value of a header"));
        }
    }
    let bytes = Value::Object(answer.body.clone()).to_string().len();
    if bytes > MAX_ANSWER {
        mistakes.add("/answer/body", format!("{bytes} bytes, at most {MAX_ANSWER}"));
    }
    if !rule.block && answer.headers.is_empty() {
        let detail = "a rule that does not block adds headers; name some, or set block";
        mistakes.add("/answer/headers", detail.to_owned());
    }
}

#[derive(Default)]
struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn add(&mut self, pointer: &str, detail: String) {
        self.0.push(Mistake { place: Place::Pointer(pointer.to_owned()), detail });
    }

    fn text(&mut self, pointer: &str, text: &str) {
        if text.is_empty() || text.len() > MAX_TEXT {
            self.add(pointer, format!("expected 1 to {MAX_TEXT} bytes, found {}", text.len()));
        }
    }

    fn most(&mut self, pointer: &str, found: usize, most: usize, what: &str) {
        if found > most {
            self.add(pointer, format!("{found} {what}, at most {most}"));
        }
    }

    fn rate(&mut self, pointer: &str, rate: u8) {
        if rate > 100 {
            self.add(pointer, format!("expected a percentage from 0 to 100, found {rate}"));
        }
    }

    fn none<T>(self, checked: T) -> Result<T, Vec<Mistake>> {
        if self.0.is_empty() { Ok(checked) } else { Err(self.0) }
    }
}

/// A member's name in a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(mistakes: Vec<Mistake>) -> Vec<String> {
        let place = |place: Place| match place {
            Place::Pointer(pointer) => pointer,
            other => panic!("{other:?}"),
        };
        mistakes.into_iter().map(|mistake| format!("{}: {}", place(mistake.place), mistake.detail)).collect()
    }

    #[test]
    fn a_whole_rule_passes() {
        let whole = json!({
            "name": "free plan", "applies_to": "users", "members": {"ann": {"0": "free"}}, "except": false,
            "unidentified": true, "variables": {"0": "metadata.plan"},
            "when": [[{"path": "request.route", "pattern": "^/orders"}, {"path": "request.headers.x-a", "pattern": "b"}]],
            "block": true,
            "answer": {"status": 429, "headers": {"Retry-After": "60"}, "body": {"error": "plan {{0}} is used up"}}
        });
        rule(whole).unwrap();
        sampling(json!({})).unwrap();
        sampling(json!({
            "rate": 50, "users": {"ann": 100}, "companies": {"acme": 0},
            "requests": [{"when": [{"path": "response.status", "pattern": "^5"}], "rate": 100}]
        }))
        .unwrap();
    }

    #[test]
    fn mistakes_name_member_and_value() {
        let bad = json!({
            "name": "", "applies_to": "users", "members": {"ann/b": {"plan": "x"}}, "variables": {"plan": "a"},
            "when": [[], [{"path": "request.path", "pattern": "("}]],
            "block": false, "answer": {"status": 100, "headers": {"bad name": "a\nb"}}
        });
        assert_eq!(
            told(rule(bad).unwrap_err()),
            [
                "/name: expected 1 to 1024 bytes, found 0",
                "/variables/plan: \"plan\" is not a number, as in {{0}}",
                "/when/0: no conditions; leave the list out to mean every call",
                "/when/1/0/path: unknown path \"request.path\"; known are request.verb, request.route, \
                 request.ip_address, request.body.<key>, request.headers.<name>",
                "/when/1/0/pattern: not a regular expression: \"(\": unclosed group",
                "/answer/status: expected a status from 200 to 599, found 100",
                "/answer/headers/bad name: \"bad name\" is not a name of a header",
                "/answer/headers/bad name: \"a\\nb\" is not a value of a header",
            ]
        );
        let nobody = json!({"name": "n", "applies_to": "companies", "block": false, "answer": {}});
        assert_eq!(
            told(rule(nobody).unwrap_err()),
            [
                "/members: fits nobody; name members, or set except or unidentified",
                "/answer/headers: a rule that does not block adds headers; name some, or set block",
            ]
        );
        let anyone =
            json!({"name": "n", "applies_to": "anyone", "except": true, "block": true, "answer": {}});
        assert!(told(rule(anyone).unwrap_err())[0].starts_with("/except: has no meaning"));
        let form = json!({"name": "n", "applies_to": "anyone", "block": true, "answer": {"status": "x"}});
        let told_of_form = told(rule(form).unwrap_err());
        assert!(
            told_of_form[0].starts_with("/answer/status: invalid type: string \"x\""),
            "{told_of_form:?}"
        );
        let rates = json!({"rate": 101, "users": {"ann": 200}});
        assert_eq!(
            told(sampling(rates).unwrap_err()),
            [
                "/rate: expected a percentage from 0 to 100, found 101",
                "/users/ann: expected a percentage from 0 to 100, found 200",
            ]
        );
        assert!(told(sampling(json!({"rates": 1})).unwrap_err())[0].contains("unknown field `rates`"));
    }
}
