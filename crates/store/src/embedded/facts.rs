//! An attribute as a column, made from the terms of the index when a question groups by it.
//!
//! Attributes have open names and so no columns of their own. Their short values are terms, though, and the postings of
//! these terms say which document has which; that costs a fraction of reading the stored exchanges.

use std::collections::HashMap;

use tantivy::schema::IndexRecordOption;
use weir_model::FieldValue;
use weir_query::evaluate::Key;

use super::bits::Bits;
use super::layout::{self, FactValue};
use super::partition::Segment;
use super::select::{each_block, of_term};

/// Whole numbers from here on group by another key than the float that the term holds.
const WHOLE_BELOW: f64 = 9e15;

/// The values of an attribute in one segment, by the numbers of their terms.
pub(super) struct FactColumn {
    /// What the terms of the attribute begin with.
    path: String,
    /// The ordinal of the first of these terms.
    base: u64,
    /// How many there are.
    count: usize,
    /// For each document the number of its value counted from `base`, plus one; 0 is no value.
    first: Vec<u32>,
    /// Further values of documents with several.
    more: HashMap<u32, Vec<u32>>,
    /// Documents whose values only their source tells: those with long values, and those of earlier releases.
    pub(super) unknown: Bits,
}

impl FactColumn {
    /// The column; `None` when attributes of such a name are not indexed.
    pub(super) fn of(segment: &Segment, name: &str) -> tantivy::Result<Option<Self>> {
        let Some(path) = layout::attribute_path(name) else { return Ok(None) };
        let max_doc = segment.reader.max_doc();
        let listed = of_term(&segment.reader, segment.layout.facts, layout::ATTRIBUTES_LISTED.as_bytes())?;
        let mut column = Self {
            path,
            base: 0,
            count: 0,
            first: vec![0; max_doc as usize],
            more: HashMap::new(),
            unknown: listed.inverted(),
        };
        let index = segment.reader.inverted_index(segment.layout.facts)?;
        let mut terms = index.terms().range().ge(column.path.as_bytes()).into_stream()?;
        while terms.advance() {
            let Some(value) = terms.key().strip_prefix(column.path.as_bytes()) else { break };
            if column.count == 0 {
                column.base = terms.term_ord();
            }
            column.count += 1;
            let (number, is_known) = (column.count as u32, key_of(value).is_some());
            let mut postings = index.read_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            each_block(&mut postings, |docs| {
                for doc in docs {
                    if is_known { column.put(*doc, number) } else { column.unknown.insert(*doc) }
                }
            });
        }
        Ok(Some(column))
    }

    fn put(&mut self, doc: u32, number: u32) {
        match &mut self.first[doc as usize] {
            free @ 0 => *free = number,
            _ => self.more.entry(doc).or_default().push(number),
        }
    }

    /// How many different values there are at most.
    pub(super) fn num_terms(&self) -> usize {
        self.count
    }

    /// The numbers of the values of a document, from 0.
    pub(super) fn codes(&self, doc: u32) -> impl Iterator<Item = u64> {
        let first = self.first.get(doc as usize).copied().filter(|number| *number != 0);
        // Most columns have no document with several values.
        let more = if self.more.is_empty() { None } else { self.more.get(&doc) };
        let numbers = first.into_iter().chain(more.into_iter().flatten().copied());
        numbers.map(|number| u64::from(number) - 1)
    }

    /// The keys of values by their numbers.
    pub(super) fn keys(
        &self,
        segment: &Segment,
        codes: impl Iterator<Item = u64>,
    ) -> tantivy::Result<HashMap<u64, Key>> {
        let index = segment.reader.inverted_index(segment.layout.facts)?;
        let mut keys = HashMap::new();
        let mut term = Vec::new();
        for code in codes {
            if let std::collections::hash_map::Entry::Vacant(entry) = keys.entry(code) {
                index.terms().ord_to_term(self.base + code, &mut term)?;
                let key = term.strip_prefix(self.path.as_bytes()).and_then(key_of);
                entry.insert(key.unwrap_or(Key::Null));
            }
        }
        Ok(keys)
    }
}

/// The key of a value as terms hold it; `None` when the term stands for several values.
fn key_of(value: &[u8]) -> Option<Key> {
    match layout::read_fact_value(std::str::from_utf8(value).ok()?)? {
        FactValue::Known(FieldValue::Float(number)) if number.abs() >= WHOLE_BELOW => None,
        FactValue::Known(value) => Some(Key::of(&value)),
        FactValue::Hashed => None,
    }
}
