//! Masking of secrets, before anything is queued, kept or sent on.
//!
//! Values are replaced by [`MASK`] where they stand; every other byte stays as it was, also in bodies that were cut or are
//! broken. What is compressed is read under a cap. A text body that cannot be read (an unknown content coding, broken
//! data) is not kept at all, because nobody can say what is in it.

mod graphql;
mod headers;
mod json;
mod known;
mod multipart;
mod names;
mod settings;
mod value;
mod xml;

use std::borrow::Cow;

use bytes::Bytes;
use weir_kit::inflate::{Coding, End, inflate_prefix};
use weir_kit::text::ByteSet;
use weir_model::body::ContentCoding;
use weir_model::{Attributes, Body, Captured, Exchange, Headers, Value, WhyNot};

use crate::media::{self, Form};
use crate::splice::Splicer;
use known::KnownNames;
use names::Names;
pub use settings::RedactSettings;

/// What stands in the place of a masked value.
pub const MASK: &str = "[masked]";

/// Masks exchanges after fixed rules. Cheap to share, made once per settings.
#[derive(Debug)]
pub struct Redactor {
    enabled: bool,
    headers: Names,
    parameters: Names,
    fields: Names,
    /// What `fields` said of names of attributes.
    facts: KnownNames,
    /// Rules for fields that are paths, canonical.
    paths: Vec<Vec<Vec<u8>>>,
    max_inflated_bytes: usize,
}

impl Redactor {
    /// A redactor for these settings.
    pub fn new(settings: &RedactSettings) -> Self {
        let fields = settings.field_rules();
        let (paths, names): (Vec<&String>, Vec<&String>) = fields.iter().partition(|rule| rule.contains('.'));
        let path = |rule: &&String| {
            rule.split('.').map(|name| names::canonical(name.as_bytes()).into_owned()).collect::<Vec<_>>()
        };
        Self {
            enabled: settings.enabled,
            headers: Names::new(settings.header_rules().iter().map(String::as_str)),
            parameters: Names::new(settings.parameter_rules().iter().map(String::as_str)),
            fields: Names::new(names.into_iter().map(String::as_str)),
            facts: KnownNames::default(),
            paths: paths.iter().map(path).collect(),
            max_inflated_bytes: settings.max_inflated_bytes,
        }
    }

    /// Masks everything that a rule names. Applying it again changes nothing.
    pub fn apply(&self, exchange: &mut Exchange) {
        if !self.enabled {
            return;
        }
        let request = &mut exchange.request;
        if let Some(masked) = self.mask_urls(request.path.as_bytes(), 0) {
            request.path = value::lossy(masked).into();
        }
        let query =
            request.query.as_ref().and_then(|query| self.mask_pairs(query.as_bytes(), &self.parameters, 0));
        if let Some(masked) = query {
            request.query = Some(value::lossy(masked).into());
        }
        self.mask_headers(&mut request.trailers);
        self.mask_body(&request.headers, &mut request.body);
        self.mask_headers(&mut request.headers);
        if let Some(response) = &mut exchange.response {
            self.mask_headers(&mut response.trailers);
            self.mask_body(&response.headers, &mut response.body);
            self.mask_headers(&mut response.headers);
        }
        self.mask_attributes_of(&mut exchange.attributes);
    }

    /// A JSON text with the values of all members masked that a rule for fields names; `None` when there are none.
    pub fn json(&self, text: &str) -> Option<String> {
        if self.enabled { self.mask_json(text.as_bytes(), 0).map(value::lossy) } else { None }
    }

    /// Whether the value of a header or trailer of this name is masked.
    pub fn masks_header(&self, name: &str) -> bool {
        self.enabled && self.headers.matches(name.as_bytes())
    }

    fn mask_attributes_of(&self, attributes: &mut Attributes) {
        for (name, fact) in attributes.facts_mut() {
            if !matches!(fact, Value::Text(_) | Value::Json(_)) {
                continue;
            }
            let fits = |name: &str| self.fields.matches(name.as_bytes());
            let is_masked = match name {
                Cow::Borrowed(name) => self.facts.answer(name, fits),
                Cow::Owned(name) => fits(name),
            };
            if is_masked {
                *fact = MASK.into();
            } else if let Value::Text(text) | Value::Json(text) = fact
                && has_marks(text)
                && let Some(masked) = self.mask_value(text, 0)
            {
                *text = masked.into();
            }
        }
    }

