//! Aggregates: a document for each organisation and bucket.
//!
//! A document remembers the batches that it holds, so a batch that comes again after a lost answer or a crash adds nothing,
//! without transactions, which a single server does not have.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter, QueueSettings};

use super::config::Config;
use super::database::{DUPLICATE_KEY, Database, Making, Trouble, code, expiry, index, of_organisation};
use super::document::expire_at;
use super::update;
use crate::parts::aggregate::{self, AggregateOptions, MINUTE, Rules, aggregate};
use crate::parts::record::{self, Entry, RecordOptions};
use crate::parts::stable_id;

const PREFIX: &str = "z_tyk_analyticz_aggregate_";
const MIXED: &str = "tyk_analytics_aggregates";
/// How often two writers may make the same document at the same time.
const ATTEMPTS: usize = 3;

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    let mut indexes = vec![index(doc! {"timestamp": 1}, None), index(doc! {"orgid": 1}, None)];
    if config.expires() {
        indexes.push(expiry());
    }
    let mut rules = config.aggregate.rules();
    if rules.bucket_seconds > MINUTE {
        rules.bucket_seconds = config.bucket_minutes() * MINUTE;
    }
    let exporter = MongoAggregate {
        database: Database::new(&config)?,
        making: Making { cap: None, indexes: if config.omit_index_creation { Vec::new() } else { indexes } },
        mixed: config.use_mixed_collection,
        heals: config.enable_aggregate_self_healing,
        rules,
        options: config.aggregate,
    };
    Ok(Built { exporter: Box::new(exporter), queue: QueueSettings::default(), capture: Default::default() })
}

struct MongoAggregate {
    database: Database,
    making: Making,
    mixed: bool,
    heals: bool,
    rules: Rules,
    options: AggregateOptions,
}

/// A batch on its way.
struct Work<'a> {
    id: String,
    entries: Vec<Entry<'a>>,
    rejected: BTreeMap<usize, String>,
}

#[async_trait]
impl Exporter for MongoAggregate {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let options = RecordOptions::default();
        let Some(first) = batch.exchanges.first() else { return Ok(Delivered::default()) };
        // A batch that is formed again is of the same calls.
        let ids: Vec<[u8; 16]> = batch.exchanges.iter().map(|exchange| exchange.id.to_bytes()).collect();
        let id = stable_id(first.started_at, &[ids.as_flattened()]).to_string();
        let entries = record::entries(batch.exchanges, &options).collect();
        let mut work = Work { id, entries, rejected: BTreeMap::new() };
        let mut by_organisation: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, entry) in work.entries.iter().enumerate() {
            if aggregate::counts(&entry.record) {
                by_organisation.entry(entry.record.org_id.clone().into_owned()).or_default().push(number);
            }
        }
        for (org_id, numbers) in by_organisation {
            match of_organisation(PREFIX, &org_id) {
                Ok(name) => {
                    self.add(&mut work, &name, &org_id, &numbers).await?;
                    if self.mixed {
                        self.add(&mut work, MIXED, &org_id, &numbers).await?;
                    }
                }
                Err(reason) => work.refuse(&numbers, &reason),
            }
        }
        Ok(Delivered::with_rejected(work.rejected.into_iter().collect()))
    }
}

impl Work<'_> {
    fn refuse(&mut self, numbers: &[usize], reason: &str) {
        self.rejected.extend(numbers.iter().map(|number| (*number, reason.to_owned())));
    }
}

impl MongoAggregate {
    /// Adds calls of one organisation, in narrower buckets where a document is full.
    async fn add(
        &self,
        work: &mut Work<'_>,
        name: &str,
        org_id: &str,
        numbers: &[usize],
    ) -> Result<(), ExportError> {
        let collection = match self.database.collection::<Document>(name, &self.making).await {
            Ok(collection) => collection,
            Err(Trouble::Later(error)) => return Err(error),
            Err(Trouble::Data(reason) | Trouble::TooLarge(reason)) => {
                work.refuse(numbers, &reason);
                return Ok(());
            }
        };
        let mut waiting = vec![(numbers.to_vec(), self.rules.bucket_seconds)];
        while let Some((numbers, width)) = waiting.pop() {
            let rules = Rules { bucket_seconds: width, ..self.rules.clone() };
            for (bucket, numbers) in by_bucket(work, &numbers, &rules) {
                match self.add_to_bucket(work, &collection, org_id, bucket, &numbers, &rules).await {
                    Ok(()) => {}
                    Err(Trouble::Later(error)) => return Err(error),
                    Err(Trouble::TooLarge(_)) if self.heals && width > MINUTE => {
                        waiting.push((numbers, narrower(width)));
                    }
                    Err(Trouble::TooLarge(reason) | Trouble::Data(reason)) => work.refuse(&numbers, &reason),
                }
            }
        }
        Ok(())
    }

