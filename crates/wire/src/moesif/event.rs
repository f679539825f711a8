//! Events as weir writes them (moesif-api, section 3). How they are met is in `read`.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use weir_kit::Timestamp;

/// One call. What is absent is left out.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// What was asked.
    pub request: Request<'a>,
    /// What was answered, when somebody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response<'a>>,
    /// Session or API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Cow<'a, str>>,
    /// Who called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Cow<'a, str>>,
    /// For which company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_id: Option<Cow<'a, str>>,
    /// On which subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<&'a str>,
    /// A UUID; the same whenever the event is sent again.
    pub transaction_id: String,
    /// OpenTelemetry trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// OpenTelemetry span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Box<RawValue>>,
    /// Name of the operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_name: Option<&'a str>,
    /// `Incoming`, `Outgoing` or `Internal`.
    pub direction: &'a str,
    /// How many calls this one stands for.
    pub weight: u32,
    /// Id of the governance rule that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<&'a str>,
    /// Comma list of old clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<&'a str>,
    /// All else.
    pub metadata: Metadata<'a>,
}

/// What was asked.
#[derive(Debug, Serialize)]
pub struct Request<'a> {
    /// When the first byte arrived.
    pub time: Time,
    /// `scheme://host:port/path?query`, with the port always.
    pub uri: String,
    /// Method.
    pub verb: &'a str,
    /// Header fields.
    pub headers: Fields<'a>,
    /// As configured.
    pub api_version: &'a str,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<IpAddr>,
    /// The content.
    #[serde(flatten)]
    pub content: Option<Content<'a>>,
}

/// What was answered.
#[derive(Debug, Serialize)]
pub struct Response<'a> {
    /// When the last byte left.
    pub time: Time,
    /// Status.
    pub status: u16,
    /// Header fields.
    pub headers: Fields<'a>,
    /// The content.
    #[serde(flatten)]
    pub content: Option<Content<'a>>,
}

/// A body with how it is written.
#[derive(Debug, Serialize)]
pub struct Content<'a> {
    /// The body.
    pub body: BodyText<'a>,
    /// `json` or `base64`.
    pub transfer_encoding: &'static str,
}

impl<'a> Content<'a> {
    /// A body that is JSON, as its text.
    pub fn json(text: Cow<'a, RawValue>) -> Self {
        Self { body: BodyText::Json(text), transfer_encoding: "json" }
    }

    /// A body of any kind.
    pub fn base64(bytes: Cow<'a, [u8]>) -> Self {
        Self { body: BodyText::Base64(bytes), transfer_encoding: "base64" }
    }
}

/// The text of a body.
#[derive(Debug)]
pub enum BodyText<'a> {
    /// JSON, passed on as it is.
    Json(Cow<'a, RawValue>),
    /// Bytes.
    Base64(Cow<'a, [u8]>),
}

impl Serialize for BodyText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(text) => text.serialize(serializer),
            Self::Base64(bytes) => serializer.collect_str(&Base64Display::new(bytes, &STANDARD)),
        }
    }
}

/// Header fields by name, each name once; a name with several values has a list of them.
#[derive(Debug, Default)]
pub struct Fields<'a>(pub Vec<Field<'a>>);

/// A header's name, in lower case, with its values in order.
#[derive(Debug)]
pub struct Field<'a> {
    /// In lower case.
    pub name: Cow<'a, str>,
    /// At least one.
    pub values: Vec<Cow<'a, str>>,
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for field in &self.0 {
            match field.values.as_slice() {
                [value] => map.serialize_entry(&field.name, value)?,
                values => map.serialize_entry(&field.name, &Values(values))?,
            }
        }
        map.end()
    }
}

struct Values<'v, 'a>(&'v [Cow<'a, str>]);

impl Serialize for Values<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            list.serialize_element(value)?;
        }
        list.end()
    }
}

/// What has no member of its own.
#[derive(Debug, Default)]
pub struct Metadata<'a> {
    /// What a reporter sent, apart from what follows.
    pub other: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// What the gateway knows.
    pub kong: Kong<'a>,
    /// Why bodies are missing.
    pub capture: Capture,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.other {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("kong", &self.kong)?;
        if self.capture != Capture::default() {
            map.serialize_entry("capture", &self.capture)?;
        }
        map.end()
    }
}

/// What the gateway knows.
#[derive(Debug, Default, Serialize)]
pub struct Kong<'a> {
    /// Hosts of the route that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_hosts: Option<Box<RawValue>>,
    /// Name of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<&'a str>,
}

/// Why bodies are missing.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capture {
    /// Of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<&'static str>,
    /// Of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<&'static str>,
}

/// An instant, written as `2024-05-06T07:08:09.005Z`: always with three digits, which the original forgets to pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let end = if self.0.millis() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        let instant = jiff::Timestamp::from_millisecond(self.0.millis()).unwrap_or(end);
        serializer.collect_str(&format_args!("{instant:.3}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_always_have_three_digits() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (5_999, "1970-01-01T00:00:00.005Z"),
            (1_714_979_289_045_000, "2024-05-06T07:08:09.045Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let written = serde_json::to_string(&Time(Timestamp::from_micros(micros))).unwrap();
            assert_eq!(written, format!("\"{text}\""));
        }
        for odd in [Timestamp::MIN, Timestamp::MAX] {
            let text: String = serde_json::from_str(&serde_json::to_string(&Time(odd)).unwrap()).unwrap();
            assert!(text.ends_with('Z') && text.parse::<Timestamp>().is_ok(), "{text}");
        }
    }
}
