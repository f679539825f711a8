//! When a batch goes and what follows an attempt: plain functions of what is known.

use std::time::Duration;

use tokio::time::Instant;
use weir_kit::Backoff;

use crate::exporter::{Delivered, ExportError, QueueSettings};
use crate::ledger::reason;

/// After how many panics over the same batch it is given up.
const MAX_PANICS: u32 = 3;

/// What is known of a batch that is being filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling {
    pub(super) count: usize,
    pub(super) bytes: usize,
    /// When its first exchange was read.
    pub(super) first_at: Option<Instant>,
    /// When its last exchange was read.
    pub(super) last_at: Option<Instant>,
    /// Whether everything that the journal has is read.
    pub(super) caught_up: bool,
    /// Whether nothing more is to come.
    pub(super) last: bool,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    Now,
    At(Instant),
    /// It is empty: wait for something.
    Wait,
}

/// When a batch goes: when it is full, when it or its last exchange has waited long enough, or when nothing more will come.
pub(super) fn flush(filling: Filling, queue: &QueueSettings, now: Instant) -> Flush {
    let Some(first_at) = filling.first_at else { return Flush::Wait };
    let full = filling.count >= queue.max_batch_size || filling.bytes >= queue.max_batch_bytes;
    // There is more, and it did not fit.
    let crowded = !filling.caught_up;
    let idle = queue.max_idle_delay.zip(filling.last_at).map(|(delay, last_at)| last_at + delay);
    let oldest = first_at + queue.max_coalescing_delay;
    let due = idle.map_or(oldest, |idle| idle.min(oldest));
    if full || crowded || filling.last || due <= now { Flush::Now } else { Flush::At(due) }
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Attempt {
    Answered(Result<Delivered, ExportError>),
    TimedOut,
    Panicked(String),
}

/// Attempts with one batch that failed so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failures {
    count: u32,
    panics: u32,
}

/// What follows an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The batch was taken, save for these indexes, which are in order and occur once, and for as many as were left out
    /// by sampling.
    Done { rejected: Vec<usize>, sampled: usize, message: Option<String> },
    /// The batch is given up.
    GiveUp { reason: &'static str, message: String },
    /// The same again after a while.
    Retry { after: Duration, message: String },
}

impl Failures {
    /// Decides what follows an attempt with a batch of `size`; `random` lies in `0.0..1.0`.
    pub(super) fn next(&mut self, attempt: Attempt, size: usize, queue: &QueueSettings, random: f64) -> Next {
        let (wished, message) = match attempt {
            Attempt::Answered(Ok(delivered)) => return done(delivered, size),
            Attempt::Answered(Err(ExportError::Refused { cause })) => {
                return Next::GiveUp { reason: reason::REFUSED, message: cause };
            }
            Attempt::Answered(Err(ExportError::Retry { after, cause })) => (after, cause),
            Attempt::TimedOut => (None, format!("no answer within {:?}", queue.timeout)),
            Attempt::Panicked(message) => {
                self.panics += 1;
                if self.panics >= MAX_PANICS {
                    return Next::GiveUp { reason: reason::EXPORTER_FAILED, message };
                }
                (None, message)
            }
        };
        self.count = self.count.saturating_add(1);
        if queue.max_attempts.is_some_and(|max| self.count >= max.max(1)) {
            return Next::GiveUp { reason: reason::RETRIES, message };
        }
        let backoff = Backoff { initial: queue.initial_retry_delay, max: queue.max_retry_delay };
        let own = backoff.delay(self.count, random);
        // The other side may ask for more patience than we would have, but not for a standstill.
        let longest = queue.max_retry_delay.max(Duration::from_secs(60));
        Next::Retry { after: wished.map_or(own, |wished| wished.clamp(own, longest)), message }
    }
}

