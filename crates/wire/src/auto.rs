//! A file whose format nobody named: its beginning decides.

use weir_pipeline::{Imported, Importer, ImporterKind, Rejected};

use crate::registry::{DETECT_BYTES, detect};

/// Finds out the format from the content.
pub const IMPORTER: ImporterKind =
    ImporterKind { name: "auto", extensions: &[], open: || Box::new(Auto::Beginning(Vec::new())) };

enum Auto {
    /// Not enough has been seen to decide.
    Beginning(Vec<u8>),
    /// Decided.
    Known(Box<dyn Importer>),
    /// Of no known format; the rest is passed over.
    Unknown,
}

impl Auto {
    /// Decides on what has been seen, and reads it.
    fn decide(&mut self, out: &mut Imported) {
        let Self::Beginning(seen) = self else { return };
        let seen = std::mem::take(seen);
        *self = match detect(&seen) {
            Some(kind) => {
                let mut importer = (kind.open)();
                importer.feed(&seen, out);
                Self::Known(importer)
            }
            None => {
                out.offered += 1;
                let reason = "the file is of no known format; name one".to_owned();
                out.rejected.push(Rejected { index: 0, reason });
                Self::Unknown
            }
        };
    }
}

impl Importer for Auto {
    fn feed(&mut self, bytes: &[u8], out: &mut Imported) {
        match self {
            Self::Known(importer) => importer.feed(bytes, out),
            Self::Unknown => {}
            Self::Beginning(seen) => {
                seen.extend_from_slice(bytes);
                if seen.len() >= DETECT_BYTES {
                    self.decide(out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Imported) {
        self.decide(out);
        if let Self::Known(importer) = self {
            importer.finish(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(text: &str) -> (usize, Vec<String>) {
        let (mut importer, mut out) = ((IMPORTER.open)(), Imported::default());
        for piece in text.as_bytes().chunks(7) {
            importer.feed(piece, &mut out);
        }
        importer.finish(&mut out);
        (out.accepted.len(), out.rejected.into_iter().map(|rejected| rejected.reason).collect())
    }

    #[test]
    fn the_beginning_decides_and_is_read_too() {
        let line = "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1 \"-\" \"curl\"\n";
        assert_eq!(import(&line.repeat(2_000)), (2_000, vec![]));
        assert_eq!(import(line), (1, vec![]));
        assert_eq!(import("hello"), (0, vec!["the file is of no known format; name one".to_owned()]));
    }
}
