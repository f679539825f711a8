//! What the request means and whose call it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use weir_inspect::{Learner, Templates, UserRule, identify, identify_user};
use weir_model::Exchange;

use super::{Processor, Verdict};

/// After how many exchanges newly learned templates are put to use.
const LEARN_EVERY: u32 = 256;

/// Path templates learned from the traffic: shared between the step that learns and uses them and whoever keeps them over
/// a restart.
#[derive(Debug, Default)]
pub struct Learned {
    lessons: Mutex<Lessons>,
    templates: ArcSwap<Templates>,
}

#[derive(Debug, Default)]
struct Lessons {
    learner: Learner,
    /// Exchanges since newly learned templates were last put to use.
    seen: u32,
}

impl Learned {
    /// What was known when [`Self::to_text`] gave `text`; lines that make no sense are left out.
    pub fn from_text(text: &str) -> Self {
        let mut learner = Learner::default();
        learner.restore(text);
        let templates = ArcSwap::from_pointee(learner.templates());
        Self { lessons: Mutex::new(Lessons { learner, seen: 0 }), templates }
    }

    /// All that is known now.
    pub fn to_text(&self) -> String {
        self.lessons().learner.templates().to_text()
    }

    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, exchange: &Exchange) {
        let mut lessons = self.lessons();
        lessons.learner.observe(exchange);
        lessons.seen += 1;
        // A new snapshot copies all that is known, so it is not made for every lesson.
        if lessons.seen == LEARN_EVERY {
            lessons.seen = 0;
            if let Some(templates) = lessons.learner.take_templates() {
                self.templates.store(templates);
            }
        }
    }
}

/// The identifying step. Learns path templates from the traffic it sees.
pub struct Identify {
    rules: Vec<UserRule>,
    learned: Arc<Learned>,
}

impl Identify {
    /// A step that looks for users where `rules` say and goes on from what is already known.
    pub fn new(rules: Vec<UserRule>, learned: Arc<Learned>) -> Self {
        Self { rules, learned }
    }
}

impl Processor for Identify {
    fn name(&self) -> &'static str {
        "identify"
    }

    fn process(&self, exchange: &mut Exchange) -> Verdict {
        self.learned.learn(exchange);
        identify(exchange, &self.learned.templates.load());
        identify_user(exchange, &self.rules);
        Verdict::Keep
    }
}
