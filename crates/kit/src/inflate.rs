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
    /// RFC 8878, with windows of at most 8 MB (RFC 9659).
    Zstd,
    /// RFC 7932.
    Brotli,
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
            () if is("br") => Self::Brotli,
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
            let decoder = zstd_decoder(bytes).map_err(|error| InflateError::Broken(coding, error))?;
            read_capped(coding, decoder, max_bytes)
        }
        Coding::Brotli => read_capped(coding, brotli_decoder(bytes), max_bytes),
        Coding::Deflate => match read_capped(coding, ZlibDecoder::new(bytes), max_bytes) {
            Err(InflateError::Broken(..)) => read_capped(coding, DeflateDecoder::new(bytes), max_bytes),
            other => other,
        },
    }
}

/// What could be had of compressed bytes that may be cut or broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// The beginning of the decompressed content.
    pub bytes: Vec<u8>,
    /// Why it ends where it ends.
    pub end: End,
}

/// Why a decompressed prefix ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is all there was.
    Complete,
    /// The limit was reached.
    Capped,
    /// The compressed bytes end or break off here.
    Broken,
}

/// Decompresses as much of `bytes` as can be read, at most `max_bytes`.
pub fn inflate_prefix(coding: Coding, bytes: &[u8], max_bytes: usize) -> Prefix {
    match coding {
        Coding::Identity => read_prefix(bytes, max_bytes),
        Coding::Gzip => read_prefix(GzDecoder::new(bytes), max_bytes),
        Coding::Brotli => read_prefix(brotli_decoder(bytes), max_bytes),
        Coding::Zstd => match zstd_decoder(bytes) {
            Ok(decoder) => read_prefix(decoder, max_bytes),
            Err(_) => Prefix { bytes: Vec::new(), end: End::Broken },
        },
        Coding::Deflate => {
            let prefix = read_prefix(ZlibDecoder::new(bytes), max_bytes);
            let is_raw = prefix.end == End::Broken && prefix.bytes.is_empty();
            if is_raw { read_prefix(DeflateDecoder::new(bytes), max_bytes) } else { prefix }
        }
    }
}

fn zstd_decoder(bytes: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(23)?;
    Ok(decoder)
}

fn brotli_decoder(bytes: &[u8]) -> impl Read {
    const INPUT_BUFFER_BYTES: usize = 4096;
    brotli_decompressor::Decompressor::new(bytes, INPUT_BUFFER_BYTES)
}

fn read_prefix(reader: impl Read, max: usize) -> Prefix {
    let (blocks, outcome) = read_blocks(reader, max);
    let mut bytes = joined(blocks);
    let end = match outcome {
        _ if bytes.len() > max => End::Capped,
        Ok(()) => End::Complete,
        Err(_) => End::Broken,
    };
    bytes.truncate(max);
    Prefix { bytes, end }
}

fn read_capped(coding: Coding, reader: impl Read, max: usize) -> Result<Vec<u8>, InflateError> {
    let (blocks, outcome) = read_blocks(reader, max);
    outcome.map_err(|error| InflateError::Broken(coding, error))?;
    let length: usize = blocks.iter().map(Vec::len).sum();
    if length > max { Err(InflateError::TooLarge(max)) } else { Ok(joined(blocks)) }
}

/// Long content is read into blocks of this size: a buffer that grows leaves all its smaller forms to the allocator.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Reads to the end, or one byte more than `max`.
fn read_blocks(reader: impl Read, max: usize) -> (Vec<Vec<u8>>, io::Result<()>) {
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = reader.take(limit);
    let mut blocks = Vec::new();
    loop {
        // Most content is short, so the first block grows as it must.
        let mut block = Vec::with_capacity(if blocks.is_empty() { 0 } else { BLOCK_BYTES });
        let outcome = reader.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block);
        blocks.push(block);
        match outcome {
            Ok(BLOCK_BYTES) => {}
            outcome => return (blocks, outcome.map(|_| ())),
        }
    }
}

fn joined(mut blocks: Vec<Vec<u8>>) -> Vec<u8> {
    if blocks.len() == 1 { blocks.remove(0) } else { blocks.concat() }
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
            Coding::Brotli => {
                let mut packed = Vec::new();
                brotli::CompressorReader::new(bytes, 4096, 3, 20).read_to_end(&mut packed).unwrap();
                packed
            }
        }
    }

    const ALL: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli];

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
    fn content_of_many_blocks_comes_back() {
        for length in [BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES] {
            let bytes: Vec<u8> = (0_u8..=250).cycle().take(length).collect();
            let small = packed(Coding::Gzip, &bytes);
            assert!(inflate(Coding::Gzip, &small, length).unwrap() == bytes, "{length}");
            assert!(inflate(Coding::Gzip, &small, length - 1).is_err(), "{length}");
            let prefix = inflate_prefix(Coding::Gzip, &small, length - 1);
            assert!(prefix.bytes == bytes[..length - 1] && prefix.end == End::Capped, "{length}");
        }
    }

    #[test]
    fn raw_deflate_is_read_under_the_name_deflate() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"hello").unwrap();
        let raw = encoder.finish().unwrap();
        assert_eq!(inflate(Coding::Deflate, &raw, 10).unwrap(), b"hello");
    }

    #[test]
    fn the_beginning_of_cut_bytes_is_read() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for coding in ALL {
            let small = packed(coding, &text);
            assert_eq!(
                inflate_prefix(coding, &small, text.len()),
                Prefix { bytes: text.clone(), end: End::Complete }
            );
            assert_eq!(
                inflate_prefix(coding, &small, 10),
                Prefix { bytes: text[..10].to_vec(), end: End::Capped }
            );
            let half = inflate_prefix(coding, &small[..small.len() / 2], text.len());
            assert!(!half.bytes.is_empty() && text.starts_with(&half.bytes), "{coding:?}");
            assert_eq!(half.end == End::Broken, coding != Coding::Identity, "{coding:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            for coding in ALL {
                let _outcome = inflate(coding, &bytes, 1_000);
                let _prefix = inflate_prefix(coding, &bytes, 1_000);
            }
        }
    }
}
