//! What came with a request: JSON, a form, or a multipart form.

use std::convert::Infallible;

use axum::body::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::error::Refusal;
use super::form;
use crate::entities::Object;

/// The members that were sent.
#[derive(Debug, Default, Clone)]
pub(super) struct Given {
    pub(super) object: Object,
    /// Whether values are text whatever their type.
    pub(super) textual: bool,
}

/// Reads the members of a body.
pub(super) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Given, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if body.is_empty() {
        return Ok(Given::default());
    }
    let fields = match media_type.as_str() {
        "application/json" => {
            let object = match serde_json::from_slice(&body) {
                Ok(Value::Object(object)) => object,
                _ => return Err(Refusal::message(StatusCode::BAD_REQUEST, "Cannot parse JSON body")),
            };
            return Ok(Given { object, textual: false });
        }
        "application/x-www-form-urlencoded" => urlencoded(&body),
        "multipart/form-data" => multipart(content_type, body).await?,
        _ => return Err(Refusal::message(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")),
    };
    let object = form::nest(fields).map_err(|message| Refusal::message(StatusCode::BAD_REQUEST, &message))?;
    Ok(Given { object: null_for_empty(object), textual: true })
}

fn urlencoded(body: &[u8]) -> Vec<(String, Value)> {
    let pairs = url::form_urlencoded::parse(body);
    pairs.map(|(key, value)| (key.into_owned(), Value::from(value.into_owned()))).collect()
}

async fn multipart(content_type: &str, body: Bytes) -> Result<Vec<(String, Value)>, Refusal> {
    let refuse = |error: multer::Error| Refusal::message(StatusCode::BAD_REQUEST, &error.to_string());
    let boundary = multer::parse_boundary(content_type).map_err(refuse)?;
    let stream = futures_util::stream::once(async { Ok::<_, Infallible>(body) });
    let mut parts = multer::Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(refuse)? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        let is_json = part.content_type().is_some_and(|mime| mime.subtype() == "json");
        let text = part.text().await.map_err(refuse)?;
        let value = if is_json {
            serde_json::from_str(&text)
                .map_err(|_| Refusal::message(StatusCode::BAD_REQUEST, "Cannot parse JSON body"))?
        } else {
            Value::from(text)
        };
        fields.push((name, value));
    }
    Ok(fields)
}

/// In forms an empty text unsets.
fn null_for_empty(object: Object) -> Object {
    let value = |value: Value| match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Object(inner) => Value::Object(null_for_empty(inner)),
        other => other,
    };
    object.into_iter().map(|(name, member)| (name, value(member))).collect()
}

/// The text of a declarative configuration: the body itself, or its form field `config`.
pub(super) async fn config_text(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded")
        || content_type.starts_with("multipart/form-data");
    // curl says form when it is told nothing; a raw file has no `config=`.
    if !is_form || (content_type.starts_with("application/x-www") && !body.starts_with(b"config=")) {
        return Ok(body);
    }
    let given = read(headers, body).await?;
    match given.object.get("config").and_then(Value::as_str) {
        Some(text) => Ok(Bytes::from(text.to_owned())),
        None => Err(Refusal::message(StatusCode::BAD_REQUEST, "expected a declarative configuration")),
    }
}
