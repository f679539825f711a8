//! A scanner for JSON that may be cut, broken or hostile: it hands out spans, allocates nothing and always ends.
//!
//! It does not validate. What follows a string decides whether it is a member name, so no stack is needed; texts of
//! several documents (NDJSON) are read like one.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

/// A piece of JSON text, by its span in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A member name, without its quotes.
    Key(Range<usize>),
    /// A string value, quotes included as far as they are there.
    Text(Range<usize>),
    /// A number, `true`, `false`, `null`, or whatever stands in such a place.
    Scalar(Range<usize>),
    /// `{` or `[` at this offset.
    Open(usize),
    /// `}` or `]` at this offset.
    Close(usize),
}

/// Hands out tokens in order.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Passes over everything up to the end of the value that the last [`Token::Open`] began; gives the offset after it.
    pub(crate) fn skip_value(&mut self) -> usize {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next() {
                Some(Token::Open(_)) => depth += 1,
                Some(Token::Close(_)) => depth -= 1,
                Some(_) => {}
                None => return self.bytes.len(),
            }
        }
        self.at
    }

    fn string(&mut self) -> Token {
        let open = self.at;
        let close = string_end(self.bytes, open + 1);
        self.at = (close + 1).min(self.bytes.len());
        let mut next = self.at;
        while self.bytes.get(next).is_some_and(u8::is_ascii_whitespace) {
            next += 1;
        }
        if self.bytes.get(next) == Some(&b':') {
            self.at = next + 1;
            return Token::Key(open + 1..close);
        }
        Token::Text(open..self.at)
    }
}

impl Iterator for Scanner<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let start = self.at;
            match self.bytes.get(start)? {
                b'"' => return Some(self.string()),
                b'{' | b'[' => {
                    self.at += 1;
                    return Some(Token::Open(start));
                }
                b'}' | b']' => {
                    self.at += 1;
                    return Some(Token::Close(start));
                }
                byte if byte.is_ascii_whitespace() || matches!(byte, b',' | b':') => self.at += 1,
                _ => {
                    let length = self.bytes[start..].iter().position(|byte| ends_scalar(*byte));
                    self.at = length.map_or(self.bytes.len(), |length| start + length);
                    return Some(Token::Scalar(start..self.at));
                }
            }
        }
    }
}

fn ends_scalar(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
}

/// Offset of the quote that ends the string whose content begins at `start`; the length of the text without one.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    // Most strings are shorter than a vectorised search takes to begin.
    let near = bytes.len().min(start + 24);
    while at < near && bytes[at] != b'\\' {
        if bytes[at] == b'"' {
            return at;
        }
        at += 1;
    }
    while let Some(offset) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += offset;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

/// The content of a string or name span, quotes and escapes removed; broken escapes stay as they are.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let content = raw.strip_prefix(b"\"").unwrap_or(raw);
    let content = if raw.len() > content.len() { strip_closing_quote(content) } else { content };
    if memchr::memchr(b'\\', content).is_none() {
        return String::from_utf8_lossy(content);
    }
    let mut quoted = Vec::with_capacity(content.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(content);
    quoted.push(b'"');
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Cow::Owned(text),
        Err(_) => unescape_leniently(content),
    }
}

fn strip_closing_quote(content: &[u8]) -> &[u8] {
    match content.strip_suffix(b"\"") {
        // An escaped quote at the end belongs to a string that was cut.
        Some(inner) if inner.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0 => inner,
        _ => content,
    }
}

/// For strings that were cut in an escape or hold raw control characters: every escape that can be read is.
fn unescape_leniently(content: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(content);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        rest = match chars.next() {
            Some('n') => push(&mut out, '\n', chars.as_str()),
            Some('r') => push(&mut out, '\r', chars.as_str()),
            Some('t') => push(&mut out, '\t', chars.as_str()),
            Some('u') => match after.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
                Some(code) => {
                    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    push(&mut out, character, after.get(5..).unwrap_or(""))
                }
                None => push(&mut out, '\\', after),
            },
            Some(other) => push(&mut out, other, chars.as_str()),
            None => push(&mut out, '\\', ""),
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn push<'a>(out: &mut String, character: char, rest: &'a str) -> &'a str {
    out.push(character);
    rest
}

/// `text` as a JSON string with its quotes.
pub(crate) fn escape(text: &str) -> Vec<u8> {
    serde_json::to_vec(text).expect("a str is always a JSON string")
}

