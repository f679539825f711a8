//! What an exchange is: one request and what came of it.
//!
//! In reading order: [`Exchange`], [`Headers`], [`Body`], [`Timings`], [`Operation`], [`Finding`], [`Attributes`],
//! and [`field`], the one table of what can be filtered, grouped and shown.
//!
//! Names follow OpenTelemetry's HTTP semantic conventions first, HAR second, RFC 9110 for HTTP itself. The types are
//! lenient where the world is: methods are text, statuses any number, header values bytes. None of them is
//! serialisable: each boundary (wire format, journal, table row, API view) has its own struct and converts.

pub mod attribute;
pub mod body;
pub mod exchange;
pub mod field;
pub mod finding;
pub mod headers;
mod memory;
pub mod operation;
pub mod timings;

pub use compact_str::CompactString;

pub use attribute::{Attributes, Value, place, recording};
pub use body::{Body, Captured, WhyNot};
pub use exchange::{Consumer, Exchange, ExchangeId, Identity, Origin, Peer, ProjectId, Request, Response};
pub use field::{Field, FieldRow, FieldType, FieldValue};
pub use finding::{Finding, Severity};
pub use headers::Headers;
pub use operation::{Operation, Protocol};
pub use timings::Timings;
