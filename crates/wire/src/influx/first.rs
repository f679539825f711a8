//! InfluxDB 1.

use async_trait::async_trait;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret, kind};
use weir_pipeline::{Batch, Built, CaptureWish, Delivered, ExportError, Exporter, QueueSettings};

use super::{POINT_FIELDS, POINT_TAGS, check, endpoint, line};
use crate::parts::http::{Caller, Options};
use crate::parts::record::{self, RecordOptions};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        ..FieldSpec::new("database_name", FieldKind::Text, "database of the points")
    },
    FieldSpec { required: true, ..FieldSpec::new("address", FieldKind::Url, "address of the server") },
    FieldSpec::new("username", FieldKind::Text, "name of the user"),
    FieldSpec { secret: true, ..FieldSpec::new("password", FieldKind::Text, "the password") },
    POINT_FIELDS,
    POINT_TAGS,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    database_name: String,
    address: String,
    username: Option<String>,
    password: Option<Secret>,
    fields: Vec<String>,
    tags: Vec<String>,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    check(&config.fields, &config.tags)?;
    let mut write = endpoint(&config.address, "/write")?;
    write.query_pairs_mut().append_pair("db", &config.database_name).append_pair("precision", "ns");
    let caller = Caller::new(&Options::default())?;
    let queue = QueueSettings { max_batch_size: 5_000, ..QueueSettings::default() };
    let exporter = Influx { caller, write: write.into(), config };
    Ok(Built { exporter: Box::new(exporter), queue, capture: CaptureWish::default() })
}

#[derive(Debug)]
struct Influx {
    caller: Caller,
    write: String,
    config: Config,
}

#[async_trait]
impl Exporter for Influx {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let (options, mut lines) = (RecordOptions::default(), String::new());
        for entry in record::entries(batch.exchanges, &options) {
            line::write(&entry, &self.config.fields, &self.config.tags, &mut lines);
        }
        let mut request = self.caller.request(Method::POST, &self.write).body(lines);
        if let Some(name) = self.config.username.as_deref().filter(|name| !name.is_empty()) {
            request = request.basic_auth(name, self.config.password.as_ref().map(Secret::expose));
        }
        let answer = self.caller.send(request).await?;
        if answer.status.as_u16() == 404 {
            // A database that is missing today may be there tomorrow.
            return Err(ExportError::Retry { after: None, cause: answer.words() });
        }
        match answer.settled()? {
            None => Ok(Delivered::default()),
            Some(cause) => Err(ExportError::Refused { cause }),
        }
    }
}
