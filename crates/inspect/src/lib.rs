//! What an exchange tells: its operation, its user, and which parts of it must not be kept.
//!
//! In reading order: [`operation`] (protocols, path templates and how they are learned), [`client`] (whose call it
//! was), [`redact`] (what is masked before anything is kept). Beneath them lie scanners that read foreign bytes in place
//! and never fail: `json`, `xml`, `media`.
//!
//! Everything here is pure: no IO, no task, no clock. The order in which the parts run is the pipeline's business.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod client;
pub mod operation;
pub mod redact;

mod json;
mod media;
mod splice;
mod xml;

pub use client::{UserRule, identify_user};
pub use operation::{Learner, LearnerLimits, Templates, identify};
pub use redact::{RedactSettings, Redactor};
