//! Names, types and limits: what was written becomes a question, or all its mistakes.

use std::borrow::Cow;
use std::time::Duration;

use weir_kit::{Timestamp, units};
use weir_model::field::FIELDS;
use weir_model::{Field, FieldType, FieldValue};

use crate::mistake::{Mistake, closest, quoted};
use crate::syntax::{Expression, Given, Literal, Matcher};
use crate::{Filter, Measure, Op, parse, time};

/// Beginnings of the open families of fields, each with what it holds.
pub const FAMILIES: &[(&str, &str)] = &[
    ("request.header.", "a request header, by its name in lower case"),
    ("response.header.", "a response header, by its name in lower case"),
    ("request.query.", "a query parameter, decoded"),
    ("request.body.", "a member of a JSON request body, by its path; arrays are looked through"),
    ("response.body.", "a member of a JSON response body, by its path; arrays are looked through"),
    ("attribute.", "what else the reporter knew, by its name"),
];

/// Reads and checks a query text.
pub fn text(text: &str, now: Timestamp) -> Result<Filter, Vec<Mistake>> {
    filter(&parse::parse(text)?, now)
}

/// Looks up the names and types the values of an expression. `now` is what relative times count from.
pub fn filter(expression: &Expression, now: Timestamp) -> Result<Filter, Vec<Mistake>> {
    let mut checker = Checker { now, mistakes: Vec::new() };
    let filter = checker.expression(expression);
    if checker.mistakes.is_empty() { Ok(filter) } else { Err(checker.mistakes) }
}

/// The field of this name, or what else could be meant.
pub fn field(name: &str) -> Result<Field, String> {
    Field::named(name).ok_or_else(|| unknown_field(name))
}

fn unknown_field(name: &str) -> String {
    let shown = quoted(name);
    if let Some((family, _)) = FAMILIES.iter().find(|(family, _)| name == family.trim_end_matches('.')) {
        return format!("{shown} is a family of fields; name a member of it, such as {family}name");
    }
    if matches!(name, "http" | "https") {
        return format!("unknown field {shown}; to search for a URL, put it in quotes");
    }
    let names = FIELDS.iter().flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()));
    match closest(name, names) {
        Some(close) => format!("unknown field {shown}; did you mean {close}?"),
        None => format!("unknown field {shown}; to search for text with a colon, put it in quotes"),
    }
}

struct Checker {
    now: Timestamp,
    mistakes: Vec<Mistake>,
}

impl Checker {
    /// The filter; any filter where there was a mistake.
    fn expression(&mut self, expression: &Expression) -> Filter {
        match expression {
            Expression::And(parts) if parts.is_empty() => Filter::Any,
            Expression::And(parts) => Filter::And(parts.iter().map(|part| self.expression(part)).collect()),
            Expression::Or(parts) => Filter::Or(parts.iter().map(|part| self.expression(part)).collect()),
            Expression::Not(inner) => Filter::Not(Box::new(self.expression(inner))),
            Expression::Words(literal) => self.words(literal),
            Expression::Test { field: name, place, matcher } => match field(name) {
                Ok(field) => self.test(&Named { field, name }, matcher),
                Err(detail) => {
                    self.mistakes.push(place.mistake(detail));
                    Filter::Any
                }
            },
        }
    }

    fn words(&mut self, literal: &Literal) -> Filter {
        let text = literal.given.shown();
        if let Given::Pattern(_) = literal.given {
            self.mistakes.push(literal.place.mistake(format!(
                "wildcards do not work in words alone, only in fields; write path:{text}, or search for whole words"
            )));
        }
        let words = crate::text::words(&text);
        if words.is_empty() {
            let detail =
                format!("{} holds no word to search for; words are letters and digits", quoted(&text));
            self.mistakes.push(literal.place.mistake(detail));
        }
        Filter::Words(words)
    }

    fn test(&mut self, field: &Named<'_>, matcher: &Matcher) -> Filter {
        match matcher {
            Matcher::Values(values) => self.values(field, values),
            Matcher::Range(None, None) => field.test(Op::Exists),
            Matcher::Range(from, to) => {
                let mut read = |end: &Option<(Literal, bool)>| {
                    let (literal, inclusive) = end.as_ref()?;
                    Some((self.end(field, literal)?, *inclusive))
                };
                field.test(Op::Range { from: read(from), to: read(to) })
            }
        }
    }

