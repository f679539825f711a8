//! The thread that indexes, and the state it shares with the store.

mod erasing;

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tantivy::{IndexReader, IndexWriter};
use tokio::sync::Notify;
use tracing::{error, info};
use weir_kit::Timestamp;
use weir_model::ExchangeId;

use self::erasing::erase;
use super::EmbeddedSettings;
use super::catalogue::{Catalogue, Sealed};
use super::erase::{Doomed, Erasure};
use super::layout::Layout;
use super::partition::{self, Partition, View, trouble};
use super::question::{Snapshot, may_have};
use super::tail::{Batch, RecentIds, Tail};
use crate::{Position, StoreError, StoreStatus};

/// After trouble the writer waits so long before it begins again from the last commit.
const RETRY_DELAY: Duration = Duration::from_secs(1);

const DAY: Duration = Duration::from_secs(86_400);

/// What the store and its writer share.
pub(super) struct Shared {
    pub(super) settings: EmbeddedSettings,
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    pub(super) wake: Condvar,
    /// Tells waiting callers that the writer got on, or failed.
    pub(super) progress: Notify,
}

/// What is under the lock.
pub(super) struct State {
    pub(super) tail: Tail,
    recent: RecentIds,
    catalogue: Catalogue,
    sealed: Vec<Arc<Partition>>,
    open: Arc<View>,
    open_bytes: u64,
    pub(super) durable: Position,
    /// A commit is wanted up to this many batches.
    commit_wanted: u64,
    /// Partitions sealed since the start, and how many of these were asked for.
    seals: u64,
    seals_wanted: u64,
    /// Erasures that were asked for, in order.
    erasures: VecDeque<Arc<Erasure>>,
    /// Why the writer cannot go on at present.
    failure: Option<String>,
    stop: bool,
}

