//! The embedded store: tantivy indexes in partitions by time of arrival, and a tail in memory.
//!
//! In reading order: [`EmbeddedSettings`], `layout` (what is indexed), `source` (the stored form), `partition` (one
//! index), `catalogue` (their list), `tail` (what is not committed yet), `writer` (the thread that indexes), `select`
//! (a filter on a segment), `list` and `aggregate` (the questions; `columns` and `facts` are what they count), `erase`.
//!
//! An exchange is in the tail or in a commit, never in both: the writer moves it under one lock, and a question takes
//! both at once. What the index cannot answer exactly is asked of the stored exchange, with the code that the memory
//! store uses.

mod aggregate;
mod bits;
mod catalogue;
mod columns;
mod erase;
mod facts;
mod layout;
mod list;
mod partition;
mod question;
mod select;
mod source;
mod tail;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_kit::{Clock, SystemClock, Timestamp};
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_query::table::Table;
use weir_query::{Aggregation, Filter, Listing};

use self::erase::{Doomed, Plan};
use self::partition::trouble;
use self::question::Pool;
use self::tail::Batch;
use self::writer::{Shared, Writer};
use crate::{Page, Position, Store, StoreError, StoreStatus};

/// How an embedded store is kept.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// Where its files are; made if it does not exist. One process at a time.
    pub directory: PathBuf,
    /// Memory of the index writer between its own flushes, in bytes; at least 15 MB.
    pub writer_bytes: usize,
    /// Exchanges that are not committed yet, in bytes of memory; beyond it [`Store::append`] waits.
    pub tail_bytes: u64,
    /// A commit follows the first uncommitted exchange after this time.
    pub commit_interval: Duration,
    /// A commit follows earlier when what was indexed takes this many bytes of memory.
    pub commit_bytes: u64,
    /// A partition that reaches this size is closed and the next one opened, in bytes on disk. One is closed at the end
    /// of each day (UTC) too. [`Store::expire`] and [`Store::shrink`] remove whole partitions.
    pub partition_bytes: u64,
    /// How many questions are worked on at a time; further ones wait.
    pub query_threads: usize,
    /// Memory that the groups of one aggregation may take, in bytes.
    pub group_bytes: usize,
    /// How many stored exchanges one question reads at most. A listing that needs more is refused; an aggregation reads
    /// a sample of this size and says that it is approximate.
    pub source_reads: u64,
    /// How long a listing goes on counting matches after its page is complete; then the total is an estimate.
    pub count_time: Duration,
    /// Tells the day.
    pub clock: Arc<dyn Clock>,
}

impl EmbeddedSettings {
    /// The defaults, for files in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            writer_bytes: 128 << 20,
            tail_bytes: 64 << 20,
            commit_interval: Duration::from_secs(5),
            commit_bytes: 32 << 20,
            partition_bytes: 2 << 30,
            query_threads: 2,
            group_bytes: 1 << 30,
            source_reads: 200_000,
            count_time: Duration::from_millis(250),
            clock: Arc::new(SystemClock),
        }
    }
}

/// Keeps exchanges on disk. Dropping it loses what was not flushed, to be replayed from
/// [`Store::durable_position`].
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    pool: Pool,
    /// Joined when the store is dropped.
    _writer: Writer,
}

