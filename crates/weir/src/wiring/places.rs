//! The database of places, read at start and again when its file changes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_pipeline::Places;

use crate::settings::Identify;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Reads the database, where there is one.
pub fn open(settings: &Identify) -> Result<Option<Arc<Places>>> {
    let file = settings.geo_database.as_deref();
    let places = file.map(Places::open).transpose().context("identify.geo_database")?;
    Ok(places.map(Arc::new))
}

/// Takes a newer file into use, for ever.
pub async fn keep_current(places: Arc<Places>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let reading = Arc::clone(&places);
        match tokio::task::spawn_blocking(move || reading.refresh()).await {
            Ok(Ok(true)) => tracing::info!("a newer database of places is in use"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database of places is not read again; the last one stays")
            }
            Err(error) => tracing::error!(%error, "reading the database of places failed"),
        }
    }
}
