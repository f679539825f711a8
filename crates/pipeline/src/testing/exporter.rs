//! What every exporter must do, and what one that speaks HTTP must do beside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use weir_model::Exchange;

use super::{Answer, Server, random_exchange};
use crate::exporter::{Batch, ExportError, Exporter};

/// An exporter to be checked.
pub struct ExporterCase<'a> {
    /// Builds it for a server at this address.
    pub build: &'a (dyn Fn(SocketAddr) -> Box<dyn Exporter> + Sync),
    /// How the other side says that it took everything.
    pub accepts: Answer,
}

/// Runs an exporter through everything that may happen on the other side.
///
/// # Panics
/// When it does not keep its contract.
pub async fn check_exporter(case: ExporterCase<'_>) {
    takes_any_exchange(&case).await;
    repeats_after_a_failure(&case).await;
    does_not_repeat_after_a_refusal(&case).await;
    outlives_a_dead_server(&case).await;
}

/// Runs an exporter that always finds its other side ready (a file, a socket that nobody need listen on) through
/// batches of odd exchanges.
///
/// # Panics
/// When it does not take them.
pub async fn check_local_exporter(build: &(dyn Fn() -> Box<dyn Exporter> + Sync)) {
    for seed in 0..10 {
        let (exporter, exchanges) = (build(), batch(seed));
        let outcome = exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await;
        match outcome {
            Ok(delivered) => check_rejected(&delivered.rejected, &exchanges),
            Err(error) => panic!("a batch of odd exchanges (seed {seed}) was not taken: {error}"),
        }
        let flushed = exporter.flush().await;
        assert!(flushed.is_ok(), "flushing failed: {flushed:?}");
    }
}

fn check_rejected(rejected: &[(usize, String)], exchanges: &[Arc<Exchange>]) {
    for (index, reason) in rejected {
        assert!(*index < exchanges.len(), "index {index} lies outside of the batch");
        assert!(!reason.is_empty(), "an entry was rejected without a reason");
    }
}

type Outcome = Result<Vec<(usize, String)>, ExportError>;

async fn export(case: &ExporterCase<'_>, exchanges: &[Arc<Exchange>], answer: Answer) -> (Outcome, usize) {
    let server = start(answer).await;
    let exporter = (case.build)(server.address());
    let batch = Batch { exchanges, next_position: 1 };
    let outcome = exporter.export(&batch).await.map(|delivered| delivered.rejected);
    let flushed = exporter.flush().await;
    assert!(flushed.is_ok(), "flushing failed: {flushed:?}");
    (outcome, server.received().len())
}

async fn start(answer: Answer) -> Server {
    match Server::start(Vec::new(), answer).await {
        Ok(server) => server,
        Err(error) => panic!("no server to test with: {error}"),
    }
}

fn batch(seed: u64) -> Vec<Arc<Exchange>> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..20).map(|_| Arc::new(random_exchange(&mut rng))).collect()
}

/// The model allows what no sane server sends; an exporter sends it or rejects the entry, and never fails the batch.
async fn takes_any_exchange(case: &ExporterCase<'_>) {
    for seed in 0..10 {
        let exchanges = batch(seed);
        let (outcome, calls) = export(case, &exchanges, case.accepts.clone()).await;
        let rejected = match outcome {
            Ok(rejected) => rejected,
            Err(error) => panic!("a batch of odd exchanges (seed {seed}) was not taken: {error}"),
        };
        check_rejected(&rejected, &exchanges);
        assert!(
            rejected.len() == exchanges.len() || calls > 0,
            "nothing was sent, and nothing said about it"
        );
    }
}

async fn repeats_after_a_failure(case: &ExporterCase<'_>) {
    let exchanges = batch(100);
    let wait = vec![("retry-after", "7".to_owned())];
    for status in [429, 500, 502, 503, 504] {
        let (outcome, _) = export(case, &exchanges, Answer::with(status, "")).await;
        assert!(matches!(outcome, Err(ExportError::Retry { .. })), "after {status}: {outcome:?}");
    }
    let busy = Answer::With { status: 503, headers: wait, body: String::new() };
    let (outcome, _) = export(case, &exchanges, busy).await;
    let asked = Some(Duration::from_secs(7));
    assert!(
        matches!(outcome, Err(ExportError::Retry { after, .. }) if after == asked),
        "Retry-After is not respected: {outcome:?}"
    );
    let (outcome, _) = export(case, &exchanges, Answer::HangUp).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "after a lost connection: {outcome:?}");
}

async fn does_not_repeat_after_a_refusal(case: &ExporterCase<'_>) {
    let exchanges = batch(200);
    let (outcome, _) = export(case, &exchanges, Answer::with(400, "bad")).await;
    match outcome {
        Err(ExportError::Refused { cause }) => assert!(!cause.is_empty()),
        Ok(rejected) => assert_eq!(rejected.len(), exchanges.len(), "refused entries count as delivered"),
        Err(error) => panic!("a refusal must not be repeated: {error}"),
    }
}

async fn outlives_a_dead_server(case: &ExporterCase<'_>) {
    let server = start(case.accepts.clone()).await;
    let address = server.address();
    drop(server);
    // Give the listener time to close.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let exchanges = batch(300);
    let outcome = (case.build)(address).export(&Batch { exchanges: &exchanges, next_position: 1 }).await;
    assert!(matches!(outcome, Err(ExportError::Retry { .. })), "with nobody listening: {outcome:?}");
}
