//! What the writer, the readers and the intake share, and the decisions taken on it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use weir_kit::Timestamp;

use super::JournalSettings;
use super::segment::Segment;
use super::tail::{Entry, Tail};
use crate::filter::Filter;

/// Exchanges on their way into the journal: one frame.
pub(crate) struct Pending {
    pub(crate) source: String,
    pub(crate) entries: Vec<Entry>,
    /// The records of the entries, framed.
    pub(crate) records: Vec<u8>,
    /// Told when the frame is synced, or why it will never be. Without it the frame may wait.
    pub(crate) receipt: Option<oneshot::Sender<Result<(), String>>>,
}

impl Pending {
    pub(crate) fn count(&self) -> u64 {
        self.entries.len() as u64
    }
}

/// A reader's place in the journal.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    pub(crate) filter: Filter,
    /// What is read next.
    pub(crate) read: u64,
    /// What lies before it need not be kept for this reader.
    pub(crate) keep: u64,
    /// Whether the journal must refuse new records rather than drop what this reader still needs.
    pub(crate) essential: bool,
    pub(crate) mode: Mode,
}

/// What a cursor stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It only holds the place of a target that is not running; what it loses is counted when the target starts.
    Place,
    /// A target that is about to be fed: what is new is offered to it, what is old is being counted and must stay.
    Joining,
    /// A target that is fed.
    Live,
    /// A target that gets what it was offered, up to this position, and nothing new.
    Draining(u64),
}

impl Cursor {
    pub(super) fn is_offered_new(&self) -> bool {
        matches!(self.mode, Mode::Joining | Mode::Live)
    }

    /// Up to where it reads, in a journal that ends at `end`.
    pub(super) fn until(&self, end: u64) -> u64 {
        match self.mode {
            Mode::Draining(until) => until.min(end),
            _ => end,
        }
    }
}

/// When what is queued must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Now,
    At(Instant),
    Never,
}

/// What was queued since the last write.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    /// Since when anything waits.
    pub(super) first: Option<Instant>,
    /// Since when somebody waits for a receipt.
    pub(super) first_awaited: Option<Instant>,
    pub(super) bytes: usize,
}

impl Queued {
    /// Group commit as a pure function: a lone receipt is served at once, receipts that follow a write closely share the
    /// next one, and what nobody waits for is written when there is enough of it or it has waited long enough.
    pub(super) fn when(&self, settings: &JournalSettings, last_commit: Instant, closing: bool) -> When {
        let Some(first) = self.first else { return When::Never };
        if closing || self.bytes >= settings.group_bytes {
            return When::Now;
        }
        let relaxed = first + settings.eventual_delay;
        let awaited = self.first_awaited.map(|since| since.max(last_commit + settings.group_delay));
        When::At(awaited.map_or(relaxed, |awaited| awaited.min(relaxed)))
    }
}

/// What to do about old segments.
#[derive(Debug)]
pub(super) enum Retire {
    /// Every reader has passed it.
    Passed(u64),
    /// There is no room for it; these readers lose what they had not read of it.
    Drop { base: u64, lost: Vec<(String, Filter, Range<u64>)> },
    /// There is no room, and the oldest segment may not be dropped.
    Full,
    /// All is well.
    Nothing,
}

pub(crate) struct State {
    /// By base; the last one is being written.
    pub(crate) segments: BTreeMap<u64, Segment>,
    /// Position of the next record; everything before it is synced.
    pub(crate) end: u64,
    pub(crate) tail: Tail,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(super) queue: VecDeque<Pending>,
    pub(super) queued: Queued,
    /// Bytes queued or being written.
    pub(crate) queue_bytes: usize,
    /// Set when old segments may have become free.
    pub(super) tidy_wanted: bool,
    pub(super) skips: Vec<(u64, oneshot::Sender<Result<(), String>>)>,
    pub(crate) full: bool,
    /// Nothing new is taken.
    pub(crate) refusing: bool,
    /// The writer shall end.
    pub(super) closing: bool,
    pub(crate) last_failure: Option<(Timestamp, String)>,
}

