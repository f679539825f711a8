//! Sends batches to Graylog.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;
use weir_kit::{ConfigError, FieldKind, FieldSpec, kind};
use weir_model::ExchangeId;
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::gelf;
use crate::parts::net;
use crate::parts::record::{self, RECORD, RecordOptions};
use crate::parts::tls::{
    self, SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings,
};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"localhost\""),
        ..FieldSpec::new("host", FieldKind::Text, "name or address of the server")
    },
    FieldSpec {
        default: Some("12201"),
        ..FieldSpec::new("port", FieldKind::Integer { min: 1, max: 65_535 }, "port of its GELF input")
    },
    FieldSpec {
        default: Some("[]"),
        ..FieldSpec::new(
            "tags",
            FieldKind::Array(&FieldKind::Text),
            "fields that are sent; empty: all but `raw_request` and `raw_response`",
        )
    },
    FieldSpec {
        default: Some("\"udp\""),
        ..FieldSpec::new("transport", FieldKind::OneOf(&["udp", "tcp", "tls"]), "how messages travel (ours)")
    },
    SSL_INSECURE_SKIP_VERIFY,
    SSL_CA_FILE,
    SSL_CERT_FILE,
    SSL_KEY_FILE,
    RECORD,
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Config {
    host: String,
    port: u16,
    tags: Vec<String>,
    transport: String,
    #[serde(flatten)]
    tls: TlsSettings,
    record: RecordOptions,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let mut config: Config = kind::read(settings)?;
    config.record.check()?;
    record::unknown_field("tags", &config.tags)?;
    if config.tags.is_empty() {
        config.tags = gelf::FIELDS.iter().map(|name| (*name).to_owned()).collect();
    }
    // The original sends dumps without Base64.
    config.record.raw_request_decoded = true;
    config.record.raw_response_decoded = true;
    let tls = match config.transport.as_str() {
        "tls" => Some(tls::client(&config.tls)?),
        _ => None,
    };
    let bare_ipv6 = config.host.contains(':') && !config.host.starts_with('[');
    let host = if bare_ipv6 { format!("[{}]", config.host) } else { config.host };
    let capture = config.record.capture();
    let exporter = Graylog {
        address: format!("{host}:{}", config.port),
        datagrams: config.transport == "udp",
        tls,
        fields: config.tags,
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue: QueueSettings::default(), capture })
}

#[derive(Debug)]
struct Graylog {
    address: String,
    datagrams: bool,
    tls: Option<Arc<ClientConfig>>,
    fields: Vec<String>,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for Graylog {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let entries = record::entries(batch.exchanges, &self.options);
        let messages = entries.map(|entry| (entry.id, gelf::message(&entry.record, &self.fields)));
        if self.datagrams {
            return self.send_datagrams(messages).await;
        }
        let mut bytes = Vec::new();
        for (_, message) in messages {
            bytes.extend_from_slice(&message);
            bytes.push(0);
        }
        net::send_stream(&self.address, self.tls.as_ref(), &bytes).await?;
        Ok(Delivered::default())
    }
}

impl Graylog {
    async fn send_datagrams(
        &self,
        messages: impl Iterator<Item = (ExchangeId, Vec<u8>)> + Send,
    ) -> Result<Delivered, ExportError> {
        let mut delivered = Delivered::default();
        let mut datagrams = Vec::new();
        for (index, (id, message)) in messages.enumerate() {
            let length = message.len();
            let mut random = [0; 8];
            random.copy_from_slice(&id.to_bytes()[8..]);
            match gelf::datagrams(message, random) {
                Some(chunks) => datagrams.extend(chunks),
                None => {
                    let reason = format!("{length} bytes are too many for GELF over UDP");
                    delivered.rejected.push((index, reason));
                }
            }
        }
        net::send_datagrams(&self.address, &datagrams).await?;
        Ok(delivered)
    }
}
