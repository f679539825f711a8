//! Sends batches to a syslog server.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use tokio_rustls::rustls::ClientConfig;
use weir_kit::{Clock, ConfigError, FieldKind, FieldSpec, SystemClock, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::message::{Content, Format, Frame};
use crate::parts::net::{self, LARGEST_DATAGRAM};
use crate::parts::record::{self, RECORD, RecordOptions};
use crate::parts::tls::{
    self, SSL_CA_FILE, SSL_CERT_FILE, SSL_INSECURE_SKIP_VERIFY, SSL_KEY_FILE, TlsSettings,
};

pub(super) const FIELDS: &[FieldSpec] = &[
    FieldSpec {
        default: Some("\"udp\""),
        ..FieldSpec::new("transport", FieldKind::OneOf(&["udp", "tcp", "tls"]), "how messages travel")
    },
    FieldSpec {
        default: Some("\"localhost:5140\""),
        ..FieldSpec::new("network_addr", FieldKind::Text, "host and port of the server")
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new("log_level", FieldKind::Integer { min: 0, max: 7 }, "severity of the messages")
    },
    FieldSpec {
        default: Some("\"syslog-pump\""),
        ..FieldSpec::new("tag", FieldKind::Text, "name of the program that messages come from")
    },
    FieldSpec {
        default: Some("0"),
        ..FieldSpec::new("facility", FieldKind::Integer { min: 0, max: 23 }, "facility (ours)")
    },
    FieldSpec {
        default: Some("\"rfc3164\""),
        ..FieldSpec::new("format", FieldKind::OneOf(&["rfc3164", "rfc5424"]), "form of a message (ours)")
    },
    FieldSpec {
        default: Some("\"map\""),
        ..FieldSpec::new("content", FieldKind::OneOf(&["map", "json"]), "form of the record (ours)")
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
    transport: Transport,
    network_addr: String,
    log_level: u8,
    tag: String,
    facility: u8,
    format: Format,
    content: Content,
    #[serde(flatten)]
    tls: TlsSettings,
    record: RecordOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    let tls = match config.transport {
        Transport::Tls => Some(tls::client(&config.tls)?),
        _ => None,
    };
    let frame = Frame {
        format: config.format,
        content: config.content,
        priority: config.facility * 8 + config.log_level,
        host: host_name(),
        tag: config.tag.replace(char::is_whitespace, "-"),
    };
    let capture = config.record.capture();
    let (transport, address, options) = (config.transport, config.network_addr, config.record);
    let exporter = Syslog { transport, tls, address, frame, options };
    Ok(Built { exporter: Box::new(exporter), queue: QueueSettings::default(), capture })
}

/// The machine's name as the kernel knows it; `-` where it does not tell.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}

#[derive(Debug)]
struct Syslog {
    transport: Transport,
    tls: Option<Arc<ClientConfig>>,
    address: String,
    frame: Frame,
    options: RecordOptions,
}

#[async_trait]
impl Exporter for Syslog {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let now = SystemClock.now();
        let entries = record::entries(batch.exchanges, &self.options);
        let messages = entries.map(|entry| self.frame.message(&entry.record, now));
        if self.transport == Transport::Udp {
            return self.send_datagrams(messages).await;
        }
        let mut bytes = Vec::new();
        for message in messages {
            frame(&message, self.frame.format, &mut bytes);
        }
        net::send_stream(&self.address, self.tls.as_ref(), &bytes).await?;
        Ok(Delivered::default())
    }
}

impl Syslog {
    async fn send_datagrams(
        &self,
        messages: impl Iterator<Item = String> + Send,
    ) -> Result<Delivered, ExportError> {
        let mut delivered = Delivered::default();
        let mut datagrams = Vec::new();
        for (index, message) in messages.enumerate() {
            if message.len() > LARGEST_DATAGRAM {
                let reason = format!("{} bytes are too many for a datagram", message.len());
                delivered.rejected.push((index, reason));
            } else {
                datagrams.push(message.into_bytes());
            }
        }
        net::send_datagrams(&self.address, &datagrams).await?;
        Ok(delivered)
    }
}

/// Adds a message to a stream: counted as RFC 6587 has it for the standard form, ended by a line end for the old one.
fn frame(message: &str, format: Format, bytes: &mut Vec<u8>) {
    if format == Format::Rfc5424 {
        bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
    }
    bytes.extend_from_slice(message.as_bytes());
    if format == Format::Rfc3164 {
        bytes.push(b'\n');
    }
}
