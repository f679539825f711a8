//! The one bounded door into the pipeline.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};

use crate::journal::{Entry, Journal, Pending};
use crate::ledger::{Ledger, reason};
use crate::processors::{Processors, Verdict};
use crate::receipt::{NoRoom, Receipt};
use crate::record::{self, FRAME_BYTES};
use crate::tap::Tap;

/// Bytes of records that travel in one frame, unless a single one is larger.
const FRAME_TARGET_BYTES: usize = 1024 * 1024;

/// Size of a small record, for the room that a frame is given at first.
const USUAL_RECORD_BYTES: usize = 512;

/// Largest record that is kept.
const MAX_RECORD_BYTES: usize = 64 * 1024 * 1024;

/// Batches larger than this are processed away from the threads that serve connections.
const MAX_INLINE: usize = 32;

/// Takes exchanges from sources: counts them, processes them, and queues them for the journal.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Intake {
    inner: Arc<Inner>,
}

struct Inner {
    processors: Processors,
    journal: Arc<Journal>,
    ledger: Arc<Ledger>,
    tap: Tap,
    /// How long [`Intake::submit`] waits for room.
    patience: Duration,
}

impl Intake {
    pub(crate) fn new(
        processors: Processors,
        journal: Arc<Journal>,
        ledger: Arc<Ledger>,
        tap: Tap,
        patience: Duration,
    ) -> Self {
        Self { inner: Arc::new(Inner { processors, journal, ledger, tap, patience }) }
    }

    /// Takes what it can and never waits for room or disk; what does not fit is dropped and counted. The processors run on
    /// the calling thread. Synced within a second.
    pub fn offer(&self, source: &str, exchanges: Vec<Exchange>) {
        let mut held = self.inner.hold(source, exchanges.len());
        // Do not work for what has no place to go.
        let outcome = self.inner.journal.room_for(0).and_then(|()| {
            let prepared = self.inner.prepare(source, exchanges, &mut held);
            self.inner.append(prepared.frames, &mut held)
        });
        if let Err(no_room) = outcome {
            held.drop_rest(drop_reason(&no_room));
        }
    }

    /// Takes exchanges whose sender waits for an answer: when this returns, those saved are synced in the journal. Waits
    /// briefly for room.
    pub async fn submit(&self, source: &str, exchanges: Vec<Exchange>) -> Result<Receipt, NoRoom> {
        let mut held = self.inner.hold(source, exchanges.len());
        let outcome = self.submit_held(source, exchanges, &mut held).await;
        outcome.inspect_err(|no_room| held.drop_rest(drop_reason(no_room)))
    }

    /// A submission that is yet to be filled, with about so many exchanges.
    pub fn submission(&self, source: &str, expected: usize) -> Submission {
        Submission {
            intake: self.clone(),
            source: source.to_owned(),
            prepared: Prepared::default(),
            left: expected,
        }
    }

    /// Waits for room at most this long, for a source that can hold its sender back instead of dropping.
    pub async fn room(&self, patience: Duration) -> Result<(), NoRoom> {
        let room = self.inner.journal.wait_for_room(0);
        tokio::time::timeout(patience, room).await.unwrap_or(Err(NoRoom::Full))
    }