impl State {
    pub(crate) fn new(segments: BTreeMap<u64, Segment>, end: u64, max_tail_bytes: usize) -> Self {
        Self {
            segments,
            end,
            tail: Tail::new(max_tail_bytes),
            cursors: BTreeMap::new(),
            queue: VecDeque::new(),
            queued: Queued::default(),
            queue_bytes: 0,
            tidy_wanted: false,
            skips: Vec::new(),
            full: false,
            refusing: false,
            closing: false,
            last_failure: None,
        }
    }

    /// Size of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Position of the oldest record still kept.
    pub(crate) fn oldest(&self) -> u64 {
        self.segments.keys().next().copied().unwrap_or(self.end)
    }

    /// Queues a frame; gives whether the writer must be woken for it.
    pub(super) fn enqueue(&mut self, pending: Pending, group_bytes: usize) -> bool {
        let (now, bytes) = (Instant::now(), pending.records.len());
        let awaited = pending.receipt.is_some();
        let wake = self.queued.first.is_none() || awaited || self.queued.bytes + bytes >= group_bytes;
        self.queued.first.get_or_insert(now);
        if awaited {
            self.queued.first_awaited.get_or_insert(now);
        }
        self.queued.bytes += bytes;
        self.queue_bytes += bytes;
        self.queue.push_back(pending);
        wake
    }

    /// Takes what is written as one group: all that is queued, unless that is more than a buffer should hold.
    pub(super) fn take_group(&mut self) -> VecDeque<Pending> {
        let mut bytes = 0;
        let fits = |pending: &&Pending| {
            let room = bytes < MAX_GROUP_BYTES;
            bytes += pending.records.len();
            room
        };
        let count = self.queue.iter().take_while(fits).count();
        let rest = self.queue.split_off(count);
        let group = std::mem::replace(&mut self.queue, rest);
        if self.queue.is_empty() {
            self.queued = Queued::default();
        } else {
            self.queued.bytes -= group.iter().map(|pending| pending.records.len()).sum::<usize>();
        }
        group
    }

    /// What to do about the oldest segment. A drop moves the readers past it.
    pub(super) fn retire(&mut self, max_bytes: u64) -> Retire {
        let Some((&base, oldest)) = self.segments.iter().next() else { return Retire::Nothing };
        let sealed = self.segments.len() > 1;
        let end = oldest.end;
        if sealed && self.cursors.values().all(|cursor| cursor.keep >= end) {
            return Retire::Passed(base);
        }
        if self.bytes() <= max_bytes {
            return Retire::Nothing;
        }
        let fixed = |cursor: &Cursor| cursor.essential || cursor.mode == Mode::Joining;
        if !sealed || self.cursors.values().any(|cursor| fixed(cursor) && cursor.keep < end) {
            return Retire::Full;
        }
        let mut lost = Vec::new();
        for (name, cursor) in &mut self.cursors {
            if cursor.read < end {
                if cursor.mode != Mode::Place {
                    lost.push((name.clone(), cursor.filter.clone(), cursor.read.max(base)..end));
                }
                cursor.read = end;
            }
            cursor.keep = cursor.keep.max(end);
        }
        Retire::Drop { base, lost }
    }

    /// Records between two positions that the journal still has.
    pub(crate) fn count(&self, range: &Range<u64>) -> u64 {
        self.overlapping(range).map(|part| part.1.end - part.1.start).sum()
    }

    /// The parts of a range that segments hold, by the base of the segment.
    pub(crate) fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (u64, Range<u64>)> {
        let (start, end) = (range.start, range.end);
        self.segments.values().filter_map(move |segment| {
            let part = segment.base.max(start)..segment.end.min(end);
            (part.start < part.end).then_some((segment.base, part))
        })
    }

    /// Lets go of exchanges that every reader has read.
    pub(super) fn trim_tail(&mut self) {
        let read =
            self.cursors.values().filter(|cursor| cursor.mode != Mode::Place).map(|cursor| cursor.read).min();
        let read = read.unwrap_or(self.end);
        self.tail.forget_before(read);
    }
}

/// Bytes after which a group takes no further frame.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

