//! How a record's times are written.

use weir_kit::text::lossy;

use crate::tyk::record::Time;

/// A date and an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// From 0.
    pub hour: i64,
}

impl Time {
    /// Nanoseconds since 1970; saturates in the years 1677 and 2262.
    pub fn nanoseconds(self) -> i64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(self.nanos))
    }

    /// RFC 3339 in UTC with as many digits of the fraction as needed.
    pub fn rfc3339(self) -> String {
        self.instant().to_string()
    }

    /// As Go prints a time: `2026-11-20 11:52:17.725064306 +0000 UTC`.
    pub fn go(self) -> String {
        let mut text = String::with_capacity(40);
        self.push_go(&mut text);
        text
    }

    /// Adds [`Time::go`] to a text.
    pub fn push_go(self, out: &mut String) {
        let at = jiff::tz::Offset::UTC.to_datetime(self.instant());
        let year = at.year().unsigned_abs();
        let [[y1, y2], [y3, y4]] = [two_digits((year / 100) as u8), two_digits((year % 100) as u8)];
        let [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]] =
            [at.month(), at.day(), at.hour(), at.minute(), at.second()]
                .map(|number| two_digits(number.unsigned_abs()));
        let text = [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2];
        out.push_str(&lossy(&text));
        let nanos = at.subsec_nanosecond().unsigned_abs();
        if nanos > 0 {
            let mut digits = itoa::Buffer::new();
            // With a digit before, so that zeros at the beginning are written.
            let digits = digits.format(nanos + 1_000_000_000);
            out.push('.');
            out.push_str(digits[1..].trim_end_matches('0'));
        }
        out.push_str(" +0000 UTC");
    }

    /// The day in UTC, year first: `2026.11.20` with a dot, `20261120` with nothing.
    pub fn date(self, separator: &str) -> String {
        let at = self.civil();
        format!("{:04}{separator}{:02}{separator}{:02}", at.year, at.month, at.day)
    }

    /// Date and hour in UTC.
    pub fn civil(self) -> Civil {
        let at = jiff::tz::Offset::UTC.to_datetime(self.instant());
        Civil {
            year: at.year().into(),
            month: at.month().into(),
            day: at.day().into(),
            hour: at.hour().into(),
        }
    }

    /// Instants beyond the calendar are its ends.
    fn instant(self) -> jiff::Timestamp {
        let end = if self.seconds < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        jiff::Timestamp::new(self.seconds, i32::try_from(self.nanos).unwrap_or(0)).unwrap_or(end)
    }
}

/// A number below 100.
fn two_digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;

    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (seconds, nanos, rfc3339, go) in [
            (
                1_795_175_537,
                725_064_306,
                "2026-11-20T11:52:17.725064306Z",
                "2026-11-20 11:52:17.725064306 +0000 UTC",
            ),
            (1_795_175_537, 11_000_000, "2026-11-20T11:52:17.011Z", "2026-11-20 11:52:17.011 +0000 UTC"),
            (1_795_175_537, 110_000_000, "2026-11-20T11:52:17.11Z", "2026-11-20 11:52:17.11 +0000 UTC"),
            (1_795_175_537, 500_000_000, "2026-11-20T11:52:17.5Z", "2026-11-20 11:52:17.5 +0000 UTC"),
            (0, 0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00 +0000 UTC"),
            (Time::ZERO.seconds, 0, "0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC"),
        ] {
            let time = Time { seconds, nanos };
            assert_eq!((time.rfc3339().as_str(), time.go().as_str()), (rfc3339, go));
        }
        assert_eq!(Time { seconds: i64::MAX, nanos: 0 }.civil().year, 9_999);
        assert_eq!(Time { seconds: 1_795_175_537, nanos: 0 }.date("."), "2026.11.20");
    }

    #[test]
    fn an_instant_before_1970_keeps_its_fraction() {
        let time = Time::of(Timestamp::from_micros(-1));
        assert_eq!(time, Time { seconds: -1, nanos: 999_999_000 });
        assert_eq!(time.nanoseconds(), -1_000);
    }
}
