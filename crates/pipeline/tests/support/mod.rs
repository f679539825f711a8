//! Targets that note what they get, and do what a test tells them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // Each test file uses its part.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use weir_kit::SystemClock;
use weir_model::{Exchange, ExchangeId};
use weir_pipeline::testing::random_exchange;
use weir_pipeline::{
    Batch, Delivered, ExportError, Exporter, Filter, OpenError, Pipeline, PipelineSettings, Processors,
    QueueSettings, Start, TargetAccount, TargetSpec,
};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Take,
    /// Take all but the first entry.
    RejectFirst,
    /// Take all but the first entry, which is left out as sampled.
    SampleFirst,
    Retry,
    Refuse,
    Stall,
    Panic,
}

/// The other side of a target: survives the exporter, as a server does.
#[derive(Default)]
pub struct Sink {
    pub seen: Mutex<HashMap<ExchangeId, u32>>,
    /// For sinks that keep their own position: what survives a restart, and up to where.
    durable: Mutex<(HashSet<ExchangeId>, u64)>,
    pub twice: Mutex<u64>,
}

impl Sink {
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn durable(&self) -> HashSet<ExchangeId> {
        self.durable.lock().unwrap().0.clone()
    }
}

pub type Moods = Box<dyn FnMut() -> Mood + Send>;

/// Delivers to a sink, in a mood.
pub struct Probe {
    pub sink: Arc<Sink>,
    pub moods: Mutex<Moods>,
}

impl Probe {
    pub fn new(sink: &Arc<Sink>, moods: impl FnMut() -> Mood + Send + 'static) -> Arc<Self> {
        Arc::new(Self { sink: sink.clone(), moods: Mutex::new(Box::new(moods)) })
    }
}

#[async_trait]
impl Exporter for Probe {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let mood = (self.moods.lock().unwrap())();
        assert!(!batch.exchanges.is_empty(), "an empty batch was sent");
        let skip = match mood {
            Mood::Take => 0,
            Mood::RejectFirst | Mood::SampleFirst => 1,
            Mood::Retry => return Err(ExportError::Retry { after: None, cause: "busy".to_owned() }),
            Mood::Refuse => return Err(ExportError::Refused { cause: "never".to_owned() }),
            Mood::Panic => panic!("on purpose"),
            Mood::Stall => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                0
            }
        };
        let mut seen = self.sink.seen.lock().unwrap();
        for exchange in batch.exchanges.iter().skip(skip) {
            *seen.entry(exchange.id).or_default() += 1;
        }
        if mood == Mood::SampleFirst {
            return Ok(Delivered { sampled: skip, ..Delivered::default() });
        }
        let rejected = (0..skip).map(|index| (index, "odd".to_owned())).collect();
        Ok(Delivered::with_rejected(rejected))
    }
}

/// A store: keeps its own position, which becomes durable only now and then.
pub struct StoreProbe {
    pub sink: Arc<Sink>,
    pub moods: Mutex<Moods>,
    pending: Mutex<Vec<(Vec<ExchangeId>, u64)>>,
    commit_every: usize,
    /// Set when the machine is said to be gone: nothing becomes durable any more.
    pub gone: AtomicBool,
}

impl StoreProbe {
    pub fn new(
        sink: &Arc<Sink>,
        commit_every: usize,
        moods: impl FnMut() -> Mood + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            sink: sink.clone(),
            moods: Mutex::new(Box::new(moods)),
            pending: Mutex::default(),
            commit_every,
            gone: AtomicBool::new(false),
        })
    }

    fn commit(&self, pending: &mut Vec<(Vec<ExchangeId>, u64)>) {
        if self.gone.load(Ordering::SeqCst) {
            return;
        }
        let mut durable = self.sink.durable.lock().unwrap();
        for (ids, position) in pending.drain(..) {
            for id in ids {
                if !durable.0.insert(id) {
                    *self.sink.twice.lock().unwrap() += 1;
                }
            }
            assert!(durable.1 <= position, "the position went back");
            durable.1 = position;
        }
    }
}

