//! Bytes that should be text.

use std::borrow::Cow;

use ascii::AsAsciiStr;

/// Up to this length, seeing that text is ASCII takes less than half the time that it takes to see that it is UTF-8.
const SHORT: usize = 64;

/// Bytes as text; those that are not UTF-8 become U+FFFD. The same as [`String::from_utf8_lossy`], and quicker where there is
/// nothing to replace: looking for it costs more than seeing that all is well.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.len() <= SHORT
        && let Ok(text) = bytes.as_ascii_str()
    {
        return Cow::Borrowed(text.as_str());
    }
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Bytes to look for in texts, which are short for the most part: a step for each byte, and nothing before the first.
#[derive(Debug)]
pub struct ByteSet([bool; 256]);

impl ByteSet {
    /// These bytes.
    pub const fn new(bytes: &[u8]) -> Self {
        let mut set = [false; 256];
        let mut at = 0;
        while at < bytes.len() {
            set[bytes[at] as usize] = true;
            at += 1;
        }
        Self(set)
    }

    /// Whether one of them occurs in the text.
    pub fn occurs_in(&self, text: &[u8]) -> bool {
        // Within a piece all bytes are looked at, since leaving early would cost more than it saves.
        text.chunks(32).any(|piece| piece.iter().fold(false, |any, byte| any | self.0[usize::from(*byte)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_replaced() {
        let long = "a".repeat(SHORT);
        for text in ["", "a", "é", "aé", &long, &format!("{long}a"), &format!("{long}é")] {
            assert!(matches!(lossy(text.as_bytes()), Cow::Borrowed(same) if same == text), "{text}");
        }
        assert_eq!((lossy(b"a\xff"), lossy(b"\xe9b")), ("a\u{FFFD}".into(), "\u{FFFD}b".into()));
    }

    #[test]
    fn bytes_are_found_wherever_they_stand() {
        let set = ByteSet::new(b",\"\xff");
        for length in [0, 1, 31, 32, 33, 100] {
            let mut text = vec![b'a'; length];
            assert!(!set.occurs_in(&text));
            for at in 0..length {
                for byte in [b',', b'"', 0xFF] {
                    text[at] = byte;
                    assert!(set.occurs_in(&text), "{byte} at {at} of {length}");
                }
                text[at] = b'a';
            }
        }
    }
}
