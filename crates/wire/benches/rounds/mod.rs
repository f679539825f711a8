//! How often something can be done.

use std::time::{Duration, Instant};

/// Repeats `work` for about a second; how often a second it was done, the median of five rounds.
pub(crate) fn per_second(mut work: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let (start, mut rounds) = (Instant::now(), 0u32);
            while start.elapsed() < Duration::from_millis(200) {
                work();
                rounds += 1;
            }
            f64::from(rounds) / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[2]
}
