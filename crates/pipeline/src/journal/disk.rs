//! The writing end of the journal's files.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

use weir_kit::Timestamp;

use super::frame::{HEADER_BYTES, SegmentHeader, head};
use super::segment::{self, Segment};
use super::state::Pending;

/// Appends groups of frames, each synced before the next begins.
#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    segment_bytes: u64,
    active: Option<(File, Segment)>,
    /// Position of the next record.
    next: u64,
    /// Position after the last record that was written.
    end: u64,
}

impl Disk {
    /// Goes on behind the last segment, if there is one.
    pub(super) fn new(
        directory: &Path,
        segment_bytes: u64,
        last: Option<Segment>,
        end: u64,
    ) -> io::Result<Self> {
        let active = match last {
            Some(last) => Some((segment::reopen(&segment::path(directory, last.base))?, last)),
            None => None,
        };
        Ok(Self { directory: directory.to_owned(), segment_bytes, active, next: end, end })
    }

    /// Writes and syncs a group; gives the segment it went to. After an error nothing of the group counts as written.
    pub(super) fn write<'p>(
        &mut self,
        group: impl Iterator<Item = &'p Pending>,
        at: Timestamp,
    ) -> io::Result<Segment> {
        let mut next = self.next;
        let frames: Vec<(Vec<u8>, &[u8])> = group
            .map(|pending| {
                let (first, count) = (next, pending.entries.len() as u32);
                next += u64::from(count);
                (head(first, at, &pending.source, count, &pending.records), pending.records.as_slice())
            })
            .collect();
        let outcome = self.append(&frames, next, at);
        if outcome.is_err() {
            self.abandon();
        }
        outcome
    }

    fn append(&mut self, frames: &[(Vec<u8>, &[u8])], next: u64, at: Timestamp) -> io::Result<Segment> {
        if self.active.as_ref().is_none_or(|(_, segment)| segment.bytes >= self.segment_bytes) {
            self.roll()?;
        }
        let Some((file, segment)) = &mut self.active else {
            return Err(io::Error::other("no segment is open"));
        };
        let mut slices: Vec<IoSlice<'_>> =
            frames.iter().flat_map(|(head, records)| [IoSlice::new(head), IoSlice::new(records)]).collect();
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        write_all(file, &mut slices)?;
        file.sync_data()?;
        segment.bytes += bytes as u64;
        segment.end = next;
        segment.oldest = segment.oldest.or(Some(at));
        (self.next, self.end) = (next, next);
        Ok(segment.clone())
    }

    /// Makes the next record lie at `position`, leaving a gap; gives the new segment.
    pub(super) fn skip_to(&mut self, position: u64) -> io::Result<Segment> {
        if position > self.next {
            self.next = position;
        }
        self.roll()
    }

    fn roll(&mut self) -> io::Result<Segment> {
        let header = SegmentHeader { base: self.next, previous_end: self.end };
        let file = segment::create(&self.directory, header)?;
        let segment = Segment { base: self.next, end: self.next, bytes: HEADER_BYTES as u64, oldest: None };
        self.active = Some((file, segment.clone()));
        Ok(segment)
    }

    /// After a failed write or sync nobody knows what the file holds behind the last synced frame: cut that off if the
    /// disk lets us, and go on in a new file, whose header says where this one ends.
    fn abandon(&mut self) {
        if let Some((file, segment)) = self.active.take()
            && let Err(error) = file.set_len(segment.bytes)
        {
            tracing::warn!(%error, segment = segment.base, "could not cut off a failed write of the journal");
        }
    }
}

/// Writes all of the pieces in a row, without bringing them together first.
fn write_all(file: &mut File, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Without the empty ones, so that nothing written means that nothing can be.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        match file.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut slices, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
