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
mod opening;
mod place;
mod reader;
mod segment;
mod shared;
mod state;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use weir_kit::Timestamp;
use weir_model::ExchangeId;

use crate::filter::Filter;
use crate::ledger::Ledger;
use crate::receipt::NoRoom;

pub(crate) use place::PlaceFile;
pub(crate) use reader::{Chunk, Limits, Reader};
use shared::{Place, Shared};
use state::State;
pub(crate) use state::{Cursor, Mode, Pending};
pub(crate) use tail::Entry;

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
            max_tail_bytes: 32 * 1024 * 1024,
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
    /// The writer thread and the lock on the directory, as long as the journal is open.
    writer: Mutex<Option<(JoinHandle<()>, File)>>,
}

impl Journal {
    /// Opens or creates the journal and brings the ledger up to date with it. Starts the writer thread.
    pub(crate) fn open(mut settings: JournalSettings, ledger: Arc<Ledger>) -> Result<Self, OpenError> {
        settings.segment_bytes = settings.segment_bytes.min(settings.max_bytes / 8).max(4096);
        let directory = settings.directory.clone();
        let unusable = |error| OpenError::Unusable { directory: directory.clone(), error };
        std::fs::create_dir_all(&directory).map_err(unusable)?;
        let lock = opening::lock(&directory)?;
        let (segments, end) = opening::recover(&directory).map_err(unusable)?;
        let mut saved = checkpoint::load(&directory).map_err(unusable)?.unwrap_or_default();
        place::catch_up(&directory, &mut saved).map_err(unusable)?;
        let last = segments.values().next_back().cloned();
        let disk = disk::Disk::new(&directory, settings.segment_bytes, last, end).map_err(unusable)?;

        let mut state = State::new(segments, end, settings.max_tail_bytes);
        opening::replay_sources(&directory, &state, &saved, &ledger).map_err(unusable)?;
        opening::hold_places(&mut state, &ledger);
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
        Ok(Self { shared, writer: Mutex::new(Some((thread, lock))) })
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
        // The writer would wake up only to wait for the lock.
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// The id of the newest record of a source; reads from disk. `None` also when it lies further back than a source that
    /// was interrupted needs to know.
    pub(crate) async fn newest_of(&self, source: &str) -> io::Result<Option<ExchangeId>> {
        let bases: Vec<u64> = self.with_state(|state| state.segments.keys().copied().collect());
        let (directory, source) = (self.shared.settings.directory.clone(), source.to_owned());
        let work = tokio::task::spawn_blocking(move || opening::newest_of(&directory, &bases, &source));
        work.await.map_err(io::Error::other)?
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
            if state.closing {
                return Err("the journal is closed".to_owned());
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

    /// The file in which the place of a target is kept.
    pub(crate) fn place_file(&self, name: &str) -> io::Result<PlaceFile> {
        PlaceFile::open(&self.shared.settings.directory, name)
    }

    /// Removes that file.
    pub(crate) fn remove_place_file(&self, name: &str) {
        place::remove(&self.shared.settings.directory, name);
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
        let Some((thread, _lock)) = writer else { return };
        if thread.join().is_err() {
            tracing::error!("the journal's writer thread failed");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}
