//! ALF 1.0.0 exactly as written (kong-analytics, section 3): one entry per ALF, every member present.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

/// One ALF.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alf<'a> {
    /// `1.0.0`.
    pub version: &'static str,
    /// The account.
    pub service_token: &'a str,
    /// The environment; never null or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<&'a str>,
    /// Address that asked.
    #[serde(rename = "clientIPAddress", skip_serializing_if = "Option::is_none")]
    pub client_ip_address: Option<IpAddr>,
    /// Where HAR begins.
    pub har: Har<'a>,
}

/// The HAR inside.
#[derive(Debug, Serialize)]
pub struct Har<'a> {
    /// Its log.
    pub log: Log<'a>,
}

/// The log inside a HAR.
#[derive(Debug, Serialize)]
pub struct Log<'a> {
    /// `1.2`.
    pub version: &'static str,
    /// Who wrote it.
    pub creator: Creator,
    /// One entry.
    pub entries: [Entry<'a>; 1],
}

/// Who wrote an ALF; readers of this version learn from the name that bodies are Base64.
#[derive(Debug, Serialize)]
pub struct Creator {
    /// `galileo-agent-kong`.
    pub name: &'static str,
    /// `1.1.0`.
    pub version: &'static str,
}

/// One exchange.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// Whole seconds, UTC.
    pub started_date_time: String,
    /// Milliseconds; sum of the timings that were measured.
    pub time: f64,
    /// What was asked.
    pub request: Request<'a>,
    /// What was answered.
    pub response: Response<'a>,
    /// Always empty.
    pub cache: Empty,
    /// Where the time went.
    pub timings: Timings,
}

/// `{}`.
#[derive(Debug, Serialize)]
pub struct Empty {}

/// What was asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// As sent.
    pub method: &'a str,
    /// Scheme, host without port, target as sent.
    pub url: String,
    /// As `HTTP/1.1`.
    pub http_version: &'static str,
    /// Always empty.
    pub cookies: [(); 0],
    /// Decoded arguments; `true` for a name without `=`.
    pub query_string: Vec<Pair<'a>>,
    /// Names in lower case.
    pub headers: Vec<Pair<'a>>,
    /// Bytes of names and values.
    pub headers_size: usize,
    /// Bytes of the body that is sent along.
    pub body_size: usize,
    /// The body.
    pub post_data: PostData<'a>,
}

/// A name with a value.
#[derive(Debug, Serialize)]
pub struct Pair<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The value.
    pub value: Cow<'a, str>,
}

/// The body of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData<'a> {
    /// `Content-Type`.
    pub mime_type: Cow<'a, str>,
    /// Fields of a form.
    pub params: Vec<Pair<'a>>,
    /// Base64; empty when bodies are not sent.
    pub text: String,
}

/// What was answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    /// Status code.
    pub status: u16,
    /// Always empty.
    pub status_text: &'static str,
    /// Always empty.
    pub http_version: &'static str,
    /// Always empty.
    pub cookies: [(); 0],
    /// Names in lower case.
    pub headers: Vec<Pair<'a>>,
    /// Bytes of names and values.
    pub headers_size: usize,
    /// Bytes of the body.
    pub body_size: u64,
    /// The body.
    pub content: Content<'a>,
    /// Always empty.
    #[serde(rename = "redirectURL")]
    pub redirect_url: &'static str,
}

/// The body of a response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content<'a> {
    /// Bytes of the body.
    pub size: u64,
    /// `Content-Type`.
    pub mime_type: Cow<'a, str>,
    /// Base64; empty when bodies are not sent.
    pub text: String,
}

/// Milliseconds; -1 for what was not measured.
#[derive(Debug, Serialize)]
pub struct Timings {
    /// Never measured.
    pub blocked: i8,
    /// Never measured.
    pub connect: i8,
    /// Never measured.
    pub dns: i8,
    /// Never measured.
    pub ssl: i8,
    /// Request start to hand-off upstream.
    pub send: f64,
    /// Hand-off to first header of the answer.
    pub wait: f64,
    /// First header to end of the body.
    pub receive: f64,
}
