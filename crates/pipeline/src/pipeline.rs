//! The whole, put together.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use weir_kit::Clock;

use crate::intake::Intake;
use crate::journal::{Journal, JournalSettings, JournalStatus, OpenError};
use crate::ledger::{Ledger, LedgerSnapshot};
use crate::processors::Processors;
use crate::tap::Tap;
use crate::target::Targets;

/// How a pipeline is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineSettings {
    /// The journal.
    pub journal: JournalSettings,
    /// How long a submission waits for room before it is refused.
    pub submit_patience: Duration,
}

impl PipelineSettings {
    /// The defaults, with the journal in this directory.
    pub fn in_directory(directory: impl Into<std::path::PathBuf>) -> Self {
        Self { journal: JournalSettings::in_directory(directory), submit_patience: Duration::from_secs(1) }
    }
}

/// Intake, processors, journal, targets, ledger and tap.
///
/// What runs: one thread, `weir-journal`, which alone writes to the journal; one task per target on the runtime given by the
/// caller of [`Pipeline::open`]; reading the journal for a target that lags, and processing of large submissions, on that
/// runtime's blocking threads. Processors otherwise run on the threads of those who offer.
pub struct Pipeline {
    journal: Arc<Journal>,
    ledger: Arc<Ledger>,
    intake: Intake,
    targets: Targets,
    tap: Tap,
}

/// The state of a pipeline at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineStatus {
    /// The accounts of sources and targets.
    pub ledger: LedgerSnapshot,
    /// The journal.
    pub journal: JournalStatus,
}

impl Pipeline {
    /// Opens the journal, recovers what a crash left behind, and starts. Must be called within a tokio runtime with time
    /// enabled. Add the targets before the first source offers anything: a new target gets what comes after it.
    pub fn open(
        settings: PipelineSettings,
        processors: Processors,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let ledger = Arc::new(Ledger::new(clock));
        let journal = Arc::new(Journal::open(settings.journal, ledger.clone())?);
        let tap = Tap::default();
        let intake =
            Intake::new(processors, journal.clone(), ledger.clone(), tap.clone(), settings.submit_patience);
        let targets = Targets::new(journal.clone(), ledger.clone(), Handle::current());
        Ok(Self { journal, ledger, intake, targets, tap })
    }

    /// The door.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// The books.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The live view.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// Books and journal at this moment.
    pub fn status(&self) -> PipelineStatus {
        PipelineStatus { ledger: self.ledger.snapshot(), journal: self.journal.status() }
    }

    /// Refuses new exchanges, writes what was accepted, lets the targets deliver for at most `patience`, and saves the
    /// books. What a target has not had by then it gets after the next start. Afterwards the directory is free for another
    /// process.
    pub async fn shutdown(&self, patience: Duration) {
        self.journal.refuse_new().await;
        self.targets.shutdown(Instant::now() + patience).await;
        let journal = self.journal.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || journal.close()).await {
            tracing::error!(%error, "the journal could not be closed");
        }
    }
}
