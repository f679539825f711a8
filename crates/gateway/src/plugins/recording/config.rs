//! Settings of `recording`.

use std::sync::Arc;

use http::HeaderName;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};

use super::handler::Recording;
use crate::plugins::endpoints::{self, Endpoint, Endpoints, Matching};
use crate::plugins::{Configured, Plugin, PluginKind};

const NAMES: FieldKind = FieldKind::Array(&FieldKind::Text);

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        default: Some("false"),
        ..FieldSpec::new(
            "detailed",
            FieldKind::Boolean,
            "whether requests and responses are recorded whole; one configuration that says so is enough",
        )
    },
    FieldSpec {
        required: true,
        default: Some("\"64KiB\""),
        ..FieldSpec::new("body_bytes", FieldKind::Size, "most of each body that is recorded with `detailed`")
    },
    FieldSpec { default: Some("[]"), ..FieldSpec::new("tags", NAMES, "tags of the calls") },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new("tag_headers", NAMES, "request headers whose values become tags: `name-value`")
    },
    FieldSpec::new(
        "keep_for",
        FieldKind::Integer { min: 1, max: 100 * 365 * 86_400 },
        "seconds that outputs with an expiry of their own keep the record",
    ),
    FieldSpec {
        default: Some("[]"),
        ..endpoints::list("track_endpoints", "calls whose record names the template in place of the path")
    },
    endpoints::PREFIX_MATCHING,
    endpoints::SUFFIX_MATCHING,
    endpoints::IGNORE_CASE,
];

pub(in crate::plugins) const KIND: PluginKind = PluginKind {
    name: "recording",
    priority: 100_002,
    authenticates: false,
    adds_up: true,
    about: "says how calls are recorded: whole, with tags, under the name of their endpoint, for how long",
    fields: FIELDS,
    build,
};

#[derive(Debug, Deserialize)]
struct Config {
    detailed: bool,
    body_bytes: Value,
    tags: Option<Vec<String>>,
    tag_headers: Option<Vec<String>>,
    keep_for: Option<i64>,
    track_endpoints: Option<Vec<Endpoint>>,
    #[serde(flatten)]
    matching: Matching,
}

fn build(configured: Configured<'_>) -> Result<Arc<dyn Plugin>, ConfigError> {
    let config: Config = kind::read(configured.config.clone())?;
    let body_bytes = kind::size("body_bytes", &config.body_bytes)?;
    let header = |(index, name): (usize, &String)| {
        HeaderName::try_from(name.as_str()).map_err(|_| {
            ConfigError::one(format!("tag_headers.{}", index + 1), format!("not a header name: {name:?}"))
        })
    };
    let tag_headers =
        config.tag_headers.iter().flatten().enumerate().map(header).collect::<Result<_, _>>()?;
    let tracked = config.track_endpoints.unwrap_or_default();
    Ok(Arc::new(Recording {
        id: configured.id,
        detailed_bytes: config.detailed.then_some(body_bytes),
        tags: config.tags.unwrap_or_default(),
        tag_headers,
        keep_for: config.keep_for,
        tracked: Endpoints::new("track_endpoints", tracked, config.matching)?,
    }))
}
