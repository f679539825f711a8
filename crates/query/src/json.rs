//! The JSON form of questions: filters, and the bodies of explorations and aggregations.
//!
//! A filter is one of `{"and": [f…]}`, `{"or": [f…]}`, `{"not": f}`, `{"text": "a phrase"}` and `{"field": name, "op": …}` with
//! `op` one of `exists`, `eq` (`value`), `in` (`values`), `prefix` and `like` (`value`), `range` (`gt`, `gte`, `lt`, `lte`).
//! Durations are texts with a unit or numbers of milliseconds; times are texts or numbers of epoch milliseconds.

use std::time::Duration;

use serde_json::{Map, Value};
use weir_kit::Timestamp;
use weir_model::{Field, FieldType, ProjectId};

use crate::mistake::{Mistake, Place, closest, quoted};
use crate::parse::{MAX_DEPTH, MAX_TERMS};
use crate::syntax::{Expression, Given, Literal, Matcher};
use crate::{Aggregation, Dimension, Filter, Measure, TimeRange, check, time};

/// Most rows of a page.
pub const MAX_PAGE: usize = 1_000;
/// Rows of a page when nothing is asked for.
pub const DEFAULT_PAGE: usize = 50;
/// Most rows of a table.
pub const MAX_ROWS: usize = 10_000;
/// Rows of a table when nothing is asked for.
pub const DEFAULT_ROWS: usize = 100;
/// Most buckets of a histogram.
pub const MAX_BUCKETS: usize = 1_000;
/// Most dimensions of an aggregation, beside the interval.
pub const MAX_DIMENSIONS: usize = 4;
/// Most measures of an aggregation.
pub const MAX_MEASURES: usize = 20;
/// Most bounds of one set of bands.
pub const MAX_BOUNDS: usize = 200;

/// «Show me these, and how many there were when.»
#[derive(Debug, Clone, PartialEq)]
pub struct Exploration {
    /// When.
    pub range: TimeRange,
    /// Which.
    pub filter: Filter,
    /// Rows of the page.
    pub limit: usize,
    /// Where the page begins, as written; the reader of cursors is the server.
    pub cursor: Option<String>,
    /// About how many buckets the histogram shall have; 0 for none.
    pub buckets: usize,
}

/// Reads the body of an exploration.
pub fn exploration(body: &Value, now: Timestamp) -> Result<Exploration, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let known = ["q", "filter", "from", "to", "limit", "cursor", "buckets"];
    let mut object = Object::open(body, "", &known, &mut mistakes);
    let range = object.range(now);
    let filter = object.filter(now);
    let limit = object.count("limit", 1..=MAX_PAGE, DEFAULT_PAGE);
    let buckets = object.count("buckets", 0..=MAX_BUCKETS, 60);
    let cursor = object.text("cursor").map(str::to_owned);
    done(Exploration { range, filter, limit, cursor, buckets }, mistakes)
}

/// Reads the body of an aggregation.
pub fn aggregation(body: &Value, project: ProjectId, now: Timestamp) -> Result<Aggregation, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let known = ["q", "filter", "from", "to", "group_by", "interval", "measures", "order_by", "limit"];
    let mut object = Object::open(body, "", &known, &mut mistakes);
    let range = object.range(now);
    let filter = object.filter(now);
    let interval = object.interval();
    let mut dimensions: Vec<Dimension> = interval.into_iter().map(Dimension::Time).collect();
    dimensions.extend(object.dimensions());
    let (names, measures) = object.measures();
    let order_by = object.order(&names, interval.is_some());
    let limit = object.count("limit", 1..=MAX_ROWS, DEFAULT_ROWS);
    done(Aggregation { project, range, filter, dimensions, measures, order_by, limit }, mistakes)
}

fn done<T>(read: T, mistakes: Vec<Mistake>) -> Result<T, Vec<Mistake>> {
    if mistakes.is_empty() { Ok(read) } else { Err(mistakes) }
}

