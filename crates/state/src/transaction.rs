//! What can be done inside a transaction.

use std::ops::Deref;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use crate::{Page, Record, StateError, Stored};

/// Reads under one consistent view.
#[derive(Debug)]
pub struct Reader<'a> {
    transaction: &'a Transaction<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction }
    }

    /// The record with this id.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn get(&self, collection: &str, id: Uuid) -> Result<Option<Stored>, StateError> {
        self.one(
            "SELECT id, sequence, body FROM record WHERE collection = ?1 AND id = ?2",
            params![collection, id.to_string()],
            collection,
        )
    }

    /// The record that has this unique name.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn find(&self, collection: &str, name: &str, value: &str) -> Result<Option<Stored>, StateError> {
        self.one(
            "SELECT id, r.sequence, body FROM unique_name u JOIN record r ON r.sequence = u.sequence
             WHERE u.collection = ?1 AND u.name = ?2 AND u.value = ?3",
            params![collection, name, value],
            collection,
        )
    }

    /// Records in the order of their creation, from the one after the sequence `after` (0: the first).
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn list(&self, collection: &str, after: i64, size: usize) -> Result<Page, StateError> {
        self.page(
            "SELECT id, sequence, body FROM record WHERE collection = ?1 AND sequence > ?2
             ORDER BY sequence LIMIT ?3",
            params![collection, after, limit(size)],
            collection,
            size,
        )
    }

    /// Like [`Reader::list`], of the records listed under this name and value.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn list_by(
        &self,
        collection: &str,
        (name, value): (&str, &str),
        after: i64,
        size: usize,
    ) -> Result<Page, StateError> {
        self.page(
            "SELECT id, r.sequence, body FROM index_name i JOIN record r ON r.sequence = i.sequence
             WHERE i.collection = ?1 AND i.name = ?2 AND i.value = ?3 AND i.sequence > ?4
             ORDER BY i.sequence LIMIT ?5",
            params![collection, name, value, after, limit(size)],
            collection,
            size,
        )
    }

    /// All records of a collection, oldest first.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn all(&self, collection: &str) -> Result<Vec<Stored>, StateError> {
        Ok(self.list(collection, 0, usize::MAX)?.records)
    }

    /// Sequence and revision of every record of a collection, oldest first. A revision is new with every change and never
    /// used again, not even after a change that was undone.
    ///
    /// # Errors
    /// Those of the database.
    pub fn revisions(&self, collection: &str) -> Result<Vec<(i64, i64)>, StateError> {
        let sql = "SELECT sequence, revision FROM record WHERE collection = ?1 ORDER BY sequence";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let rows = statement.query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The record with this sequence.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn at(&self, collection: &str, sequence: i64) -> Result<Option<Stored>, StateError> {
        self.one(
            "SELECT id, sequence, body FROM record WHERE sequence = ?1 AND collection = ?2",
            params![sequence, collection],
            collection,
        )
    }

    /// How many records a collection has.
    ///
    /// # Errors
    /// Those of the database.
    pub fn count(&self, collection: &str) -> Result<u64, StateError> {
        let sql = "SELECT count(*) FROM record WHERE collection = ?1";
        let count: i64 = self.transaction.prepare_cached(sql)?.query_row([collection], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// A value kept under a name outside the collections.
    ///
    /// # Errors
    /// Those of the database.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StateError> {
        let sql = "SELECT value FROM setting WHERE name = ?1";
        Ok(self.transaction.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?)
    }

    /// Grows with every write.
    ///
    /// # Errors
    /// Those of the database.
    pub fn version(&self) -> Result<u64, StateError> {
        let version: i64 = self.transaction.query_row("SELECT version FROM version", [], |row| row.get(0))?;
        Ok(u64::try_from(version).unwrap_or(0))
    }

    fn one(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        collection: &str,
    ) -> Result<Option<Stored>, StateError> {
        let raw = self.transaction.prepare_cached(sql)?.query_row(parameters, raw).optional()?;
        raw.map(|raw| decode(raw, collection)).transpose()
    }

    fn page(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        collection: &str,
        size: usize,
    ) -> Result<Page, StateError> {
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut records = Vec::new();
        for raw in statement.query_map(parameters, raw)? {
            records.push(decode(raw?, collection)?);
        }
        // One more than asked for was read, to know whether there is more.
        let more = records.len() > size;
        records.truncate(size);
        let next = records.last().map(|last| last.sequence).filter(|_| more);
        Ok(Page { records, next })
    }
}

/// Changes things; undone unless the transaction ends well.
#[derive(Debug)]
pub struct Writer<'a> {
    reader: Reader<'a>,
}

