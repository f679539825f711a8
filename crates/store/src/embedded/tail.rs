//! What arrived and is not committed yet, and which ids are known.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use weir_model::{Exchange, ExchangeId};

use crate::Position;

/// How many ids of committed exchanges are remembered.
const MAX_RECENT_IDS: usize = 200_000;

/// A batch that is in memory only.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) exchanges: Arc<[Arc<Exchange>]>,
    pub(super) position: Position,
    pub(super) bytes: u64,
}

/// Batches in the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) batches: VecDeque<Batch>,
    pub(super) bytes: u64,
    /// How many of the first batches the index writer has.
    pub(super) indexed: usize,
    /// Batches ever appended, and of these committed.
    pub(super) appended: u64,
    pub(super) committed: u64,
    ids: HashSet<ExchangeId>,
}

impl Tail {
    /// Adds a batch.
    pub(super) fn push(&mut self, batch: Batch) {
        self.ids.extend(batch.exchanges.iter().map(|exchange| exchange.id));
        self.bytes += batch.bytes;
        self.appended += 1;
        self.batches.push_back(batch);
    }

    /// Whether it has an exchange with this id.
    pub(super) fn has(&self, id: ExchangeId) -> bool {
        self.ids.contains(&id)
    }

    /// Lets go of the batches that the writer has: they are committed.
    pub(super) fn release(&mut self, recent: &mut RecentIds) {
        for batch in self.batches.drain(..self.indexed) {
            self.bytes -= batch.bytes;
            self.committed += 1;
            for exchange in batch.exchanges.iter() {
                self.ids.remove(&exchange.id);
                recent.insert(exchange.id);
            }
        }
        self.indexed = 0;
    }

    /// How many exchanges it holds.
    pub(super) fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.exchanges.len()).sum()
    }
}

/// Ids of the exchanges committed last, so that most ids need no look into the index.
///
/// Ids begin with their time. One that is later than the opening of the store and later than every id forgotten since
/// cannot be in the index unless it is here.
#[derive(Debug)]
pub(super) struct RecentIds {
    ids: HashSet<ExchangeId>,
    order: VecDeque<ExchangeId>,
    complete_from: ExchangeId,
}

impl RecentIds {
    /// None yet; the index may hold any id before `opened`.
    pub(super) fn since(opened: ExchangeId) -> Self {
        Self { ids: HashSet::new(), order: VecDeque::new(), complete_from: opened }
    }

    fn insert(&mut self, id: ExchangeId) {
        self.ids.insert(id);
        self.order.push_back(id);
        while self.order.len() > MAX_RECENT_IDS
            && let Some(forgotten) = self.order.pop_front()
        {
            self.ids.remove(&forgotten);
            self.complete_from = self.complete_from.max(forgotten);
        }
    }

    /// Forgets all: some of the exchanges were removed, and only the index knows which.
    pub(super) fn forget(&mut self) {
        self.complete_from = self.ids.drain().fold(self.complete_from, ExchangeId::max);
        self.order.clear();
    }

    /// Whether the id is known here.
    pub(super) fn has(&self, id: ExchangeId) -> bool {
        self.ids.contains(&id)
    }

    /// Whether the index may hold the id although it is not here.
    pub(super) fn may_have_forgotten(&self, id: ExchangeId) -> bool {
        id <= self.complete_from
    }
}