/// Reads the members of one JSON object and collects what is wrong with them.
struct Object<'a> {
    members: Option<&'a Map<String, Value>>,
    pointer: String,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Object<'a> {
    fn open(value: &'a Value, pointer: &str, known: &[&str], mistakes: &'a mut Vec<Mistake>) -> Self {
        let members = value.as_object();
        let mut object = Self { members, pointer: pointer.to_owned(), mistakes };
        if members.is_none() {
            object.wrong_here(format!("expected an object, found {}", kind(value)));
        }
        for name in members.into_iter().flat_map(Map::keys).filter(|name| !known.contains(&name.as_str())) {
            let detail = match closest(name, known.iter().copied()) {
                Some(close) => format!("unknown member {}; did you mean {close}?", quoted(name)),
                None => format!("unknown member {}; known are {}", quoted(name), known.join(", ")),
            };
            object.wrong(name, detail);
        }
        object
    }

    fn place(&self, name: &str) -> Place {
        Place::Pointer(format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1")))
    }

    fn wrong(&mut self, name: &str, detail: impl Into<String>) {
        let place = self.place(name);
        self.mistakes.push(place.mistake(detail));
    }

    fn wrong_here(&mut self, detail: impl Into<String>) {
        self.mistakes.push(Place::Pointer(self.pointer.clone()).mistake(detail));
    }

    /// A member that is there and not `null`.
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.members?.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.get(name)?;
        if value.as_str().is_none() {
            self.wrong(name, format!("expected a string, found {}", kind(value)));
        }
        value.as_str()
    }

    fn list(&mut self, name: &str, most: usize) -> &'a [Value] {
        match self.get(name) {
            None => &[],
            Some(Value::Array(items)) if items.len() <= most => items,
            Some(Value::Array(items)) => {
                self.wrong(name, format!("has {} items; at most {most} are allowed", items.len()));
                &[]
            }
            Some(other) => {
                self.wrong(name, format!("expected an array, found {}", kind(other)));
                &[]
            }
        }
    }

    fn count(&mut self, name: &str, allowed: std::ops::RangeInclusive<usize>, default: usize) -> usize {
        let Some(value) = self.get(name) else { return default };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| allowed.contains(count)) {
            Some(count) => count,
            None => {
                let (least, most) = allowed.into_inner();
                self.wrong(
                    name,
                    format!("expected a whole number from {least} to {most}, found {}", kind(value)),
                );
                default
            }
        }
    }

    fn range(&mut self, now: Timestamp) -> TimeRange {
        let ends = [("from", self.instant("from")), ("to", self.instant("to"))];
        let places = ends.each_ref().map(|(name, _)| self.place(name));
        let [from, to] = [0, 1].map(|index: usize| {
            let (text, place) = (ends.get(index)?.1.as_deref()?, places.get(index)?);
            Some((text, place.clone()))
        });
        time::range(from, to, now, self.mistakes)
    }

    /// A time as text; numbers are epoch milliseconds.
    fn instant(&mut self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::Number(number) => Some(number.to_string()),
            _ => self.text(name).map(str::to_owned),
        }
    }

    /// What `q` and `filter` ask for together.
    fn filter(&mut self, now: Timestamp) -> Filter {
        let mut parts = Vec::new();
        if let Some(text) = self.text("q") {
            parts.push(check::text(text, now));
        }
        if let Some(value) = self.get("filter") {
            let pointer = format!("{}/filter", self.pointer);
            parts.push(expression(value, &pointer).and_then(|expression| check::filter(&expression, now)));
        }
        let mut filters = Vec::new();
        for part in parts {
            match part {
                Ok(Filter::Any) => {}
                Ok(filter) => filters.push(filter),
                Err(mistakes) => self.mistakes.extend(mistakes),
            }
        }
        match filters.pop() {
            None => Filter::Any,
            Some(only) if filters.is_empty() => only,
            Some(last) => {
                filters.push(last);
                Filter::And(filters)
            }
        }
    }

    fn interval(&mut self) -> Option<Duration> {
        let text = self.text("interval")?;
        match time::interval(text) {
            Ok(width) => Some(width),
            Err(detail) => {
                self.wrong("interval", detail);
                None
            }
        }
    }

    fn dimensions(&mut self) -> Vec<Dimension> {
        let mut dimensions = Vec::new();
        for (index, item) in self.list("group_by", MAX_DIMENSIONS).iter().enumerate() {
            let read = match item {
                Value::String(name) => check::field(name).map(Dimension::Field),
                Value::Object(_) => {
                    let pointer = format!("{}/group_by/{index}", self.pointer);
                    dimensions
                        .extend(Object::open(item, &pointer, &["field", "bounds"], self.mistakes).bands());
                    continue;
                }
                other => Err(format!("expected a field name or an object, found {}", kind(other))),
            };
            match read {
                Ok(dimension) => dimensions.push(dimension),
                Err(detail) => self.wrong_item("group_by", index, detail),
            }
        }
        dimensions
    }

    fn wrong_item(&mut self, name: &str, index: usize, detail: String) {
        self.mistakes.push(Place::Pointer(format!("{}/{name}/{index}", self.pointer)).mistake(detail));
    }

    fn bands(&mut self) -> Option<Dimension> {
        let field = match self.text("field").map(check::number_field) {
            Some(Ok(field)) => Some(field),
            Some(Err(detail)) => {
                self.wrong("field", detail);
                None
            }
            None => {
                self.wrong_here("bands need a \"field\"");
                None
            }
        };
        let bounds: Vec<f64> = self.list("bounds", MAX_BOUNDS).iter().filter_map(Value::as_f64).collect();
        let ascending = bounds.windows(2).all(|pair| pair.first() < pair.last());
        if bounds.len() != self.list("bounds", MAX_BOUNDS).len() || bounds.is_empty() || !ascending {
            self.wrong("bounds", "expected at least one number, in ascending order");
        }
        let field = field?;
        let factor = milliseconds_to_stored(&field);
        Some(Dimension::Bands { bounds: bounds.iter().map(|bound| bound * factor).collect(), field })
    }

    /// The measures with their names as written.
    fn measures(&mut self) -> (Vec<&'a str>, Vec<Measure>) {
        let (mut names, mut measures) = (Vec::new(), Vec::new());
        for (index, item) in self.list("measures", MAX_MEASURES).iter().enumerate() {
            let read = match item {
                Value::String(text) => check::measure(text).map(|measure| (text.as_str(), measure)),
                other => Err(format!("expected a measure, such as \"count\", found {}", kind(other))),
            };
            match read {
                Ok((name, measure)) => {
                    names.push(name);
                    measures.push(measure);
                }
                Err(detail) => self.wrong_item("measures", index, detail),
            }
        }
        if self.get("measures").is_none_or(|value| value.as_array().is_some_and(Vec::is_empty)) {
            return (vec!["count"], vec![Measure::Count]);
        }
        (names, measures)
    }

    /// The index of the measure to order by; `None` for the order of the dimensions.
    fn order(&mut self, names: &[&str], by_time: bool) -> Option<usize> {
        match self.text("order_by") {
            None if by_time => None,
            None => Some(0),
            Some("time") if by_time => None,
            Some(name) => {
                let found = names.iter().position(|known| *known == name);
                if found.is_none() && !names.is_empty() {
                    let detail =
                        format!("{} is none of the measures asked for: {}", quoted(name), names.join(", "));
                    self.wrong("order_by", detail);
                }
                found
            }
        }
    }
}

