//! Durations and sizes as people write them: `500ms`, `1.5s`, `2h`, `64KiB`, `10MB`.

use std::time::Duration;

const DURATIONS: &[(&str, f64)] =
    &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0), ("w", 604_800.0)];

const SIZES: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Reads a duration with its unit (`us ms s m h d w`); a bare `0` needs none.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let seconds = quantity(text, DURATIONS)
        .ok_or_else(|| format!("{text:?} is not a duration; write it with a unit, such as 500ms or 2s"))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is out of range"))
}

/// Reads a number of bytes with its unit (`B KB MB GB TB KiB MiB GiB TiB`, without regard to case); a bare number is
/// bytes.
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is not a size; write it as 64KiB or 10MB");
    if let Ok(bytes) = text.trim().parse() {
        return Ok(bytes);
    }
    let bytes = quantity(text, SIZES).ok_or_else(bad)?;
    if bytes > 1e18 {
        return Err(format!("{text:?} is out of range"));
    }
    // Bounded and not negative: the cast only drops a fraction of a byte.
    Ok(bytes as u64)
}

fn quantity(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let text = text.trim();
    let split = text.find(|character: char| !character.is_ascii_digit() && character != '.')?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?;
    Some(number * factor)
}

/// Writes a duration in its largest unit that needs no fraction.
pub fn show_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    for (unit, width) in
        [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000)]
    {
        if micros > 0 && micros.is_multiple_of(width) {
            return format!("{}{unit}", micros / width);
        }
    }
    format!("{micros}us")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [("0", 0), ("500ms", 500), ("1.5s", 1_500), ("2 m", 120_000), ("1H", 3_600_000)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "5", "fast", "-1s", "1 parsec", "99999999999999999999w"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "90s");
        assert_eq!(show_duration(Duration::from_secs(7200)), "2h");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("512", 512), ("64KiB", 65_536), ("10MB", 10_000_000), ("1.5 kib", 1_536)] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "big", "-1", "1 furlong", "99999999TB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
