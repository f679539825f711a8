//! Keeping some exchanges to stand for the others.

use std::time::Duration;

use weir_model::Exchange;

use super::{Processor, Verdict};
use crate::ledger::reason;

/// Which exchanges are kept. Errors, findings and slow calls always are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    /// Of how many ordinary exchanges one is kept; 0 and 1 keep all.
    pub one_in: u32,
    /// Calls that took at least this long are always kept.
    pub slow: Duration,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { one_in: 1, slow: Duration::from_secs(1) }
    }
}

/// The sampling step.
#[derive(Debug)]
pub struct Sample {
    sampling: Sampling,
}

impl Sample {
    /// A step that keeps what `sampling` says.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling }
    }

    fn is_ordinary(&self, exchange: &Exchange) -> bool {
        exchange.error.is_none()
            && exchange.findings.is_empty()
            && exchange.status().is_some_and(|status| status < 500)
            && exchange.operation.as_ref().is_none_or(|operation| operation.error.is_none())
            && exchange.duration().is_none_or(|duration| duration < self.sampling.slow)
    }
}

impl Processor for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    /// The choice depends on the id alone, so a batch that is sent twice is chosen from alike.
    fn process(&self, exchange: &mut Exchange) -> Verdict {
        let one_in = self.sampling.one_in;
        if one_in <= 1 || !self.is_ordinary(exchange) {
            return Verdict::Keep;
        }
        if !crc32fast::hash(&exchange.id.to_bytes()).is_multiple_of(one_in) {
            return Verdict::Drop(reason::SAMPLED);
        }
        exchange.weight = exchange.weight.saturating_mul(one_in);
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;
    use weir_model::{ExchangeId, Request, Response};

    use super::*;

    fn answered(status: u16) -> Exchange {
        let start = Timestamp::from_seconds(1);
        let mut exchange = Exchange::new(ExchangeId::new(start), start, Request::default());
        exchange.response = Some(Response { status, ..Response::default() });
        exchange
    }

    #[test]
    fn the_kept_stand_for_all() {
        let sample = Sample::new(Sampling { one_in: 10, ..Sampling::default() });
        let mut weight = 0;
        let mut kept = 0;
        for _ in 0..10_000 {
            let mut exchange = answered(200);
            if sample.process(&mut exchange) == Verdict::Keep {
                weight += exchange.weight;
                kept += 1;
            }
        }
        assert!((800..1200).contains(&kept), "{kept}");
        assert_eq!(weight, kept * 10);
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_kept() {
        let sample = Sample::new(Sampling { one_in: u32::MAX, ..Sampling::default() });
        assert_eq!(sample.process(&mut answered(200)), Verdict::Drop(reason::SAMPLED));
        let mut slow = answered(200);
        slow.timings.wait = Some(Duration::from_secs(2));
        let mut broken = answered(200);
        broken.error = Some("upstream.timeout".into());
        let mut unanswered = answered(200);
        unanswered.response = None;
        for mut exchange in [answered(503), slow, broken, unanswered] {
            assert_eq!(sample.process(&mut exchange), Verdict::Keep);
            assert_eq!(exchange.weight, 1);
        }
        assert_eq!(Sample::new(Sampling::default()).process(&mut answered(200)), Verdict::Keep);
    }
}
