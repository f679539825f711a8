//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with full jitter on the upper half, as a pure function of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Wait after the first failure.
    pub initial: Duration,
    /// Longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 = the first); `random` lies in `0.0..1.0`.
    ///
    /// The result lies between half and all of `initial * 2^(failures - 1)`, capped at `max`.
    pub fn delay(self, failures: u32, random: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.initial.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(1) };
        let full: Vec<u128> = (1..=6).map(|n| backoff.delay(n, 1.0).as_millis()).collect();
        assert_eq!(full, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.delay(1, 0.0).as_millis(), 50);
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(1));
    }
}
