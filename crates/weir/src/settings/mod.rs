//! What can be configured.
//!
//! One table ([`spec`]) lists every key with its type, default and meaning: it checks files and environment, fills in
//! defaults, and is printed as `docs/configuration.md`. [`Settings`] is what the rest of the program sees: nothing
//! optional that has a default, units read, secrets fetched from their files.

pub mod document;
mod load;
mod resolved;
pub mod spec;

pub use load::load;
pub use resolved::*;