impl State {
    /// Whether an exchange with this id is already held.
    pub(super) fn knows(&self, id: ExchangeId) -> Result<bool, StoreError> {
        if self.tail.has(id) || self.recent.has(id) {
            return Ok(true);
        }
        if !self.recent.may_have_forgotten(id) {
            return Ok(false);
        }
        if self.open.has(id)? {
            return Ok(true);
        }
        for partition in self.sealed.iter().rev().filter(|partition| may_have(partition, id)) {
            if partition.view()?.has(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn fail_if_stuck(&self) -> Result<(), StoreError> {
        self.failure
            .as_ref()
            .map_or(Ok(()), |why| Err(StoreError::Busy(format!("the index is not written: {why}"))))
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves the state whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another batch may be appended.
    pub(super) fn has_room(&self) -> Result<bool, StoreError> {
        let state = self.lock();
        let has_room = state.tail.bytes < self.settings.tail_bytes;
        if !has_room {
            state.fail_if_stuck()?;
        }
        Ok(has_room)
    }

    /// Asks for a commit of what was appended so far; gives what to wait for.
    pub(super) fn request_commit(&self) -> u64 {
        let mut state = self.lock();
        let wanted = state.tail.appended;
        state.commit_wanted = state.commit_wanted.max(wanted);
        drop(state);
        self.wake.notify_all();
        wanted
    }

    pub(super) fn is_committed(&self, wanted: u64) -> Result<bool, StoreError> {
        let state = self.lock();
        if state.tail.committed >= wanted {
            return Ok(true);
        }
        state.fail_if_stuck()?;
        Ok(false)
    }

    /// Asks to close the open partition; gives what to wait for.
    pub(super) fn request_seal(&self) -> u64 {
        let mut state = self.lock();
        state.seals_wanted = state.seals + 1;
        let wanted = state.seals_wanted;
        drop(state);
        self.wake.notify_all();
        wanted
    }

    pub(super) fn is_sealed(&self, wanted: u64) -> Result<bool, StoreError> {
        let state = self.lock();
        if state.seals >= wanted {
            return Ok(true);
        }
        state.fail_if_stuck()?;
        Ok(false)
    }

    /// Asks to erase; a commit of what was appended so far comes before.
    pub(super) fn request_erasure(&self, doomed: Doomed, spared: HashSet<String>) -> Arc<Erasure> {
        let mut state = self.lock();
        let wanted = state.tail.appended;
        state.commit_wanted = state.commit_wanted.max(wanted);
        let erasure = Erasure::new(doomed, spared, wanted);
        state.erasures.push_back(erasure.clone());
        drop(state);
        self.wake.notify_all();
        erasure
    }

    pub(super) fn fail_if_stuck(&self) -> Result<(), StoreError> {
        self.lock().fail_if_stuck()
    }

    /// The store at this instant.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            tail: state.tail.batches.iter().cloned().collect(),
            open: state.open.clone(),
            sealed: state.sealed.clone(),
        }
    }

    /// What the open partition and the tail hold.
    pub(super) fn open_status(&self) -> StoreStatus {
        let state = self.lock();
        let open = state.open.status();
        let starts =
            || state.tail.batches.iter().flat_map(|batch| batch.exchanges.iter()).map(|it| it.started_at);
        StoreStatus {
            exchanges: open.exchanges + state.tail.len() as u64,
            bytes: state.open_bytes,
            uncommitted: state.tail.len() as u64,
            oldest: starts().min().into_iter().chain(open.oldest).min(),
            newest: starts().max().into_iter().chain(open.newest).max(),
        }
    }

    pub(super) fn status(&self) -> StoreStatus {
        let mut status = self.open_status();
        for sealed in self.lock().sealed.iter().filter_map(|partition| partition.sealed.as_ref()) {
            status.exchanges += sealed.exchanges;
            status.bytes += sealed.bytes;
            status.oldest = status.oldest.into_iter().chain([sealed.oldest]).min();
            status.newest = status.newest.into_iter().chain([sealed.newest]).max();
        }
        status
    }

    /// Removes sealed partitions, beginning with the oldest; `is_due` is told what one holds and the bytes of all that
    /// would stay if it did. Gives how many exchanges went.
    pub(super) fn remove_sealed(&self, is_due: impl Fn(&Sealed, u64) -> bool) -> Result<u64, StoreError> {
        let mut bytes = self.status().bytes;
        let mut state = self.lock();
        let mut due = Vec::new();
        for partition in &state.sealed {
            if let Some(sealed) = partition.sealed.as_ref().filter(|sealed| is_due(sealed, bytes)) {
                bytes -= sealed.bytes;
                due.push(partition.clone());
            }
        }
        if due.is_empty() {
            return Ok(0);
        }
        let names: HashSet<&str> = due.iter().map(|partition| partition.name.as_str()).collect();
        let mut catalogue = state.catalogue.clone();
        catalogue.partitions.retain(|entry| !names.contains(entry.name.as_str()));
        catalogue.position = state.durable;
        catalogue.save(&self.settings.directory)?;
        state.catalogue = catalogue;
        state.sealed.retain(|partition| !names.contains(partition.name.as_str()));
        state.recent.forget();
        drop(state);
        due.iter().try_for_each(|partition| partition.remove())?;
        Ok(due.iter().filter_map(|partition| partition.sealed.as_ref()).map(|sealed| sealed.exchanges).sum())
    }
}

/// The running thread; dropping it stops the thread without a commit and waits for it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Keeps other processes out as long as it is open.
    _lock: File,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that writes the index panicked");
        }
    }
}

