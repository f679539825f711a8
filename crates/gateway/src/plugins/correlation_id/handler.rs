//! What `correlation-id` does with a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use super::config::Generator;
use crate::answer::Answer;
use crate::plugins::{Call, Phases, Plugin};

/// The plugin.
pub(super) struct CorrelationId {
    id: Arc<str>,
    header: HeaderName,
    generator: Generator,
    echo_downstream: bool,
    base: Uuid,
    counter: AtomicU64,
}

impl CorrelationId {
    pub(super) fn new(id: Arc<str>, header: HeaderName, generator: Generator, echo_downstream: bool) -> Self {
        Self { id, header, generator, echo_downstream, base: Uuid::new_v4(), counter: AtomicU64::new(0) }
    }

    fn new_id(&self, call: &Call) -> String {
        let next = || self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        match self.generator {
            Generator::Uuid => Uuid::new_v4().to_string(),
            Generator::UuidCounter => format!("{}#{}", self.base, next()),
            Generator::Tracker => {
                let address =
                    call.local.address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string());
                let port = call.local.port.unwrap_or_default();
                let micros = call.started_at.micros();
                let (seconds, millis) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000) / 1_000);
                format!("{address}-{port}-{}-{}-{seconds}.{millis:03}", std::process::id(), next())
            }
        }
    }
}

#[async_trait(?Send)]
impl Plugin for CorrelationId {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    async fn access(&self, call: &mut Call) -> Option<Answer> {
        let value = match call.request.headers.get(&self.header).filter(|value| !value.is_empty()) {
            Some(value) => value.clone(),
            None => {
                // Ids are made of digits, letters and marks that headers allow.
                let value = HeaderValue::try_from(self.new_id(call)).ok()?;
                call.request.headers.insert(self.header.clone(), value.clone());
                value
            }
        };
        if self.echo_downstream {
            call.response_headers.insert(self.header.clone(), value);
        }
        None
    }
}
