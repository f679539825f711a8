#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`line`] (a record as a point), `second` (InfluxDB 2), `first` (InfluxDB 1).

mod first;
pub mod line;
mod second;

#[cfg(test)]
mod tests;

use weir_kit::{ConfigError, FieldKind, FieldSpec};
use weir_pipeline::ExporterKind;

use crate::parts::record;

/// Writes points to InfluxDB 1.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "influx",
    aliases: &[],
    about: "writes a point for each call to InfluxDB 1",
    fields: first::FIELDS,
    build: first::build,
};

/// Writes points to InfluxDB 2.
pub const SECOND: ExporterKind = ExporterKind {
    name: "influx2",
    aliases: &[],
    about: "writes a point for each call to InfluxDB 2",
    fields: second::FIELDS,
    build: second::build,
};

const POINT_FIELDS: FieldSpec = FieldSpec {
    default: Some("[\"request_time\"]"),
    ..FieldSpec::new(
        "fields",
        FieldKind::Array(&FieldKind::Text),
        "fields of the record that are fields of a point",
    )
};

const POINT_TAGS: FieldSpec = FieldSpec {
    default: Some("[\"method\", \"path\", \"response_code\", \"api_name\"]"),
    ..FieldSpec::new(
        "tags",
        FieldKind::Array(&FieldKind::Text),
        "fields of the record that are tags of a point",
    )
};

/// A point needs a field, and both lists need names that are known.
fn check(fields: &[String], tags: &[String]) -> Result<(), ConfigError> {
    record::unknown_field("fields", fields)?;
    record::unknown_field("tags", tags)?;
    if fields.is_empty() {
        return Err(ConfigError::one("fields", "a point needs at least one field"));
    }
    Ok(())
}

/// The address with a path of the API after its own.
fn endpoint(address: &str, path: &str) -> Result<url::Url, ConfigError> {
    let failed = |cause: String| ConfigError::one("address", format!("{address:?}: {cause}"));
    let mut url = url::Url::parse(address).map_err(|error| failed(error.to_string()))?;
    let path = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}
