//! What is no record is set aside, to be looked at: in a file of limited size, and the one before it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use weir_kit::{Clock, SystemClock};

/// A file that is larger becomes the one before; together they never hold much more than twice as much.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Most bytes of one value that are kept.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// A value that is no record.
#[derive(Debug)]
pub(super) struct Unused {
    /// The list it was in.
    pub(super) list: String,
    /// Why it is none.
    pub(super) reason: String,
    /// Its bytes; empty when it was too large to be read.
    pub(super) bytes: Vec<u8>,
}

/// Appends values to `set-aside.ndjson` in this folder, on disk when it returns. Called from where blocking is allowed.
pub(super) fn set_aside(directory: &Path, values: &[Unused]) -> io::Result<()> {
    let mut lines = String::new();
    for value in values {
        let kept = value.bytes.get(..MAX_VALUE_BYTES).unwrap_or(&value.bytes);
        let line = json!({"time": SystemClock.now(), "list": value.list, "reason": value.reason,
            "size": value.bytes.len(), "bytes": STANDARD.encode(kept)});
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let path = file(directory);
    if fs::metadata(&path).is_ok_and(|file| file.len() > MAX_FILE_BYTES) {
        fs::rename(&path, directory.join("set-aside.before.ndjson"))?;
    }
    let mut open: File = OpenOptions::new().create(true).append(true).open(&path)?;
    open.write_all(lines.as_bytes())?;
    open.sync_data()
}

pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("set-aside.ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_small() {
        let folder = tempfile::tempdir().unwrap();
        let value = || Unused { list: "l".into(), reason: "r".into(), bytes: vec![7; 100_000] };
        set_aside(folder.path(), &[value()]).unwrap();
        let line: serde_json::Value =
            serde_json::from_slice(&fs::read(file(folder.path())).unwrap()).unwrap();
        assert_eq!((line["size"].as_u64(), line["list"].as_str()), (Some(100_000), Some("l")));
        let many: Vec<Unused> = (0..100).map(|_| value()).collect();
        for _ in 0..6 {
            set_aside(folder.path(), &many).unwrap();
        }
        let sizes = ["set-aside.ndjson", "set-aside.before.ndjson"]
            .map(|name| fs::metadata(folder.path().join(name)).unwrap().len());
        assert!(sizes.iter().sum::<u64>() < 52 << 20, "{sizes:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
