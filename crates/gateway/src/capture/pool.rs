//! Memory for finished records: chunks of one size, bounded in bytes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weir_pipeline::record::{FRAME_BYTES, frame};

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a record, or a body in it, was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// All chunks were waiting to be drained: the record was dropped.
    NoChunk,
    /// The budget for bodies of calls under way was used up: the record was kept without this body.
    BodyBudget,
    /// A record could not be read back: a defect.
    Undecodable,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::NoChunk, Self::BodyBudget, Self::Undecodable];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoChunk => "no_chunk",
            Self::BodyBudget => "body_budget",
            Self::Undecodable => "undecodable",
        }
    }
}

/// What became of the calls that were to be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Calls to be recorded.
    pub offered: u64,
    /// Exchanges handed to the sink.
    pub delivered: u64,
    /// Dropped for want of a chunk.
    pub no_chunk: u64,
    /// Recorded, but without a body, for want of budget.
    pub body_budget: u64,
    /// Dropped because the record could not be read back.
    pub undecodable: u64,
    /// Calls that were not to be recorded, because a plugin said so; none of them was offered.
    pub untracked: u64,
}

impl CaptureCounts {
    /// Records that lie in chunks now.
    pub fn held(&self) -> u64 {
        self.offered.saturating_sub(self.delivered + self.no_chunk + self.undecodable)
    }

    /// How often this happened.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        match reason {
            DropReason::NoChunk => self.no_chunk,
            DropReason::BodyBudget => self.body_budget,
            DropReason::Undecodable => self.undecodable,
        }
    }
}

/// The chunks of a gateway.
#[derive(Debug)]
pub(crate) struct ChunkPool {
    /// Empty chunks; the one used last is used next, so that few are in the cache and in memory.
    free: Mutex<Vec<Vec<u8>>>,
    full: Mutex<VecDeque<Vec<u8>>>,
    filled: Condvar,
    max_bytes: usize,
    /// Bytes of all chunks there are, free ones included.
    allocated: AtomicUsize,
    closed: AtomicBool,
    workers: Mutex<Vec<Arc<WorkerSlot>>>,
    delivered: AtomicU64,
    undecodable: AtomicU64,
}

/// A worker's current chunk and its counters. The lock is only ever contended by a drain thread that comes for a begun
/// chunk, five times a second.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct WorkerSlot {
    current: Mutex<Vec<u8>>,
    offered: AtomicU64,
    no_chunk: AtomicU64,
    body_budget: AtomicU64,
    untracked: AtomicU64,
}

impl WorkerSlot {
    /// Counts a call that leaves no record on purpose.
    pub(crate) fn count_untracked(&self) {
        self.untracked.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a drop on the worker.
    pub(crate) fn count(&self, reason: DropReason) {
        match reason {
            DropReason::NoChunk => self.no_chunk.fetch_add(1, Ordering::Relaxed),
            DropReason::BodyBudget => self.body_budget.fetch_add(1, Ordering::Relaxed),
            // Found by the drain threads, which count it themselves.
            DropReason::Undecodable => 0,
        };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ChunkPool {
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Mutex::default(),
            full: Mutex::default(),
            filled: Condvar::new(),
            max_bytes,
            allocated: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            workers: Mutex::default(),
            delivered: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
        })
    }

    /// A place for one more worker.
    pub(crate) fn slot(&self) -> Arc<WorkerSlot> {
        let slot = Arc::new(WorkerSlot::default());
        lock(&self.workers).push(Arc::clone(&slot));
        slot
    }

    /// Keeps a record, or drops and counts it. Called by the worker of `slot`.
    pub(crate) fn put(&self, slot: &WorkerSlot, record: &[u8]) {
        slot.offered.fetch_add(1, Ordering::Relaxed);
        let size = record.len() + FRAME_BYTES;
        if size > CHUNK_BYTES {
            return self.put_alone(slot, record, size);
        }
        let mut current = lock(&slot.current);
        if current.capacity() - current.len() < size {
            let Some(fresh) = self.chunk() else { return slot.count(DropReason::NoChunk) };
            let filled = std::mem::replace(&mut *current, fresh);
            if !filled.is_empty() {
                self.hand_over(filled);
            }
        }
        frame(record, &mut current);
    }

    /// A record larger than a chunk gets one of its own.
    fn put_alone(&self, slot: &WorkerSlot, record: &[u8], size: usize) {
        if !self.reserve(size) {
            return slot.count(DropReason::NoChunk);
        }
        let mut chunk = Vec::with_capacity(size);
        if frame(record, &mut chunk) {
            self.hand_over(chunk);
        } else {
            self.allocated.fetch_sub(size, Ordering::Relaxed);
            slot.count(DropReason::NoChunk);
        }
    }

