//! A live view of what is accepted. It never slows the intake down: a subscriber that does not keep up loses the oldest,
//! counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use weir_model::Exchange;

use crate::journal::Entry;

/// Most exchanges that wait for one subscriber.
const MAX_WAITING: usize = 1_000;

/// Most bytes (of records) that wait for one subscriber.
const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// Which exchanges a subscriber wants.
pub type Predicate = Box<dyn Fn(&Exchange) -> bool + Send + Sync>;

/// Hands accepted exchanges to live subscribers.
#[derive(Clone, Default)]
pub struct Tap {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How many subscribers there are, to be read without a lock.
    count: AtomicUsize,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
}

struct Subscriber {
    wanted: Predicate,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    bytes: usize,
    missed: u64,
}

/// One subscriber's end. Dropping it ends the subscription.
pub struct Subscription {
    shared: Arc<Shared>,
    subscriber: Arc<Subscriber>,
}

impl Tap {
    /// Subscribes to what is accepted from now on and `wanted`. The test runs on the intake's threads: keep it cheap.
    pub fn subscribe(&self, wanted: impl Fn(&Exchange) -> bool + Send + Sync + 'static) -> Subscription {
        let subscriber = Arc::new(Subscriber {
            wanted: Box::new(wanted),
            waiting: Mutex::default(),
            arrived: Notify::new(),
        });
        let mut subscribers = lock(&self.shared.subscribers);
        subscribers.push(subscriber.clone());
        self.shared.count.store(subscribers.len(), Ordering::Release);
        Subscription { shared: self.shared.clone(), subscriber }
    }

    /// Whether anybody listens.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.count.load(Ordering::Acquire) > 0
    }

    pub(crate) fn publish(&self, entries: &[Entry]) {
        let subscribers = lock(&self.shared.subscribers).clone();
        for subscriber in subscribers {
            subscriber.take(entries);
        }
    }
}

impl Subscriber {
    fn take(&self, entries: &[Entry]) {
        let mut wanted = entries.iter().filter(|(exchange, _)| (self.wanted)(exchange)).peekable();
        if wanted.peek().is_none() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        for entry in wanted {
            waiting.bytes += entry.1 as usize;
            waiting.entries.push_back(entry.clone());
            while waiting.entries.len() > MAX_WAITING || waiting.bytes > MAX_WAITING_BYTES {
                let Some((_, size)) = waiting.entries.pop_front() else { break };
                waiting.bytes -= size as usize;
                waiting.missed += 1;
            }
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

impl Subscription {
    /// Waits for exchanges; gives those that have come, oldest first, and how many wanted ones were missed so far.
    pub async fn next(&mut self) -> (Vec<Arc<Exchange>>, u64) {
        let mut seen = None;
        loop {
            let arrived = self.subscriber.arrived.notified();
            {
                let mut waiting = lock(&self.subscriber.waiting);
                // An exchange larger than all that may wait is missed without anything to give.
                let missed_more = seen.is_some_and(|seen| seen != waiting.missed);
                seen = Some(waiting.missed);
                if !waiting.entries.is_empty() || missed_more {
                    waiting.bytes = 0;
                    let exchanges = waiting.entries.drain(..).map(|(exchange, _)| exchange).collect();
                    return (exchanges, waiting.missed);
                }
            }
            arrived.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = lock(&self.shared.subscribers);
        subscribers.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
        self.shared.count.store(subscribers.len(), Ordering::Release);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::testing::random_exchange;

    fn entry(path: &str) -> Entry {
        let mut exchange = random_exchange(&mut StdRng::seed_from_u64(1));
        exchange.request.path = path.into();
        (Arc::new(exchange), 10)
    }

    fn paths(exchanges: &[Arc<Exchange>]) -> Vec<&str> {
        exchanges.iter().map(|exchange| exchange.request.path.as_str()).collect()
    }

    #[tokio::test]
    async fn a_subscriber_gets_what_it_wants_and_counts_what_it_misses() {
        let tap = Tap::default();
        assert!(!tap.is_open());
        let mut all = tap.subscribe(|_| true);
        let mut some = tap.subscribe(|exchange| exchange.request.path == "/b");
        assert!(tap.is_open());

        tap.publish(&[entry("/a"), entry("/b")]);
        let (exchanges, missed) = all.next().await;
        assert_eq!((paths(&exchanges), missed), (vec!["/a", "/b"], 0));
        let (exchanges, missed) = some.next().await;
        assert_eq!((paths(&exchanges), missed), (vec!["/b"], 0));

        for _ in 0..MAX_WAITING + 3 {
            tap.publish(&[entry("/b"), entry("/c")]);
        }
        let (exchanges, missed) = some.next().await;
        assert_eq!((exchanges.len(), missed), (MAX_WAITING, 3));

        let large = (entry("/b").0, u32::MAX);
        tap.publish(&[large]);
        drop(all);
        tap.publish(&[entry("/b")]);
        let (exchanges, missed) = some.next().await;
        assert_eq!((paths(&exchanges), missed), (vec!["/b"], 4));
        drop(some);
        assert!(!tap.is_open());
    }
}
