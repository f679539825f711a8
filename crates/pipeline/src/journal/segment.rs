//! Segment files: naming, creating, walking and repairing them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use weir_kit::Timestamp;

use super::frame::{Frame, HEADER_BYTES, PREFIX_BYTES, Prefix, SegmentHeader};

const SUFFIX: &str = ".segment";

/// A segment on disk.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// Position of its first record.
    pub(crate) base: u64,
    /// Position after its last record.
    pub(crate) end: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// When its first record was written.
    pub(crate) oldest: Option<Timestamp>,
}

/// The file of the segment that begins at `base`. Names sort like positions.
pub(crate) fn path(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}{SUFFIX}"))
}

/// The first positions of the segments in a directory, in order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let base = name
            .to_str()
            .and_then(|name| name.strip_suffix(SUFFIX))
            .and_then(|base| base.parse::<u64>().ok());
        bases.extend(base);
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Creates the file of a new segment; it is durable when this returns.
pub(crate) fn create(directory: &Path, header: SegmentHeader) -> io::Result<File> {
    let path = path(directory, header.base);
    // A file of this name can only hold records that were never acknowledged.
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    file.write_all(&header.to_bytes())?;
    file.sync_all()?;
    sync_directory(directory)?;
    Ok(file)
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Reads a segment frame by frame.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    /// Where the next frame begins.
    offset: u64,
    bytes: u64,
    pub(crate) header: SegmentHeader,
}

/// What lies at a place of a segment.
#[derive(Debug)]
pub(crate) enum Found {
    /// A frame.
    Frame(Frame),
    /// The end of the file.
    End,
    /// Bytes that are not a frame. The reader stands behind them when their length could be believed.
    Damage {
        /// Whether there is anything to try after them.
        go_on: bool,
    },
}

impl SegmentReader {
    /// Opens a segment; `None` when its header is not one.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut file = BufReader::with_capacity(256 * 1024, file);
        let mut header = [0; HEADER_BYTES];
        if bytes < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact(&mut header)?;
        let header = SegmentHeader::from_bytes(&header);
        Ok(header.map(|header| Self { file, offset: HEADER_BYTES as u64, bytes, header }))
    }

    /// Where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads what comes next.
    pub(crate) fn read(&mut self) -> io::Result<Found> {
        let mut prefix = [0; PREFIX_BYTES];
        let Some(prefix_end) = self.within(PREFIX_BYTES)? else { return Ok(self.tail()) };
        self.file.read_exact(&mut prefix)?;
        let prefix = Prefix::from_bytes(prefix);
        self.offset = prefix_end;
        let Some(prefix) = prefix else { return Ok(Found::Damage { go_on: false }) };
        let Some(end) = self.within(prefix.body_bytes)? else { return Ok(Found::Damage { go_on: false }) };
        let mut body = vec![0; prefix.body_bytes];
        self.file.read_exact(&mut body)?;
        self.offset = end;
        Ok(prefix.frame(Bytes::from(body)).map_or(Found::Damage { go_on: true }, Found::Frame))
    }

    /// The end of a piece of this length, when the file has it. The file may have grown since it was opened.
    fn within(&mut self, length: usize) -> io::Result<Option<u64>> {
        let end = self.offset + length as u64;
        if end > self.bytes {
            self.bytes = self.file.get_ref().metadata()?.len();
        }
        Ok((end <= self.bytes).then_some(end))
    }

    fn tail(&mut self) -> Found {
        if self.offset == self.bytes { Found::End } else { Found::Damage { go_on: false } }
    }
}

/// What was found in the last segment after a start.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segment: Segment,
    /// Bytes at its end that were no frames and have been cut off.
    pub(crate) cut: u64,
}

/// Walks the last segment up to the first byte that is not part of a whole frame, and cuts off the rest. `None` when not
/// even its header is whole: the file holds nothing and can go.
pub(crate) fn recover(path: &Path) -> io::Result<Option<Recovered>> {
    let Some(mut reader) = SegmentReader::open(path)? else { return Ok(None) };
    let base = reader.header.base;
    let mut segment = Segment { base, end: base, bytes: HEADER_BYTES as u64, oldest: None };
    // Frames lie one behind the other; one that continues elsewhere is a remnant.
    while let Found::Frame(frame) = reader.read()? {
        if frame.first != segment.end {
            break;
        }
        segment.end = frame.end();
        segment.bytes = reader.offset();
        segment.oldest = segment.oldest.or(Some(frame.written_at));
    }
    let file = OpenOptions::new().write(true).open(path)?;
    let cut = file.metadata()?.len() - segment.bytes;
    if cut > 0 {
        file.set_len(segment.bytes)?;
        file.sync_all()?;
    }
    Ok(Some(Recovered { segment, cut }))
}

/// Opens a segment to go on writing at its end.
pub(crate) fn reopen(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}
