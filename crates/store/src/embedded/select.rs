//! Which documents of a segment a filter means, as far as the index knows.

use tantivy::columnar::{Column, StrColumn};
use tantivy::postings::SegmentPostings;
use tantivy::schema::{Field as IndexField, IndexRecordOption};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocSet, SegmentReader, Term};
use weir_model::{Field, FieldRow, FieldType, FieldValue, ProjectId};
use weir_query::evaluate::{MAX_KEY_BYTES, cut, holds};
use weir_query::text::words;
use weir_query::{Filter, Op, TimeRange};

use super::bits::{Bits, Selection};
use super::layout::{self, FactValue, Layout, Side};
use super::partition::Segment;

type Result<T> = tantivy::Result<T>;

/// Longer values of a column may have been cut.
const MAX_WHOLE_BYTES: usize = MAX_KEY_BYTES - 4;

/// The documents that a question is about.
pub(super) fn select(
    segment: &Segment,
    project: &ProjectId,
    range: TimeRange,
    filter: &Filter,
) -> Result<Selection> {
    let selector = Selector { segment, reader: &segment.reader, layout: &segment.layout };
    let mut selection =
        Selection::exact(selector.of_term(selector.layout.project, project.as_str().as_bytes())?);
    if let Some(left) = &segment.left {
        selection.intersect(&Selection::exact(left.clone()));
    }
    selection.intersect(&selector.of_range(range));
    if !selection.sure.is_empty() {
        selection.intersect(&selector.of_filter(filter)?);
    }
    Ok(selection)
}

/// The documents that may have this id: by its lower half.
pub(super) fn with_id_low(segment: &Segment, low: u64) -> Result<Vec<u32>> {
    let term = Term::from_field_u64(segment.layout.id, low);
    let index = segment.reader.inverted_index(segment.layout.id)?;
    let mut found = Vec::new();
    if let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? {
        each_block(&mut postings, |docs| found.extend_from_slice(docs));
    }
    Ok(found)
}

/// Hands out the documents of a list in blocks.
pub(super) fn each_block(postings: &mut SegmentPostings, mut visit: impl FnMut(&[u32])) {
    let mut buffer = [0; COLLECT_BLOCK_BUFFER_LEN];
    loop {
        let count = postings.fill_buffer(&mut buffer);
        visit(&buffer[..count]);
        if count < buffer.len() {
            return;
        }
    }
}

/// The documents that have a term.
pub(super) fn of_term(reader: &SegmentReader, field: IndexField, term: &[u8]) -> Result<Bits> {
    let mut bits = Bits::none(reader.max_doc());
    let index = reader.inverted_index(field)?;
    if let Some(info) = index.terms().get(term)? {
        let mut postings = index.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
        if postings.doc_freq() == reader.max_doc() {
            return Ok(Bits::all(reader.max_doc()));
        }
        each_block(&mut postings, |docs| docs.iter().for_each(|doc| bits.insert(*doc)));
    }
    Ok(bits)
}

struct Selector<'s> {
    segment: &'s Segment,
    reader: &'s SegmentReader,
    layout: &'s Layout,
}

