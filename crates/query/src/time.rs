//! Instants as people write them: RFC 3339, a date, epoch milliseconds, or relative to now.

use std::time::Duration;

use weir_kit::{Timestamp, units};

use crate::TimeRange;
use crate::mistake::{Mistake, Place, quoted};

/// Years 1 to 9999, which every form of an answer can show.
const EARLIEST: Timestamp = Timestamp::from_seconds(-62_135_596_800);
const LATEST: Timestamp = Timestamp::from_seconds(253_402_300_799);

/// Reads an instant: `2026-11-03T14:00:00Z` (any ISO 8601 form; UTC without a zone), `2026-11-03`, whole milliseconds since
/// 1970, or `now` followed by any number of `-6h`, `+30m` and `/d`. Units are `s m h d w`; `/` rounds down, weeks to
/// their Monday. The error says what was expected.
pub fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let bad = || {
        format!(
            "{} is not a time; write 2026-11-03T14:00:00Z, 2026-11-03, now-6h, now/d or epoch milliseconds",
            quoted(text)
        )
    };
    let instant = if let Some(steps) = text.strip_prefix("now") {
        relative(steps, now).ok_or_else(bad)?
    } else if let Ok(millis) = text.parse::<i64>() {
        Timestamp::from_millis(millis)
    } else {
        text.parse().map_err(|_| bad())?
    };
    if instant < EARLIEST || instant > LATEST {
        return Err(format!("{} lies outside the years 1 to 9999", quoted(text)));
    }
    Ok(instant)
}

fn relative(mut steps: &str, now: Timestamp) -> Option<Timestamp> {
    let mut instant = now;
    while let Some(sign) = steps.chars().next() {
        let rest = steps.strip_prefix(sign)?;
        let digits = rest.len() - rest.trim_start_matches(|next: char| next.is_ascii_digit()).len();
        let (number, rest) = rest.split_at_checked(digits)?;
        let unit = unit(rest.chars().next()?)?;
        steps = rest.get(1..)?;
        instant = match (sign, number) {
            ('/', "") => floor(instant, unit),
            ('-' | '+', number) => {
                let span = unit.checked_mul(number.parse::<u16>().ok()?.into())?;
                if sign == '-' { instant - span } else { instant + span }
            }
            _ => return None,
        };
    }
    Some(instant)
}

fn unit(letter: char) -> Option<Duration> {
    let seconds = match letter {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

fn floor(instant: Timestamp, unit: Duration) -> Timestamp {
    const DAY: Duration = Duration::from_secs(86_400);
    if unit > DAY {
        // The epoch was a Thursday, three days after a Monday.
        return (instant + DAY * 3).floor(unit) - DAY * 3;
    }
    instant.floor(unit)
}

/// Reads the two ends of a question's range; what is not given is open.
pub fn range(
    from: Option<(&str, Place)>,
    to: Option<(&str, Place)>,
    now: Timestamp,
    mistakes: &mut Vec<Mistake>,
) -> TimeRange {
    let mut read = |end: &Option<(&str, Place)>, open: Timestamp| match end {
        None => Some(open),
        Some((text, place)) => match instant(text, now) {
            Ok(instant) => Some(instant),
            Err(detail) => {
                mistakes.push(place.mistake(detail));
                None
            }
        },
    };
    let ends = (read(&from, Timestamp::MIN), read(&to, Timestamp::MAX));
    let (Some(first), Some(last)) = ends else { return TimeRange::ALL };
    if let Some((_, place)) = to.or(from)
        && first >= last
    {
        mistakes.push(place.mistake(format!("the range is empty: it ends at {last} and begins at {first}")));
    }
    TimeRange { from: first, to: last }
}

/// Reads the width of an interval, such as `1m`.
pub fn interval(text: &str) -> Result<Duration, String> {
    let width = units::duration(text)?;
    if width < Duration::from_millis(1) {
        return Err(format!("{} is too short; the shortest interval is 1ms", quoted(text)));
    }
    Ok(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Friday.
    const NOW: &str = "2026-11-20T13:45:30.250Z";

    fn shown(text: &str) -> String {
        instant(text, NOW.parse().unwrap()).map_or_else(|error| error, |instant| instant.to_string())
    }

    #[test]
    fn instants_are_read() {
        for (text, expected) in [
            ("now", NOW),
            ("now-6h", "2026-11-20T07:45:30.250Z"),
            ("now+30m", "2026-11-20T14:15:30.250Z"),
            ("now/d", "2026-11-20T00:00:00Z"),
            ("now-1d/d", "2026-11-19T00:00:00Z"),
            ("now/d-1d+8h", "2026-11-19T08:00:00Z"),
            ("now/w", "2026-11-16T00:00:00Z"),
            ("now-2w", "2026-11-06T13:45:30.250Z"),
            ("1700000000000", "2023-11-14T22:13:20Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("2026-11-03", "2026-11-03T00:00:00Z"),
            ("2026-11-03T14:00:00+02:00", "2026-11-03T12:00:00Z"),
            ("2026-11-03 14:00", "2026-11-03T14:00:00Z"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in
            ["", "yesterday", "now-", "now-6", "now-h6", "now/2d", "now-1M", "now 1h", "nów", "now-99999s"]
        {
            assert!(shown(text).contains("is not a time"), "{text}: {}", shown(text));
        }
        assert!(shown("99999999999999999").contains("lies outside"));
        assert!(shown("now+65535w").contains("3282"), "{}", shown("now+65535w"));
    }

    #[test]
    fn empty_ranges_are_mistakes() {
        let mut mistakes = Vec::new();
        let now: Timestamp = NOW.parse().unwrap();
        let place = Place::Parameter("to");
        range(Some(("now", place.clone())), Some(("now-1h", place)), now, &mut mistakes);
        assert_eq!(
            mistakes[0].to_string(),
            "to: the range is empty: it ends at 2026-11-20T12:45:30.250Z and begins at 2026-11-20T13:45:30.250Z"
        );
    }

    proptest::proptest! {
        #[test]
        fn foreign_text_never_panics(text in "\\PC{0,20}", steps in "now[-+/0-9smhdwé]{0,12}") {
            let _one = instant(&text, Timestamp::MAX);
            let _other = instant(&steps, Timestamp::MIN);
        }
    }
}