    async fn add_to_bucket(
        &self,
        work: &Work<'_>,
        collection: &Collection<Document>,
        org_id: &str,
        bucket: i64,
        numbers: &[usize],
        rules: &Rules,
    ) -> Result<(), Trouble> {
        let entries = || numbers.iter().filter_map(|number| work.entries.get(*number));
        let aggregates = aggregate(entries(), rules);
        self.options.warn_of_tags(&aggregates);
        let expire_at = entries().map(|entry| expire_at(&entry.record)).max().unwrap_or_default();
        let changes = update::changes(bucket, &aggregates, expire_at, &work.id);
        let document = added(collection, org_id, bucket, &changes, &work.id).await?;
        let Some(id) = document.get("_id") else { return Ok(()) };
        let derived = doc! {"$set": update::derived(&document)};
        match collection.update_one(doc! {"_id": id}, derived).await.map_err(Trouble::from) {
            Err(Trouble::Later(error)) => Err(Trouble::Later(error)),
            Err(Trouble::TooLarge(reason) | Trouble::Data(reason)) => {
                // The calls are counted; what follows from the counts is not up to date.
                tracing::warn!(collection = collection.name(), reason, "means and lists were not written");
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }
}

/// A width that divides this one, so that no narrower bucket lies in two of these: 60 minutes, 30, 15, 5, 1.
fn narrower(width: i64) -> i64 {
    let minutes = width / MINUTE;
    (1..=minutes / 2).rev().find(|part| minutes % part == 0).unwrap_or(1) * MINUTE
}

fn by_bucket(work: &Work<'_>, numbers: &[usize], rules: &Rules) -> BTreeMap<i64, Vec<usize>> {
    let mut buckets: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for number in numbers {
        if let Some(entry) = work.entries.get(*number) {
            buckets.entry(aggregate::bucket(&entry.record, rules)).or_default().push(*number);
        }
    }
    buckets
}

/// The document of a bucket after the changes, which are made once for each batch.
async fn added(
    collection: &Collection<Document>,
    org_id: &str,
    bucket: i64,
    changes: &Document,
    batch: &str,
) -> Result<Document, Trouble> {
    let fresh = update::without(bucket, org_id, batch);
    let mut making = changes.clone();
    making.insert("$setOnInsert", doc! {"_id": first_id(org_id, bucket)});
    for _ in 0..ATTEMPTS {
        collection.update_one(fresh.clone(), changes.clone()).await?;
        // Changed just now, or it held the batch already.
        if let Some(document) = collection.find_one(update::selector(bucket, org_id)).await? {
            return Ok(document);
        }
        match collection.update_one(fresh.clone(), making.clone()).upsert(true).await {
            // Another writer made it in between.
            Err(error) if code(&error) == Some(DUPLICATE_KEY) => {}
            made => drop(made?),
        }
    }
    let cause = format!("the document of {org_id} for {bucket} does not stay");
    Err(Trouble::Later(ExportError::Retry { after: None, cause }))
}

/// The same for everybody who makes the document, so that there is one.
fn first_id(org_id: &str, bucket: i64) -> ObjectId {
    let hash = Sha256::digest(format!("{bucket}.{org_id}"));
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&u32::try_from(bucket).unwrap_or(0).to_be_bytes());
    bytes[4..].copy_from_slice(&hash[..8]);
    ObjectId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrower_buckets_lie_within_wider_ones() {
        for (width, expected) in [(60, 30), (30, 15), (15, 5), (5, 1), (7, 1), (45, 15), (2, 1), (1, 1)] {
            assert_eq!(narrower(width * MINUTE), expected * MINUTE, "{width}");
        }
    }
}
