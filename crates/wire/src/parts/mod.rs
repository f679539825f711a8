//! What formats share: forgiving JSON values, URLs, bodies in text, ids that repeat, calls over HTTP.

pub mod aggregate;
pub mod body;
pub mod http;
pub mod lenient;
pub mod lines;
pub mod net;
pub mod record;
pub mod tls;
pub mod url;

use std::time::Duration;

use sha2::{Digest, Sha256};
use weir_kit::Timestamp;
use weir_model::{ExchangeId, Headers, Peer};

/// An id that comes out the same whenever the same parts are read again, so that what is sent or imported twice is
/// recognised.
pub fn stable_id(started_at: Timestamp, parts: &[&[u8]]) -> ExchangeId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut random = [0; 16];
    random.copy_from_slice(&hash.finalize()[..16]);
    ExchangeId::with_random(started_at, random)
}

/// The value of the last field with this name, as Kong's loggers read a repeated header.
pub fn last<'a>(headers: &'a Headers, name: &'a str) -> Option<&'a [u8]> {
    headers.all(name).last().map(|value| value.as_ref())
}

/// The value of the last `Content-Length`, when it is a number.
pub fn content_length(headers: &Headers) -> Option<u64> {
    std::str::from_utf8(last(headers, "content-length")?).ok()?.trim().parse().ok()
}

/// A duration from milliseconds; `None` for what was not measured (`-1`) or makes no sense.
pub fn from_millis(millis: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(millis / 1_000.0).ok()
}

/// A peer from an address in text; unknown when it is not one.
pub fn peer(address: &str) -> Peer {
    let address = address.trim().trim_start_matches('[').trim_end_matches(']');
    address.parse().map(|address| Peer::new(address, None)).unwrap_or_default()
}

/// The model's form of a protocol version (`1.0`, `1.1`, `2`, `3`) from any of the spellings in use; empty when unknown.
pub fn protocol_version(text: &str) -> &'static str {
    let lower = text.trim().to_ascii_lowercase();
    match lower.strip_prefix("http/").unwrap_or(&lower) {
        "0.9" => "0.9",
        "1" | "1.0" => "1.0",
        "1.1" => "1.1",
        "2" | "2.0" | "h2" | "h2c" => "2",
        "3" | "3.0" | "h3" => "3",
        other if other.starts_with("h3-") || other.contains("quic") => "3",
        _ => "",
    }
}

/// At most `max` characters of a text, for messages that quote foreign values.
pub fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_every_spelling() {
        for (text, version) in [
            ("HTTP/1", "1.0"),
            ("HTTP/1.0", "1.0"),
            ("http/1.1", "1.1"),
            ("1.1", "1.1"),
            ("HTTP/2", "2"),
            ("HTTP/2.0", "2"),
            ("h2", "2"),
            ("h3-29", "3"),
            ("http/2+quic/46", "3"),
            ("unknown", ""),
            ("me:", ""),
            ("", ""),
        ] {
            assert_eq!(protocol_version(text), version, "{text:?}");
        }
    }

    #[test]
    fn ids_depend_on_every_part_and_its_borders() {
        let at = Timestamp::from_seconds(1);
        assert_eq!(stable_id(at, &[b"ab", b"c"]), stable_id(at, &[b"ab", b"c"]));
        assert_ne!(stable_id(at, &[b"ab", b"c"]), stable_id(at, &[b"a", b"bc"]));
    }

    #[test]
    fn milliseconds_that_make_no_sense_are_unknown() {
        assert_eq!(from_millis(1.5), Some(Duration::from_micros(1_500)));
        for millis in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(from_millis(millis), None, "{millis}");
        }
    }
}
