//! The settings of Tyk Pump's `kafka`.

use std::collections::BTreeMap;
use std::time::Duration;

use rskafka::client::{Credentials, SaslConfig};
use serde::Deserialize;
use serde_json::Value;
use weir_kit::{ConfigError, FieldKind, FieldSpec, Secret};

use crate::parts::record::{RECORD, RecordOptions};
use crate::parts::tls::{SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings};

/// How long one attempt may take when settings say nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        required: true,
        ..FieldSpec::new("broker", FieldKind::Array(&FieldKind::Text), "addresses to begin with: host:port")
    },
    FieldSpec {
        default: Some("\"weir\""),
        ..FieldSpec::new("client_id", FieldKind::Text, "name that brokers log")
    },
    FieldSpec { required: true, ..FieldSpec::new("topic", FieldKind::Text, "topic of the messages") },
    FieldSpec::new(
        "timeout",
        FieldKind::Any,
        "how long one attempt may take: seconds as a number, or with a unit; 30s when not given",
    ),
    FieldSpec {
        default: Some("false"),
        ..FieldSpec::new("compressed", FieldKind::Boolean, "compress with Snappy")
    },
    FieldSpec {
        default: Some("{}"),
        ..FieldSpec::new("meta_data", FieldKind::Map(&FieldKind::Text), "members added to every message")
    },
    FieldSpec { default: Some("false"), ..FieldSpec::new("use_ssl", FieldKind::Boolean, "speak TLS") },
    SSL_INSECURE_SKIP_VERIFY,
    SSL_CA_FILE,
    SSL_CERT_FILE,
    SSL_KEY_FILE,
    FieldSpec::new("sasl_mechanism", FieldKind::OneOf(&["", "plain", "scram"]), "how to show who we are"),
    FieldSpec::new("sasl_username", FieldKind::Text, "name of the user"),
    FieldSpec { secret: true, ..FieldSpec::new("sasl_password", FieldKind::Text, "the password") },
    FieldSpec {
        default: Some("\"sha-256\""),
        ..FieldSpec::new("sasl_algorithm", FieldKind::OneOf(&["sha-256", "sha-512"]), "of `scram`")
    },
    FieldSpec {
        default: Some("1048576"),
        ..FieldSpec::new(
            "batch_bytes",
            FieldKind::Integer { min: 1, max: 1 << 30 },
            "about how many bytes of messages travel together",
        )
    },
    RECORD,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) broker: Vec<String>,
    pub(super) client_id: String,
    pub(super) topic: String,
    timeout: Value,
    pub(super) compressed: bool,
    pub(super) meta_data: BTreeMap<String, String>,
    pub(super) use_ssl: bool,
    #[serde(flatten)]
    pub(super) tls: TlsSettings,
    sasl_mechanism: Option<String>,
    sasl_username: Option<String>,
    sasl_password: Option<Secret>,
    sasl_algorithm: String,
    pub(super) batch_bytes: usize,
    pub(super) record: RecordOptions,
}

impl Config {
    pub(super) fn timeout(&self) -> Result<Duration, ConfigError> {
        let bad = |message: String| ConfigError::one("timeout", message);
        let time = match &self.timeout {
            Value::Null => DEFAULT_TIMEOUT,
            Value::String(text) => match text.trim().parse::<f64>() {
                Ok(seconds) => {
                    Duration::try_from_secs_f64(seconds).map_err(|error| bad(error.to_string()))?
                }
                Err(_) => weir_kit::units::duration(text).map_err(bad)?,
            },
            other => match other.as_f64().map(Duration::try_from_secs_f64) {
                Some(Ok(time)) => time,
                _ => return Err(bad(format!("expected seconds or a duration, not {other}"))),
            },
        };
        Ok(if time.is_zero() { DEFAULT_TIMEOUT } else { time })
    }

    pub(super) fn sasl(&self) -> Option<SaslConfig> {
        let credentials = Credentials::new(
            self.sasl_username.clone().unwrap_or_default(),
            self.sasl_password.as_ref().map(Secret::expose).unwrap_or_default().to_owned(),
        );
        match (self.sasl_mechanism.as_deref()?, self.sasl_algorithm.as_str()) {
            ("plain", _) => Some(SaslConfig::Plain(credentials)),
            ("scram", "sha-512") => Some(SaslConfig::ScramSha512(credentials)),
            ("scram", _) => Some(SaslConfig::ScramSha256(credentials)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_seconds_or_have_a_unit() {
        for (timeout, seconds) in
            [(json!(null), 30), (json!(7), 7), (json!("7"), 7), (json!("2m"), 120), (json!(0), 30)]
        {
            let config = Config { timeout: timeout.clone(), ..Config::default() };
            assert_eq!(config.timeout().unwrap(), Duration::from_secs(seconds), "{timeout}");
        }
        for timeout in [json!("soon"), json!([]), json!(-1)] {
            assert!(Config { timeout, ..Config::default() }.timeout().is_err());
        }
    }

    #[test]
    fn every_mechanism_is_known() {
        let sasl = |mechanism: &str, algorithm: &str| {
            Config {
                sasl_mechanism: Some(mechanism.to_owned()),
                sasl_algorithm: algorithm.to_owned(),
                ..Config::default()
            }
            .sasl()
        };
        assert!(matches!(sasl("plain", "sha-256"), Some(SaslConfig::Plain(_))));
        assert!(matches!(sasl("scram", "sha-256"), Some(SaslConfig::ScramSha256(_))));
        assert!(matches!(sasl("scram", "sha-512"), Some(SaslConfig::ScramSha512(_))));
        assert!(sasl("", "sha-256").is_none());
    }
}
