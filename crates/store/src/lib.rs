//! Where exchanges rest.
//!
//! In reading order: [`Store`] (the contract), `memory` (the definition of a query), `embedded` (tantivy),
//! `testing` (the suite every store passes).

mod figures;
mod groups;
pub mod memory;
mod sketch;
mod store;

pub use store::{Page, Position, Store, StoreError, StoreStatus, Total};