/// Calls `found` with the name and the value span of every member of the top-level object. Values that are objects or
/// arrays are given whole.
pub(crate) fn members<'a>(bytes: &'a [u8], mut found: impl FnMut(&str, &'a [u8])) {
    let mut scanner = Scanner::new(bytes);
    if !matches!(scanner.next(), Some(Token::Open(at)) if bytes[at] == b'{') {
        return;
    }
    let mut name: Option<Range<usize>> = None;
    while let Some(token) = scanner.next() {
        let value = match token {
            Token::Key(span) => {
                name = Some(span);
                continue;
            }
            Token::Close(_) => return,
            Token::Open(start) => start..scanner.skip_value(),
            Token::Text(span) | Token::Scalar(span) => span,
        };
        if let Some(name) = name.take() {
            found(&unescape(&bytes[name]), &bytes[value]);
        }
    }
}

/// Calls `found` with each element of the top-level array, at most `most` of them.
pub(crate) fn elements<'a>(bytes: &'a [u8], most: usize, mut found: impl FnMut(&'a [u8])) {
    let mut scanner = Scanner::new(bytes);
    if !matches!(scanner.next(), Some(Token::Open(at)) if bytes[at] == b'[') {
        return;
    }
    for _ in 0..most {
        let value = match scanner.next() {
            Some(Token::Open(start)) => start..scanner.skip_value(),
            Some(Token::Text(span) | Token::Scalar(span)) => span,
            Some(Token::Key(_)) => continue,
            Some(Token::Close(_)) | None => return,
        };
        found(&bytes[value]);
    }
}

/// The text of a value that is a string.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    value.starts_with(b"\"").then(|| unescape(value))
}

/// The first byte that is not white space or a byte order mark.
pub(crate) fn first_byte(bytes: &[u8]) -> Option<u8> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        let mut out = Vec::new();
        for token in Scanner::new(text.as_bytes()) {
            out.push(match token {
                Token::Key(span) => format!("k:{}", &text[span]),
                Token::Text(span) => format!("t:{}", &text[span]),
                Token::Scalar(span) => format!("s:{}", &text[span]),
                Token::Open(at) | Token::Close(at) => text[at..=at].to_owned(),
            });
        }
        out.join(" ")
    }

    #[test]
    fn tokens_are_found_in_whole_and_broken_texts() {
        for (text, expected) in [
            (r#"{"a": 1, "b":[true,"x"]}"#, r#"{ k:a s:1 k:b [ s:true t:"x" ] }"#),
            (r#"{"a\"b" : "c\\"}"#, r#"{ k:a\"b t:"c\\" }"#),
            (r#"{"a":"never clo"#, r#"{ k:a t:"never clo"#),
            (r#"{"a"#, r#"{ t:"a"#),
            (r#"{"a":"x\"#, r#"{ k:a t:"x\"#),
            ("{}\n{}", "{ } { }"),
            ("", ""),
            (r#"]]"a":nul"#, r#"] ] k:a s:nul"#),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes_are_removed_even_when_the_string_was_cut() {
        for (raw, expected) in [
            (r#""plain""#, "plain"),
            (r#""pass\u0077ord""#, "password"),
            (r#""say \"hi\"""#, "say \"hi\""),
            (r#""cut \"#, "cut \\"),
            (r#""cut\""#, "cut\""),
            ("\"raw\ttab\\n\"", "raw\ttab\n"),
            (r#""bad \u12 end""#, "bad \\u12 end"),
        ] {
            assert_eq!(unescape(raw.as_bytes()), expected, "{raw}");
        }
    }

    #[test]
    fn top_level_members_are_given_whole() {
        let mut seen = Vec::new();
        members(br#"{"a":{"a":1},"b":[{"c":2}],"d":"x","e"#, |name, value| {
            seen.push(format!("{name}={}", String::from_utf8_lossy(value)));
        });
        assert_eq!(seen, [r#"a={"a":1}"#, r#"b=[{"c":2}]"#, r#"d="x""#]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            let tokens = Scanner::new(&bytes).count();
            proptest::prop_assert!(tokens <= bytes.len());
            members(&bytes, |_, _| {});
            elements(&bytes, 10, |_| {});
            let _text = unescape(&bytes);
        }
    }
}
