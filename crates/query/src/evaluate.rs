//! What filters, dimensions and measures mean for one exchange.
//!
//! The memory store asks nothing else, and other stores ask here whenever their index cannot answer exactly; so the
//! answers of all stores agree.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use bytes::Bytes;
use weir_kit::Timestamp;
use weir_model::field::attribute_value;
use weir_model::{Exchange, Field, FieldType, FieldValue, Value};

use crate::body::{each_member, number};
use crate::table::Cell;
use crate::text::{PhraseFinder, decoded_body, decoded_component, each_text, each_word};
use crate::{Dimension, Filter, Op};

/// Text that groups or is counted as a value is cut to this many bytes; values that agree so far are one.
pub const MAX_KEY_BYTES: usize = 256;

/// An exchange counts in at most this many groups, and shows at most this many values of one field for grouping.
pub const MAX_KEYS: usize = 1_000;

/// Whether the exchange is one of those meant. Range and project are not part of a filter.
pub fn matches(filter: &Filter, exchange: &Exchange) -> bool {
    Subject::new(exchange).matches(filter)
}

/// An exchange that is asked about; its bodies are decoded once, when a question needs them.
pub struct Subject<'a> {
    exchange: &'a Exchange,
    request_body: OnceCell<Option<Bytes>>,
    response_body: OnceCell<Option<Bytes>>,
}

impl<'a> Subject<'a> {
    /// Asks about this exchange.
    pub fn new(exchange: &'a Exchange) -> Self {
        Self { exchange, request_body: OnceCell::new(), response_body: OnceCell::new() }
    }

