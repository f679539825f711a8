//! JSON values read as generously as senders write them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::url;

/// Text, whatever it was written as: `true` and numbers become their text, `null` and objects the empty text, an array
/// its first item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text, unless it is empty.
    pub fn non_empty(&self) -> Option<&str> {
        Some(self.0.as_ref()).filter(|text| !text.is_empty())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(if value { "true" } else { "false" })))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
            fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text<'de>, A::Error> {
                let first = items.next_element()?.unwrap_or_default();
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(first)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text<'de>, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A number, also when it was written as text; `None` for anything else.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(pub Option<f64>);

impl Number {
    /// The number as a size in bytes; `None` when it is negative, as senders write for unknown.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    pub fn size(self) -> Option<u64> {
        self.0.filter(|size| (0.0..9.0e15).contains(size)).map(|size| size as u64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl<'de> Visitor<'de> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(Some(value)))
            }
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles to their senders")]
            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers are doubles to their senders")]
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.trim().parse().ok()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Number, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Number, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// Most items of a list and members of an object; more are refused, because an empty item takes many times its text in
/// memory.
pub const MAX_ITEMS: usize = 10_000;

/// A list. Encoders that cannot tell an empty list from an empty object write `{}` for it; that and `null` are empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Many<T>(pub Vec<T>);

impl<T> Default for Many<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ManyVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E: Error>(self) -> Result<Many<T>, E> {
                Ok(Many::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Many<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    all.push(item);
                    if all.len() > MAX_ITEMS {
                        return Err(A::Error::custom(format_args!("more than {MAX_ITEMS} items")));
                    }
                }
                Ok(Many(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Many<T>, A::Error> {
                match members.next_key::<Cow<'_, str>>()? {
                    None => Ok(Many::default()),
                    Some(name) => Err(A::Error::custom(format_args!("a list, not an object with {name:?}"))),
                }
            }
        }
        deserializer.deserialize_any(ManyVisitor(PhantomData))
    }
}

/// The unread items of a list of which no more than `MAX` are kept. `{}` and `null` are empty.
#[derive(Debug, Clone, Default)]
pub struct Unread<'a, const MAX: usize> {
    /// The first items.
    pub items: Vec<&'a RawValue>,
    /// How many there are in all.
    pub count: usize,
}

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Unread<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UnreadVisitor<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for UnreadVisitor<MAX> {
            type Value = Unread<'de, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Unread::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut unread = Unread::default();
                while let Some(item) = list.next_element()? {
                    unread.count += 1;
                    if unread.items.len() < MAX {
                        unread.items.push(item);
                    }
                }
                Ok(unread)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Unread::default())
            }
        }
        deserializer.deserialize_any(UnreadVisitor)
    }
}

/// A name with a value, as HAR lists headers, query arguments and form fields.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
pub struct Pair<'a> {
    /// The name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The value.
    #[serde(borrow)]
    pub value: Text<'a>,
}

impl Many<Pair<'_>> {
    /// As a query string or a form; `None` when there is nothing in it.
    pub fn joined(&self) -> Option<String> {
        let pairs = self.0.iter().map(|pair| (pair.name.0.as_ref(), pair.value.0.as_ref()));
        Some(url::join(pairs)).filter(|joined| !joined.is_empty())
    }
}

/// The members of an object, unread and in order. A name that occurs twice is kept twice. Encoders that cannot tell an
/// empty object from an empty list write `[]` for it; that and `null` are empty.
#[derive(Debug, Clone, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_unit<E: Error>(self) -> Result<Members<'de>, E> {
                Ok(Members::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Members<'de>, A::Error> {
                match items.next_element::<IgnoredAny>()? {
                    None => Ok(Members::default()),
                    Some(_) => Err(A::Error::custom("an object, not a list")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = members.next_key::<Text<'de>>()? {
                    all.push((name.0, members.next_value()?));
                    if all.len() > MAX_ITEMS {
                        return Err(A::Error::custom(format_args!("more than {MAX_ITEMS} members")));
                    }
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_any(MembersVisitor)
    }
}

impl<'a> Members<'a> {
    /// Takes the member of this name out and reads it; its default when there is none, `null` included.
    pub fn take<T: Deserialize<'a> + Default>(&mut self, name: &str) -> Result<T, String> {
        match self.take_raw(name) {
            Some(raw) if raw.get() != "null" => {
                serde_json::from_str(raw.get()).map_err(|error| format!("{name}: {error}"))
            }
            _ => Ok(T::default()),
        }
    }

    /// Takes the member of this name out, unread.
    pub fn take_raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }
}

