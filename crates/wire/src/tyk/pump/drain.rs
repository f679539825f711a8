//! The loop that drains the lists.

use std::fs;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use redis::RedisError;
use tokio::sync::{oneshot, watch};
use weir_kit::{Backoff, Timestamp};
use weir_model::{Exchange, ExchangeId, ProjectId};
use weir_pipeline::{Intake, NoRoom};

use super::SOURCE;
use super::aside::{self, Unused};
use super::claim::{Head, List, Most};
use super::settings::PumpSettings;
use crate::parts::stable_id;
use crate::tyk::connection::Redis;
use crate::tyk::hash::{self, KeyHash};
use crate::tyk::lists::{self, Encoding};
use crate::tyk::record::{MAX_RECORD_BYTES, Record};
use crate::tyk::{decode, msgpack, protobuf};

/// Waits between attempts while Redis does not answer or the journal takes nothing.
const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(10) };

/// Takes records from Redis. Made with [`Pump::start`].
#[derive(Debug)]
pub struct Pump {
    settings: PumpSettings,
    redis: Redis,
    lists: Vec<List>,
    /// The last exchanges of chunks that are in the journal and may not be cut off yet: two of a list, at most. What stood
    /// before them in their lists is in the journal, too.
    uncut: Vec<ExchangeId>,
}

/// A running pump.
#[derive(Debug)]
pub struct PumpHandle {
    stop: watch::Sender<bool>,
    /// Answers when the pump has ended, and ends it where it is when this is dropped before.
    ended: oneshot::Receiver<()>,
}

/// Why a turn ended early; all of it passes.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    #[error("the journal: {0}")]
    NoRoom(#[from] NoRoom),
    #[error("cannot set values aside: {0}")]
    Aside(#[from] io::Error),
    /// A mistake of ours; the records are still in Redis, and a later release may read them.
    #[error("reading a chunk failed unexpectedly")]
    Panicked,
}

impl Pump {
    /// Starts draining the lists into the intake, on a thread of its own: what it does comes one after the other, and most of
    /// it is work for the processor, so handing parts of it to other threads would cost more than it saves.
    ///
    /// # Errors
    /// When its folder cannot be used or the system gives no thread.
    pub fn start(settings: PumpSettings, intake: Intake) -> io::Result<PumpHandle> {
        fs::create_dir_all(&settings.directory)?;
        let node = node_name(&settings.directory)?;
        let list = |(name, encoding)| List::new(name, encoding, &settings.key_prefix, &node);
        let lists = lists::all(&settings.key_prefix).into_iter().map(list).collect();
        let redis = Redis::new(settings.redis.clone());
        let pump = Self { settings, redis, lists, uncut: Vec::new() };
        let (stop, stopping) = watch::channel(false);
        let (mut running, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("weir-pump".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = pump.run(intake, stopping) => {}
                    () = running.closed() => {}
                }
            });
            let _nobody_may_wait = running.send(());
        })?;
        Ok(PumpHandle { stop, ended })
    }

    async fn run(mut self, intake: Intake, mut stopping: watch::Receiver<bool>) {
        match intake.newest_of(SOURCE).await {
            Ok(newest) => self.uncut.extend(newest),
            Err(error) => {
                tracing::warn!(%error, "the journal does not say where the pump was; two chunks may go out twice")
            }
        }
        let mut failures = 0;
        while !*stopping.borrow() {
            let turn = AssertUnwindSafe(self.turn(&intake, &stopping)).catch_unwind().await;
            let pause = match turn.unwrap_or(Err(Trouble::Panicked)) {
                Ok(0) => self.settings.delay,
                Ok(_) => Duration::ZERO,
                Err(trouble) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(%trouble, "the pump cannot go on; trying again");
                    }
                    let pause = BACKOFF.delay(failures, rand::random());
                    let _either = tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await;
                    continue;
                }
            };
            if failures > 0 {
                tracing::info!(failures, "the pump goes on");
                failures = 0;
            }
            if !pause.is_zero() {
                let _either = tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await;
            }
        }
    }

    /// Goes through all lists once, each until it is empty; gives how many values were taken.
    async fn turn(&mut self, intake: &Intake, stopping: &watch::Receiver<bool>) -> Result<u64, Trouble> {
        let mut taken = 0;
        for at in 0..self.lists.len() {
            if *stopping.borrow() {
                break;
            }
            taken += self.empty(at, intake, stopping).await?;
        }
        Ok(taken)
    }

    /// Takes a list from its head to its end; gives how many values were taken. While one chunk is worked on, Redis cuts off
    /// the one before it and makes the next one ready.
    async fn empty(
        &mut self,
        at: usize,
        intake: &Intake,
        stopping: &watch::Receiver<bool>,
    ) -> Result<u64, Trouble> {
        let Self { settings, redis, lists, uncut } = self;
        let list = &lists[at];
        let most = Most { records: settings.chunk, bytes: settings.chunk_bytes };
        let mut taken = 0;
        // What is in the journal and still in Redis.
        let mut safe: Option<Safe> = None;
        let mut next = list.head(redis, most).await?;
        while let Some(head) = next {
            let count = head.values.len();
            let keep = safe.as_ref().map(|safe| safe.left);
            let reading = list.read_on(redis, keep, count, most);
            let saving = async {
                // So that the question is on its way first.
                tokio::task::yield_now().await;
                save(settings, list, head, uncut, intake).await
            };
            let (read, saved) = tokio::join!(reading, saving);
            if let Some(cut) = safe.take_if(|_| read.is_ok()) {
                cut.forget(uncut, intake);
            }
            let saved = saved?;
            next = read?.filter(|_| !*stopping.borrow());
            taken += count as u64;
            if next.is_some() {
                safe = Some(saved);
                continue;
            }
            list.keep_last(redis, saved.left).await?;
            saved.forget(uncut, intake);
            if !*stopping.borrow() {
                next = list.head(redis, most).await?;
            }
        }
        Ok(taken)
    }
}

