//! What the door of the pipeline answers.

/// The fate of exchanges that were submitted; what was saved is synced in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How many are safe in the journal.
    pub saved: usize,
    /// How many a processor left out on purpose (sampling) or could not take; they are counted and must not be sent again.
    pub dropped: usize,
}

/// Why exchanges were not taken; the sender may send them again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// Too much is waiting to be written, or the journal is full of what the store still needs.
    #[error("the journal is full, try again later")]
    Full,
    /// The journal could not be written.
    #[error("the journal could not be written: {0}")]
    Failed(String),
    /// The pipeline is shutting down.
    #[error("shutting down")]
    Closed,
}
