//! What a body is made of, by its media type and, where that says little, by its first bytes.

use std::borrow::Cow;

use weir_model::{Body, Headers};

use crate::json;

/// A form of text that weir can look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON, one or several documents.
    Json,
    /// Server-sent events, whose data may be JSON.
    Events,
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `multipart/*` with its boundary.
    Multipart(String),
    /// XML, SOAP, HTML.
    Xml,
    /// A GraphQL document.
    GraphQl,
    /// Text of another kind, or of no declared kind.
    Text,
    /// Anything else: images, archives, protobuf.
    Binary,
}

/// The media type of a body: what came beside it, else the `Content-Type` header.
pub(crate) fn media_type<'a>(headers: &'a Headers, body: &'a Body) -> Cow<'a, str> {
    match &body.media_type {
        Some(given) => Cow::Borrowed(given),
        None => headers.text("content-type").unwrap_or_default(),
    }
}

/// The form that a media type declares; `Text` when there is none or it says nothing (`application/octet-stream`).
pub(crate) fn declared(media_type: &str) -> Form {
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let Some((kind, subtype)) = essence.split_once('/') else { return Form::Text };
    match (kind, subtype) {
        ("application", "graphql") => Form::GraphQl,
        ("application", "x-www-form-urlencoded") => Form::UrlEncoded,
        ("text", "event-stream") => Form::Events,
        ("multipart", _) => parameter(media_type, "boundary").map_or(Form::Text, Form::Multipart),
        (_, subtype) if subtype.contains("json") => Form::Json,
        (_, subtype) if subtype.contains("xml") || subtype == "html" => Form::Xml,
        ("text", _) | ("application", "octet-stream" | "javascript" | "x-javascript" | "unknown") => {
            Form::Text
        }
        _ => Form::Binary,
    }
}

/// The form of bytes without content coding. What declares itself as text of no special kind, or wrongly, is judged by its
/// first bytes.
pub(crate) fn form_of(media_type: &str, bytes: &[u8]) -> Form {
    match (declared(media_type), json::first_byte(bytes)) {
        (Form::Text | Form::UrlEncoded | Form::Xml, Some(b'{' | b'[')) => Form::Json,
        (Form::Text | Form::Json, Some(b'<')) => Form::Xml,
        (Form::Text | Form::Json, Some(_)) if looks_url_encoded(bytes) => Form::UrlEncoded,
        (form, _) => form,
    }
}

/// `name=value`, perhaps followed by more of the same: no white space before the first `=`.
fn looks_url_encoded(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(129)];
    match memchr::memchr(b'=', begin) {
        Some(at @ 1..) => begin[..at].iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%')
        }),
        _ => false,
    }
}

/// A parameter of a media type or a disposition, without its quotes.
pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (content, next) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(';').map_or((after, ""), |(value, next)| (value, next)),
        };
        if key.trim_matches([' ', ';', '\t']).eq_ignore_ascii_case(name) {
            return Some(content.trim().to_owned()).filter(|content| !content.is_empty());
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read() {
        for (media_type, form) in [
            ("application/json; charset=utf-8", Form::Json),
            ("application/vnd.api+json", Form::Json),
            ("application/x-ndjson", Form::Json),
            ("text/event-stream", Form::Events),
            ("APPLICATION/X-WWW-FORM-URLENCODED", Form::UrlEncoded),
            ("multipart/form-data; charset=a; boundary=\"x y\"", Form::Multipart("x y".into())),
            ("multipart/form-data;boundary=xy;a=b", Form::Multipart("xy".into())),
            ("text/xml", Form::Xml),
            ("application/soap+xml; action=\"a;b\"", Form::Xml),
            ("text/html", Form::Xml),
            ("", Form::Text),
            ("nonsense", Form::Text),
            ("image/png", Form::Binary),
            ("application/grpc", Form::Binary),
        ] {
            assert_eq!(declared(media_type), form, "{media_type}");
        }
    }

    #[test]
    fn first_bytes_decide_where_the_type_says_little() {
        for (media_type, bytes, form) in [
            ("text/plain", " {\"a\":1}", Form::Json),
            ("application/x-www-form-urlencoded", "{\"a\":1}", Form::Json),
            ("", "<a/>", Form::Xml),
            ("", "a=b&c=d", Form::UrlEncoded),
            ("text/plain", "see a = b", Form::Text),
            ("application/json", "a=b", Form::UrlEncoded),
            ("image/png", "{", Form::Binary),
        ] {
            assert_eq!(form_of(media_type, bytes.as_bytes()), form, "{media_type} {bytes}");
        }
    }

    #[test]
    fn parameters_are_found_among_others() {
        let value = "form-data; name=\"a;b\"; filename=c.txt";
        assert_eq!(parameter(value, "name").as_deref(), Some("a;b"));
        assert_eq!(parameter(value, "filename").as_deref(), Some("c.txt"));
        assert_eq!(parameter(value, "other"), None);
    }
}
