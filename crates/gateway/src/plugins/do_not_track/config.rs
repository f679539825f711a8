//! Settings of `do-not-track`.

use std::sync::Arc;

use serde::Deserialize;
use weir_kit::{ConfigError, FieldSpec, kind};

use super::handler::DoNotTrack;
use crate::plugins::endpoints::{self, Endpoint, Endpoints, Matching};
use crate::plugins::{Configured, Plugin, PluginKind};

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("[]"),
        ..endpoints::list("endpoints", "the calls that are meant; none: every call")
    },
    endpoints::PREFIX_MATCHING,
    endpoints::SUFFIX_MATCHING,
    endpoints::IGNORE_CASE,
];

pub(in crate::plugins) const KIND: PluginKind = PluginKind {
    name: "do-not-track",
    priority: 100_003,
    authenticates: false,
    adds_up: true,
    about: "keeps no record of calls: not in the store, not in the live tail, not at any exporter",
    fields: FIELDS,
    build,
};

#[derive(Debug, Deserialize)]
struct Config {
    endpoints: Option<Vec<Endpoint>>,
    #[serde(flatten)]
    matching: Matching,
}

fn build(configured: Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError> {
    let config: Config = kind::read(configured.config.clone())?;
    let listed = config.endpoints.filter(|endpoints| !endpoints.is_empty());
    let endpoints = listed.map(|listed| Endpoints::new("endpoints", listed, config.matching)).transpose()?;
    Ok(Arc::new(DoNotTrack::new(configured.id, endpoints)))
}