/// The longest the writer sleeps.
pub(super) const TIDY_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_written_when_somebody_waits_or_enough_has_come() {
        let settings = JournalSettings::in_directory("unused");
        let start = Instant::now() + Duration::from_secs(60);
        let at = |millis| start + Duration::from_millis(millis);
        let when = |first, awaited, bytes, last_commit, closing| {
            Queued { first, first_awaited: awaited, bytes }.when(&settings, last_commit, closing)
        };
        for (case, found, expected) in [
            ("nothing queued", when(None, None, 0, at(0), true), When::Never),
            ("nobody waits", when(Some(at(10)), None, 9, at(0), false), When::At(at(260))),
            ("a lone receipt", when(Some(at(10)), Some(at(10)), 9, at(0), false), When::At(at(10))),
            ("a receipt close behind", when(Some(at(2)), Some(at(2)), 9, at(0), false), When::At(at(5))),
            ("a receipt after others", when(Some(at(0)), Some(at(300)), 9, at(0), false), When::At(at(250))),
            ("enough", when(Some(at(10)), None, settings.group_bytes, at(0), false), When::Now),
            ("closing", when(Some(at(10)), None, 1, at(0), true), When::Now),
        ] {
            assert_eq!(found, expected, "{case}");
        }
    }

    fn state(bytes: u64) -> State {
        let segment = |base, end| Segment { base, end, bytes, oldest: None };
        let segments = [(0, segment(0, 10)), (10, segment(10, 20)), (30, segment(30, 30))];
        State::new(segments.into(), 30, 0)
    }

    fn cursor(read: u64, keep: u64, essential: bool) -> Cursor {
        Cursor { filter: Filter::All, read, keep, essential, mode: Mode::Live }
    }

    #[test]
    fn segments_go_when_all_have_passed_or_room_is_needed() {
        assert!(matches!(state(1).retire(100), Retire::Passed(0)), "nobody reads");

        let mut passed = state(1);
        passed.cursors.insert("a".into(), cursor(10, 10, false));
        assert!(matches!(passed.retire(100), Retire::Passed(0)));
        passed.cursors.insert("b".into(), cursor(10, 9, false));
        assert!(matches!(passed.retire(100), Retire::Nothing), "b is still at it");

        let mut crowded = state(50);
        crowded.cursors.insert("slow".into(), cursor(4, 2, false));
        crowded.cursors.insert("quick".into(), cursor(20, 20, false));
        let Retire::Drop { base: 0, lost } = crowded.retire(100) else { panic!("no drop") };
        assert_eq!(lost, [("slow".to_owned(), Filter::All, 4..10)]);
        assert_eq!((crowded.cursors["slow"].read, crowded.cursors["slow"].keep), (10, 10));

        let mut stuck = state(50);
        stuck.cursors.insert("store".into(), cursor(20, 2, true));
        assert!(matches!(stuck.retire(100), Retire::Full));
        assert!(matches!(stuck.retire(150), Retire::Nothing));
    }

    #[test]
    fn a_large_queue_is_written_in_several_groups() {
        let mut state = state(1);
        let frame = |bytes| Pending {
            source: String::new(),
            entries: Vec::new(),
            records: vec![0; bytes],
            receipt: None,
        };
        for bytes in [MAX_GROUP_BYTES - 1, 10, 20, 30] {
            state.enqueue(frame(bytes), 1);
        }
        assert_eq!(state.take_group().len(), 2);
        assert_eq!((state.queued.bytes, state.queued.first.is_some()), (50, true));
        assert_eq!(state.take_group().len(), 2);
        assert_eq!((state.queued.bytes, state.queued.first), (0, None));
        assert!(state.take_group().is_empty());
    }

    #[test]
    fn gaps_hold_no_records() {
        let state = state(1);
        assert_eq!(state.count(&(0..30)), 20);
        assert_eq!(state.count(&(5..12)), 7);
        assert_eq!(state.count(&(20..30)), 0);
        assert_eq!(state.overlapping(&(5..12)).collect::<Vec<_>>(), [(0, 5..10), (10, 10..12)]);
    }
}
