//! Settings of `correlation-id`, by Kong's names.

use std::sync::Arc;

use http::HeaderName;
use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};

use super::handler::CorrelationId;
use crate::plugins::{Configured, Plugin, PluginKind};

const GENERATOR: FieldKind = FieldKind::OneOf(&["uuid", "uuid#counter", "tracker"]);

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        default: Some("\"Kong-Request-ID\""),
        ..FieldSpec::new("header_name", FieldKind::Text, "header that carries the id")
    },
    FieldSpec {
        required: true,
        default: Some("\"uuid#counter\""),
        ..FieldSpec::new("generator", GENERATOR, "how ids are made")
    },
    FieldSpec {
        required: true,
        default: Some("false"),
        ..FieldSpec::new("echo_downstream", FieldKind::Boolean, "whether the client gets the id too")
    },
];

pub(in crate::plugins) const KIND: PluginKind = PluginKind {
    name: "correlation-id",
    priority: 100_001,
    authenticates: false,
    adds_up: false,
    about: "gives each call an id in a header, for the service and for logs",
    fields: FIELDS,
    build,
};

#[derive(Debug, Deserialize)]
struct Config {
    header_name: String,
    generator: Generator,
    echo_downstream: bool,
}

/// How ids are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Generator {
    /// A new UUID for each call.
    #[serde(rename = "uuid")]
    Uuid,
    /// One UUID for the life of the plugin, and a counter.
    #[serde(rename = "uuid#counter")]
    UuidCounter,
    /// Where, when and which: `ip-port-pid-connection-request-time`.
    #[serde(rename = "tracker")]
    Tracker,
}

fn build(configured: Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError> {
    let config: Config = kind::read(configured.config.clone())?;
    let header = HeaderName::try_from(config.header_name.as_str()).map_err(|_| {
        ConfigError::one("header_name", format!("not a header name: {:?}", config.header_name))
    })?;
    let Config { generator, echo_downstream, .. } = config;
    Ok(Arc::new(CorrelationId::new(configured.id, header, generator, echo_downstream)))
}
