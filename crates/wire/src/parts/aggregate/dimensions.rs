//! Under which labels a record counts (tyk-pump, section 5.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Rules;
use crate::tyk::record::Record;

/// The names of all dimensions but the total, which has none.
pub const DIMENSIONS: &[&str] = &[
    "apiid",
    "errors",
    "versions",
    "apikeys",
    "oauthids",
    "geo",
    "tags",
    "endpoints",
    "keyendpoints",
    "oauthendpoints",
    "apiendpoints",
];

/// One label of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Name of the dimension; empty for the total.
    pub dimension: &'static str,
    /// Its value, as stores hold it.
    pub value: String,
    /// The value for machines.
    pub identifier: String,
    /// The value for people.
    pub human_identifier: String,
}

impl Label {
    fn new(dimension: &'static str, value: &str) -> Self {
        Self::named(dimension, value, "")
    }

    fn named(dimension: &'static str, value: &str, human: &str) -> Self {
        Self {
            dimension,
            value: value.to_owned(),
            identifier: value.to_owned(),
            human_identifier: human.to_owned(),
        }
    }
}

/// The labels of a record. A record of network statistics counts for its API and in the total only.
pub(super) fn labels(record: &Record<'_>, rules: &Rules) -> Vec<Label> {
    let total =
        Label { identifier: String::new(), human_identifier: String::new(), ..Label::new("", "total") };
    let mut labels = vec![total];
    if !record.api_id.is_empty() {
        labels.push(Label::named("apiid", &record.api_id, &record.api_name));
    }
    if record.response_code != -1 {
        callers(record, &mut labels);
        labels.extend(tags(record, rules).into_iter().map(|tag| Label::new("tags", &tag)));
        if record.track_path || rules.track_all_paths {
            endpoints(record, &mut labels);
        }
    }
    labels.retain(|label| !rules.ignore_dimensions.iter().any(|name| name == label.dimension));
    labels
}

fn callers(record: &Record<'_>, labels: &mut Vec<Label>) {
    if record.response_code >= 400 {
        labels.push(Label::new("errors", &record.response_code.to_string()));
    }
    if !record.api_version.is_empty() {
        labels.push(Label {
            identifier: record.api_version.clone().into_owned(),
            human_identifier: record.api_version.clone().into_owned(),
            ..Label::new("versions", &encoded(&record.api_id, &record.api_version))
        });
    }
    if !record.api_key.is_empty() {
        labels.push(Label::named("apikeys", &record.api_key, &record.alias));
    }
    if !record.oauth_id.is_empty() {
        labels.push(Label::new("oauthids", &record.oauth_id));
    }
    if !record.geo.country.is_empty() {
        labels.push(Label::new("geo", &record.geo.country));
    }
}

/// Tags that are aggregated, each once. The tag that repeats the key is not.
fn tags(record: &Record<'_>, rules: &Rules) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in record.tags.iter().flatten() {
        let ignored = rules.ignore_tag_prefixes.iter().any(|prefix| tag.starts_with(prefix.as_str()));
        let tag = tag.trim().replace('.', "");
        if !ignored && !tag.starts_with("key-") && !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn endpoints(record: &Record<'_>, labels: &mut Vec<Label>) {
    let path = record.path.as_ref();
    let of_api = encoded(&record.api_id, path);
    let endpoint = |dimension, value: &str| Label {
        identifier: path.to_owned(),
        human_identifier: path.to_owned(),
        ..Label::new(dimension, value)
    };
    labels.push(endpoint("endpoints", path));
    let full = format!("{}:{}:{path}", record.api_id, record.api_version);
    labels.push(endpoint("apiendpoints", &hex(full.as_bytes())));
    if !record.api_key.is_empty() {
        labels.push(endpoint("keyendpoints", &format!("{}.{of_api}", record.api_key)));
    }
    if !record.oauth_id.is_empty() {
        labels.push(endpoint("oauthendpoints", &format!("{}.{of_api}", record.oauth_id)));
    }
}

/// Base64 without padding of `api:what`.
fn encoded(api_id: &str, what: &str) -> String {
    STANDARD_NO_PAD.encode(format!("{api_id}:{what}"))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
