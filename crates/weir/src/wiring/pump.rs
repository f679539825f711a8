//! The pump: from settings and `pump.conf` to a running one.

use std::fs;

use anyhow::{Context, Result};
use weir_pipeline::Pipeline;
use weir_wire::tyk::pump::{Pump, PumpHandle, PumpSettings, conf};

use super::targets::Configured;
use crate::settings::Settings;

/// The pump as configured, before it runs.
pub struct Prepared {
    settings: PumpSettings,
    /// What `pump.conf` sends records to.
    pub outputs: Vec<Configured>,
}

/// Reads what the settings say about the pump, and the `pump.conf` that they name.
pub fn prepare(settings: &Settings) -> Result<Prepared> {
    let written = &settings.pump;
    let mut pump = PumpSettings {
        redis: written.redis.clone(),
        key_prefix: written.key_prefix.clone(),
        delay: written.delay,
        chunk: written.chunk,
        chunk_bytes: written.chunk_bytes,
        keep_keys: written.keep_keys,
        projects: written.projects.clone(),
        directory: settings.data_dir.join("pump"),
    };
    let Some(file) = &written.config else { return Ok(Prepared { settings: pump, outputs: Vec::new() }) };
    let text = fs::read_to_string(file).with_context(|| format!("pump.config {}", file.display()))?;
    let conf = conf::read(&text, std::env::vars()).with_context(|| format!("in {}", file.display()))?;
    for key in &conf.unsupported {
        tracing::warn!(key, "not supported, and without effect");
    }
    pump.redis = conf.redis;
    pump.key_prefix = conf.key_prefix.unwrap_or(pump.key_prefix);
    pump.delay = conf.delay.unwrap_or(pump.delay);
    pump.chunk = conf.chunk.unwrap_or(pump.chunk);
    let outputs = conf.outputs.into_iter().map(Configured::output).collect();
    Ok(Prepared { settings: pump, outputs })
}

impl Prepared {
    /// Starts taking records into the pipeline. The outputs must be targets of it by now.
    pub fn start(self, pipeline: &Pipeline) -> Result<PumpHandle> {
        Pump::start(self.settings, pipeline.intake().clone()).context("the pump did not start")
    }
}
