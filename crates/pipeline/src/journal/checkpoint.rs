//! The books on disk: one small file beside the segments, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::segment::sync_directory;
use crate::ledger::{Saved, Source, Target};

const NAME: &str = "ledger.json";
const NEW_NAME: &str = "ledger.json.new";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    end: u64,
    sources: BTreeMap<String, Source>,
    targets: BTreeMap<String, Target>,
}

/// Replaces the file; it is durable when this returns.
pub(super) fn save(directory: &Path, saved: &Saved) -> io::Result<()> {
    let Saved { end, sources, targets } = saved.clone();
    let text = serde_json::to_vec_pretty(&Document { version: VERSION, end, sources, targets })?;
    let new = directory.join(NEW_NAME);
    let mut file = File::create(&new)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&new, directory.join(NAME))?;
    sync_directory(directory)
}

/// Reads the file; `None` when there is none yet.
pub(super) fn load(directory: &Path) -> io::Result<Option<Saved>> {
    let text = match std::fs::read(directory.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Document { version, end, sources, targets } = serde_json::from_slice(&text)?;
    if version != VERSION {
        let message = format!("{NAME} is of version {version}, this weir reads version {VERSION}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(Saved { end, sources, targets }))
}
