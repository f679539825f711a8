//! ALF 1.1.0 exactly as written. Members come in the order of the format's document; absent ones are left out.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

/// One exchange.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    /// Sum of the timings.
    pub time: Millis,
    /// Start of the request, UTC.
    pub started_date_time: String,
    /// Address that answered.
    #[serde(rename = "serverIPAddress", skip_serializing_if = "Option::is_none")]
    pub server_ip_address: Option<IpAddr>,
    /// Address that asked.
    #[serde(rename = "clientIPAddress", skip_serializing_if = "Option::is_none")]
    pub client_ip_address: Option<IpAddr>,
    /// What was asked.
    pub request: Request<'a>,
    /// What was answered.
    pub response: Response<'a>,
    /// Where the time went.
    pub timings: Timings,
}

/// What was asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// As sent.
    pub method: &'a str,
    /// Scheme, host without port, target as sent.
    pub url: String,
    /// `HTTP/1`, `HTTP/1.1`, `HTTP/2`.
    pub http_version: &'static str,
    /// Decoded arguments in order.
    pub query_string: Vec<Argument<'a>>,
    /// Names in lower case.
    pub headers: Vec<Header<'a>>,
    /// Bytes of the head.
    pub headers_size: u64,
    /// Whether the headers announce a body.
    pub body_captured: bool,
    /// Bytes of the body.
    pub body_size: u64,
    /// The body, when it is sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data: Option<Content<'a>>,
}

/// What was answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    /// Status code; 0 when nobody answered.
    pub status: u16,
    /// Always empty.
    pub status_text: &'static str,
    /// As in the request.
    pub http_version: &'static str,
    /// Names in lower case.
    pub headers: Vec<Header<'a>>,
    /// Always 0.
    pub headers_size: u64,
    /// Whether the headers announce a body.
    pub body_captured: bool,
    /// Bytes of the body.
    pub body_size: u64,
    /// The body, when it is sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Content<'a>>,
}

/// A header field.
#[derive(Debug, Serialize)]
pub struct Header<'a> {
    /// Lower case.
    pub name: Cow<'a, str>,
    /// With bytes that are not UTF-8 replaced.
    pub value: Cow<'a, str>,
}

/// An argument of the query string.
#[derive(Debug, Serialize)]
pub struct Argument<'a> {
    /// Decoded.
    pub name: Cow<'a, str>,
    /// Decoded.
    pub value: ArgumentValue<'a>,
}

/// The value of an argument.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ArgumentValue<'a> {
    /// `true` for a name without `=`.
    Bare(bool),
    /// What follows the `=`.
    Text(Cow<'a, str>),
}

/// A body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content<'a> {
    /// `Content-Type`, parameters included.
    pub mime_type: Cow<'a, str>,
    /// Always `base64`.
    pub encoding: &'static str,
    /// The bytes as they crossed the wire, in Base64.
    #[serde(serialize_with = "as_base64")]
    pub text: &'a Bytes,
}

fn as_base64<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

/// Where the time went.
#[derive(Debug, Serialize)]
pub struct Timings {
    /// Waiting for a connection, when measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Millis>,
    /// Connecting, when measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<Millis>,
    /// Request start to hand-off upstream.
    pub send: Millis,
    /// Hand-off to first header of the answer.
    pub wait: Millis,
    /// First header to end of the body.
    pub receive: Millis,
}

/// Milliseconds, written as a whole number whenever they are one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl Serialize for Millis {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years of microseconds")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        if micros.is_multiple_of(1_000) {
            serializer.serialize_u64(micros / 1_000)
        } else {
            serializer.serialize_f64(micros as f64 / 1_000.0)
        }
    }
}

/// The members around the entries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a> {
    /// `1.1.0`.
    pub version: &'static str,
    /// The account.
    pub service_token: &'a str,
    /// The environment; never null or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<&'a str>,
    /// Where HAR begins.
    pub har: Har<'a>,
}

/// The HAR inside an ALF.
#[derive(Debug, Serialize)]
pub struct Har<'a> {
    /// Its log.
    pub log: Log<'a>,
}

/// The log inside a HAR.
#[derive(Debug, Serialize)]
pub struct Log<'a> {
    /// Who wrote it.
    pub creator: Creator<'a>,
    /// Room for the entries, which the encoder writes one by one.
    pub entries: [(); 0],
}

/// Who wrote an ALF.
#[derive(Debug, Serialize)]
pub struct Creator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}