impl Selector<'_> {
    fn of_filter(&self, filter: &Filter) -> Result<Selection> {
        match filter {
            Filter::Any => Ok(self.everything()),
            Filter::And(parts) => {
                let mut selection = self.everything();
                for part in parts {
                    if selection.possible().is_empty() {
                        break;
                    }
                    selection.intersect(&self.of_filter(part)?);
                }
                Ok(selection)
            }
            Filter::Or(parts) => {
                let mut selection = self.nothing();
                for part in parts {
                    selection.unite(&self.of_filter(part)?);
                }
                Ok(selection)
            }
            Filter::Not(inner) => Ok(self.of_filter(inner)?.inverted()),
            Filter::Words(phrase) => self.of_phrase(phrase),
            Filter::Test { field, op } => self.of_test(field, op),
        }
    }

    fn everything(&self) -> Selection {
        Selection::all(self.reader.max_doc())
    }

    fn nothing(&self) -> Selection {
        Selection::exact(self.none())
    }

    fn none(&self) -> Bits {
        Bits::none(self.reader.max_doc())
    }

    /// Any document may be meant: the index knows nothing about it.
    fn unknown(&self) -> Selection {
        Selection::only_possible(Bits::all(self.reader.max_doc()))
    }

    fn of_range(&self, range: TimeRange) -> Selection {
        let (first, last) = self.segment.starts;
        if range.contains(first) && range.contains(last) {
            return self.everything();
        }
        let mut bits = self.none();
        let column = &self.segment.started_at;
        for doc in 0..self.reader.max_doc() {
            if column
                .first(doc)
                .is_some_and(|micros| range.from.micros() <= micros && micros < range.to.micros())
            {
                bits.insert(doc);
            }
        }
        Selection::exact(bits)
    }

    fn of_phrase(&self, phrase: &[String]) -> Result<Selection> {
        let mut possible = Bits::all(self.reader.max_doc());
        let mut exact = phrase.len() <= 1;
        for word in phrase {
            let (term, is_exact) = layout::word_term(word);
            exact &= is_exact;
            possible.intersect(&self.of_term(self.layout.words, term.as_bytes())?);
            if possible.is_empty() {
                return Ok(Selection::exact(possible));
            }
        }
        Ok(if exact { Selection::exact(possible) } else { Selection::only_possible(possible) })
    }

    fn of_test(&self, field: &Field, op: &Op) -> Result<Selection> {
        match field {
            Field::Row(row) => match (row.field_type, self.layout.row(row)) {
                (_, None) if layout::is_searchable_text(row) => self.of_text(op),
                // A row that is newer than the partition.
                (_, None) => Ok(self.unknown()),
                (FieldType::Keyword, Some(field)) if layout::has_terms(row) => self.of_terms(field, op),
                (FieldType::Keyword, Some(_)) => self.of_keyword_column(row, op),
                (_, Some(_)) => self.of_number_column(row, op),
            },
            Field::RequestHeader(name) => self.of_header(Side::Request, name, op),
            Field::ResponseHeader(name) => self.of_header(Side::Response, name, op),
            Field::QueryParameter(_) => self.of_text(op),
            Field::RequestBody(names) => self.of_member(Side::Request, names, op),
            Field::ResponseBody(names) => self.of_member(Side::Response, names, op),
            Field::Attribute(name) => self.of_attribute(name, op),
        }
    }

    /// Values that are searchable text: where one is equal to a text, the words of the text are found.
    fn of_text(&self, op: &Op) -> Result<Selection> {
        let candidates = match op {
            Op::In(operands) => {
                let mut any = self.none();
                for operand in operands {
                    match operand {
                        FieldValue::Text(text) => any.unite(self.of_phrase(&words(text))?.possible()),
                        _ => any = Bits::all(self.reader.max_doc()),
                    }
                }
                any
            }
            // The last word of a prefix may go on.
            Op::Prefix(prefix) => {
                let mut known = words(prefix);
                known.pop();
                let phrase = self.of_phrase(&known)?;
                phrase.possible().clone()
            }
            _ => Bits::all(self.reader.max_doc()),
        };
        Ok(Selection::only_possible(candidates))
    }

    fn of_header(&self, side: Side, name: &str, op: &Op) -> Result<Selection> {
        let Some(fact) = layout::header_fact(side, name) else { return Ok(self.unknown()) };
        let has_header = Selection::exact(self.of_term(self.layout.facts, fact.as_bytes())?);
        if *op == Op::Exists || has_header.sure.is_empty() {
            return Ok(has_header);
        }
        let mut selection = self.of_text(op)?;
        selection.intersect(&has_header);
        Ok(selection)
    }

    fn of_member(&self, side: Side, names: &[String], op: &Op) -> Result<Selection> {
        let Some(path) = layout::fact_path(side, names) else { return Ok(self.unknown()) };
        let mut found = self.of_facts(&path, op, layout::MAX_TERM_BYTES)?;
        let overflown = self.of_term(self.layout.facts, layout::overflow_fact(side).as_bytes())?;
        if !overflown.is_empty() {
            found.unite(&Selection::only_possible(overflown));
        }
        Ok(found)
    }

    fn of_attribute(&self, name: &str, op: &Op) -> Result<Selection> {
        let Some(path) = layout::attribute_path(name) else { return Ok(self.unknown()) };
        let mut found = self.of_facts(&path, op, layout::MAX_ATTRIBUTE_BYTES)?;
        let unlisted = self.of_term(self.layout.facts, layout::ATTRIBUTES_LISTED.as_bytes())?.inverted();
        if !unlisted.is_empty() {
            found.unite(&Selection::only_possible(unlisted));
        }
        Ok(found)
    }

    /// Facts of a path with a value for which the comparison holds. Texts of up to `longest` bytes are kept whole.
    fn of_facts(&self, path: &str, op: &Op, longest: usize) -> Result<Selection> {
        match op {
            Op::In(operands) => self.of_equal_facts(path, operands, longest),
            Op::Prefix(prefix) => {
                let mut found = self.nothing();
                for beginning in layout::fact_prefixes(prefix) {
                    found.unite(&self.of_facts_in(path, &beginning, op)?);
                }
                Ok(found)
            }
            _ => self.of_facts_in(path, "", op),
        }
    }

    fn of_equal_facts(
        &self,
        path: &str,
        operands: &[FieldValue<'static>],
        longest: usize,
    ) -> Result<Selection> {
        let mut found = self.nothing();
        for operand in operands {
            let (value, exact) = layout::fact_value(operand, longest);
            let bits = self.of_term(self.layout.facts, format!("{path}{value}").as_bytes())?;
            found.unite(&if exact { Selection::exact(bits) } else { Selection::only_possible(bits) });
        }
        Ok(found)
    }

    /// Facts of a path whose value is written with this beginning, each judged by the comparison.
    fn of_facts_in(&self, path: &str, beginning: &str, op: &Op) -> Result<Selection> {
        self.of_terms_in(self.layout.facts, &format!("{path}{beginning}"), |term| {
            match term.get(path.len()..).and_then(layout::read_fact_value) {
                _ if *op == Op::Exists => Verdict::Match,
                Some(FactValue::Known(value)) if holds(op, &value) => Verdict::Match,
                Some(FactValue::Known(_)) => Verdict::Miss,
                Some(FactValue::Hashed) | None => Verdict::Doubt,
            }
        })
    }

    fn of_terms(&self, field: IndexField, op: &Op) -> Result<Selection> {
        match op {
            Op::In(operands) => {
                let mut found = self.nothing();
                for operand in operands {
                    if let FieldValue::Text(text) = operand {
                        let bits = self.of_term(field, cut(text).as_bytes())?;
                        let exact = text.len() <= MAX_WHOLE_BYTES;
                        found.unite(&if exact {
                            Selection::exact(bits)
                        } else {
                            Selection::only_possible(bits)
                        });
                    }
                }
                Ok(found)
            }
            Op::Prefix(prefix) => self.of_terms_in(field, cut(prefix), |term| judge(op, term)),
            _ => self.of_terms_in(field, "", |term| judge(op, term)),
        }
    }

    fn of_terms_in(
        &self,
        field: IndexField,
        beginning: &str,
        judge: impl Fn(&str) -> Verdict,
    ) -> Result<Selection> {
        let index = self.reader.inverted_index(field)?;
        let mut found = self.nothing();
        let mut doubtful = self.none();
        let mut terms = index.terms().range().ge(beginning.as_bytes()).into_stream()?;
        while terms.advance() {
            let Ok(term) = std::str::from_utf8(terms.key()) else { continue };
            if !term.starts_with(beginning) {
                break;
            }
            let bits = match judge(term) {
                Verdict::Miss => continue,
                Verdict::Match => &mut found.sure,
                Verdict::Doubt => &mut doubtful,
            };
            let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            each_block(&mut postings, |docs| docs.iter().for_each(|doc| bits.insert(*doc)));
        }
        if !doubtful.is_empty() {
            found.unite(&Selection::only_possible(doubtful));
        }
        Ok(found)
    }

    fn of_term(&self, field: IndexField, term: &[u8]) -> Result<Bits> {
        of_term(self.reader, field, term)
    }

    fn of_keyword_column(&self, row: &FieldRow, op: &Op) -> Result<Selection> {
        let Some(column) = self.reader.fast_fields().str(&layout::column_name(row))? else {
            return Ok(self.nothing());
        };
        let mut verdicts = Vec::new();
        match op {
            Op::In(operands) => {
                for operand in operands {
                    if let FieldValue::Text(text) = operand
                        && let Some(ord) = column.dictionary().term_ord(cut(text))?
                    {
                        let whole = text.len() <= MAX_WHOLE_BYTES;
                        verdicts.push((ord, if whole { Verdict::Match } else { Verdict::Doubt }));
                    }
                }
            }
            Op::Prefix(prefix) => judge_dictionary(&column, cut(prefix), op, &mut verdicts)?,
            _ => judge_dictionary(&column, "", op, &mut verdicts)?,
        }
        verdicts.sort_unstable_by_key(|(ord, _)| *ord);
        verdicts.dedup();
        Ok(self.of_ords(column.ords(), &verdicts))
    }

    /// Documents by the verdicts on the ordinals of their values, which are sorted.
    fn of_ords(&self, column: &Column<u64>, verdicts: &[(u64, Verdict)]) -> Selection {
        let (Some((first, _)), Some((last, _))) = (verdicts.first(), verdicts.last()) else {
            return self.nothing();
        };
        let mut sure = self.none();
        let mut doubtful = self.none();
        for doc in 0..self.reader.max_doc() {
            for ord in column.values_for_doc(doc).filter(|ord| first <= ord && ord <= last) {
                if let Ok(index) = verdicts.binary_search_by_key(&ord, |(ord, _)| *ord) {
                    let bits = if verdicts[index].1 == Verdict::Match { &mut sure } else { &mut doubtful };
                    bits.insert(doc);
                }
            }
        }
        let mut found = Selection::exact(sure);
        if !doubtful.is_empty() {
            found.unite(&Selection::only_possible(doubtful));
        }
        found
    }

    fn of_number_column(&self, row: &FieldRow, op: &Op) -> Result<Selection> {
        let name = layout::column_name(row);
        let Some(column) = self.reader.fast_fields().column_opt::<i64>(&name)? else {
            return Ok(self.nothing());
        };
        let mut bits = self.none();
        for doc in 0..self.reader.max_doc() {
            if column.values_for_doc(doc).any(|number| holds(op, &typed(row.field_type, number))) {
                bits.insert(doc);
            }
        }
        Ok(Selection::exact(bits))
    }
}

