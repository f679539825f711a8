//! The outputs `statsd` and `dogstatsd` against StatsD.

use serde_json::{Value, json};

use crate::foreign::Foreign;
use crate::{call, calls, eventually, output, send};

/// What it counted, once it counted so many lines.
async fn counted(statsd: &mut Foreign, lines: f64) -> Value {
    eventually("StatsD counts", async || {
        let seen: Value = serde_json::from_str(&statsd.ask()).unwrap();
        (seen["counters"]["statsd.metrics_received"].as_f64() >= Some(lines)).then_some(seen)
    })
    .await
}

#[tokio::test]
async fn statsd_counts_every_call() {
    let mut statsd = Foreign::start("statsd", &[]);
    let address = statsd.line();
    let settings = json!({"address": address, "fields": ["request_time", "latency_total"],
        "tags": ["path", "response_code"]});
    let mut sampled = call("/odd|:@b");
    sampled.weight = 4;
    let mut all = calls(&["/users/1"; 100]);
    all.push(sampled.into());
    send(&*output("statsd", settings), &all).await.unwrap();
    let seen = counted(&mut statsd, 202.0).await;
    assert_eq!(seen["counters"]["statsd.bad_lines_seen"], 0);
    // StatsD makes a dash of each slash.
    let plain = "request_time.get-users-1.404";
    assert_eq!(seen["timers"][plain], json!(vec![20; 100]));
    assert_eq!(seen["timer_counters"][plain], 100);
    let weighed = seen["timer_counters"].as_object().unwrap().iter().find(|(name, _)| name.contains("odd"));
    assert_eq!(weighed.unwrap().1, 4);
    assert_eq!(seen["timer_counters"].as_object().unwrap().len(), 4);
}

/// StatsD reads tags as the agent does. It knows no histograms and adds their values up, as those of any kind it does not know.
#[tokio::test]
async fn statsd_reads_the_lines_of_dogstatsd() {
    let mut statsd = Foreign::start("statsd", &[]);
    let address = statsd.line();
    let settings = json!({"address": address, "namespace": "pump", "tags": ["path", "method"]});
    send(&*output("dogstatsd", settings), &calls(&["/users/1", "/users/1", "/odd,|#b"])).await.unwrap();
    let seen = counted(&mut statsd, 3.0).await;
    assert_eq!(seen["counters"]["statsd.bad_lines_seen"], 0);
    let counters = seen["counters"].as_object().unwrap();
    assert_eq!(counters["pump.request_time;path=-users-1;method=GET"], 40);
    let odd = counters.iter().find(|(name, _)| name.contains("odd")).unwrap();
    assert!(odd.0.ends_with(";method=GET") && odd.1 == 20, "{odd:?}");
}
