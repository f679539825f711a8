//! `run.json` in the data folder: where the running weir listens, for scripts and tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

/// The file and what goes into it.
pub struct RunFile {
    path: PathBuf,
    /// Address by role: `proxy`, `proxy_tls`, `admin`, `server`.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
}

impl RunFile {
    /// A file that is not written yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("run.json"), addresses: BTreeMap::new() }
    }

    /// Writes the file in one step, so that a reader sees all of it or none.
    pub fn write(&self) -> Result<()> {
        let mut document = json!({ "process_id": std::process::id() });
        for (role, address) in &self.addresses {
            tracing::info!(role, %address, "listening");
            document[role] = json!(address.to_string());
        }
        let aside = self.path.with_extension("json.new");
        std::fs::write(&aside, document.to_string())
            .and_then(|()| std::fs::rename(&aside, &self.path))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the file at a clean stop.
    pub fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(file = %self.path.display(), %error, "cannot be removed");
        }
    }
}
