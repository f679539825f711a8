//! A message as it is written (kong-runscope, A3 and B2).

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::Formatter;

/// What is reported of one exchange.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message<'a> {
    /// The reporter's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_identifier: Option<String>,
    /// What was asked.
    pub request: Request<'a>,
    /// What was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response<'a>>,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request<'a> {
    /// As sent.
    pub method: &'a str,
    /// Absolute, always with a port.
    pub url: String,
    /// By name in lower case.
    pub headers: Fields<'a>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Text<'a>>,
    /// `base64` when the content is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_encoding: Option<&'static str>,
    /// The content as form fields, when it is a form.
    pub form: Fields<'a>,
    /// When the request began.
    pub timestamp: Seconds,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response<'a> {
    /// Status code; 0 when nobody answered.
    pub status: u16,
    /// By name in lower case.
    pub headers: Fields<'a>,
    /// Bytes of the body that the client was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<Size>,
    /// The content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Text<'a>>,
    /// `base64` when the content is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_encoding: Option<&'static str>,
    /// When the exchange was over.
    pub timestamp: Seconds,
    /// From the first byte of the request to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_time: Option<Seconds>,
}

/// Text that may hold bytes which are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, [u8]>);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// A value of a header or form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// What stands after the name.
    Text(Text<'a>),
    /// A form field without `=`.
    Bare(bool),
}

/// Names with their values, in the order in which each name occurs first. A single value stands alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, Vec<Value<'a>>)>);

impl<'a> Fields<'a> {
    /// Adds a value to those of its name.
    pub fn add(&mut self, name: Cow<'a, str>, value: Value<'a>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.0.push((name, vec![value])),
        }
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, values) in &self.0 {
            match values.as_slice() {
                [value] => map.serialize_entry(name, value)?,
                values => map.serialize_entry(name, values)?,
            }
        }
        map.end()
    }
}

/// A time or duration in seconds, kept in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub i64);

impl Serialize for Seconds {
    #[expect(clippy::cast_precision_loss, reason = "the nearest double is printed with the same digits")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000_000 == 0 {
            return serializer.serialize_i64(self.0 / 1_000_000);
        }
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As a number.
    Number(u64),
    /// As text of digits, which is what the original writes.
    Text(u64),
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(bytes) => serializer.serialize_u64(*bytes),
            Self::Text(bytes) => serializer.collect_str(bytes),
        }
    }
}

/// Compact JSON in which bytes are text: those that are not UTF-8 stay as they are, as in the original.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Formatter for Raw {
    fn write_byte_array<W: ?Sized + Write>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        writer.write_all(b"\"")?;
        let mut written = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0x00..=0x1F => b"",
                _ => continue,
            };
            writer.write_all(&bytes[written..at])?;
            written = at + 1;
            if escape.is_empty() {
                write!(writer, "\\u{byte:04x}")?;
            } else {
                writer.write_all(escape)?;
            }
        }
        writer.write_all(&bytes[written..])?;
        writer.write_all(b"\"")
    }
}

/// Appends a message as JSON.
pub fn write(message: &Message<'_>, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Raw);
    message.serialize(&mut serializer).expect("strings, bytes and numbers always serialise");
}
