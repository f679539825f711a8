//! Makes the planned calls at a steady, gently swinging rate and counts the answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, redirect};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::plan::{Call, Plan};

/// Calls under way at the same time; more wait, and the rate falls.
const MAX_UNDER_WAY: usize = 64;
/// How long one swing of the rate takes.
const SWING: f64 = 300.0;
/// Examples of surprises kept for the report.
const MAX_EXAMPLES: usize = 10;

/// How fast and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls a second on average.
    pub rate: f64,
    /// Most calls.
    pub count: Option<u64>,
    /// Longest time.
    pub duration: Option<Duration>,
}

/// What came of a demonstration.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Calls made.
    pub sent: u64,
    /// Calls that got an answer.
    pub answered: u64,
    /// Calls without an answer: the gateway was not there, or the connection broke.
    pub failed: u64,
    /// Answers with another status than the plan expects.
    pub unexpected: u64,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls by what they are about.
    pub by_scenario: BTreeMap<&'static str, u64>,
    /// The first failures and unexpected answers, in words.
    pub surprises: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Whether every call got the answer it must get.
    pub fn is_as_planned(&self) -> bool {
        self.failed == 0 && self.unexpected == 0
    }

    fn count(&mut self, scenario: &'static str, target: &str, expected: u16, outcome: Result<u16>) {
        self.sent += 1;
        *self.by_scenario.entry(scenario).or_default() += 1;
        let surprise = match outcome {
            Ok(status) => {
                self.answered += 1;
                *self.by_status.entry(status).or_default() += 1;
                self.unexpected += u64::from(status != expected);
                (status != expected).then(|| format!("{target}: {status} instead of {expected}"))
            }
            Err(error) => {
                self.failed += 1;
                Some(format!("{target}: {error:#}"))
            }
        };
        self.surprises.extend(surprise.filter(|_| self.surprises.len() < MAX_EXAMPLES));
    }
}

/// Makes the calls of the plan until a limit or an interrupt (Ctrl-C) ends it; calls under way are awaited.
pub async fn drive(proxy: &Url, plan: Plan, limits: &Limits) -> Result<Report> {
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .context("cannot set up the client")?;
    let begin = Instant::now();
    let end =
        limits.duration.map_or(begin + Duration::from_secs(u64::from(u32::MAX)), |duration| begin + duration);
    let room = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let mut report = Report::default();
    let mut under_way = JoinSet::new();
    let mut due = begin;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let count = usize::try_from(limits.count.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    for call in plan.take(count) {
        let permit = tokio::select! {
            _ = &mut interrupt => break,
            permit = timeout_at(end, slot(&room, due)) => match permit {
                Ok(permit) => permit?,
                Err(_) => break,
            },
        };
        due = due.max(begin + begin.elapsed().saturating_sub(Duration::from_secs(1)));
        due += pause(limits.rate, begin.elapsed());
        let (client, url) = (client.clone(), proxy.join(&call.target)?);
        under_way.spawn(async move {
            let outcome = make(&client, url, &call).await;
            drop(permit);
            (call, outcome)
        });
        while let Some(finished) = under_way.try_join_next() {
            let (call, outcome) = finished?;
            report.count(call.scenario, &call.target, call.expected, outcome);
        }
    }
    while let Some(finished) = under_way.join_next().await {
        let (call, outcome) = finished?;
        report.count(call.scenario, &call.target, call.expected, outcome);
    }
    report.seconds = begin.elapsed().as_secs_f64();
    Ok(report)
}

/// Waits until the call is due and there is room for it.
async fn slot(room: &Arc<Semaphore>, due: Instant) -> Result<tokio::sync::OwnedSemaphorePermit> {
    sleep_until(due).await;
    Ok(room.clone().acquire_owned().await?)
}

/// The time to the next call: the rate swings between half and one and a half of the average.
fn pause(rate: f64, elapsed: Duration) -> Duration {
    let phase = elapsed.as_secs_f64() / SWING * std::f64::consts::TAU;
    let now = (rate * (1.0 + 0.5 * phase.sin())).max(0.001);
    Duration::from_secs_f64(1.0 / now)
}

/// Makes one call and reads its answer to the end.
async fn make(client: &Client, url: Url, call: &Call) -> Result<u16> {
    let mut request = client.request(call.method.parse()?, url);
    for (name, value) in &call.headers {
        request = request.header(*name, value);
    }
    if let Some((media_type, content)) = &call.body {
        request = request.header("content-type", *media_type).body(content.clone());
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    response.bytes().await?;
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_swings_around_its_average() {
        let total: f64 =
            (0..300).map(|second| 1.0 / pause(20.0, Duration::from_secs(second)).as_secs_f64()).sum();
        assert!((total / 300.0 - 20.0).abs() < 0.1, "{total}");
        assert!(pause(20.0, Duration::from_secs(75)) < pause(20.0, Duration::from_secs(225)));
    }

    #[test]
    fn reports_tell_plan_from_surprise() {
        let mut report = Report::default();
        report.count("orders", "/a", 200, Ok(200));
        assert!(report.is_as_planned());
        report.count("orders", "/b", 200, Ok(500));
        report.count("orders", "/c", 200, Err(anyhow::anyhow!("gone")));
        assert!(!report.is_as_planned());
        assert_eq!((report.sent, report.answered, report.failed, report.unexpected), (3, 2, 1, 1));
        assert_eq!(report.surprises, ["/b: 500 instead of 200", "/c: gone"]);
    }
}
