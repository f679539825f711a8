//! Takes records from Redis into the pipeline: no record is lost and none is doubled, whenever the process dies.
//!
//! A list is taken over by renaming it, which costs the same whatever its length and leaves writers a fresh list. What was
//! taken over belongs to one weir (its node's name is in the key) and has no expiry. From its head a chunk is read, handed
//! to the intake, and only when the journal has it on disk is it cut off. Who dies in between reads the same chunk again
//! and gives its records the same ids, made from the name that the take-over was given and the place counted from the
//! list's end, which cutting at the head does not change; the store knows them by their ids.
//!
//! In reading order: [`settings`], `claim` (what is done in Redis), `drain` (the loop), `aside` (what is no record);
//! [`conf`] (`pump.conf` of Tyk's pump) and [`rules`] (what a target is fed).

mod aside;
mod claim;
pub mod conf;
mod drain;
pub mod rules;
pub mod settings;

#[cfg(test)]
mod tests;

pub use drain::{Pump, PumpHandle};
pub use settings::PumpSettings;

/// The pump's name among the sources.
pub const SOURCE: &str = "tyk_pump";
