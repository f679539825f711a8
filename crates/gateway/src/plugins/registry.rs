//! The plugins that can be configured: the gateway's own, and one for every exporter it is given.

use std::sync::Arc;

use serde_json::Value;
use weir_kit::{ConfigError, FieldSpec};
use weir_pipeline::ExporterKind;

use super::exporter::Asked;
use super::{Directory, Plugin, attributes, correlation_id, do_not_track, exporter, key_auth, recording};

/// A plugin of the gateway.
#[derive(Debug)]
pub struct PluginKind {
    /// Kong's name.
    pub name: &'static str,
    /// Higher runs earlier; Kong 3's numbers.
    pub priority: i32,
    /// Whether it finds the consumer, and so cannot belong to one.
    pub authenticates: bool,
    /// Whether all configurations that fit a call count, the widest scope first, and not only the first by Kong's precedence.
    pub adds_up: bool,
    /// One line for people who choose.
    pub about: &'static str,
    /// Its settings.
    pub fields: &'static [FieldSpec],
    /// Builds it from settings that [`weir_kit::schema::check`] has completed; does no IO.
    pub build: fn(Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError>,
}

/// One configuration of a plugin.
#[derive(Debug)]
pub struct Configured<'a> {
    /// Its id.
    pub id: Arc<str>,
    /// Its settings, complete.
    pub config: &'a Value,
    /// Consumers and their credentials.
    pub directory: &'a Arc<Directory>,
}

/// The gateway's own plugins, by name.
pub static PLUGINS: &[PluginKind] =
    &[attributes::KIND, correlation_id::KIND, do_not_track::KIND, key_auth::KIND, recording::KIND];

/// Priorities of loggers that had one in Kong; other exporters run with the lowest of them.
const EXPORTER_PRIORITIES: &[(&str, i32)] =
    &[("moesif", 5), ("runscope", 5), ("galileo", 3), ("mashape-analytics", 3)];
const EXPORTER_PRIORITY: i32 = 2;

/// All plugins that can be configured.
#[derive(Clone, Copy)]
pub struct PluginRegistry {
    exporters: &'static [ExporterKind],
}

impl std::fmt::Debug for PluginRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl PluginRegistry {
    /// The gateway's own plugins and these exporters.
    pub fn new(exporters: &'static [ExporterKind]) -> Self {
        Self { exporters }
    }

    /// Every name that can be configured, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let own = PLUGINS.iter().map(|kind| kind.name);
        let exporters =
            self.exporters.iter().flat_map(|kind| std::iter::once(&kind.name).chain(kind.aliases).copied());
        let mut names: Vec<&str> = own.chain(exporters).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The exporter behind a plugin name.
    pub fn exporter(&self, name: &str) -> Option<&'static ExporterKind> {
        let exact = self.exporters.iter().find(|kind| kind.name == name);
        exact.or_else(|| self.exporters.iter().find(|kind| kind.aliases.contains(&name)))
    }

    /// The settings of a plugin; `None` for an unknown one.
    pub fn fields(&self, name: &str) -> Option<&'static [FieldSpec]> {
        own(name).map(|kind| kind.fields).or_else(|| Some(self.exporter(name)?.fields))
    }

    /// Whether the plugin finds the consumer.
    pub fn authenticates(&self, name: &str) -> bool {
        own(name).is_some_and(|kind| kind.authenticates)
    }

    /// Whether all configurations of the plugin that fit a call count.
    pub fn adds_up(&self, name: &str) -> bool {
        own(name).is_some_and(|kind| kind.adds_up)
    }

    /// What the plugin is for, in one line.
    pub fn about(&self, name: &str) -> &'static str {
        own(name).map(|kind| kind.about).or_else(|| Some(self.exporter(name)?.about)).unwrap_or_default()
    }

    /// Where the plugin stands among others: higher runs earlier.
    pub fn priority(&self, name: &str) -> i32 {
        let logger = || EXPORTER_PRIORITIES.iter().find(|(logger, _)| *logger == name);
        match own(name) {
            Some(kind) => kind.priority,
            None => logger().map_or(EXPORTER_PRIORITY, |(_, priority)| *priority),
        }
    }

    /// Whether settings that the table accepts are accepted by the plugin too.
    ///
    /// # Errors
    /// What the plugin says.
    pub fn try_build(&self, name: &str, config: &Value) -> Result<(), ConfigError> {
        if self.exporter(name).is_some() {
            return self.asked(name, config).map(|_| ());
        }
        let configured = Configured { id: Arc::from(""), config, directory: &Arc::default() };
        self.build(name, configured, Asked::default()).map(|_| ())
    }

    /// What an exporter's settings ask of the gateway.
    ///
    /// # Errors
    /// What the exporter says about its settings.
    pub fn asked(&self, name: &str, config: &Value) -> Result<Asked, ConfigError> {
        let Some(kind) = self.exporter(name) else { return Ok(Asked::default()) };
        let built = (kind.build)(config.clone())?;
        Ok(Asked { wish: built.capture, policy: built.exporter.policy() })
    }

    /// Builds a plugin; `asked` is what [`Self::asked`] said and is only for exporters.
    ///
    /// # Errors
    /// What the plugin says, or that there is none of this name.
    pub fn build(
        &self,
        name: &str,
        configured: Configured<'_>,
        asked: Asked,
    ) -> Result<Arc<dyn Plugin>, ConfigError> {
        match own(name) {
            Some(kind) => (kind.build)(configured),
            None if self.exporter(name).is_some() => Ok(exporter::plugin(configured.id, asked)),
            None => Err(ConfigError::one("name", format!("plugin '{name}' not enabled"))),
        }
    }
}

fn own(name: &str) -> Option<&'static PluginKind> {
    PLUGINS.iter().find(|kind| kind.name == name)
}
