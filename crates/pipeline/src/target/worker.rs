//! The task of one target: fill a batch, deliver it, settle it, again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use weir_kit::Timestamp;
use weir_model::Exchange;

use super::TargetSpec;
use super::decide::{Attempt, Failures, Filling, Flush, Next, flush};
use crate::exporter::Batch;
use crate::journal::{Chunk, Journal, Limits, Mode, PlaceFile, Reader};
use crate::ledger::{Ledger, reason};

/// How often a target that makes its deliveries durable itself is asked how far it got.
const OWN_POSITION_INTERVAL: Duration = Duration::from_secs(1);

/// Wait after the journal could not be read.
const READ_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Go on.
    Run,
    /// Deliver what there is and stop, at the latest at this time.
    Drain(Instant),
    /// Stop now.
    Halt,
}

/// What a worker reads from and writes into.
pub(super) struct Books {
    pub(super) journal: Arc<Journal>,
    pub(super) ledger: Arc<Ledger>,
    /// None for a target that keeps its own position.
    pub(super) place: Option<PlaceFile>,
}

pub(super) struct Worker {
    spec: TargetSpec,
    journal: Arc<Journal>,
    ledger: Arc<Ledger>,
    place: Option<PlaceFile>,
    orders: watch::Receiver<Order>,
    end: watch::Receiver<u64>,
    reader: Reader,
    /// Everything before it has been delivered or dropped.
    settled: u64,
    /// Where the last batch that the exporter took ended.
    delivered_to: u64,
    /// Where the batch ends that was on its way when the last run ended. It is formed again exactly as it was, so that the
    /// other side can tell that it has it.
    interrupted: Option<u64>,
    /// Whether something could not be read since the target last caught up.
    damaged: bool,
}

/// A batch that is being filled.
#[derive(Default)]
struct Gathered {
    exchanges: Vec<Arc<Exchange>>,
    bytes: usize,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
    oldest: Option<Timestamp>,
    next: u64,
    caught_up: bool,
}

impl Gathered {
    fn take(&mut self, chunk: Chunk) {
        let now = Instant::now();
        for item in chunk.items {
            self.first_at.get_or_insert(now);
            self.last_at = Some(now);
            self.oldest.get_or_insert(item.written_at);
            self.bytes += item.bytes;
            self.exchanges.push(item.exchange);
        }
        self.next = self.next.max(chunk.next);
        self.caught_up = chunk.caught_up;
    }
}

impl Worker {
    pub(super) fn new(
        spec: TargetSpec,
        position: u64,
        interrupted: Option<u64>,
        books: Books,
        orders: watch::Receiver<Order>,
    ) -> Self {
        let Books { journal, ledger, place } = books;
        Self {
            spec,
            end: journal.end(),
            journal,
            ledger,
            place,
            orders,
            reader: Reader::default(),
            settled: position,
            delivered_to: position,
            interrupted,
            damaged: false,
        }
    }

    pub(super) async fn run(mut self) {
        while let Some(batch) = self.gather().await {
            if !self.deliver(batch).await {
                break;
            }
        }
        self.finish().await;
    }

