//! One append-only, checksummed log per node; every target is a cursor on it.
//!
//! Records get dense positions when they are written. A dedicated thread writes and syncs them in groups; readers see only
//! what is synced, so no target is ever ahead of the journal, whatever happens to the machine. The newest exchanges are
//! also kept in memory for the targets that keep up; others read from disk.
//!
//! Segments go when every reader has passed them. When the journal exceeds its size, the oldest segment goes although
//! some reader still needs it, and what that reader loses is counted; but never what an essential reader (the store)
//! still needs: then the journal is full and refuses new records until that reader has moved on.

mod checkpoint;
mod disk;
mod frame;
mod reader;
mod segment;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use weir_kit::Timestamp;

use crate::filter::Filter;
use crate::ledger::{Ledger, Saved, reason};
use crate::receipt::NoRoom;

pub(crate) use reader::{Chunk, Item, Limits, Reader};
use segment::Segment;
pub(crate) use state::{Cursor, Mode, Pending};
use state::{Retire, State};
pub(crate) use tail::Entry;

/// Exchanges in memory that one call looks at, at most, while it holds the lock.
const MAX_SCAN: usize = 10_000;

/// Where and how the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalSettings {
    /// Directory of its own; made when it does not exist.
    pub directory: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// Size at which a segment is closed; at most an eighth of `max_bytes` is used.
    pub segment_bytes: u64,
    /// Most bytes waiting to be written.
    pub max_queue_bytes: usize,
    /// Most memory for exchanges that targets have yet to read.
    pub max_tail_bytes: usize,
    /// Bytes that are written at once, without waiting for more.
    pub group_bytes: usize,
    /// Least time between two writes while receipts are awaited and less than `group_bytes` have come.
    pub group_delay: Duration,
    /// How long records that nobody waits for may wait to be written and synced.
    pub eventual_delay: Duration,
}

impl JournalSettings {
    /// The defaults, in this directory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 8 * 1024 * 1024 * 1024,
            segment_bytes: 64 * 1024 * 1024,
            max_queue_bytes: 64 * 1024 * 1024,
            max_tail_bytes: 64 * 1024 * 1024,
            group_bytes: 1024 * 1024,
            group_delay: Duration::from_millis(5),
            eventual_delay: Duration::from_millis(250),
        }
    }
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be used.
    #[error("the journal in {directory:?} cannot be used: {error}")]
    Unusable {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another process uses it.
    #[error("the journal in {directory:?} is in use by another process")]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
}

/// The state of the journal at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalStatus {
    /// Bytes on disk.
    pub bytes: u64,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// When the oldest record still kept was written.
    pub oldest: Option<Timestamp>,
    /// Position of the oldest record still kept.
    pub oldest_position: u64,
    /// Position of the next record.
    pub end_position: u64,
    /// Bytes waiting to be written.
    pub queue_bytes: usize,
    /// Memory used for exchanges that targets have yet to read.
    pub tail_bytes: usize,
    /// Whether new records are refused because the store still needs the oldest ones.
    pub full: bool,
    /// The last failure to write, if any since the start.
    pub last_failure: Option<(Timestamp, String)>,
}

/// The journal of a node.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as the journal is open.
    _lock: File,
}

pub(crate) struct Shared {
    settings: JournalSettings,
    ledger: Arc<Ledger>,
    state: Mutex<State>,
    work: Condvar,
    /// Position after the last synced record.
    end: watch::Sender<u64>,
    /// Signalled when there may be room again.
    room: Notify,
}