/// A chunk that is in the journal.
struct Safe {
    ids: Ids,
    /// How many records follow it.
    left: u64,
    /// How many values of it were no records.
    unused: u64,
}

impl Safe {
    /// Settles it after it was cut off.
    fn forget(self, uncut: &mut Vec<ExchangeId>, intake: &Intake) {
        uncut.retain(|id| self.ids.place(*id).is_none_or(|place| place <= self.left));
        if self.unused > 0 {
            intake.dropped_before(SOURCE, "undecodable", self.unused);
        }
    }
}

/// Brings a chunk into the journal.
async fn save(
    settings: &PumpSettings,
    list: &List,
    head: Head,
    uncut: &mut Vec<ExchangeId>,
    intake: &Intake,
) -> Result<Safe, Trouble> {
    let left = head.length.saturating_sub(head.values.len() as u64);
    let ids = Ids::new(&head.label, &list.name);
    let saved = uncut.iter().filter_map(|id| ids.place(*id)).min();
    let mut submission = intake.submission(SOURCE, head.values.len());
    let mut last = None;
    let unused = read(list, &head, |record, place| {
        if saved.is_none_or(|saved| place < saved) {
            let started_at = decode::started_at(record);
            let id = ids.of(started_at, place);
            last = Some(id);
            submission.add(id, started_at, |exchange| fill(exchange, settings, record));
        }
    });
    drop(head);
    if let Some(last) = last {
        submission.send(Duration::MAX).await?;
        uncut.push(last);
    }
    if let Some(first) = unused.first() {
        let (values, reason) = (unused.len(), &first.reason);
        tracing::warn!(list = list.name, values, reason, "values that are no records");
        aside::set_aside(&settings.directory, &unused)?;
    }
    Ok(Safe { ids, left, unused: unused.len() as u64 })
}

impl PumpHandle {
    /// Ends after the chunk under way is safe, or when the time is over; what is left stays in Redis.
    pub async fn stop(self, patience: Duration) {
        let _gone_already = self.stop.send(true);
        let _ended_or_dropped = tokio::time::timeout(patience, self.ended).await;
    }
}