    fn mask_body(&self, headers: &Headers, body: &mut Body) {
        let Some(bytes) = body.bytes().filter(|bytes| !bytes.is_empty()) else { return };
        let media_type = media::media_type(headers, body).into_owned();
        let declared = media::declared(&media_type);
        if declared == Form::Binary {
            return;
        }
        let (masked, all) = match &body.coding {
            _ if is_wide(&media_type, bytes) => return body.captured = Captured::No(WhyNot::Unmaskable),
            ContentCoding::Other(_) => return body.captured = Captured::No(WhyNot::Unmaskable),
            ContentCoding::Known(Coding::Identity) => {
                let masked = self.mask_form(&media::form_of(&media_type, bytes), bytes, 0);
                (masked, !body.is_cut())
            }
            ContentCoding::Known(coding) => {
                let inside = inflate_prefix(*coding, bytes, self.max_inflated_bytes);
                if inside.bytes.is_empty() && inside.end == End::Broken {
                    return body.captured = Captured::No(WhyNot::Unmaskable);
                }
                let masked = self.mask_form(&media::form_of(&media_type, &inside.bytes), &inside.bytes, 0);
                // What lies beyond the cap was not looked at and must not be kept.
                let masked = masked.or((inside.end == End::Capped).then_some(inside.bytes));
                (masked, inside.end == End::Complete && !body.is_cut())
            }
        };
        if let Some(masked) = masked {
            let masked = Bytes::from(masked);
            body.captured = if all { Captured::Whole(masked) } else { Captured::Cut(masked) };
            body.coding = ContentCoding::default();
        }
    }

    /// A text of a known form with its secrets masked; `None` when there are none.
    fn mask_form(&self, form: &Form, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        if depth > 4 {
            return None;
        }
        match form {
            Form::Json => self.mask_json(bytes, depth),
            Form::Events => self.mask_events(bytes, depth),
            Form::UrlEncoded => self.mask_pairs(bytes, &self.fields, depth),
            Form::Multipart(boundary) => self.mask_multipart(bytes, boundary, depth),
            Form::Xml => self.mask_xml(bytes, depth),
            Form::GraphQl => self.mask_graphql(&String::from_utf8_lossy(bytes)).map(String::into_bytes),
            Form::Text => self.mask_urls(bytes, depth),
            Form::Binary => None,
        }
    }

    /// Server-sent events: each `data` line on its own.
    fn mask_events(&self, bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
        let mut splicer = Splicer::new(bytes);
        let mut start = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data:")
                && let Some(masked) = self.mask_form(&media::form_of("", data), data, depth + 1)
            {
                splicer.replace(start + 5..start + line.len(), &masked);
            }
            start += line.len() + 1;
        }
        splicer.finish()
    }

    /// Whether a path from the root, canonical names, is one of the rules.
    fn is_masked_path<'a>(&self, path: impl Iterator<Item = &'a [u8]> + Clone) -> bool {
        self.paths.iter().any(|rule| rule.iter().map(Vec::as_slice).eq(path.clone()))
    }
}

/// Whether a text has any of the bytes without which it is no document and no URL with something to mask: a list without
/// them has no names and no texts to look into.
fn has_marks(text: &str) -> bool {
    static MARKS: ByteSet = ByteSet::new(b"=@{<\\");
    MARKS.occurs_in(text.as_bytes())
}

/// Text of two or four bytes per character, which no rule can read.
fn is_wide(media_type: &str, bytes: &[u8]) -> bool {
    let charset = media::parameter(media_type, "charset").unwrap_or_default().to_ascii_lowercase();
    charset.starts_with("utf-16")
        || charset.starts_with("utf-32")
        || charset.starts_with("ucs-")
        || bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
}

#[cfg(test)]
mod tests;
