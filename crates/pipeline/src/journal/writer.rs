//! The one thread that writes: group commit, saving the books, retiring segments.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::disk::Disk;
use super::segment;
use super::shared::Shared;
use super::state::{Pending, Retire, TIDY_INTERVAL, When};
use super::{checkpoint, reader};
use crate::filter::Filter;
use crate::ledger::{Saved, reason};

/// What the writer does next.
enum Work {
    Commit(VecDeque<Pending>),
    SkipTo(u64, oneshot::Sender<Result<(), String>>),
    Tidy,
    Stop,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Disk,
    last_commit: Instant,
    last_tidy: Instant,
    last_saved: Saved,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, disk: Disk) -> Self {
        let now = Instant::now();
        Self { shared, disk, last_commit: now, last_tidy: now, last_saved: Saved::default() }
    }

    /// Runs until the journal is closed and everything queued is written.
    pub(super) fn run(mut self) {
        let _farewell = Farewell(self.shared.clone());
        loop {
            match self.next_work() {
                Work::Commit(group) => self.commit(group),
                Work::SkipTo(position, done) => self.skip_to(position, done),
                Work::Tidy => self.tidy(),
                Work::Stop => break,
            }
        }
        self.tidy();
    }

    fn next_work(&self) -> Work {
        let settings = &self.shared.settings;
        let tidy_at = self.last_tidy + TIDY_INTERVAL;
        let mut state = self.shared.state();
        loop {
            if let Some((position, done)) = state.skips.pop() {
                return Work::SkipTo(position, done);
            }
            let when = state.queued.when(settings, self.last_commit, state.refusing);
            let now = Instant::now();
            let due = match when {
                When::Now => now,
                When::At(due) => due,
                When::Never if state.closing => return Work::Stop,
                When::Never => tidy_at,
            };
            if when != When::Never && due <= now {
                return Work::Commit(state.take_group());
            }
            if tidy_at <= now || std::mem::take(&mut state.tidy_wanted) {
                return Work::Tidy;
            }
            state = self.shared.wait(state, due.min(tidy_at) - now);
        }
    }

    fn commit(&mut self, group: VecDeque<Pending>) {
        let at = self.shared.ledger.now();
        let outcome = self.disk.write(group.iter(), at);
        self.last_commit = Instant::now();
        match outcome {
            Ok(segment) => self.shared.committed(group, segment, at),
            Err(error) => self.shared.not_committed(group, at, &error.to_string()),
        }
        self.retire();
    }

    fn skip_to(&mut self, position: u64, done: oneshot::Sender<Result<(), String>>) {
        let outcome = self.disk.skip_to(position).map_err(|error| error.to_string());
        if let Ok(segment) = &outcome {
            self.shared.skipped_to(segment.clone());
        }
        let _receiver_may_be_gone = done.send(outcome.map(|_| ()));
    }

    fn tidy(&mut self) {
        self.last_tidy = Instant::now();
        self.save();
        self.retire();
    }

    /// Saves the books if they changed; gives whether those on disk are of this moment.
    fn save(&mut self) -> bool {
        let (end, places) = self.shared.places();
        let books = self.shared.ledger.save(end, &places);
        if books == self.last_saved {
            return true;
        }
        match checkpoint::save(&self.shared.settings.directory, &books) {
            Ok(()) => {
                self.last_saved = books;
                true
            }
            Err(error) => {
                tracing::error!(%error, "could not save the ledger");
                self.shared.state().last_failure = Some((self.shared.ledger.now(), error.to_string()));
                false
            }
        }
    }

    /// Removes segments that nobody needs, and the oldest ones when there is no room.
    fn retire(&mut self) {
        loop {
            let decision = self.shared.retire();
            match decision {
                Retire::Nothing | Retire::Full => {
                    self.shared.set_full(matches!(decision, Retire::Full));
                    return;
                }
                Retire::Passed(base) => {
                    // The books on disk must not point into a segment that is gone.
                    if !self.save() || !self.remove(base) {
                        return;
                    }
                }
                Retire::Drop { base, lost } => {
                    self.count_lost(base, lost);
                    self.save();
                    if !self.remove(base) {
                        return;
                    }
                }
            }
        }
    }

    fn count_lost(&self, base: u64, lost: Vec<(String, Filter, Range<u64>)>) {
        for (target, filter, range) in lost {
            let count = match filter {
                Filter::All => range.end - range.start,
                filter => {
                    let part = reader::Part { base, from: range.start, to: range.end };
                    reader::count(&self.shared.settings.directory, &part, &filter).unwrap_or_else(|error| {
                        tracing::error!(%error, segment = base, "could not count what a target loses");
                        0
                    })
                }
            };
            tracing::warn!(%target, count, "journal full: the oldest records are dropped");
            self.shared.ledger.lost(&target, reason::JOURNAL_FULL, count);
        }
    }

    fn remove(&self, base: u64) -> bool {
        match std::fs::remove_file(segment::path(&self.shared.settings.directory, base)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%error, segment = base, "could not remove a segment of the journal");
                return false;
            }
        }
        self.shared.state().segments.remove(&base);
        true
    }
}

/// Whatever ends the thread, nobody is left waiting for it.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let (group, skips) = {
            let mut state = self.0.state();
            (state.refusing, state.closing) = (true, true);
            (std::mem::take(&mut state.queue), std::mem::take(&mut state.skips))
        };
        drop(skips);
        if !group.is_empty() {
            self.0.not_committed(group, self.0.ledger.now(), "the journal's writer has stopped");
        }
        self.0.room.notify_waiters();
    }
}
