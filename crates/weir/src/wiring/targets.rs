//! Targets of the pipeline, from settings and from gateway plugins.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use weir_kit::{ConfigError, Problem, schema};
use weir_pipeline::{ExporterKind, Filter, Pipeline, QueueSettings, Removal, Start, TargetSpec, Targets};
use weir_store::Store;
use weir_wire::registry;
use weir_wire::tyk::pump::conf::Output;

use super::store::StoreExporter;
use crate::settings::Settings;

/// Name of the store among the targets.
pub const STORE: &str = "store";

/// How long a removed target may still deliver what it has to get.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// One target as configured: everything but the running exporter.
#[derive(Debug, Clone)]
pub struct Configured {
    name: String,
    kind: &'static str,
    config: Value,
    filter: Filter,
    /// Longest time for one delivery, where it is not the exporter's own.
    timeout: Option<Duration>,
}

impl Configured {
    /// An output of the pump.
    pub fn output(output: Output) -> Self {
        let Output { name, kind, config, filters, timeout } = output;
        let filter = if filters.is_empty() { Filter::All } else { Filter::Accepted(Arc::new(filters)) };
        Self { name: format!("pump:{name}"), kind, config, filter, timeout }
    }
}

/// What is wrong with the targets as they are written in settings.
pub fn problems(written: Option<&Value>) -> Vec<Problem> {
    let Some(Value::Object(targets)) = written else { return Vec::new() };
    let mut problems = Vec::new();
    for (name, target) in targets {
        // A target without a kind is reported by the table of settings.
        let Some(kind) = target["kind"].as_str() else { continue };
        let config = target.get("config").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        if let Err(error) = complete(kind, config) {
            problems.extend(error.problems.into_iter().map(|problem| Problem {
                key: format!("targets.{name}.{}", problem.key),
                message: problem.message,
            }));
        }
    }
    problems
}

/// The targets that the settings name.
pub fn configured(settings: &Settings) -> Result<Vec<Configured>, ConfigError> {
    let targets = settings.targets.iter().map(|(name, target)| {
        let (kind, config) = complete(&target.kind, target.config.clone())?;
        Ok(Configured { name: name.clone(), kind, config, filter: Filter::All, timeout: None })
    });
    targets.collect()
}

/// Checks the settings of one target and fills in its defaults.
fn complete(kind: &str, config: Value) -> Result<(&'static str, Value), ConfigError> {
    let Some(kind) = registry::exporter(kind) else {
        let known: Vec<&str> = registry::EXPORTERS.iter().map(|kind| kind.name).collect();
        return Err(ConfigError::one("kind", format!("{kind:?} is none of {}", known.join(", "))));
    };
    let inside = |error: ConfigError| ConfigError {
        problems: error
            .problems
            .into_iter()
            .map(|problem| Problem { key: format!("config.{}", problem.key), message: problem.message })
            .collect(),
    };
    let config = schema::check(kind.fields, config).map_err(inside)?;
    (kind.build)(config.clone()).map_err(inside)?;
    Ok((kind.name, config))
}

/// Keeps the pipeline's targets what settings and plugins say.
#[derive(Clone)]
pub struct Reconciler {
    targets: Targets,
    store: Option<Arc<dyn Store>>,
    configured: Vec<Configured>,
}

impl Reconciler {
    /// Nothing is started before [`Reconciler::apply`].
    pub fn new(pipeline: &Pipeline, store: Option<Arc<dyn Store>>, configured: Vec<Configured>) -> Self {
        Self { targets: pipeline.targets().clone(), store, configured }
    }

    /// A target that a plugin configuration asks for.
    pub fn plugin(id: &str, kind: &'static ExporterKind, config: Value) -> Configured {
        Configured {
            name: format!("{}:{id}", kind.name),
            kind: kind.name,
            config,
            filter: Filter::plugin(id),
            timeout: None,
        }
    }

    /// Starts, replaces and ends targets until they are the store, the configured ones and these.
    pub async fn apply(&self, plugins: &[Configured]) {
        let store = self.store.iter().map(|store| TargetSpec {
            name: STORE.to_owned(),
            kind: STORE.to_owned(),
            fingerprint: String::new(),
            exporter: Arc::new(StoreExporter(store.clone())),
            queue: store_queue(),
            filter: Filter::All,
            start: Start::Beginning,
        });
        let others = self.configured.iter().chain(plugins).filter_map(spec);
        let specs: Vec<TargetSpec> = store.chain(others).collect();
        for error in self.targets.reconcile(specs, Removal::Drain(DRAIN_PATIENCE)).await {
            tracing::error!(%error, "a target does not run");
        }
    }
}

/// The store takes what there is at once: the fresher the better.
fn store_queue() -> QueueSettings {
    QueueSettings {
        max_coalescing_delay: Duration::from_millis(20),
        max_retry_delay: Duration::from_secs(5),
        ..QueueSettings::default()
    }
}

fn spec(target: &Configured) -> Option<TargetSpec> {
    let kind = registry::exporter(target.kind)?;
    match (kind.build)(target.config.clone()) {
        Ok(built) => Some(TargetSpec {
            name: target.name.clone(),
            kind: target.kind.to_owned(),
            fingerprint: target.config.to_string(),
            exporter: Arc::from(built.exporter),
            queue: QueueSettings { timeout: target.timeout.unwrap_or(built.queue.timeout), ..built.queue },
            filter: target.filter.clone(),
            start: Start::Now,
        }),
        Err(error) => {
            tracing::error!(target = target.name, %error, "a target cannot be built");
            None
        }
    }
}
