//! What the gateway says itself, when no service answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

/// An answer made by the gateway or by one of its plugins.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers; `Content-Length` is added when it is sent.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// `error.type` of the record, when the answer stands for a failure: `client.*`, `upstream.*` or `gateway.*`.
    /// `None` for a decision such as 401 or 404.
    pub error: Option<&'static str>,
    /// Whether the connection must end with this answer, because the next request could not be found in its bytes.
    pub close: bool,
}

impl Answer {
    /// An answer in Kong's shape: `{"message":"..."}`.
    pub fn message(status: StatusCode, message: &str) -> Self {
        let mut body = String::with_capacity(message.len() + 16);
        body.push_str("{\"message\":");
        // A string always serialises.
        body.push_str(&serde_json::to_string(message).unwrap_or_default());
        body.push('}');
        let mut answer = Self::empty(status);
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        answer.body = body.into();
        answer
    }

    /// The answer Kong gives for this status when nothing more precise is to be said.
    pub fn standard(status: StatusCode) -> Self {
        Self::message(status, standard_message(status))
    }

    /// An answer without body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), error: None, close: false }
    }

    /// The same answer with a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same answer, recorded with this `error.type`.
    #[must_use]
    pub fn with_error(mut self, error: &'static str) -> Self {
        self.error = Some(error);
        self
    }

    /// The same answer, after which the connection ends.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Head and body apart.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Kong's words for a status.
fn standard_message(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "Bad request",
        404 => "Not found",
        405 => "Method not allowed",
        408 => "Request timeout",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Payload too large",
        414 => "URI too long",
        417 => "Expectation failed",
        431 | 494 => "Request header or cookie too large",
        500 => "An unexpected error occurred",
        502 => "An invalid response was received from the upstream server",
        503 => "The upstream server is currently unavailable",
        504 => "The upstream server is timing out",
        _ => status.canonical_reason().unwrap_or("An unexpected error occurred"),
    }
}