    /// The exchange.
    pub fn exchange(&self) -> &'a Exchange {
        self.exchange
    }

    /// Whether the exchange is one of those meant.
    pub fn matches(&self, filter: &Filter) -> bool {
        match filter {
            Filter::Any => true,
            Filter::And(parts) => parts.iter().all(|part| self.matches(part)),
            Filter::Or(parts) => parts.iter().any(|part| self.matches(part)),
            Filter::Not(inner) => !self.matches(inner),
            Filter::Test { field, op } => self.test(field, op),
            Filter::Words(phrase) => self.has_phrase(phrase),
        }
    }

    fn test(&self, field: &Field, op: &Op) -> bool {
        let mut found = false;
        self.each_value(field, &mut |value| {
            found = holds(op, &value);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    }

    fn has_phrase(&self, phrase: &[String]) -> bool {
        let mut finder = PhraseFinder::new(phrase);
        let outcome = self.each_text(|text| {
            finder.reset();
            each_word(text, |word| finder.push(word))
        });
        phrase.is_empty() || outcome.is_break()
    }

    /// Hands out the searchable texts, see [`each_text`].
    pub fn each_text(&self, visit: impl FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        each_text(self.exchange, [self.request_body(), self.response_body()], visit)
    }

    /// The decoded body of the request, as far as queries look at it.
    pub fn request_body(&self) -> Option<&Bytes> {
        self.request_body.get_or_init(|| decoded_body(&self.exchange.request.body)).as_ref()
    }

    /// The decoded body of the response, as far as queries look at it.
    pub fn response_body(&self) -> Option<&Bytes> {
        let decoded = || decoded_body(&self.exchange.response.as_ref()?.body);
        self.response_body.get_or_init(decoded).as_ref()
    }

    /// Hands out the values of a field, until the visitor breaks off. Header values and query parameters are text; body
    /// members what JSON says they are, without nulls; attributes what the reporter said, see [`each_attribute_value`].
    pub fn each_value(&self, field: &Field, visit: &mut dyn FnMut(FieldValue<'_>) -> ControlFlow<()>) {
        let request = &self.exchange.request;
        match field {
            Field::Row(row) => {
                let mut state = ControlFlow::Continue(());
                (row.get)(self.exchange, &mut |value| {
                    if state.is_continue() {
                        state = visit(value);
                    }
                });
            }
            Field::RequestHeader(name) => {
                let _end = request.headers.all(name).try_for_each(|value| visit(text_value(value)));
            }
            Field::ResponseHeader(name) => {
                if let Some(response) = &self.exchange.response {
                    let _end = response.headers.all(name).try_for_each(|value| visit(text_value(value)));
                }
            }
            Field::QueryParameter(name) => {
                let pairs =
                    request.query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
                let _end = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).try_for_each(
                    |(key, value)| {
                        let is_meant = decoded_component(key) == name.as_str();
                        if is_meant {
                            visit(FieldValue::Text(decoded_component(value)))
                        } else {
                            ControlFlow::Continue(())
                        }
                    },
                );
            }
            Field::RequestBody(names) => self.each_body_value(self.request_body(), names, visit),
            Field::ResponseBody(names) => self.each_body_value(self.response_body(), names, visit),
            Field::Attribute(name) => {
                if let Some(value) = self.exchange.attributes.get(name) {
                    let _end = each_attribute_value(value, visit);
                }
            }
        }
    }

    fn each_body_value(
        &self,
        body: Option<&Bytes>,
        names: &[String],
        visit: &mut dyn FnMut(FieldValue<'_>) -> ControlFlow<()>,
    ) {
        if let Some(body) = body {
            each_member(
                body,
                |path, value| if path.is(names) { visit(value) } else { ControlFlow::Continue(()) },
            );
        }
    }

    /// Hands out the numbers and instants of a field. Text of open families counts when it writes a number.
    pub fn each_number(&self, field: &Field, mut visit: impl FnMut(Number)) {
        let is_open = field.field_type().is_none();
        self.each_value(field, &mut |value| {
            if let Some(number) = number_of(&value, is_open) {
                visit(number);
            }
            ControlFlow::Continue(())
        });
    }

    /// The different values of a dimension, in ascending order; `[Key::Null]` without one.
    pub fn keys(&self, dimension: &Dimension) -> Vec<Key> {
        let mut keys = Vec::new();
        match dimension {
            Dimension::Time(width) => keys.push(Key::Time(self.exchange.started_at.floor(*width))),
            Dimension::Field(field) => keys = self.values(field),
            Dimension::Bands { field, bounds } => self.each_number(field, |number| {
                if keys.len() < MAX_KEYS && !matches!(number, Number::Time(_)) {
                    keys.push(Key::Integer(band(number.as_f64(), bounds)));
                }
            }),
        }
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            keys.push(Key::Null);
        }
        keys
    }

    /// The first values of a field, as groups are made of them and different ones are counted.
    pub fn values(&self, field: &Field) -> Vec<Key> {
        let mut keys = Vec::new();
        self.each_value(field, &mut |value| {
            keys.push(Key::of(&value));
            if keys.len() < MAX_KEYS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        keys
    }

    /// The groups of the exchange: every combination of the values of the dimensions.
    pub fn groups(&self, dimensions: &[Dimension]) -> Vec<Vec<Key>> {
        let mut groups = vec![Vec::new()];
        for dimension in dimensions {
            let keys = self.keys(dimension);
            let longer = groups.iter().flat_map(|group| {
                keys.iter().map(move |key| [group.as_slice(), std::slice::from_ref(key)].concat())
            });
            groups = longer.take(MAX_KEYS).collect();
        }
        groups
    }
}

/// Hands out the values of an attribute: itself, or the plain items of a list. Documents have none.
pub fn each_attribute_value(
    value: &Value,
    visit: &mut dyn FnMut(FieldValue<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match value {
        Value::Json(text) if text.starts_with('[') => {
            let items: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
            items.iter().filter_map(plain_value).try_for_each(visit)
        }
        value => attribute_value(value).map_or(ControlFlow::Continue(()), visit),
    }
}

fn plain_value(item: &serde_json::Value) -> Option<FieldValue<'_>> {
    Some(match item {
        serde_json::Value::Bool(flag) => FieldValue::Bool(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => FieldValue::Integer(whole),
            None => FieldValue::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => FieldValue::Text(text.into()),
        _ => return None,
    })
}

/// Whether the call failed: a status of 500 and above, no answer, or an error inside the answer.
pub fn failed(exchange: &Exchange) -> bool {
    let error_inside = exchange.operation.as_ref().is_some_and(|operation| operation.error.is_some());
    exchange.status().is_none_or(|status| status >= 500) || error_inside
}

/// The number of the band, from 0 to the number of bounds.
pub fn band(number: f64, bounds: &[f64]) -> i64 {
    i64::try_from(bounds.partition_point(|bound| *bound <= number)).unwrap_or(i64::MAX)
}

fn text_value(bytes: &Bytes) -> FieldValue<'_> {
    FieldValue::Text(String::from_utf8_lossy(bytes))
}

/// Whether a comparison holds for a value.
pub fn holds(op: &Op, value: &FieldValue<'_>) -> bool {
    match op {
        Op::Exists => true,
        Op::In(operands) => operands.iter().any(|operand| equal(value, operand)),
        Op::Prefix(prefix) => matches!(value, FieldValue::Text(text) if text.starts_with(prefix.as_str())),
        Op::Like(pattern) => matches!(value, FieldValue::Text(text) if like(text, pattern)),
        Op::Range { from, to } => {
            let above = from.as_ref().is_none_or(|(bound, inclusive)| match compare(value, bound) {
                Some(Ordering::Greater) => true,
                Some(Ordering::Equal) => *inclusive,
                _ => false,
            });
            above
                && to.as_ref().is_none_or(|(bound, inclusive)| match compare(value, bound) {
                    Some(Ordering::Less) => true,
                    Some(Ordering::Equal) => *inclusive,
                    _ => false,
                })
        }
    }
}

/// Equal values of the same type, or equal numbers.
fn equal(left: &FieldValue<'_>, right: &FieldValue<'_>) -> bool {
    match (left, right) {
        (FieldValue::Integer(whole), FieldValue::Float(number))
        | (FieldValue::Float(number), FieldValue::Integer(whole)) => *whole as f64 == *number,
        _ => left == right,
    }
}

/// The order of two values that have one. Text beside a number counts as the number it writes.
fn compare(value: &FieldValue<'_>, bound: &FieldValue<'_>) -> Option<Ordering> {
    match (value, bound) {
        (FieldValue::Integer(left), FieldValue::Integer(right)) => Some(left.cmp(right)),
        (FieldValue::Integer(left), FieldValue::Float(right)) => (*left as f64).partial_cmp(right),
        (FieldValue::Float(left), FieldValue::Integer(right)) => left.partial_cmp(&(*right as f64)),
        (FieldValue::Float(left), FieldValue::Float(right)) => left.partial_cmp(right),
        (FieldValue::Time(left), FieldValue::Time(right)) => Some(left.cmp(right)),
        (FieldValue::Text(left), FieldValue::Text(right)) => Some(left.cmp(right)),
        (FieldValue::Text(text), FieldValue::Integer(_) | FieldValue::Float(_)) => {
            compare(&number(text)?, bound)
        }
        _ => None,
    }
}

/// Whether `text` matches a pattern in which `*` is any run of characters; linear in the length of the text for each
/// part of the pattern.
pub fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(last) = parts.next_back() else { return text == pattern };
    let Some(mut rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(found) => rest = &rest[found + part.len()..],
            None => return false,
        }
    }
    true
}

/// A number or an instant of a field: what has a least and a greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Integer(i64),
    /// With a fraction.
    Float(f64),
    /// An instant.
    Time(Timestamp),
}

