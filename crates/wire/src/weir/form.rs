//! One exchange as one JSON object. Members that hold nothing are left out; unknown ones are ignored when reading, so that
//! older versions read what newer ones wrote.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weir_kit::Timestamp;

/// The version of this form.
pub const VERSION: u32 = 1;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

fn one() -> u32 {
    1
}

/// One exchange.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record<'a> {
    /// [`VERSION`]; first, so that the form is recognised.
    pub weir: u32,
    /// UUID.
    pub id: String,
    /// RFC 3339 with microseconds.
    pub started_at: Timestamp,
    /// Whose traffic it is.
    #[serde(borrow)]
    pub project: Cow<'a, str>,
    /// How it reached weir.
    #[serde(borrow, default, skip_serializing_if = "is_default")]
    pub source: Cow<'a, str>,
    /// Who saw it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Cow<'a, str>>,
    /// Where it was deployed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Cow<'a, str>>,
    /// Kong's service.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Cow<'a, str>>,
    /// Kong's route.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'a, str>>,
    /// Kong's consumer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Consumer<'a>>,
    /// Who called, as the application knows them.
    #[serde(borrow, default, skip_serializing_if = "is_default")]
    pub identity: Identity<'a>,
    /// The caller's end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub client: Peer,
    /// The answering end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub server: Peer,
    /// What was asked.
    #[serde(borrow)]
    pub request: Request<'a>,
    /// What was answered.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response<'a>>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub timings: Timings,
    /// What went wrong on the way.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
    /// What the request meant.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation<'a>>,
    /// What detectors saw.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding<'a>>,
    /// How many calls this one stands for.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// Ids of plugin configurations that asked for it.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Cow<'a, str>>,
    /// All else.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute<'a>>,
}

/// Kong's consumer.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consumer<'a> {
    /// Kong's id.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// Kong's `username`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub username: Option<Cow<'a, str>>,
    /// Kong's `custom_id`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<Cow<'a, str>>,
    /// Id of the credential.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Cow<'a, str>>,
}

/// Who called, as the application knows them.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity<'a> {
    /// The user.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub user: Option<Cow<'a, str>>,
    /// The company.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub company: Option<Cow<'a, str>>,
    /// The subscription.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Cow<'a, str>>,
    /// The session.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
}

/// One end of a connection.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Peer {
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// What was asked.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request<'a> {
    /// As sent.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// `http` or `https`.
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub scheme: Cow<'a, str>,
    /// With the port if it was given.
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub host: Cow<'a, str>,
    /// Exactly as sent.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// Exactly as sent.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub query: Option<Cow<'a, str>>,
    /// `1.1`, `2`, ...
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub version: Cow<'a, str>,
    /// In order.
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header<'a>>,
    /// Bytes of the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_size: Option<u64>,
    /// In order.
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<Header<'a>>,
    /// The content.
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub body: Body<'a>,
}

/// What was answered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Response<'a> {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// As in the request.
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub version: Cow<'a, str>,
    /// In order.
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header<'a>>,
    /// Bytes of the head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_size: Option<u64>,
    /// In order.
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<Header<'a>>,
    /// The content.
    #[serde(borrow, skip_serializing_if = "is_default")]
    pub body: Body<'a>,
}

/// A header or trailer field.
#[derive(Debug, Serialize, Deserialize)]
pub struct Header<'a> {
    /// In the case it came in.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The value.
    #[serde(borrow, flatten)]
    pub value: Content<'a>,
}

/// Bytes: `text` when they are UTF-8, else `base64`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content<'a> {
    /// The bytes as text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    /// The bytes in Base64.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub base64: Option<Cow<'a, str>>,
}

/// The content of a message.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Body<'a> {
    /// Bytes on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// `whole`, `cut`, or why nothing was kept; left out when that is unknown.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Cow<'a, str>>,
    /// The bytes that were kept.
    #[serde(borrow, flatten)]
    pub content: Content<'a>,
    /// Content coding of those bytes.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub coding: Option<Cow<'a, str>>,
    /// Media type given beside the body.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<Cow<'a, str>>,
}

/// Parts of the time in milliseconds; left out when not measured.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Timings {
    /// Waiting for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<f64>,
    /// Name resolution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<f64>,
    /// Connecting, TLS included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<f64>,
    /// To the hand-off upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<f64>,
    /// To the first byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<f64>,
    /// To the last byte of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive: Option<f64>,
    /// The whole, as reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

/// What the request meant.
#[derive(Debug, Serialize, Deserialize)]
pub struct Operation<'a> {
    /// `rest`, `graphql`, ...
    #[serde(borrow)]
    pub protocol: Cow<'a, str>,
    /// Path template.
    #[serde(borrow)]
    pub template: Cow<'a, str>,
    /// Operation, method or action.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// `query`, `mutation`, ...
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Cow<'a, str>>,
    /// Error inside the answer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
}

/// What a detector saw.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finding<'a> {
    /// The detector.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// `info`, `warning`, `critical`.
    #[serde(borrow)]
    pub severity: Cow<'a, str>,
    /// Name of the field.
    #[serde(borrow)]
    pub location: Cow<'a, str>,
    /// What was seen.
    #[serde(borrow)]
    pub evidence: Cow<'a, str>,
}

/// A fact.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attribute<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its value, unless it is a document. `null` stands for a number that JSON has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Its value when it is a JSON document, as text.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Cow<'a, str>>,
}