    /// Any of these: the exact values as one test, each pattern and range as one more.
    fn values(&mut self, field: &Named<'_>, values: &[Literal]) -> Filter {
        let mut exact = Vec::new();
        let mut branches = Vec::new();
        for value in values {
            match self.value(field, &value.given) {
                Ok(Op::In(values)) => exact.extend(values),
                Ok(op) => branches.push(field.test(op)),
                Err(detail) => self.mistakes.push(value.place.mistake(detail)),
            }
        }
        if !exact.is_empty() {
            branches.insert(0, field.test(Op::In(exact)));
        }
        match branches.pop() {
            Some(only) if branches.is_empty() => only,
            Some(last) => {
                branches.push(last);
                Filter::Or(branches)
            }
            None => Filter::Any,
        }
    }

    fn value(&self, field: &Named<'_>, given: &Given) -> Result<Op, String> {
        if let Given::Pattern(parts) = given {
            return pattern(field, parts);
        }
        if let Given::Word(text) = given {
            if let Some((from, to)) = field.two_ends(text) {
                return self.span(field, from, to);
            }
            if let Some(op) = field.status_class(text) {
                return Ok(op);
            }
            if let Some(day) = field.day(text) {
                return Ok(day);
            }
        }
        match field.field.field_type() {
            Some(FieldType::Keyword) => Ok(Op::In(vec![owned_text(given.shown())])),
            Some(_) => Ok(Op::In(vec![self.typed(field, given)?])),
            None => Ok(Op::In(open_values(&field.field, given))),
        }
    }

    /// `from..to` with at least one end.
    fn span(&self, field: &Named<'_>, from: &str, to: &str) -> Result<Op, String> {
        let end = |text: &str| match text {
            "" => Ok(None),
            text => self.typed(field, &Given::Word(text.to_owned())).map(|value| Some((value, true))),
        };
        Ok(Op::Range { from: end(from)?, to: end(to)? })
    }

    /// One end of a range.
    fn end(&mut self, field: &Named<'_>, literal: &Literal) -> Option<FieldValue<'static>> {
        match self.typed(field, &literal.given) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.mistakes.push(literal.place.mistake(detail));
                None
            }
        }
    }

    /// The value as the type of the field has it, for fields whose values have an order.
    fn typed(&self, field: &Named<'_>, given: &Given) -> Result<FieldValue<'static>, String> {
        let name = field.name;
        let text = given.shown();
        let shown = quoted(&text);
        if let Given::Pattern(_) = given {
            return Err(format!("{shown} has a wildcard, which a number or time cannot have"));
        }
        match field.field.field_type() {
            Some(FieldType::Keyword) => Err(format!(
                "{name} holds text, which has no order; write {name}:value, {name}:val* or {name}:(one two)"
            )),
            Some(FieldType::Integer) => text.parse().map(FieldValue::Integer).map_err(|_| {
                format!("{shown} is not a whole number, which {name} holds; for example {name}:500 or {name}:>=500")
            }),
            Some(FieldType::Bytes) => {
                let bytes = units::size(&text)
                    .map_err(|_| format!("{shown} is not a size; for example {name}:>10KB or {name}:512"))?;
                Ok(FieldValue::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)))
            }
            Some(FieldType::Duration) => duration(given, &text).map(FieldValue::Integer).ok_or_else(|| {
                let unit = if text.parse::<f64>().is_ok() { "has no unit" } else { "is not a duration" };
                format!("{shown} {unit}; give a duration, for example {name}:>500ms")
            }),
            Some(FieldType::Time) => time::instant(&text, self.now).map(FieldValue::Time),
            Some(FieldType::Bool) => match text.as_str() {
                "true" => Ok(FieldValue::Bool(true)),
                "false" => Ok(FieldValue::Bool(false)),
                _ => Err(format!("{shown} is neither true nor false, which {name} holds")),
            },
            None => open_number(&text).ok_or_else(|| {
                format!("{shown} is not a number; only numbers can be compared in {name}, for example {name}:>10")
            }),
        }
    }
}

/// A duration in microseconds; a JSON number counts milliseconds, as durations in answers do.
fn duration(given: &Given, text: &str) -> Option<i64> {
    let duration = match given {
        Given::Number(number) => Duration::try_from_secs_f64(number.as_f64()? / 1e3).ok()?,
        _ if text == "0" => Duration::ZERO,
        _ => units::duration(text).ok()?,
    };
    i64::try_from(duration.as_micros()).ok()
}

fn owned_text(text: String) -> FieldValue<'static> {
    FieldValue::Text(Cow::Owned(text))
}

