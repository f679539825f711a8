//! Form keys as curl users write them: `config.a=1`, `config.a[]=x`, `config.a[1]=x`, `headers.x-env[]=a`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::entities::Object;

/// Most fields read from a form.
const MOST_FIELDS: usize = 100;
/// Deepest nesting of a key.
const DEEPEST: usize = 16;

/// Something under a key, while the form is read.
#[derive(Debug)]
enum Node {
    Leaf(Value),
    /// From repeated keys or `[]`, in order.
    List(Vec<Value>),
    /// From `[n]`, by n.
    Numbered(BTreeMap<u32, Node>),
    Map(BTreeMap<String, Node>),
}

/// A step of a key.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Name(&'a str),
    Append,
    Number(u32),
}

/// Reads the fields of a form. Values are text, or what a part of type JSON held.
///
/// # Errors
/// Too many fields, nested too deep, or keys that contradict each other; the message names the key.
pub(super) fn nest(fields: Vec<(String, Value)>) -> Result<Object, String> {
    if fields.len() > MOST_FIELDS {
        return Err(format!("too many form fields: {}, at most {MOST_FIELDS}", fields.len()));
    }
    let mut root = BTreeMap::new();
    for (key, value) in fields {
        let steps = steps(&key);
        if steps.len() > DEEPEST {
            return Err(format!("form key {key:?} is nested too deep"));
        }
        let mut steps = steps.into_iter();
        let Some(Step::Name(first)) = steps.next() else { continue };
        let rest: Vec<Step<'_>> = steps.collect();
        if !add(root.entry(first.to_owned()), &rest, value) {
            return Err(format!("form key {key:?} contradicts an earlier one"));
        }
    }
    Ok(root.into_iter().map(|(name, node)| (name, node.into_value())).collect())
}

/// `config.a[1].b` as its steps. A bracket that is none of ours stays part of the name.
fn steps(key: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let Some((name, inner)) = part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) else {
            steps.push(Step::Name(part));
            continue;
        };
        match inner.parse::<u32>() {
            Ok(number) => steps.extend([Step::Name(name), Step::Number(number)]),
            Err(_) if inner.is_empty() => steps.extend([Step::Name(name), Step::Append]),
            Err(_) => steps.push(Step::Name(part)),
        }
    }
    steps
}

