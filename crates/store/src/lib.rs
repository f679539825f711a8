//! Where exchanges rest.
//!
//! In reading order: [`Store`] (the contract), [`memory`] (the definition of a query), `figures`, `sketch` and `groups`
//! (what both stores count with), [`embedded`] (tantivy), [`testing`] (the suite every store passes).

pub mod embedded;
mod figures;
mod groups;
pub mod memory;
mod sketch;
mod store;
pub mod testing;

pub use embedded::{EmbeddedSettings, EmbeddedStore};
pub use memory::MemoryStore;
pub use store::{Page, Position, Store, StoreError, StoreStatus, Total};
