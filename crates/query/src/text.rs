//! The one tokenizer, and what of an exchange is searchable text.
//!
//! Words are maximal runs of ASCII letters, ASCII digits and non-ASCII characters (as ClickHouse's `splitByNonAlpha`),
//! in lower case. Every store and the query parser cut text with this and nothing else.

use std::borrow::Cow;
use std::ops::ControlFlow;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use weir_model::{Body, Exchange, Headers};

/// How much of a body, without its content coding, is searched and read for members, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Hands out the words of `text` in order, until the visitor breaks off.
pub fn each_word(text: &str, mut visit: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    let bytes = text.as_bytes();
    let mut lower = String::new();
    let mut position = 0;
    while position < bytes.len() {
        let start = position + bytes[position..].iter().take_while(|byte| !is_word_byte(**byte)).count();
        let length = bytes[start..].iter().take_while(|byte| is_word_byte(**byte)).count();
        position = start + length;
        if length == 0 {
            break;
        }
        // Word borders are ASCII bytes or the ends, so they never split a character.
        let word = &text[start..position];
        if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
            visit(word)?;
        } else {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            visit(&lower)?;
        }
    }
    ControlFlow::Continue(())
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// The words of `text`, in order.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let _whole = each_word(text, |word| {
        words.push(word.to_owned());
        ControlFlow::Continue(())
    });
    words
}

/// Hands out the searchable texts of an exchange one by one, until the visitor breaks off: path and query (as sent, and
/// decoded where that differs), header and trailer values, and bodies that look like text. A phrase never crosses from
/// one text to the next. Header names are not searched: `request.header.<name>:*` asks for them.
///
/// `bodies` are the decoded bodies of request and response, see [`decoded_body`].
pub fn each_text(
    exchange: &Exchange,
    bodies: [Option<&Bytes>; 2],
    mut visit: impl FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let request = &exchange.request;
    for sent in [Some(request.path.as_str()), request.query.as_deref()].into_iter().flatten() {
        visit(sent)?;
        if let Cow::Owned(decoded) = decoded_component(sent) {
            visit(&decoded)?;
        }
    }
    each_value(&request.headers, &mut visit)?;
    each_value(&request.trailers, &mut visit)?;
    if let Some(response) = &exchange.response {
        each_value(&response.headers, &mut visit)?;
        each_value(&response.trailers, &mut visit)?;
    }
    for body in bodies.into_iter().flatten() {
        if looks_like_text(body) {
            visit(&String::from_utf8_lossy(body))?;
        }
    }
    ControlFlow::Continue(())
}

fn each_value(headers: &Headers, visit: &mut impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
    headers.iter().try_for_each(|(_, value)| visit(&String::from_utf8_lossy(value)))
}

/// The kept bytes of a body without their content coding, as far as queries look at them.
pub fn decoded_body(body: &Body) -> Option<Bytes> {
    body.decoded(MAX_BODY_BYTES)
}

/// A name or value of a query string without its percent encoding; `+` is a space.
pub fn decoded_component(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    if decoded == text { Cow::Borrowed(text) } else { Cow::Owned(decoded.into_owned()) }
}

/// Whether a body is text: none of its first 512 bytes is a control character that text does not use.
pub fn looks_like_text(body: &[u8]) -> bool {
    let is_foreign = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    !body.iter().take(512).any(is_foreign)
}

/// Finds a phrase among words that pass by, in time linear in their number (Knuth, Morris, Pratt).
#[derive(Debug)]
pub struct PhraseFinder<'p> {
    phrase: &'p [String],
    /// For each length of a matched beginning, the next shorter one that is also its end.
    fallback: Vec<usize>,
    matched: usize,
}

impl<'p> PhraseFinder<'p> {
    /// Looks for these words in this order, next to each other.
    pub fn new(phrase: &'p [String]) -> Self {
        let mut fallback = vec![0; phrase.len()];
        let mut length = 0;
        for index in 1..phrase.len() {
            while length > 0 && phrase[index] != phrase[length] {
                length = fallback[length - 1];
            }
            length += usize::from(phrase[index] == phrase[length]);
            fallback[index] = length;
        }
        Self { phrase, fallback, matched: 0 }
    }

    /// Forgets what passed by.
    pub fn reset(&mut self) {
        self.matched = 0;
    }

    /// Takes the next word; breaks when the phrase is complete.
    pub fn push(&mut self, word: &str) -> ControlFlow<()> {
        while self.matched > 0 && self.phrase.get(self.matched).is_none_or(|expected| expected != word) {
            self.matched = self.fallback[self.matched - 1];
        }
        self.matched += usize::from(self.phrase.get(self.matched).is_some_and(|expected| expected == word));
        if self.matched >= self.phrase.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_digits_and_everything_beyond_ascii() {
        for (text, expected) in [
            ("Ab-c_d.é1", &["ab", "c", "d", "é1"][..]),
            ("", &[]),
            ("--", &[]),
            ("GET /Users/42?x=ÄÖ", &["get", "users", "42", "x", "äö"]),
            ("日本語 text", &["日本語", "text"]),
            ("İx", &["i\u{307}x"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_bodies_are_told_from_text() {
        assert!(looks_like_text(b"{\"a\": 1}\r\n\t"));
        assert!(looks_like_text("grün".as_bytes()));
        for binary in [&b"\x89PNG\r\n\x1a\n\0"[..], b"\x1f\x8b\x08", b"PK\x03\x04", b"\xff\xd8\xff\xe0\0"] {
            assert!(!looks_like_text(binary));
        }
    }

    #[test]
    fn components_are_decoded_once() {
        assert_eq!(decoded_component("a%20b+c%2525"), "a b c%25");
        assert!(matches!(decoded_component("plain"), Cow::Borrowed(_)));
        assert!(matches!(decoded_component("100%"), Cow::Borrowed(_)));
        assert_eq!(decoded_component("%ff"), "\u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn a_phrase_is_found_where_a_window_equals_it(text in "[ab ]{0,30}", phrase in "[ab]( [ab]){0,4}") {
            let (text, phrase) = (words(&text), words(&phrase));
            let mut finder = PhraseFinder::new(&phrase);
            let found = text.iter().try_for_each(|word| finder.push(word)).is_break();
            proptest::prop_assert_eq!(found, text.windows(phrase.len()).any(|window| window == phrase));
        }

        #[test]
        fn cutting_again_changes_nothing(text: String) {
            let once = words(&text);
            proptest::prop_assert_eq!(words(&once.join(" ")), once);
        }
    }
}
