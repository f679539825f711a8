//! Reports in foreign formats, at their original paths.
//!
//! In reading order: `paths` (which receiver a call is for), `call` (reading, inflating, decoding, submitting), `desk`
//! (what receivers may ask for).

mod call;
mod desk;
mod paths;

pub(crate) use call::{Bare, preflight, serve};
pub(crate) use paths::{Collector, Found};

/// Booked for entries that could not be read.
pub(crate) const MALFORMED: &str = "malformed";
/// Booked for entries under a credential that is not known.
pub(crate) const UNKNOWN_CREDENTIAL: &str = "unknown_credential";
