//! The content of a message, as far as it was kept.

use bytes::Bytes;
use compact_str::CompactString;
use weir_kit::inflate::{Coding, inflate};

/// The content of a request or response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Bytes that crossed the wire (in its content coding); `None` when nobody counted.
    pub size: Option<u64>,
    /// What was kept of it.
    pub captured: Captured,
    /// The content coding `captured` is in. Starts as the `Content-Encoding` of the message; becomes `identity` when a
    /// processor decoded the body to mask it.
    pub coding: ContentCoding,
    /// Media type given beside the body (HAR, ALF); the `Content-Type` header otherwise speaks for itself.
    pub media_type: Option<CompactString>,
}

impl Body {
    /// A body kept whole, in no content coding.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { size: Some(bytes.len() as u64), captured: Captured::Whole(bytes), ..Self::default() }
    }

    /// A body of which only the size is known.
    pub fn of_size(size: u64) -> Self {
        Self { size: Some(size), ..Self::default() }
    }

    /// The bytes that were kept, in their content coding.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.captured {
            Captured::No(_) => None,
            Captured::Whole(bytes) | Captured::Cut(bytes) => Some(bytes),
        }
    }

    /// Whether the end of the body is missing from what was kept.
    pub fn is_cut(&self) -> bool {
        matches!(self.captured, Captured::Cut(_))
    }

    /// The kept bytes without their content coding, at most `max_bytes` of them. `None` when nothing was kept, the
    /// coding is not one weir reads, the bytes are broken (a cut compressed body is), or the result is too large.
    pub fn decoded(&self, max_bytes: usize) -> Option<Bytes> {
        let bytes = self.bytes()?;
        match &self.coding {
            ContentCoding::Known(Coding::Identity) => Some(bytes.slice(..bytes.len().min(max_bytes))),
            ContentCoding::Known(coding) => inflate(*coding, bytes, max_bytes).ok().map(Bytes::from),
            ContentCoding::Other(_) => None,
        }
    }
}

/// The content coding of kept bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentCoding {
    /// One that weir can remove.
    Known(Coding),
    /// Any other, or several in a row, as written in the header.
    Other(CompactString),
}

impl Default for ContentCoding {
    fn default() -> Self {
        Self::Known(Coding::Identity)
    }
}

impl ContentCoding {
    /// The coding that a `Content-Encoding` header names.
    pub fn of_header(value: Option<&str>) -> Self {
        let name = value.unwrap_or("");
        Coding::named(name).map_or_else(|| Self::Other(name.into()), Self::Known)
    }

    /// The name as in a `Content-Encoding` header; empty for none.
    pub fn name(&self) -> &str {
        match self {
            Self::Known(Coding::Identity) => "",
            Self::Known(Coding::Gzip) => "gzip",
            Self::Known(Coding::Deflate) => "deflate",
            Self::Known(Coding::Zstd) => "zstd",
            Self::Known(Coding::Brotli) => "br",
            Self::Other(name) => name,
        }
    }
}

/// How much of a body was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Captured {
    /// Nothing, and why.
    No(WhyNot),
    /// All of it.
    Whole(Bytes),
    /// The beginning; the rest exceeded a cap or never came.
    Cut(Bytes),
}

impl Default for Captured {
    fn default() -> Self {
        Self::No(WhyNot::Unknown)
    }
}

/// Why a body was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// The reporter did not say.
    Unknown,
    /// Nobody asked for bodies.
    Off,
    /// The budget for bodies in flight was used up.
    Budget,
    /// The connection changed protocol or the stream has no end worth keeping.
    Stream,
    /// Larger than the limit of the format it came by.
    TooLarge,
    /// It could not be read (unknown content coding, broken data), so its secrets could not be masked.
    Unmaskable,
}

impl WhyNot {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Off, Self::Budget, Self::Stream, Self::TooLarge, Self::Unmaskable];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Off => "off",
            Self::Budget => "budget",
            Self::Stream => "stream",
            Self::TooLarge => "too_large",
            Self::Unmaskable => "unmaskable",
        }
    }
}