/// A name that stays the same as long as the folder does: what it has taken over it must find again.
fn node_name(directory: &Path) -> io::Result<String> {
    let file = directory.join("node");
    match fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let name = format!("{:016x}", rand::random::<u64>());
    let fresh = directory.join("node.new");
    fs::write(&fresh, &name)?;
    fs::File::open(&fresh)?.sync_all()?;
    fs::rename(fresh, file)?;
    fs::File::open(directory)?.sync_all()?;
    Ok(name)
}

/// Hands out the records of a chunk, each with its place, and gives what is none.
fn read(list: &List, head: &Head, mut take: impl FnMut(&mut Record<'_>, u64)) -> Vec<Unused> {
    let mut unused = Vec::new();
    let mut set_aside = |reason, bytes: &[u8]| {
        unused.push(Unused { list: list.name.clone(), reason, bytes: bytes.to_vec() });
    };
    for (place, value) in (0..=head.length).rev().zip(head.values.iter()) {
        let Some(bytes) = value else {
            set_aside(format!("record: more than {MAX_RECORD_BYTES} bytes"), &[]);
            continue;
        };
        let mut record = Record::default();
        let outcome = match list.encoding {
            Encoding::Msgpack => msgpack::decode_into(&mut record, bytes),
            Encoding::Protobuf => protobuf::decode_into(&mut record, bytes),
        };
        match outcome {
            Ok(()) => take(&mut record, place),
            Err(error) => set_aside(error.to_string(), bytes),
        }
    }
    unused
}

/// The ids of the records of one take-over: the same bits for all, with the place in the last of them. A record's place is
/// counted from the end of its list, and 1 is the last.
#[derive(Debug, Clone, Copy)]
struct Ids([u8; 16]);

impl Ids {
    fn new(label: &str, list: &str) -> Self {
        Self(stable_id(Timestamp::default(), &[label.as_bytes(), list.as_bytes()]).to_bytes())
    }

    fn of(self, start: Timestamp, place: u64) -> ExchangeId {
        let random = u128::from_be_bytes(self.0) ^ u128::from(place);
        ExchangeId::with_random(start, random.to_be_bytes())
    }

    /// The place of the record with this id; `None` when it is of another take-over.
    fn place(self, id: ExchangeId) -> Option<u64> {
        // No list is longer than this, so all other bits must be the same.
        let bits = u128::from(u32::MAX);
        let place = (u128::from_be_bytes(self.0) ^ u128::from_be_bytes(id.to_bytes())) & bits;
        let place = u64::try_from(place).ok()?;
        let (ours, theirs) = (self.of(Timestamp::default(), place).to_bytes(), id.to_bytes());
        // The first six bytes are the time.
        (ours.get(6..) == theirs.get(6..)).then_some(place)
    }
}

/// Completes an exchange as the settings want it.
fn fill(exchange: &mut Exchange, settings: &PumpSettings, record: &mut Record<'_>) {
    if !settings.keep_keys {
        hide_key(record);
    }
    decode::fill(exchange, record);
    if let Some(project) = settings.projects.get(record.org_id.as_ref()) {
        exchange.project = ProjectId::from(project.as_str());
    }
}

/// A key that the gateway wrote in clear becomes the hash that it would have written, also in the tag made from it.
fn hide_key(record: &mut Record<'_>) {
    if record.api_key.is_empty() || hash::is_hash(&record.api_key) {
        return;
    }
    let hashed = hash::hash(&record.api_key, KeyHash::default());
    let tag = format!("key-{}", record.api_key);
    for known in record.tags.iter_mut().flatten().filter(|known| **known == tag) {
        *known = format!("key-{hashed}").into();
    }
    record.api_key = hashed.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_place_to_its_own_take_over_alone() {
        let (ids, other) = (Ids::new("label", "list"), Ids::new("label", "another list"));
        for place in [1, 2, 1_000, u64::from(u32::MAX)] {
            let id = ids.of(Timestamp::from_seconds(1_795_175_820), place);
            assert_eq!((ids.place(id), other.place(id)), (Some(place), None));
        }
        assert_ne!(ids.of(Timestamp::default(), 1), ids.of(Timestamp::default(), 2));
    }
}
