//! Targets: exporters with their place in the journal.
//!
//! Every target has one task of its own, so none waits for another. Adding, replacing and removing targets happens while
//! the pipeline runs; a target that is replaced under the same name goes on where it was.

mod decide;
mod resume;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::exporter::{Exporter, QueueSettings};
use crate::filter::Filter;
use crate::journal::{Cursor, Journal, Mode};
use crate::ledger::{Ledger, Target, reason};
use resume::{Found, resume};
use worker::{Books, Order, Worker};

/// A target as settings describe it.
pub struct TargetSpec {
    /// Its name, unique among the targets.
    pub name: String,
    /// The kind of its exporter.
    pub kind: String,
    /// What its settings amount to, as text: [`Targets::reconcile`] leaves a running target alone as long as this stays
    /// the same.
    pub fingerprint: String,
    /// What delivers.
    pub exporter: Arc<dyn Exporter>,
    /// How to batch and retry.
    pub queue: QueueSettings,
    /// Which exchanges it is fed.
    pub filter: Filter,
    /// Where it begins when it is new and keeps no position of its own.
    pub start: Start,
}

/// Where a new target begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// With what is accepted from now on.
    #[default]
    Now,
    /// With the oldest record that the journal still has.
    Beginning,
}

/// What becomes of what a target still has to get when it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is delivered, as far as the time suffices; the rest is dropped and counted (`removed`).
    Drain(Duration),
    /// It is dropped and counted (`removed`).
    Drop,
}

/// Why a target could not be added.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is one of this name.
    #[error("there is a target named {0:?} already")]
    Exists(String),
    /// Its place in the journal could not be found.
    #[error("target {name:?} cannot be fed from the journal: {cause}")]
    Journal {
        /// Its name.
        name: String,
        /// What happened.
        cause: String,
    },
}

/// The targets of a pipeline.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Targets {
    inner: Arc<Inner>,
}

struct Inner {
    journal: Arc<Journal>,
    ledger: Arc<Ledger>,
    runtime: Handle,
    /// Changes to targets happen one after the other.
    running: Mutex<BTreeMap<String, Running>>,
}

struct Running {
    fingerprint: String,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Targets {
    pub(crate) fn new(journal: Arc<Journal>, ledger: Arc<Ledger>, runtime: Handle) -> Self {
        Self { inner: Arc::new(Inner { journal, ledger, runtime, running: Mutex::default() }) }
    }

    /// Adds a target and starts feeding it. One that was there before under this name goes on where it was.
    pub async fn add(&self, spec: TargetSpec) -> Result<(), TargetError> {
        let mut running = self.inner.running.lock().await;
        if running.contains_key(&spec.name) {
            return Err(TargetError::Exists(spec.name));
        }
        let (name, started) = self.inner.start(spec).await?;
        running.insert(name, started);
        Ok(())
    }

    /// Removes a target; gives whether there was one. Its account stays in the ledger.
    pub async fn remove(&self, name: &str, removal: Removal) -> bool {
        let mut running = self.inner.running.lock().await;
        let Some(target) = running.remove(name) else { return false };
        self.inner.retire(name.to_owned(), target, removal).await;
        true
    }

    /// Makes the targets those of the list: adds new ones, replaces those whose fingerprint differs (they go on where they
    /// were), removes others, also those that only an earlier run had. All that can be done is done; what could not is
    /// returned.
    pub async fn reconcile(&self, specs: Vec<TargetSpec>, removal: Removal) -> Vec<TargetError> {
        let mut running = self.inner.running.lock().await;
        let wanted: BTreeSet<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        let mut errors = Vec::new();
        for spec in specs {
            let name = spec.name.clone();
            if running.get(&name).is_some_and(|target| target.fingerprint == spec.fingerprint) {
                continue;
            }
            if let Some(target) = running.remove(&name) {
                target.stop(Order::Halt).await;
            }
            match self.inner.start(spec).await {
                Ok((name, started)) => {
                    running.insert(name, started);
                }
                Err(error) => errors.push(error),
            }
        }
        // Last, because it may take a while; all at once, because one slow target never delays another.
        let gone: Vec<String> = running.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        let gone = gone.into_iter().filter_map(|name| running.remove_entry(&name));
        let gone: Vec<(String, Running)> = gone.collect();
        join_all(gone.into_iter().map(|(name, target)| self.inner.retire(name, target, removal))).await;
        self.inner.forget_places(&wanted);
        errors
    }

    /// The names of the running targets.
    pub async fn names(&self) -> Vec<String> {
        self.inner.running.lock().await.keys().cloned().collect()
    }

    /// Lets every target deliver what the journal holds, until the deadline, and makes it durable.
    pub(crate) async fn shutdown(&self, deadline: Instant) {
        let mut running = self.inner.running.lock().await;
        let targets = std::mem::take(&mut *running);
        for target in targets.values() {
            target.orders.send_replace(Order::Drain(deadline));
        }
        for (name, target) in targets {
            if let Err(error) = target.task.await {
                tracing::error!(target_name = %name, %error, "a target's task failed");
            }
        }
    }
}

impl Running {
    async fn stop(self, order: Order) {
        self.orders.send_replace(order);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a target's task failed");
        }
    }
}

