//! Answers: JSON, compressed where the client takes it and it is worth it.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Bodies below this are not worth compressing.
const WORTH_COMPRESSING: usize = 1_024;

/// A JSON answer for a client that sent these headers.
pub(super) fn json(headers: &HeaderMap, status: StatusCode, value: &Value) -> Response<Body> {
    let text = value.to_string();
    let takes_gzip = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    match takes_gzip && text.len() >= WORTH_COMPRESSING {
        true => match gzip(text.as_bytes()) {
            Ok(small) => with_type(status, "application/json", small, Some("gzip")),
            Err(_) => with_type(status, "application/json", text, None),
        },
        false => with_type(status, "application/json", text, None),
    }
}

/// A problem in the form of RFC 9457.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let text = json!({ "title": title, "status": status.as_u16(), "detail": detail }).to_string();
    with_type(status, "application/problem+json", text, None)
}

/// An answer of any media type.
pub(super) fn with_type(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Body>,
    coding: Option<&'static str>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::SERVER, HeaderValue::from_static("shop/1.4"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
