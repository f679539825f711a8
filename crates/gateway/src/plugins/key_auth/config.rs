//! Settings of `key-auth`, by Kong's names.

use std::sync::Arc;

use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};

use super::handler::KeyAuth;
use crate::plugins::{Configured, Plugin, PluginKind};

const FIELDS: &[FieldSpec] = &[
    preset(
        "key_names",
        FieldKind::Array(&FieldKind::Text),
        "[\"apikey\"]",
        "names the key is looked for under",
    ),
    preset(
        "hide_credentials",
        FieldKind::Boolean,
        "false",
        "whether the key is taken off before the service",
    ),
    FieldSpec::new(
        "anonymous",
        FieldKind::Text,
        "consumer, by id or username, for calls without a valid key",
    ),
    preset("key_in_header", FieldKind::Boolean, "true", "whether headers are looked at"),
    preset("key_in_query", FieldKind::Boolean, "true", "whether the query is looked at"),
    preset("key_in_body", FieldKind::Boolean, "false", "whether form bodies are looked at"),
    preset("run_on_preflight", FieldKind::Boolean, "true", "whether OPTIONS needs a key too"),
    preset("realm", FieldKind::Text, "\"kong\"", "realm in WWW-Authenticate"),
];

const fn preset(
    name: &'static str,
    kind: FieldKind,
    default: &'static str,
    about: &'static str,
) -> FieldSpec {
    FieldSpec { required: true, default: Some(default), ..FieldSpec::new(name, kind, about) }
}

pub(in crate::plugins) const KIND: PluginKind = PluginKind {
    name: "key-auth",
    priority: 1250,
    authenticates: true,
    adds_up: false,
    about: "lets only callers with a key pass, and tells which consumer they are",
    fields: FIELDS,
    build,
};

#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) key_names: Vec<String>,
    pub(super) hide_credentials: bool,
    pub(super) anonymous: Option<String>,
    pub(super) key_in_header: bool,
    pub(super) key_in_query: bool,
    pub(super) key_in_body: bool,
    pub(super) run_on_preflight: bool,
    pub(super) realm: String,
}

fn build(configured: Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError> {
    let config: Config = kind::read(configured.config.clone())?;
    if config.key_in_body {
        // The gateway streams bodies and holds none back; a key inside one would be known too late.
        return Err(ConfigError::one("key_in_body", "keys in bodies are not supported: bodies are streamed"));
    }
    if config.key_names.is_empty() {
        return Err(ConfigError::one("key_names", "length must be at least 1"));
    }
    if config.key_names.iter().any(|name| http::HeaderName::try_from(name.as_str()).is_err()) {
        return Err(ConfigError::one("key_names", "expected names that headers can have"));
    }
    Ok(Arc::new(KeyAuth::new(configured.id, config, configured.directory.clone())))
}
