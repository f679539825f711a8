//! A client that connects when it is needed, collections that are made when they are new, and what errors mean.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use mongodb::bson::doc;
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, ConnectionString};
use mongodb::{Client, IndexModel};
use tokio::sync::OnceCell;
use weir_kit::ConfigError;
use weir_pipeline::ExportError;

use super::config::Config;
use crate::parts::{shortened, tls};

/// Beyond as many, collections are looked at again.
const MOST_KNOWN: usize = 10_000;
/// A collection of that name is there.
const NAMESPACE_EXISTS: i32 = 48;
/// A document with that key is there.
pub(super) const DUPLICATE_KEY: i32 = 11_000;
/// A document is or would be larger than the server takes.
const TOO_LARGE: &[i32] = &[10_334, 17_419, 17_420];
/// What the server says of data that it will never take: values, types, names, validation, key sizes.
const ABOUT_DATA: &[i32] = &[2, 9, 14, 22, 28, 52, 54, 55, 56, 57, 73, 121, 17_280];

/// Why something was not written.
pub(super) enum Trouble {
    /// The database is away, busy or not ready for us.
    Later(ExportError),
    /// A document cannot grow further.
    TooLarge(String),
    /// It will never be taken.
    Data(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let said = words(&error);
        match code(&error) {
            Some(code) if TOO_LARGE.contains(&code) => Self::TooLarge(said),
            Some(code) if ABOUT_DATA.contains(&code) => Self::Data(said),
            _ => Self::Later(ExportError::Retry { after: None, cause: said }),
        }
    }
}

/// Whether the server will never take what it said this code about.
pub(super) fn is_about_data(code: i32) -> bool {
    ABOUT_DATA.contains(&code) || TOO_LARGE.contains(&code)
}

/// The server's number for an error of one command.
pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

pub(super) fn words(error: &Error) -> String {
    shortened(&error.kind.to_string(), 300)
}

/// What a collection gets when it is made.
#[derive(Debug, Clone, Default)]
pub(super) struct Making {
    /// Bytes of a capped one.
    pub(super) cap: Option<u64>,
    pub(super) indexes: Vec<IndexModel>,
}

/// One database.
pub(super) struct Database {
    connection: ConnectionString,
    name: String,
    client: OnceCell<Client>,
    /// Collections that are known to be there.
    known: Mutex<HashSet<String>>,
}

impl Database {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        tls::settle_provider();
        let (connection, name) = config.connection()?;
        Ok(Self { connection, name, client: OnceCell::new(), known: Mutex::default() })
    }

    /// The database; looks up the servers of an address of the kind `mongodb+srv`.
    async fn open(&self) -> Result<mongodb::Database, Error> {
        let connect = || async {
            let options = ClientOptions::parse(self.connection.clone()).await?;
            Client::with_options(options)
        };
        Ok(self.client.get_or_try_init(connect).await?.database(&self.name))
    }

    /// A collection, made with its indexes if it is not there.
    pub(super) async fn collection<T: Send + Sync>(
        &self,
        name: &str,
        making: &Making,
    ) -> Result<mongodb::Collection<T>, Trouble> {
        let database = self.open().await?;
        if !self.known().contains(name) {
            make(&database, name, making).await?;
            let mut known = self.known();
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(name.to_owned());
        }
        Ok(database.collection(name))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn make(database: &mongodb::Database, name: &str, making: &Making) -> Result<(), Error> {
    let found = database.list_collection_names().filter(doc! {"name": name}).await?;
    if !found.is_empty() {
        return Ok(());
    }
    if let Some(bytes) = making.cap {
        match database.create_collection(name).capped(true).size(bytes).await {
            // Somebody else was quicker.
            Err(error) if code(&error) == Some(NAMESPACE_EXISTS) => {}
            made => made?,
        }
    }
    if !making.indexes.is_empty() {
        let collection = database.collection::<mongodb::bson::Document>(name);
        if let Err(error) = collection.create_indexes(making.indexes.clone()).await {
            // Slower questions are better than no answers.
            tracing::warn!(collection = name, error = words(&error), "indexes were not made");
        }
    }
    Ok(())
}

/// An index on these keys.
pub(super) fn index(keys: mongodb::bson::Document, name: Option<&str>) -> IndexModel {
    let options = mongodb::options::IndexOptions::builder().name(name.map(ToOwned::to_owned)).build();
    IndexModel::builder().keys(keys).options(options).build()
}

/// The index by which documents expire at the time they name.
pub(super) fn expiry() -> IndexModel {
    let options = mongodb::options::IndexOptions::builder().expire_after(std::time::Duration::ZERO).build();
    IndexModel::builder().keys(doc! {"expireAt": 1}).options(options).build()
}

/// The name of a collection that belongs to an organisation, if a collection can have it.
///
/// # Errors
/// What is wrong with the organisation's id.
pub(super) fn of_organisation(prefix: &str, org_id: &str) -> Result<String, String> {
    // A name with its database is 255 bytes at most.
    let fits = !org_id.is_empty() && org_id.len() <= 120 && !org_id.contains(['$', '\0']);
    if fits {
        return Ok(format!("{prefix}{org_id}"));
    }
    Err(format!("no collection can be named after the organisation {:?}", shortened(org_id, 40)))
}
