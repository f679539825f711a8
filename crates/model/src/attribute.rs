//! Open-ended facts about an exchange.

use std::borrow::Cow;

/// Attributes by which a gateway says how a call was to be recorded.
pub mod recording {
    /// True where requests and responses were to be recorded whole.
    pub const DETAILED: &str = "recording.detailed";
    /// Text: the template of the endpoint, where it is tracked by name.
    pub const ENDPOINT: &str = "recording.endpoint";
    /// Whole number: seconds that outputs with an expiry of their own keep the record.
    pub const KEEP_FOR: &str = "recording.keep_for";
    /// JSON list of text.
    pub const TAGS: &str = "recording.tags";
}

/// Attributes that say where a client is, by OpenTelemetry's names.
pub mod place {
    /// Text: two letters of ISO 3166-1.
    pub const COUNTRY: &str = "geo.country.iso_code";
    /// Text: city.
    pub const CITY: &str = "geo.locality.name";
    /// Degrees north.
    pub const LATITUDE: &str = "geo.location.lat";
    /// Degrees east.
    pub const LONGITUDE: &str = "geo.location.lon";
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A JSON document, kept as its text (objects, arrays).
    Json(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// Facts by name, in the order they were added; a name occurs once. Names that a format knows are not copied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(Vec<(Cow<'static, str>, Value)>);

impl Attributes {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Sets a fact, replacing an earlier one of the same name.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The fact of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text of the fact of this name, when it is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// All facts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
