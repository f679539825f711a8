//! What the request means and whose call it was.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use weir_inspect::{Learner, LearnerLimits, Templates, UserRule, identify, identify_user};
use weir_model::Exchange;

use super::{Processor, Verdict};

/// After how many exchanges newly learned templates are put to use.
const LEARN_EVERY: u32 = 256;

/// The identifying step. Learns path templates from the traffic it sees.
pub struct Identify {
    rules: Vec<UserRule>,
    learner: Mutex<Learner>,
    templates: ArcSwap<Templates>,
    seen: AtomicU32,
}

impl Identify {
    /// A step that looks for users where `rules` say.
    pub fn new(rules: Vec<UserRule>) -> Self {
        Self {
            rules,
            learner: Mutex::new(Learner::new(LearnerLimits::default())),
            templates: ArcSwap::default(),
            seen: AtomicU32::new(0),
        }
    }

    fn learn(&self, exchange: &Exchange) {
        let mut learner = self.learner.lock().unwrap_or_else(PoisonError::into_inner);
        learner.observe(exchange);
        // A new snapshot copies all that is known, so it is not made for every lesson.
        if self.seen.fetch_add(1, Ordering::Relaxed) % LEARN_EVERY == LEARN_EVERY - 1
            && let Some(templates) = learner.take_templates()
        {
            self.templates.store(templates);
        }
    }
}

impl Processor for Identify {
    fn name(&self) -> &'static str {
        "identify"
    }

    fn process(&self, exchange: &mut Exchange) -> Verdict {
        self.learn(exchange);
        identify(exchange, &self.templates.load());
        identify_user(exchange, &self.rules);
        Verdict::Keep
    }
}
