#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`record`] (the fields), [`msgpack`] and [`protobuf`] (the two encodings), [`decode`] and [`encode`]
//! (records and exchanges), [`names`] (where the parts of a record lie), `dump` (requests and responses whole), [`hash`],
//! [`normalise`], [`lists`] (their names), [`connection`] (Redis), [`config`] and [`exporter`],
//! [`gateway_conf`] (`tyk.conf`), [`definitions`] (of APIs), [`pump`].

pub mod config;
pub mod connection;
pub mod decode;
pub mod definitions;
mod dump;
pub mod encode;
pub mod exporter;
pub mod gateway_conf;
pub mod hash;
pub mod lists;
pub mod msgpack;
pub mod names;
pub mod normalise;
pub mod protobuf;
pub mod pump;
pub mod record;

#[cfg(test)]
mod tests;

pub use names::NAMES;

use weir_kit::Timestamp;
use weir_pipeline::ExporterKind;

/// Writes records to Redis.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "tyk",
    aliases: &[],
    about: "writes traffic records to Redis, as Tyk's gateway does for its pump",
    fields: config::FIELDS,
    build: exporter::build,
};

/// How exchanges are marked that came from a record.
pub const SOURCE: &str = "tyk";

/// What stands for no key where keys are hashed: the hash of the empty text.
pub const NO_KEY: &str = "00000000";

/// Year, month, day and hour in UTC.
fn civil(instant: Timestamp) -> (i64, i64, i64, i64) {
    let instant = jiff::Timestamp::from_microsecond(instant.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let at = jiff::tz::Offset::UTC.to_datetime(instant);
    (at.year().into(), at.month().into(), at.day().into(), at.hour().into())
}
