//! The books: what was offered, and what became of it.
//!
//! For every source `offered = accepted + dropped + held`, for every target `offered = delivered + dropped + held`.
//! Every method moves whole numbers from one column to another, so the sums hold at any moment. The books are saved beside
//! the journal; after a crash they are brought up to date from the journal itself, never from stale figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_kit::{Clock, Timestamp};

/// Why something was dropped, as shown to people.
pub mod reason {
    /// The queue before the journal was full.
    pub const INTAKE_FULL: &str = "intake_full";
    /// The journal was full: at a source, of records that the store still needs; at a target, of newer records.
    pub const JOURNAL_FULL: &str = "journal_full";
    /// The journal could not be written.
    pub const JOURNAL_FAILED: &str = "journal_failed";
    /// The journal was damaged where this was.
    pub const JOURNAL_DAMAGED: &str = "journal_damaged";
    /// Too large to be kept.
    pub const TOO_LARGE: &str = "too_large";
    /// A processor failed on it, so it could not be known to be redacted.
    pub const PROCESSOR_FAILED: &str = "processor_failed";
    /// Left out by sampling; others stand for it.
    pub const SAMPLED: &str = "sampled";
    /// It came after the shutdown began.
    pub const SHUTDOWN: &str = "shutdown";
    /// The other side refused it for good.
    pub const REFUSED: &str = "refused";
    /// As many attempts as allowed failed.
    pub const RETRIES: &str = "retries";
    /// The exporter failed on it, again and again.
    pub const EXPORTER_FAILED: &str = "exporter_failed";
    /// The sender gave up before it was taken.
    pub const CANCELLED: &str = "cancelled";
    /// The target was removed before it was delivered.
    pub const REMOVED: &str = "removed";
}

/// Most removed targets whose accounts are kept.
const MAX_REMOVED_TARGETS: usize = 100;

/// Longest error message kept, in bytes.
const MAX_ERROR_BYTES: usize = 500;

/// The books of one pipeline.
pub struct Ledger {
    books: Mutex<Books>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Books {
    sources: BTreeMap<String, Source>,
    targets: BTreeMap<String, Target>,
}

/// The account of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) offered: u64,
    pub(crate) accepted: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Offered to the intake and not yet in the journal; gone after a restart.
    #[serde(skip)]
    held: u64,
    /// Still with the source itself (the gateway's buffers); gone after a restart.
    #[serde(skip)]
    held_before: u64,
}

/// The account of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: String,
    pub(crate) offered: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) held: u64,
    /// Everything before it has been delivered or dropped.
    pub(crate) position: u64,
    /// What lies in the journal before this position has been offered; what comes after not yet.
    pub(crate) counted_to: u64,
    /// Where the batch ends that has set out and whose fate is not known; it begins at `position`.
    #[serde(default)]
    pub(crate) on_its_way: Option<u64>,
    pub(crate) retries: u64,
    pub(crate) removed: bool,
    /// What the journal must keep for it, and whether it must; filled in when the books are saved.
    pub(crate) place: Option<SavedPlace>,
    #[serde(skip)]
    pub(crate) last_error: Option<LastError>,
    /// When the other side last took something.
    #[serde(skip)]
    pub(crate) last_delivery: Option<Timestamp>,
    /// When what failed is tried again.
    #[serde(skip)]
    pub(crate) next_attempt: Option<Timestamp>,
    /// When the oldest exchange now being delivered entered the journal.
    #[serde(skip)]
    pub(crate) waiting_since: Option<Timestamp>,
}

/// What the journal keeps for a target while it is not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedPlace {
    pub(crate) keep: u64,
    pub(crate) essential: bool,
}

/// The books as saved beside the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// End of the journal when the books were saved.
    pub(crate) end: u64,
    pub(crate) sources: BTreeMap<String, Source>,
    pub(crate) targets: BTreeMap<String, Target>,
}

/// What happened last at a target that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// What.
    pub message: String,
}

/// The books at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerSnapshot {
    /// The moment.
    pub as_of: Timestamp,
    /// By name.
    pub sources: Vec<SourceAccount>,
    /// By name; removed targets, whose counts stay, last.
    pub targets: Vec<TargetAccount>,
}

/// The account of a source: `offered = accepted + dropped + held`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAccount {
    /// Its name: `gateway`, or a collector format, `import`, ...
    pub name: String,
    /// Exchanges that it had to report.
    pub offered: u64,
    /// Exchanges safe in the journal.
    pub accepted: u64,
    /// Exchanges dropped before the journal, by [`reason`].
    pub dropped: BTreeMap<String, u64>,
    /// Exchanges on their way to the journal.
    pub held: u64,
}

