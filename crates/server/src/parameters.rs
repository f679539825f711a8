//! Query parameters of the API, all mistakes at once.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode_str;
use weir_kit::Timestamp;
use weir_model::{ExchangeId, ProjectId};
use weir_query::{Cursor, Filter, Mistake, Place, TimeRange, check, time};

use crate::error::{Origin, Problem};

/// Reads the parameters of one URL and collects what is wrong with them.
pub(crate) struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    mistakes: Vec<Mistake>,
    unknown: Option<Problem>,
}

impl<'a> Parameters<'a> {
    /// Splits a query string; parameters that are not `known` are mistakes, so that a typing error does not silently ask
    /// for something else.
    pub(crate) fn read(query: Option<&'a str>, known: &[&str]) -> Self {
        let mut pairs = Vec::new();
        let mut unknown = None;
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            if known.contains(&name.as_ref()) {
                pairs.push((name, value));
            } else if unknown.is_none() {
                let detail = format!("unknown parameter {name:?}; known are {}", known.join(", "));
                unknown = Some(Problem::invalid(detail));
            }
        }
        Self { pairs, mistakes: Vec::new(), unknown }
    }

    /// The project of a URL that takes no other parameter.
    pub(crate) fn only_project(query: Option<&str>) -> Result<ProjectId, Problem> {
        let parameters = Parameters::read(query, &["project"]);
        let project = parameters.project();
        parameters.done()?;
        Ok(project)
    }

    /// The first value of this parameter; an empty one counts as not given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(known, _)| known == name)?;
        Some(value.as_ref()).filter(|value| !value.is_empty())
    }

    pub(crate) fn wrong(&mut self, name: &'static str, detail: impl Into<String>) {
        self.mistakes.push(Mistake { place: Place::Parameter(name), detail: detail.into() });
    }

    pub(crate) fn count(
        &mut self,
        name: &'static str,
        allowed: RangeInclusive<usize>,
        default: usize,
    ) -> usize {
        let Some(text) = self.text(name) else { return default };
        match text.parse().ok().filter(|count| allowed.contains(count)) {
            Some(count) => count,
            None => {
                let (least, most) = (allowed.start(), allowed.end());
                let detail = format!("expected a whole number from {least} to {most}, found {text:?}");
                self.wrong(name, detail);
                default
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                let detail = format!("expected true or false, found {other:?}");
                self.wrong(name, detail);
                false
            }
        }
    }

    /// One of these words; the first when none is given.
    pub(crate) fn choice(&mut self, name: &'static str, words: &[&'static str]) -> &'static str {
        let default = words.first().copied().unwrap_or("");
        let Some(text) = self.text(name) else { return default };
        match words.iter().find(|word| **word == text) {
            Some(word) => word,
            None => {
                let detail = format!("expected one of {}, found {text:?}", words.join(", "));
                self.wrong(name, detail);
                default
            }
        }
    }

    pub(crate) fn project(&self) -> ProjectId {
        self.text("project").map_or_else(ProjectId::default, ProjectId::from)
    }

    pub(crate) fn range(&mut self, now: Timestamp) -> TimeRange {
        let mut mistakes = std::mem::take(&mut self.mistakes);
        let end = |name: &'static str| self.text(name).map(|text| (text, Place::Parameter(name)));
        let range = time::range(end("from"), end("to"), now, &mut mistakes);
        self.mistakes = mistakes;
        range
    }

    pub(crate) fn filter(&mut self, now: Timestamp) -> Filter {
        match check::text(self.text("q").unwrap_or(""), now) {
            Ok(filter) => filter,
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                Filter::Any
            }
        }
    }

    pub(crate) fn cursor(&mut self) -> Option<Cursor> {
        let text = self.text("cursor")?;
        let cursor = read_cursor(text);
        if cursor.is_none() {
            self.wrong("cursor", NOT_A_CURSOR);
        }
        cursor
    }

    /// Ends the reading: a problem with every mistake, if there was one.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if let Some(problem) = self.unknown {
            return Err(problem);
        }
        if self.mistakes.is_empty() {
            return Ok(());
        }
        Err(Problem::mistakes(&self.mistakes, Origin::Parameter(self.text("q").unwrap_or(""))))
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// What is said of a cursor that is none.
pub(crate) const NOT_A_CURSOR: &str =
    "not a cursor; give \"next\" of the page before as it was, or leave it out";

/// A cursor as it travels: opaque to clients, free of characters that need quoting in a URL.
pub(crate) fn write_cursor(cursor: &Cursor) -> String {
    format!("{}.{}", cursor.started_at.micros(), cursor.id)
}

pub(crate) fn read_cursor(text: &str) -> Option<Cursor> {
    let (micros, id) = text.split_once('.')?;
    let id: ExchangeId = id.parse().ok()?;
    Some(Cursor { started_at: Timestamp::from_micros(micros.parse().ok()?), id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let parameters = Parameters::read(Some("q=a+b%2B%C3%A9&limit=5&empty="), &["q", "limit", "empty"]);
        assert_eq!(parameters.text("q"), Some("a b+é"));
        assert_eq!(parameters.text("empty"), None);
        assert!(parameters.done().is_ok());
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let known = ["q", "limit", "cursor", "from", "order"];
        let mut parameters = Parameters::read(Some("q=staus:1&limit=0&cursor=x&from=soon&order=up"), &known);
        let now = Timestamp::from_seconds(0);
        parameters.filter(now);
        parameters.range(now);
        parameters.count("limit", 1..=9, 5);
        parameters.cursor();
        parameters.choice("order", &["desc", "asc"]);
        let problem = parameters.done().unwrap_err();
        let names: Vec<_> = problem.errors.iter().map(|item| item.parameter.as_deref().unwrap()).collect();
        assert_eq!(names, ["q", "from", "limit", "cursor", "order"]);
        assert!(Parameters::read(Some("limt=5"), &known).done().unwrap_err().detail.contains("\"limt\""));
    }

    #[test]
    fn cursors_come_back() {
        let started_at = Timestamp::from_micros(-5);
        let cursor = Cursor { started_at, id: ExchangeId::new(started_at) };
        assert_eq!(read_cursor(&write_cursor(&cursor)), Some(cursor));
        for text in ["", ".", "1.", "x.0190", "1.not-an-id"] {
            assert_eq!(read_cursor(text), None, "{text}");
        }
    }
}