    /// The id of the newest exchange of a source that is in the journal: how a source that was interrupted learns what of
    /// its last submission was saved.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn newest_of(&self, source: &str) -> io::Result<Option<ExchangeId>> {
        self.inner.journal.newest_of(source).await
    }

    /// A source dropped some before they reached this door.
    pub fn dropped_before(&self, source: &str, reason: &str, count: u64) {
        self.inner.ledger.dropped_before(source, reason, count);
    }

    /// A source holds this many that have not reached this door yet; replaces the number given before.
    pub fn held_before(&self, source: &str, count: u64) {
        self.inner.ledger.held_before(source, count);
    }

    async fn submit_held(
        &self,
        source: &str,
        exchanges: Vec<Exchange>,
        held: &mut Held,
    ) -> Result<Receipt, NoRoom> {
        let patience = self.inner.patience;
        self.wait_for_room(0, patience).await?;
        let prepared = if exchanges.len() <= MAX_INLINE {
            self.inner.prepare(source, exchanges, held)
        } else {
            self.prepare_aside(source, exchanges, held).await
        };
        self.save(prepared, held, patience).await
    }

    /// Waits until all of it is synced.
    async fn save(&self, prepared: Prepared, held: &mut Held, patience: Duration) -> Result<Receipt, NoRoom> {
        let (saved, dropped) = (prepared.saved(), prepared.dropped());
        let mut frames = prepared.frames;
        let bytes = frames.iter().map(|frame| frame.records.len()).sum();
        let mut receipts = Vec::new();
        for frame in &mut frames {
            let (sender, receipt) = oneshot::channel();
            frame.receipt = Some(sender);
            receipts.push(receipt);
        }
        self.wait_for_room(bytes, patience).await?;
        self.inner.append(frames, held)?;
        for receipt in receipts {
            receipt
                .await
                .unwrap_or_else(|_| Err("the journal is closed".to_owned()))
                .map_err(NoRoom::Failed)?;
        }
        Ok(Receipt { saved, dropped })
    }

    async fn wait_for_room(&self, bytes: usize, patience: Duration) -> Result<(), NoRoom> {
        let room = self.inner.journal.wait_for_room(bytes);
        tokio::time::timeout(patience, room).await.unwrap_or(Err(NoRoom::Full))
    }

    async fn prepare_aside(&self, source: &str, exchanges: Vec<Exchange>, held: &mut Held) -> Prepared {
        let (inner, source) = (self.inner.clone(), source.to_owned());
        let mut moved = held.take_all();
        let work = tokio::task::spawn_blocking(move || {
            let prepared = inner.prepare(&source, exchanges, &mut moved);
            (prepared, moved)
        });
        match work.await {
            Ok((prepared, back)) => {
                *held = back;
                prepared
            }
            // The runtime is shutting down; what was moved has been counted as cancelled.
            Err(_) => Prepared::default(),
        }
    }
}

impl Inner {
    fn hold(&self, source: &str, count: usize) -> Held {
        let count = count as u64;
        self.ledger.offered(source, count);
        Held { ledger: self.ledger.clone(), source: source.to_owned(), count }
    }

    /// Runs the processors and writes the records.
    fn prepare(&self, source: &str, exchanges: Vec<Exchange>, held: &mut Held) -> Prepared {
        let mut prepared = Prepared::default();
        let mut left = exchanges.len();
        for mut exchange in exchanges {
            left -= 1;
            let verdict = self.processors.run(&mut exchange);
            prepared.add(verdict, source, Arc::new(exchange), left);
        }
        held.drop_some_of(&prepared);
        prepared
    }

    fn append(&self, frames: Vec<Pending>, held: &mut Held) -> Result<(), NoRoom> {
        if frames.is_empty() {
            return Ok(());
        }
        let live: Option<Vec<Entry>> = self
            .tap
            .is_open()
            .then(|| frames.iter().flat_map(|frame| frame.entries.iter().cloned()).collect());
        self.journal.append(frames)?;
        // From here on the journal's writer does the counting.
        held.release();
        if let Some(live) = live {
            self.tap.publish(&live);
        }
        Ok(())
    }
}

/// Exchanges that are handed over one after the other, each processed and written while it is at hand, by the thread that
/// makes them. For a source that can hold its sender back: what is never sent has never been offered.
pub struct Submission {
    intake: Intake,
    source: String,
    prepared: Prepared,
    /// How many are expected after those added.
    left: usize,
}

impl Submission {
    /// Adds the exchange with this id and start that `fill` completes. It is filled where it stays, since exchanges are
    /// large.
    pub fn add(&mut self, id: ExchangeId, started_at: Timestamp, fill: impl FnOnce(&mut Exchange)) {
        let mut shared = Arc::new(Exchange::new(id, started_at, Request::default()));
        let exchange = Arc::make_mut(&mut shared);
        fill(exchange);
        let verdict = self.intake.inner.processors.run(exchange);
        self.left = self.left.saturating_sub(1);
        self.prepared.add(verdict, &self.source, shared, self.left);
    }