/// Reads the catalogue, opens the newest partition and starts the thread.
pub(super) fn start(settings: EmbeddedSettings) -> Result<(Arc<Shared>, Writer), StoreError> {
    let lock = lock_directory(&settings)?;
    let mut catalogue = Catalogue::load(&settings.directory)?;
    remove_strangers(&partitions_directory(&settings), &catalogue)?;
    if catalogue.partitions.last().is_none_or(|last| last.sealed.is_some()) {
        let next = make_partition(&settings, catalogue.next)?;
        catalogue.list(&next.name);
        catalogue.save(&settings.directory)?;
    }
    let mut partitions: Vec<Arc<Partition>> = catalogue
        .partitions
        .iter()
        .map(|entry| {
            Arc::new(Partition::at(&partitions_directory(&settings), &entry.name, entry.sealed.clone()))
        })
        .collect();
    let open = partitions.pop().ok_or_else(|| trouble("no open partition"))?;
    let open = Open::of(open, settings.writer_bytes)?;
    let view = Arc::new(View::of(&open.reader)?);
    let largest_high = partitions.iter().filter_map(|partition| Some(partition.sealed.as_ref()?.ids.1));
    let largest_high = largest_high.chain(view.id_range().map(|(_, largest)| largest)).max().unwrap_or(0);
    let largest =
        ExchangeId::from_bytes((u128::from(largest_high) << 64 | u128::from(u64::MAX)).to_be_bytes());
    let opened = ExchangeId::with_random(settings.clock.now(), [u8::MAX; 16]);
    let state = State {
        tail: Tail::default(),
        recent: RecentIds::since(opened.max(largest)),
        durable: view.position.max(catalogue.position),
        catalogue,
        sealed: partitions,
        open: view,
        open_bytes: open.partition.bytes(),
        commit_wanted: 0,
        seals: 0,
        seals_wanted: 0,
        erasures: VecDeque::new(),
        failure: None,
        stop: false,
    };
    let shared = Arc::new(Shared {
        settings,
        state: Mutex::new(state),
        wake: Condvar::new(),
        progress: Notify::new(),
    });
    let thread = std::thread::Builder::new()
        .name("weir-store-writer".to_owned())
        .spawn({
            let shared = shared.clone();
            move || {
                let _ended = Ended(&shared);
                run(&shared, open);
            }
        })
        .map_err(trouble)?;
    Ok((shared.clone(), Writer { shared, thread: Some(thread), _lock: lock }))
}

/// The lock of the store's directory, which only one process has at a time.
fn lock_directory(settings: &EmbeddedSettings) -> Result<File, StoreError> {
    let path = settings.directory.join("lock");
    let file = File::create(&path).map_err(trouble)?;
    file.try_lock()
        .map_err(|error| trouble(format!("{} is in use: {error}", settings.directory.display())))?;
    Ok(file)
}

fn partitions_directory(settings: &EmbeddedSettings) -> PathBuf {
    settings.directory.join("partitions")
}

/// Removes directories that a crash left between being made and being listed, or between being unlisted and removed.
fn remove_strangers(directory: &std::path::Path, catalogue: &Catalogue) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(trouble)?;
    for entry in fs::read_dir(directory).map_err(trouble)?.flatten() {
        let name = entry.file_name();
        let is_known = catalogue.partitions.iter().any(|known| known.name.as_str() == name);
        if !is_known && name.to_string_lossy().starts_with("arrived-") {
            info!(partition = %name.to_string_lossy(), "removing a partition that is not in the catalogue");
            fs::remove_dir_all(entry.path()).map_err(trouble)?;
        }
    }
    Ok(())
}

/// Makes the directory of the partition with this number; it counts once it is in the catalogue.
fn make_partition(settings: &EmbeddedSettings, number: u64) -> Result<Partition, StoreError> {
    let day = settings.clock.now().floor(DAY).to_string();
    let name = format!("arrived-{}-{number}", day.split('T').next().unwrap_or(""));
    let directory = partitions_directory(settings);
    let partition = Partition::at(&directory, &name, None);
    // Left by a crash before it was listed.
    if directory.join(&name).exists() {
        partition.remove()?;
    }
    partition.index()?;
    Ok(partition)
}

/// The partition that is written.
struct Open {
    partition: Arc<Partition>,
    day: Option<Timestamp>,
    layout: Layout,
    writer: IndexWriter,
    reader: IndexReader,
    /// Bytes given to the writer since the last commit, and when that began.
    bytes: u64,
    since: Option<Instant>,
}

