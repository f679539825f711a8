//! Reads HAR files piece by piece.

use serde::Deserialize;
use weir_pipeline::{Imported, Importer, Rejected};

use super::decode;
use super::split::{End, Part, Splitter};
use crate::parts::lenient::Text;
use crate::parts::shortened;

/// Largest text of one entry, bodies included.
pub const MAX_ENTRY_BYTES: usize = 64 * 1024 * 1024;

/// The position in one file.
#[derive(Debug)]
pub(super) struct Har {
    splitter: Splitter,
    creator: Option<String>,
    offered: u64,
}

impl Default for Har {
    fn default() -> Self {
        Self { splitter: Splitter::new(MAX_ENTRY_BYTES), creator: None, offered: 0 }
    }
}

impl Importer for Har {
    fn feed(&mut self, bytes: &[u8], out: &mut Imported) {
        let Self { splitter, creator, offered } = self;
        splitter.feed(bytes, &mut |part| match part {
            Part::Creator(text) => *creator = creator_of(text),
            Part::Entry(text) => {
                match decode::entry(text, *offered, creator.as_deref()) {
                    Ok(exchange) => out.accepted.push(exchange),
                    Err(reason) => out.rejected.push(rejected(*offered, &reason)),
                }
                *offered += 1;
            }
            Part::TooLong => {
                out.rejected.push(rejected(*offered, &format!("more than {MAX_ENTRY_BYTES} bytes")));
                *offered += 1;
            }
        });
        out.offered = self.offered;
    }

    fn finish(&mut self, out: &mut Imported) {
        let reason = match self.splitter.end() {
            End::Whole => None,
            End::InEntry => Some("the file ends within this entry"),
            End::Early => Some("the file ends before this entry"),
            End::NoEntries => Some("no log.entries in this file"),
        };
        if let Some(reason) = reason {
            out.rejected.push(rejected(self.offered, reason));
            self.offered += 1;
        }
        out.offered = self.offered;
    }
}

fn rejected(number: u64, reason: &str) -> Rejected {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    Rejected { index, reason: format!("entry {number}: {}", shortened(reason, 300)) }
}

fn creator_of(text: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Creator<'a> {
        #[serde(borrow)]
        name: Text<'a>,
        #[serde(borrow)]
        version: Text<'a>,
    }
    let creator: Creator<'_> = serde_json::from_slice(text).ok()?;
    let name = format!("{} {}", creator.name.0, creator.version.0);
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
