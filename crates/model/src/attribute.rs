//! Open-ended facts about an exchange.

use std::borrow::Cow;

use compact_str::CompactString;

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

/// Attributes that say where a client is, by OpenTelemetry's names where it has one.
pub mod place {
    /// Text: two letters of ISO 3166-1.
    pub const COUNTRY: &str = "geo.country.iso_code";
    /// Text: city.
    pub const CITY: &str = "geo.locality.name";
    /// Whole number: the city's id at GeoNames.
    pub const CITY_ID: &str = "geo.locality.geoname_id";
    /// Text: the name of its time zone.
    pub const TIME_ZONE: &str = "geo.location.time_zone";
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
    Text(CompactString),
    /// A JSON document, kept as its text (objects, arrays).
    Json(CompactString),
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
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

/// Facts by name, in the order they were added; a name occurs once. Names that a format knows are not copied.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    facts: Vec<(Cow<'static, str>, Value)>,
    /// The [`sign`]s of all names, so that most names that are not here are not looked for.
    signs: u64,
}

/// A bit for a name; different names may have the same.
fn sign(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let at = |index: usize| bytes.get(index).map_or(0, |byte| usize::from(*byte));
    // Names of one format begin alike; those of one length differ mostly at their end.
    let length = bytes.len();
    1 << ((length * 7 + at(length / 2) * 5 + at(length.wrapping_sub(1)) * 3 + at(length.wrapping_sub(4)))
        & 63)
}

impl Attributes {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { facts: Vec::with_capacity(count), signs: 0 }
    }

    /// Sets a fact, replacing an earlier one of the same name.
    #[inline]
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) {
        let name = name.into();
        self.put(sign(&name), name, value.into());
    }

    /// Apart, so that signs of names that are part of the program are known when it is built.
    fn put(&mut self, sign: u64, name: Cow<'static, str>, value: Value) {
        if self.signs & sign != 0
            && let Some((_, slot)) = self.facts.iter_mut().find(|(known, _)| *known == name)
        {
            *slot = value;
            return;
        }
        self.signs |= sign;
        self.facts.push((name, value));
    }

    /// The fact of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        if self.signs & sign(name) == 0 {
            return None;
        }
        self.facts.iter().find(|(known, _)| known == name).map(|(_, value)| value)
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
        self.facts().map(|(name, value)| (name.as_ref(), value))
    }

    /// All facts in order. Names that are borrowed are part of the program.
    pub fn facts(&self) -> impl Iterator<Item = (&Cow<'static, str>, &Value)> {
        self.facts.iter().map(|(name, value)| (name, value))
    }

    /// All facts in order, with values that may be changed.
    pub fn facts_mut(&mut self) -> impl Iterator<Item = (&Cow<'static, str>, &mut Value)> {
        self.facts.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// Bytes of the memory for facts, also for those that are yet to come; without texts outside of it.
    pub(crate) fn room(&self) -> usize {
        self.facts.capacity() * size_of::<(Cow<'static, str>, Value)>()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}