/// The account of a target: `offered = delivered + dropped + held`.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetAccount {
    /// Its name.
    pub name: String,
    /// The kind of its exporter.
    pub kind: String,
    /// Exchanges in the journal that are for it.
    pub offered: u64,
    /// Exchanges that the other side took.
    pub delivered: u64,
    /// Exchanges that it will never get, by [`reason`].
    pub dropped: BTreeMap<String, u64>,
    /// Exchanges that wait in the journal or are being delivered.
    pub held: u64,
    /// Everything before this position of the journal has been delivered or dropped.
    pub position: u64,
    /// How long the oldest exchange now being delivered has been in the journal, in seconds; 0 when none is.
    pub lag_seconds: f64,
    /// Attempts that failed and were or will be repeated.
    pub retries: u64,
    /// What went wrong last, since the start.
    pub last_error: Option<LastError>,
    /// When the other side last took something, since the start.
    pub last_delivery: Option<Timestamp>,
    /// When the batch that failed is tried again; `None` while nothing waits for that.
    pub next_attempt: Option<Timestamp>,
    /// Whether it is one of the past.
    pub removed: bool,
}

impl LedgerSnapshot {
    /// Whether every account adds up.
    pub fn balanced(&self) -> bool {
        self.sources.iter().all(|account| {
            account.offered == account.accepted + account.dropped.values().sum::<u64>() + account.held
        }) && self.targets.iter().all(|account| {
            account.offered == account.delivered + account.dropped.values().sum::<u64>() + account.held
        })
    }
}