impl Number {
    /// What the column of a field of numbers or instants holds.
    pub fn of_column(field_type: FieldType, number: i64) -> Self {
        match field_type {
            FieldType::Time => Self::Time(Timestamp::from_micros(number)),
            _ => Self::Integer(number),
        }
    }

    /// As a float, instants in microseconds; whole numbers beyond 2⁵³ are rounded.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Float(number) => number,
            Self::Time(instant) => instant.micros() as f64,
        }
    }
}

fn number_of(value: &FieldValue<'_>, read_text: bool) -> Option<Number> {
    match value {
        FieldValue::Integer(number) => Some(Number::Integer(*number)),
        FieldValue::Float(number) => Some(Number::Float(*number)),
        FieldValue::Time(instant) => Some(Number::Time(*instant)),
        FieldValue::Text(text) if read_text => number_of(&number(text)?, false),
        _ => None,
    }
}

/// A value that groups. The order is the order of rows: no value first, then by type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// No value.
    Null,
    /// False or true.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, by bits that sort as numbers do.
    Float(u64),
    /// An instant.
    Time(Timestamp),
    /// Text, cut to [`MAX_KEY_BYTES`].
    Text(Box<str>),
}

impl Key {
    /// The key of a value; floats that are whole numbers become these.
    pub fn of(value: &FieldValue<'_>) -> Self {
        match value {
            FieldValue::Text(text) => Self::from(text.as_ref()),
            FieldValue::Integer(number) => Self::Integer(*number),
            FieldValue::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Self::Integer(*number as i64)
            }
            FieldValue::Float(number) => Self::Float(sortable(*number)),
            FieldValue::Time(instant) => Self::Time(*instant),
            FieldValue::Bool(flag) => Self::Bool(*flag),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(cut(text).into())
    }
}