impl<'a> Deref for Writer<'a> {
    type Target = Reader<'a>;
    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { reader: Reader::new(transaction) }
    }

    /// Adds a record, or replaces the one with its id, which keeps its sequence. Returns the sequence.
    ///
    /// # Errors
    /// [`StateError::Taken`] when another record has one of its unique names.
    pub fn put(&self, collection: &str, record: &Record) -> Result<i64, StateError> {
        let sql = "INSERT INTO record (collection, id, body, revision) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (collection, id)
             DO UPDATE SET body = excluded.body, revision = excluded.revision RETURNING sequence";
        // 64 random bits: new even where a change before this one was undone.
        let revision = Uuid::new_v4().as_u64_pair().0.cast_signed();
        let sequence: i64 = self.reader.transaction.prepare_cached(sql)?.query_row(
            params![collection, record.id.to_string(), record.body.to_string(), revision],
            |row| row.get(0),
        )?;
        self.execute("DELETE FROM unique_name WHERE sequence = ?1", [sequence])?;
        self.execute("DELETE FROM index_name WHERE sequence = ?1", [sequence])?;
        for (name, value) in &record.unique {
            let sql = "INSERT INTO unique_name VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            if self.execute(sql, params![collection, name, value, sequence])? == 0 {
                let (collection, name, value) = (collection.to_owned(), name.clone(), value.clone());
                return Err(StateError::Taken { collection, name, value });
            }
        }
        for (name, value) in &record.index {
            let sql = "INSERT INTO index_name VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            self.execute(sql, params![collection, name, value, sequence])?;
        }
        Ok(sequence)
    }

    /// Removes a record; false when there was none.
    ///
    /// # Errors
    /// Those of the database.
    pub fn delete(&self, collection: &str, id: Uuid) -> Result<bool, StateError> {
        let sql = "DELETE FROM record WHERE collection = ?1 AND id = ?2";
        Ok(self.execute(sql, params![collection, id.to_string()])? > 0)
    }

    /// Removes all records of a collection.
    ///
    /// # Errors
    /// Those of the database.
    pub fn clear(&self, collection: &str) -> Result<(), StateError> {
        self.execute("DELETE FROM record WHERE collection = ?1", [collection]).map(|_| ())
    }

    /// Keeps a value under a name outside the collections.
    ///
    /// # Errors
    /// Those of the database.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), StateError> {
        let sql = "INSERT INTO setting VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.execute(sql, [name, value]).map(|_| ())
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<usize, StateError> {
        Ok(self.reader.transaction.prepare_cached(sql)?.execute(parameters)?)
    }
}

/// A row as it is in the file: id, sequence, body.
type Raw = (String, i64, String);

fn raw(row: &Row<'_>) -> Result<Raw, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn decode((id, sequence, body): Raw, collection: &str) -> Result<Stored, StateError> {
    let damaged =
        |cause: String| StateError::Damaged { collection: collection.to_owned(), id: id.clone(), cause };
    Ok(Stored {
        id: id.parse().map_err(|error: uuid::Error| damaged(error.to_string()))?,
        sequence,
        body: serde_json::from_str(&body).map_err(|error| damaged(error.to_string()))?,
    })
}

/// One more than asked for.
fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1)
}
