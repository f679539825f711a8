//! Figures by group.

use std::collections::HashMap;

use weir_query::Aggregation;
use weir_query::evaluate::{Key, MAX_KEYS, Subject};
use weir_query::table::Table;

use super::EmbeddedSettings;
use super::bits::{Bits, Selection};
use super::columns::{Code, Columns, DimensionColumn};
use super::partition::{Segment, trouble};
use super::question::{Cancelled, Snapshot, check, segments};
use super::select::select;
use crate::StoreError;
use crate::figures::Figure;
use crate::groups::Groups;
use crate::memory::is_meant;

/// Different values are counted exactly up to so many in each group.
const EXACT_DISTINCT: usize = 1_024;

/// How many documents pass between two looks at whether the question was given up or grew too large.
const CHECK_INTERVAL: usize = 4_096;

/// What one group costs at least, in bytes.
const SLOT_BYTES: usize = 128;

pub(super) fn aggregate(
    snapshot: &Snapshot,
    settings: &EmbeddedSettings,
    aggregation: &Aggregation,
    cancelled: &Cancelled,
) -> Result<Table, StoreError> {
    let Aggregation { project, range, filter, .. } = aggregation;
    let mut groups = Groups::new(aggregation, EXACT_DISTINCT, settings.group_bytes);
    for exchange in snapshot.tail() {
        let subject = Subject::new(exchange);
        if is_meant(&subject, project, *range, filter) {
            groups.add(&subject, 1)?;
        }
    }
    let views = snapshot.views(*range)?;
    let mut tasks = Vec::new();
    for segment in segments(&views, *range) {
        check(cancelled)?;
        let selection = select(segment, project, *range, filter).map_err(trouble)?;
        let columns = Columns::of(segment, aggregation, &selection).map_err(trouble)?;
        tasks.push(Task::of(segment, selection, columns));
    }
    // Where too many stored exchanges would have to be read, each n-th stands for n.
    let reads: u64 = tasks.iter().map(Task::reads).sum();
    let stride = reads.div_ceil(settings.source_reads.max(1)).max(1);
    let mut counter = Counter { aggregation, settings, cancelled, stride, groups };
    for task in tasks {
        counter.count(task)?;
    }
    Ok(counter.groups.finish(stride > 1))
}

/// What is to be counted of one segment.
struct Task<'s> {
    segment: &'s Segment,
    selection: Selection,
    /// `None` when a dimension or measure has no column.
    columns: Option<Columns>,
    /// Those counted from their source alone.
    by_source: Bits,
    /// Those whose source must be asked whether they are meant; their columns say the rest.
    doubtful: Bits,
}

impl<'s> Task<'s> {
    fn of(segment: &'s Segment, selection: Selection, columns: Option<Columns>) -> Self {
        let none = || Bits::none(segment.reader.max_doc());
        let (by_source, doubtful) = match columns.as_ref().map(|columns| &columns.unknown) {
            None => (selection.possible().clone(), none()),
            Some(None) => (none(), selection.doubtful()),
            Some(Some(unknown)) => {
                let (mut by_source, mut doubtful) = (selection.possible().clone(), selection.doubtful());
                by_source.intersect(unknown);
                doubtful.remove(unknown);
                (by_source, doubtful)
            }
        };
        Self { segment, selection, columns, by_source, doubtful }
    }

    /// How many stored exchanges it takes.
    fn reads(&self) -> u64 {
        self.by_source.len() + self.doubtful.len()
    }
}

struct Counter<'q> {
    aggregation: &'q Aggregation,
    settings: &'q EmbeddedSettings,
    cancelled: &'q Cancelled,
    stride: u64,
    groups: Groups<'q>,
}

impl Counter<'_> {
    fn count(&mut self, task: Task<'_>) -> Result<(), StoreError> {
        check(self.cancelled)?;
        self.count_stored(&task)?;
        let Task { segment, mut selection, columns, by_source, doubtful } = task;
        let Some(columns) = columns else { return Ok(()) };
        selection.sure.remove(&by_source);
        let mut table = SlotTable::of(columns, &self.groups);
        table.prepare(selection.sure.len() + doubtful.len())?;
        for (index, doc) in selection.sure.iter().enumerate() {
            if index % CHECK_INTERVAL == 0 {
                check(self.cancelled)?;
                table.check_size(self.settings.group_bytes)?;
            }
            table.add(doc, 1)?;
        }
        if !doubtful.is_empty() {
            let store = segment.store()?;
            for doc in doubtful.iter().step_by(self.stride as usize) {
                check(self.cancelled)?;
                let exchange = segment.exchange(&store, doc)?;
                if Subject::new(&exchange).matches(&self.aggregation.filter) {
                    table.add(doc, self.stride)?;
                }
            }
        }
        table.finish(segment, &mut self.groups)
    }

    fn count_stored(&mut self, task: &Task<'_>) -> Result<(), StoreError> {
        if task.by_source.is_empty() {
            return Ok(());
        }
        let store = task.segment.store()?;
        for doc in task.by_source.iter().step_by(self.stride as usize) {
            check(self.cancelled)?;
            let exchange = task.segment.exchange(&store, doc)?;
            let subject = Subject::new(&exchange);
            if task.selection.sure.contains(doc) || subject.matches(&self.aggregation.filter) {
                self.groups.add(&subject, self.stride)?;
            }
        }
        Ok(())
    }
}