/// Puts a value at the end of `steps` below an entry; false when something else is there.
fn add<K: Ord>(
    entry: std::collections::btree_map::Entry<'_, K, Node>,
    steps: &[Step<'_>],
    value: Value,
) -> bool {
    use std::collections::btree_map::Entry;
    let (first, rest) = match steps.split_first() {
        None => match entry {
            Entry::Vacant(vacant) => {
                vacant.insert(Node::Leaf(value));
                return true;
            }
            Entry::Occupied(occupied) => return occupied.into_mut().repeat(value),
        },
        Some(split) => split,
    };
    match (first, entry.or_insert_with(|| Node::start(first))) {
        (Step::Append, Node::List(items)) if rest.is_empty() => {
            items.push(value);
            true
        }
        (Step::Number(number), Node::Numbered(items)) => add(items.entry(*number), rest, value),
        (Step::Name(name), Node::Map(members)) => add(members.entry((*name).to_owned()), rest, value),
        _ => false,
    }
}

impl Node {
    fn start(step: &Step<'_>) -> Self {
        match step {
            Step::Name(_) => Self::Map(BTreeMap::new()),
            Step::Append => Self::List(Vec::new()),
            Step::Number(_) => Self::Numbered(BTreeMap::new()),
        }
    }

    /// The same key once more.
    fn repeat(&mut self, value: Value) -> bool {
        match self {
            Self::Leaf(first) => {
                *self = Self::List(vec![first.take(), value]);
                true
            }
            Self::List(items) => {
                items.push(value);
                true
            }
            Self::Numbered(_) | Self::Map(_) => false,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Leaf(value) => value,
            Self::List(items) => items.into(),
            Self::Numbered(items) => items.into_values().map(Self::into_value).collect(),
            Self::Map(members) => {
                Value::Object(members.into_iter().map(|(name, node)| (name, node.into_value())).collect())
            }
        }
    }
}

/// Splits at commas as Kong did for lists up to 0.14; `\,` is a comma.
pub(super) fn split_list(text: &str) -> Vec<String> {
    const LITERAL: &str = "\u{0}";
    let text = text.replace("\\,", LITERAL);
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|item| item.trim().replace(LITERAL, ",")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn form(fields: &[(&str, &str)]) -> Result<Value, String> {
        nest(fields.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect())
            .map(Value::Object)
    }

    #[test]
    fn keys_nest() {
        for (fields, expected) in [
            (&[("a", "1")][..], json!({"a": "1"})),
            (&[("config.a", "1"), ("config.b.c", "2")], json!({"config": {"a": "1", "b": {"c": "2"}}})),
            (&[("hosts[]", "a.com")], json!({"hosts": ["a.com"]})),
            (&[("hosts", "a"), ("hosts", "b"), ("hosts", "c")], json!({"hosts": ["a", "b", "c"]})),
            (&[("hosts[]", "a"), ("hosts[]", "b")], json!({"hosts": ["a", "b"]})),
            (&[("a[2]", "y"), ("a[1]", "x")], json!({"a": ["x", "y"]})),
            (
                &[("headers.x-env[]", "a"), ("headers.x-env[]", "b")],
                json!({"headers": {"x-env": ["a", "b"]}}),
            ),
            (
                &[("a[1].b", "x"), ("a[1].c", "y"), ("a[2].b", "z")],
                json!({"a": [{"b": "x", "c": "y"}, {"b": "z"}]}),
            ),
            (&[("a[x]", "1")], json!({"a[x]": "1"})),
            (&[("a", "")], json!({"a": ""})),
        ] {
            assert_eq!(form(fields).unwrap(), expected);
        }
        assert!(form(&[("a", "1"), ("a.b", "2")]).is_err());
        assert!(form(&[("a.b", "1"), ("a", "2")]).is_err());
        assert!(form(&vec![("a[]", "1"); 101]).is_err());
        assert!(form(&[("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a", "1")]).is_err());
    }

    #[test]
    fn old_lists_split_at_commas() {
        assert_eq!(split_list("a.com, b.com"), ["a.com", "b.com"]);
        assert_eq!(split_list("a\\,b,c"), ["a,b", "c"]);
        assert_eq!(split_list(" "), Vec::<String>::new());
    }

    /// A tree of objects, lists of texts and texts, as forms can say it.
    fn tree() -> impl Strategy<Value = Value> {
        let leaf = "[a-z=&.\\[\\] ]{0,5}".prop_map(Value::from);
        let list = prop::collection::vec("[a-z]{0,3}", 1..4).prop_map(Value::from);
        let node = prop_oneof![leaf, list];
        node.prop_recursive(3, 20, 4, |inner| {
            prop::collection::btree_map("[a-z][a-z_-]{0,3}", inner, 1..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        })
    }

    fn write(prefix: &str, value: &Value, numbered: bool, fields: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    write(&format!("{prefix}.{name}"), value, numbered, fields);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let mark = if numbered { (index + 1).to_string() } else { String::new() };
                    fields.push((format!("{prefix}[{mark}]"), item.clone()));
                }
            }
            leaf => fields.push((prefix.to_owned(), leaf.clone())),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in tree(), numbered: bool) {
            let mut fields = Vec::new();
            write("root", &value, numbered, &mut fields);
            prop_assume!(fields.len() <= MOST_FIELDS);
            prop_assert_eq!(nest(fields).unwrap().remove("root"), Some(value));
        }

        #[test]
        fn foreign_keys_never_panic(fields in prop::collection::vec(("[ab.\\[\\]19]{0,12}", "[a-z]{0,2}"), 0..8)) {
            let _outcome = nest(fields.into_iter().map(|(key, value)| (key, value.into())).collect());
        }
    }
}