impl Inner {
    async fn start(&self, spec: TargetSpec) -> Result<(String, Running), TargetError> {
        let name = spec.name.clone();
        let failed = |cause: String| TargetError::Journal { name: name.clone(), cause };
        let own = spec.exporter.own_position();
        if let Some(own) = own {
            // A journal that was lost must not hand out positions that the target has already seen.
            self.journal.skip_to(own).await.map_err(failed)?;
        }
        let joining = self.enter(&spec, own);
        let position = joining.found.position;
        let interrupted = joining.interrupted();
        let place = match own {
            Some(_) => None,
            None => Some(self.journal.place_file(&name).map_err(|error| failed(error.to_string()))?),
        };
        let found = self.look(&spec.filter, &joining).await.map_err(|error| failed(error.to_string()))?;
        self.journal.with_state(|state| {
            self.ledger.resume(&name, |account| resume(&joining.earlier, account, found));
            if let Some(cursor) = state.cursors.get_mut(&name) {
                cursor.mode = Mode::Live;
            }
        });
        if let (Some(place), Some(account)) = (&place, self.ledger.target(&name)) {
            place.write(account).map_err(|error| failed(error.to_string()))?;
        }
        let (orders, inbox) = watch::channel(Order::Run);
        let fingerprint = spec.fingerprint.clone();
        let entered = self.runtime.enter();
        spec.exporter.start();
        drop(entered);
        let books = Books { journal: self.journal.clone(), ledger: self.ledger.clone(), place };
        let worker = Worker::new(spec, position, interrupted, books, inbox);
        let task = self.runtime.spawn(worker.run());
        Ok((name, Running { fingerprint, orders, task }))
    }

    /// Takes the target's place in the journal. From here on it is offered what is new; what is older is counted next.
    fn enter(&self, spec: &TargetSpec, own: Option<u64>) -> Joining {
        self.journal.with_state(|state| {
            let (oldest, end) = (state.oldest(), state.end);
            let start = match spec.start {
                Start::Now => end,
                Start::Beginning => oldest,
            };
            let earlier = self.ledger.target(&spec.name);
            let known = earlier.as_ref().filter(|account| !account.removed).map(|account| account.position);
            let position = own.or(known).unwrap_or(start).clamp(oldest, end);
            let mut earlier = earlier.unwrap_or_default();
            if known.is_none() {
                (earlier.position, earlier.counted_to) = (position, position);
                earlier.on_its_way = None;
            }
            earlier.kind.clone_from(&spec.kind);
            earlier.removed = false;
            let cursor = Cursor {
                filter: spec.filter.clone(),
                read: position,
                keep: position,
                essential: own.is_some(),
                mode: Mode::Joining,
            };
            state.cursors.insert(spec.name.clone(), cursor);
            self.ledger.join(&spec.name, earlier.clone(), end);
            let found = Found { position, own: own.is_some(), oldest, ..Found::default() };
            Joining { earlier, found, end }
        })
    }

    /// Counts what the journal holds for a target that starts.
    async fn look(&self, filter: &Filter, joining: &Joining) -> std::io::Result<Found> {
        let Joining { earlier, found, end } = joining;
        let (position, counted_to) = (found.position, earlier.counted_to.min(*end));
        Ok(Found {
            back: self.journal.count(filter, position..earlier.position).await?,
            remaining: self.journal.count(filter, position..counted_to).await?,
            ahead: self.journal.count(filter, counted_to..position).await?,
            fresh: self.journal.count(filter, position.max(counted_to)..*end).await?,
            ..*found
        })
    }

    /// Stops a target for good.
    async fn retire(&self, name: String, target: Running, removal: Removal) {
        let order = match removal {
            Removal::Drop => Order::Halt,
            Removal::Drain(time) => {
                self.journal.with_state(|state| {
                    let end = state.end;
                    if let Some(cursor) = state.cursors.get_mut(&name) {
                        cursor.mode = Mode::Draining(end);
                    }
                });
                Order::Drain(Instant::now() + time)
            }
        };
        target.stop(order).await;
        self.forget(&name);
    }

    /// Gives up the places of targets of an earlier run that are not wanted any more.
    fn forget_places(&self, wanted: &BTreeSet<String>) {
        let places: Vec<String> = self.journal.with_state(|state| {
            state.cursors.keys().filter(|name| !wanted.contains(*name)).cloned().collect()
        });
        for name in places {
            self.forget(&name);
        }
    }

    fn forget(&self, name: &str) {
        self.journal.with_state(|state| {
            state.cursors.remove(name);
            let dropped = self.ledger.remove_target(name, reason::REMOVED);
            tracing::info!(target_name = name, dropped, "target removed");
        });
        self.journal.remove_place_file(name);
        self.journal.tidy();
    }
}

/// A target that is about to start.
struct Joining {
    earlier: Target,
    found: Found,
    /// End of the journal when it entered.
    end: u64,
}

impl Joining {
    /// Where the batch ends that was on its way when the target was last seen, if it can be formed again.
    fn interrupted(&self) -> Option<u64> {
        let Self { earlier, found, end } = self;
        let same_start = !found.own && found.position == earlier.position;
        earlier.on_its_way.filter(|until| same_start && (found.position + 1..=*end).contains(until))
    }
}
