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
