//! Appending to a file so that a crash at any instant leaves no torn line in it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The file that is being written.
#[derive(Debug)]
pub(super) struct Appending {
    path: PathBuf,
    file: File,
    /// Everything before it is synced.
    length: u64,
}

impl Appending {
    /// Opens a file, cuts off a line that a crash has torn, and begins an empty file with the header.
    pub(super) fn open(path: &Path, header: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut length = complete_length(&mut file)?;
        file.set_len(length)?;
        if length == 0 {
            file.write_all(header.as_bytes())?;
            length = header.len() as u64;
        }
        file.sync_all()?;
        // The name of a new file is durable when its folder is.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, length })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is still the one that has this name; it is not after somebody moved or removed it.
    pub(super) fn is_in_place(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| found.len() == self.length)
    }

    /// Writes lines and waits until they are on disk; on failure nothing of them is left.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.length)?;
                Err(error)
            }
        }
    }
}

/// Bytes up to the end of the last complete line. A line end within quotes belongs to its field.
fn complete_length(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let mut buffer = vec![0; 64 * 1024];
    let (mut read, mut complete, mut quoted) = (0, 0, false);
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(complete);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        for at in memchr::memchr2_iter(b'"', b'\n', bytes) {
            match bytes.get(at) {
                Some(b'"') => quoted = !quoted,
                _ if !quoted => complete = read + at as u64 + 1,
                _ => {}
            }
        }
        read += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str, lines: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        fs::write(&path, before).unwrap();
        Appending::open(&path, "a,b\n").unwrap().append(lines).unwrap();
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn a_new_file_begins_with_the_header() {
        assert_eq!(after("", "1,2\n"), "a,b\n1,2\n");
        assert_eq!(after("a,b\n1,2\n", "3,4\n"), "a,b\n1,2\n3,4\n");
    }

    #[test]
    fn a_torn_line_is_cut_off() {
        assert_eq!(after("a,b\n1,2\n3", "5,6\n"), "a,b\n1,2\n5,6\n");
        assert_eq!(after("a,b\n1,\"x\ny\"\n3,\"x\ny", "5,6\n"), "a,b\n1,\"x\ny\"\n5,6\n");
        assert_eq!(after("a,", "5,6\n"), "a,b\n5,6\n");
    }

    #[test]
    fn a_file_that_was_moved_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let mut file = Appending::open(&path, "a,b\n").unwrap();
        file.append("1,2\n").unwrap();
        assert!(file.is_in_place());
        fs::rename(&path, folder.path().join("b.csv")).unwrap();
        assert!(!file.is_in_place());
    }
}
