//! The books, for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, json};
use crate::error::Problem;

/// What was offered and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ledger {
    /// The moment these figures hold for.
    #[schema(format = DateTime)]
    as_of: String,
    /// Whether every account adds up.
    balanced: bool,
    sources: Vec<SourceAccount>,
    targets: Vec<TargetAccount>,
    journal: Journal,
    store: StoreFigures,
}

/// `offered = accepted + dropped + held`
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceAccount {
    name: String,
    offered: u64,
    accepted: u64,
    /// By reason.
    dropped: BTreeMap<String, u64>,
    held: u64,
}

/// `offered = delivered + dropped + held`
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetAccount {
    name: String,
    /// The kind of its exporter.
    kind: String,
    offered: u64,
    delivered: u64,
    /// By reason.
    dropped: BTreeMap<String, u64>,
    held: u64,
    /// About how much of the journal what is held takes: the records of the journal are taken to be of one size.
    held_bytes: u64,
    /// Age of the oldest exchange now being delivered.
    lag_seconds: f64,
    /// Attempts that failed and were or will be repeated.
    retries: u64,
    /// Since the start of the program.
    #[schema(required)]
    last_error: Option<LastError>,
    /// When the other side last took something, since the start of the program.
    #[schema(required, format = DateTime)]
    last_delivery: Option<String>,
    /// When the batch that failed is tried again; null while nothing waits for that.
    #[schema(required, format = DateTime)]
    next_attempt: Option<String>,
    /// Whether it is one of the past.
    removed: bool,
}

/// What went wrong last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LastError {
    #[schema(format = DateTime)]
    at: String,
    message: String,
}

/// What the journal holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Journal {
    bytes: u64,
    max_bytes: u64,
    #[schema(required, format = DateTime)]
    oldest: Option<String>,
}

/// What the store holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoreFigures {
    exchanges: u64,
    bytes: u64,
    /// Exchanges that only memory and the journal hold so far.
    uncommitted: u64,
    #[schema(required, format = DateTime)]
    oldest: Option<String>,
    #[schema(required, format = DateTime)]
    newest: Option<String>,
}

/// What was offered, delivered, dropped by reason and held, for every source and target.
#[utoipa::path(
    get, path = "/api/v1/ledger", operation_id = "getLedger", tag = "operations",
    responses((status = 200, body = Ledger, description = "the books"))
)]
pub(crate) async fn ledger(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let store = app.ask(app.store.status()).await?;
    let (books, journal) = (app.pipeline.ledger(), app.pipeline.journal());
    let balanced = books.balanced();
    let sources = books.sources.into_iter().map(|account| SourceAccount {
        name: account.name,
        offered: account.offered,
        accepted: account.accepted,
        dropped: account.dropped,
        held: account.held,
    });
    let targets = books.targets.into_iter().map(|account| TargetAccount {
        name: account.name,
        kind: account.kind,
        offered: account.offered,
        delivered: account.delivered,
        dropped: account.dropped,
        held: account.held,
        held_bytes: share(account.held, &journal),
        lag_seconds: account.lag_seconds,
        retries: account.retries,
        last_error: account
            .last_error
            .map(|error| LastError { at: error.at.to_string(), message: error.message }),
        last_delivery: account.last_delivery.map(|at| at.to_string()),
        next_attempt: account.next_attempt.map(|at| at.to_string()),
        removed: account.removed,
    });
    Ok(json(&Ledger {
        as_of: books.as_of.to_string(),
        balanced,
        sources: sources.collect(),
        targets: targets.collect(),
        journal: Journal {
            bytes: journal.bytes,
            max_bytes: journal.max_bytes,
            oldest: journal.oldest.map(|oldest| oldest.to_string()),
        },
        store: StoreFigures {
            exchanges: store.exchanges,
            bytes: store.bytes,
            uncommitted: store.uncommitted,
            oldest: store.oldest.map(|oldest| oldest.to_string()),
            newest: store.newest.map(|newest| newest.to_string()),
        },
    }))
}

/// About how many bytes of the journal so many records take.
fn share(records: u64, journal: &weir_pipeline::JournalStatus) -> u64 {
    let kept = journal.end_position.saturating_sub(journal.oldest_position);
    match u128::from(journal.bytes).checked_mul(u128::from(records.min(kept))) {
        Some(product) if kept > 0 => u64::try_from(product / u128::from(kept)).unwrap_or(u64::MAX),
        _ => 0,
    }
}
