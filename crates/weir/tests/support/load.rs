//! Calls on connections that are kept, and how long they took, for drills under load.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// When one of many independent clients calls: at random, with the same time between two calls on average.
pub struct Pace {
    interval: Duration,
    due: Instant,
    random: StdRng,
}

impl Pace {
    pub fn new(interval: Duration, seed: u64) -> Self {
        Self { interval, due: Instant::now(), random: StdRng::seed_from_u64(seed) }
    }

    /// Waits for the moment of the next call; not at all when it has passed.
    pub async fn next(&mut self) {
        let share: f64 = self.random.random();
        self.due += self.interval.mul_f64(-(1.0 - share).ln());
        sleep_until(self.due).await;
    }
}

/// The body of an answer, which must be a success with a length.
pub async fn answer(connection: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut line = String::new();
    connection.read_line(&mut line).await.unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    let mut length = None;
    loop {
        line.clear();
        connection.read_line(&mut line).await.unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.parse().unwrap());
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.expect("the answer has a length")];
    connection.read_exact(&mut body).await.unwrap();
    body
}

/// A call that was answered.
pub struct Call {
    sent: std::time::Instant,
    took: Duration,
}

impl Call {
    /// One that was sent then and is answered now.
    pub fn since(sent: std::time::Instant) -> Self {
        Self { sent, took: sent.elapsed() }
    }
}

/// How long calls took.
pub struct Latencies {
    /// The shortest first.
    all: Vec<Duration>,
    /// Those of the calls that were sent in each second, the shortest first.
    seconds: Vec<Vec<Duration>>,
}

impl Latencies {
    /// Those of these calls.
    pub fn of(calls: &[Call]) -> Self {
        let begun = calls.iter().map(|call| call.sent).min().expect("there was a call");
        let mut seconds = BTreeMap::<u64, Vec<Duration>>::new();
        for call in calls {
            seconds.entry((call.sent - begun).as_secs()).or_default().push(call.took);
        }
        let sorted = |mut latencies: Vec<Duration>| {
            latencies.sort_unstable();
            latencies
        };
        Self {
            all: sorted(calls.iter().map(|call| call.took).collect()),
            seconds: seconds.into_values().map(sorted).collect(),
        }
    }

    pub fn calls(&self) -> u64 {
        self.all.len() as u64
    }

    /// For people: what calls were like that were made in this time.
    pub fn summary(&self, length: Duration) -> String {
        format!(
            "{} calls, {}/s; p50 {:.2?}, p99 {:.2?}, p99 of a second {:.2?}, longest {:.2?}",
            self.calls(),
            self.calls() / length.as_secs().max(1),
            at(&self.all, 0.5),
            at(&self.all, 0.99),
            self.of_a_second(0.99),
            at(&self.all, 1.0),
        )
    }

    /// What this share of calls stayed below in half of the seconds: a moment in which the machine did something else
    /// spoils its second alone.
    fn of_a_second(&self, share: f64) -> Duration {
        let mut seconds: Vec<Duration> = self.seconds.iter().map(|calls| at(calls, share)).collect();
        seconds.sort_unstable();
        at(&seconds, 0.5)
    }
}

/// What this share of them stayed below; of all of them, the longest.
fn at(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() as f64 * share) as usize).min(sorted.len() - 1)]
}
