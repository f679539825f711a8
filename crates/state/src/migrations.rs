//! The tables, and how a file written by an older program becomes one of this program.

use rusqlite::{Connection, Transaction};

use crate::StateError;

/// Steps in order; a file's `user_version` is the number of steps it has seen. Steps are never changed, only added.
const STEPS: &[&str] = &[
    "
    CREATE TABLE record (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (collection, id)
    );
    CREATE INDEX record_order ON record (collection, sequence);
    CREATE TABLE unique_name (
        collection TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        sequence INTEGER NOT NULL REFERENCES record (sequence) ON DELETE CASCADE,
        PRIMARY KEY (collection, name, value)
    ) WITHOUT ROWID;
    CREATE INDEX unique_name_record ON unique_name (sequence);
    CREATE TABLE index_name (
        collection TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        sequence INTEGER NOT NULL REFERENCES record (sequence) ON DELETE CASCADE,
        PRIMARY KEY (collection, name, value, sequence)
    ) WITHOUT ROWID;
    CREATE INDEX index_name_record ON index_name (sequence);
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE version (version INTEGER NOT NULL);
    INSERT INTO version VALUES (1);
",
    // Tells readers that keep what they read which records have changed.
    "ALTER TABLE record ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
];

/// Brings the file up to date in one transaction.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StateError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    run(&transaction, STEPS)?;
    transaction.commit()?;
    Ok(())
}

/// Takes the steps that the file has not seen.
pub(crate) fn run(transaction: &Transaction<'_>, steps: &[&str]) -> Result<(), StateError> {
    let seen: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = i64::try_from(steps.len()).unwrap_or(i64::MAX);
    let done = usize::try_from(seen).ok().filter(|_| seen <= known);
    let done = done.ok_or(StateError::TooNew { found: seen, known })?;
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_once_and_newer_files_are_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let transaction = connection.transaction().unwrap();
        let longer: Vec<&str> = STEPS.iter().copied().chain(["CREATE TABLE more (a)"]).collect();
        run(&transaction, &longer).unwrap();
        transaction.commit().unwrap();
        let error = migrate(&mut connection).unwrap_err();
        let (found, known) = (STEPS.len() + 1, STEPS.len());
        let expected =
            format!("the state file was written by a newer program (format {found}, known up to {known})");
        assert_eq!(error.to_string(), expected);
    }
}