impl Journal {
    /// Opens or creates the journal and brings the ledger up to date with it. Starts the writer thread.
    pub(crate) fn open(mut settings: JournalSettings, ledger: Arc<Ledger>) -> Result<Self, OpenError> {
        settings.segment_bytes = settings.segment_bytes.min(settings.max_bytes / 8).max(4096);
        let directory = settings.directory.clone();
        let unusable = |error| OpenError::Unusable { directory: directory.clone(), error };
        std::fs::create_dir_all(&directory).map_err(unusable)?;
        let lock = lock(&directory)?;
        let (segments, end) = recover(&directory).map_err(unusable)?;
        let saved = checkpoint::load(&directory).map_err(unusable)?.unwrap_or_default();
        let last = segments.values().next_back().cloned();
        let disk = disk::Disk::new(&directory, settings.segment_bytes, last, end).map_err(unusable)?;

        let mut state = State::new(segments, end, settings.max_tail_bytes);
        replay_sources(&directory, &state, &saved, &ledger).map_err(unusable)?;
        hold_places(&mut state, &ledger);
        let shared = Arc::new(Shared {
            settings,
            ledger,
            state: Mutex::new(state),
            work: Condvar::new(),
            end: watch::Sender::new(end),
            room: Notify::new(),
        });
        let writer = writer::Writer::new(shared.clone(), disk);
        let thread = std::thread::Builder::new()
            .name("weir-journal".to_owned())
            .spawn(move || writer.run())
            .map_err(unusable)?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)), _lock: lock })
    }

    /// Queues frames to be written, all or, if there is no room, none.
    pub(crate) fn append(&self, frames: Vec<Pending>) -> Result<(), NoRoom> {
        let bytes = frames.iter().map(|pending| pending.records.len()).sum();
        let mut state = self.shared.state();
        self.shared.admit(&state, bytes)?;
        let mut wake = false;
        for pending in frames {
            wake |= state.enqueue(pending, self.shared.settings.group_bytes);
        }
        if wake {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Whether a frame of this size would be taken now.
    pub(crate) fn room_for(&self, bytes: usize) -> Result<(), NoRoom> {
        self.shared.admit(&self.shared.state(), bytes)
    }

    /// Waits until a frame of this size would be taken, or until refusal is final.
    pub(crate) async fn wait_for_room(&self, bytes: usize) -> Result<(), NoRoom> {
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            room.as_mut().enable();
            match self.room_for(bytes) {
                Err(NoRoom::Full) => room.await,
                other => return other,
            }
        }
    }

    /// Follows the position after the last synced record.
    pub(crate) fn end(&self) -> watch::Receiver<u64> {
        self.shared.end.subscribe()
    }

    /// Changes the state of cursors.
    pub(crate) fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.shared.state())
    }

    /// Asks the writer to look for segments that nobody needs any more.
    pub(crate) fn tidy(&self) {
        self.shared.state().tidy_wanted = true;
        self.shared.work.notify_one();
    }

    /// Makes the next record lie at `position` or later.
    pub(crate) async fn skip_to(&self, position: u64) -> Result<(), String> {
        let (done, outcome) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if state.end >= position {
                return Ok(());
            }
            state.skips.push((position, done));
        }
        self.shared.work.notify_one();
        outcome.await.map_err(|_| "the journal is closed".to_owned())?
    }

    /// Reads on for a reader, from memory if it keeps up. Moves its cursor. Empty when there is nothing to read.
    pub(crate) async fn read(&self, name: &str, reader: &mut Reader, limits: Limits) -> io::Result<Chunk> {
        loop {
            let (part, filter) = match self.shared.read_from_memory(name, limits) {
                Place::Here(chunk) => return Ok(chunk),
                Place::OnDisk(part, filter) => (part, filter),
            };
            let directory = self.shared.settings.directory.clone();
            let mut moved = std::mem::take(reader);
            let from = part.from;
            let work = tokio::task::spawn_blocking(move || {
                let chunk = moved.read(&directory, &part, &filter, limits);
                (moved, chunk)
            });
            let (back, chunk) = work.await.map_err(io::Error::other)?;
            *reader = back;
            let chunk = chunk?;
            let mut state = self.shared.state();
            if let Some(cursor) = state.cursors.get_mut(name)
                && cursor.read == from
            {
                cursor.read = chunk.next;
                return Ok(chunk);
            }
            // The segment was dropped meanwhile, and what was read of it is counted as lost.
        }
    }

    /// Counts the records between two positions that a filter lets through; reads from disk.
    pub(crate) async fn count(&self, filter: &Filter, range: Range<u64>) -> io::Result<u64> {
        if *filter == Filter::All {
            return Ok(self.shared.state().count(&range));
        }
        let parts: Vec<_> = self.with_state(|state| state.overlapping(&range).collect());
        let (directory, filter) = (self.shared.settings.directory.clone(), filter.clone());
        let work = tokio::task::spawn_blocking(move || {
            let part =
                |(base, range): (u64, Range<u64>)| reader::Part { base, from: range.start, to: range.end };
            parts.into_iter().map(|found| reader::count(&directory, &part(found), &filter)).sum()
        });
        work.await.map_err(io::Error::other)?
    }

    /// The state of this moment.
    pub(crate) fn status(&self) -> JournalStatus {
        let state = self.shared.state();
        JournalStatus {
            bytes: state.bytes(),
            max_bytes: self.shared.settings.max_bytes,
            oldest: state.segments.values().find_map(|segment| segment.oldest),
            oldest_position: state.oldest(),
            end_position: state.end,
            queue_bytes: state.queue_bytes,
            tail_bytes: state.tail.bytes(),
            full: state.full,
            last_failure: state.last_failure.clone(),
        }
    }

    /// A target needs nothing before `keep` any more.
    pub(crate) fn release(&self, name: &str, keep: u64) {
        let mut state = self.shared.state();
        if let Some(cursor) = state.cursors.get_mut(name) {
            cursor.keep = cursor.keep.max(keep);
        }
        if state.full {
            state.tidy_wanted = true;
            drop(state);
            self.shared.work.notify_one();
        }
    }

    /// Drops what a target was offered and could not find, if it has read everything; gives how much that was.
    pub(crate) fn write_off(&self, name: &str, reason: &str) -> u64 {
        let state = self.shared.state();
        let caught_up = state.cursors.get(name).is_some_and(|cursor| cursor.read >= cursor.until(state.end));
        if caught_up { self.shared.ledger.drop_held(name, reason) } else { 0 }
    }

    /// Refuses new records from now on and waits until what is queued is written or has failed.
    pub(crate) async fn refuse_new(&self) {
        self.shared.state().refusing = true;
        self.shared.work.notify_one();
        self.shared.room.notify_waiters();
        loop {
            let mut written = std::pin::pin!(self.shared.room.notified());
            written.as_mut().enable();
            if self.shared.state().queue_bytes == 0 {
                return;
            }
            written.await;
        }
    }

    /// Writes what is queued, saves the books and ends the writer thread. Blocks until that is done.
    pub(crate) fn close(&self) {
        {
            let mut state = self.shared.state();
            (state.refusing, state.closing) = (true, true);
        }
        self.shared.work.notify_one();
        self.shared.room.notify_waiters();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the journal's writer thread failed");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where a reader goes on.
enum Place {
    Here(Chunk),
    OnDisk(reader::Part, Filter),
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        self.work.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    fn admit(&self, state: &State, bytes: usize) -> Result<(), NoRoom> {
        if state.refusing {
            return Err(NoRoom::Closed);
        }
        // An empty queue takes a frame of any size; otherwise a large one would never get in.
        let queue_full = state.queue_bytes > 0 && state.queue_bytes + bytes > self.settings.max_queue_bytes;
        if state.full || queue_full { Err(NoRoom::Full) } else { Ok(()) }
    }

    fn read_from_memory(&self, name: &str, limits: Limits) -> Place {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(cursor) = state.cursors.get_mut(name) else { return Place::Here(Chunk::default()) };
        let from = cursor.read;
        let mut chunk = Chunk { next: from, ..Chunk::default() };
        let end = cursor.until(state.end);
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
        Place::Here(chunk)
    }

    /// Enters a synced group: it can be read from now on.
    fn committed(&self, group: VecDeque<Pending>, segment: Segment, at: Timestamp) {
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
    fn not_committed(&self, group: VecDeque<Pending>, at: Timestamp, error: &str) {
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

    fn skipped_to(&self, segment: Segment) {
        let end = segment.base;
        let mut state = self.state();
        state.segments.insert(segment.base, segment);
        state.end = end;
        drop(state);
        self.end.send_replace(end);
    }

    fn retire(&self) -> Retire {
        self.state().retire(self.settings.max_bytes)
    }

    fn set_full(&self, full: bool) {
        let changed = std::mem::replace(&mut self.state().full, full) != full;
        if changed && full {
            tracing::warn!("the journal is full of what the store still needs; new records are refused");
        }
        if changed && !full {
            self.room.notify_waiters();
        }
    }
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let unusable = |error| OpenError::Unusable { directory: directory.to_owned(), error };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Finds the segments of a directory and where the journal goes on. Whatever was written after the last whole frame of the
/// last segment is cut off.
fn recover(directory: &Path) -> io::Result<(BTreeMap<u64, Segment>, u64)> {
    let mut bases = segment::list(directory)?;
    let mut segments = BTreeMap::new();
    let mut end = 0;
    while let Some(base) = bases.pop() {
        let path = segment::path(directory, base);
        match segment::recover(&path)? {
            Some(recovered) => {
                if recovered.cut > 0 {
                    tracing::warn!(
                        cut = recovered.cut,
                        segment = base,
                        "an unfinished write was cut off the journal"
                    );
                }
                end = recovered.segment.end;
                segments.insert(base, recovered.segment);
                break;
            }
            // The crash came while the segment was being created.
            None => std::fs::remove_file(&path)?,
        }
    }
    // Earlier segments are known by the header of the one after them; they are not read now.
    while let (Some(base), Some(next)) = (bases.pop(), segments.keys().next().copied()) {
        let path = segment::path(directory, base);
        let previous_end = segment::SegmentReader::open(&segment::path(directory, next))?
            .map_or(next, |reader| reader.header.previous_end);
        let mut segment = Segment {
            base,
            end: previous_end.clamp(base, next),
            bytes: path.metadata()?.len(),
            oldest: None,
        };
        if let Some(mut reader) = segment::SegmentReader::open(&path)?
            && let segment::Found::Frame(frame) = reader.read()?
        {
            segment.oldest = Some(frame.written_at);
        }
        segments.insert(base, segment);
    }
    Ok((segments, end))
}

/// Adds to the sources' accounts what reached the journal after the books were last saved.
fn replay_sources(directory: &Path, state: &State, saved: &Saved, ledger: &Ledger) -> io::Result<()> {
    ledger.restore(saved.clone());
    for (base, part) in state.overlapping(&(saved.end..state.end)) {
        let Some(mut reader) = segment::SegmentReader::open(&segment::path(directory, base))? else {
            continue;
        };
        loop {
            match reader.read()? {
                segment::Found::Frame(frame) if frame.first >= part.end => break,
                segment::Found::Frame(frame) if frame.end() > part.start => {
                    ledger.offered(&frame.source, u64::from(frame.count));
                    ledger.accepted(&frame.source, u64::from(frame.count));
                }
                segment::Found::Frame(_) | segment::Found::Damage { go_on: true } => {}
                segment::Found::Damage { go_on: false } | segment::Found::End => break,
            }
        }
    }
    Ok(())
}

/// Keeps what the targets of the last run have not had, until they are added again.
fn hold_places(state: &mut State, ledger: &Ledger) {
    for (name, position) in ledger.places() {
        let cursor = Cursor {
            filter: Filter::All,
            read: position,
            keep: position,
            essential: false,
            mode: Mode::Place,
        };
        state.cursors.insert(name, cursor);
    }
}
