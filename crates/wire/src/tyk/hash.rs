//! Hashes of keys as the gateway writes them (section 5.2): Murmur3 with seed 0, in hexadecimal, big-endian.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What hashes a key that does not say it itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyHash {
    /// Eight digits.
    #[default]
    Murmur32,
    /// Sixteen digits: the first half of the 128 bits.
    Murmur64,
    /// Thirty-two digits.
    Murmur128,
    /// Sixty-four digits.
    Sha256,
}

/// The hash of a key. A key that is Base64 of JSON names its algorithm in `h`; any other takes `otherwise`.
pub fn hash(key: &str, otherwise: KeyHash) -> String {
    match named_in(key).unwrap_or(otherwise) {
        KeyHash::Murmur32 => format!("{:08x}", murmur32(key.as_bytes())),
        KeyHash::Murmur64 => format!("{:016x}", murmur128(key.as_bytes()).0),
        KeyHash::Murmur128 => {
            let (high, low) = murmur128(key.as_bytes());
            format!("{high:016x}{low:016x}")
        }
        KeyHash::Sha256 => Sha256::digest(key).iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        }),
    }
}

/// Whether a text looks like one of the hashes: so many digits of the hexadecimal system and nothing else.
pub fn is_hash(key: &str) -> bool {
    matches!(key.len(), 8 | 16 | 32 | 64) && key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn named_in(key: &str) -> Option<KeyHash> {
    use base64::Engine;
    #[derive(serde::Deserialize)]
    struct Key {
        h: KeyHash,
    }
    let json = base64::engine::general_purpose::STANDARD.decode(key).ok()?;
    serde_json::from_slice::<Key>(&json).ok().map(|key| key.h)
}

fn murmur32(bytes: &[u8]) -> u32 {
    let mix = |block: u32| block.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    let (blocks, rest) = bytes.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0u32, |hash, block| {
        (hash ^ mix(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
    });
    if !rest.is_empty() {
        hash ^= mix(rest.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte)));
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    hash ^ hash >> 16
}

const C1: u64 = 0x87C3_7B91_1142_53D5;
const C2: u64 = 0x4CF5_AD43_2745_937F;

fn murmur128(bytes: &[u8]) -> (u64, u64) {
    let first = |block: u64| block.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let second = |block: u64| block.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |block, byte| block << 8 | u64::from(*byte));
    let (mut a, mut b) = (0u64, 0u64);
    let blocks = bytes.chunks_exact(16);
    let rest = blocks.remainder();
    for block in blocks {
        a ^= first(little(&block[..8]));
        a = a.rotate_left(27).wrapping_add(b).wrapping_mul(5).wrapping_add(0x52DC_E729);
        b ^= second(little(&block[8..]));
        b = b.rotate_left(31).wrapping_add(a).wrapping_mul(5).wrapping_add(0x3849_5AB5);
    }
    a ^= first(little(&rest[..rest.len().min(8)]));
    b ^= second(little(rest.get(8..).unwrap_or_default()));
    a ^= bytes.len() as u64;
    b ^= bytes.len() as u64;
    a = a.wrapping_add(b);
    b = b.wrapping_add(a);
    let finish = |mut half: u64| {
        half = (half ^ half >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        half = (half ^ half >> 33).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        half ^ half >> 33
    };
    (a, b) = (finish(a), finish(b));
    a = a.wrapping_add(b);
    (a, b.wrapping_add(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_original() {
        // Of the empty key, as a running gateway wrote it; the others are published values of Murmur3 and SHA-256.
        assert_eq!(hash("", KeyHash::Murmur32), "00000000");
        assert_eq!(hash("hello", KeyHash::Murmur32), "248bfa47");
        assert_eq!(hash("hello, world", KeyHash::Murmur32), "149bbb7f");
        assert_eq!(hash("hello", KeyHash::Murmur64), "cbd8a7b341bd9b02");
        assert_eq!(hash("hello", KeyHash::Murmur128), "cbd8a7b341bd9b025b1e906a48ae1d19");
        assert_eq!(
            hash("The quick brown fox jumps over the lazy dog.", KeyHash::Murmur128),
            "cd99481f9ee902c9695da1a38987b6e7"
        );
        assert!(hash("", KeyHash::Sha256).starts_with("e3b0c44298fc1c14"));
        // {"org":"o","id":"i","h":"murmur64"}
        let key = "eyJvcmciOiJvIiwiaWQiOiJpIiwiaCI6Im11cm11cjY0In0=";
        assert_eq!(hash(key, KeyHash::Murmur32).len(), 16);
    }

    #[test]
    fn hashes_are_recognised() {
        for (key, expected) in
            [("00000000", true), ("3f0cbe7d", true), ("3F0CBE7D", false), ("secret", false), ("", false)]
        {
            assert_eq!(is_hash(key), expected, "{key}");
        }
    }
}
