//! Keeps what was learned of paths over a restart, so that endpoints have the same names as before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use weir_pipeline::Learned;

/// How often the file is brought up to date.
const INTERVAL: Duration = Duration::from_secs(60);

/// The file and what it holds.
pub struct PathsFile {
    /// To be shared with the step that learns.
    pub learned: Arc<Learned>,
    file: PathBuf,
    keeper: JoinHandle<()>,
}

impl PathsFile {
    /// Reads the file, if there is one, and keeps it up to date from now on.
    pub fn open(data_dir: &Path) -> Self {
        let file = data_dir.join("paths.tsv");
        // What was learned can be learned again: an unreadable file is no reason not to start.
        let known = fs::read_to_string(&file).unwrap_or_default();
        let learned = Arc::new(Learned::from_text(&known));
        let keeper = tokio::spawn(keep(file.clone(), learned.clone(), known));
        Self { learned, file, keeper }
    }

    /// Writes the file a last time.
    pub fn close(self) {
        self.keeper.abort();
        write(&self.file, &self.learned.to_text());
    }
}

async fn keep(file: PathBuf, learned: Arc<Learned>, mut written: String) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let known = learned.to_text();
        if known != written {
            write(&file, &known);
            written = known;
        }
    }
}

/// Replaces the file in one step, so that a crash leaves the old one or the new one.
fn write(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    let outcome = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file));
    if let Err(error) = outcome {
        tracing::warn!(file = %file.display(), %error, "what was learned of paths could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_learned_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let known = "default\tshop\t/users\tme\n";
        fs::write(folder.path().join("paths.tsv"), known).unwrap();
        PathsFile::open(folder.path()).close();
        let again = PathsFile::open(folder.path());
        assert_eq!(again.learned.to_text(), known);
    }
}