/// The value that a column of numbers holds for a row.
pub(super) fn typed(field_type: FieldType, number: i64) -> FieldValue<'static> {
    match field_type {
        FieldType::Time => FieldValue::Time(weir_kit::Timestamp::from_micros(number)),
        FieldType::Bool => FieldValue::Bool(number != 0),
        _ => FieldValue::Integer(number),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Match,
    Miss,
    /// The value was cut or hashed.
    Doubt,
}

/// Judges the beginning of a value, which is all of it when it is short.
fn judge(op: &Op, term: &str) -> Verdict {
    if *op == Op::Exists {
        Verdict::Match
    } else if term.len() > MAX_WHOLE_BYTES {
        Verdict::Doubt
    } else if holds(op, &FieldValue::Text(term.into())) {
        Verdict::Match
    } else {
        Verdict::Miss
    }
}

fn judge_dictionary(
    column: &StrColumn,
    beginning: &str,
    op: &Op,
    verdicts: &mut Vec<(u64, Verdict)>,
) -> Result<()> {
    let mut terms = column.dictionary().range().ge(beginning.as_bytes()).into_stream()?;
    while terms.advance() {
        let Ok(term) = std::str::from_utf8(terms.key()) else { continue };
        if !term.starts_with(beginning) {
            break;
        }
        let verdict = judge(op, term);
        if verdict != Verdict::Miss {
            verdicts.push((terms.term_ord(), verdict));
        }
    }
    Ok(())
}
