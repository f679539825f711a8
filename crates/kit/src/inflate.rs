//! Decompression of foreign bytes, always under a limit. Nothing else in weir may decompress input.

use std::io::{self, Read};

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// A content coding of RFC 9110 section 8.4.1 that weir reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Bytes as they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950; raw RFC 1951 streams, which old senders give under this name, are read too.
    Deflate,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The coding with this name, without regard to case; `None` when weir does not read it.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        Some(match () {
            () if name.is_empty() || is("identity") => Self::Identity,
            () if is("gzip") || is("x-gzip") => Self::Gzip,
            () if is("deflate") => Self::Deflate,
            () if is("zstd") => Self::Zstd,
            () => return None,
        })
    }
}

/// Why bytes could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// The result would be larger than allowed.
    #[error("decompressed body exceeds {0} bytes")]
    TooLarge(usize),
    /// The bytes are not of this coding.
    #[error("broken {0:?} data: {1}")]
    Broken(Coding, io::Error),
}

/// Decompresses `bytes`, giving up as soon as the result would exceed `max_bytes`.
pub fn inflate(coding: Coding, bytes: &[u8], max_bytes: usize) -> Result<Vec<u8>, InflateError> {
    match coding {
        Coding::Identity if bytes.len() > max_bytes => Err(InflateError::TooLarge(max_bytes)),
        Coding::Identity => Ok(bytes.to_vec()),
        Coding::Gzip => read_capped(coding, GzDecoder::new(bytes), max_bytes),
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(|error| InflateError::Broken(coding, error))?;
            read_capped(coding, decoder, max_bytes)
        }
        Coding::Deflate => match read_capped(coding, ZlibDecoder::new(bytes), max_bytes) {
            Err(InflateError::Broken(..)) => read_capped(coding, DeflateDecoder::new(bytes), max_bytes),
            other => other,
        },
    }
}

fn read_capped(coding: Coding, reader: impl Read, max: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut out).map_err(|error| InflateError::Broken(coding, error))?;
    if out.len() > max { Err(InflateError::TooLarge(max)) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        match coding {
            Coding::Identity => bytes.to_vec(),
            Coding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    const ALL: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Zstd];

    #[test]
    fn every_coding_comes_back_and_stops_at_the_limit() {
        let bytes = vec![7u8; 100_000];
        for coding in ALL {
            let small = packed(coding, &bytes);
            assert_eq!(inflate(coding, &small, 100_000).unwrap(), bytes, "{coding:?}");
            let error = inflate(coding, &small, 99_999).unwrap_err();
            assert!(matches!(error, InflateError::TooLarge(99_999)), "{coding:?}");
        }
    }

    #[test]
    fn raw_deflate_is_read_under_the_name_deflate() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"hello").unwrap();
        let raw = encoder.finish().unwrap();
        assert_eq!(inflate(Coding::Deflate, &raw, 10).unwrap(), b"hello");
    }

    proptest::proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            for coding in ALL {
                let _outcome = inflate(coding, &bytes, 1_000);
            }
        }
    }
}