    /// Fills a batch; nothing when it is time to stop.
    async fn gather(&mut self) -> Option<Gathered> {
        let mut batch = Gathered { next: self.settled, ..Gathered::default() };
        loop {
            self.end.mark_unchanged();
            if let Err(error) = self.fill(&mut batch).await {
                self.report(&format!("the journal could not be read: {error}"), true);
                tokio::select! {
                    () = interrupted(&mut self.orders) => return None,
                    () = sleep(READ_RETRY_DELAY) => continue,
                }
            }
            let order = *self.orders.borrow_and_update();
            let draining = matches!(order, Order::Drain(_));
            let again = self.interrupted.take_if(|end| batch.next >= *end).is_some();
            if again && batch.exchanges.is_empty() {
                // Nothing of it is left.
                self.pass_over(batch.next);
                continue;
            }
            let filling = Filling {
                count: batch.exchanges.len(),
                bytes: batch.bytes,
                first_at: batch.first_at,
                last_at: batch.last_at,
                caught_up: batch.caught_up,
                last: draining || again,
            };
            let wake = match (order, flush(filling, &self.spec.queue, Instant::now())) {
                (Order::Halt, _) => return None,
                (_, Flush::Now) => return Some(batch),
                (_, Flush::At(due)) => Some(due),
                (_, Flush::Wait) => {
                    self.pass_over(batch.next);
                    if draining {
                        return None;
                    }
                    self.waits_for_durability().then(|| Instant::now() + OWN_POSITION_INTERVAL)
                }
            };
            tokio::select! {
                changed = self.orders.changed() => {
                    // The pipeline is gone without a shutdown.
                    changed.ok()?;
                }
                _ = self.end.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
    }

    /// Reads until the batch is full or there is no more.
    async fn fill(&mut self, batch: &mut Gathered) -> std::io::Result<()> {
        let queue = &self.spec.queue;
        loop {
            let (max_items, max_bytes, before) = match self.interrupted {
                // It was within the limits when it was formed.
                Some(end) => (usize::MAX, usize::MAX, end),
                None => (queue.max_batch_size.max(1), queue.max_batch_bytes, u64::MAX),
            };
            let limits = Limits {
                max_items: max_items.saturating_sub(batch.exchanges.len()),
                max_bytes: max_bytes.saturating_sub(batch.bytes),
                at_least_one: batch.exchanges.is_empty(),
                before,
            };
            if limits.max_items == 0 {
                return Ok(());
            }
            let chunk = self.journal.read(&self.spec.name, &mut self.reader, limits).await?;
            self.damaged |= chunk.damaged;
            let moved = chunk.next > batch.next;
            batch.take(chunk);
            if batch.caught_up || !moved {
                return Ok(());
            }
            if *self.orders.borrow() == Order::Halt {
                return Ok(());
            }
        }
    }

    /// Nothing of what was read was for this target.
    fn pass_over(&mut self, next: u64) {
        if next > self.settled {
            self.settled = next;
            self.ledger.settled(&self.spec.name, next, 0, &[]);
        }
        self.release();
        if self.damaged {
            self.damaged = false;
            let lost = self.journal.write_off(&self.spec.name, reason::JOURNAL_DAMAGED);
            if lost > 0 {
                tracing::error!(target_name = %self.spec.name, lost, "records were lost to damage of the journal");
            }
        }
    }

    /// Delivers a batch, however often that takes; gives whether its fate is known.
    async fn deliver(&mut self, batch: Gathered) -> bool {
        let size = batch.exchanges.len();
        self.ledger.waiting_since(&self.spec.name, batch.oldest);
        self.ledger.sets_out(&self.spec.name, batch.next);
        self.note_place();
        let mut failures = Failures::default();
        loop {
            let attempt = tokio::select! {
                biased;
                () = interrupted(&mut self.orders) => return false,
                attempt = attempt(&self.spec, &batch) => attempt,
            };
            match failures.next(attempt, size, &self.spec.queue, rand::random()) {
                Next::Done { rejected, sampled, message } => {
                    if let Some(message) = message {
                        self.report(&message, false);
                    }
                    let (refused, sampled) = (rejected.len() as u64, sampled as u64);
                    self.delivered_to = batch.next;
                    let dropped = [(reason::REFUSED, refused), (reason::SAMPLED, sampled)];
                    self.settle(&batch, size as u64 - refused - sampled, &dropped);
                    return true;
                }
                Next::GiveUp { reason, message } => {
                    self.report(&message, false);
                    tracing::warn!(target_name = %self.spec.name, reason, count = size, "a batch is dropped");
                    self.settle(&batch, 0, &[(reason, size as u64)]);
                    return true;
                }
                Next::Retry { after, message } => {
                    self.report(&message, true);
                    self.ledger.retries_after(&self.spec.name, after);
                    tokio::select! {
                        () = interrupted(&mut self.orders) => return false,
                        () = sleep(after) => {}
                    }
                }
            }
        }
    }

    fn settle(&mut self, batch: &Gathered, delivered: u64, dropped: &[(&str, u64)]) {
        self.settled = batch.next;
        self.ledger.settled(&self.spec.name, batch.next, delivered, dropped);
        self.note_place();
        self.release();
    }

    /// Notes how far the target got, for the case that this process ends here.
    fn note_place(&self) {
        let Some(place) = &self.place else { return };
        let Some(account) = self.ledger.target(&self.spec.name) else { return };
        if let Err(error) = place.write(account) {
            tracing::warn!(target_name = %self.spec.name, %error, "could not note how far a target got");
        }
    }

    /// Lets the journal go of what is not needed any more.
    fn release(&self) {
        let keep = match self.spec.exporter.own_position() {
            Some(own) if own < self.delivered_to => own,
            _ => self.settled,
        };
        self.journal.release(&self.spec.name, keep);
    }

    fn waits_for_durability(&self) -> bool {
        self.spec.exporter.own_position().is_some_and(|own| own < self.delivered_to)
    }

    fn report(&self, message: &str, will_retry: bool) {
        tracing::warn!(target_name = %self.spec.name, error = message, will_retry, "delivery failed");
        self.ledger.failed(&self.spec.name, message, will_retry);
    }

    /// Makes what was delivered durable and leaves the place in the journal.
    async fn finish(self) {
        let flushed = AssertUnwindSafe(self.spec.exporter.flush()).catch_unwind();
        match timeout(self.spec.queue.timeout, flushed).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => self.report(&format!("could not be flushed: {error}"), false),
            Ok(Err(_)) => self.report("the exporter failed while flushing", false),
            Err(_) => self.report("flushing took too long", false),
        }
        self.release();
        self.journal.with_state(|state| {
            let oldest = state.oldest();
            if let Some(cursor) = state.cursors.get_mut(&self.spec.name) {
                // What was read and not settled will be read again, as far as it is still there.
                cursor.read = self.settled.max(oldest);
                cursor.mode = Mode::Place;
            }
        });
        self.ledger.waiting_since(&self.spec.name, None);
    }
}

async fn attempt(spec: &TargetSpec, batch: &Gathered) -> Attempt {
    let batch = Batch { exchanges: &batch.exchanges, next_position: batch.next };
    let export = AssertUnwindSafe(spec.exporter.export(&batch)).catch_unwind();
    match timeout(spec.queue.timeout, export).await {
        Ok(Ok(answer)) => Attempt::Answered(answer),
        Ok(Err(panic)) => Attempt::Panicked(format!("the exporter failed: {}", words(panic.as_ref()))),
        Err(_) => Attempt::TimedOut,
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Ends when the worker must stop, whatever it is doing.
async fn interrupted(orders: &mut watch::Receiver<Order>) {
    loop {
        let order = *orders.borrow_and_update();
        let deadline = match order {
            Order::Run => None,
            Order::Drain(deadline) => Some(deadline),
            Order::Halt => return,
        };
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => return,
        }
    }
}
