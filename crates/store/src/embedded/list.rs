//! Pages of exchanges.

use std::collections::BTreeMap;
use std::time::Instant;

use tantivy::store::StoreReader;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId};
use weir_query::evaluate::Subject;
use weir_query::{Cursor, Listing, Order};

use super::EmbeddedSettings;
use super::bits::Selection;
use super::partition::{Segment, trouble};
use super::question::{Cancelled, Snapshot, check, segments};
use super::select::select;
use crate::memory::{is_after, is_meant};
use crate::{Page, StoreError, Total};

/// Doubtful exchanges are read to count them exactly, up to so many.
const MAX_COUNT_READS: u64 = 1_000;

/// How many documents pass between two looks at whether the question was given up.
const CHECK_INTERVAL: usize = 4_096;

/// The place of an exchange in a listing.
type Key = (Timestamp, ExchangeId);

pub(super) fn list(
    snapshot: &Snapshot,
    settings: &EmbeddedSettings,
    listing: &Listing,
    cancelled: &Cancelled,
) -> Result<Page, StoreError> {
    let views = snapshot.views(listing.range)?;
    let mut segments = segments(&views, listing.range);
    match listing.order {
        Order::NewestFirst => segments.sort_by_key(|segment| std::cmp::Reverse(segment.starts.1)),
        Order::OldestFirst => segments.sort_by_key(|segment| segment.starts.0),
    }
    let mut lister = Lister {
        settings,
        listing,
        cancelled,
        best: Best::of(listing),
        counted: 0.0,
        exact: true,
        reads: 0,
        matched: 0,
        unread: 0,
    };
    for exchange in snapshot.tail() {
        if is_meant(&Subject::new(exchange), &listing.project, listing.range, &listing.filter) {
            lister.counted += 1.0;
            lister.best.offer((exchange.started_at, exchange.id), || Place::Tail(exchange));
        }
    }
    lister.segments(&segments)?;
    lister.page()
}

/// Where an exchange of the page is.
#[derive(Clone, Copy)]
enum Place<'s> {
    Tail(&'s Exchange),
    Stored(&'s Segment, u32),
}

/// The first exchanges in the order of the listing, one more than the page takes.
struct Best<'s> {
    order: Order,
    after: Option<Cursor>,
    limit: usize,
    places: BTreeMap<Key, Place<'s>>,
}

impl<'s> Best<'s> {
    fn of(listing: &Listing) -> Self {
        let Listing { order, after, limit, .. } = *listing;
        Self { order, after, limit, places: BTreeMap::new() }
    }

    /// The key that a better one would push out; `None` while there is room.
    fn worst(&self) -> Option<Key> {
        let worst = match self.order {
            Order::NewestFirst => self.places.first_key_value(),
            Order::OldestFirst => self.places.last_key_value(),
        };
        worst.map(|(key, _)| *key).filter(|_| self.places.len() > self.limit)
    }

    /// Whether an exchange that began then could be among the first.
    fn could_take_start(&self, start: Timestamp) -> bool {
        self.worst().is_none_or(|(worst, _)| match self.order {
            Order::NewestFirst => start >= worst,
            Order::OldestFirst => start <= worst,
        })
    }

    fn could_take(&self, key: Key) -> bool {
        is_after(key, self.after, self.order)
            && self.worst().is_none_or(|worst| match self.order {
                Order::NewestFirst => key > worst,
                Order::OldestFirst => key < worst,
            })
    }

    fn offer(&mut self, key: Key, place: impl FnOnce() -> Place<'s>) {
        if self.could_take(key) {
            if let Some(worst) = self.worst() {
                self.places.remove(&worst);
            }
            self.places.insert(key, place());
        }
    }
}

struct Lister<'s> {
    settings: &'s EmbeddedSettings,
    listing: &'s Listing,
    cancelled: &'s Cancelled,
    best: Best<'s>,
    counted: f64,
    exact: bool,
    /// Stored exchanges read to see whether they match, how many of them did, and how many were left unread.
    reads: u64,
    matched: u64,
    unread: u64,
}

