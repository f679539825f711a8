//! The newest exchanges, kept in memory for the targets that keep up.

use std::collections::VecDeque;
use std::sync::Arc;

use weir_kit::Timestamp;
use weir_model::Exchange;

/// An exchange with the size of its record.
pub(crate) type Entry = (Arc<Exchange>, u32);

/// What an exchange takes in memory beyond its record, roughly: the structure itself and its many small texts.
const OVERHEAD_BYTES: usize = 1_500;

/// Exchanges that were written together.
#[derive(Debug)]
struct TailFrame {
    first: u64,
    written_at: Timestamp,
    entries: Vec<Entry>,
    bytes: usize,
}

impl TailFrame {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// The newest exchanges of the journal, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    frames: VecDeque<TailFrame>,
    bytes: usize,
    max_bytes: usize,
}

impl Tail {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Appends what was just written; positions must go on where they ended.
    pub(crate) fn push(&mut self, first: u64, written_at: Timestamp, entries: Vec<Entry>) {
        let bytes = entries.iter().map(|(_, size)| *size as usize + OVERHEAD_BYTES).sum();
        self.bytes += bytes;
        self.frames.push_back(TailFrame { first, written_at, entries, bytes });
        while self.bytes > self.max_bytes {
            self.pop();
        }
    }

    /// Forgets frames that lie wholly before `position`.
    pub(crate) fn forget_before(&mut self, position: u64) {
        while self.frames.front().is_some_and(|frame| frame.end() <= position) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.bytes;
        }
    }

    /// Memory in use, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The exchanges from `position` on, with the time they were written; `None` when it is not kept here.
    pub(crate) fn from(&self, position: u64) -> Option<impl Iterator<Item = (Timestamp, &Entry)>> {
        let index = self.frames.partition_point(|frame| frame.end() <= position);
        let skip = position.checked_sub(self.frames.get(index)?.first)? as usize;
        let entries = self
            .frames
            .range(index..)
            .flat_map(|frame| frame.entries.iter().map(|entry| (frame.written_at, entry)));
        Some(entries.skip(skip))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::testing::random_exchange;

    fn sizes(tail: &Tail, position: u64) -> Option<Vec<u32>> {
        tail.from(position).map(|entries| entries.map(|(_, (_, size))| *size).collect())
    }

    #[test]
    fn the_newest_stay_within_the_limit() {
        let exchange = Arc::new(random_exchange(&mut StdRng::seed_from_u64(1)));
        let entries = |sizes: &[u32]| sizes.iter().map(|size| (exchange.clone(), *size)).collect();
        let mut tail = Tail::new(4 * (OVERHEAD_BYTES + 10));
        assert_eq!(sizes(&tail, 0), None);
        tail.push(10, Timestamp::default(), entries(&[1, 2]));
        tail.push(12, Timestamp::default(), entries(&[3]));
        assert_eq!(sizes(&tail, 9), None);
        assert_eq!(sizes(&tail, 10), Some(vec![1, 2, 3]));
        assert_eq!(sizes(&tail, 11), Some(vec![2, 3]));
        assert_eq!(sizes(&tail, 12), Some(vec![3]));
        assert_eq!(sizes(&tail, 13), None);
        tail.push(13, Timestamp::default(), entries(&[4, 5]));
        assert_eq!(sizes(&tail, 10), None, "the oldest frame had to go");
        assert_eq!(sizes(&tail, 12), Some(vec![3, 4, 5]));
        tail.forget_before(14);
        assert_eq!(sizes(&tail, 13), Some(vec![4, 5]), "a frame goes as a whole");
        tail.forget_before(15);
        assert_eq!(tail.bytes(), 0);
    }
}