/// Replaces escapes of half surrogate pairs (`\ud83d` alone), which JSON allows and UTF-8 cannot hold, by the replacement
/// character. `None` when there is none.
pub fn mend_surrogates(json: &str) -> Option<String> {
    let code = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(offset) = memchr::memchr(b'\\', json.as_bytes().get(at..)?) {
        let escape = at + offset;
        at = escape + 2;
        match code(escape) {
            Some(0xD800..=0xDBFF) if matches!(code(escape + 6), Some(0xDC00..=0xDFFF)) => at = escape + 12,
            Some(0xD800..=0xDFFF) => {
                mended.push_str(json.get(copied..escape)?);
                mended.push('\u{FFFD}');
                at = escape + 6;
                copied = at;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return None;
    }
    mended.push_str(json.get(copied..)?);
    Some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_from_any_value() {
        for (json, text) in [
            ("\"a\"", "a"),
            ("true", "true"),
            ("12", "12"),
            ("-3", "-3"),
            ("1.5", "1.5"),
            ("null", ""),
            ("[\"text/html\",\"x\"]", "text/html"),
            ("{\"a\":{\"b\":[]}}", ""),
        ] {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).unwrap().0, text, "{json}");
        }
    }

    #[test]
    fn numbers_are_read_from_text_too() {
        for (json, number) in
            [("3", Some(3.0)), ("-1", Some(-1.0)), ("\"2.5\"", Some(2.5)), ("[1]", None), ("{}", None)]
        {
            assert_eq!(serde_json::from_str::<Number>(json).unwrap().0, number, "{json}");
        }
        assert_eq!(Number(Some(-1.0)).size(), None);
        assert_eq!(Number(Some(f64::NAN)).size(), None);
        assert_eq!(Number(Some(7.0)).size(), Some(7));
    }

    #[test]
    fn an_empty_object_is_an_empty_list() {
        assert_eq!(serde_json::from_str::<Many<Number>>("{}").unwrap().0, []);
        assert_eq!(serde_json::from_str::<Many<Number>>("null").unwrap().0, []);
        assert_eq!(serde_json::from_str::<Many<Number>>("[1]").unwrap().0, [Number(Some(1.0))]);
        assert!(serde_json::from_str::<Many<Number>>("{\"a\":1}").is_err());
        assert_eq!(serde_json::from_str::<Members<'_>>("[]").unwrap().0.len(), 0);
        assert!(serde_json::from_str::<Members<'_>>("[1]").is_err());
    }

    #[test]
    fn long_lists_are_refused_or_counted() {
        let long = format!("[{}1]", "1,".repeat(MAX_ITEMS));
        assert!(
            serde_json::from_str::<Many<Number>>(&long)
                .unwrap_err()
                .to_string()
                .starts_with("more than 10000")
        );
        let unread: Unread<'_, 3> = serde_json::from_str(&long).unwrap();
        assert_eq!((unread.items.len(), unread.count), (3, MAX_ITEMS + 1));
        let wide = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(MAX_ITEMS));
        assert!(serde_json::from_str::<Members<'_>>(&wide).is_err());
    }

    #[test]
    fn half_surrogates_are_mended() {
        assert_eq!(mend_surrogates(r#""\ud83d\ude00 \\ud83d""#), None);
        assert_eq!(mend_surrogates(r#""a\ud83d b\udc00""#).unwrap(), "\"a\u{FFFD} b\u{FFFD}\"");
        assert_eq!(mend_surrogates(r#""\ud83d\ud83d\ude00""#).unwrap(), "\"\u{FFFD}\\ud83d\\ude00\"");
    }

    #[test]
    fn deep_nesting_is_refused_or_skipped_but_never_overflows() {
        let deep = "[".repeat(1_000_000);
        assert!(serde_json::from_str::<Text<'_>>(&deep).is_err());
        assert!(serde_json::from_str::<Number>(&deep).is_err());
        assert!(serde_json::from_str::<Members<'_>>(&format!("{{\"a\":{deep}")).is_err());
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(serde_json::from_str::<Members<'_>>(&closed).unwrap().0.len(), 1);
    }
}
