//! How exchanges travel: one bounded door, processors in order, one journal, a cursor on it for every target, and a
//! ledger that balances.
//!
//! In reading order: [`exporter`], [`policy`], [`receiver`], [`desk`] (what plug-ins implement and may ask for),
//! [`governance`], [`record`] (the flat form of an exchange),
//! [`ledger`], [`intake`], [`processors`], `journal`, [`target`],
//! [`tap`], [`pipeline`] (the whole, put together).

pub mod desk;
pub mod exporter;
pub mod file_format;
pub mod filter;
pub mod governance;
pub mod intake;
mod journal;
pub mod ledger;
pub mod pipeline;
pub mod policy;
pub mod processors;
pub mod receipt;
pub mod receiver;
pub mod record;
pub mod tap;
pub mod target;
pub mod testing;

pub use desk::{Desk, DeskError, ProfileKind, ProfileUpdate, Question};
pub use exporter::{
    Batch, Built, CaptureWish, Delivered, ExportError, Exporter, ExporterKind, QueueSettings,
};
pub use file_format::{Imported, Importer, ImporterKind, Renderer, RendererKind};
pub use filter::{Accepts, Filter};
pub use governance::Governance;
pub use intake::{Intake, Submission};
pub use journal::{JournalSettings, JournalStatus, OpenError};
pub use ledger::{LastError, Ledger, LedgerSnapshot, SourceAccount, TargetAccount, reason};
pub use pipeline::{Pipeline, PipelineSettings, PipelineStatus};
pub use policy::{Policy, PolicyAnswer, PolicyCall, Verdict};
pub use processors::{Learned, Places, PlacesError, ProcessorSettings, Processors, Sampling};
pub use receipt::{NoRoom, Receipt};
pub use receiver::{Call, Credential, Decoded, Malformed, Mount, Outcome, Receiver, Rejected, Reply};
pub use tap::{Subscription, Tap};
pub use target::{Removal, Start, TargetError, TargetSpec, Targets};
