//! Single calls: one collection for all, or one for each organisation (tyk-pump, section 4.3).

use std::collections::BTreeMap;

use async_trait::async_trait;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::error::{ErrorKind, IndexedWriteError};
use serde_json::Value;
use weir_kit::{ConfigError, kind};
use weir_pipeline::{Batch, Built, Delivered, ExportError, Exporter};

use super::config::Config;
use super::database::{
    DUPLICATE_KEY, Database, Making, Trouble, expiry, index, is_about_data, of_organisation, words,
};
use super::document;
use crate::parts::record::{self, Entry, RecordOptions};
use crate::parts::shortened;

/// What the names of an organisation's collection begin with.
const PREFIX: &str = "z_tyk_analyticz_";
const BROWSER: &str = "logBrowserIndex";

pub(super) fn build(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    let indexes = vec![
        index(doc! {"orgid": 1}, None),
        index(doc! {"apiid": 1}, None),
        index(doc! {"timestamp": -1, "orgid": 1, "apiid": 1, "apikey": 1, "responsecode": 1}, Some(BROWSER)),
    ];
    if config.collection_name.is_empty() {
        return Err(ConfigError::one("collection_name", "is empty"));
    }
    let place = Place::One(config.collection_name.clone());
    built(config, place, indexes)
}

pub(super) fn build_selective(settings: Value) -> Result<Built, ConfigError> {
    let config: Config = kind::read(settings)?;
    let mut indexes = vec![
        index(doc! {"apiid": 1}, None),
        index(doc! {"timestamp": -1, "apiid": 1, "apikey": 1, "responsecode": 1}, Some(BROWSER)),
    ];
    if config.expires() {
        indexes.push(expiry());
    }
    built(config, Place::OfOrganisation, indexes)
}

fn built(config: Config, place: Place, indexes: Vec<mongodb::IndexModel>) -> Result<Built, ConfigError> {
    config.record.check()?;
    let (queue, capture) = (config.queue(), config.record.capture());
    let indexes = if config.omit_index_creation { Vec::new() } else { indexes };
    let exporter = Mongo {
        database: Database::new(&config)?,
        place,
        making: Making { cap: config.cap(), indexes },
        document_bytes: config.document_bytes(),
        batch_bytes: config.batch_bytes(),
        options: config.record,
    };
    Ok(Built { exporter: Box::new(exporter), queue, capture })
}

struct Mongo {
    database: Database,
    place: Place,
    making: Making,
    document_bytes: usize,
    batch_bytes: usize,
    options: RecordOptions,
}

enum Place {
    /// This collection.
    One(String),
    /// The collection of the record's organisation.
    OfOrganisation,
}

impl Place {
    fn of(&self, entry: &Entry<'_>) -> Result<String, String> {
        match self {
            Self::One(name) => Ok(name.clone()),
            Self::OfOrganisation => of_organisation(PREFIX, &entry.record.org_id),
        }
    }
}

/// Documents with their numbers in the batch.
#[derive(Default)]
struct Insert {
    numbers: Vec<usize>,
    documents: Vec<RawDocumentBuf>,
    bytes: usize,
}

#[async_trait]
impl Exporter for Mongo {
    async fn export(&self, batch: &Batch<'_>) -> Result<Delivered, ExportError> {
        let mut rejected = Vec::new();
        for (collection, inserts) in self.plan(batch, &mut rejected) {
            for insert in inserts {
                self.insert(&collection, insert, &mut rejected).await?;
            }
        }
        rejected.sort_unstable();
        Ok(Delivered::with_rejected(rejected))
    }
}

impl Mongo {
    /// What is inserted where, in parts that are not too large.
    fn plan(&self, batch: &Batch<'_>, rejected: &mut Vec<(usize, String)>) -> BTreeMap<String, Vec<Insert>> {
        let mut plan: BTreeMap<String, Vec<Insert>> = BTreeMap::new();
        for (number, entry) in record::entries(batch.exchanges, &self.options).enumerate() {
            let made = self.place.of(&entry).and_then(|collection| {
                document::encoded(&entry, self.document_bytes).map(|document| (collection, document))
            });
            let (collection, document) = match made {
                Ok(made) => made,
                Err(reason) => {
                    rejected.push((number, reason));
                    continue;
                }
            };
            let bytes = document.as_bytes().len();
            let inserts = plan.entry(collection).or_default();
            if inserts.last().is_none_or(|last| last.bytes + bytes > self.batch_bytes) {
                inserts.push(Insert::default());
            }
            if let Some(last) = inserts.last_mut() {
                last.numbers.push(number);
                last.documents.push(document);
                last.bytes += bytes;
            }
        }
        plan
    }

    /// Every document is judged alone, and one that is there already is well.
    async fn insert(
        &self,
        name: &str,
        insert: Insert,
        rejected: &mut Vec<(usize, String)>,
    ) -> Result<(), ExportError> {
        let all = |reason: &str| {
            insert.numbers.iter().map(|number| (*number, reason.to_owned())).collect::<Vec<_>>()
        };
        let collection = match self.database.collection::<RawDocumentBuf>(name, &self.making).await {
            Ok(collection) => collection,
            Err(Trouble::Later(error)) => return Err(error),
            Err(Trouble::Data(reason) | Trouble::TooLarge(reason)) => {
                rejected.extend(all(&reason));
                return Ok(());
            }
        };
        let Err(error) = collection.insert_many(&insert.documents).ordered(false).await else {
            return Ok(());
        };
        let retry = || ExportError::Retry { after: None, cause: words(&error) };
        match &*error.kind {
            ErrorKind::InsertMany(outcome) if outcome.write_concern_error.is_none() => {
                for refused in outcome.write_errors.iter().flatten().filter(|error| !is_there(error)) {
                    let Some(number) = insert.numbers.get(refused.index) else { return Err(retry()) };
                    if !is_about_data(refused.code) && refused.code != DUPLICATE_KEY {
                        return Err(retry());
                    }
                    rejected
                        .push((*number, format!("{}: {}", refused.code, shortened(&refused.message, 200))));
                }
                Ok(())
            }
            _ => match Trouble::from(error.clone()) {
                Trouble::Later(error) => Err(error),
                Trouble::Data(reason) | Trouble::TooLarge(reason) => {
                    rejected.extend(all(&reason));
                    Ok(())
                }
            },
        }
    }
}

/// Whether a document was refused because it was inserted before; other keys may be unique as well.
fn is_there(error: &IndexedWriteError) -> bool {
    let by_id = ["index: _id_", "Failed _id"].iter().any(|words| error.message.contains(words));
    error.code == DUPLICATE_KEY && by_id
}
