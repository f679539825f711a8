//! What happens to every exchange before the journal, in this order: identify, locate, detect, redact, sample.
//!
//! Nothing unredacted leaves this list: what is queued, stored, exported or shown has passed it.

mod identify;
mod locate;
mod redact;
mod sample;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use weir_inspect::{RedactSettings, UserRule};
use weir_model::Exchange;

use crate::ledger::reason;
pub use identify::{Identify, Learned};
pub use locate::{Locate, Places, PlacesError};
pub use redact::Redact;
pub use sample::{Sample, Sampling};

/// One step. It may change the exchange; it does no IO and keeps no count.
pub trait Processor: Send + Sync {
    /// Its name, for logs.
    fn name(&self) -> &'static str;

    /// Looks at one exchange and says whether it goes on.
    fn process(&self, exchange: &mut Exchange) -> Verdict;
}

/// Whether an exchange goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Keep,
    /// It does not, and the reason under which it is counted.
    Drop(&'static str),
}

/// The steps in order.
#[derive(Default)]
pub struct Processors {
    steps: Vec<Box<dyn Processor>>,
}

/// What the shipped steps do.
#[derive(Debug, Clone, Default)]
pub struct ProcessorSettings {
    /// Where to look for the user of a call.
    pub users: Vec<UserRule>,
    /// What is known of paths from the start.
    pub learned: Arc<Learned>,
    /// Where clients are found on the map; `None` looks nobody up.
    pub places: Option<Arc<Places>>,
    /// What is masked.
    pub redact: RedactSettings,
    /// Which exchanges are kept.
    pub sampling: Sampling,
}

impl Processors {
    /// The shipped steps. Detectors, when there are any, stand before `redact`.
    pub fn standard(settings: ProcessorSettings) -> Self {
        let mut steps: Vec<Box<dyn Processor>> =
            vec![Box::new(Identify::new(settings.users, settings.learned))];
        if let Some(places) = settings.places {
            steps.push(Box::new(Locate::new(places)));
        }
        steps.push(Box::new(Redact::new(&settings.redact)));
        steps.push(Box::new(Sample::new(settings.sampling)));
        Self::new(steps)
    }

    /// These steps in this order.
    pub fn new(steps: Vec<Box<dyn Processor>>) -> Self {
        Self { steps }
    }

    /// Runs the steps until one drops the exchange. An exchange on which a step fails is dropped: it might not be
    /// redacted.
    pub fn run(&self, exchange: &mut Exchange) -> Verdict {
        for step in &self.steps {
            match catch_unwind(AssertUnwindSafe(|| step.process(exchange))) {
                Ok(Verdict::Keep) => {}
                Ok(Verdict::Drop(reason)) => return Verdict::Drop(reason),
                Err(_) => {
                    tracing::error!(processor = step.name(), id = %exchange.id, "a processor failed; the exchange is dropped");
                    return Verdict::Drop(reason::PROCESSOR_FAILED);
                }
            }
        }
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use weir_model::CompactString;

    use super::*;
    use crate::testing::random_exchange;

    struct Step(&'static str, fn(&mut Exchange) -> Verdict);

    impl Processor for Step {
        fn name(&self) -> &'static str {
            self.0
        }

        fn process(&self, exchange: &mut Exchange) -> Verdict {
            exchange.plugins.push(self.0.into());
            (self.1)(exchange)
        }
    }

    #[test]
    fn the_shipped_steps_identify_and_redact() {
        let start = weir_kit::Timestamp::from_seconds(1);
        let mut exchange = Exchange::new(weir_model::ExchangeId::new(start), start, Default::default());
        exchange.request.path = "/users/4711".into();
        exchange.request.headers.push("Authorization", "Bearer hidden");
        exchange.request.headers.push("X-User", "ann");
        let settings = ProcessorSettings {
            users: vec![UserRule::RequestHeader("x-user".to_owned())],
            ..ProcessorSettings::default()
        };
        assert_eq!(Processors::standard(settings).run(&mut exchange), Verdict::Keep);
        assert_eq!(exchange.operation.unwrap().template, "/users/{id}");
        assert_eq!(exchange.identity.user.as_deref(), Some("ann"));
        assert!(!exchange.request.headers.text("authorization").unwrap().contains("hidden"));
    }

    #[test]
    fn steps_run_in_order_until_one_drops_or_fails() {
        let run = |last: Step| {
            let mut exchange = random_exchange(&mut StdRng::seed_from_u64(1));
            exchange.plugins.clear();
            let steps: Vec<Box<dyn Processor>> = vec![
                Box::new(Step("first", |_| Verdict::Keep)),
                Box::new(last),
                Box::new(Step("third", |_| Verdict::Keep)),
            ];
            let verdict = Processors::new(steps).run(&mut exchange);
            (verdict, exchange.plugins)
        };
        let names = |names: &[&str]| names.iter().copied().map(CompactString::from).collect::<Vec<_>>();
        assert_eq!(
            run(Step("second", |_| Verdict::Keep)),
            (Verdict::Keep, names(&["first", "second", "third"]))
        );
        assert_eq!(
            run(Step("second", |_| Verdict::Drop("why"))),
            (Verdict::Drop("why"), names(&["first", "second"]))
        );
        assert_eq!(
            run(Step("second", |_| panic!("on purpose"))),
            (Verdict::Drop(reason::PROCESSOR_FAILED), names(&["first", "second"]))
        );
    }
}