impl EmbeddedStore {
    /// Opens the store, making it if need be.
    ///
    /// # Errors
    ///
    /// When the files cannot be read or written, are of another format, or are in use by another process.
    pub fn open(settings: EmbeddedSettings) -> Result<Self, StoreError> {
        std::fs::create_dir_all(&settings.directory).map_err(trouble)?;
        let pool = Pool::of(settings.query_threads);
        let (shared, writer) = writer::start(settings)?;
        Ok(Self { shared, pool, _writer: writer })
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn append(&self, batch: &[Arc<Exchange>], position: Position) -> Result<(), StoreError> {
        loop {
            let room = self.shared.progress.notified();
            tokio::pin!(room);
            // Registered before looking, so that no notice is missed.
            room.as_mut().enable();
            if self.shared.has_room()? {
                break;
            }
            room.await;
        }
        let shared = self.shared.clone();
        let batch: Vec<Arc<Exchange>> = batch.to_vec();
        // Ids may have to be looked up in the index.
        blocking(move || {
            let mut state = shared.lock();
            let mut taken: Vec<Arc<Exchange>> = Vec::with_capacity(batch.len());
            let mut ids = std::collections::HashSet::with_capacity(batch.len());
            for exchange in batch {
                if ids.insert(exchange.id) && !state.knows(exchange.id)? {
                    taken.push(exchange);
                }
            }
            let bytes = taken.iter().map(|exchange| exchange.memory() as u64).sum();
            state.tail.push(Batch { exchanges: taken.into(), position, bytes });
            drop(state);
            shared.wake.notify_all();
            Ok(())
        })
        .await
    }

    fn durable_position(&self) -> Position {
        self.shared.lock().durable
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let wanted = self.shared.request_commit();
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.shared.is_committed(wanted)? {
                return Ok(());
            }
            progress.await;
        }
    }

    async fn list(&self, listing: &Listing) -> Result<Page, StoreError> {
        let (shared, listing) = (self.shared.clone(), listing.clone());
        self.pool
            .run(move |cancelled| list::list(&shared.snapshot(), &shared.settings, &listing, cancelled))
            .await
    }

    async fn aggregate(&self, aggregation: &Aggregation) -> Result<Table, StoreError> {
        let (shared, aggregation) = (self.shared.clone(), aggregation.clone());
        self.pool
            .run(move |cancelled| {
                aggregate::aggregate(&shared.snapshot(), &shared.settings, &aggregation, cancelled)
            })
            .await
    }

    async fn get(&self, project: &ProjectId, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        let shared = self.shared.clone();
        let found = self.pool.run(move |_| shared.snapshot().get(id)).await?;
        Ok(found.filter(|exchange| exchange.project == *project))
    }

    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError> {
        let open = self.shared.open_status();
        if open.newest.is_some_and(|newest| newest < before) {
            self.seal().await?;
        }
        let shared = self.shared.clone();
        blocking(move || shared.remove_sealed(|sealed, _| sealed.newest < before)).await
    }

    async fn shrink(&self, max_bytes: u64) -> Result<u64, StoreError> {
        let shared = self.shared.clone();
        let removed =
            blocking(move || shared.remove_sealed(|_, bytes_with_it| bytes_with_it > max_bytes)).await?;
        let status = self.status().await?;
        if status.bytes <= max_bytes || status.exchanges == 0 {
            return Ok(removed);
        }
        // The open partition alone is too large.
        self.seal().await?;
        let shared = self.shared.clone();
        let last =
            blocking(move || shared.remove_sealed(|_, bytes_with_it| bytes_with_it > max_bytes)).await?;
        Ok(removed + last)
    }

    async fn erase(&self, project: &ProjectId, filter: &Filter) -> Result<u64, StoreError> {
        let doomed = Doomed { project: project.clone(), filter: filter.clone() };
        let Plan { any, spared } = {
            let (shared, doomed) = (self.shared.clone(), doomed.clone());
            let look =
                move |cancelled: &_| erase::plan(&shared.snapshot(), &shared.settings, &doomed, cancelled);
            self.pool.run(look).await?
        };
        if !any {
            return Ok(0);
        }
        let erasure = self.shared.request_erasure(doomed, spared);
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if let Some(outcome) = erasure.outcome() {
                return outcome;
            }
            self.shared.fail_if_stuck()?;
            progress.await;
        }
    }

    async fn status(&self) -> Result<StoreStatus, StoreError> {
        let shared = self.shared.clone();
        blocking(move || Ok(shared.status())).await
    }
}

impl EmbeddedStore {
    /// Commits everything and closes the open partition, so that it can be removed.
    async fn seal(&self) -> Result<(), StoreError> {
        self.flush().await?;
        let wanted = self.shared.request_seal();
        loop {
            let progress = self.shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if self.shared.is_sealed(wanted)? {
                return Ok(());
            }
            progress.await;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(trouble)?
}
