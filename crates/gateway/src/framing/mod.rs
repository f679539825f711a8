//! What is refused before anybody reads it: HTTP/1 requests whose end could be understood in two ways, or that break the
//! grammar of RFC 9112 in ways known from request smuggling.
//!
//! The HTTP library is lenient in places and shows nobody the bytes. So a [`Guarded`] connection looks at every byte
//! on its way to the library: [`head`] judges a request head, [`chunked`] follows a chunked body, and [`machine`] joins
//! them to know where each message begins. The library only ever sees messages that passed. In place of a head that is
//! refused it is given [`REFUSED_HEAD`], so that the refusal is answered in its turn like any other request (answers
//! to earlier, pipelined requests come first) and is recorded; what was wrong travels beside the bytes, as a [`Seen`].
//!
//! Everything here accepts a subset of what the library accepts, so the two cannot disagree about where a message ends.

pub mod chunked;
pub mod head;
mod io;
pub mod machine;
#[cfg(test)]
mod tests;

pub use head::{Limits, Refusal};
pub(crate) use io::{Guarded, Shared, Waits};
pub use machine::{Machine, Seen};

/// What the library reads in place of a refused head.
pub const REFUSED_HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