impl Ledger {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { books: Mutex::default(), clock }
    }

    /// The books of this moment.
    pub fn snapshot(&self) -> LedgerSnapshot {
        let as_of = self.clock.now();
        let books = self.books();
        let sources = books.sources.iter().map(|(name, source)| source.account(name)).collect();
        let mut targets: Vec<TargetAccount> =
            books.targets.iter().map(|(name, target)| target.account(name, as_of)).collect();
        targets.sort_by_key(|account| account.removed);
        LedgerSnapshot { as_of, sources, targets }
    }

    /// Whether every account adds up at this moment.
    pub fn balanced(&self) -> bool {
        self.snapshot().balanced()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    // Sources.

    pub(crate) fn offered(&self, source: &str, count: u64) {
        self.with_source(source, |account| {
            account.offered += count;
            account.held += count;
        });
    }

    pub(crate) fn accepted(&self, source: &str, count: u64) {
        self.with_source(source, |account| {
            account.held -= count;
            account.accepted += count;
        });
    }

    pub(crate) fn dropped(&self, source: &str, reason: &str, count: u64) {
        self.with_source(source, |account| {
            account.held -= count;
            add(&mut account.dropped, reason, count);
        });
    }

    /// The source itself dropped some before they reached the intake.
    pub(crate) fn dropped_before(&self, source: &str, reason: &str, count: u64) {
        self.with_source(source, |account| {
            account.offered += count;
            add(&mut account.dropped, reason, count);
        });
    }

    /// The source itself holds this many now.
    pub(crate) fn held_before(&self, source: &str, count: u64) {
        self.with_source(source, |account| account.held_before = count);
    }

    fn with_source(&self, name: &str, change: impl FnOnce(&mut Source)) {
        let mut books = self.books();
        match books.sources.get_mut(name) {
            Some(source) => change(source),
            None => change(books.sources.entry(name.to_owned()).or_default()),
        }
    }

    // Targets.

    /// The account that a target of this name has or had.
    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        self.books().targets.get(name).cloned()
    }

    /// A target enters: from `end` on it is offered what is new. What it held before is left out until [`Ledger::resume`].
    pub(crate) fn join(&self, name: &str, earlier: Target, end: u64) {
        let mut account = earlier;
        account.offered -= std::mem::take(&mut account.held);
        account.counted_to = end;
        self.books().targets.insert(name.to_owned(), account);
    }

    /// Brings a target that entered up to date with the journal.
    pub(crate) fn resume(&self, name: &str, change: impl FnOnce(&mut Target)) {
        self.with_target(name, change);
    }

    /// A target is gone: what it held is dropped, and its account becomes one of the past. Gives how much was dropped.
    pub(crate) fn remove_target(&self, name: &str, reason: &str) -> u64 {
        let dropped = self.drop_held(name, reason);
        let mut books = self.books();
        if let Some(target) = books.targets.get_mut(name) {
            target.removed = true;
        }
        let removed = books.targets.iter().filter(|(other, target)| target.removed && *other != name);
        let removed: Vec<String> = removed.map(|(name, _)| name.clone()).collect();
        for name in removed.iter().skip(MAX_REMOVED_TARGETS) {
            books.targets.remove(name);
        }
        dropped
    }

    /// More exchanges for a target lie in the journal, which now ends at `counted_to`.
    pub(crate) fn offered_to(&self, target: &str, count: u64, counted_to: u64) {
        self.with_target(target, |account| {
            account.offered += count;
            account.held += count;
            account.counted_to = counted_to;
        });
    }

    /// The fate of a batch is known: what a target has left begins at `position`.
    pub(crate) fn settled(&self, target: &str, position: u64, delivered: u64, dropped: &[(&str, u64)]) {
        let now = self.clock.now();
        self.with_target(target, |account| {
            account.held -= delivered;
            account.delivered += delivered;
            if delivered > 0 {
                account.last_delivery = Some(now);
            }
            account.next_attempt = None;
            for (reason, count) in dropped {
                account.held -= count;
                add(&mut account.dropped, reason, *count);
            }
            account.position = account.position.max(position);
            account.on_its_way = None;
            account.waiting_since = None;
        });
    }

    /// A target will never get some of what it has not read yet.
    pub(crate) fn lost(&self, target: &str, reason: &str, count: u64) {
        self.with_target(target, |account| {
            account.held -= count;
            add(&mut account.dropped, reason, count);
        });
    }

    /// All that a target still had to get is dropped; gives how much that was.
    pub(crate) fn drop_held(&self, target: &str, reason: &str) -> u64 {
        let mut count = 0;
        self.with_target(target, |account| {
            count = std::mem::take(&mut account.held);
            add(&mut account.dropped, reason, count);
        });
        count
    }

    /// A batch that ends at `end` sets out.
    pub(crate) fn sets_out(&self, target: &str, end: u64) {
        self.with_target(target, |account| account.on_its_way = Some(end));
    }

    pub(crate) fn waiting_since(&self, target: &str, since: Option<Timestamp>) {
        self.with_target(target, |account| account.waiting_since = since);
    }

    pub(crate) fn failed(&self, target: &str, message: &str, will_retry: bool) {
        let at = self.clock.now();
        let message = shorten(message);
        self.with_target(target, |account| {
            account.retries += u64::from(will_retry);
            account.last_error = Some(LastError { at, message });
        });
    }

    /// A batch that failed is tried again after this time.
    pub(crate) fn retries_after(&self, target: &str, after: Duration) {
        let at = self.clock.now() + after;
        self.with_target(target, |account| account.next_attempt = Some(at));
    }

    fn with_target(&self, name: &str, change: impl FnOnce(&mut Target)) {
        if let Some(target) = self.books().targets.get_mut(name) {
            change(target);
        }
    }

    /// The places that the targets of the last run had.
    pub(crate) fn places(&self) -> Vec<(String, SavedPlace)> {
        let books = self.books();
        let places = books.targets.iter().filter_map(|(name, target)| Some((name.clone(), target.place?)));
        places.collect()
    }

    // Saving.

    pub(crate) fn save(&self, end: u64, places: &BTreeMap<String, SavedPlace>) -> Saved {
        let books = self.books();
        let mut targets = books.targets.clone();
        for (name, target) in &mut targets {
            target.place = places.get(name).copied();
        }
        let mut sources = books.sources.clone();
        for source in sources.values_mut() {
            // What is still held will be gone or offered again after a restart.
            source.offered -= source.held;
            (source.held, source.held_before) = (0, 0);
        }
        Saved { end, sources, targets }
    }

    pub(crate) fn restore(&self, saved: Saved) {
        let mut books = self.books();
        books.sources = saved.sources;
        books.targets = saved.targets;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn account(&self, name: &str) -> SourceAccount {
        SourceAccount {
            name: name.to_owned(),
            offered: self.offered + self.held_before,
            accepted: self.accepted,
            dropped: self.dropped.clone(),
            held: self.held + self.held_before,
        }
    }
}

impl Target {
    fn account(&self, name: &str, now: Timestamp) -> TargetAccount {
        TargetAccount {
            name: name.to_owned(),
            kind: self.kind.clone(),
            offered: self.offered,
            delivered: self.delivered,
            dropped: self.dropped.clone(),
            held: self.held,
            position: self.position,
            lag_seconds: self.waiting_since.map_or(0.0, |since| now.since(since).as_secs_f64()),
            retries: self.retries,
            last_error: self.last_error.clone(),
            last_delivery: self.last_delivery,
            next_attempt: self.next_attempt,
            removed: self.removed,
        }
    }
}

fn add(dropped: &mut BTreeMap<String, u64>, reason: &str, count: u64) {
    if count == 0 {
        return;
    }
    match dropped.get_mut(reason) {
        Some(known) => *known += count,
        None => {
            dropped.insert(reason.to_owned(), count);
        }
    }
}

fn shorten(message: &str) -> String {
    let mut end = message.len().min(MAX_ERROR_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}
