#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`record`] (the fields), [`msgpack`] and [`protobuf`] (the two encodings).

pub mod msgpack;
pub mod protobuf;
pub mod record;

#[cfg(test)]
mod tests;
