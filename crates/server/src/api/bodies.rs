//! Kept bodies, by byte range.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use weir_model::{Body, Captured};

use super::{App, exchanges, has_already, tag};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::views::exchange::media_type;

/// Most bytes that a body may have without its content coding.
const MAX_DECODED: usize = 64 << 20;

/// The kept bytes of the request body or the response body.
#[utoipa::path(
    get, path = "/api/v1/exchanges/{id}/{side}/body", operation_id = "getExchangeBody", tag = "exchanges",
    params(
        ("id" = String, Path, description = "id of the exchange"),
        ("side" = String, Path, description = "`request` or `response`"),
        ("coding" = Option<String>, Query, description = "`identity` (without content coding, the default) or `wire` (as captured)"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
        ("Range" = Option<String>, Header, description = "one range of bytes (RFC 9110 section 14)"),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream", description = "the bytes; their media type is in `X-Captured-Content-Type`"),
        (status = 206, body = Vec<u8>, content_type = "application/octet-stream", description = "the range asked for"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none, or it was not kept"),
        (status = 416, body = Problem, content_type = "application/problem+json", description = "the range lies outside"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the content coding cannot be removed; ask with `coding=wire`"),
    )
)]
pub(crate) async fn body(
    State(app): State<Arc<App>>,
    Path((id, side)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref(), &["coding", "project"]);
    let coding = parameters.choice("coding", &["identity", "wire"]);
    let project = parameters.project();
    parameters.done()?;
    if side != "request" && side != "response" {
        return Err(Problem::not_found(format!("{side:?} is neither \"request\" nor \"response\"")));
    }
    let exchange = exchanges::find(&app, &project, &id).await?;
    let (body, sent) = match (&exchange.response, side.as_str()) {
        (_, "request") => (&exchange.request.body, &exchange.request.headers),
        (Some(response), _) => (&response.body, &response.headers),
        (None, _) => return Err(Problem::not_found("nobody answered, so there is no response body")),
    };
    let tag = tag(&format!("{}-{side}-{coding}", exchange.id));
    if has_already(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let bytes = if coding == "wire" { kept(body)? } else { decoded(body)? };
    answer(&headers, tag, bytes, media_type(body, sent))
}

fn kept(body: &Body) -> Result<Bytes, Problem> {
    match &body.captured {
        Captured::Whole(bytes) | Captured::Cut(bytes) => Ok(bytes.clone()),
        Captured::No(reason) => Err(Problem::not_found(format!("the body was not kept: {}", reason.name()))),
    }
}

fn decoded(body: &Body) -> Result<Bytes, Problem> {
    kept(body)?;
    body.decoded(MAX_DECODED).ok_or_else(|| {
        let detail = format!(
            "the kept bytes cannot be read as {:?}: cut off, broken, larger than {MAX_DECODED} bytes, or of a coding \
             weir does not know; ask for them as captured with coding=wire",
            body.coding.name()
        );
        Problem::with_status(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

fn answer(
    headers: &HeaderMap,
    tag: HeaderValue,
    bytes: Bytes,
    media_type: Option<String>,
) -> Result<Response, Problem> {
    let total = bytes.len();
    // A range of something else than the client has a part of is answered with the whole (RFC 9110 section 13.1.5).
    let same = headers.get(header::IF_RANGE).is_none_or(|known| *known == tag);
    let range = headers.get(header::RANGE).filter(|_| same).and_then(|value| value.to_str().ok());
    let (status, bytes, content_range) = match range.map_or(Asked::All, |range| read_range(range, total)) {
        Asked::All => (StatusCode::OK, bytes, None),
        Asked::Part(start, end) => {
            let shown = format!("bytes {start}-{}/{total}", end.saturating_sub(1));
            (StatusCode::PARTIAL_CONTENT, bytes.slice(start..end), Some(shown))
        }
        Asked::Outside => {
            let detail = format!("the range lies outside the {total} bytes there are");
            let mut response =
                Problem::with_status(StatusCode::RANGE_NOT_SATISFIABLE, detail).into_response();
            insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{total}"));
            return Ok(response);
        }
    };
    let mut response = (status, bytes).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(header::ETAG, tag);
    if let Some(content_range) = content_range {
        insert(&mut response, header::CONTENT_RANGE, &content_range);
    }
    if let Some(media_type) = media_type {
        insert(&mut response, http::HeaderName::from_static("x-captured-content-type"), &media_type);
    }
    Ok(response)
}

/// Sets a header whose value may come from captured traffic: what is no header value is left out.
fn insert(response: &mut Response, name: http::HeaderName, value: &str) {
    let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~')).then_some(value);
    if let Some(value) = visible.and_then(|value| HeaderValue::from_str(value).ok()) {
        response.headers_mut().insert(name, value);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    All,
    Part(usize, usize),
    Outside,
}

/// Reads a `Range` header. Several ranges, and what is not a range of bytes, ask for all.
fn read_range(text: &str, total: usize) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::All;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return Asked::All;
    }
    // Numbers beyond what a body can have mean its end.
    let number = |text: &str| text.parse().unwrap_or(usize::MAX);
    let (start, end) = match (first, last) {
        ("", "") => return Asked::All,
        ("", last) => (total.saturating_sub(number(last)), if number(last) == 0 { 0 } else { total }),
        (first, "") => (number(first), total),
        (first, last) if number(first) > number(last) => return Asked::All,
        (first, last) => (number(first), number(last).saturating_add(1).min(total)),
    };
    if start < end { Asked::Part(start, end) } else { Asked::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (text, total, expected) in [
            ("bytes=0-4", 10, Asked::Part(0, 5)),
            ("bytes=5-", 10, Asked::Part(5, 10)),
            ("bytes=-3", 10, Asked::Part(7, 10)),
            ("bytes=-30", 10, Asked::Part(0, 10)),
            ("bytes=8-99", 10, Asked::Part(8, 10)),
            ("bytes=8-99999999999999999999", 10, Asked::Part(8, 10)),
            ("bytes=10-", 10, Asked::Outside),
            ("bytes=-0", 10, Asked::Outside),
            ("bytes=0-", 0, Asked::Outside),
            ("bytes=5-4", 10, Asked::All),
            ("bytes=0-1,3-4", 10, Asked::All),
            ("bytes=-", 10, Asked::All),
            ("bytes=+1-2", 10, Asked::All),
            ("lines=0-4", 10, Asked::All),
        ] {
            assert_eq!(read_range(text, total), expected, "{text} of {total}");
        }
    }
}