fn pattern(field: &Named<'_>, parts: &[String]) -> Result<Op, String> {
    let name = field.name;
    if parts.iter().all(String::is_empty) {
        return Ok(Op::Exists);
    }
    if let Some(found) = field.field.field_type().filter(|found| *found != FieldType::Keyword) {
        return Err(format!(
            "wildcards fit text only, and {name} is of type {}; compare it, for example {name}:>{}",
            found.name(),
            example(found)
        ));
    }
    match parts {
        [start, end] if end.is_empty() => Ok(Op::Prefix(start.clone())),
        parts if parts.iter().any(|part| part.contains('*')) => {
            Err("a pattern cannot hold a literal * beside wildcards, unless it only ends in one".to_owned())
        }
        parts => Ok(Op::Like(parts.join("*"))),
    }
}

fn example(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Bytes => "10KB",
        FieldType::Duration => "500ms",
        FieldType::Time => "now-1h",
        FieldType::Bool => "true",
        FieldType::Integer | FieldType::Keyword => "500",
    }
}

/// What a value of an open family may be: `402` is the text and the number, `"402"` the text alone.
fn open_values(field: &Field, given: &Given) -> Vec<FieldValue<'static>> {
    let typed = holds_json(field);
    match given {
        Given::Word(text) if typed => {
            let number = open_number(text);
            let flag = text.parse().ok().map(FieldValue::Bool);
            std::iter::once(owned_text(text.clone())).chain(number.or(flag)).collect()
        }
        Given::Number(number) if typed => open_number(&number.to_string()).into_iter().collect(),
        Given::Bool(flag) if typed => vec![FieldValue::Bool(*flag)],
        given => vec![owned_text(given.shown())],
    }
}

/// Whether values of the family are JSON or typed attributes; headers and query parameters are text.
fn holds_json(field: &Field) -> bool {
    matches!(field, Field::RequestBody(_) | Field::ResponseBody(_) | Field::Attribute(_))
}

/// A number as JSON writes it; `007` and `1e` are none.
fn open_number(text: &str) -> Option<FieldValue<'static>> {
    match serde_json::from_str(text).ok()? {
        serde_json::Value::Number(number) => Some(match number.as_i64() {
            Some(whole) => FieldValue::Integer(whole),
            None => FieldValue::Float(number.as_f64()?),
        }),
        _ => None,
    }
}

/// A field with its name as the question wrote it, which messages repeat.
struct Named<'a> {
    field: Field,
    name: &'a str,
}

impl Named<'_> {
    fn test(&self, op: Op) -> Filter {
        Filter::Test { field: self.field.clone(), op }
    }

    /// The ends of `a..b`, where the field has an order. In text fields two dots are text (`../etc/passwd`), and in open
    /// families unless both ends are numbers.
    fn two_ends<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        let (from, to) = text.split_once("..")?;
        if from.is_empty() && to.is_empty() {
            return None;
        }
        let number = |end: &str| end.is_empty() || open_number(end).is_some();
        let ordered = match self.field.field_type() {
            Some(FieldType::Keyword) => false,
            Some(_) => true,
            None => number(from) && number(to),
        };
        ordered.then_some((from, to))
    }

    /// `status:5xx`.
    fn status_class(&self, text: &str) -> Option<Op> {
        let is_status = matches!(&self.field, Field::Row(row) if row.name == "http.response.status_code");
        let class = text.strip_suffix("xx").filter(|_| is_status)?;
        let first = match class {
            "1" | "2" | "3" | "4" | "5" => class.parse::<i64>().ok()? * 100,
            _ => return None,
        };
        let end = |number| Some((FieldValue::Integer(number), true));
        Some(Op::Range { from: end(first), to: end(first + 99) })
    }

    /// A date alone means its whole day.
    fn day(&self, text: &str) -> Option<Op> {
        let is_time = self.field.field_type() == Some(FieldType::Time);
        let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !is_time || !is_date {
            return None;
        }
        let start: Timestamp = text.parse().ok()?;
        let end = start + Duration::from_secs(86_400);
        Some(Op::Range {
            from: Some((FieldValue::Time(start), true)),
            to: Some((FieldValue::Time(end), false)),
        })
    }
}