fn done(delivered: Delivered, size: usize) -> Next {
    let message = delivered.rejected.first().map(|(index, words)| {
        format!("{} of {size} entries refused, first entry {index}: {words}", delivered.rejected.len())
    });
    let mut rejected: Vec<usize> =
        delivered.rejected.into_iter().map(|(index, _)| index).filter(|index| *index < size).collect();
    rejected.sort_unstable();
    rejected.dedup();
    let sampled = delivered.sampled.min(size - rejected.len());
    Next::Done { rejected, sampled, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> QueueSettings {
        QueueSettings {
            max_batch_size: 10,
            max_batch_bytes: 1000,
            max_coalescing_delay: Duration::from_secs(1),
            max_idle_delay: None,
            initial_retry_delay: Duration::from_millis(100),
            max_retry_delay: Duration::from_secs(2),
            max_attempts: Some(3),
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_old() {
        let start = Instant::now();
        let filling = |count, bytes, caught_up, last| Filling {
            count,
            bytes,
            first_at: (count > 0).then_some(start),
            last_at: (count > 0).then_some(start),
            caught_up,
            last,
        };
        let later = start + Duration::from_millis(900);
        let due = start + Duration::from_secs(1);
        for (case, filling, now, expected) in [
            ("empty", filling(0, 0, true, true), due, Flush::Wait),
            ("young", filling(1, 9, true, false), later, Flush::At(due)),
            ("old", filling(1, 9, true, false), due, Flush::Now),
            ("full by count", filling(10, 9, true, false), start, Flush::Now),
            ("full by bytes", filling(2, 1000, true, false), start, Flush::Now),
            ("the next does not fit", filling(2, 900, false, false), start, Flush::Now),
            ("the last", filling(1, 9, true, true), start, Flush::Now),
        ] {
            assert_eq!(flush(filling, &queue(), now), expected, "{case}");
        }
    }

    #[test]
    fn a_batch_waits_for_silence_where_that_is_asked_for() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let queue = QueueSettings { max_idle_delay: Some(Duration::from_millis(300)), ..queue() };
        let filling = |last| Filling {
            count: 2,
            bytes: 9,
            first_at: Some(start),
            last_at: Some(at(last)),
            caught_up: true,
            last: false,
        };
        assert_eq!(flush(filling(0), &queue, at(299)), Flush::At(at(300)));
        assert_eq!(flush(filling(0), &queue, at(300)), Flush::Now);
        assert_eq!(flush(filling(250), &queue, at(300)), Flush::At(at(550)), "something came");
        assert_eq!(flush(filling(900), &queue, at(900)), Flush::At(at(1_000)), "but not for ever");
    }

    fn retry(after: Option<u64>) -> Attempt {
        let after = after.map(Duration::from_secs);
        Attempt::Answered(Err(ExportError::Retry { after, cause: "busy".to_owned() }))
    }

    fn wait(next: Next) -> Option<u64> {
        match next {
            Next::Retry { after, .. } => Some(after.as_millis() as u64),
            _ => None,
        }
    }

    #[test]
    fn failures_are_repeated_with_patience_up_to_the_limit() {
        let mut failures = Failures::default();
        assert_eq!(wait(failures.next(retry(None), 1, &queue(), 1.0)), Some(100));
        assert_eq!(wait(failures.next(Attempt::TimedOut, 1, &queue(), 1.0)), Some(200));
        let last = failures.next(retry(None), 1, &queue(), 1.0);
        assert_eq!(last, Next::GiveUp { reason: reason::RETRIES, message: "busy".to_owned() });

        let patient = QueueSettings { max_attempts: None, ..queue() };
        let mut failures = Failures::default();
        for _ in 0..1_000 {
            assert!(wait(failures.next(retry(None), 1, &patient, 1.0)).is_some());
        }
        assert_eq!(wait(failures.next(retry(None), 1, &patient, 1.0)), Some(2_000));
    }

    #[test]
    fn the_other_side_may_ask_for_patience() {
        let first = |after| wait(Failures::default().next(retry(after), 1, &queue(), 1.0));
        assert_eq!(first(Some(0)), Some(100), "not sooner than we would");
        assert_eq!(first(Some(7)), Some(7_000));
        assert_eq!(first(Some(100_000)), Some(60_000), "not for ever");
    }

    #[test]
    fn a_batch_that_makes_the_exporter_panic_is_given_up() {
        let patient = QueueSettings { max_attempts: None, ..queue() };
        let mut failures = Failures::default();
        let mut panicked = || failures.next(Attempt::Panicked("oops".to_owned()), 1, &patient, 1.0);
        assert!(wait(panicked()).is_some());
        assert!(wait(panicked()).is_some());
        let message = "oops".to_owned();
        assert_eq!(panicked(), Next::GiveUp { reason: reason::EXPORTER_FAILED, message });
    }

    #[test]
    fn rejected_entries_are_counted_once_and_within_the_batch() {
        let rejected =
            vec![(2, "b".to_owned()), (0, "a".to_owned()), (2, "b".to_owned()), (9, "c".to_owned())];
        let attempt = Attempt::Answered(Ok(Delivered { rejected, sampled: 5 }));
        let Next::Done { rejected, sampled, message } = Failures::default().next(attempt, 3, &queue(), 0.0)
        else {
            panic!("not done")
        };
        assert_eq!((rejected.as_slice(), sampled), (&[0, 2][..], 1), "never more than the batch has");
        assert_eq!(message.unwrap(), "4 of 3 entries refused, first entry 2: b");
    }
}
