//! The data plane over real sockets: a gateway, services and clients in one process.

#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod capture;
mod forwarding;
mod framing;
mod harness;
mod lifecycle;
mod plugins;
mod policy;
mod streaming;
mod versions;