#[async_trait]
impl Exporter for StoreProbe {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let mood = (self.moods.lock().unwrap())();
        match mood {
            Mood::Take | Mood::RejectFirst => {}
            Mood::Panic => panic!("on purpose"),
            _ => return Err(ExportError::Retry { after: None, cause: "busy".to_owned() }),
        }
        let mut pending = self.pending.lock().unwrap();
        pending.push((batch.exchanges.iter().map(|exchange| exchange.id).collect(), batch.next_position));
        if pending.len() >= self.commit_every {
            self.commit(&mut pending);
        }
        Ok(Delivered::default())
    }

    fn own_position(&self) -> Option<u64> {
        Some(self.sink.durable.lock().unwrap().1)
    }

    async fn flush(&self) -> Result<(), ExportError> {
        self.commit(&mut self.pending.lock().unwrap());
        Ok(())
    }
}

pub fn always(mood: Mood) -> impl FnMut() -> Mood + Send + 'static {
    move || mood
}

pub fn quick_queue() -> QueueSettings {
    QueueSettings {
        max_batch_size: 50,
        max_batch_bytes: 100_000,
        max_coalescing_delay: Duration::from_millis(2),
        max_idle_delay: None,
        initial_retry_delay: Duration::from_millis(1),
        max_retry_delay: Duration::from_millis(5),
        max_attempts: None,
        timeout: Duration::from_millis(50),
    }
}

pub fn spec(name: &str, exporter: Arc<dyn Exporter>) -> TargetSpec {
    TargetSpec {
        name: name.to_owned(),
        kind: "probe".to_owned(),
        fingerprint: String::new(),
        exporter,
        queue: quick_queue(),
        filter: Filter::All,
        start: Start::Now,
    }
}

pub fn settings(directory: &std::path::Path) -> PipelineSettings {
    let mut settings = PipelineSettings::in_directory(directory);
    settings.journal.eventual_delay = Duration::from_millis(5);
    settings.submit_patience = Duration::from_millis(50);
    settings
}

pub fn open(settings: PipelineSettings) -> Result<Pipeline, OpenError> {
    Pipeline::open(settings, Processors::default(), Arc::new(SystemClock))
}

/// Exchanges with ids of their own.
pub fn exchanges(count: usize, seed: u64) -> Vec<Exchange> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count).map(|_| random_exchange(&mut rng)).collect()
}

pub fn account(pipeline: &Pipeline, name: &str) -> TargetAccount {
    let snapshot = pipeline.ledger().snapshot();
    assert!(snapshot.balanced(), "{snapshot:#?}");
    snapshot.targets.into_iter().find(|account| account.name == name).unwrap()
}

/// Waits until a condition holds; panics with the words when it does not within ten seconds.
pub async fn eventually(words: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {words}");
}

/// The files of a journal as they are at one moment, as a process that is killed would leave them.
pub fn copy(directory: &Path) -> TempDir {
    loop {
        let copy = tempfile::tempdir().unwrap();
        // The books first: those on disk are never newer than the journal. When they are replaced meanwhile, segments
        // may have gone, and the copy is of no single moment.
        let books = std::fs::read(directory.join("ledger.json")).ok();
        if let Some(books) = &books {
            std::fs::write(copy.path().join("ledger.json"), books).unwrap();
        }
        for name in names(directory).iter().filter(|name| name.starts_with("target-")) {
            // It may have been removed meanwhile.
            let _outcome = std::fs::copy(directory.join(name), copy.path().join(name));
        }
        let mut whole = true;
        for name in names(directory).iter().filter(|name| name.ends_with(".segment")) {
            whole &= std::fs::copy(directory.join(name), copy.path().join(name)).is_ok();
        }
        if whole && std::fs::read(directory.join("ledger.json")).ok() == books {
            return copy;
        }
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
