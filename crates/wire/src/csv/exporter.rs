//! Appends batches to the file of the hour.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::file::Appending;
use super::row::{self, HEADER, MONTHS};
use crate::parts::record::{self, RECORD, RecordOptions};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        ..FieldSpec::new("csv_dir", FieldKind::Text, "folder of the files; made when it is missing")
    },
    RECORD,
];

/// Size of a line without dumps, for the room that lines are given at first.
const USUAL_LINE_BYTES: usize = 512;

/// Most records that are written and synced at once: as many as the pump reads at once.
const BATCH: usize = 2_000;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    csv_dir: PathBuf,
    record: RecordOptions,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    if config.csv_dir.as_os_str().is_empty() {
        return Err(ConfigError::one("csv_dir", weir_kit::schema::REQUIRED));
    }
    let capture = config.record.capture();
    let exporter = Csv { folder: config.csv_dir, options: config.record, open: Arc::default() };
    let queue = QueueSettings { max_batch_size: BATCH, ..QueueSettings::default() };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

#[derive(Debug)]
struct Csv {
    folder: PathBuf,
    options: RecordOptions,
    /// The file of the hour. Its lock is held only while writing, on a thread that may wait.
    open: Arc<Mutex<Option<Appending>>>,
}

#[async_trait]
impl Exporter for Csv {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let mut lines = String::with_capacity(batch.exchanges.len() * USUAL_LINE_BYTES);
        record::entries(batch.exchanges, &self.options)
            .for_each(|entry| row::write(&entry.record, &mut lines));
        let (folder, open) = (self.folder.clone(), self.open.clone());
        let failed = |cause: String| ExportError::Retry { after: None, cause };
        let path = folder.join(file_name(&jiff::Zoned::now()));
        let shown = path.display().to_string();
        let write = move || {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            let same = open.take().filter(|file| file.path() == path && file.is_in_place());
            let mut file = match same {
                Some(file) => file,
                None => {
                    fs::create_dir_all(&folder)?;
                    Appending::open(&path, HEADER)?
                }
            };
            file.append(&lines)?;
            *open = Some(file);
            Ok::<(), std::io::Error>(())
        };
        let written = tokio::task::spawn_blocking(write).await;
        written
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(format!("{shown}: {error}")))?;
        Ok(Delivered::default())
    }
}

/// `2026-November-20-11.csv`, without padding, by the local time of writing.
fn file_name(now: &jiff::Zoned) -> String {
    let month = MONTHS.get(usize::from(now.month().unsigned_abs()) - 1).copied().unwrap_or_default();
    format!("{}-{month}-{}-{}.csv", now.year(), now.day(), now.hour())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use weir_kit::Timestamp;
    use weir_model::{Exchange, ExchangeId, Request};

    use super::*;

    fn exchange(number: i64) -> Arc<Exchange> {
        let at = Timestamp::from_seconds(1_795_175_537 + number);
        let request =
            Request { method: "GET".into(), path: format!("/{number}").into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::new(at), at, request))
    }

    #[test]
    fn files_are_named_by_the_hour_without_padding() {
        let at: jiff::Timestamp = "2026-11-05T03:04:05Z".parse().unwrap();
        assert_eq!(file_name(&at.to_zoned(jiff::tz::TimeZone::UTC)), "2026-November-5-3.csv");
    }

    #[tokio::test]
    async fn batches_are_appended_and_a_lost_folder_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("deep/csv");
        let built = build(json!({"csv_dir": target})).unwrap();
        let batch = [exchange(1), exchange(2)];
        for _ in 0..2 {
            built.exporter.export(&Batch { exchanges: &batch, next_position: 2 }).await.unwrap();
        }
        let lines = || -> usize {
            let files = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().path());
            files.map(|path| fs::read_to_string(path).unwrap().lines().skip(1).count()).sum()
        };
        assert_eq!(lines(), 4);
        fs::remove_dir_all(&target).unwrap();
        built.exporter.export(&Batch { exchanges: &batch, next_position: 2 }).await.unwrap();
        assert_eq!(lines(), 2);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let built = build(json!({"csv_dir": file.join("csv")})).unwrap();
        let batch = [exchange(1)];
        let outcome = built.exporter.export(&Batch { exchanges: &batch, next_position: 1 }).await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "{outcome:?}");
    }
}
