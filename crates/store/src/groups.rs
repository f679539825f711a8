//! Groups of an aggregation, and the table they end in.

use std::cmp::Ordering;
use std::collections::HashMap;

use weir_query::Aggregation;
use weir_query::evaluate::{Key, Subject};
use weir_query::table::{Cell, Table};

use crate::StoreError;
use crate::figures::{Figure, empty_figures, finish};

/// What a group costs beside its keys and figures.
const GROUP_OVERHEAD: usize = 64;

/// Figures by group.
pub(crate) struct Groups<'q> {
    aggregation: &'q Aggregation,
    groups: HashMap<Vec<Key>, Vec<Figure>>,
    exact_distinct: usize,
    bytes: usize,
    max_bytes: usize,
}

impl<'q> Groups<'q> {
    /// No group yet; they may take `max_bytes` in all. Different values are counted exactly up to `exact_distinct`.
    pub(crate) fn new(aggregation: &'q Aggregation, exact_distinct: usize, max_bytes: usize) -> Self {
        Self { aggregation, groups: HashMap::new(), exact_distinct, bytes: 0, max_bytes }
    }

    /// Figures of a group with nothing counted.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        empty_figures(&self.aggregation.measures, self.exact_distinct)
    }

    /// Counts an exchange as if it came `times` times.
    pub(crate) fn add(&mut self, subject: &Subject<'_>, times: u64) -> Result<(), StoreError> {
        let weight = u64::from(subject.exchange().weight).saturating_mul(times);
        for group in subject.groups(&self.aggregation.dimensions) {
            let mut figures = self.figures();
            for (figure, measure) in figures.iter_mut().zip(&self.aggregation.measures) {
                figure.add(measure, subject, weight);
            }
            self.merge(group, figures)?;
        }
        Ok(())
    }

    /// Adds figures counted elsewhere to a group.
    pub(crate) fn merge(&mut self, group: Vec<Key>, figures: Vec<Figure>) -> Result<(), StoreError> {
        match self.groups.entry(group) {
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                for (known, more) in entry.get_mut().iter_mut().zip(figures) {
                    let before = known.heap_bytes();
                    known.merge(more);
                    self.bytes += known.heap_bytes().saturating_sub(before);
                }
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.bytes += GROUP_OVERHEAD + cost(entry.key(), &figures);
                entry.insert(figures);
            }
        }
        if self.bytes > self.max_bytes {
            return Err(StoreError::TooLarge(format!(
                "its {} groups take more than {} bytes; narrow the time range or the filter, or group by a field with fewer values",
                self.groups.len(),
                self.max_bytes
            )));
        }
        Ok(())
    }

    /// The rows in the order asked for.
    pub(crate) fn finish(mut self, approximate: bool) -> Table {
        let Aggregation { dimensions, measures, order_by, limit, .. } = self.aggregation;
        if dimensions.is_empty() && self.groups.is_empty() {
            self.groups.insert(Vec::new(), self.figures());
        }
        let mut rows: Vec<Row> = self
            .groups
            .into_iter()
            .map(|(keys, figures)| {
                let rank = order_by.and_then(|index| finish(&figures).nth(index)).and_then(rank);
                Row { keys, figures, rank }
            })
            .collect();
        let more = rows.len() > *limit;
        if more {
            rows.select_nth_unstable_by(*limit, Row::compare);
            rows.truncate(*limit);
        }
        rows.sort_unstable_by(Row::compare);
        let names = dimensions
            .iter()
            .map(|dimension| dimension.name())
            .chain(measures.iter().map(|measure| measure.name()));
        Table {
            columns: names.map(String::from).collect(),
            rows: rows.into_iter().map(Row::cells).collect(),
            more,
            approximate,
        }
    }
}

fn cost(keys: &[Key], figures: &[Figure]) -> usize {
    let texts: usize = keys.iter().map(|key| if let Key::Text(text) = key { text.len() } else { 0 }).sum();
    let heaps: usize = figures.iter().map(Figure::heap_bytes).sum();
    size_of_val(keys) + size_of_val(figures) + texts + heaps
}

struct Row {
    keys: Vec<Key>,
    figures: Vec<Figure>,
    /// By which it is ordered, largest first; `None` last.
    rank: Option<f64>,
}

impl Row {
    fn compare(&self, other: &Self) -> Ordering {
        let by_rank = match (self.rank, other.rank) {
            (Some(left), Some(right)) => right.total_cmp(&left),
            (left, right) => right.is_some().cmp(&left.is_some()),
        };
        by_rank.then_with(|| self.keys.cmp(&other.keys))
    }

    fn cells(self) -> Vec<Cell> {
        self.keys.into_iter().map(Cell::from).chain(finish(&self.figures)).collect()
    }
}

fn rank(cell: Cell) -> Option<f64> {
    match cell {
        Cell::Integer(number) => Some(number as f64),
        Cell::Float(number) => Some(number),
        Cell::Time(instant) => Some(instant.micros() as f64),
        _ => None,
    }
}
