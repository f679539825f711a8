//! Lines out of a stream of bytes.

use weir_model::Exchange;
use weir_pipeline::{Imported, Importer, Rejected};

/// Cuts a stream into lines and keeps at most one of them.
#[derive(Debug)]
struct Splitter {
    max_bytes: usize,
    kept: Vec<u8>,
    too_long: bool,
}

impl Splitter {
    /// Takes the next bytes; gives `found` each line that ends in them, or `None` for one that was too long.
    fn feed(&mut self, mut bytes: &[u8], found: &mut dyn FnMut(Option<&[u8]>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            if self.kept.is_empty() && !self.too_long && line.len() <= self.max_bytes {
                found(Some(line));
            } else {
                self.keep(line);
                self.end(found);
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_long || self.kept.len() + bytes.len() > self.max_bytes {
            self.too_long = true;
            self.kept = Vec::new();
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, found: &mut dyn FnMut(Option<&[u8]>)) {
        found((!self.too_long).then_some(&self.kept));
        self.kept.clear();
        self.too_long = false;
    }
}

/// Reads one line; `number` counts from 1.
pub type ReadLine = fn(line: &[u8], number: u64) -> Result<Exchange, String>;

/// Imports files of one exchange per line.
#[derive(Debug)]
pub struct LineImporter {
    splitter: Splitter,
    read: ReadLine,
    number: u64,
    offered: u64,
}

impl LineImporter {
    /// An importer that reads lines of up to `max_bytes` with `read`. Empty lines do not count.
    pub fn new(read: ReadLine, max_bytes: usize) -> Self {
        let splitter = Splitter { max_bytes, kept: Vec::new(), too_long: false };
        Self { splitter, read, number: 0, offered: 0 }
    }

    fn lines(&mut self, out: &mut Imported, take: impl FnOnce(&mut Splitter, &mut dyn FnMut(Option<&[u8]>))) {
        let Self { splitter, read, number, offered } = self;
        let max_bytes = splitter.max_bytes;
        take(splitter, &mut |line| {
            *number += 1;
            let outcome = match line.map(<[u8]>::trim_ascii) {
                Some(b"" | b"\xEF\xBB\xBF") => return,
                Some(line) => read(line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line), *number),
                None => Err(format!("longer than {max_bytes} bytes")),
            };
            *offered += 1;
            match outcome {
                Ok(exchange) => out.accepted.push(exchange),
                Err(reason) => out.rejected.push(Rejected {
                    index: usize::try_from(*number).unwrap_or(usize::MAX),
                    reason: format!("line {number}: {}", super::shortened(&reason, 300)),
                }),
            }
        });
        out.offered = self.offered;
    }
}

impl Importer for LineImporter {
    fn feed(&mut self, bytes: &[u8], out: &mut Imported) {
        self.lines(out, |splitter, found| splitter.feed(bytes, found));
    }

    fn finish(&mut self, out: &mut Imported) {
        self.lines(out, |splitter, found| {
            if !splitter.kept.is_empty() || splitter.too_long {
                splitter.end(found);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&str]) -> Vec<String> {
        let mut splitter = Splitter { max_bytes: 5, kept: Vec::new(), too_long: false };
        let mut lines = Vec::new();
        let mut found = |line: Option<&[u8]>| {
            lines.push(line.map_or("too long".to_owned(), |line| String::from_utf8_lossy(line).into_owned()));
        };
        for piece in pieces {
            splitter.feed(piece.as_bytes(), &mut found);
        }
        splitter.end(&mut found);
        lines
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        let expected = ["a", "", "12345", "too long", "b"];
        assert_eq!(lines(&["a\n\n12345\n123456\nb"]), expected);
        assert_eq!(lines(&["a", "\n\n12", "34", "5\n123", "45", "6", "\nb"]), expected);
    }

    #[test]
    fn lines_are_numbered_and_empty_ones_do_not_count() {
        let read: ReadLine = |line, _| Err(String::from_utf8_lossy(line).into_owned());
        let mut importer = LineImporter::new(read, 5);
        let mut out = Imported::default();
        importer.feed(b"\xEF\xBB\xBFa\r\n\r\nlong line\nb", &mut out);
        importer.finish(&mut out);
        let reasons: Vec<(usize, &str)> =
            out.rejected.iter().map(|rejected| (rejected.index, rejected.reason.as_str())).collect();
        assert_eq!(reasons, [(1, "line 1: a"), (3, "line 3: longer than 5 bytes"), (4, "line 4: b")]);
        assert_eq!(out.offered, 3);
    }
}
