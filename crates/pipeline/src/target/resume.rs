//! Bringing a target's account up to date with the journal when it starts.

use crate::ledger::{Target, reason};

/// What the journal says about a target that starts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    /// Where it goes on.
    pub(super) position: u64,
    /// Whether the target itself said so.
    pub(super) own: bool,
    /// The oldest position that the journal has.
    pub(super) oldest: u64,
    /// Records for it between where it goes on and where its books say it was, if that is later: they were delivered but
    /// did not survive.
    pub(super) back: u64,
    /// Records for it from where it goes on that had been offered to it before.
    pub(super) remaining: u64,
    /// Records for it that came since and that it says it has.
    pub(super) ahead: u64,
    /// Records for it that came since and that it does not have.
    pub(super) fresh: u64,
}

/// Brings `account`, to which exchanges may have been offered since the target entered, up to date with what was found,
/// given the books the target had when it was last seen.
pub(super) fn resume(earlier: &Target, account: &mut Target, found: Found) {
    let expected = earlier.held + found.back;
    account.delivered = earlier.delivered.saturating_sub(found.back);
    let missing = expected.saturating_sub(found.remaining);
    if found.own && found.position > earlier.position {
        // It made more durable than the books had heard of.
        account.delivered += missing + found.ahead;
    } else if missing > 0 {
        let gone = earlier.position < found.oldest;
        let reason = if gone { reason::JOURNAL_FULL } else { reason::JOURNAL_DAMAGED };
        *account.dropped.entry(reason.to_owned()).or_default() += missing;
    }
    account.held += found.remaining + found.fresh;
    account.offered = account.delivered + account.dropped.values().sum::<u64>() + account.held;
    account.position = found.position;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier() -> Target {
        // Ten offered up to position 10; seven delivered, one dropped, two held.
        let mut target =
            Target { offered: 10, delivered: 7, held: 2, position: 8, counted_to: 10, ..Target::default() };
        target.dropped.insert("refused".to_owned(), 1);
        target
    }

    #[track_caller]
    fn check(found: Found, delivered: u64, held: u64, dropped: &[(&str, u64)]) {
        let mut account = Target { held: 0, ..earlier() };
        resume(&earlier(), &mut account, found);
        let dropped: Vec<(String, u64)> =
            dropped.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect();
        assert_eq!((account.delivered, account.held), (delivered, held));
        assert_eq!(account.dropped.clone().into_iter().collect::<Vec<_>>(), dropped);
        assert_eq!(account.offered, delivered + held + dropped.iter().map(|(_, n)| n).sum::<u64>());
        assert_eq!(account.position, found.position);
    }

    #[test]
    fn accounts_follow_the_journal() {
        let here = Found { position: 8, remaining: 2, ..Found::default() };
        check(here, 7, 2, &[("refused", 1)]);
        check(Found { fresh: 5, ..here }, 7, 7, &[("refused", 1)]);
        // The oldest segment went while the target was away.
        let late = Found { position: 9, oldest: 9, remaining: 1, ..Found::default() };
        check(late, 7, 1, &[("journal_full", 1), ("refused", 1)]);
        // A frame was damaged.
        check(Found { remaining: 1, ..here }, 7, 1, &[("journal_damaged", 1), ("refused", 1)]);
        // The store made more durable than the books knew, or less than was handed to it.
        let ahead = Found { position: 9, own: true, remaining: 1, ..Found::default() };
        check(ahead, 8, 1, &[("refused", 1)]);
        let far_ahead = Found { position: 15, own: true, ahead: 5, fresh: 1, ..Found::default() };
        check(far_ahead, 14, 1, &[("refused", 1)]);
        let behind = Found { position: 5, own: true, back: 3, remaining: 5, ..Found::default() };
        check(behind, 4, 5, &[("refused", 1)]);
    }
}