impl Open {
    fn of(partition: Arc<Partition>, writer_bytes: usize) -> Result<Self, StoreError> {
        let index = partition.index()?;
        let layout = Layout::of(&index.schema()).ok_or_else(|| trouble("the index lacks a field"))?;
        let reader = partition::reader(&index)?;
        let writer = partition::writer(&index, writer_bytes)?;
        let date = partition.name.split('-').skip(1).take(3).collect::<Vec<_>>().join("-");
        let day = format!("{date}T00:00:00Z").parse().ok();
        Ok(Self { partition, day, layout, writer, reader, bytes: 0, since: None })
    }

    fn add(&mut self, batch: &Batch) -> Result<(), StoreError> {
        for exchange in batch.exchanges.iter() {
            self.writer.add_document(self.layout.document(exchange)).map_err(trouble)?;
        }
        self.bytes += batch.bytes;
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn commit(&mut self, position: Position) -> Result<View, StoreError> {
        let mut prepared = self.writer.prepare_commit().map_err(trouble)?;
        prepared.set_payload(&position.to_string());
        prepared.commit().map_err(trouble)?;
        self.reader.reload().map_err(trouble)?;
        self.bytes = 0;
        self.since = None;
        View::of(&self.reader)
    }
}

/// What the writer does next.
enum Step {
    Index(Batch),
    Commit(Position),
    Erase(Arc<Erasure>),
    Seal,
    Stop,
}

/// Tells waiting callers when the thread ends that nobody stopped: it panicked.
struct Ended<'s>(&'s Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if !state.stop {
            state.failure = Some("its thread ended unexpectedly; restart weir".to_owned());
        }
        drop(state);
        self.0.progress.notify_waiters();
    }
}

fn run(shared: &Shared, open: Open) {
    let mut open = Some(open);
    loop {
        // Taken out, so that trouble gives the lock of the index back.
        let outcome = match open.take() {
            Some(open) => work(shared, open),
            None => reopen(shared).map(Some),
        };
        match outcome {
            Ok(Some(next)) => open = Some(next),
            Ok(None) => return,
            Err(trouble) => {
                error!(error = %trouble, "the index cannot be written; trying again from the last commit");
                let mut state = shared.lock();
                state.failure = Some(trouble.to_string());
                state.tail.indexed = 0;
                shared.progress.notify_waiters();
                let (state, _) = shared
                    .wake
                    .wait_timeout_while(state, RETRY_DELAY, |state| !state.stop)
                    .unwrap_or_else(PoisonError::into_inner);
                if state.stop {
                    return;
                }
            }
        }
    }
}

/// Begins again with the partition that the catalogue calls open.
fn reopen(shared: &Shared) -> Result<Open, StoreError> {
    let name = shared.lock().catalogue.partitions.last().map(|entry| entry.name.clone());
    let name = name.ok_or_else(|| trouble("no open partition"))?;
    let partition = Partition::at(&partitions_directory(&shared.settings), &name, None);
    let open = Open::of(Arc::new(partition), shared.settings.writer_bytes)?;
    let view = Arc::new(View::of(&open.reader)?);
    let mut state = shared.lock();
    // A commit may have succeeded although an error was reported after it.
    while state.tail.indexed < state.tail.batches.len()
        && state.tail.batches[state.tail.indexed].position <= view.position
    {
        state.tail.indexed += 1;
    }
    settle(&mut state, view);
    state.failure = None;
    Ok(open)
}

/// Takes over a commit: what it holds leaves the tail.
fn settle(state: &mut State, view: Arc<View>) {
    state.durable = state.durable.max(view.position);
    let State { tail, recent, .. } = state;
    tail.release(recent);
    state.open = view;
}

