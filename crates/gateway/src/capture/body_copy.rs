//! The beginning of a body, kept while it passes.

use std::cell::Cell;
use std::rc::Rc;

use weir_model::WhyNot;
use weir_pipeline::record::BodyEnd;

use super::pool::{DropReason, WorkerSlot};

/// Memory that a worker may spend on bodies of calls under way.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Cell::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes);
        if let Some(left) = left {
            self.0.set(left);
        }
        left.is_some()
    }

    /// A part of it, given back when dropped; nothing when so much is not left.
    pub(crate) fn share(self: &Rc<Self>, bytes: usize) -> Option<Share> {
        self.take(bytes).then(|| Share { bytes, budget: Rc::clone(self) })
    }

    fn give_back(&self, bytes: usize) {
        self.0.set(self.0.get() + bytes);
    }
}

/// Part of a budget.
#[derive(Debug)]
pub(crate) struct Share {
    bytes: usize,
    budget: Rc<Budget>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// A copy of the first bytes of a body. Copying at once, rather than holding on to the pieces, frees the connection's
/// read buffer, of which a small piece would pin the whole.
#[derive(Debug)]
pub(crate) struct BodyCopy {
    bytes: Vec<u8>,
    cap: usize,
    state: State,
    budget: Rc<Budget>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Off,
    Whole,
    Cut,
    OverBudget,
}

impl BodyCopy {
    /// Keeps at most `cap` bytes; 0 keeps nothing.
    pub(crate) fn new(cap: usize, budget: &Rc<Budget>) -> Self {
        let state = if cap == 0 { State::Off } else { State::Whole };
        Self { bytes: Vec::new(), cap, state, budget: Rc::clone(budget) }
    }

    /// Takes in the next piece.
    pub(crate) fn add(&mut self, piece: &[u8], slot: &WorkerSlot) {
        if self.state != State::Whole {
            return;
        }
        let room = self.cap - self.bytes.len();
        let kept = &piece[..piece.len().min(room)];
        if !self.budget.take(kept.len()) {
            slot.count(DropReason::BodyBudget);
            self.release();
            self.state = State::OverBudget;
            return;
        }
        self.bytes.extend_from_slice(kept);
        if kept.len() < piece.len() {
            self.state = State::Cut;
        }
    }

    /// Keeps at most `cap` bytes, if it was to keep more.
    pub(crate) fn keep_at_most(&mut self, cap: usize) {
        if cap >= self.cap {
            return;
        }
        self.cap = cap;
        if cap == 0 {
            self.release();
            self.state = State::Off;
        } else if self.bytes.len() > cap {
            self.budget.give_back(self.bytes.len() - cap);
            self.bytes.truncate(cap);
            self.state = State::Cut;
        }
    }

    /// What was kept, and how the body ended; `complete` when its last byte passed.
    pub(crate) fn kept(&self, complete: bool) -> (&[u8], BodyEnd) {
        let end = match self.state {
            State::Off => BodyEnd::Not(WhyNot::Off),
            State::OverBudget => BodyEnd::Not(WhyNot::Budget),
            State::Whole if complete => BodyEnd::Whole,
            State::Whole | State::Cut => BodyEnd::Cut,
        };
        (&self.bytes, end)
    }

    fn release(&mut self) {
        self.budget.give_back(self.bytes.len());
        self.bytes = Vec::new();
    }
}

impl Drop for BodyCopy {
    fn drop(&mut self) {
        self.release();
    }
}
