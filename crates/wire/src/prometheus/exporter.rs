//! Counts batches, and shows the counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinHandle;
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use super::config::Config;
use super::listener;
use super::metrics::Metrics;
use crate::parts::record::{self, RecordOptions};

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    if !config.listen_address.contains(':') {
        let message = format!("{:?} is not host:port", config.listen_address);
        return Err(ConfigError::one("listen_address", message));
    }
    let path = if config.path.starts_with('/') { config.path.clone() } else { format!("/{}", config.path) };
    let exporter = Prometheus {
        metrics: Arc::new(Mutex::new(Metrics::new(config.specs()?, config.track_all_paths))),
        address: config.listen_address,
        path,
        listening: Mutex::default(),
    };
    Ok(Built {
        exporter: Box::new(exporter),
        queue: QueueSettings::default(),
        capture: CaptureWish::default(),
    })
}

struct Prometheus {
    metrics: Arc<Mutex<Metrics>>,
    address: String,
    path: String,
    listening: Mutex<Option<JoinHandle<()>>>,
}

#[async_trait]
impl Exporter for Prometheus {
    fn start(&self) {
        let metrics = self.metrics.clone();
        let page = Arc::new(move || lock(&metrics).text());
        let task = tokio::spawn(listener::serve(self.address.clone(), self.path.clone(), page));
        if let Some(earlier) = lock(&self.listening).replace(task) {
            earlier.abort();
        }
    }

    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let options = RecordOptions::default();
        let mut metrics = lock(&self.metrics);
        for entry in record::entries(batch.exchanges, &options) {
            metrics.add(&entry.record, entry.weight);
        }
        Ok(Delivered::default())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.listening).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