impl From<Key> for Cell {
    fn from(key: Key) -> Self {
        match key {
            Key::Null => Self::Null,
            Key::Bool(flag) => Self::Bool(flag),
            Key::Integer(number) => Self::Integer(number),
            Key::Float(bits) => Self::Float(unsortable(bits)),
            Key::Time(instant) => Self::Time(instant),
            Key::Text(text) => Self::Text(text.into()),
        }
    }
}

/// The beginning of a text, as it groups.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_KEY_BYTES)]
}

const SIGN: u64 = 1 << 63;

/// Bits that sort like the numbers: negative ones are turned over.
fn sortable(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn unsortable(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;
    use weir_model::body::ContentCoding;
    use weir_model::{Attributes, Body, ExchangeId, Request, Response, Value};

    use super::*;
    use crate::check;

    fn exchange() -> Exchange {
        let started_at = Timestamp::from_seconds(1_700_000_000);
        let request = Request {
            method: "POST".into(),
            path: "/Users/42/orders".into(),
            query: Some("page=2&q=blue%20suede+shoes&flag".into()),
            headers: [("X-Trace", "abc-DEF"), ("x-trace", "second"), ("Content-Length", "120")]
                .into_iter()
                .collect(),
            body: Body::whole(
                r#"{"plan":"pro","items":[{"sku":"a1","n":2},{"sku":"b2","n":3.5}],"ok":true,"none":null}"#,
            ),
            ..Request::default()
        };
        let mut attributes = Attributes::default();
        attributes.set("tyk.org_id", "org");
        attributes.set("depth", Value::Integer(4));
        attributes.set("tags", Value::Json("[\"gold\",7,{\"a\":\"b\"}]".into()));
        attributes.set("document", Value::Json("{\"a\":\"gold\"}".into()));
        attributes.set("geo.country.iso_code", "NO");
        let response = Response {
            status: 402,
            headers: [("Server", "weir")].into_iter().collect(),
            // {"error":{"code":"card_declined"}} in gzip would hide the words from a reader of raw bytes.
            body: Body { coding: ContentCoding::of_header(Some("zstd")), ..Body::whole(packed()) },
            ..Response::default()
        };
        Exchange {
            attributes,
            response: Some(response),
            ..Exchange::new(ExchangeId::new(started_at), started_at, request)
        }
    }

    /// A zstd frame with one raw block, RFC 8878 section 3.1.1.
    fn packed() -> Vec<u8> {
        let text = br#"{"error":{"code":"card_declined"}}"#;
        let size = u8::try_from(text.len()).unwrap();
        let header = (u32::from(size) << 3 | 1).to_le_bytes();
        [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, size][..], &header[..3], text].concat()
    }

    #[test]
    fn questions_are_answered_for_one_exchange() {
        for (query, expected) in [
            ("", true),
            ("method:POST", true),
            ("method:post", false),
            ("status:402", true),
            ("status:4xx", true),
            ("status:>402", false),
            ("-status:500", true),
            ("path:/Users/*", true),
            ("path:*orders", true),
            ("path:*order", false),
            ("path:/*/4*/o*s", true),
            ("request.header.x-trace:second", true),
            ("request.header.content-length:>100", true),
            ("request.header.content-length:>121", false),
            ("request.header.absent:*", false),
            ("request.query.page:2", true),
            ("request.query.q:\"blue suede shoes\"", true),
            ("request.query.flag:*", true),
            ("request.body.plan:pro", true),
            ("request.body.plan:free", false),
            ("request.body.items.sku:b2", true),
            ("request.body.items.n:2", true),
            ("request.body.items.n:>3", true),
            ("request.body.items.n:>4", false),
            ("request.body.ok:true", true),
            ("request.body.none:*", false),
            ("response.body.error.code:card_declined", true),
            ("attribute.depth:>=4", true),
            ("attribute.tyk.org_id:org", true),
            ("attribute.tags:gold attribute.tags:>6", true),
            ("attribute.tags:b", false),
            ("attribute.document:*", false),
            ("country:NO", true),
            ("declined", true),
            ("\"card declined\"", true),
            ("\"declined card\"", false),
            ("\"suede shoes\"", true),
            ("\"abc def\"", true),
            // A phrase does not cross from one value to the next.
            ("\"def second\"", false),
            ("trace", false),
            ("users AND (gone OR weir)", true),
        ] {
            let filter = check::text(query, Timestamp::MIN).unwrap();
            assert_eq!(matches(&filter, &exchange()), expected, "{query}");
        }
    }

    #[test]
    fn an_exchange_falls_in_every_group_of_its_values_once() {
        let exchange = exchange();
        let subject = Subject::new(&exchange);
        let field = |name| Dimension::Field(Field::named(name).unwrap());
        let text = |text: &str| Key::Text(text.into());
        let bands = Dimension::Bands {
            field: Field::named("request.body.items.n").unwrap(),
            bounds: vec![2.0, 3.5, 9.0],
        };
        assert_eq!(
            subject.groups(&[field("request.body.items.sku"), bands]),
            [("a1", 1), ("a1", 2), ("b2", 1), ("b2", 2)]
                .map(|(sku, band)| vec![text(sku), Key::Integer(band)])
        );
        assert_eq!(subject.groups(&[field("user.id"), field("status")]), [[Key::Null, Key::Integer(402)]]);
        let hour = Dimension::Time(std::time::Duration::from_secs(3_600));
        assert_eq!(subject.groups(&[hour]), [[Key::Time("2023-11-14T22:00:00Z".parse().unwrap())]]);
        assert_eq!(subject.groups(&[]), [[]]);
    }

    #[test]
    fn hostile_values_stay_within_the_limits() {
        let mut exchange = exchange();
        let values: Vec<String> = (0..20_000).map(|number| format!("\"{number}\"")).collect();
        exchange.request.body = Body::whole(format!("{{\"k\":[{}]}}", values.join(",")));
        let subject = Subject::new(&exchange);
        let dimension = Dimension::Field(Field::named("request.body.k").unwrap());
        assert_eq!(subject.groups(&[dimension.clone(), dimension.clone(), dimension]).len(), MAX_KEYS);
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a*c", true),
            ("ab", "ab*b", false),
            ("abab", "ab*ab", true),
            ("axbxc", "a*b*c", true),
            ("", "*", true),
            ("", "", true),
            ("a?c", "a?c", true),
            ("abc", "a?c", false),
            ("aaa", "*a*a*a*", true),
            ("aa", "*a*a*a*", false),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} {pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn float_keys_sort_as_numbers(left in -1e300..1e300f64, right in -1e300..1e300f64) {
            proptest::prop_assert_eq!(sortable(left).cmp(&sortable(right)), left.total_cmp(&right));
            proptest::prop_assert_eq!(unsortable(sortable(left)), left);
        }
    }
}
