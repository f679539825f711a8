//! Files of exchanges: reading foreign ones piece by piece, and writing them.

use weir_model::Exchange;

use crate::Rejected;

/// A file format that can be read.
pub struct ImporterKind {
    /// The name, as in `weir import --format`.
    pub name: &'static str,
    /// File name endings that suggest it, without the dot.
    pub extensions: &'static [&'static str],
    /// A reader for one file.
    pub open: fn() -> Box<dyn Importer>,
}

/// Reads one file, handed to it in pieces of any size. Memory stays bounded whatever the file holds.
pub trait Importer: Send {
    /// Takes the next piece; what could be read goes to `out`.
    fn feed(&mut self, bytes: &[u8], out: &mut Imported);

    /// The file has ended; what was still unfinished goes to `out`.
    fn finish(&mut self, out: &mut Imported);
}

/// What came out of a piece of a file. The caller drains it.
#[derive(Debug, Default)]
pub struct Imported {
    /// Entries or lines met so far, in the whole file.
    pub offered: u64,
    /// Exchanges read since the last drain.
    pub accepted: Vec<Exchange>,
    /// What could not be used since the last drain; `index` counts lines (from 1) or entries (from 0), as the reason says.
    pub rejected: Vec<Rejected>,
}

/// A file format that can be written.
pub struct RendererKind {
    /// The name, as in `weir export --format`.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// A writer for one file.
    pub open: fn() -> Box<dyn Renderer>,
}

/// Writes one file, exchange by exchange.
pub trait Renderer: Send {
    /// Appends what comes before the first exchange.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Appends one exchange.
    fn exchange(&mut self, exchange: &Exchange, out: &mut Vec<u8>);

    /// Appends what comes after the last exchange.
    fn end(&mut self, out: &mut Vec<u8>);
}
