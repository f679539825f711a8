//! Multipart bodies (RFC 2046, RFC 7578): whole parts by their name, other parts by what they hold.

use memchr::memmem;

use super::{MASK, Redactor};
use crate::media::{form_of, parameter};
use crate::splice::Splicer;

impl Redactor {
    /// The body with its secrets masked; `None` when there are none. The body may be cut.
    pub(super) fn mask_multipart(&self, bytes: &[u8], boundary: &str, depth: usize) -> Option<Vec<u8>> {
        let delimiter = format!("--{boundary}");
        let mut splicer = Splicer::new(bytes);
        let starts: Vec<usize> = memmem::find_iter(bytes, delimiter.as_bytes()).collect();
        for (index, start) in starts.iter().enumerate() {
            let start = start + delimiter.len();
            let end = starts.get(index + 1).copied().unwrap_or(bytes.len());
            let Some((head, content)) = split_part(bytes, start, end) else { continue };
            let head = Head::read(&bytes[start..head]);
            if head.name.is_some_and(|name| self.fields.matches(name.as_bytes())) {
                splicer.replace(content, MASK.as_bytes());
                continue;
            }
            let part = &bytes[content.clone()];
            if let Some(masked) = self.mask_form(&form_of(&head.media_type, part), part, depth + 1) {
                splicer.replace(content, &masked);
            }
        }
        splicer.finish()
    }
}

/// The end of a part's head and the span of its content, the line break before the next delimiter left out.
fn split_part(bytes: &[u8], start: usize, end: usize) -> Option<(usize, std::ops::Range<usize>)> {
    let part = &bytes[start..end];
    let (head, begin) = match memmem::find(part, b"\r\n\r\n") {
        Some(at) => (start + at, start + at + 4),
        None => memmem::find(part, b"\n\n").map(|at| (start + at, start + at + 2))?,
    };
    let content = &bytes[begin..end];
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    Some((head, begin..begin + content.len()))
}

struct Head {
    name: Option<String>,
    media_type: String,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        let mut head = Self { name: None, media_type: String::new() };
        for line in String::from_utf8_lossy(bytes).lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            match field.trim() {
                field if field.eq_ignore_ascii_case("content-disposition") => {
                    head.name = parameter(value, "name")
                }
                field if field.eq_ignore_ascii_case("content-type") => {
                    value.trim().clone_into(&mut head.media_type)
                }
                _ => {}
            }
        }
        head
    }
}
