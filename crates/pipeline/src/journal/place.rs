//! How far a target got since the books were saved: a small file for each target, replaced around every batch.
//!
//! The books are saved, and synced, about once a second. That is enough for a machine that loses its power, but a process that
//! is killed would send the batches of its last second again. So the account of a target is also written here, without a sync,
//! when a batch sets out and when its fate is known. What is repeated after a kill is then one batch at most, and it is formed
//! again with the same exchanges, so that a receiver can recognise it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ledger::{Saved, SavedPlace, Target};

const PREFIX: &str = "target-";

/// What stands in a file, behind a checksum.
#[derive(Serialize, Deserialize)]
struct Document {
    name: String,
    account: Target,
}

/// The file of one target.
#[derive(Debug)]
pub(crate) struct PlaceFile {
    name: String,
    file: File,
}

impl PlaceFile {
    pub(super) fn open(directory: &Path, name: &str) -> io::Result<Self> {
        let file = File::options().create(true).write(true).truncate(false).open(path(directory, name))?;
        Ok(Self { name: name.to_owned(), file })
    }

    /// Replaces what the file says. A few hundred bytes that the system writes when it likes: handing them to a thread that
    /// may wait would cost more than writing them does.
    pub(crate) fn write(&self, account: Target) -> io::Result<()> {
        let json = serde_json::to_string(&Document { name: self.name.clone(), account })?;
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        self.file.write_all_at(line.as_bytes(), 0)
    }
}

/// Forgets a target.
pub(super) fn remove(directory: &Path, name: &str) {
    match std::fs::remove_file(path(directory, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, target_name = name, "could not remove the place of a target");
        }
        _ => {}
    }
}

/// Brings the books up to date with what the files of the targets know better.
pub(super) fn catch_up(directory: &Path, saved: &mut Saved) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Some(Document { name, account }) = parse(&std::fs::read(entry.path())?) else {
            tracing::warn!(file = ?entry.file_name(), "the place of a target cannot be read; its place in the books counts");
            continue;
        };
        let Some(known) = saved.targets.get_mut(&name) else {
            // It came after the books were saved.
            let place = Some(SavedPlace { keep: account.position, essential: false });
            saved.targets.insert(name, Target { place, ..account });
            continue;
        };
        if known.removed {
            continue;
        }
        if account.position > known.position {
            *known = Target { place: known.place, ..account };
        } else if account.position == known.position {
            known.on_its_way = account.on_its_way;
        }
    }
    Ok(())
}

/// A file that was being written when the power went is not believed.
fn parse(bytes: &[u8]) -> Option<Document> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    if sum == crc32fast::hash(json) { serde_json::from_slice(json).ok() } else { None }
}

/// Names of targets are anything; those of files are not.
fn path(directory: &Path, name: &str) -> PathBuf {
    let readable: String = name.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    directory.join(format!("{PREFIX}{readable}-{:08x}", crc32fast::hash(name.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(position: u64, delivered: u64) -> Target {
        Target { position, delivered, offered: delivered, ..Target::default() }
    }

    fn books(target: Target) -> Saved {
        Saved { targets: [("a/b".to_owned(), target)].into(), ..Saved::default() }
    }

    #[test]
    fn the_later_word_counts() {
        let directory = tempfile::tempdir().unwrap();
        let file = PlaceFile::open(directory.path(), "a/b").unwrap();
        file.write(Target { on_its_way: Some(30), ..account(20, 12) }).unwrap();
        file.write(Target { on_its_way: Some(9), ..account(5, 5) }).unwrap();

        let mut older = books(account(4, 4));
        catch_up(directory.path(), &mut older).unwrap();
        assert_eq!((older.targets["a/b"].delivered, older.targets["a/b"].on_its_way), (5, Some(9)));

        let mut same = books(Target { counted_to: 7, ..account(5, 5) });
        catch_up(directory.path(), &mut same).unwrap();
        assert_eq!((same.targets["a/b"].counted_to, same.targets["a/b"].on_its_way), (7, Some(9)));

        for known in [account(6, 6), Target { removed: true, ..account(4, 4) }] {
            let mut newer = books(known.clone());
            catch_up(directory.path(), &mut newer).unwrap();
            assert_eq!(newer.targets["a/b"], known);
        }

        let mut without = Saved::default();
        catch_up(directory.path(), &mut without).unwrap();
        let place = without.targets["a/b"].place;
        assert_eq!(
            place,
            Some(SavedPlace { keep: 5, essential: false }),
            "it came after the books were saved"
        );

        remove(directory.path(), "a/b");
        let mut gone = books(account(4, 4));
        catch_up(directory.path(), &mut gone).unwrap();
        assert_eq!(gone.targets["a/b"], account(4, 4));
    }

    #[test]
    fn a_torn_file_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "0", "00000000 {}\n", "zzzzzzzz {}", "00000000 {\"name\":\"a/b\"", "\u{fffd}\n"] {
            std::fs::write(path(directory.path(), "a/b"), text).unwrap();
            let mut saved = books(account(4, 4));
            catch_up(directory.path(), &mut saved).unwrap();
            assert_eq!(saved.targets["a/b"], account(4, 4), "{text:?}");
        }
    }
}
