//! HAR 1.2 exactly as written. Members of others that an entry came with follow ours.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

/// Members that HAR does not define or weir has no use for, by name.
pub type Extras = BTreeMap<String, Value>;

/// One exchange.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// With as many digits as are known.
    pub started_date_time: String,
    /// Milliseconds; sum of the timings without `ssl`, unless the reporter said otherwise.
    pub time: f64,
    /// What was asked.
    pub request: Request<'a>,
    /// What was answered; status 0 when nobody did.
    pub response: Response<'a>,
    /// Always empty.
    pub cache: Extras,
    /// Where the time went.
    pub timings: Timings,
    /// Address that answered.
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    pub server_ip_address: Option<IpAddr>,
    /// Address that asked.
    #[serde(rename = "_clientIPAddress", skip_serializing_if = "Option::is_none")]
    pub client_ip_address: Option<IpAddr>,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}

/// What was asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// As sent.
    pub method: &'a str,
    /// Absolute.
    pub url: String,
    /// As `HTTP/1.1`; empty when unknown.
    pub http_version: String,
    /// From the `Cookie` headers.
    pub cookies: Vec<Cookie>,
    /// As sent.
    pub headers: Vec<Pair<'a>>,
    /// Decoded arguments in order.
    pub query_string: Vec<Pair<'a>>,
    /// The body, when it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData<'a>>,
    /// -1 when unknown.
    pub headers_size: i64,
    /// -1 when unknown.
    pub body_size: i64,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}

/// What was answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    /// 0 when nobody answered.
    pub status: u16,
    /// Reason phrase.
    pub status_text: &'a str,
    /// As in the request.
    pub http_version: String,
    /// From the `Set-Cookie` headers.
    pub cookies: Vec<Cookie>,
    /// As sent.
    pub headers: Vec<Pair<'a>>,
    /// The body.
    pub content: Content<'a>,
    /// From the `Location` header.
    #[serde(rename = "redirectURL")]
    pub redirect_url: Cow<'a, str>,
    /// -1 when unknown.
    pub headers_size: i64,
    /// Bytes on the wire; -1 when unknown.
    pub body_size: i64,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}

/// A name with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pair<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The value, with bytes that are not UTF-8 replaced.
    pub value: Cow<'a, str>,
}

/// A cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// `Path` of a `Set-Cookie`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `Domain` of a `Set-Cookie`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// `Expires` of a `Set-Cookie`, as written there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `HttpOnly` of a `Set-Cookie`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub http_only: bool,
    /// `Secure` of a `Set-Cookie`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure: bool,
}

/// The body of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData<'a> {
    /// Media type.
    pub mime_type: Cow<'a, str>,
    /// Fields of a form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Pair<'static>>,
    /// The bytes.
    pub text: Cow<'a, str>,
    /// `base64` for bytes that are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// `cut` when the end is missing.
    #[serde(rename = "_captured", skip_serializing_if = "Option::is_none")]
    pub captured: Option<&'static str>,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}

/// The body of a response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content<'a> {
    /// Bytes without content coding.
    pub size: i64,
    /// Media type.
    pub mime_type: Cow<'a, str>,
    /// The bytes, when they were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    /// `base64` for bytes that are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<&'static str>,
    /// `cut` when the end is missing.
    #[serde(rename = "_captured", skip_serializing_if = "Option::is_none")]
    pub captured: Option<&'static str>,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}

/// Where the time went, in milliseconds; -1 for what was not measured, except in the three that must be there.
#[derive(Debug, Serialize)]
pub struct Timings {
    /// Waiting for a connection.
    pub blocked: f64,
    /// Name resolution.
    pub dns: f64,
    /// Connecting, TLS included.
    pub connect: f64,
    /// TLS.
    pub ssl: f64,
    /// Sending.
    pub send: f64,
    /// Waiting for the answer.
    pub wait: f64,
    /// Reading the answer.
    pub receive: f64,
    /// Members of others.
    #[serde(flatten)]
    pub extras: Extras,
}
