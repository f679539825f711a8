//! Leaving out what must not be told: keys of bodies, arguments of queries (moesif-plugin, section 6).

use std::borrow::Cow;

use crate::parts::url;

/// Deepest nesting of JSON that is looked into, and sent as JSON: many readers stop at about as much.
pub const MAX_DEPTH: usize = 100;

/// Keys to remove from bodies.
#[derive(Debug, Clone, Default)]
pub struct BodyMasks {
    /// Removed wherever they stand.
    keys: Vec<String>,
    /// Removed where they lead to from the top.
    paths: Vec<Vec<String>>,
    ignore_case: bool,
}

impl BodyMasks {
    /// Masks as settings give them. One with dots is a key that has dots, and a path as well.
    pub fn new(masks: &[String], ignore_case: bool) -> Self {
        let paths = masks.iter().filter(|mask| mask.contains('.'));
        let paths =
            paths.map(|mask| mask.trim_start_matches("$.").split('.').map(ToOwned::to_owned).collect());
        Self { keys: masks.to_vec(), paths: paths.collect(), ignore_case }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// JSON without the masked keys; everything else stays as it is written, without the white space between. `None` when
    /// there was nothing to remove. The text must be valid JSON, no deeper than [`MAX_DEPTH`].
    pub fn json(&self, text: &str) -> Option<String> {
        let mut masker = Masker {
            masks: self,
            text,
            at: 0,
            out: String::with_capacity(text.len()),
            path: Vec::new(),
            removed: false,
        };
        masker.value();
        masker.removed.then_some(masker.out)
    }

    /// A form without the masked keys.
    pub fn form(&self, text: &str) -> String {
        let is_kept = |argument: &&str| {
            let name = url::arguments(argument).next().map(|(name, _)| name);
            !name.is_some_and(|name| self.hits(&[name]))
        };
        text.split('&').filter(is_kept).collect::<Vec<&str>>().join("&")
    }

    fn hits(&self, path: &[Cow<'_, str>]) -> bool {
        let Some(key) = path.last() else { return false };
        let is_path = |mask: &Vec<String>| {
            mask.len() == path.len()
                && mask.iter().zip(path).all(|(mask, key)| same(mask, key, self.ignore_case))
        };
        self.keys.iter().any(|mask| same(mask, key, self.ignore_case)) || self.paths.iter().any(is_path)
    }
}

fn same(mask: &str, name: &str, ignore_case: bool) -> bool {
    mask == name || (ignore_case && mask.to_lowercase() == name.to_lowercase())
}

/// Copies valid JSON token by token.
struct Masker<'m, 'a> {
    masks: &'m BodyMasks,
    text: &'a str,
    at: usize,
    out: String,
    /// Keys from the top to here; lists have none.
    path: Vec<Cow<'a, str>>,
    removed: bool,
}

impl<'a> Masker<'_, 'a> {
    fn value(&mut self) {
        match self.next_token() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => {
                let text = self.string();
                self.out.push_str(text);
            }
            _ => {
                let text = self
                    .take_while(|byte| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace());
                self.out.push_str(text);
            }
        }
    }

    fn object(&mut self) {
        self.at += 1;
        self.out.push('{');
        let mut is_first = true;
        while let Some(byte) = self.next_token() {
            match byte {
                b'"' => {
                    let name = self.string();
                    is_first &= !self.member(name, is_first);
                }
                b'}' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.out.push('}');
    }

    /// A member, whose name was just read; gives whether it was kept.
    fn member(&mut self, name: &'a str, is_first: bool) -> bool {
        let start = self.out.len();
        if !is_first {
            self.out.push(',');
        }
        self.out.push_str(name);
        if self.next_token() == Some(b':') {
            self.at += 1;
        }
        self.out.push(':');
        self.path.push(unescaped(name));
        let is_masked = self.masks.hits(&self.path);
        self.value();
        self.path.pop();
        if is_masked {
            self.out.truncate(start);
            self.removed = true;
        }
        !is_masked
    }

    fn array(&mut self) {
        self.at += 1;
        self.out.push('[');
        while let Some(byte) = self.next_token() {
            match byte {
                b']' => break,
                b',' => {
                    self.at += 1;
                    self.out.push(',');
                }
                _ => self.value(),
            }
        }
        self.at += 1;
        self.out.push(']');
    }

    /// A string with its quotes.
    fn string(&mut self) -> &'a str {
        let start = self.at;
        self.at += 1;
        let mut is_escaped = false;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            self.at += 1;
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => break,
                _ => {}
            }
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// At least one byte, so that nothing stands still.
    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len()).max(1);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The first byte that is not white space.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }
}

fn unescaped(quoted: &str) -> Cow<'_, str> {
    let bare = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !bare.contains('\\') {
        return Cow::Borrowed(bare);
    }
    serde_json::from_str(quoted).map_or(Cow::Borrowed(bare), Cow::Owned)
}

