//! What all questions share: the pool they run on, how they are given up, and what they look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId};
use weir_query::TimeRange;

use super::partition::{Partition, Segment, View, trouble};
use super::tail::Batch;
use crate::StoreError;

/// A bounded number of threads for questions.
pub(super) struct Pool {
    permits: Arc<Semaphore>,
}

/// Set when nobody waits for the answer any more.
pub(super) type Cancelled = Arc<AtomicBool>;

/// Fails when the question was given up. Asked between segments and every few thousand documents.
pub(super) fn check(cancelled: &Cancelled) -> Result<(), StoreError> {
    if cancelled.load(Ordering::Relaxed) {
        return Err(StoreError::Busy("the question was given up".to_owned()));
    }
    Ok(())
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn of(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Runs a question; dropping the future gives it up.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Cancelled) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // The permit goes along with the work: a given-up question counts until its thread is free.
        let permit = self.permits.clone().acquire_owned().await.map_err(trouble)?;
        let cancelled = Cancelled::default();
        let guard = CancelOnDrop(cancelled.clone());
        let answer = tokio::task::spawn_blocking(move || {
            let answer = question(&cancelled);
            drop(permit);
            answer
        });
        let answer = answer.await.map_err(trouble)?;
        drop(guard);
        answer
    }
}

/// The store at one instant.
pub(super) struct Snapshot {
    pub(super) tail: Vec<Batch>,
    pub(super) open: Arc<View>,
    pub(super) sealed: Vec<Arc<Partition>>,
}

impl Snapshot {
    /// What is in memory only.
    pub(super) fn tail(&self) -> impl Iterator<Item = &Exchange> {
        self.tail.iter().flat_map(|batch| batch.exchanges.iter()).map(Arc::as_ref)
    }

    /// The views whose exchanges may lie in the range; others are not even opened.
    pub(super) fn views(&self, range: TimeRange) -> Result<Vec<Arc<View>>, StoreError> {
        let within = |oldest: Timestamp, newest: Timestamp| oldest < range.to && range.from <= newest;
        let mut views = vec![self.open.clone()];
        for partition in self.sealed.iter().rev() {
            if partition.sealed.as_ref().is_none_or(|sealed| within(sealed.oldest, sealed.newest)) {
                views.push(partition.view()?);
            }
        }
        Ok(views)
    }

    /// An exchange by its id.
    pub(super) fn get(&self, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        if let Some(found) = self.tail().find(|exchange| exchange.id == id) {
            return Ok(Some(found.clone()));
        }
        if let Some(found) = self.open.get(id)? {
            return Ok(Some(found));
        }
        for partition in self.sealed.iter().rev().filter(|partition| may_have(partition, id)) {
            if let Some(found) = partition.view()?.get(id)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Whether a partition may have an exchange with this id, by what the catalogue says.
pub(super) fn may_have(partition: &Partition, id: ExchangeId) -> bool {
    let (high, _) = super::layout::id_halves(id);
    partition.sealed.as_ref().is_none_or(|sealed| sealed.ids.0 <= high && high <= sealed.ids.1)
}

/// The segments of views whose exchanges may lie in the range.
pub(super) fn segments(views: &[Arc<View>], range: TimeRange) -> Vec<&Segment> {
    let all = views.iter().flat_map(|view| &view.segments);
    all.filter(|segment| segment.starts.0 < range.to && range.from <= segment.starts.1).collect()
}
