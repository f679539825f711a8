//! Writes records to Redis as the gateway does.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use redis::{Pipeline, RedisError};
use serde_json::Value;
use weir_kit::ConfigError;
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::connection::Redis;
use super::lists::{self, Encoding, KEY_PREFIX, SHARDS};
use super::record::Layout;
use super::{encode, msgpack, protobuf};

/// Records that travel in one command, unless they are larger together than [`COMMAND_BYTES`].
const COMMAND_RECORDS: usize = 500;
/// Bytes of records in one command.
const COMMAND_BYTES: usize = 1024 * 1024;

/// Builds an exporter from its settings.
pub fn build(settings: Value) -> Result<Built, ConfigError> {
    let config = Config::read(settings)?;
    let (queue, capture) = (config.queue(), config.capture());
    let redis = Redis::new(config.redis.clone());
    Ok(Built { exporter: Box::new(Tyk { config, redis, waiting: AtomicU64::new(0) }), queue, capture })
}

struct Tyk {
    config: Config,
    redis: Redis,
    /// Records in the list that was written to last, as Redis said.
    waiting: AtomicU64,
}

#[async_trait]
impl Exporter for Tyk {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let list = self.list();
        if self.waiting.load(Ordering::Relaxed) >= self.config.max_waiting {
            self.wait_for_a_pump(&list).await?;
        }
        let mut pipeline = Pipeline::new();
        let mut values = Vec::new();
        let mut bytes = 0;
        for exchange in batch.exchanges {
            if self.config.ignores(exchange) {
                continue;
            }
            let value = self.value(exchange);
            bytes += value.len();
            values.push(value);
            if values.len() >= COMMAND_RECORDS || bytes >= COMMAND_BYTES {
                pipeline.cmd("RPUSH").arg(&list).arg(std::mem::take(&mut values));
                bytes = 0;
            }
        }
        if !values.is_empty() {
            pipeline.cmd("RPUSH").arg(&list).arg(values);
        }
        if pipeline.is_empty() {
            return Ok(Delivered::default());
        }
        if let Some(lives) = self.config.list_lives {
            // Renewed as long as we write, so that fresh records do not die with old ones.
            pipeline.cmd("EXPIRE").arg(&list).arg(lives.as_secs()).ignore();
        }
        let lengths: Vec<u64> = self.redis.pipeline(&pipeline).await.map_err(|error| retry(&error))?;
        self.waiting.store(lengths.last().copied().unwrap_or(0), Ordering::Relaxed);
        Ok(Delivered::default())
    }
}

impl Tyk {
    /// Any of ten, or the only one.
    fn list(&self) -> String {
        let shard = self.config.spread.then(|| rand::random_range(0..SHARDS));
        lists::name(KEY_PREFIX, shard, self.config.encoding)
    }

    fn value(&self, exchange: &weir_model::Exchange) -> Vec<u8> {
        let record = encode::record(exchange, &self.config.profile);
        let mut value = Vec::with_capacity(1_024);
        match self.config.encoding {
            Encoding::Msgpack => msgpack::encode(&record, Layout::Current, &mut value),
            Encoding::Protobuf => protobuf::encode(&record, &mut value),
        }
        value
    }

    /// With no pump at work the list would grow until Redis is full; the journal has a limit on disk instead.
    async fn wait_for_a_pump(&self, list: &str) -> Result<(), ExportError> {
        let answer = self.redis.command(redis::cmd("LLEN").arg(list)).await;
        let length = answer.and_then(|length| Ok(redis::from_redis_value::<u64>(length)?));
        let length = length.map_err(|error| retry(&error))?;
        self.waiting.store(length, Ordering::Relaxed);
        if length < self.config.max_waiting {
            return Ok(());
        }
        let cause = format!("{length} records wait in {list}; is a pump running?");
        Err(ExportError::Retry { after: None, cause })
    }
}

fn retry(error: &RedisError) -> ExportError {
    ExportError::Retry { after: None, cause: format!("redis: {error}") }
}
