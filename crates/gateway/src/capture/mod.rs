//! The record of a call, kept without making the call wait.
//!
//! On the worker: a [`Recorder`] travels with the call, writes the flat record of [`weir_pipeline::record`] into a buffer
//! of the worker's own, without secrets ([`redact`]), and when the call has ended copies it once into the worker's
//! current chunk of the [`ChunkPool`]. Bodies pass through unchanged; a [`BodyCopy`] keeps their beginning, within the
//! worker's [`Budget`]. No room, no record: the drop is counted by its [`DropReason`].
//!
//! Off the workers: drain threads take full chunks (and, now and then, begun ones), decode them and hand the exchanges to
//! the sink given at the start.

mod body_copy;
mod drain;
mod pool;
mod recorder;
pub(crate) mod redact;

use std::sync::Arc;

use weir_model::Exchange;

pub(crate) use body_copy::{BodyCopy, Budget, Share};
pub(crate) use drain::{Drain, start as start_drain};
pub use pool::{CaptureCounts, DropReason};
pub(crate) use pool::{ChunkPool, WorkerSlot};
pub(crate) use recorder::{CLIENT_ABORTED, CLIENT_LEFT, CallSecrets, Recorder, host_of, write_trailers};

/// Takes exchanges from a drain thread. May block: records then fill the pool, and when that is full they are dropped and
/// counted.
pub type Sink = Arc<dyn Fn(Vec<Exchange>) + Send + Sync>;
