//! JSON bodies: the spans of masked values are replaced, every other byte stays.

use std::ops::Range;

use super::names::canonical;
use super::{MASK, Redactor};
use crate::json::{Scanner, Token, escape, unescape};
use crate::splice::Splicer;

/// Deepest nesting for which paths and name–value pairs are followed; deeper members are still masked by name.
const MAX_FRAMES: usize = 128;

/// What is known of an object that was entered.
#[derive(Default)]
struct Frame {
    /// The member that holds it, canonical; set only when there are rules with paths.
    name: Option<Vec<u8>>,
    /// It has named something that is masked (`{"name": "password", "value": …}`).
    names_secret: bool,
}

impl Redactor {
    /// The text with its secrets masked; `None` when there are none. The text may be cut, broken, or several documents.
    pub(super) fn mask_json(&self, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        let mut splicer = Splicer::new(bytes);
        let mut scanner = Scanner::new(bytes);
        let mut frames: Vec<Frame> = Vec::new();
        let mut too_deep = 0_usize;
        let mut member: Option<Range<usize>> = None;
        while let Some(token) = scanner.next() {
            match token {
                Token::Key(span) => member = Some(span),
                Token::Open(start) => {
                    let name = member.take();
                    if name.as_ref().is_some_and(|name| self.masks_member(bytes, name, &frames)) {
                        let end = scanner.skip_value();
                        splicer.replace(start..end, QUOTED_MASK);
                    } else if frames.len() < MAX_FRAMES {
                        let name = name.filter(|_| !self.paths.is_empty());
                        let name = name.map(|name| canonical(unescape(&bytes[name]).as_bytes()).into_owned());
                        frames.push(Frame { name, names_secret: false });
                    } else {
                        too_deep += 1;
                    }
                }
                Token::Close(_) if too_deep > 0 => too_deep -= 1,
                Token::Close(_) => {
                    frames.pop();
                    member = None;
                }
                Token::Text(span) => {
                    let masked = match member.take() {
                        Some(name) if self.masks_member(bytes, &name, &frames) => Some(QUOTED_MASK.to_vec()),
                        Some(name) => {
                            self.note_name(bytes, &name, &span, frames.last_mut());
                            self.mask_string(&bytes[span.clone()], depth)
                        }
                        None => self.mask_string(&bytes[span.clone()], depth),
                    };
                    if let Some(masked) = masked {
                        splicer.replace(span, &masked);
                    }
                }
                Token::Scalar(span) => {
                    let is_value = !matches!(&bytes[span.clone()], b"null" | b"true" | b"false");
                    let name = member.take();
                    if is_value && name.is_some_and(|name| self.masks_member(bytes, &name, &frames)) {
                        splicer.replace(span, QUOTED_MASK);
                    }
                }
            }
        }
        splicer.finish()
    }

    fn masks_member(&self, bytes: &[u8], name: &Range<usize>, frames: &[Frame]) -> bool {
        let raw = &bytes[name.clone()];
        let sibling =
            frames.last().is_some_and(|frame| frame.names_secret) && raw.eq_ignore_ascii_case(b"value");
        if sibling {
            return true;
        }
        if memchr::memchr(b'\\', raw).is_some() {
            let name = unescape(raw);
            return self.fields.matches(name.as_bytes()) || self.masks_path(name.as_bytes(), frames);
        }
        self.fields.matches(raw) || self.masks_path(raw, frames)
    }

    fn masks_path(&self, name: &[u8], frames: &[Frame]) -> bool {
        !self.paths.is_empty() && {
            let names = frames.iter().filter_map(|frame| frame.name.as_deref());
            self.is_masked_path(names.chain([canonical(name).as_ref()]))
        }
    }

    fn note_name(&self, bytes: &[u8], name: &Range<usize>, value: &Range<usize>, frame: Option<&mut Frame>) {
        let Some(frame) = frame else { return };
        if matches!(&bytes[name.clone()], b"name" | b"key" | b"Name" | b"Key") {
            frame.names_secret = self.fields.matches(unescape(&bytes[value.clone()]).as_bytes());
        }
    }

    /// A string value that may itself hold JSON, XML, GraphQL or a URL.
    fn mask_string(&self, raw: &[u8], depth: usize) -> Option<Vec<u8>> {
        if !super::value::may_hold_more(raw.get(1..)?) {
            return None;
        }
        self.mask_value(&unescape(raw), depth + 1).map(|masked| escape(&masked))
    }
}

const QUOTED_MASK: &[u8] = b"\"[masked]\"";
const _: () = assert!(QUOTED_MASK.len() == MASK.len() + 2);
