//! The small things people configure: gateway entities, projects, tokens, saved views, rules.
//!
//! In reading order: [`State`] (the file, transactions, the version), [`Reader`] and [`Writer`] (what a transaction can
//! do), [`Record`] (one thing, with the names it can be found by), [`Page`]; beside it [`Profiles`] (users, companies and
//! subscriptions).
//!
//! A record is JSON under a collection name; what it means is the business of whoever keeps it here. This crate will
//! never: know an entity, hold traffic, wait for a network.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod migrations;
mod profiles;
mod record;
mod state;
mod transaction;

pub use profiles::{Profile, ProfileLimits, ProfileListing, ProfileNews, Profiles};
pub use record::{Page, Record, Stored};
pub use state::{State, StateError};
pub use transaction::{Reader, Writer};