/// Durations are asked and answered in milliseconds and stored in microseconds.
fn milliseconds_to_stored(field: &Field) -> f64 {
    if field.field_type() == Some(FieldType::Duration) { 1e3 } else { 1.0 }
}

/// Reads a filter that stands at `pointer` of its document.
pub fn expression(value: &Value, pointer: &str) -> Result<Expression, Vec<Mistake>> {
    let mut reader = Reader { terms: 0, mistakes: Vec::new() };
    let expression = reader.expression(value, pointer, 0);
    match expression {
        Some(expression) if reader.mistakes.is_empty() => Ok(expression),
        _ => Err(reader.mistakes),
    }
}

struct Reader {
    terms: usize,
    mistakes: Vec<Mistake>,
}

impl Reader {
    /// The expression; `None` after a mistake.
    fn expression(&mut self, value: &Value, pointer: &str, depth: usize) -> Option<Expression> {
        self.terms += 1;
        if depth > MAX_DEPTH || self.terms > MAX_TERMS {
            if self.terms <= MAX_TERMS + 1 {
                let detail = format!(
                    "the filter has more than {MAX_TERMS} conditions or nests them over {MAX_DEPTH} deep"
                );
                self.wrong(pointer, detail);
            }
            return None;
        }
        const SHAPES: [&str; 5] = ["and", "or", "not", "text", "field"];
        let shape =
            value.as_object().and_then(|members| SHAPES.into_iter().find(|name| members.contains_key(*name)));
        let Some(shape) = shape else {
            let detail = "expected an object with one of \"and\", \"or\", \"not\", \"text\", \"field\"";
            self.wrong(pointer, detail);
            return None;
        };
        let known: &[&str] = match shape {
            "field" => &["field", "op", "value", "values", "gt", "gte", "lt", "lte"],
            "and" => &["and"],
            "or" => &["or"],
            "not" => &["not"],
            _ => &["text"],
        };
        Object::open(value, pointer, known, &mut self.mistakes);
        let inner = value.get(shape)?;
        let below = format!("{pointer}/{shape}");
        match shape {
            "and" => self.parts(inner, &below, depth).map(Expression::And),
            "or" => self.parts(inner, &below, depth).map(Expression::Or),
            "not" => Some(Expression::Not(Box::new(self.expression(inner, &below, depth + 1)?))),
            "text" => {
                self.string(inner, &below).map(|text| Expression::Words(literal(Given::Quoted(text), &below)))
            }
            _ => {
                let field = self.string(inner, &below);
                let matcher = self.matcher(value, pointer)?;
                Some(Expression::Test { field: field?, place: Place::Pointer(below), matcher })
            }
        }
    }

