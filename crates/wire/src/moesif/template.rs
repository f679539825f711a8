//! Texts of a governance rule with places to fill in: `{{0}}`, or `{{0|otherwise}}` (moesif-plugin, section 10).

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

/// What stands for a variable that has no value.
const UNKNOWN: &str = "UNKNOWN";

/// Values by variable; `None` for a caller without any.
pub type Values<'a> = Option<&'a HashMap<String, String>>;

/// A JSON document whose texts have places to fill in, at any depth.
#[derive(Debug)]
pub enum Body {
    /// Nothing is to be filled in.
    Fixed(Bytes),
    /// The document, and the variables of its rule.
    Filled(Value, Vec<String>),
}

impl Body {
    /// A document of a rule that has these variables.
    pub fn new(document: Value, variables: &[String]) -> Self {
        if has_places(&document, variables) {
            Self::Filled(document, variables.to_vec())
        } else {
            Self::Fixed(json(&document))
        }
    }

    /// The document with these values.
    pub fn with(&self, values: Values<'_>) -> Bytes {
        match self {
            Self::Fixed(bytes) => bytes.clone(),
            Self::Filled(document, variables) => {
                let mut document = document.clone();
                fill_all(&mut document, variables, values);
                json(&document)
            }
        }
    }
}

/// The value of a header that has places to fill in.
#[derive(Debug)]
pub enum Header {
    /// Nothing is to be filled in.
    Fixed(HeaderValue),
    /// The text, and the variables of its rule.
    Filled(String, Vec<String>),
}

impl Header {
    /// A value of a rule that has these variables; `None` when a header cannot hold it.
    pub fn new(text: &str, variables: &[String]) -> Option<Self> {
        if places(text, variables).next().is_some() {
            return Some(Self::Filled(text.to_owned(), variables.to_vec()));
        }
        HeaderValue::from_str(text).ok().map(Self::Fixed)
    }

    /// The value with these values; `None` when a header cannot hold them.
    pub fn with(&self, values: Values<'_>) -> Option<HeaderValue> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Filled(text, variables) => HeaderValue::from_str(&filled(text, variables, values)).ok(),
        }
    }
}

fn json(document: &Value) -> Bytes {
    document.to_string().into()
}

fn has_places(document: &Value, variables: &[String]) -> bool {
    match document {
        Value::String(text) => places(text, variables).next().is_some(),
        Value::Array(items) => items.iter().any(|item| has_places(item, variables)),
        Value::Object(members) => members.values().any(|member| has_places(member, variables)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn fill_all(document: &mut Value, variables: &[String], values: Values<'_>) {
    match document {
        Value::String(text) => *text = filled(text, variables, values),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_all(item, variables, values)),
        Value::Object(members) => members.values_mut().for_each(|member| fill_all(member, variables, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled(text: &str, variables: &[String], values: Values<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for place in places(text, variables) {
        out.push_str(&text[done..place.start]);
        let value = values.and_then(|values| values.get(place.name)).map(String::as_str);
        out.push_str(value.or(place.otherwise).unwrap_or(UNKNOWN));
        done = place.end;
    }
    out.push_str(&text[done..]);
    out
}

struct Place<'a> {
    start: usize,
    end: usize,
    name: &'a str,
    otherwise: Option<&'a str>,
}

/// The places of a text that name one of the variables, from left to right.
fn places<'a>(text: &'a str, variables: &'a [String]) -> impl Iterator<Item = Place<'a>> {
    text.match_indices("{{").filter_map(move |(start, _)| {
        let inside = start + 2;
        let length = text[inside..].find("}}")?;
        let written = &text[inside..inside + length];
        let (name, otherwise) = match written.split_once('|') {
            Some((name, otherwise)) => (name.trim(), Some(otherwise)),
            None => (written.trim(), None),
        };
        let end = inside + length + 2;
        variables.iter().any(|known| known == name).then_some(Place { start, end, name, otherwise })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(variables: &[&str]) -> Vec<String> {
        variables.iter().map(ToString::to_string).collect()
    }

    fn values(values: &[(&str, &str)]) -> HashMap<String, String> {
        values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn declared_variables_are_filled_in() {
        let values = values(&[("0", "free"), ("plan", "gold"), ("7", "seven"), ("empty", "")]);
        let variables = names(&["0", "1", "plan", "empty"]);
        for (text, with) in [
            ("plan {{0}}, {{0}}!", "plan free, free!"),
            ("{{1}}", "UNKNOWN"),
            ("{{1|none}} {{0|none}}", "none free"),
            ("{{1|}}", ""),
            ("{{ plan }}", "gold"),
            ("{{empty}}", ""),
            ("{{7}} {{x|y}}", "{{7}} {{x|y}}"),
            ("{{0", "{{0"),
            ("{{{0}}", "{{{0}}"),
            ("}}{{0}}{{", "}}free{{"),
            ("{{é}}{{0}}é", "{{é}}freeé"),
            ("", ""),
        ] {
            assert_eq!(filled(text, &variables, Some(&values)), with, "{text}");
        }
        assert_eq!(filled("{{0}}", &variables, None), "UNKNOWN");
        assert_eq!(filled("{{0}}", &[], Some(&values)), "{{0}}", "a rule without variables is no template");
    }

    #[test]
    fn documents_are_filled_in_at_any_depth() {
        let document = json!({"a": ["{{0}}", {"b": "x {{1}}", "{{0}}": 1}], "n": 5, "z": null});
        let body = Body::new(document.clone(), &names(&["0", "1"]));
        let filled: Value = serde_json::from_slice(&body.with(Some(&values(&[("0", "\"}")])))).unwrap();
        assert_eq!(filled, json!({"a": ["\"}", {"b": "x UNKNOWN", "{{0}}": 1}], "n": 5, "z": null}));
        let fixed = Body::new(document.clone(), &[]);
        assert!(
            matches!(&fixed, Body::Fixed(bytes) if serde_json::from_slice::<Value>(bytes).unwrap() == document)
        );
    }

    #[test]
    fn headers_hold_what_headers_can_hold() {
        let header = Header::new("q={{0}}", &names(&["0"])).unwrap();
        assert_eq!(header.with(Some(&values(&[("0", "5")]))).unwrap(), "q=5");
        assert_eq!(header.with(Some(&values(&[("0", "5\r\nSet-Cookie: a=1")]))), None);
        assert!(Header::new("a\nb", &[]).is_none());
    }
}