/// Figures by the codes of one segment.
struct SlotTable {
    columns: Columns,
    empty: Vec<Figure>,
    slots: Vec<Vec<Figure>>,
    /// The codes of each slot, one after the other.
    codes: Vec<Code>,
    places: Places,
    /// For each dimension, the values of the current document.
    current: Vec<Vec<Code>>,
    /// One combination of them.
    combination: Vec<Code>,
}

/// Finds the slot of a combination of codes.
enum Places {
    /// By ordinal plus one, for a single text dimension; 0 is no value.
    ByOrd(Vec<u32>),
    /// With the combination asked for last: neighbours are often alike.
    ByCodes { places: HashMap<Box<[Code]>, u32>, last: Vec<Code>, last_slot: u32 },
}

const NO_SLOT: u32 = u32::MAX;

impl SlotTable {
    fn of(columns: Columns, groups: &Groups<'_>) -> Self {
        let places = match columns.dimensions.as_slice() {
            [DimensionColumn::Text(column)] => Places::ByOrd(vec![NO_SLOT; column.num_terms() + 1]),
            [DimensionColumn::Facts(facts)] => Places::ByOrd(vec![NO_SLOT; facts.num_terms() + 1]),
            _ => Places::ByCodes { places: HashMap::new(), last: Vec::new(), last_slot: NO_SLOT },
        };
        let current = vec![Vec::new(); columns.dimensions.len()];
        Self {
            columns,
            empty: groups.figures(),
            slots: Vec::new(),
            codes: Vec::new(),
            places,
            current,
            combination: Vec::new(),
        }
    }

    fn prepare(&mut self, docs: u64) -> Result<(), StoreError> {
        self.columns.measures.iter_mut().try_for_each(|measure| measure.prepare(docs)).map_err(trouble)
    }

    fn check_size(&self, max_bytes: usize) -> Result<(), StoreError> {
        if self.slots.len() * (SLOT_BYTES + size_of_val(self.empty.as_slice())) > max_bytes {
            return Err(StoreError::TooLarge(format!(
                "its groups take more than {max_bytes} bytes; narrow the time range or the filter, or group by a field \
                 with fewer values"
            )));
        }
        Ok(())
    }

    /// Counts a document as if it came `times` times, in each of its groups.
    fn add(&mut self, doc: u32, times: u64) -> Result<(), StoreError> {
        for (dimension, codes) in self.columns.dimensions.iter().zip(&mut self.current) {
            dimension.codes(doc, codes);
        }
        let combinations =
            self.current.iter().map(Vec::len).fold(1usize, usize::saturating_mul).min(MAX_KEYS);
        let weight = self.columns.weight.first(doc).unwrap_or(1).saturating_mul(times);
        let failed = self.columns.failed.first(doc).unwrap_or(false);
        let mut combination = std::mem::take(&mut self.combination);
        for number in 0..combinations {
            combination.clear();
            let mut rest = number;
            for codes in self.current.iter().rev() {
                combination.push(codes[rest % codes.len()]);
                rest /= codes.len();
            }
            combination.reverse();
            let slot = self.slot(&combination);
            for (measure, figure) in self.columns.measures.iter_mut().zip(&mut self.slots[slot as usize]) {
                measure.add(figure, doc, failed, weight).map_err(trouble)?;
            }
        }
        self.combination = combination;
        Ok(())
    }

    fn slot(&mut self, combination: &[Code]) -> u32 {
        let next = self.slots.len() as u32;
        let slot = match &mut self.places {
            Places::ByOrd(places) => {
                let place = &mut places[combination[0].map_or(0, |ord| ord as usize + 1)];
                if *place == NO_SLOT {
                    *place = next;
                }
                *place
            }
            Places::ByCodes { last, last_slot, .. } if *last_slot != NO_SLOT && *last == combination => {
                *last_slot
            }
            Places::ByCodes { places, last, last_slot } => {
                let slot = match places.get(combination) {
                    Some(slot) => *slot,
                    None => *places.entry(combination.into()).or_insert(next),
                };
                combination.clone_into(last);
                *last_slot = slot;
                slot
            }
        };
        if slot == next {
            self.slots.push(self.empty.clone());
            self.codes.extend_from_slice(combination);
        }
        slot
    }

    /// Hands the groups over, with the values that the codes stand for.
    fn finish(self, segment: &Segment, groups: &mut Groups<'_>) -> Result<(), StoreError> {
        let width = self.columns.dimensions.len();
        let mut keys: Vec<std::vec::IntoIter<Key>> = Vec::with_capacity(width);
        for (index, dimension) in self.columns.dimensions.iter().enumerate() {
            let codes: Vec<Code> = self.codes.iter().skip(index).step_by(width).copied().collect();
            keys.push(dimension.keys(segment, &codes).map_err(trouble)?.into_iter());
        }
        for figures in self.slots {
            let group = keys.iter_mut().filter_map(Iterator::next).collect();
            groups.merge(group, figures)?;
        }
        Ok(())
    }
}
