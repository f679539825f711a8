//! Reading the journal from disk, for targets that lag.

use std::io;
use std::path::Path;
use std::sync::Arc;

use weir_kit::Timestamp;
use weir_model::Exchange;

use super::frame::Frame;
use super::segment::{self, Found, SegmentReader};
use crate::filter::Filter;
use crate::record;

/// Bytes of frames that one call reads at most, beyond a first frame.
const MAX_SCAN_BYTES: usize = 8 * 1024 * 1024;

/// An exchange read from the journal.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) written_at: Timestamp,
    pub(crate) exchange: Arc<Exchange>,
    /// Size of its record.
    pub(crate) bytes: usize,
}

/// How much a call may give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_items: usize,
    pub(crate) max_bytes: usize,
    /// Give the first item whatever its size.
    pub(crate) at_least_one: bool,
    /// Give nothing from this position on.
    pub(crate) before: u64,
}

impl Limits {
    /// Whether another item of this size may be added to `items` holding `bytes`.
    pub(super) fn allow(&self, items: usize, bytes: usize, size: usize) -> bool {
        items < self.max_items && (bytes + size <= self.max_bytes || (items == 0 && self.at_least_one))
    }
}

/// What a call gave.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) items: Vec<Item>,
    /// What is read next.
    pub(crate) next: u64,
    /// Whether something between the items could not be read.
    pub(crate) damaged: bool,
    /// Whether there was nothing more to read.
    pub(crate) caught_up: bool,
}

/// Keeps a segment open between calls.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    segment: SegmentReader,
    base: u64,
    frame: Option<Frame>,
    /// Position of the next record of the frame, or of the next frame.
    at: u64,
    /// Where in the frame it lies.
    offset: usize,
}

/// Which part of which segment to read.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) base: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Reader {
    /// Reads from one segment, as far as the limits allow. An error says that nothing could be tried.
    pub(crate) fn read(
        &mut self,
        directory: &Path,
        part: &Part,
        filter: &Filter,
        limits: Limits,
    ) -> io::Result<Chunk> {
        let mut chunk = Chunk { next: part.from, ..Chunk::default() };
        let keeps = |open: &Open| open.base == part.base && open.at == part.from;
        let mut open = match self.open.take().filter(keeps) {
            Some(open) => open,
            None => match open_segment(directory, part.base)? {
                Some(open) => open,
                None => {
                    tracing::error!(
                        segment = part.base,
                        "a segment of the journal is missing or has no header"
                    );
                    return Ok(Chunk { next: part.to, damaged: true, ..chunk });
                }
            },
        };
        if open.collect(part, filter, limits, &mut chunk) {
            chunk.next = part.to;
        } else {
            self.open = Some(open);
        }
        Ok(chunk)
    }
}

fn open_segment(directory: &Path, base: u64) -> io::Result<Option<Open>> {
    match SegmentReader::open(&segment::path(directory, base)) {
        Ok(Some(segment)) => Ok(Some(Open { segment, base, frame: None, at: base, offset: 0 })),
        Ok(None) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Open {
    /// Adds to the chunk what the limits allow; gives whether the segment has nothing more to give.
    fn collect(&mut self, part: &Part, filter: &Filter, limits: Limits, chunk: &mut Chunk) -> bool {
        let (mut bytes, mut scanned) = (0, 0);
        while chunk.next < part.to {
            if self.frame.is_none() {
                if scanned > MAX_SCAN_BYTES {
                    return false;
                }
                match self.next_frame(part, chunk) {
                    Some(size) => scanned += size,
                    None => return true,
                }
            }
            if !self.take_records(part, filter, limits, chunk, &mut bytes) {
                return false;
            }
        }
        false
    }

    /// Reads the next frame that matters; gives its size, or nothing when there is none.
    fn next_frame(&mut self, part: &Part, chunk: &mut Chunk) -> Option<usize> {
        loop {
            let frame = match self.segment.read() {
                Ok(Found::Frame(frame)) => frame,
                Ok(Found::Damage { go_on: true }) => {
                    tracing::error!(
                        segment = self.base,
                        position = self.at,
                        "a frame of the journal is damaged"
                    );
                    chunk.damaged = true;
                    continue;
                }
                Ok(Found::Damage { go_on: false } | Found::End) => {
                    tracing::error!(
                        segment = self.base,
                        position = self.at,
                        "the rest of a segment is damaged"
                    );
                    chunk.damaged = true;
                    return None;
                }
                Err(error) => {
                    tracing::error!(segment = self.base, position = self.at, %error, "could not read the journal");
                    chunk.damaged = true;
                    return None;
                }
            };
            if frame.end() <= part.from {
                continue;
            }
            if frame.first >= part.to {
                return None;
            }
            let size = frame.records.len();
            (self.at, self.offset) = (frame.first, 0);
            chunk.next = chunk.next.max(frame.first);
            self.frame = Some(frame);
            return Some(size);
        }
    }

    /// Takes records of the frame; gives whether the frame was used up.
    fn take_records(
        &mut self,
        part: &Part,
        filter: &Filter,
        limits: Limits,
        chunk: &mut Chunk,
        bytes: &mut usize,
    ) -> bool {
        let Some(frame) = &self.frame else { return true };
        for record in record::frames(frame.records.slice(self.offset..)) {
            if self.at >= part.to {
                return false;
            }
            let Ok(record) = record else {
                chunk.damaged = true;
                break;
            };
            let size = record.len();
            if self.at >= part.from && filter.matches_record(&record).unwrap_or(true) {
                if !limits.allow(chunk.items.len(), *bytes, size) {
                    return false;
                }
                match record::decode(record) {
                    Ok(exchange) => {
                        *bytes += size;
                        chunk.items.push(Item {
                            written_at: frame.written_at,
                            exchange: Arc::new(exchange),
                            bytes: size,
                        });
                    }
                    Err(error) => {
                        tracing::error!(position = self.at, %error, "a record of the journal cannot be read");
                        chunk.damaged = true;
                    }
                }
            }
            self.at += 1;
            self.offset += record::FRAME_BYTES + size;
            chunk.next = chunk.next.max(self.at);
        }
        self.at = frame.end();
        chunk.next = chunk.next.max(self.at);
        self.frame = None;
        true
    }
}

/// Counts the records of a part of a segment that a filter lets through.
pub(crate) fn count(directory: &Path, part: &Part, filter: &Filter) -> io::Result<u64> {
    let Some(open) = open_segment(directory, part.base)? else { return Ok(0) };
    let mut segment = open.segment;
    let mut matching = 0;
    loop {
        match segment.read()? {
            Found::Frame(frame) if frame.first >= part.to => return Ok(matching),
            Found::Frame(frame) => {
                for (position, record) in (frame.first..).zip(record::frames(frame.records)) {
                    let Ok(record) = record else { break };
                    let wanted = (part.from..part.to).contains(&position);
                    matching += u64::from(wanted && filter.matches_record(&record).unwrap_or(true));
                }
            }
            Found::Damage { go_on: true } => {}
            Found::Damage { go_on: false } | Found::End => return Ok(matching),
        }
    }
}
