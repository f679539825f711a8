//! Sends batches to the partitions of a topic in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record as Message;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_rustls::rustls::ClientConfig;
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::config::Config;
use super::message;
use crate::parts::net::retry;
use crate::parts::record;
use crate::parts::tls;

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    config.record.check()?;
    if config.broker.is_empty() {
        return Err(ConfigError::one("broker", weir_kit::schema::REQUIRED));
    }
    let tls = if config.use_ssl { Some(tls::client(&config.tls)?) } else { None };
    let timeout = config.timeout()?;
    let queue = QueueSettings { timeout, ..QueueSettings::default() };
    let capture = config.record.capture();
    let exporter = Kafka { config, tls, patience: timeout / 4, connected: Mutex::default() };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

struct Kafka {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    patience: Duration,
    connected: Mutex<Option<Connected>>,
}

/// The partitions of the topic, and whose turn it is.
struct Connected {
    _client: Client,
    partitions: Vec<PartitionClient>,
    turn: usize,
}

#[async_trait]
impl Exporter for Kafka {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let entries = record::entries(batch.exchanges, &self.config.record);
        let messages: Vec<Message> = entries
            .map(|entry| {
                let at = entry.record.time_stamp;
                Message {
                    key: None,
                    value: Some(message::message(&entry.record, &self.config.meta_data)),
                    headers: BTreeMap::new(),
                    timestamp: DateTime::from_timestamp(at.seconds, at.nanos).unwrap_or_default(),
                }
            })
            .collect();
        let mut slot = self.connected.lock().await;
        // Taken, so that connections are given up when this is: when the time for the attempt is over, or it failed.
        let mut connected = match slot.take() {
            Some(connected) => connected,
            None => self.connect().await?,
        };
        let rejected = self.send(&mut connected, messages).await?;
        *slot = Some(connected);
        Ok(Delivered::with_rejected(rejected))
    }
}

impl Kafka {
    async fn connect(&self) -> Result<Connected, ExportError> {
        let config = &self.config;
        // The client tries again by itself; for longer than that, the pipeline does.
        let patience = BackoffConfig {
            max_backoff: Duration::from_secs(1),
            deadline: Some(self.patience),
            ..BackoffConfig::default()
        };
        let builder = ClientBuilder::new(config.broker.clone()).backoff_config(patience);
        let mut builder = builder.client_id(config.client_id.as_str());
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(tls.clone());
        }
        if let Some(sasl) = config.sasl() {
            builder = builder.sasl_config(sasl);
        }
        let failed = |error: Error| retry("kafka", &error);
        let client = builder.build().await.map_err(failed)?;
        let topics = client.list_topics().await.map_err(failed)?;
        let Some(topic) = topics.into_iter().find(|topic| topic.name == config.topic) else {
            let cause = format!("kafka: there is no topic {:?}", config.topic);
            return Err(ExportError::Retry { after: None, cause });
        };
        let mut partitions = Vec::new();
        for partition in topic.partitions {
            let client = client.partition_client(topic.name.clone(), partition, UnknownTopicHandling::Error);
            partitions.push(client.await.map_err(failed)?);
        }
        Ok(Connected { _client: client, partitions, turn: 0 })
    }

    /// Sends messages in pieces of a bounded size, each to the next partition. A message that alone is too large for the
    /// broker is refused alone.
    async fn send(
        &self,
        connected: &mut Connected,
        messages: Vec<Message>,
    ) -> Result<Vec<(usize, String)>, ExportError> {
        let sizes: Vec<usize> = messages.iter().map(Message::approximate_size).collect();
        let mut messages = messages.into_iter().enumerate();
        let mut rejected = Vec::new();
        let mut waiting = pieces(&sizes, self.config.batch_bytes);
        waiting.reverse();
        while let Some(count) = waiting.pop() {
            let piece: Vec<(usize, Message)> = messages.by_ref().take(count).collect();
            self.send_piece(connected, piece, &mut rejected).await?;
        }
        Ok(rejected)
    }

    async fn send_piece(
        &self,
        connected: &mut Connected,
        piece: Vec<(usize, Message)>,
        rejected: &mut Vec<(usize, String)>,
    ) -> Result<(), ExportError> {
        let mut pieces = vec![piece];
        while let Some(mut piece) = pieces.pop() {
            connected.turn = connected.turn.wrapping_add(1);
            let partition = connected.partitions.get(connected.turn % connected.partitions.len().max(1));
            let Some(partition) = partition else {
                let cause = "kafka: the topic has no partitions".to_owned();
                return Err(ExportError::Retry { after: None, cause });
            };
            let messages = piece.iter().map(|(_, message)| message.clone()).collect();
            let compression =
                if self.config.compressed { Compression::Snappy } else { Compression::NoCompression };
            match partition.produce(messages, compression).await {
                Ok(_) => {}
                Err(error) if is_too_large(&error) && piece.len() > 1 => {
                    let second = piece.split_off(piece.len() / 2);
                    pieces.extend([second, piece]);
                }
                Err(error) if is_too_large(&error) => {
                    rejected.extend(piece.iter().map(|(index, _)| (*index, error.to_string())));
                }
                Err(error) => return Err(retry("kafka", &error)),
            }
        }
        Ok(())
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        error,
        Error::ServerError {
            protocol_error: ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge,
            ..
        }
    )
}

/// How many messages travel together, by their sizes; at least one.
fn pieces(sizes: &[usize], max_bytes: usize) -> Vec<usize> {
    let mut pieces = Vec::new();
    let (mut count, mut bytes) = (0, 0_usize);
    for size in sizes {
        if count > 0 && bytes.saturating_add(*size) > max_bytes {
            pieces.push(count);
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes = bytes.saturating_add(*size);
    }
    if count > 0 {
        pieces.push(count);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_travel_in_pieces_of_a_bounded_size() {
        for (sizes, expected) in [
            (&[][..], &[][..]),
            (&[5, 5, 5], &[2, 1]),
            (&[50, 5, 5], &[1, 2]),
            (&[10, 10], &[1, 1]),
            (&[1, 1, 1], &[3]),
        ] {
            assert_eq!(pieces(sizes, 10), expected, "{sizes:?}");
        }
    }
}
