//! What the tests of several crates share: random exchanges, servers, and one contract suite for every implementation of a trait.
//!
//! Failed checks panic with the reason, as assertions do.

mod exporter;
mod program;
mod random;
mod receiver;
mod server;

pub use exporter::{ExporterCase, check_exporter, check_local_exporter};
pub use program::{Program, free_port};
pub use random::random_exchange;
pub use receiver::{ReceiverCase, check_receiver};
pub use server::{Answer, Received, Server};