/// Reads a measure: `count`, `error_ratio`, `sum(f)`, `mean(f)`, `min(f)`, `max(f)`, `p50(f)` to `p99.9(f)`, `distinct(f)`.
pub fn measure(text: &str) -> Result<Measure, String> {
    let bad = || {
        format!(
            "unknown measure {}; there are count, error_ratio, sum(field), mean(field), min(field), max(field), \
             p50(field) to p99.9(field), distinct(field)",
            quoted(text)
        )
    };
    let (function, argument) = match text.trim().split_once('(') {
        Some((function, rest)) => (function, Some(rest.strip_suffix(')').ok_or_else(bad)?)),
        None => (text.trim(), None),
    };
    let Some(argument) = argument else {
        return match function {
            "count" => Ok(Measure::Count),
            "error_ratio" => Ok(Measure::ErrorRatio),
            _ => Err(bad()),
        };
    };
    let quantile = function.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
    let of_numbers: fn(Field) -> Measure = match function {
        "distinct" => return Ok(Measure::Distinct(field(argument)?)),
        "min" => return Ok(Measure::Min(ordered_field(argument)?)),
        "max" => return Ok(Measure::Max(ordered_field(argument)?)),
        "sum" => Measure::Sum,
        "mean" | "avg" => Measure::Mean,
        _ => match quantile.filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => return Ok(Measure::Quantile(number_field(argument)?, percent / 100.0)),
            None => return Err(bad()),
        },
    };
    Ok(of_numbers(number_field(argument)?))
}

/// A field of numbers or instants.
fn ordered_field(name: &str) -> Result<Field, String> {
    let field = field(name)?;
    if field.field_type() == Some(FieldType::Time) { Ok(field) } else { number_field(name) }
}

