//! What sends exchanges somewhere. Queueing, batching, retries, filters and accounting are done once, around it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_model::Exchange;

/// Sends batches to one place.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// Delivers one batch, or says why not. Called with one batch at a time, in the order of the journal.
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError>;

    /// The position from which this target must be fed after a restart, for a target that keeps its own cursor in its own
    /// commits (the store). `None`: the pipeline keeps the cursor and moves it on delivery.
    fn own_position(&self) -> Option<u64> {
        None
    }

    /// Makes what was delivered durable; called at shutdown.
    async fn flush(&self) -> Result<(), ExportError> {
        Ok(())
    }
}

/// Exchanges that travel together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Never empty; in the order of the journal.
    pub exchanges: &'a [Arc<Exchange>],
    /// Position in the journal after the last of them.
    pub next_position: u64,
}

/// What became of a batch that was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Entries the other side refused for good: index in the batch and its words. They count as dropped (`refused`).
    pub rejected: Vec<(usize, String)>,
}

/// Why a batch was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Worth trying again, not before `after` if the other side named a time.
    #[error("not delivered: {cause}")]
    Retry {
        /// As the other side asked (`Retry-After`).
        after: Option<Duration>,
        /// What happened.
        cause: String,
    },
    /// Will never succeed; the batch counts as dropped (`refused`).
    #[error("refused: {cause}")]
    Refused {
        /// What the other side said.
        cause: String,
    },
}
