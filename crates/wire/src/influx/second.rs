//! InfluxDB 2.

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use super::{POINT_FIELDS, POINT_TAGS, check, endpoint, line};
use crate::parts::http::{Caller, Options};
use crate::parts::record::{self, RecordOptions};

const RULE_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("every_seconds", FieldKind::Integer { min: 0, max: i64::MAX }, "seconds points are kept"),
    FieldSpec::new(
        "shard_group_duration_seconds",
        FieldKind::Integer { min: 0, max: i64::MAX },
        "seconds of a shard",
    ),
    FieldSpec::new("type", FieldKind::Text, "of the rule: `expire`"),
];

const BUCKET_FIELDS: &[FieldSpec] = &[
    FieldSpec::new("description", FieldKind::Text, "its description"),
    FieldSpec::new(
        "retention_rules",
        FieldKind::Array(&FieldKind::Record(RULE_FIELDS)),
        "how long points are kept",
    ),
];

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec { required: true, ..FieldSpec::new("bucket", FieldKind::Text, "bucket of the points") },
    FieldSpec { required: true, ..FieldSpec::new("organization", FieldKind::Text, "its organisation") },
    FieldSpec { required: true, ..FieldSpec::new("address", FieldKind::Url, "address of the server") },
    FieldSpec {
        required: true,
        secret: true,
        ..FieldSpec::new("token", FieldKind::Text, "token that may write to the bucket")
    },
    POINT_FIELDS,
    POINT_TAGS,
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("flush", FieldKind::Boolean, "accepted without effect: batches are sent at once")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("create_missing_bucket", FieldKind::Boolean, "make the bucket when it is missing")
    },
    FieldSpec::new("new_bucket_config", FieldKind::Record(BUCKET_FIELDS), "how that bucket is made"),
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    bucket: String,
    organization: String,
    address: String,
    token: Secret,
    fields: Vec<String>,
    tags: Vec<String>,
    create_missing_bucket: bool,
    new_bucket_config: Option<NewBucket>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct NewBucket {
    description: Option<String>,
    retention_rules: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Rule {
    every_seconds: Option<u64>,
    shard_group_duration_seconds: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    check(&config.fields, &config.tags)?;
    let mut token = HeaderValue::from_str(&format!("Token {}", config.token.expose()))
        .map_err(|_| ConfigError::one("token", "cannot stand in a header"))?;
    token.set_sensitive(true);
    let mut write = endpoint(&config.address, "/api/v2/write")?;
    write
        .query_pairs_mut()
        .append_pair("org", &config.organization)
        .append_pair("bucket", &config.bucket)
        .append_pair("precision", "ns");
    let mut organisations = endpoint(&config.address, "/api/v2/orgs")?;
    organisations.query_pairs_mut().append_pair("org", &config.organization);
    let exporter = Influx2 {
        caller: Caller::new(&Options::default())?,
        token,
        write: write.into(),
        organisations: organisations.into(),
        buckets: endpoint(&config.address, "/api/v2/buckets")?.into(),
        config,
    };
    let queue = QueueSettings { max_batch_size: 5_000, ..QueueSettings::default() };
    Ok(Built { exporter: Box::new(exporter), queue, capture: CaptureWish::default() })
}

#[derive(Debug)]
struct Influx2 {
    caller: Caller,
    token: HeaderValue,
    write: String,
    organisations: String,
    buckets: String,
    config: Config,
}

#[async_trait]
impl Exporter for Influx2 {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let (options, mut lines) = (RecordOptions::default(), String::new());
        for entry in record::entries(batch.exchanges, &options) {
            line::write(&entry, &self.config.fields, &self.config.tags, &mut lines);
        }
        let answer = self.caller.send(self.request(Method::POST, &self.write).body(lines)).await?;
        if answer.status.as_u16() == 404 {
            if self.config.create_missing_bucket {
                self.create_bucket().await?;
            }
            // A bucket that is missing today may be there tomorrow.
            return Err(ExportError::Retry { after: None, cause: answer.words() });
        }
        match answer.settled()? {
            None => Ok(Delivered::default()),
            Some(cause) => Err(ExportError::Refused { cause }),
        }
    }
}

impl Influx2 {
    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.caller.request(method, url).header(AUTHORIZATION, self.token.clone())
    }

    async fn create_bucket(&self) -> Result<(), ExportError> {
        let answer = self.caller.send(self.request(Method::GET, &self.organisations)).await?;
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(id) = found["orgs"][0]["id"].as_str() else {
            return Err(ExportError::Retry { after: None, cause: answer.words() });
        };
        let new = self.config.new_bucket_config.clone().unwrap_or_default();
        let rules = new.retention_rules.unwrap_or_default();
        let rules: Vec<Value> = rules
            .iter()
            .map(|rule| {
                json!({
                    "type": rule.kind.as_deref().unwrap_or("expire"),
                    "everySeconds": rule.every_seconds.unwrap_or(0),
                    "shardGroupDurationSeconds": rule.shard_group_duration_seconds.unwrap_or(0),
                })
            })
            .collect();
        let body = json!({
            "orgID": id, "name": self.config.bucket, "retentionRules": rules,
            "description": new.description.unwrap_or_default(),
        });
        let request = self.request(Method::POST, &self.buckets).header("content-type", "application/json");
        let answer = self.caller.send(request.body(body.to_string())).await?;
        match answer.settled()? {
            None => Ok(()),
            Some(cause) => Err(ExportError::Retry { after: None, cause }),
        }
    }
}
