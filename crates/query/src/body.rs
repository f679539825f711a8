//! Members of JSON bodies: every scalar with the path that leads to it.
//!
//! A reader of its own, because captured bodies are foreign and often cut: it gives what stands before the first error
//! instead of nothing, uses no recursion, and stops at named limits.

use std::borrow::Cow;
use std::ops::ControlFlow;

use weir_model::FieldValue;

/// Members nested deeper than this are not read, nor is what follows them.
pub const MAX_DEPTH: usize = 128;

/// No more scalars than this are read from one body.
pub const MAX_MEMBERS: usize = 10_000;

/// Numbers written with more characters than this are not read.
const MAX_NUMBER_LENGTH: usize = 64;

/// The names that lead to a scalar, outermost first; arrays add none.
#[derive(Debug, Default)]
pub struct MemberPath {
    text: String,
    ends: Vec<usize>,
}

impl MemberPath {
    /// Whether these are the names.
    pub fn is(&self, names: &[String]) -> bool {
        self.ends.len() == names.len() && self.names().eq(names.iter().map(String::as_str))
    }

    /// The names, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| &self.text[self.end_of(index)..self.ends[index]])
    }

    /// How many bytes the names have together.
    pub fn byte_length(&self) -> usize {
        self.text.len()
    }

    fn end_of(&self, count: usize) -> usize {
        count.checked_sub(1).map_or(0, |last| self.ends[last])
    }

    fn truncate(&mut self, count: usize) {
        self.text.truncate(self.end_of(count));
        self.ends.truncate(count);
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }
}

/// Hands out every text, number, true and false inside the objects and arrays of `body`, until the visitor breaks off.
/// Several documents in a row are read one after the other; a scalar that is itself the document has no path and is
/// not handed out.
pub fn each_member(body: &[u8], mut visit: impl FnMut(&MemberPath, FieldValue<'_>) -> ControlFlow<()>) {
    if !matches!(body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[')) {
        return;
    }
    let mut reader = Reader { rest: body, open: Vec::new(), path: MemberPath::default() };
    let mut members = 0;
    while let Some(event) = reader.next() {
        let Some(value) = event else { continue };
        members += 1;
        if members > MAX_MEMBERS || visit(&reader.path, value).is_break() {
            return;
        }
    }
}

/// Reads one document after another. `next` gives `None` at the end or at the first error.
struct Reader<'b> {
    rest: &'b [u8],
    /// The open containers, each with the number of names that lead to it.
    open: Vec<Open>,
    path: MemberPath,
}

#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    names: usize,
}

impl<'b> Reader<'b> {
    /// Reads on to the next token that matters: `Some(Some(value))` for a scalar with a path, `Some(None)` otherwise.
    fn next(&mut self) -> Option<Option<FieldValue<'b>>> {
        match self.peek()? {
            b',' if !self.open.is_empty() => self.skip(1),
            b'}' | b']' => return self.close().map(|()| None),
            _ => {}
        }
        if matches!(self.peek()?, b'}' | b']') {
            return self.close().map(|()| None);
        }
        if let Some(Open { is_object: true, names }) = self.open.last().copied() {
            self.path.truncate(names);
            let name = self.string()?;
            self.path.push(&name);
            (self.peek()? == b':').then(|| self.skip(1))?;
        }
        match self.peek()? {
            first @ (b'{' | b'[') => {
                if self.open.len() == MAX_DEPTH {
                    return None;
                }
                self.skip(1);
                self.open.push(Open { is_object: first == b'{', names: self.path.ends.len() });
                Some(None)
            }
            b'"' => self.string().map(|text| self.placed(FieldValue::Text(text))),
            _ => self.literal(),
        }
    }

    /// A value is handed out when a name leads to it.
    fn placed(&self, value: FieldValue<'b>) -> Option<FieldValue<'b>> {
        (!self.path.ends.is_empty()).then_some(value)
    }

    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count..];
    }

    fn close(&mut self) -> Option<()> {
        let closed = self.open.pop()?;
        let fits = self.rest.first() == Some(if closed.is_object { &b'}' } else { &b']' });
        self.path.truncate(closed.names);
        self.skip(1);
        fits.then_some(())
    }

    /// A text, from its opening to its closing quote.
    fn string(&mut self) -> Option<Cow<'b, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        let inside = &self.rest[1..];
        let end = inside.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if inside[end] == b'"' {
            self.skip(end + 2);
            return Some(String::from_utf8_lossy(&inside[..end]));
        }
        let mut end = end;
        loop {
            match inside.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        self.skip(end + 2);
        unescaped(&inside[..end]).map(Cow::Owned)
    }

    /// A number, true, false or null. It must be followed by something: the end of the bytes may have cut it.
    fn literal(&mut self) -> Option<Option<FieldValue<'b>>> {
        let length = self
            .rest
            .iter()
            .position(|byte| !matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E'))?;
        let text = std::str::from_utf8(&self.rest[..length]).ok()?;
        let value = match text {
            "" => return None,
            "true" => FieldValue::Bool(true),
            "false" => FieldValue::Bool(false),
            "null" => {
                self.skip(length);
                return Some(None);
            }
            _ if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => return None,
            _ if length > MAX_NUMBER_LENGTH => {
                self.skip(length);
                return Some(None);
            }
            _ => number(text)?,
        };
        self.skip(length);
        Some(self.placed(value))
    }
}

