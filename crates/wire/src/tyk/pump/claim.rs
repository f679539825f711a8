//! What is done in Redis: taking a list over, reading its head, cutting it off.
//!
//! Every step may be repeated without harm, since an answer can be lost when its work is done. The keys of one list lie in
//! one slot of a cluster: the name of the list is their hash tag.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Pipeline, RedisError, RedisResult, Value, cmd, from_redis_value};

use crate::tyk::connection::Redis;
use crate::tyk::lists::Encoding;
use crate::tyk::record::MAX_RECORD_BYTES;

/// Records read at once where scripts are not allowed, and so bytes cannot be counted before they are sent.
const WITHOUT_SCRIPT: usize = 100;

/// Reads the head of a list, not more than so many records and bytes; what is larger than a record may be is not sent.
const HEAD: &str = "
local most, bytes, largest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local head, at, sum = {}, 0, 0
while at < most do
  local part = redis.call('LRANGE', KEYS[1], at, math.min(at + 31, most - 1))
  if #part == 0 then break end
  for _, value in ipairs(part) do
    if #head > 0 and sum + #value > bytes then return head end
    sum = sum + #value
    head[#head + 1] = #value > largest and false or value
  end
  at = at + #part
end
return head";

/// One list of records and what becomes of it.
#[derive(Debug)]
pub(super) struct List {
    /// As gateways know it.
    pub(super) name: String,
    pub(super) encoding: Encoding,
    /// What was taken over.
    taken: String,
    /// Holds the name that the take-over was given.
    label: String,
    scripts: AtomicBool,
}

/// The head of a list that was taken over.
#[derive(Debug)]
pub(super) struct Head {
    /// The name of the take-over.
    pub(super) label: String,
    /// Records from the first of the head to the list's end.
    pub(super) length: u64,
    /// Values in order; `None` for one that is larger than a record may be.
    pub(super) values: Vec<Option<Vec<u8>>>,
}

impl List {
    pub(super) fn new(name: String, encoding: Encoding, prefix: &str, node: &str) -> Self {
        // Below the prefix, so that a user who may touch nothing but `<prefix>*` can still do this.
        let taken = format!("{prefix}weir-pump:{node}:{{{name}}}");
        let label = format!("{taken}:label");
        Self { name, encoding, taken, label, scripts: AtomicBool::new(true) }
    }

    /// The head of what was taken over; takes over what gateways wrote since when nothing is left. `None`: all is empty.
    pub(super) async fn head(&self, redis: &Redis, most: usize, bytes: usize) -> RedisResult<Option<Head>> {
        let mut length = self.length(redis).await?;
        if length == 0 {
            if !self.take_over(redis).await? {
                return Ok(None);
            }
            length = self.length(redis).await?;
        }
        let values = self.values(redis, most, bytes).await?;
        let label = self.label(redis).await?;
        Ok((length > 0 && !values.is_empty()).then_some(Head { label, length, values }))
    }

    async fn length(&self, redis: &Redis) -> RedisResult<u64> {
        Ok(from_redis_value(redis.command(cmd("LLEN").arg(&self.taken)).await?)?)
    }

    /// Whether there was something to take over.
    async fn take_over(&self, redis: &Redis) -> RedisResult<bool> {
        let kind: String = from_redis_value(redis.command(cmd("TYPE").arg(&self.name)).await?)?;
        match kind.as_str() {
            "none" => return Ok(false),
            "list" => {}
            other => {
                tracing::debug!(key = self.name, kind = other, "not a list; left alone");
                return Ok(false);
            }
        }
        let mut pipeline = Pipeline::new();
        pipeline
            .atomic()
            .cmd("SET")
            .arg(&self.label)
            .arg(fresh_label())
            .cmd("RENAMENX")
            .arg(&self.name)
            .arg(&self.taken)
            .cmd("PERSIST")
            .arg(&self.taken);
        match redis.pipeline::<Value>(&pipeline).await {
            Ok(_) => Ok(true),
            // Expired, or taken by another, since it was seen.
            Err(error) if error.to_string().contains("no such key") => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn label(&self, redis: &Redis) -> RedisResult<String> {
        let mut pipeline = Pipeline::new();
        // Only a Redis that lost it has none.
        pipeline
            .cmd("SET")
            .arg(&self.label)
            .arg(fresh_label())
            .arg("NX")
            .ignore()
            .cmd("GET")
            .arg(&self.label);
        let (label,): (String,) = redis.pipeline(&pipeline).await?;
        Ok(label)
    }

    async fn values(&self, redis: &Redis, most: usize, bytes: usize) -> RedisResult<Vec<Option<Vec<u8>>>> {
        if self.scripts.load(Ordering::Relaxed) {
            let mut script = cmd("EVAL");
            script.arg(HEAD).arg(1).arg(&self.taken).arg(most).arg(bytes).arg(MAX_RECORD_BYTES);
            match redis.command(&script).await {
                Ok(answer) => return into_values(answer),
                Err(error) if is_refused(&error) => {
                    tracing::warn!(%error, "scripts are not allowed: reading {WITHOUT_SCRIPT} records at a time");
                    self.scripts.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        let last = most.min(WITHOUT_SCRIPT) - 1;
        into_values(redis.command(cmd("LRANGE").arg(&self.taken).arg(0).arg(last)).await?)
    }

    /// Cuts the head off so that this many records are left. Repeating it changes nothing.
    pub(super) async fn keep_last(&self, redis: &Redis, left: u64) -> RedisResult<()> {
        if left > 0 {
            let start = format!("-{left}");
            return redis.command(cmd("LTRIM").arg(&self.taken).arg(start).arg(-1)).await.map(|_| ());
        }
        let mut pipeline = Pipeline::new();
        pipeline.atomic().cmd("DEL").arg(&self.taken).cmd("DEL").arg(&self.label);
        redis.pipeline::<Value>(&pipeline).await.map(|_| ())
    }
}

fn fresh_label() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn is_refused(error: &RedisError) -> bool {
    error.code() == Some("NOPERM") || error.to_string().contains("unknown command")
}

fn into_values(answer: Value) -> RedisResult<Vec<Option<Vec<u8>>>> {
    let Value::Array(items) = answer else { return Ok(from_redis_value(answer)?) };
    Ok(items
        .into_iter()
        .map(|item| match item {
            Value::BulkString(bytes) => Some(bytes),
            _ => None,
        })
        .collect())
}
