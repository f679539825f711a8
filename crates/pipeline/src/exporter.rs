//! What sends exchanges somewhere. Queueing, batching, retries, filters and accounting are done once, around it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use weir_kit::{ConfigError, FieldSpec};
use weir_model::Exchange;

use crate::policy::Policy;

/// Sends batches to one place.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// Delivers one batch, or says why not. Called with one batch at a time, in the order of the journal.
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError>;

    /// Called once, when the target begins to run, inside the pipeline's runtime. What must run beside the deliveries (such
    /// as asking for remote settings) is started here and ends when the exporter and its policy are dropped.
    fn start(&self) {}

    /// What this exporter has to say about calls while they are under way; the gateway asks it on every call of the
    /// plugin's scope. Exporters built from equal settings must share what they learn at run time, because the gateway
    /// and the pipeline build one each.
    fn policy(&self) -> Option<Arc<dyn Policy>> {
        None
    }

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
    /// Entries left out because the other side wants no more than a sample; they count as dropped (`sampled`).
    pub sampled: usize,
}

impl Delivered {
    /// A batch that was sent whole, with what the other side refused of it.
    pub fn with_rejected(rejected: Vec<(usize, String)>) -> Self {
        Self { rejected, sampled: 0 }
    }
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

/// One kind of exporter that settings and gateway plugins can name.
pub struct ExporterKind {
    /// The name, which is also the plugin's name in the Admin API where the original was a Kong plugin.
    pub name: &'static str,
    /// Other plugin names that mean this one.
    pub aliases: &'static [&'static str],
    /// One line for people who choose: what is sent where.
    pub about: &'static str,
    /// Its settings, by their original names and units.
    pub fields: &'static [FieldSpec],
    /// Builds it from settings that [`weir_kit::schema::check`] has completed; does no IO.
    pub build: fn(Value) -> Result<Built, ConfigError>,
}

/// An exporter with what its settings ask of the pipeline and the gateway.
pub struct Built {
    /// The exporter.
    pub exporter: Box<dyn Exporter>,
    /// How to batch and retry for it.
    pub queue: QueueSettings,
    /// What the gateway must capture for it.
    pub capture: CaptureWish,
}

/// How exchanges are batched for a target and how failures are retried. Names are those of Kong's queues.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// Most exchanges in a batch.
    pub max_batch_size: usize,
    /// Most bytes in a batch (flat record size); a single larger exchange travels alone.
    pub max_batch_bytes: usize,
    /// How long a batch may wait to fill up, counted from its first exchange.
    pub max_coalescing_delay: Duration,
    /// How long a batch may wait for another exchange when none comes; `None`: as long as `max_coalescing_delay` allows.
    pub max_idle_delay: Option<Duration>,
    /// Wait after a first failure; doubles with jitter up to `max_retry_delay`.
    pub initial_retry_delay: Duration,
    /// Longest wait between attempts.
    pub max_retry_delay: Duration,
    /// Attempts for one batch before it is dropped (`retries`); `None`: for as long as the journal keeps it.
    pub max_attempts: Option<u32>,
    /// How long one attempt may take.
    pub timeout: Duration,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_batch_size: 1_000,
            max_batch_bytes: 16 * 1024 * 1024,
            max_coalescing_delay: Duration::from_secs(1),
            max_idle_delay: None,
            initial_retry_delay: Duration::from_millis(500),
            max_retry_delay: Duration::from_secs(60),
            max_attempts: None,
            timeout: Duration::from_secs(60),
        }
    }
}

/// What the gateway must capture for an exporter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaptureWish {
    /// Most bytes of each request body to keep; 0 for none.
    pub request_body_bytes: usize,
    /// Most bytes of each response body to keep; 0 for none.
    pub response_body_bytes: usize,
}
