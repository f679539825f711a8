//! Replacing parts of a text while keeping every other byte as it is.

use std::ops::Range;

/// Copies `source` with some spans replaced. Nothing is allocated until the first replacement.
pub(crate) struct Splicer<'a> {
    source: &'a [u8],
    out: Vec<u8>,
    copied: usize,
    touched: bool,
}

impl<'a> Splicer<'a> {
    pub(crate) fn new(source: &'a [u8]) -> Self {
        Self { source, out: Vec::new(), copied: 0, touched: false }
    }

    /// Replaces a span. Spans come in ascending order; one that begins before the end of the last is cut there.
    pub(crate) fn replace(&mut self, span: Range<usize>, with: &[u8]) {
        let start = span.start.max(self.copied);
        let end = span.end.min(self.source.len());
        if start > end {
            return;
        }
        self.out.extend_from_slice(&self.source[self.copied..start]);
        self.out.extend_from_slice(with);
        self.copied = end;
        self.touched = true;
    }

    /// The new text, or `None` when nothing was replaced.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if !self.touched {
            return None;
        }
        self.out.extend_from_slice(&self.source[self.copied..]);
        Some(self.out)
    }
}
