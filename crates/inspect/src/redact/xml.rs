//! XML and HTML: elements and attributes by their local names.

use std::ops::Range;

use super::{MASK, Redactor};
use crate::splice::Splicer;
use crate::xml::{Scanner, Token, attributes, local};

/// Deepest nesting for which paths are followed; deeper elements are still masked by name.
const MAX_FRAMES: usize = 128;

impl Redactor {
    /// The text with its secrets masked; `None` when there are none. The text may be cut or broken.
    pub(super) fn mask_xml(&self, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        let mut splicer = Splicer::new(bytes);
        let mut scanner = Scanner::new(bytes);
        let mut path: Vec<&[u8]> = Vec::new();
        while let Some(token) = scanner.next() {
            match token {
                Token::Start { name, attributes: within, empty, end } => {
                    let name = local(&bytes[name]);
                    let secret = self.mask_attributes(bytes, within, depth, &mut splicer);
                    if empty {
                        continue;
                    }
                    if secret || self.fields.matches(name) || self.masks_element(&path, name) {
                        let content = end..content_end(bytes, &mut scanner, name);
                        if !bytes[content.clone()].trim_ascii().is_empty() {
                            splicer.replace(content, MASK.as_bytes());
                        }
                    } else if path.len() < MAX_FRAMES {
                        path.push(name);
                    }
                }
                Token::End { name, .. } => {
                    if path.last() == Some(&local(&bytes[name])) {
                        path.pop();
                    }
                }
                Token::Text(span) => {
                    if let Some(masked) = self.mask_urls(&bytes[span.clone()], depth) {
                        splicer.replace(span, &masked);
                    }
                }
            }
        }
        splicer.finish()
    }

    fn masks_element(&self, path: &[&[u8]], name: &[u8]) -> bool {
        !self.paths.is_empty() && {
            let names: Vec<_> =
                path.iter().chain([&name]).map(|name| super::names::canonical(name)).collect();
            self.is_masked_path(names.iter().map(AsRef::as_ref))
        }
    }

    /// Masks attributes by name, and the `value` of an element whose `name` or `key` attribute says it holds a secret; tells
    /// whether the latter is so.
    fn mask_attributes(
        &self,
        bytes: &[u8],
        within: Range<usize>,
        depth: usize,
        splicer: &mut Splicer<'_>,
    ) -> bool {
        if within.is_empty() {
            return false;
        }
        let mut names_secret = false;
        attributes(bytes, within.clone(), |name, value| {
            let is_name = matches!(bytes[name].to_ascii_lowercase().as_slice(), b"name" | b"key" | b"id");
            names_secret |= is_name && self.fields.matches(&bytes[value]);
        });
        attributes(bytes, within, |name, value| {
            let name = local(&bytes[name]);
            let content = &bytes[value.clone()];
            if content.is_empty() {
                return;
            }
            if self.fields.matches(name) || names_secret && name.eq_ignore_ascii_case(b"value") {
                splicer.replace(value, MASK.as_bytes());
            } else if let Some(masked) = self.mask_urls(content, depth) {
                splicer.replace(value, &masked);
            }
        });
        names_secret
    }
}

/// Passes over the content of an element that was opened; gives the offset of its end tag.
fn content_end(bytes: &[u8], scanner: &mut Scanner<'_>, name: &[u8]) -> usize {
    let mut depth = 1_usize;
    for token in scanner {
        match token {
            Token::Start { name: other, empty: false, .. } if local(&bytes[other.clone()]) == name => {
                depth += 1
            }
            Token::End { name: other, start } if local(&bytes[other.clone()]) == name => {
                depth -= 1;
                if depth == 0 {
                    return start;
                }
            }
            _ => {}
        }
    }
    bytes.len()
}
