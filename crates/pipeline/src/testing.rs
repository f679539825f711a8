//! What the tests of several crates share: random exchanges, and one contract suite for every implementation of a trait.
//!
//! Failed checks panic with the reason, as assertions do.

mod random;

pub use random::random_exchange;