/// Does one step; gives the partition to go on with, none when it is time to stop.
fn work(shared: &Shared, mut open: Open) -> Result<Option<Open>, StoreError> {
    match next_step(shared, &open) {
        Step::Stop => return Ok(None),
        Step::Index(batch) => {
            open.add(&batch)?;
            shared.lock().tail.indexed += 1;
        }
        Step::Commit(position) => {
            let view = Arc::new(open.commit(position)?);
            let bytes = open.partition.bytes();
            let mut state = shared.lock();
            settle(&mut state, view);
            state.open_bytes = bytes;
            drop(state);
            shared.progress.notify_waiters();
        }
        Step::Erase(erasure) => {
            let outcome = erase(shared, &mut open, &erasure);
            erasure.end(outcome.as_ref().map(|count| *count).map_err(ToString::to_string));
            shared.progress.notify_waiters();
            outcome?;
        }
        Step::Seal => {
            open = seal(shared, open)?;
            shared.progress.notify_waiters();
        }
    }
    Ok(Some(open))
}

fn next_step(shared: &Shared, open: &Open) -> Step {
    let settings = &shared.settings;
    let mut state = shared.lock();
    loop {
        if state.stop {
            return Step::Stop;
        }
        let position = state.tail.indexed.checked_sub(1).map(|last| state.tail.batches[last].position);
        let age = open.since.map(|since| since.elapsed());
        let is_due =
            open.bytes >= settings.commit_bytes || age.is_some_and(|age| age >= settings.commit_interval);
        let indexed = state.tail.committed + state.tail.indexed as u64;
        let is_wanted = state.tail.committed < state.commit_wanted && state.commit_wanted <= indexed;
        if let Some(position) = position.filter(|_| is_due || is_wanted) {
            return Step::Commit(position);
        }
        let is_clean = open.since.is_none();
        let committed = state.tail.committed;
        if is_clean
            && state.erasures.front().is_some_and(|erasure| erasure.after <= committed)
            && let Some(erasure) = state.erasures.pop_front()
        {
            return Step::Erase(erasure);
        }
        if is_clean && (is_full(&state, settings, open) || state.seals_wanted > state.seals) {
            return Step::Seal;
        }
        if let Some(batch) = state.tail.batches.get(state.tail.indexed) {
            return Step::Index(batch.clone());
        }
        let patience =
            age.map_or(Duration::from_secs(60), |age| settings.commit_interval.saturating_sub(age));
        (state, _) = shared.wake.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Whether the open partition is to be closed: it is large, or of an earlier day.
fn is_full(state: &State, settings: &EmbeddedSettings, open: &Open) -> bool {
    let is_old = open.day != Some(settings.clock.now().floor(DAY));
    !state.open.segments.is_empty() && (is_old || state.open_bytes >= settings.partition_bytes)
}

/// Closes a partition, which has no uncommitted exchanges, and opens the next.
fn seal(shared: &Shared, open: Open) -> Result<Open, StoreError> {
    let Open { partition, writer, reader, .. } = open;
    writer.wait_merging_threads().map_err(trouble)?;
    reader.reload().map_err(trouble)?;
    let view = View::of(&reader)?;
    let StoreStatus { exchanges, oldest, newest, .. } = view.status();
    let sealed = match (oldest, newest, view.id_range()) {
        (Some(oldest), Some(newest), Some(ids)) => {
            Some(Sealed { exchanges, bytes: partition.bytes(), oldest, newest, ids })
        }
        // Nothing to close.
        _ => None,
    };
    let settings = &shared.settings;
    let Some(sealed) = sealed else {
        shared.lock().seals += 1;
        return Open::of(partition, settings.writer_bytes);
    };
    let next = shared.lock().catalogue.next;
    let next = make_partition(settings, next)?;
    let directory = partitions_directory(settings);
    {
        let mut state = shared.lock();
        let mut catalogue = state.catalogue.clone();
        if let Some(entry) = catalogue.partitions.last_mut() {
            entry.sealed = Some(sealed.clone());
        }
        catalogue.position = state.durable;
        catalogue.list(&next.name);
        catalogue.save(&settings.directory)?;
        state.catalogue = catalogue;
        state.sealed.push(Arc::new(Partition::at(&directory, &partition.name, Some(sealed))));
        state.open = Arc::new(View::default());
        state.open_bytes = next.bytes();
        state.seals += 1;
    }
    Open::of(Arc::new(next), settings.writer_bytes)
}
