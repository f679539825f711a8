//! Bodies carried in JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use weir_kit::inflate::Coding;
use weir_model::body::ContentCoding;
use weir_model::{Captured, Headers};

/// How the text of a body stands for its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The text is the body.
    Plain,
    /// The text is Base64 of the body.
    Base64,
}

impl Encoding {
    /// The encoding of this name; anything but `base64` is plain.
    pub fn named(name: &str) -> Self {
        if name.eq_ignore_ascii_case("base64") { Self::Base64 } else { Self::Plain }
    }
}

/// A body read from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBody {
    /// The bytes.
    pub bytes: Bytes,
    /// Whether the text was said to be Base64 and is not; it was then kept as it is.
    pub not_base64: bool,
}

/// Reads the text of a body of which `size` bytes were announced.
///
/// One sender marks plain text as Base64. It is recognised when the announced size is that of the text and not that of
/// the bytes it would decode to.
pub fn read(text: &str, encoding: Encoding, size: Option<u64>) -> ReadBody {
    let literal = |not_base64| ReadBody { bytes: Bytes::copy_from_slice(text.as_bytes()), not_base64 };
    if encoding == Encoding::Plain {
        return literal(false);
    }
    match STANDARD.decode(text) {
        Ok(bytes) if size == Some(text.len() as u64) && size != Some(bytes.len() as u64) => literal(false),
        Ok(bytes) => ReadBody { bytes: bytes.into(), not_base64: false },
        Err(_) => literal(size != Some(text.len() as u64)),
    }
}

/// The content coding that kept bytes are in: what the header says, unless the bytes show that it was removed before
/// they were reported.
pub fn coding_of(headers: &Headers, captured: &Captured) -> ContentCoding {
    let (Captured::Whole(bytes) | Captured::Cut(bytes)) = captured else {
        return ContentCoding::default();
    };
    let named = ContentCoding::of_header(headers.text("content-encoding").as_deref());
    let still_there = match &named {
        ContentCoding::Known(Coding::Gzip) => bytes.starts_with(&[0x1F, 0x8B]),
        ContentCoding::Known(Coding::Zstd) => bytes.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]),
        // A zlib header says deflate in its low four bits and is a multiple of 31; raw deflate shows nothing.
        ContentCoding::Known(Coding::Deflate) => match bytes.first_chunk() {
            Some(&[method, check]) => {
                method & 0x0F == 8 && u16::from_be_bytes([method, check]).is_multiple_of(31)
            }
            None => false,
        },
        // Brotli has no mark of its own, but what it packs is hardly ever text by chance.
        ContentCoding::Known(Coding::Brotli) => std::str::from_utf8(bytes).is_err(),
        ContentCoding::Known(Coding::Identity) | ContentCoding::Other(_) => !bytes.is_empty(),
    };
    if still_there { named } else { ContentCoding::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_by_encoding_and_size() {
        for (text, encoding, size, bytes, not_base64) in [
            ("hello", Encoding::Plain, None, "hello", false),
            ("b2th", Encoding::Base64, Some(3), "oka", false),
            ("okay", Encoding::Base64, Some(4), "okay", false),
            ("okay", Encoding::Base64, None, "\u{0}", false),
            ("no base64!", Encoding::Base64, Some(3), "no base64!", true),
            ("no base64!", Encoding::Base64, Some(10), "no base64!", false),
            ("", Encoding::Base64, Some(0), "", false),
        ] {
            let read = read(text, encoding, size);
            if bytes != "\u{0}" {
                assert_eq!(read.bytes, bytes, "{text} {size:?}");
            }
            assert_eq!(read.not_base64, not_base64, "{text} {size:?}");
        }
    }

    #[test]
    fn a_removed_coding_is_noticed() {
        let gzip = Headers::from_iter([("Content-Encoding", "gzip")]);
        let coding = |bytes: &'static [u8]| coding_of(&gzip, &Captured::Whole(Bytes::from_static(bytes)));
        assert_eq!(coding(&[0x1F, 0x8B, 8, 0]).name(), "gzip");
        assert_eq!(coding(b"{\"a\":1}").name(), "");
        assert_eq!(coding_of(&gzip, &Captured::default()).name(), "");
    }
}
