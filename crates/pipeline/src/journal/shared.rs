//! What the journal's handle and its writer thread share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use weir_kit::Timestamp;

use super::JournalSettings;
use super::reader::{self, Chunk, Item, Limits};
use super::segment::Segment;
use super::state::{Cursor, Pending, Retire, State};
use crate::filter::Filter;
use crate::ledger::{Ledger, SavedPlace, reason};
use crate::receipt::NoRoom;

/// Exchanges in memory that one call looks at, at most, while it holds the lock.
const MAX_SCAN: usize = 10_000;

pub(super) struct Shared {
    pub(super) settings: JournalSettings,
    pub(super) ledger: Arc<Ledger>,
    pub(super) state: Mutex<State>,
    pub(super) work: Condvar,
    /// Position after the last synced record.
    pub(super) end: watch::Sender<u64>,
    /// Signalled when there may be room again.
    pub(super) room: Notify,
}

/// Where a reader goes on.
pub(super) enum Place {
    Here(Chunk),
    OnDisk(reader::Part, Filter),
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        self.work.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn admit(&self, state: &State, bytes: usize) -> Result<(), NoRoom> {
        if state.refusing {
            return Err(NoRoom::Closed);
        }
        // An empty queue takes a frame of any size; otherwise a large one would never get in.
        let queue_full = state.queue_bytes > 0 && state.queue_bytes + bytes > self.settings.max_queue_bytes;
        if state.full || queue_full { Err(NoRoom::Full) } else { Ok(()) }
    }

    pub(super) fn read_from_memory(&self, name: &str, limits: Limits) -> Place {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(cursor) = state.cursors.get_mut(name) else { return Place::Here(Chunk::default()) };
        let from = cursor.read;
        let mut chunk = Chunk { next: from, ..Chunk::default() };
        let end = cursor.until(state.end).min(limits.before);
        if from >= end {
            return Place::Here(Chunk { caught_up: true, ..chunk });
        }
        let Some(entries) = state.tail.from(from) else {
            let segment = state.segments.values().find(|segment| segment.end > from);
            let Some(segment) = segment.filter(|segment| segment.base < end) else {
                // Only a gap lies before the end.
                cursor.read = end;
                return Place::Here(Chunk { next: end, caught_up: true, ..chunk });
            };
            let to = segment.end.min(end);
            let part = reader::Part { base: segment.base, from: from.max(segment.base), to };
            cursor.read = part.from;
            return Place::OnDisk(part, cursor.filter.clone());
        };
        let mut bytes = 0;
        let unread = usize::try_from(end - from).unwrap_or(MAX_SCAN);
        for (written_at, (exchange, size)) in entries.take(unread.min(MAX_SCAN)) {
            let size = *size as usize;
            if cursor.filter.matches(exchange) {
                if !limits.allow(chunk.items.len(), bytes, size) {
                    break;
                }
                bytes += size;
                chunk.items.push(Item { written_at, exchange: exchange.clone(), bytes: size });
            }
            chunk.next += 1;
        }
        cursor.read = chunk.next;
        chunk.caught_up = chunk.next >= end;
        // What was read by all is given back by the last of them, in whose processor's cache it is.
        state.trim_tail();
        Place::Here(chunk)
    }

    /// Enters a synced group: it can be read from now on.
    pub(super) fn committed(&self, group: VecDeque<Pending>, segment: Segment, at: Timestamp) {
        let mut guard = self.state();
        let state = &mut *guard;
        let end = segment.end;
        for (name, cursor) in state.cursors.iter().filter(|(_, cursor)| cursor.is_offered_new()) {
            let entries = group.iter().flat_map(|pending| &pending.entries);
            let count = match &cursor.filter {
                Filter::All => group.iter().map(Pending::count).sum(),
                filter => entries.filter(|(exchange, _)| filter.matches(exchange)).count() as u64,
            };
            self.ledger.offered_to(name, count, end);
        }
        state.segments.insert(segment.base, segment);
        let mut receipts = Vec::new();
        for pending in group {
            self.ledger.accepted(&pending.source, pending.count());
            state.queue_bytes -= pending.records.len();
            let first = state.end;
            state.end += pending.count();
            receipts.extend(pending.receipt);
            state.tail.push(first, at, pending.entries);
        }
        debug_assert_eq!(state.end, end);
        state.trim_tail();
        drop(guard);
        self.end.send_replace(end);
        self.room.notify_waiters();
        for receipt in receipts {
            let _receiver_may_be_gone = receipt.send(Ok(()));
        }
    }

    /// Counts a group that could not be written, and tells those who wait for it.
    pub(super) fn not_committed(&self, group: VecDeque<Pending>, at: Timestamp, error: &str) {
        let count: u64 = group.iter().map(Pending::count).sum();
        tracing::error!(error, count, "could not write to the journal; records are dropped");
        {
            let mut state = self.state();
            state.queue_bytes -= group.iter().map(|pending| pending.records.len()).sum::<usize>();
            state.last_failure = Some((at, error.to_owned()));
        }
        for pending in group {
            self.ledger.dropped(&pending.source, reason::JOURNAL_FAILED, pending.count());
            if let Some(receipt) = pending.receipt {
                let _receiver_may_be_gone = receipt.send(Err(error.to_owned()));
            }
        }
        self.room.notify_waiters();
    }

    pub(super) fn skipped_to(&self, segment: Segment) {
        let end = segment.base;
        let mut state = self.state();
        state.segments.insert(segment.base, segment);
        state.end = end;
        drop(state);
        self.end.send_replace(end);
    }

    /// The end of the journal and what it keeps for whom.
    pub(super) fn places(&self) -> (u64, BTreeMap<String, SavedPlace>) {
        let state = self.state();
        let place = |cursor: &Cursor| SavedPlace { keep: cursor.keep, essential: cursor.essential };
        (state.end, state.cursors.iter().map(|(name, cursor)| (name.clone(), place(cursor))).collect())
    }

    pub(super) fn retire(&self) -> Retire {
        self.state().retire(self.settings.max_bytes)
    }

    pub(super) fn set_full(&self, full: bool) {
        let changed = std::mem::replace(&mut self.state().full, full) != full;
        if changed && full {
            tracing::warn!("the journal is full of what the store still needs; new records are refused");
        }
        if changed && !full {
            self.room.notify_waiters();
        }
    }
}
