//! The store as a target of the pipeline, and its housekeeping.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use weir_kit::{Clock, SystemClock, priority};
use weir_pipeline::{Batch, Delivered, ExportError, Exporter};
use weir_store::embedded::{EmbeddedSettings, EmbeddedStore};
use weir_store::memory::MemoryStore;
use weir_store::{Store, StoreError};

use crate::settings::{self, Settings, StoreKind};

/// How often retention is looked after.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(60);

/// Opens the store that the settings name.
pub async fn open(settings: &Settings) -> Result<Arc<dyn Store>> {
    Ok(match settings.store.kind {
        StoreKind::Memory => Arc::new(MemoryStore::default()),
        StoreKind::Embedded => {
            let mut embedded = EmbeddedSettings::new(settings.data_dir.join("store"));
            embedded.writer_bytes = settings.store.writer_memory;
            embedded.commit_interval = settings.store.commit_interval;
            // The journal keeps what is not committed. A small one would be full, and refuse, before a commit of full size.
            embedded.commit_bytes = embedded.commit_bytes.min(settings.journal.max_bytes / 4);
            // Indexing is the dear part of the program; when the machine is full, calls go first. The store's threads
            // inherit this from the one that opens it.
            let opened = std::thread::spawn(|| {
                priority::step_back();
                EmbeddedStore::open(embedded)
            });
            let joined = tokio::task::spawn_blocking(|| opened.join()).await?;
            Arc::new(joined.map_err(|_| anyhow::anyhow!("the store panicked while it was opened"))??)
        }
    })
}

/// The store, fed like every target; its place in the journal is in its own commits.
pub struct StoreExporter(pub Arc<dyn Store>);

#[async_trait]
impl Exporter for StoreExporter {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        self.0.append(batch.exchanges, batch.next_position).await.map_err(retry)?;
        Ok(Delivered::default())
    }

    fn own_position(&self) -> Option<u64> {
        Some(self.0.durable_position())
    }

    async fn flush(&self) -> Result<(), ExportError> {
        self.0.flush().await.map_err(retry)
    }
}

/// A store never refuses: what it cannot take now stays in the journal.
fn retry(error: StoreError) -> ExportError {
    ExportError::Retry { after: None, cause: error.to_string() }
}

/// Removes what is older or larger than the settings allow, until aborted.
pub async fn keep_house(store: Arc<dyn Store>, settings: settings::Store) {
    let mut every = tokio::time::interval(HOUSEKEEPING_EVERY);
    loop {
        every.tick().await;
        let before = SystemClock.now() - settings.retention;
        match store.expire(before).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, %before, "exchanges past their retention removed"),
            Err(error) => tracing::error!(%error, "retention by age failed"),
        }
        match store.shrink(settings.max_bytes).await {
            Ok(0) => {}
            Ok(removed) => {
                tracing::warn!(removed, max_bytes = settings.max_bytes, "oldest exchanges removed for room");
            }
            Err(error) => tracing::error!(%error, "retention by size failed"),
        }
    }
}
