//! One connection to PostgreSQL, and batches that are written once however often they are sent.
//!
//! Every batch is one transaction. It begins by noting the ids of its calls in the table `weir_delivered`; calls that are
//! noted there already are left out, so a batch that comes again after a lost answer or a crash changes nothing. Notes are
//! forgotten when they are older than [`REMEMBERED`] and weir has run for as long. Statements are never prepared by name, so
//! poolers between here and the server do no harm.

use std::collections::HashSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;
use weir_kit::ConfigError;
use weir_pipeline::{Batch, Delivered, ExportError};

use super::dsn::{self, Dsn};
use crate::parts::http::with_causes;
use crate::parts::record::{self, Entry, RecordOptions};
use crate::parts::tls;

/// How long it is remembered which calls were written.
pub(super) const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

const CREATE_NOTES: &str = "CREATE TABLE IF NOT EXISTS weir_delivered (output text, id uuid, \
    written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (output, id))";
const NOTE: &str = "INSERT INTO weir_delivered (output, id) SELECT $1, unnest($2)::uuid \
    ON CONFLICT DO NOTHING RETURNING id::text";
const FORGET: &str = "DELETE FROM weir_delivered WHERE output = $1 AND written_at < now() - interval '1 day'";

/// What is written of a batch.
#[async_trait]
pub(super) trait Output: Send + Sync {
    /// Name under which calls are noted as written.
    fn name(&self) -> &str;

    /// Writes calls that were not written before.
    async fn write(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
    ) -> Result<(), tokio_postgres::Error>;

    /// Forgets what is known of tables, after a failure.
    fn reset(&self);
}

/// A database with one connection, made when it is needed.
pub(super) struct Database {
    config: Config,
    tls: MakeRustlsConnect,
    client: Mutex<Option<Client>>,
    forgotten_at: std::sync::Mutex<Instant>,
}

/// Why some calls were not written.
enum Trouble {
    /// The database is away, busy or not ready for us.
    Later(ExportError),
    /// One of the calls holds what the table cannot.
    Data(String),
}

impl Database {
    pub(super) fn new(connection_string: &str) -> Result<Self, ConfigError> {
        let Dsn { config, tls } = dsn::read(connection_string)?;
        let tls = MakeRustlsConnect::new((*tls::client(&tls)?).clone());
        Ok(Self {
            config,
            tls,
            client: Mutex::default(),
            forgotten_at: std::sync::Mutex::new(Instant::now()),
        })
    }

    /// Writes a batch. Calls that the database refuses are found by halving the batch, and rejected alone.
    pub(super) async fn deliver(
        &self,
        batch: &Batch<'_>,
        options: &RecordOptions,
        output: &dyn Output,
    ) -> Result<Delivered, ExportError> {
        let entries: Vec<Entry<'_>> = record::entries(batch.exchanges, options).collect();
        let mut slot = self.client.lock().await;
        // Taken, so that a connection is given up when this is: when the time for the attempt is over.
        let mut client = match slot.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        let mut rejected = Vec::new();
        // First and end of the parts that are still to be written, the next one last.
        let mut parts = vec![(0, entries.len())];
        while let Some((first, end)) = parts.pop() {
            let some = entries.get(first..end).unwrap_or_default();
            match write_once(&mut client, some, output).await {
                Ok(()) => {}
                Err(Trouble::Later(error)) => {
                    output.reset();
                    return Err(error);
                }
                Err(Trouble::Data(cause)) if some.len() <= 1 => rejected.push((first, cause)),
                Err(Trouble::Data(_)) => {
                    let middle = first + some.len() / 2;
                    parts.extend([(middle, end), (first, middle)]);
                }
            }
        }
        self.forget(&client, output).await;
        *slot = Some(client);
        Ok(Delivered::with_rejected(rejected))
    }

    async fn connect(&self) -> Result<Client, ExportError> {
        let connected = match self.config.get_ssl_mode() {
            tokio_postgres::config::SslMode::Disable => {
                self.config.connect(NoTls).await.map(|(client, connection)| {
                    tokio::spawn(async move { connection.await.map_err(ended) });
                    client
                })
            }
            _ => self.config.connect(self.tls.clone()).await.map(|(client, connection)| {
                tokio::spawn(async move { connection.await.map_err(ended) });
                client
            }),
        };
        let client = connected.map_err(later)?;
        client.batch_execute("SET client_min_messages = warning").await.map_err(later)?;
        Ok(client)
    }

    /// Deletes old notes, seldom. When that fails it is tried again a day later.
    async fn forget(&self, client: &Client, output: &dyn Output) {
        {
            let mut forgotten_at = self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner);
            if forgotten_at.elapsed() < REMEMBERED {
                return;
            }
            *forgotten_at = Instant::now();
        }
        if let Err(error) = client.query_typed(FORGET, &[(&output.name(), Type::TEXT)]).await {
            tracing::warn!(%error, "old notes of written calls were not deleted");
        }
    }
}

fn ended(error: tokio_postgres::Error) {
    tracing::debug!(%error, "a connection to a database ended");
}

async fn write_once(client: &mut Client, entries: &[Entry<'_>], output: &dyn Output) -> Result<(), Trouble> {
    let written = async {
        let transaction = client.transaction().await?;
        let fresh = note(&transaction, entries, output.name()).await?;
        let kept: Vec<Entry<'_>> =
            entries.iter().filter(|entry| fresh.contains(&entry.id.to_string())).cloned().collect();
        if !kept.is_empty() {
            output.write(&transaction, &kept).await?;
        }
        transaction.commit().await
    };
    written.await.map_err(trouble)
}

/// Notes calls as written and gives the ids of those that were not noted before.
async fn note(
    transaction: &Transaction<'_>,
    entries: &[Entry<'_>],
    output: &str,
) -> Result<HashSet<String>, tokio_postgres::Error> {
    if !exists(transaction, "weir_delivered").await? {
        transaction.batch_execute(CREATE_NOTES).await?;
    }
    let ids: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
    let rows = transaction.query_typed(NOTE, &[(&output, Type::TEXT), (&ids, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Whether there is a table of this name.
pub(super) async fn exists(
    transaction: &Transaction<'_>,
    table: &str,
) -> Result<bool, tokio_postgres::Error> {
    let quoted = format!("\"{table}\"");
    let rows =
        transaction.query_typed("SELECT to_regclass($1) IS NOT NULL", &[(&quoted, Type::TEXT)]).await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// Classes 22 and 23 are about the data: a value out of range, a text too long. Two of 23 are what happens when two
/// writers make the same table at the same time, and pass. All else is about the database.
fn trouble(error: tokio_postgres::Error) -> Trouble {
    let is_data = error.code().is_some_and(|code| {
        let class = code.code().get(..2);
        matches!(class, Some("22" | "23")) && *code != SqlState::UNIQUE_VIOLATION
    });
    if is_data { Trouble::Data(with_causes(&error)) } else { Trouble::Later(later(error)) }
}

fn later(error: tokio_postgres::Error) -> ExportError {
    ExportError::Retry { after: None, cause: with_causes(&error) }
}
