//! What settings change of a record before it goes out (tyk-pump, section 2.2).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec};
use weir_pipeline::CaptureWish;

use crate::tyk::record::{Geo, GraphQl, Latency, Mcp, Network, Record, Text, Time};

/// Most bytes of each body that the gateway captures for detailed recording.
const CAPTURED_BYTES: usize = 1024 * 1024;

const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new(
            "detailed_recording",
            FieldKind::Boolean,
            "send requests and responses whole, as `raw_request` and `raw_response` (ours)",
        )
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new(
            "max_record_size",
            FieldKind::Integer { min: 0, max: 1 << 31 },
            "bytes of Base64 after which `raw_request` and `raw_response` are cut; 0: never",
        )
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "ignore_fields",
            FieldKind::Array(&FieldKind::Text),
            "fields of the record that are emptied, by their JSON names",
        )
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("raw_request_decoded", FieldKind::Boolean, "send `raw_request` without Base64")
    },
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("raw_response_decoded", FieldKind::Boolean, "send `raw_response` without Base64")
    },
];

/// The group of settings that every output in Tyk's formats has.
pub const RECORD: FieldSpec = FieldSpec {
    default: Some("{}"),
    ..FieldSpec::new("record", FieldKind::Record(FIELDS), "what is changed of a record before it goes out")
};

/// The settings of the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordOptions {
    /// Whether dumps of request and response are sent.
    pub detailed_recording: bool,
    /// Bytes of Base64 after which a dump is cut; 0 is never.
    pub max_record_size: usize,
    /// Fields that are emptied.
    pub ignore_fields: Vec<String>,
    /// Whether the request's dump is sent without Base64.
    pub raw_request_decoded: bool,
    /// Whether the response's dump is sent without Base64.
    pub raw_response_decoded: bool,
}

impl RecordOptions {
    /// Finds mistakes that the table of settings cannot find.
    ///
    /// # Errors
    /// An unknown name in `ignore_fields`.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut empty = Record::default();
        match self.ignore_fields.iter().find(|name| !ignore(&mut empty, name)) {
            None => Ok(()),
            Some(name) => Err(ConfigError::one("record.ignore_fields", format!("no field {name:?}"))),
        }
    }

    /// What the gateway must capture.
    pub fn capture(&self) -> CaptureWish {
        let bytes = if self.detailed_recording { CAPTURED_BYTES } else { 0 };
        CaptureWish { request_body_bytes: bytes, response_body_bytes: bytes }
    }

    /// In Tyk's order: omit or cut, empty, decode.
    pub fn apply(&self, record: &mut Record<'_>) {
        if !self.detailed_recording {
            (record.raw_request, record.raw_response) = (Text::default(), Text::default());
        }
        if self.max_record_size > 0 {
            cut(&mut record.raw_request, self.max_record_size);
            cut(&mut record.raw_response, self.max_record_size);
        }
        for name in &self.ignore_fields {
            ignore(record, name);
        }
        if self.raw_request_decoded {
            decode(&mut record.raw_request);
        }
        if self.raw_response_decoded {
            decode(&mut record.raw_response);
        }
    }
}

fn cut(text: &mut Text<'_>, bytes: usize) {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        *text = Cow::Owned(text.get(..end).unwrap_or_default().to_owned());
    }
}

/// What is not Base64, such as what was cut in the middle of a group, is decoded as far as it goes.
fn decode(text: &mut Text<'_>) {
    let whole = text.len() - text.len() % 4;
    let decoded = STANDARD.decode(text.get(..whole).unwrap_or_default());
    if let Ok(bytes) = decoded {
        *text = Cow::Owned(String::from_utf8_lossy(&bytes).into_owned());
    }
}

/// Empties the field of this JSON name; gives whether there is one.
fn ignore(record: &mut Record<'_>, name: &str) -> bool {
    match name {
        "method" => record.method = Text::default(),
        "host" => record.host = Text::default(),
        "path" => record.path = Text::default(),
        "raw_path" => record.raw_path = Text::default(),
        "content_length" => record.content_length = 0,
        "user_agent" => record.user_agent = Text::default(),
        "day" => record.day = 0,
        "month" => record.month = 0,
        "year" => record.year = 0,
        "hour" => record.hour = 0,
        "response_code" => record.response_code = 0,
        "api_key" => record.api_key = Text::default(),
        "timestamp" => record.time_stamp = Time::ZERO,
        "api_version" => record.api_version = Text::default(),
        "api_name" => record.api_name = Text::default(),
        "api_id" => record.api_id = Text::default(),
        "org_id" => record.org_id = Text::default(),
        "oauth_id" => record.oauth_id = Text::default(),
        "request_time" => record.request_time = 0,
        "raw_request" => record.raw_request = Text::default(),
        "raw_response" => record.raw_response = Text::default(),
        "ip_address" => record.ip_address = Text::default(),
        "geo" => record.geo = Geo::default(),
        "network" => record.network = Network::default(),
        "latency" => record.latency = Latency::default(),
        "tags" => record.tags = None,
        "alias" => record.alias = Text::default(),
        "track_path" => record.track_path = false,
        "expireAt" => record.expire_at = Time::ZERO,
        "api_schema" => record.api_schema = Text::default(),
        "original_path" => record.original_path = Text::default(),
        "listen_path" => record.listen_path = Text::default(),
        "graphql_stats" => record.graphql = GraphQl::default(),
        "mcp_stats" => record.mcp = Mcp::default(),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::record::Json;

    fn options() -> RecordOptions {
        RecordOptions::default()
    }

    #[test]
    fn every_json_name_can_be_ignored() {
        let json = serde_json::to_value(Json(&Record::default())).unwrap();
        for name in json.as_object().unwrap().keys() {
            assert!(ignore(&mut Record::default(), name), "{name}");
        }
        let error = RecordOptions { ignore_fields: vec!["nothing".into()], ..options() }.check().unwrap_err();
        assert_eq!(error.to_string(), "record.ignore_fields: no field \"nothing\"");
    }

    #[test]
    fn dumps_are_cut_before_they_are_decoded() {
        let record = || Record {
            api_key: "k".into(),
            raw_request: "R0VUIC8=".into(),
            raw_response: "SFRUUC8xLjE=".into(),
            ..Record::default()
        };
        let applied = |options: RecordOptions| {
            let mut record = record();
            options.apply(&mut record);
            record
        };
        let changed = applied(RecordOptions {
            detailed_recording: true,
            max_record_size: 6,
            ignore_fields: vec!["api_key".into()],
            raw_request_decoded: true,
            ..options()
        });
        assert_eq!((changed.raw_request.as_ref(), changed.raw_response.as_ref()), ("GET", "SFRUUC"));
        assert_eq!(changed.api_key, "");
        assert_eq!(applied(RecordOptions { detailed_recording: true, ..options() }), record());
        let without = applied(options());
        assert_eq!((without.raw_request.as_ref(), without.raw_response.as_ref()), ("", ""));
    }
}