/// Whether valid JSON is no deeper than [`MAX_DEPTH`].
pub fn is_shallow(json: &str) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return false;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// A query string in which the values of masked arguments are stars. Names are compared decoded; an argument without a
/// value has nothing to hide.
pub fn query<'a>(query: &'a str, masks: &[String], ignore_case: bool) -> Cow<'a, str> {
    let is_masked = |argument: &str| {
        let Some((name, value)) = argument.split_once('=') else { return false };
        let name = url::arguments(name).next().map_or(Cow::Borrowed(""), |(name, _)| name);
        !value.is_empty() && masks.iter().any(|mask| same(mask, &name, ignore_case))
    };
    if masks.is_empty() || !query.split('&').any(is_masked) {
        return Cow::Borrowed(query);
    }
    let mut masked = String::with_capacity(query.len());
    for (index, argument) in query.split('&').enumerate() {
        if index > 0 {
            masked.push('&');
        }
        match argument.split_once('=').filter(|_| is_masked(argument)) {
            Some((name, _)) => masked.extend([name, "=*****"]),
            None => masked.push_str(argument),
        }
    }
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn masks(masks: &[&str], ignore_case: bool) -> BodyMasks {
        BodyMasks::new(&masks.iter().map(|mask| (*mask).to_owned()).collect::<Vec<_>>(), ignore_case)
    }

    #[test]
    fn keys_go_wherever_they_stand_and_the_rest_stays_as_written() {
        let pin = masks(&["pin"], false);
        for (text, masked) in [
            (r#"{"pin":1}"#, Some("{}")),
            (r#"{ "pin" : {"a":[1,2]} , "b" : 1.50 }"#, Some(r#"{"b":1.50}"#)),
            (r#"{"a":1,"pin":"}\"","b":9007199254740993000}"#, Some(r#"{"a":1,"b":9007199254740993000}"#)),
            (r#"[{"pin":1},[{"pin":2,"a":"pin"}],"pin"]"#, Some(r#"[{},[{"a":"pin"}],"pin"]"#)),
            (r#"{"p\u0069n":1,"a":[]}"#, Some(r#"{"a":[]}"#)),
            (r#"{"a":{"pin":1},"pin":2,"z":null}"#, Some(r#"{"a":{},"z":null}"#)),
            (r#"{"Pin":1,"pins":2,"a":"\\"}"#, None),
        ] {
            assert_eq!(pin.json(text).as_deref(), masked, "{text}");
        }
        assert_eq!(masks(&["PIN"], true).json(r#"{"Pin":1,"a":2}"#).unwrap(), r#"{"a":2}"#);
    }

    #[test]
    fn paths_lead_from_the_top() {
        let text = r#"{"user":{"ssn":1,"a":{"ssn":2}},"ssn":3,"list":[{"user":{"ssn":4}}],"user.ssn":5}"#;
        let kept = r#"{"user":{"a":{"ssn":2}},"ssn":3,"list":[{"user":{"ssn":4}}]}"#;
        assert_eq!(masks(&["user.ssn"], false).json(text).unwrap(), kept);
        assert_eq!(
            masks(&["$.list.user"], false).json(text).unwrap(),
            text.replace(r#"{"user":{"ssn":4}}"#, "{}")
        );
    }

    #[test]
    fn forms_lose_the_same_keys() {
        assert_eq!(masks(&["pin"], false).form("a=1&pin=2&p%69n=3&pins=4&pin"), "a=1&pins=4");
        assert_eq!(masks(&["pin"], false).form("pin=1"), "");
    }

    #[test]
    fn arguments_are_starred() {
        let star = |text| query(text, &["token".to_owned(), "api-key".to_owned()], false).into_owned();
        for (text, starred) in [
            ("token=a&b=1&token=c", "token=*****&b=1&token=*****"),
            ("t%6fken=z&api-key=k", "t%6fken=*****&api-key=*****"),
            ("token=&token&Token=a&mytoken=b&", "token=&token&Token=a&mytoken=b&"),
            ("=token&&token=a=b", "=token&&token=*****"),
        ] {
            assert_eq!(star(text), starred);
        }
        assert_eq!(query("TOKEN=a", &["token".to_owned()], true), "TOKEN=*****");
    }

    #[test]
    fn depth_is_that_of_the_brackets() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_shallow(&nested(MAX_DEPTH)) && !is_shallow(&nested(MAX_DEPTH + 1)));
        assert!(is_shallow(&format!("[\"\\\"{}\"]", "[".repeat(200))));
        assert!(is_shallow(&"[],".repeat(200)));
    }

    /// What removal means, on a tree.
    fn without(value: Value, keys: &[&str]) -> Value {
        match value {
            Value::Object(members) => {
                let kept = members.into_iter().filter(|(name, _)| !keys.contains(&name.as_str()));
                kept.map(|(name, value)| (name, without(value, keys))).collect()
            }
            Value::Array(items) => items.into_iter().map(|value| without(value, keys)).collect(),
            other => other,
        }
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null)
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::hash_map("[a-c\"\\\\]{0,2}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn removal_is_that_of_a_tree(document in documents(), is_pretty: bool) {
            let keys = ["a", "bb", "\"", "\\"];
            let text = if is_pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
            let text = text.unwrap();
            let masked = masks(&keys, false).json(&text);
            let expected = without(document.clone(), &keys);
            prop_assert_eq!(masked.is_some(), expected != document);
            let masked: Value = serde_json::from_str(masked.as_deref().unwrap_or(&text)).unwrap();
            prop_assert_eq!(masked, expected);
        }

        #[test]
        fn no_text_hangs_or_panics(text: String, keys: Vec<String>) {
            let masks = BodyMasks::new(&keys, true);
            let _form = masks.form(&text);
            let _query = query(&text, &keys, false);
            let _shallow = is_shallow(&text);
            if let Ok(raw) = serde_json::from_str::<&serde_json::value::RawValue>(&text) {
                let _json = masks.json(raw.get());
            }
        }
    }
}