    fn parts(&mut self, value: &Value, pointer: &str, depth: usize) -> Option<Vec<Expression>> {
        let items = value.as_array().filter(|items| !items.is_empty());
        if items.is_none() {
            self.wrong(pointer, "expected an array of at least one filter");
        }
        let mut parts = Vec::new();
        for (index, item) in items?.iter().enumerate() {
            parts.push(self.expression(item, &format!("{pointer}/{index}"), depth + 1));
        }
        parts.into_iter().collect()
    }

    fn matcher(&mut self, test: &Value, pointer: &str) -> Option<Matcher> {
        const OPS: &str = "expected one of exists, eq, in, prefix, like, range";
        let value_at = format!("{pointer}/value");
        let op = test.get("op").and_then(Value::as_str);
        let given = match op {
            Some("exists") => Given::Pattern(vec![String::new(), String::new()]),
            Some("eq") => self.given(test.get("value"), &value_at)?,
            Some("prefix") => Given::Pattern(vec![
                self.string(test.get("value").unwrap_or(&Value::Null), &value_at)?,
                String::new(),
            ]),
            Some("like") => {
                let text = self.string(test.get("value").unwrap_or(&Value::Null), &value_at)?;
                let parts: Vec<String> = text.split('*').map(str::to_owned).collect();
                if parts.len() > 1 { Given::Pattern(parts) } else { Given::Quoted(text) }
            }
            Some("in") => return self.values(test.get("values"), &format!("{pointer}/values")),
            Some("range") => return self.range(test, pointer),
            Some(other) => {
                self.wrong(&format!("{pointer}/op"), format!("unknown operator {}; {OPS}", quoted(other)));
                return None;
            }
            None => {
                self.wrong(&format!("{pointer}/op"), format!("\"op\" is missing or not a string; {OPS}"));
                return None;
            }
        };
        Some(Matcher::Values(vec![literal(given, &value_at)]))
    }

    fn values(&mut self, values: Option<&Value>, pointer: &str) -> Option<Matcher> {
        let items =
            values.and_then(Value::as_array).filter(|items| !items.is_empty() && items.len() <= MAX_TERMS);
        if items.is_none() {
            self.wrong(pointer, format!("expected an array of 1 to {MAX_TERMS} values"));
        }
        let mut literals = Vec::new();
        for (index, item) in items?.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            literals.push(self.given(Some(item), &pointer).map(|given| literal(given, &pointer)));
        }
        literals.into_iter().collect::<Option<Vec<_>>>().map(Matcher::Values)
    }

    /// One or two of `gt`, `gte`, `lt`, `lte`.
    fn range(&mut self, test: &Value, pointer: &str) -> Option<Matcher> {
        let mut end = |exclusive: &str, inclusive: &str| {
            let found = [(exclusive, false), (inclusive, true)].map(|(name, inclusive)| {
                let value = test.get(name).filter(|value| !value.is_null())?;
                let at = format!("{pointer}/{name}");
                Some(self.given(Some(value), &at).map(|given| (literal(given, &at), inclusive)))
            });
            match found {
                [Some(_), Some(_)] => Err(()),
                [one, other] => Ok(one.or(other)),
            }
        };
        match (end("gt", "gte"), end("lt", "lte")) {
            (Err(()), _) | (_, Err(())) | (Ok(None), Ok(None)) => {
                self.wrong(pointer, "a range takes one of gt and gte, one of lt and lte, or one of each");
                None
            }
            // The inner `None` is a mistake that was noted; the outer one an open end.
            (Ok(from), Ok(to)) => Some(Matcher::Range(
                from.map_or(Some(None), |end| end.map(Some))?,
                to.map_or(Some(None), |end| end.map(Some))?,
            )),
        }
    }

    fn given(&mut self, value: Option<&Value>, pointer: &str) -> Option<Given> {
        match value {
            Some(Value::String(text)) => Some(Given::Quoted(text.clone())),
            Some(Value::Number(number)) => Some(Given::Number(number.clone())),
            Some(Value::Bool(flag)) => Some(Given::Bool(*flag)),
            other => {
                let found = other.map_or("nothing".to_owned(), kind);
                self.wrong(pointer, format!("expected a string, a number or a boolean, found {found}"));
                None
            }
        }
    }

    fn string(&mut self, value: &Value, pointer: &str) -> Option<String> {
        if value.as_str().is_none() {
            self.wrong(pointer, format!("expected a string, found {}", kind(value)));
        }
        value.as_str().map(str::to_owned)
    }

    fn wrong(&mut self, pointer: &str, detail: impl Into<String>) {
        self.mistakes.push(Place::Pointer(pointer.to_owned()).mistake(detail));
    }
}

fn literal(given: Given, pointer: &str) -> Literal {
    Literal { given, place: Place::Pointer(pointer.to_owned()) }
}

/// What a value is, shortened, for a message.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests;
