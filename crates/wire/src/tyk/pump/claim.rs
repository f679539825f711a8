//! What is done in Redis: taking a list over, reading its head, cutting it off.
//!
//! Every step may be repeated without harm, since an answer can be lost when its work is done. The keys of one list lie in
//! one slot of a cluster: the name of the list is their hash tag.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, Value, cmd, from_redis_value};

use crate::tyk::connection::Redis;
use crate::tyk::lists::Encoding;
use crate::tyk::record::MAX_RECORD_BYTES;

/// Records read at once where scripts are not allowed, and so bytes cannot be counted before they are sent.
const WITHOUT_SCRIPT: usize = 100;

/// Reads what follows so many records of a list, not more than so many records and bytes: the length from there, the name
/// of the take-over (a fresh one for a Redis that lost it), the sizes of the values, and then the values, in one text, which
/// costs less to take in than a text for each. What is larger than a record may be has size -1 and is not sent. Only the
/// length when it is 0.
const HEAD: &str = "
local skip = tonumber(ARGV[1])
local length = redis.call('LLEN', KEYS[1]) - skip
if length <= 0 then return {0} end
redis.call('SET', KEYS[2], ARGV[5], 'NX')
local most, bytes, largest = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local sizes, values, at, sum = {}, {}, 0, 0
while at < most do
  local part = redis.call('LRANGE', KEYS[1], skip + at, skip + math.min(at + 31, most - 1))
  for _, value in ipairs(part) do
    if #sizes > 0 and sum + #value > bytes then most = 0 break end
    sum = sum + #value
    if #value > largest then
      sizes[#sizes + 1] = -1
    else
      sizes[#sizes + 1] = #value
      values[#values + 1] = value
    end
  end
  if #part == 0 then break end
  at = at + #part
end
return {length, redis.call('GET', KEYS[2]), table.concat(sizes, ' '), table.concat(values)}";

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

/// How much of a list is read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) records: usize,
    /// Unless the first record alone is larger.
    pub(super) bytes: usize,
}

/// The head of a list that was taken over.
#[derive(Debug)]
pub(super) struct Head {
    /// The name of the take-over.
    pub(super) label: String,
    /// Records from the first of the head to the list's end.
    pub(super) length: u64,
    pub(super) values: Values,
}

/// Values in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Values {
    /// `None` for one that is larger than a record may be, and not here.
    sizes: Vec<Option<usize>>,
    bytes: Vec<u8>,
}

impl Values {
    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = self.bytes.as_slice();
        self.sizes.iter().map(move |size| {
            let (value, after) = rest.split_at_checked((*size)?)?;
            rest = after;
            Some(value)
        })
    }

    fn push(&mut self, value: Option<&[u8]>) {
        self.sizes.push(value.map(<[u8]>::len));
        self.bytes.extend_from_slice(value.unwrap_or_default());
    }
}

impl List {
    pub(super) fn new(name: String, encoding: Encoding, prefix: &str, node: &str) -> Self {
        // Below the prefix, so that a user who may touch nothing but `<prefix>*` can still do this.
        let taken = format!("{prefix}weir-pump:{node}:{{{name}}}");
        let label = format!("{taken}:label");
        Self { name, encoding, taken, label, scripts: AtomicBool::new(true) }
    }

    /// The head of what was taken over; takes over what gateways wrote since when nothing is left. `None`: all is empty.
    pub(super) async fn head(&self, redis: &Redis, most: Most) -> RedisResult<Option<Head>> {
        let head = self.read_on(redis, None, 0, most).await?;
        if head.is_none() && self.take_over(redis).await? {
            return self.read_on(redis, None, 0, most).await;
        }
        Ok(head)
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

    /// What follows so many records of what was taken over, when all but the last `keep` of it are cut off first. Repeating it
    /// changes nothing. One question where scripts are allowed.
    pub(super) async fn read_on(
        &self,
        redis: &Redis,
        keep: Option<u64>,
        skip: usize,
        most: Most,
    ) -> RedisResult<Option<Head>> {
        if self.scripts.load(Ordering::Relaxed) {
            let mut pipeline = self.cutting(keep);
            pipeline.cmd("EVAL").arg(HEAD).arg(2).arg(&self.taken).arg(&self.label);
            pipeline.arg(skip).arg(most.records).arg(most.bytes).arg(MAX_RECORD_BYTES).arg(fresh_label());
            match redis.pipeline(&pipeline).await {
                Ok((answer,)) => return answered(answer),
                // Where something was to be cut off, that may be what was refused; the next question tells.
                Err(error) if keep.is_none() && is_refused(&error) => {
                    tracing::warn!(%error, "scripts are not allowed: reading {WITHOUT_SCRIPT} records at a time");
                    self.scripts.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
        let mut pipeline = self.cutting(keep);
        let last = skip + most.records.min(WITHOUT_SCRIPT) - 1;
        pipeline.cmd("LLEN").arg(&self.taken);
        pipeline.cmd("LRANGE").arg(&self.taken).arg(skip).arg(last);
        let (length, read): (u64, Vec<Vec<u8>>) = redis.pipeline(&pipeline).await?;
        let length = length.saturating_sub(skip as u64);
        if length == 0 {
            return Ok(None);
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg(&self.label).arg(fresh_label()).arg("NX").ignore();
        pipeline.cmd("GET").arg(&self.label);
        let (label,): (String,) = redis.pipeline(&pipeline).await?;
        let mut values = Values::default();
        read.iter().for_each(|value| {
            values.push(Some(value.as_slice()).filter(|value| value.len() <= MAX_RECORD_BYTES))
        });
        Ok(Some(Head { label, length, values }))
    }

    /// Cuts the head off so that this many records are left. Repeating it changes nothing.
    pub(super) async fn keep_last(&self, redis: &Redis, left: u64) -> RedisResult<()> {
        if left > 0 {
            return redis.pipeline::<Value>(&self.cutting(Some(left))).await.map(|_| ());
        }
        let mut pipeline = Pipeline::new();
        pipeline.atomic().cmd("DEL").arg(&self.taken).cmd("DEL").arg(&self.label);
        redis.pipeline::<Value>(&pipeline).await.map(|_| ())
    }

    /// A pipeline that begins by cutting off all but the last so many records.
    fn cutting(&self, keep: Option<u64>) -> Pipeline {
        let mut pipeline = Pipeline::new();
        if let Some(keep) = keep {
            pipeline.cmd("LTRIM").arg(&self.taken).arg(format!("-{keep}")).arg(-1).ignore();
        }
        pipeline
    }
}

fn fresh_label() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn is_refused(error: &RedisError) -> bool {
    error.code() == Some("NOPERM") || error.to_string().contains("unknown command")
}

/// What the script answers.
fn answered(answer: Value) -> RedisResult<Option<Head>> {
    if matches!(&answer, Value::Array(parts) if parts.len() == 1) {
        return Ok(None);
    }
    let (length, label, sizes, bytes): (u64, String, String, Vec<u8>) = from_redis_value(answer)?;
    let sizes: Vec<Option<usize>> = sizes.split_ascii_whitespace().map(|size| size.parse().ok()).collect();
    if sizes.is_empty() || sizes.iter().flatten().sum::<usize>() != bytes.len() {
        return Err(RedisError::from((
            ErrorKind::UnexpectedReturnType,
            "sizes that are not those of the values",
        )));
    }
    Ok(Some(Head { label, length, values: Values { sizes, bytes } }))
}
