//! What weir's crates share that knows nothing of HTTP traffic.
//!
//! In reading order: [`Kind`] (how plug-ins are listed), [`Secret`], [`Timestamp`] and [`Clock`],
//! [`Backoff`], [`inflate`] (capped decompression).
//!
//! This crate does no IO, starts no task and never learns what an exchange is.

pub mod backoff;
pub mod clock;
pub mod inflate;
pub mod kind;
pub mod priority;
pub mod schema;
pub mod secret;
pub mod text;
pub mod units;

pub use backoff::Backoff;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use kind::{ConfigError, Kind, Problem};
pub use schema::{FieldKind, FieldSpec};
pub use secret::Secret;
