//! A scanner for XML and HTML that may be cut, broken or hostile. It hands out spans; entities are never expanded,
//! declarations never read.

use std::ops::Range;

use memchr::{memchr, memmem};

/// A piece of XML text, by its span in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A start tag: its name (prefix included), its attributes, and whether it closes itself.
    Start { name: Range<usize>, attributes: Range<usize>, empty: bool, end: usize },
    /// An end tag: its name and where it begins.
    End { name: Range<usize>, start: usize },
    /// Character data, raw, with the markup of a CDATA section left out.
    Text(Range<usize>),
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

    /// Offset after the first `end` at or after `from`; the length of the text without one.
    fn after(&self, from: usize, end: &[u8]) -> usize {
        self.bytes
            .get(from..)
            .and_then(|rest| memmem::find(rest, end))
            .map_or(self.bytes.len(), |offset| from + offset + end.len())
    }

    fn cdata(&mut self) -> Token {
        let start = self.at + 9;
        self.at = self.after(start, b"]]>");
        let ended = self.bytes[..self.at].ends_with(b"]]>") && self.at >= start + 3;
        Token::Text(start..if ended { self.at - 3 } else { self.at })
    }

    fn end_tag(&mut self) -> Token {
        let start = self.at;
        let name = name_span(self.bytes, start + 2);
        self.at = self.after(name.end, b">");
        Token::End { name, start }
    }

    fn start_tag(&mut self) -> Token {
        let name = name_span(self.bytes, self.at + 1);
        let mut close = name.end;
        let mut quote = None;
        while let Some(byte) = self.bytes.get(close) {
            match (quote, byte) {
                (None, b'>') => break,
                (None, b'"' | b'\'') => quote = Some(*byte),
                (Some(open), byte) if open == *byte => quote = None,
                _ => {}
            }
            close += 1;
        }
        self.at = (close + 1).min(self.bytes.len());
        let empty = close > name.end && self.bytes[close - 1] == b'/';
        let attributes = name.end..if empty { close - 1 } else { close };
        Token::Start { name, attributes, empty, end: self.at }
    }
}

impl Iterator for Scanner<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            if rest[0] != b'<' {
                let start = self.at;
                self.at = memchr(b'<', rest).map_or(self.bytes.len(), |offset| start + offset);
                return Some(Token::Text(start..self.at));
            }
            match rest.get(1) {
                Some(b'!') if rest.starts_with(b"<![CDATA[") => return Some(self.cdata()),
                Some(b'!') if rest.starts_with(b"<!--") => self.at = self.after(self.at + 4, b"-->"),
                Some(b'!' | b'?') => self.at = self.after(self.at, b">"),
                Some(b'/') => return Some(self.end_tag()),
                Some(_) => return Some(self.start_tag()),
                None => return None,
            }
        }
    }
}

fn name_span(bytes: &[u8], start: usize) -> Range<usize> {
    let start = start.min(bytes.len());
    let length = bytes[start..]
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/' | b'=' | b'<'));
    start..length.map_or(bytes.len(), |length| start + length)
}

/// The part of a name after its namespace prefix.
pub(crate) fn local(name: &[u8]) -> &[u8] {
    memchr::memrchr(b':', name).map_or(name, |colon| &name[colon + 1..])
}

/// Calls `found` with the spans of the name and the value (without quotes) of each attribute.
pub(crate) fn attributes(
    bytes: &[u8],
    within: Range<usize>,
    mut found: impl FnMut(Range<usize>, Range<usize>),
) {
    let mut at = within.start;
    while at < within.end {
        let byte = bytes[at];
        if byte.is_ascii_whitespace() || matches!(byte, b'/' | b'=' | b'>' | b'<') {
            at += 1;
            continue;
        }
        let name = name_span(&bytes[..within.end], at);
        at = skip_space(bytes, name.end, within.end);
        if bytes[..within.end].get(at) != Some(&b'=') {
            continue;
        }
        at = skip_space(bytes, at + 1, within.end);
        let value = match bytes[..within.end].get(at) {
            Some(quote @ (b'"' | b'\'')) => {
                let end = memchr(*quote, &bytes[at + 1..within.end]);
                at + 1..end.map_or(within.end, |offset| at + 1 + offset)
            }
            _ => {
                let length = bytes[at..within.end].iter().position(u8::is_ascii_whitespace);
                at..length.map_or(within.end, |length| at + length)
            }
        };
        at = value.end + 1;
        found(name, value);
    }
}

fn skip_space(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && bytes[at].is_ascii_whitespace() {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        let mut out = Vec::new();
        for token in Scanner::new(text.as_bytes()) {
            out.push(match token {
                Token::Start { name, empty, attributes: span, .. } => {
                    let mut tag = format!("<{}", &text[name]);
                    attributes(text.as_bytes(), span, |name, value| {
                        tag.push_str(&format!(" {}={}", &text[name], &text[value]));
                    });
                    tag + if empty { "/>" } else { ">" }
                }
                Token::End { name, .. } => format!("</{}>", &text[name]),
                Token::Text(span) => format!("t:{}", &text[span]),
            });
        }
        out.join(" ")
    }

    #[test]
    fn tokens_are_found_in_whole_and_broken_texts() {
        for (text, expected) in [
            ("<?xml version='1.0'?><a b=\"1\" c='>'>x</a>", "<a b=1 c=>> t:x </a>"),
            ("<a><!-- <b> --><![CDATA[<c>]]></a >", "<a> t:<c> </a>"),
            ("<n:a/><b x=1 y/>", "<n:a/> <b x=1/>"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]>", "t:]>"),
            ("<a b=\"never", "<a b=never>"),
            ("<a><![CDATA[cut", "<a> t:cut"),
            ("<a><![CDATA[]]", "<a> t:]]"),
            ("<", ""),
            ("</", "</>"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(text in "[<>a/!'\"= \\[\\]?-]{0,40}") {
            let _shape = shape(&text);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            for token in Scanner::new(&bytes) {
                if let Token::Start { attributes: span, .. } = token {
                    attributes(&bytes, span, |_, _| {});
                }
            }
        }
    }
}
