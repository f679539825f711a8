//! Problem details (RFC 9457): the one form of errors of weir's own API.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use weir_query::{Mistake, Place};
use weir_store::StoreError;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// What kind of problem it is: `urn:weir:problem:invalid`, `:not-found`, `:busy`, `:failed`, ... or `about:blank`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, naming the thing and the value.
    pub detail: String,
    /// Every mistake found in the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemItem>,
    /// Value of the `WWW-Authenticate` header.
    #[serde(skip)]
    challenge: bool,
    /// Seconds after which to try again.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProblemItem {
    /// Where in the body: a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong and what to write instead.
    pub detail: String,
    /// Where in the value the mistake begins, in UTF-16 code units (as JavaScript counts).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// How long it is, in UTF-16 code units; 0 at the end of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
}

/// Where a query text came from, to say where its mistakes are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// The parameter `q` with this value.
    Parameter(&'a str),
    /// The member `/q` of a body with this value.
    Body(&'a str),
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail,
            errors: Vec::new(),
            challenge: false,
            retry_after: None,
        }
    }

    /// 400: the request cannot be understood.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "urn:weir:problem:invalid", "the request has mistakes", detail)
    }

    /// 401: no token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        let detail = "send the token of the setting server.token as \"Authorization: Bearer …\", or sign in";
        let mut problem =
            Self::new(StatusCode::UNAUTHORIZED, "urn:weir:problem:unauthorized", "a token is needed", detail);
        problem.challenge = true;
        problem
    }

    /// 403: not from there.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "urn:weir:problem:forbidden", "not allowed", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "urn:weir:problem:not-found", "not found", detail)
    }

    /// 503: later, perhaps.
    pub fn busy(detail: impl Into<String>) -> Self {
        let mut problem =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "urn:weir:problem:busy", "busy at the moment", detail);
        problem.retry_after = Some(1);
        problem
    }

    /// Any other status, with its own words for a title.
    pub fn with_status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "about:blank", status.canonical_reason().unwrap_or("error"), detail)
    }

    /// 400 with all mistakes of a question. `origin` is the query text that mistakes in a text belong to.
    pub(crate) fn mistakes(mistakes: &[Mistake], origin: Origin<'_>) -> Self {
        let detail = match mistakes {
            [only] => only.detail.clone(),
            many => format!(
                "{} mistakes; the first: {}",
                many.len(),
                many.first().map_or("", |first| &first.detail)
            ),
        };
        let mut problem = Self::invalid(detail);
        problem.errors = mistakes.iter().map(|mistake| ProblemItem::new(mistake, origin)).collect();
        problem
    }
}

impl ProblemItem {
    fn new(mistake: &Mistake, origin: Origin<'_>) -> Self {
        let mut item = Self {
            pointer: None,
            parameter: None,
            detail: mistake.detail.clone(),
            offset: None,
            length: None,
        };
        match &mistake.place {
            Place::Pointer(pointer) => item.pointer = Some(pointer.clone()),
            Place::Parameter(name) => item.parameter = Some((*name).to_owned()),
            Place::Text { offset, length } => {
                let text = match origin {
                    Origin::Parameter(text) => {
                        item.parameter = Some("q".to_owned());
                        text
                    }
                    Origin::Body(text) => {
                        item.pointer = Some("/q".to_owned());
                        text
                    }
                };
                let units = |part: Option<&str>| part.map_or(0, |part| part.encode_utf16().count());
                item.offset = Some(units(text.get(..*offset)));
                item.length = Some(units(text.get(*offset..offset + length)));
            }
        }
        item
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy(_) => Self::busy(error.to_string()),
            StoreError::TooLarge(_) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "urn:weir:problem:too-large",
                "the question is too large",
                format!("{error}; narrow the time range, the filter or the grouping"),
            ),
            StoreError::Failed(_) => {
                tracing::error!(%error, "the store failed to answer");
                let detail = "the store failed; the log of the server says why";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "urn:weir:problem:failed", "failed", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"weir\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_as_javascript_does() {
        let text = "é😀 latency:>fast";
        let mistakes = weir_query::check::text(text, weir_kit::Timestamp::from_seconds(0)).unwrap_err();
        let problem = Problem::mistakes(&mistakes, Origin::Parameter(text));
        let item = &problem.errors[0];
        assert_eq!((item.parameter.as_deref(), item.offset, item.length), (Some("q"), Some(13), Some(4)));
    }
}