    /// Waits for room, at most this long; when it returns, those saved are synced in the journal.
    pub async fn send(self, patience: Duration) -> Result<Receipt, NoRoom> {
        let Self { intake, source, prepared, .. } = self;
        let mut held = intake.inner.hold(&source, prepared.saved() + prepared.dropped());
        held.drop_some_of(&prepared);
        let outcome = intake.save(prepared, &mut held, patience).await;
        outcome.inspect_err(|no_room| held.drop_rest(drop_reason(no_room)))
    }
}

/// Frames ready for the journal.
#[derive(Default)]
struct Prepared {
    frames: Vec<Pending>,
    /// What was not kept, by reason.
    dropped: BTreeMap<&'static str, usize>,
}

impl Prepared {
    fn saved(&self) -> usize {
        self.frames.iter().map(|frame| frame.entries.len()).sum()
    }

    fn dropped(&self) -> usize {
        self.dropped.values().sum()
    }

    /// Writes the record of an exchange that is to be kept, and counts one that is not. So many more are to come.
    fn add(&mut self, verdict: Verdict, source: &str, exchange: Arc<Exchange>, left: usize) {
        let reason = match verdict {
            Verdict::Drop(reason) => reason,
            Verdict::Keep if self.push(source, exchange, left) => return,
            Verdict::Keep => reason::TOO_LARGE,
        };
        *self.dropped.entry(reason).or_default() += 1;
    }

    /// Adds an exchange, unless its record would be too large. So many more are to come.
    fn push(&mut self, source: &str, exchange: Arc<Exchange>, left: usize) -> bool {
        if self.frames.last().is_none_or(|frame| frame.records.len() >= FRAME_TARGET_BYTES) {
            self.frames.push(Pending {
                source: source.to_owned(),
                entries: Vec::with_capacity(left + 1),
                records: Vec::with_capacity((left * USUAL_RECORD_BYTES).min(FRAME_TARGET_BYTES)),
                receipt: None,
            });
        }
        let Some(frame) = self.frames.last_mut() else { return false };
        let start = frame.records.len();
        frame.records.extend_from_slice(&[0; FRAME_BYTES]);
        record::encode(&exchange, &mut frame.records);
        let length = frame.records.len() - start - FRAME_BYTES;
        if length > MAX_RECORD_BYTES {
            frame.records.truncate(start);
            if frame.entries.is_empty() {
                self.frames.pop();
            }
            return false;
        }
        let length = length as u32;
        frame.records[start..start + FRAME_BYTES].copy_from_slice(&length.to_le_bytes());
        frame.entries.push((exchange, length));
        true
    }
}

/// Exchanges that were counted as offered and whose fate is not known yet. What is left when it goes out of scope, be it
/// because the sender gave up, is counted as dropped.
struct Held {
    ledger: Arc<Ledger>,
    source: String,
    count: u64,
}

impl Held {
    fn drop_some(&mut self, reason: &str, count: u64) {
        self.count -= count;
        self.ledger.dropped(&self.source, reason, count);
    }

    /// Counts what was dropped while it was prepared.
    fn drop_some_of(&mut self, prepared: &Prepared) {
        for (reason, count) in &prepared.dropped {
            self.drop_some(reason, *count as u64);
        }
    }

    fn drop_rest(&mut self, reason: &str) {
        self.drop_some(reason, self.count);
    }

    fn release(&mut self) {
        self.count = 0;
    }

    fn take_all(&mut self) -> Self {
        let count = std::mem::take(&mut self.count);
        Self { ledger: self.ledger.clone(), source: self.source.clone(), count }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.count > 0 {
            self.drop_rest(reason::CANCELLED);
        }
    }
}

fn drop_reason(no_room: &NoRoom) -> &'static str {
    match no_room {
        NoRoom::Full => reason::INTAKE_FULL,
        NoRoom::Failed(_) => reason::JOURNAL_FAILED,
        NoRoom::Closed => reason::SHUTDOWN,
    }
}
