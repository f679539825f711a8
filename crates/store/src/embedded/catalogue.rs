//! The list of partitions: a small file, replaced whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_kit::Timestamp;

use super::partition::trouble;
use crate::{Position, StoreError};

const FILE: &str = "catalogue.json";
const VERSION: u32 = 1;

/// The partitions in the order they were made; the last one is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Catalogue {
    version: u32,
    /// Input up to here is durable or was removed on purpose, whatever partitions remain.
    pub(super) position: Position,
    /// The number in the name of the next partition.
    pub(super) next: u64,
    pub(super) partitions: Vec<Entry>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The name of its directory.
    pub(super) name: String,
    /// What it holds, once nothing is added any more.
    pub(super) sealed: Option<Sealed>,
}

/// What a partition holds, so that it need not be opened to be passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) exchanges: u64,
    pub(super) bytes: u64,
    pub(super) oldest: Timestamp,
    pub(super) newest: Timestamp,
    /// The least and the largest upper half of an id.
    pub(super) ids: (u64, u64),
}

impl Default for Catalogue {
    fn default() -> Self {
        Self { version: VERSION, position: 0, next: 1, partitions: Vec::new() }
    }
}

impl Catalogue {
    /// The catalogue in this directory; an empty one when there is none.
    pub(super) fn load(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path).map_err(trouble)?;
        let catalogue: Self = serde_json::from_slice(&text)
            .map_err(|error| trouble(format!("{} cannot be read: {error}", path.display())))?;
        if catalogue.version != VERSION {
            return Err(trouble(format!(
                "{} is of version {}; this release reads version {VERSION} only",
                path.display(),
                catalogue.version
            )));
        }
        Ok(catalogue)
    }

    /// Adds the partition that is open from now on.
    pub(super) fn list(&mut self, name: &str) {
        self.next += 1;
        self.partitions.push(Entry { name: name.to_owned(), sealed: None });
    }

    /// Replaces the catalogue; a crash leaves the old one or the new one.
    pub(super) fn save(&self, directory: &Path) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(self).map_err(trouble)?;
        let new = directory.join("catalogue.new");
        let mut file = File::create(&new).map_err(trouble)?;
        file.write_all(&text).map_err(trouble)?;
        file.sync_all().map_err(trouble)?;
        fs::rename(&new, directory.join(FILE)).map_err(trouble)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(trouble)
    }
}
