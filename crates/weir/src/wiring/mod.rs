//! Which concrete things are built, and how they are joined. Everything is passed down as an argument; there are no globals.
//!
//! In reading order: [`Weir`] (the whole, start and stop), `targets` (settings and plugins to pipeline targets), `store` (the
//! store as a target, retention), `gateway` (proxy and Admin API), `server`, `pump`, `run_file`, `paths` (what was learned of paths),
//! `places` (where clients are).

mod gateway;
mod paths;
mod places;
mod pump;
mod run_file;
mod server;
mod store;
pub mod targets;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use weir_inspect::RedactSettings;
use weir_kit::SystemClock;
use weir_pipeline::{Pipeline, PipelineSettings, Places, ProcessorSettings, Processors, Sampling};
use weir_server::ServerHandle;
use weir_state::State;
use weir_wire::tyk::pump::PumpHandle;

use self::gateway::RunningGateway;
use self::paths::PathsFile;
use self::run_file::RunFile;
use crate::roles::Roles;
use crate::settings::Settings;

/// How long targets may take at shutdown to deliver what they still have to get; the rest waits in the journal.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(5);

/// A running weir.
pub struct Weir {
    gateway: Option<RunningGateway>,
    server: Option<ServerHandle>,
    pump: Option<PumpHandle>,
    housekeeping: Option<JoinHandle<()>>,
    pipeline: Arc<Pipeline>,
    paths: PathsFile,
    /// Looks for a newer database.
    places: Option<JoinHandle<()>>,
    run_file: RunFile,
    gateway_patience: Duration,
}

impl Weir {
    /// Builds and starts the parts that `roles` names; ready when it returns.
    pub async fn start(settings: Settings, roles: Roles) -> Result<Self> {
        let data = &settings.data_dir;
        std::fs::create_dir_all(data).with_context(|| format!("cannot use data_dir {}", data.display()))?;

        let state = State::open(&data.join("state.db")).context("the configuration cannot be opened")?;
        let paths = PathsFile::open(&settings.data_dir);
        let places = places::open(&settings.identify)?;
        let pipeline = open_pipeline(&settings, &paths, places.clone())?;
        let store = match roles.server {
            true => Some(store::open(&settings).await?),
            false => None,
        };
        let mut configured = targets::configured(&settings)?;
        let pump = match roles.pump || settings.pump.enabled {
            true => Some(pump::prepare(&settings)?),
            false => None,
        };
        configured.extend(pump.iter().flat_map(|pump| pump.outputs.iter().cloned()));
        let targets = targets::Reconciler::new(&pipeline, store.clone(), configured);
        // Targets exist before the first exchange, so that none is missed. The gateway adds those that its plugins ask for,
        // all at once: a list without them would take away what waits for them since the last run.
        if !roles.gateway {
            targets.apply(&[]).await;
        }

        let gateway = match roles.gateway {
            true => Some(gateway::start(&settings, &state, &pipeline, targets).await?),
            false => None,
        };
        let mut run_file = RunFile::new(&settings.data_dir);
        if let Some(gateway) = &gateway {
            run_file.addresses.extend(gateway.addresses());
        }
        let server = match &store {
            Some(store) => Some(server::start(&settings, state, store, &pipeline, gateway.as_ref()).await?),
            None => None,
        };
        if let Some(server) = &server {
            run_file.addresses.insert("server", server.address);
            tracing::info!("the page is at http://{}", server.address);
        }
        let housekeeping = store.map(|store| tokio::spawn(store::keep_house(store, settings.store)));
        let pump = pump.map(|pump| pump.start(&pipeline)).transpose()?;
        let places = places.map(|places| tokio::spawn(places::keep_current(places)));
        run_file.write()?;
        let gateway_patience = settings.gateway.shutdown_timeout;
        Ok(Self { gateway, server, pump, housekeeping, pipeline, paths, places, run_file, gateway_patience })
    }

    /// Stops from the front to the back: no new calls, no new reports, what was captured is taken in, delivered as far as
    /// targets accept it, and made durable.
    pub async fn stop(self) {
        let Self { gateway, server, pump, housekeeping, pipeline, paths, places, run_file, gateway_patience } =
            self;
        run_file.remove();
        if let Some(places) = places {
            places.abort();
        }
        if let Some(pump) = pump {
            pump.stop(DELIVERY_PATIENCE).await;
        }
        if let Some(gateway) = gateway {
            gateway.stop(gateway_patience).await;
        }
        if let Some(server) = server {
            server.shutdown().await;
        }
        if let Some(housekeeping) = housekeeping {
            housekeeping.abort();
        }
        pipeline.shutdown(DELIVERY_PATIENCE).await;
        paths.close();
    }
}

fn open_pipeline(
    settings: &Settings,
    paths: &PathsFile,
    places: Option<Arc<Places>>,
) -> Result<Arc<Pipeline>> {
    let mut journal = PipelineSettings::in_directory(settings.data_dir.join("journal"));
    journal.journal.max_bytes = settings.journal.max_bytes;
    journal.journal.eventual_delay = settings.journal.sync_interval;
    let processors = Processors::standard(ProcessorSettings {
        users: Vec::new(),
        learned: paths.learned.clone(),
        places,
        redact: redact_settings(settings),
        sampling: Sampling { one_in: settings.sample.one_in, slow: settings.sample.slow },
    });
    Ok(Arc::new(Pipeline::open(journal, processors, Arc::new(SystemClock))?))
}

/// What is masked, wherever it comes in.
fn redact_settings(settings: &Settings) -> RedactSettings {
    let redact = &settings.redact;
    RedactSettings {
        enabled: redact.enabled,
        mask_headers: redact.mask_headers.clone(),
        keep_headers: redact.keep_headers.clone(),
        mask_parameters: redact.mask_parameters.clone(),
        keep_parameters: redact.keep_parameters.clone(),
        mask_fields: redact.mask_fields.clone(),
        keep_fields: redact.keep_fields.clone(),
        max_inflated_bytes: redact.max_inflated_bytes,
    }
}