/// A field of numbers, for a measure or for bands.
pub fn number_field(name: &str) -> Result<Field, String> {
    let field = field(name)?;
    match field.field_type() {
        Some(held) if !held.is_number() => Err(format!("{name} is of type {}, not a number", held.name())),
        // Members of open families may be numbers, or write one.
        _ => Ok(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> String {
        let now = "2026-11-20T13:45:30Z".parse().unwrap();
        match text(query, now) {
            Ok(filter) => format!("{filter:?}"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    fn test(field: &str, op: &str) -> String {
        format!("Test {{ field: Row({field}), op: {op} }}")
    }

    #[test]
    fn values_get_the_type_of_their_field() {
        let status = "http.response.status_code";
        let latency = "http.server.request.duration";
        for (query, field, op) in [
            ("status:500", status, "In([Integer(500)])"),
            ("status:(500 502)", status, "In([Integer(500), Integer(502)])"),
            ("status:>=500", status, "Range { from: Some((Integer(500), true)), to: None }"),
            ("status:<200", status, "Range { from: None, to: Some((Integer(200), false)) }"),
            (
                "status:400..499",
                status,
                "Range { from: Some((Integer(400), true)), to: Some((Integer(499), true)) }",
            ),
            (
                "status:5xx",
                status,
                "Range { from: Some((Integer(500), true)), to: Some((Integer(599), true)) }",
            ),
            ("status:*", status, "Exists"),
            ("latency:>500ms", latency, "Range { from: Some((Integer(500000), false)), to: None }"),
            ("latency:..1.5s", latency, "Range { from: None, to: Some((Integer(1500000), true)) }"),
            (
                "size:[10KB TO *]",
                "http.response.body.size",
                "Range { from: Some((Integer(10000), true)), to: None }",
            ),
            ("user:402", "user.id", "In([Text(\"402\")])"),
            ("path:/a*", "url.path", "Prefix(\"/a\")"),
            ("path:*.php", "url.path", "Like(\"*.php\")"),
            (r"path:\**", "url.path", "Prefix(\"*\")"),
            ("path:../../etc", "url.path", "In([Text(\"../../etc\")])"),
            (
                "time:>=now-1h",
                "start_time",
                "Range { from: Some((Time(2026-11-20T12:45:30Z), true)), to: None }",
            ),
            (
                "time:2026-11-03",
                "start_time",
                "Range { from: Some((Time(2026-11-03T00:00:00Z), true)), to: Some((Time(2026-11-04T00:00:00Z), false)) }",
            ),
        ] {
            assert_eq!(shown(query), test(field, op), "{query}");
        }
    }

    #[test]
    fn open_families_take_numbers_and_text() {
        for (query, expected) in [
            (
                "response.body.error.code:declined",
                "Test { field: ResponseBody([\"error\", \"code\"]), op: In([Text(\"declined\")]) }",
            ),
            (
                "request.body.n:402",
                "Test { field: RequestBody([\"n\"]), op: In([Text(\"402\"), Integer(402)]) }",
            ),
            ("request.body.n:\"402\"", "Test { field: RequestBody([\"n\"]), op: In([Text(\"402\")]) }"),
            ("request.body.n:007", "Test { field: RequestBody([\"n\"]), op: In([Text(\"007\")]) }"),
            (
                "request.body.n:true",
                "Test { field: RequestBody([\"n\"]), op: In([Text(\"true\"), Bool(true)]) }",
            ),
            (
                "attribute.x:1..2.5",
                "Test { field: Attribute(\"x\"), op: Range { from: Some((Integer(1), true)), to: Some((Float(2.5), true)) } }",
            ),
            ("attribute.x:a..b", "Test { field: Attribute(\"x\"), op: In([Text(\"a..b\")]) }"),
            ("request.header.X-Id:7", "Test { field: RequestHeader(\"x-id\"), op: In([Text(\"7\")]) }"),
        ] {
            assert_eq!(shown(query), expected, "{query}");
        }
    }

    #[test]
    fn conditions_combine() {
        assert_eq!(
            shown("status:(500 4xx) -\"card declined\""),
            "And([Or([Test { field: Row(http.response.status_code), op: In([Integer(500)]) }, \
             Test { field: Row(http.response.status_code), op: Range { from: Some((Integer(400), true)), \
             to: Some((Integer(499), true)) } }]), Not(Words([\"card\", \"declined\"]))])"
        );
        assert_eq!(shown(""), "Any");
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_remedy() {
        for (query, expected) in [
            (
                "latency:>fast",
                "at 9: \"fast\" is not a duration; give a duration, for example latency:>500ms",
            ),
            ("latency:>500", "at 9: \"500\" has no unit; give a duration, for example latency:>500ms"),
            ("size:big", "at 5: \"big\" is not a size; for example size:>10KB or size:512"),
            (
                "path:>a",
                "at 6: path holds text, which has no order; write path:value, path:val* or path:(one two)",
            ),
            (
                "status:5*",
                "at 7: wildcards fit text only, and status is of type integer; compare it, for example status:>500",
            ),
            ("staus:500", "at 0: unknown field \"staus\"; did you mean status?"),
            (
                "http.reqest.method:GET",
                "at 0: unknown field \"http.reqest.method\"; did you mean http.request.method?",
            ),
            ("http://example.com/", "at 0: unknown field \"http\"; to search for a URL, put it in quotes"),
            (
                "request.header:a",
                "at 0: \"request.header\" is a family of fields; name a member of it, such as request.header.name",
            ),
            ("---x-- \"...\"", "at 7: \"...\" holds no word to search for; words are letters and digits"),
            (
                "decl*",
                "at 0: wildcards do not work in words alone, only in fields; write path:decl*, or search for whole words",
            ),
            (
                "staus:1 OR latency:(1 2s) time:>soon",
                "at 0: unknown field \"staus\"; did you mean status?\n\
                 at 20: \"1\" has no unit; give a duration, for example latency:>500ms\n\
                 at 32: \"soon\" is not a time; write 2026-11-03T14:00:00Z, 2026-11-03, now-6h, now/d or epoch milliseconds",
            ),
        ] {
            assert_eq!(shown(query), expected, "{query}");
        }
    }

    #[test]
    fn measures_are_read() {
        for (text, expected) in [
            ("count", "Count"),
            ("error_ratio", "ErrorRatio"),
            ("sum(size)", "Sum(Row(http.response.body.size))"),
            ("p50(latency)", "Quantile(Row(http.server.request.duration), 0.5)"),
            ("p99.9(latency)", "Quantile(Row(http.server.request.duration), 0.9990000000000001)"),
            ("distinct(user)", "Distinct(Row(user.id))"),
            ("mean(request.body.amount)", "Mean(RequestBody([\"amount\"]))"),
        ] {
            assert_eq!(format!("{:?}", measure(text).unwrap()), expected);
        }
        for (text, expected) in [
            ("median(latency)", "unknown measure \"median(latency)\""),
            ("p101(latency)", "unknown measure"),
            ("sum(size", "unknown measure"),
            ("sum(path)", "path is of type keyword, not a number"),
            ("p50(lateny)", "did you mean latency?"),
        ] {
            assert!(measure(text).unwrap_err().contains(expected), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn foreign_text_never_panics(query in "\\PC{0,40}", fields in "(status|latency|time|path|request.body.a):\\PC{0,12}") {
            let _one = text(&query, Timestamp::from_seconds(0));
            let _other = text(&fields, Timestamp::from_seconds(0));
            let _third = measure(&query);
        }
    }
}