impl<'s> Lister<'s> {
    fn segments(&mut self, segments: &[&'s Segment]) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut seen = 0.0;
        for (index, segment) in segments.iter().enumerate() {
            check(self.cancelled)?;
            let bound = match self.listing.order {
                Order::NewestFirst => segment.starts.1,
                Order::OldestFirst => segment.starts.0,
            };
            // Segments are sorted by this bound, so that none of the rest can add to the page either.
            if !self.best.could_take_start(bound) && began.elapsed() > self.settings.count_time {
                let rest: f64 =
                    segments[index..].iter().map(|segment| f64::from(segment.reader.num_docs())).sum();
                self.counted += rest * self.estimate() / f64::max(seen, 1.0);
                self.exact = false;
                return Ok(());
            }
            let Listing { project, range, filter, .. } = self.listing;
            let selection = select(segment, project, *range, filter).map_err(trouble)?;
            self.sure(segment, &selection)?;
            self.doubtful(segment, &selection)?;
            seen += f64::from(segment.reader.num_docs());
        }
        Ok(())
    }

    fn sure(&mut self, segment: &'s Segment, selection: &Selection) -> Result<(), StoreError> {
        self.counted += selection.sure.len() as f64;
        let docs: Box<dyn Iterator<Item = u32>> = match self.listing.order {
            Order::NewestFirst => Box::new(selection.sure.iter_down()),
            Order::OldestFirst => Box::new(selection.sure.iter()),
        };
        for (index, doc) in docs.enumerate() {
            if index % CHECK_INTERVAL == 0 {
                check(self.cancelled)?;
            }
            if self.best.could_take_start(segment.start(doc)) {
                self.best.offer(segment.key(doc), || Place::Stored(segment, doc));
            }
        }
        Ok(())
    }

    fn doubtful(&mut self, segment: &'s Segment, selection: &Selection) -> Result<(), StoreError> {
        let doubtful = selection.doubtful();
        if doubtful.is_empty() {
            return Ok(());
        }
        let keyed = doubtful.iter().map(|doc| (segment.key(doc), doc));
        let (mut open, passed): (Vec<_>, Vec<_>) =
            keyed.partition(|(key, _)| is_after(*key, self.listing.after, self.listing.order));
        open.sort_unstable_by_key(|(key, _)| *key);
        if self.listing.order == Order::NewestFirst {
            open.reverse();
        }
        let store = segment.store()?;
        let mut candidates = open.into_iter().chain(passed);
        while let Some((key, doc)) = candidates.next() {
            if !self.best.could_take(key) && self.reads > MAX_COUNT_READS {
                self.unread += 1 + candidates.count() as u64;
                self.exact = false;
                break;
            }
            if self.matches(segment, &store, doc)? {
                self.matched += 1;
                self.counted += 1.0;
                self.best.offer(key, || Place::Stored(segment, doc));
            }
        }
        Ok(())
    }

    /// How many match: those counted, and of the unread ones as large a share as of those read.
    fn estimate(&self) -> f64 {
        self.counted + self.unread as f64 * self.matched as f64 / self.reads.max(1) as f64
    }

    fn matches(&mut self, segment: &Segment, store: &StoreReader, doc: u32) -> Result<bool, StoreError> {
        self.reads += 1;
        if self.reads > self.settings.source_reads {
            return Err(StoreError::TooLarge(format!(
                "more than {} stored exchanges would have to be read; narrow the time range, or add a word or a field \
                 that is indexed",
                self.settings.source_reads
            )));
        }
        check(self.cancelled)?;
        let exchange = segment.exchange(store, doc)?;
        Ok(Subject::new(&exchange).matches(&self.listing.filter))
    }

    fn page(self) -> Result<Page, StoreError> {
        let counted = self.estimate().round() as u64;
        let Best { order, limit, places, .. } = self.best;
        let has_more = places.len() > limit;
        let mut places: Vec<Place<'_>> = places.into_values().collect();
        if order == Order::NewestFirst {
            places.reverse();
        }
        let exchanges = places.into_iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
        let last = exchanges.last().filter(|_| has_more);
        let next = last.map(|last| Cursor { started_at: last.started_at, id: last.id });
        let total = if self.exact { Total::Exactly(counted) } else { Total::About(counted) };
        Ok(Page { exchanges, next, total })
    }
}

fn read(place: Place<'_>) -> Result<Exchange, StoreError> {
    match place {
        Place::Tail(exchange) => Ok(exchange.clone()),
        Place::Stored(segment, doc) => segment.exchange(&segment.store()?, doc),
    }
}
