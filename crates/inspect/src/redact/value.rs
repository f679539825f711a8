//! Texts inside texts: a JSON document in a form field, a URL in a header, a GraphQL document in JSON.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::names::Names;
use super::{MASK, Redactor};
use crate::json::first_byte;
use crate::splice::Splicer;

/// Deepest nesting of texts in texts that is looked into.
const MAX_DEPTH: usize = 4;

/// What form encoding leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Whether a text may be a document or a URL with something to mask; cheap, and never wrong in saying no.
pub(super) fn may_hold_more(text: &[u8]) -> bool {
    let has_scheme = || text.iter().take(12).any(|byte| *byte == b':');
    match first_byte(text) {
        Some(b'{' | b'[' | b'<' | b'\\') => true,
        // The keywords that GraphQL documents begin with.
        Some(b'q' | b'm' | b's' | b'f') if memchr::memchr(b'{', text).is_some() => true,
        Some(b'/' | b'?' | b'#') => memchr::memchr(b'=', text).is_some(),
        Some(_) => has_scheme() && memchr::memchr2(b'=', b'@', text).is_some(),
        None => false,
    }
}

impl Redactor {
    /// A decoded text with its secrets masked; `None` when there are none.
    pub(super) fn mask_value(&self, text: &str, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        let masked = match first_byte(text.as_bytes()) {
            Some(b'{') if is_graphql(text) => self.mask_graphql(text).map(String::into_bytes),
            Some(b'{' | b'[') => self.mask_json(text.as_bytes(), depth),
            Some(b'<') => self.mask_xml(text.as_bytes(), depth),
            _ if is_graphql(text) => self.mask_graphql(text).map(String::into_bytes),
            _ => self.mask_urls(text.as_bytes(), depth),
        };
        masked.map(lossy)
    }

    /// A query string or an urlencoded form.
    pub(super) fn mask_pairs(&self, raw: &[u8], names: &Names, depth: usize) -> Option<Vec<u8>> {
        self.mask_parameters(raw, names, true, |byte| byte == b'&', depth)
    }

    /// Running text with URLs in it, or a single one: parameters of queries and fragments, and passwords before hosts.
    pub(super) fn mask_urls(&self, raw: &[u8], depth: usize) -> Option<Vec<u8>> {
        let ends =
            |byte: u8| matches!(byte, b'&' | b'"' | b'\'' | b'<' | b'>' | b'#') || byte.is_ascii_whitespace();
        let without_users = mask_user_info(raw);
        let text = without_users.as_deref().unwrap_or(raw);
        let masked = match memchr::memchr(b'=', text) {
            Some(_) => self.mask_parameters(text, &self.parameters, false, ends, depth),
            None => None,
        };
        masked.or(without_users)
    }

    /// Parameters begin at the start (if `at_start`) and after `?`, `&`, `;` and `#`; their values reach to where `ends`
    /// holds.
    fn mask_parameters(
        &self,
        raw: &[u8],
        names: &Names,
        at_start: bool,
        ends: impl Fn(u8) -> bool,
        depth: usize,
    ) -> Option<Vec<u8>> {
        let mut splicer = Splicer::new(raw);
        let mut begin = at_start.then_some(0);
        let mut at = 0;
        while at < raw.len() {
            match raw[at] {
                b'?' | b'&' | b';' | b'#' => begin = Some(at + 1),
                b'=' => {
                    if let Some(start) = begin.take() {
                        let length = raw[at + 1..].iter().position(|byte| ends(*byte));
                        let value = at + 1..length.map_or(raw.len(), |length| at + 1 + length);
                        let name = decoded(&raw[start..at]);
                        if names.matches(trimmed(name.as_bytes())) && !value.is_empty() {
                            splicer.replace(value.clone(), MASK.as_bytes());
                            at = value.end;
                            continue;
                        }
                        if let Some(masked) = self.mask_encoded(&raw[value.clone()], depth) {
                            splicer.replace(value.clone(), masked.as_bytes());
                            at = value.end;
                            continue;
                        }
                    }
                }
                _ => {}
            }
            at += 1;
        }
        splicer.finish()
    }

    /// A percent-encoded value that may hold a document or a URL.
    fn mask_encoded(&self, raw: &[u8], depth: usize) -> Option<String> {
        let encoded =
            memchr::memchr2(b'%', b'+', raw).is_some() || matches!(raw.first(), Some(b'{' | b'[' | b'<'));
        if !encoded {
            return None;
        }
        let text = decoded(raw);
        let masked = self.mask_value(&text, depth + 1)?;
        Some(utf8_percent_encode(&masked, ENCODED).to_string())
    }
}

fn trimmed(name: &[u8]) -> &[u8] {
    name.trim_ascii()
}

/// Form decoding: percent sequences and `+`.
fn decoded(raw: &[u8]) -> Cow<'_, str> {
    if memchr::memchr2(b'%', b'+', raw).is_none() {
        return String::from_utf8_lossy(raw);
    }
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).decode_utf8_lossy().into_owned())
}

/// `https://user:secret@host/` becomes `https://[masked]@host/`.
fn mask_user_info(raw: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'@', raw)?;
    let mut splicer = Splicer::new(raw);
    for at in memchr::memmem::find_iter(raw, b"://") {
        let start = at + 3;
        let authority = raw[start..].iter().position(|byte| {
            matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>') || byte.is_ascii_whitespace()
        });
        let end = authority.map_or(raw.len(), |length| start + length);
        if let Some(user) = memchr::memrchr(b'@', &raw[start..end]).filter(|length| *length > 0) {
            splicer.replace(start..start + user, MASK.as_bytes());
        }
    }
    splicer.finish()
}

/// Whether a text begins like a GraphQL document and not like JSON.
fn is_graphql(text: &str) -> bool {
    let text = text.trim_start();
    match text.strip_prefix('{') {
        Some(rest) => !matches!(first_byte(rest.as_bytes()), Some(b'"' | b'}') | None),
        None => ["query", "mutation", "subscription", "fragment"].iter().any(|word| {
            text.strip_prefix(word).is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_')
                    && rest.contains('{')
            })
        }),
    }
}

pub(super) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
