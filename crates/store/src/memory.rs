//! The definition of a query: exchanges in a map, every question a pass over all of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_query::evaluate::Subject;
use weir_query::table::Table;
use weir_query::{Aggregation, Cursor, Filter, Listing, Order, TimeRange};

use crate::groups::Groups;
use crate::{Page, Position, Store, StoreError, StoreStatus, Total};

/// Keeps exchanges in memory, and nothing on disk: [`Store::durable_position`] stays 0.
#[derive(Debug, Default)]
pub struct MemoryStore {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Sorted by start, then by id: the order of listings.
    by_start: BTreeMap<(Timestamp, ExchangeId), Arc<Exchange>>,
    starts: HashMap<ExchangeId, Timestamp>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // No code that writes can panic half-way.
    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a question is about this exchange.
pub(crate) fn is_meant(
    subject: &Subject<'_>,
    project: &ProjectId,
    range: TimeRange,
    filter: &Filter,
) -> bool {
    let exchange = subject.exchange();
    exchange.project == *project && range.contains(exchange.started_at) && subject.matches(filter)
}

/// Whether an exchange comes after the cursor in the order of a listing.
pub(crate) fn is_after(key: (Timestamp, ExchangeId), cursor: Option<Cursor>, order: Order) -> bool {
    let Some(Cursor { started_at, id }) = cursor else { return true };
    match order {
        Order::NewestFirst => key < (started_at, id),
        Order::OldestFirst => key > (started_at, id),
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: &[Arc<Exchange>], _position: Position) -> Result<(), StoreError> {
        let held = &mut *self.write();
        for exchange in batch {
            if let Entry::Vacant(entry) = held.starts.entry(exchange.id) {
                entry.insert(exchange.started_at);
                held.by_start.insert((exchange.started_at, exchange.id), exchange.clone());
            }
        }
        Ok(())
    }

    fn durable_position(&self) -> Position {
        0
    }

    async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn list(&self, listing: &Listing) -> Result<Page, StoreError> {
        let held = self.read();
        let mut meant: Vec<_> = held
            .by_start
            .iter()
            .filter(|(_, exchange)| {
                is_meant(&Subject::new(exchange), &listing.project, listing.range, &listing.filter)
            })
            .collect();
        if listing.order == Order::NewestFirst {
            meant.reverse();
        }
        let total = Total::Exactly(meant.len() as u64);
        meant.retain(|(key, _)| is_after(**key, listing.after, listing.order));
        let exchanges: Vec<Exchange> =
            meant.iter().take(listing.limit).map(|(_, exchange)| Exchange::clone(exchange)).collect();
        let last = exchanges.last().filter(|_| meant.len() > listing.limit);
        let next = last.map(|last| Cursor { started_at: last.started_at, id: last.id });
        Ok(Page { exchanges, next, total })
    }

    async fn aggregate(&self, aggregation: &Aggregation) -> Result<Table, StoreError> {
        let mut groups = Groups::new(aggregation, usize::MAX, usize::MAX);
        for exchange in self.read().by_start.values() {
            let subject = Subject::new(exchange);
            if is_meant(&subject, &aggregation.project, aggregation.range, &aggregation.filter) {
                groups.add(&subject, 1)?;
            }
        }
        Ok(groups.finish(false))
    }

    async fn get(&self, project: &ProjectId, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        let held = self.read();
        let found = held.starts.get(&id).and_then(|started_at| held.by_start.get(&(*started_at, id)));
        Ok(found.filter(|exchange| exchange.project == *project).map(|exchange| Exchange::clone(exchange)))
    }

    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut held = self.write();
        let count = held.starts.len();
        held.by_start.retain(|(started_at, _), _| *started_at >= before);
        held.starts.retain(|_, started_at| *started_at >= before);
        Ok((count - held.starts.len()) as u64)
    }

    /// Sizes are estimates of the memory taken.
    async fn shrink(&self, max_bytes: u64) -> Result<u64, StoreError> {
        let mut held = self.write();
        let mut bytes: u64 = held.by_start.values().map(|exchange| exchange.memory() as u64).sum();
        let mut removed = 0;
        while bytes > max_bytes
            && let Some(((_, id), oldest)) = held.by_start.pop_first()
        {
            held.starts.remove(&id);
            bytes -= oldest.memory() as u64;
            removed += 1;
        }
        Ok(removed)
    }

    async fn erase(&self, project: &ProjectId, filter: &Filter) -> Result<u64, StoreError> {
        let held = &mut *self.write();
        let before = held.starts.len();
        held.by_start.retain(|(_, id), exchange| {
            let meant = is_meant(&Subject::new(exchange), project, TimeRange::ALL, filter);
            if meant {
                held.starts.remove(id);
            }
            !meant
        });
        Ok((before - held.starts.len()) as u64)
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let by_start = &self.read().by_start;
        Ok(StoreStatus {
            exchanges: by_start.len() as u64,
            bytes: 0,
            uncommitted: by_start.len() as u64,
            oldest: by_start.first_key_value().map(|((started_at, _), _)| *started_at),
            newest: by_start.last_key_value().map(|((started_at, _), _)| *started_at),
        })
    }
}
