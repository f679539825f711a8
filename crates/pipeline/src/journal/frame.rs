//! The layout of segment files: a header, then frames.
//!
//! Header: magic (8 bytes), position of the first record, end of the segment before it.
//! Frame: length of the body (4 bytes), CRC-32 of the body (4), body.
//! Body: position of its first record (8), time of writing in microseconds (8), number of records (4), length of the
//! source's name (2), the name, the records, each preceded by its length (4). All numbers are little-endian.

use bytes::{Buf, Bytes};
use weir_kit::Timestamp;

const MAGIC: &[u8; 8] = b"WEIRLOG1";

/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 24;

/// Bytes before the body of a frame.
pub(crate) const PREFIX_BYTES: usize = 8;

/// Bytes of a body before the source's name.
const FIXED_BODY_BYTES: usize = 22;

/// Largest body that a reader believes in.
pub(crate) const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// The first bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// Position of its first record.
    pub(crate) base: u64,
    /// Position after the last record of the segment before it. What lies there at or after this position was never
    /// acknowledged.
    pub(crate) previous_end: u64,
}

impl SegmentHeader {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.base.to_le_bytes());
        bytes[16..].copy_from_slice(&self.previous_end.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        Some(Self { base: rest.get_u64_le(), previous_end: rest.get_u64_le() })
    }
}

/// What is written before the records of a frame, which are framed as in [`crate::record::frame`].
pub(crate) fn head(first: u64, at: Timestamp, source: &str, count: u32, records: &[u8]) -> Vec<u8> {
    let name = &source.as_bytes()[..source.len().min(usize::from(u16::MAX))];
    let mut head = vec![0; PREFIX_BYTES];
    head.extend_from_slice(&first.to_le_bytes());
    head.extend_from_slice(&at.micros().to_le_bytes());
    head.extend_from_slice(&count.to_le_bytes());
    head.extend_from_slice(&(name.len() as u16).to_le_bytes());
    head.extend_from_slice(name);
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head[PREFIX_BYTES..]);
    sum.update(records);
    let length = (head.len() - PREFIX_BYTES + records.len()) as u32;
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4..PREFIX_BYTES].copy_from_slice(&sum.finalize().to_le_bytes());
    head
}

/// The first bytes of a frame: how long its body is and what it must sum up to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prefix {
    pub(crate) body_bytes: usize,
    crc: u32,
}

impl Prefix {
    /// `None` for a length that no frame has.
    pub(crate) fn from_bytes(bytes: [u8; PREFIX_BYTES]) -> Option<Self> {
        let mut rest = &bytes[..];
        let (body_bytes, crc) = (rest.get_u32_le() as usize, rest.get_u32_le());
        (FIXED_BODY_BYTES..=MAX_BODY_BYTES).contains(&body_bytes).then_some(Self { body_bytes, crc })
    }

    /// The frame with this body; `None` when the body is not what was written.
    pub(crate) fn frame(self, mut body: Bytes) -> Option<Frame> {
        if body.len() != self.body_bytes || crc32fast::hash(&body) != self.crc {
            return None;
        }
        let first = body.get_u64_le();
        let written_at = Timestamp::from_micros(body.get_i64_le());
        let count = body.get_u32_le();
        let name_bytes = usize::from(body.get_u16_le());
        if body.len() < name_bytes || first.checked_add(u64::from(count)).is_none() {
            return None;
        }
        let source = String::from_utf8_lossy(&body.split_to(name_bytes)).into_owned();
        Some(Frame { first, written_at, count, source, records: body })
    }
}

/// Records that were written together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Position of the first.
    pub(crate) first: u64,
    /// When they were written.
    pub(crate) written_at: Timestamp,
    /// How many there are.
    pub(crate) count: u32,
    /// Who offered them.
    pub(crate) source: String,
    /// The records, framed.
    pub(crate) records: Bytes,
}

impl Frame {
    /// Position after the last.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}