    fn chunk(&self) -> Option<Vec<u8>> {
        if let Some(chunk) = lock(&self.free).pop() {
            return Some(chunk);
        }
        self.reserve(CHUNK_BYTES).then(|| Vec::with_capacity(CHUNK_BYTES))
    }

    fn reserve(&self, bytes: usize) -> bool {
        let within = |now: usize| now.checked_add(bytes).filter(|sum| *sum <= self.max_bytes);
        self.allocated.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    fn hand_over(&self, chunk: Vec<u8>) {
        lock(&self.full).push_back(chunk);
        self.filled.notify_one();
    }

    /// The next full chunk, or, after `patience` without one, the begun chunks of all workers. Empty when there is
    /// nothing at all; `None` when in addition the pool was closed.
    pub(super) fn take(&self, patience: Duration) -> Option<Vec<Vec<u8>>> {
        let closed = self.closed.load(Ordering::Acquire);
        let mut full = lock(&self.full);
        if full.is_empty() && !closed {
            let waited = self.filled.wait_timeout(full, patience);
            full = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(chunk) = full.pop_front() {
            return Some(vec![chunk]);
        }
        drop(full);
        let begun: Vec<Vec<u8>> = lock(&self.workers)
            .iter()
            .map(|slot| std::mem::take(&mut *lock(&slot.current)))
            .filter(|chunk| chunk.capacity() > 0)
            .collect();
        if begun.is_empty() && closed { None } else { Some(begun) }
    }

    /// Takes a chunk back after its records were copied out.
    pub(super) fn give_back(&self, mut chunk: Vec<u8>) {
        if chunk.capacity() == CHUNK_BYTES {
            chunk.clear();
            lock(&self.free).push(chunk);
        } else {
            self.allocated.fetch_sub(chunk.len(), Ordering::Relaxed);
        }
    }

    pub(super) fn delivered(&self, exchanges: usize) {
        self.delivered.fetch_add(exchanges as u64, Ordering::Relaxed);
    }

    pub(super) fn undecodable(&self) {
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    /// No worker will put anything any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.filled.notify_all();
    }

    /// The counts of all workers together.
    pub(crate) fn counts(&self) -> CaptureCounts {
        // Delivered first: what is offered meanwhile can only make `held` larger.
        let mut counts = CaptureCounts {
            delivered: self.delivered.load(Ordering::Relaxed),
            undecodable: self.undecodable.load(Ordering::Relaxed),
            ..CaptureCounts::default()
        };
        for slot in lock(&self.workers).iter() {
            counts.no_chunk += slot.no_chunk.load(Ordering::Relaxed);
            counts.body_budget += slot.body_budget.load(Ordering::Relaxed);
            counts.untracked += slot.untracked.load(Ordering::Relaxed);
            counts.offered += slot.offered.load(Ordering::Relaxed);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(pool: &ChunkPool) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(chunks) = pool.take(Duration::ZERO).filter(|chunks| !chunks.is_empty()) {
            for chunk in chunks {
                let frames = weir_pipeline::record::frames(bytes::Bytes::copy_from_slice(&chunk));
                lengths.extend(frames.map(|record| record.unwrap().len()));
                pool.give_back(chunk);
            }
        }
        lengths
    }

    #[test]
    fn every_record_is_kept_or_counted() {
        let pool = ChunkPool::new(4 * CHUNK_BYTES);
        let slot = pool.slot();
        for _ in 0..1_000 {
            pool.put(&slot, &[7; 1_000]);
        }
        pool.put(&slot, &[7; 2 * CHUNK_BYTES]);
        let kept = drained(&pool).len() as u64;
        let counts = pool.counts();
        assert_eq!(counts.offered, 1_001);
        assert_eq!(kept + counts.no_chunk, 1_001);
        assert_eq!(kept, 4 * (CHUNK_BYTES as u64 / 1_004));
        assert_eq!(pool.allocated.load(Ordering::Relaxed), 4 * CHUNK_BYTES);
    }

    #[test]
    fn large_records_come_back_and_free_their_bytes() {
        let pool = ChunkPool::new(4 * CHUNK_BYTES);
        let slot = pool.slot();
        for _ in 0..10 {
            pool.put(&slot, &[7; 3 * CHUNK_BYTES]);
            assert_eq!(drained(&pool), [3 * CHUNK_BYTES]);
        }
        assert_eq!(pool.counts().no_chunk, 0);
        assert_eq!(pool.allocated.load(Ordering::Relaxed), 0);
    }
}