/// The number that a text writes: whole if it fits, else with a fraction.
pub fn number(text: &str) -> Option<FieldValue<'static>> {
    if let Ok(whole) = text.parse() {
        return Some(FieldValue::Integer(whole));
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).map(FieldValue::Float)
}

fn unescaped(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = unicode_escape(&mut rest)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// The character after `\u`, its second half included; half a character is U+FFFD.
fn unicode_escape(rest: &mut &[u8]) -> Option<char> {
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(rest)?;
    *rest = &rest[4..];
    if let (0xd800..=0xdbff, Some(after)) = (first, rest.strip_prefix(b"\\u"))
        && let Some(second @ 0xdc00..=0xdfff) = unit(after)
    {
        *rest = &after[4..];
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    }
    Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(body: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        each_member(body, |path, value| {
            let path: Vec<&str> = path.names().collect();
            let value = match value {
                FieldValue::Text(text) => format!("{text:?}"),
                FieldValue::Integer(number) => number.to_string(),
                FieldValue::Float(number) => format!("{number:?}"),
                FieldValue::Bool(flag) => flag.to_string(),
                FieldValue::Time(_) => unreachable!("JSON has no times"),
            };
            out.push(format!("{}={value}", path.join("/")));
            ControlFlow::Continue(())
        });
        out
    }

    #[test]
    fn members_are_found_with_their_paths() {
        for (body, expected) in [
            (
                r#"{"a":1,"b":{"c":"x","d":[true,{"e":2.5}]},"f":null}"#,
                &["a=1", "b/c=\"x\"", "b/d=true", "b/d/e=2.5"][..],
            ),
            (r#" [{"a":1},{"a":2},3] "#, &["a=1", "a=2"]),
            (r#"{"k":[{"a":1},5,[6]],"z":7}"#, &["k/a=1", "k=5", "k=6", "z=7"]),
            (r#"{"a":{},"b":[],"c":1}"#, &["c=1"]),
            (r#"{"q\"\u00e9\ud83d\ude00":"\n\/\ud800"}"#, &["q\"é😀=\"\\n/\u{fffd}\""]),
            ("{\"a\":1}\n{\"a\":2}\n", &["a=1", "a=2"]),
            // Cut bodies give what is whole.
            (r#"{"a":"x","b":12"#, &["a=\"x\""]),
            (r#"{"a":"x","b":"cu"#, &["a=\"x\""]),
            (r#"{"a":99999999999999999999,"b":-1e3,"c":1e999,"d":1}"#, &["a=1e20", "b=-1000.0"]),
            ("plain text", &[]),
            ("\"scalar\"", &[]),
            ("17 ", &[]),
            ("{\"a\" 1}", &[]),
            ("{]", &[]),
        ] {
            assert_eq!(members(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn limits_stop_the_reader_and_nothing_overflows() {
        let deep =
            [b"{\"before\":1,\"a\":".as_slice(), &b"[".repeat(10_000), &b"]".repeat(10_000), b"}"].concat();
        assert_eq!(members(&deep), ["before=1"]);
        let deep_objects = [&br#"{"a":"#.repeat(10_000)[..], b"1"].concat();
        assert!(members(&deep_objects).is_empty());
        let wide = format!("[{}{{}}]", "{\"a\":1},".repeat(20_000));
        assert_eq!(members(wide.as_bytes()).len(), MAX_MEMBERS);
    }

    proptest::proptest! {
        #[test]
        fn foreign_bytes_never_panic(body in "[\\[{][\\[\\]{}\",:\\\\u0-9a-e. -]{0,60}") {
            members(body.as_bytes());
        }

        #[test]
        fn texts_come_back(text: String) {
            let body = serde_json::to_vec(&serde_json::json!({ "k": text })).unwrap();
            let mut seen = Vec::new();
            each_member(&body, |_, value| {
                seen.push(value.into_owned());
                ControlFlow::Continue(())
            });
            proptest::prop_assert_eq!(seen, vec![FieldValue::Text(text.into())]);
        }
    }
}
