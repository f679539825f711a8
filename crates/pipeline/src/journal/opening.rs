//! Taking up the journal where the last run left it.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use weir_model::ExchangeId;

use super::OpenError;
use super::segment::{self, Segment};
use super::state::{Cursor, Mode, State};
use crate::filter::Filter;
use crate::ledger::{Ledger, Saved, SavedPlace};
use crate::record;

pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let unusable = |error| OpenError::Unusable { directory: directory.to_owned(), error };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("lock"))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Finds the segments of a directory and where the journal goes on. Whatever was written after the last whole frame of the
/// last segment is cut off.
pub(super) fn recover(directory: &Path) -> io::Result<(BTreeMap<u64, Segment>, u64)> {
    let mut bases = segment::list(directory)?;
    let mut segments = BTreeMap::new();
    let mut end = 0;
    while let Some(base) = bases.pop() {
        let path = segment::path(directory, base);
        match segment::recover(&path)? {
            Some(recovered) => {
                if recovered.cut > 0 {
                    tracing::warn!(
                        cut = recovered.cut,
                        segment = base,
                        "an unfinished write was cut off the journal"
                    );
                }
                end = recovered.segment.end;
                segments.insert(base, recovered.segment);
                break;
            }
            // The crash came while the segment was being created.
            None => std::fs::remove_file(&path)?,
        }
    }
    // Earlier segments are known by the header of the one after them; they are not read now.
    while let (Some(base), Some(next)) = (bases.pop(), segments.keys().next().copied()) {
        let path = segment::path(directory, base);
        let previous_end = segment::SegmentReader::open(&segment::path(directory, next))?
            .map_or(next, |reader| reader.header.previous_end);
        let mut segment = Segment {
            base,
            end: previous_end.clamp(base, next),
            bytes: path.metadata()?.len(),
            oldest: None,
        };
        if let Some(mut reader) = segment::SegmentReader::open(&path)?
            && let segment::Found::Frame(frame) = reader.read()?
        {
            segment.oldest = Some(frame.written_at);
        }
        segments.insert(base, segment);
    }
    Ok((segments, end))
}

/// Adds to the sources' accounts what reached the journal after the books were last saved.
pub(super) fn replay_sources(
    directory: &Path,
    state: &State,
    saved: &Saved,
    ledger: &Ledger,
) -> io::Result<()> {
    ledger.restore(saved.clone());
    for (base, part) in state.overlapping(&(saved.end..state.end)) {
        let Some(mut reader) = segment::SegmentReader::open(&segment::path(directory, base))? else {
            continue;
        };
        loop {
            match reader.read()? {
                segment::Found::Frame(frame) if frame.first >= part.end => break,
                segment::Found::Frame(frame) if frame.end() > part.start => {
                    ledger.offered(&frame.source, u64::from(frame.count));
                    ledger.accepted(&frame.source, u64::from(frame.count));
                }
                segment::Found::Frame(_) | segment::Found::Damage { go_on: true } => {}
                segment::Found::Damage { go_on: false } | segment::Found::End => break,
            }
        }
    }
    Ok(())
}

/// The id of the newest record of a source, looked for in the last two segments: a source that must know what of its own is
/// here asks about what it offered just before it ended.
pub(super) fn newest_of(directory: &Path, bases: &[u64], source: &str) -> io::Result<Option<ExchangeId>> {
    for base in bases.iter().rev().take(2) {
        let Some(mut reader) = segment::SegmentReader::open(&segment::path(directory, *base))? else {
            continue;
        };
        let mut newest = None;
        loop {
            match reader.read()? {
                segment::Found::Frame(frame) if frame.source == source => newest = Some(frame.records),
                segment::Found::Frame(_) | segment::Found::Damage { go_on: true } => {}
                segment::Found::Damage { go_on: false } | segment::Found::End => break,
            }
        }
        let last = newest.and_then(|records| record::frames(records).filter_map(Result::ok).last());
        if let Some(exchange) = last.and_then(|record| record::decode(record).ok()) {
            return Ok(Some(exchange.id));
        }
    }
    Ok(None)
}

/// Keeps what the targets of the last run have not had, until they are added again.
pub(super) fn hold_places(state: &mut State, ledger: &Ledger) {
    for (name, SavedPlace { keep, essential }) in ledger.places() {
        let cursor = Cursor { filter: Filter::All, read: keep, keep, essential, mode: Mode::Place };
        state.cursors.insert(name, cursor);
    }
}
