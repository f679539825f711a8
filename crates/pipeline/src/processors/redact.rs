//! Masking of secrets.

use weir_inspect::{RedactSettings, Redactor};
use weir_model::Exchange;

use super::{Processor, Verdict};

/// The redacting step.
pub struct Redact {
    redactor: Redactor,
}

impl Redact {
    /// A step that masks what `settings` name.
    pub fn new(settings: &RedactSettings) -> Self {
        Self { redactor: Redactor::new(settings) }
    }
}

impl Processor for Redact {
    fn name(&self) -> &'static str {
        "redact"
    }

    fn process(&self, exchange: &mut Exchange) -> Verdict {
        self.redactor.apply(exchange);
        Verdict::Keep
    }
}
