//! The contract of a store.

use std::sync::Arc;

use async_trait::async_trait;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_query::{Aggregation, Cursor, Filter, Listing};

/// How far a store has read its input: opaque to the store, ever increasing, kept in the store's own commit.
pub type Position = u64;

/// Keeps exchanges and answers questions about them.
///
/// Cancelling is dropping the future: a store stops the work behind it soon after.
#[async_trait]
pub trait Store: Send + Sync {
    /// Takes a batch: idempotent by id, visible to every question asked after it returns. `position` is where the input
    /// goes on after this batch; it becomes [`Store::durable_position`] once the batch is on disk.
    async fn append(&self, batch: &[Arc<Exchange>], position: Position) -> Result<(), StoreError>;

    /// Up to where appended batches survive a crash; 0 for an empty store. After a restart the input is replayed from
    /// here, and [`Store::append`] ignores what it already holds.
    fn durable_position(&self) -> Position;

    /// Makes everything appended so far durable.
    async fn flush(&self) -> Result<(), StoreError>;

    /// A page of exchanges.
    async fn list(&self, listing: &Listing) -> Result<Page, StoreError>;

    /// Figures.
    async fn aggregate(&self, aggregation: &Aggregation) -> Result<weir_query::table::Table, StoreError>;

    /// One exchange.
    async fn get(&self, project: &ProjectId, id: ExchangeId) -> Result<Option<Exchange>, StoreError>;

    /// Removes what began before `before` (retention by age), whole partitions at a time; gives how many went.
    async fn expire(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Removes oldest partitions until at most `max_bytes` remain (retention by size); gives how many exchanges went.
    async fn shrink(&self, max_bytes: u64) -> Result<u64, StoreError>;

    /// Removes exactly the exchanges of a project that match, and gives how many went. When it returns, they are gone for
    /// every question, and durably: everything appended before is durable too, so that a replay begins behind it and
    /// brings none of them back. What is appended afterwards stays, also under an id that went.
    ///
    /// [`StoreError::TooLarge`], and nothing removed, when too many stored exchanges would have to be read to see which
    /// match.
    async fn erase(&self, project: &ProjectId, filter: &Filter) -> Result<u64, StoreError>;

    /// What it holds.
    async fn status(&self) -> Result<StoreStatus, StoreError>;
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// In the order asked for.
    pub exchanges: Vec<Exchange>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Cursor>,
    /// How many match in all.
    pub total: Total,
}

/// How many exchanges match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// Counted.
    Exactly(u64),
    /// Estimated.
    About(u64),
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Exchanges.
    pub exchanges: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Exchanges that only memory and the journal hold so far.
    pub uncommitted: u64,
    /// Start of the oldest exchange.
    pub oldest: Option<Timestamp>,
    /// Start of the newest exchange.
    pub newest: Option<Timestamp>,
}

/// Why a store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Trying again later may help.
    #[error("the store is busy: {0}")]
    Busy(String),
    /// The question costs more than its limit allows.
    #[error("the question is too large: {0}")]
    TooLarge(String),
    /// Disk, memory or index trouble that someone must look at.
    #[error("the store failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}
