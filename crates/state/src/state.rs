//! The state file and its transactions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::migrations::migrate;
use crate::transaction::{Reader, Writer};

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another record has this name.
    #[error("{collection}: {name} {value:?} is taken")]
    Taken {
        /// The collection.
        collection: String,
        /// Which name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The file belongs to a later version of the program.
    #[error("the state file was written by a newer program (format {found}, known up to {known})")]
    TooNew {
        /// Format of the file.
        found: i64,
        /// Latest format of this program.
        known: i64,
    },
    /// A record is not JSON, which only somebody else's hand in the file explains.
    #[error("record {id} of {collection} is damaged: {cause}")]
    Damaged {
        /// The collection.
        collection: String,
        /// The record.
        id: String,
        /// What the reader said.
        cause: String,
    },
    /// The embedded database failed: disk full, file gone, locked by another program.
    #[error("state file: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Everything that is configured, in one SQLite file. Cheap to clone. All calls block; none for long.
#[derive(Debug, Clone)]
pub struct State(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` in memory, where readers share the writer's connection.
    file: Option<PathBuf>,
    writer: Mutex<Connection>,
    /// Connections for reading that nobody uses now.
    readers: Mutex<Vec<Connection>>,
}

impl State {
    /// Most idle reading connections kept.
    const MOST_IDLE_READERS: usize = 4;

    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StateError::TooNew`], or what the disk says.
    pub fn open(file: &Path) -> Result<Self, StateError> {
        let mut connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // With a write-ahead log a crash of the program loses nothing, and FULL makes it so for the machine.
        connection.pragma_update(None, "synchronous", "full")?;
        prepare(&connection)?;
        migrate(&mut connection)?;
        Ok(Self::over(Some(file.to_path_buf()), connection))
    }

    /// A state that is gone when dropped: for tests and for a gateway configured by a file.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, StateError> {
        let mut connection = Connection::open_in_memory()?;
        prepare(&connection)?;
        migrate(&mut connection)?;
        Ok(Self::over(None, connection))
    }

    fn over(file: Option<PathBuf>, connection: Connection) -> Self {
        let readers = Mutex::new(Vec::new());
        Self(Arc::new(Inner { file, writer: Mutex::new(connection), readers }))
    }

    /// Reads under one consistent view, beside writers.
    ///
    /// # Errors
    /// Those of `work`, and those of the database.
    pub fn read<T, E: From<StateError>>(
        &self,
        work: impl FnOnce(&Reader<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(file) = &self.0.file else {
            let mut connection = lock(&self.0.writer);
            return read_with(&mut connection, work);
        };
        let idle = lock(&self.0.readers).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => open_reader(file)?,
        };
        let outcome = read_with(&mut connection, work);
        let mut idle = lock(&self.0.readers);
        if idle.len() < Self::MOST_IDLE_READERS {
            idle.push(connection);
        }
        outcome
    }

    /// Changes all or nothing: what `work` did is kept if it returns `Ok`. One writer at a time: `work` must not call this
    /// state again, only the writer it is given.
    ///
    /// # Errors
    /// Those of `work`, and those of the database.
    pub fn write<T, E: From<StateError>>(
        &self,
        work: impl FnOnce(&Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = lock(&self.0.writer);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StateError::from)?;
        // First, so that `work` sees the version that its changes will have.
        transaction.execute("UPDATE version SET version = version + 1", []).map_err(StateError::from)?;
        let done = work(&Writer::new(&transaction))?;
        transaction.commit().map_err(StateError::from)?;
        Ok(done)
    }

    /// Grows with every write, also across restarts.
    ///
    /// # Errors
    /// Those of the database.
    pub fn version(&self) -> Result<u64, StateError> {
        self.read(|reader| reader.version())
    }
}

pub(crate) fn prepare(connection: &Connection) -> Result<(), StateError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

pub(crate) fn open_reader(file: &Path) -> Result<Connection, StateError> {
    let connection = Connection::open(file)?;
    prepare(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn read_with<T, E: From<StateError>>(
    connection: &mut Connection,
    work: impl FnOnce(&Reader<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.transaction().map_err(StateError::from)?;
    work(&Reader::new(&transaction))
}

/// A panic elsewhere leaves the connection usable: its transaction was rolled back when it was dropped.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
