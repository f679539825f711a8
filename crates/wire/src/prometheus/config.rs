//! The settings of Tyk Pump's `prometheus`.

use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec};

use super::metrics::{BASE, Kind, LABELS, Spec};

/// Milliseconds (tyk-pump, section 4.7).
pub(super) const BUCKETS: &[f64] = &[
    1.0, 2.0, 5.0, 7.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 200.0,
    300.0, 400.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0, 60_000.0,
];

const CUSTOM_FIELDS: &[FieldSpec] = &[
    FieldSpec { required: true, ..FieldSpec::new("name", FieldKind::Text, "its name") },
    FieldSpec::new("help", FieldKind::Text, "what it is, for people"),
    FieldSpec {
        required: true,
        ..FieldSpec::new("metric_type", FieldKind::OneOf(&["counter", "histogram"]), "what it counts")
    },
    FieldSpec::new(
        "buckets",
        FieldKind::Array(&FieldKind::Number { min: 0.0, max: f64::MAX }),
        "ends of a histogram's buckets in milliseconds",
    ),
    FieldSpec::new("labels", FieldKind::Array(&FieldKind::Text), "its labels"),
    FieldSpec::new("obfuscate_api_keys", FieldKind::Boolean, "hide keys but for their end"),
    FieldSpec::new(
        "obfuscate_api_keys_length",
        FieldKind::Integer { min: 0, max: 1_000 },
        "characters of a hidden key that are shown; 4 when it is not given",
    ),
    FieldSpec::new("mcp_only", FieldKind::Boolean, "of MCP calls only"),
];

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        // The name of the original's variable.
        aliases: &["addr"],
        ..FieldSpec::new("listen_address", FieldKind::Text, "where Prometheus asks, such as `localhost:9090`")
    },
    FieldSpec {
        default: Some("\"/metrics\""),
        ..FieldSpec::new("path", FieldKind::Text, "path of the page")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "aggregate_observations",
            FieldKind::Boolean,
            "accepted without effect: every call is observed",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new("disabled_metrics", FieldKind::Array(&FieldKind::OneOf(BASE)), "left out")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "track_all_paths",
            FieldKind::Boolean,
            "paths of every call, not only of tracked ones and of those with a template",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "custom_metrics",
            FieldKind::Array(&FieldKind::Record(CUSTOM_FIELDS)),
            "further metrics",
        )
    },
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) listen_address: String,
    pub(super) path: String,
    disabled_metrics: Vec<String>,
    pub(super) track_all_paths: bool,
    custom_metrics: Vec<Custom>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Custom {
    name: String,
    help: Option<String>,
    metric_type: String,
    buckets: Option<Vec<f64>>,
    labels: Option<Vec<String>>,
    obfuscate_api_keys: Option<bool>,
    obfuscate_api_keys_length: Option<usize>,
    mcp_only: Option<bool>,
}

impl Config {
    /// The metrics that are kept, those of the original first.
    pub(super) fn specs(&self) -> Result<Vec<Spec>, ConfigError> {
        let mut specs = super::metrics::base(BUCKETS);
        specs.retain(|spec| !self.disabled_metrics.contains(&spec.name));
        for (index, custom) in self.custom_metrics.iter().enumerate() {
            let key = format!("custom_metrics.{}", index + 1);
            let spec = custom.spec(&key)?;
            if specs.iter().any(|other| other.name == spec.name) {
                return Err(ConfigError::one(
                    format!("{key}.name"),
                    format!("{:?} is there twice", spec.name),
                ));
            }
            specs.push(spec);
        }
        Ok(specs)
    }
}

impl Custom {
    fn spec(&self, key: &str) -> Result<Spec, ConfigError> {
        let mut letters = self.name.chars();
        let starts_well = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic() || letter == '_');
        if !starts_well || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let message = format!("{:?} is not a name of a metric", self.name);
            return Err(ConfigError::one(format!("{key}.name"), message));
        }
        let mut labels = self.labels.clone().unwrap_or_default();
        labels.retain(|label| label != "type");
        if let Some(label) = labels.iter().find(|label| !LABELS.contains(&label.as_str())) {
            let message = format!("{label:?} is none of {}", LABELS.join(", "));
            return Err(ConfigError::one(format!("{key}.labels"), message));
        }
        let mut buckets = self.buckets.clone().filter(|ends| !ends.is_empty());
        if let Some(ends) = &mut buckets {
            ends.sort_by(f64::total_cmp);
            ends.dedup();
        }
        let buckets = buckets.unwrap_or_else(|| BUCKETS.to_vec());
        let shown = self.obfuscate_api_keys_length.unwrap_or(4);
        Ok(Spec {
            name: self.name.clone(),
            help: self.help.clone().unwrap_or_default(),
            kind: if self.metric_type == "histogram" { Kind::RequestTime(buckets) } else { Kind::Counter },
            labels,
            shown_of_keys: self.obfuscate_api_keys.unwrap_or(false).then_some(shown),
            mcp_only: self.mcp_only.unwrap_or(false),
        })
    }
}
