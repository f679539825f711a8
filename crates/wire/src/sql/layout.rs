//! The tables as Tyk's have them, and statements that write whatever columns a table has.
//!
//! Rows travel as one JSON text. The server turns each member into the type that its column has, so tables that Tyk Pump
//! made, of whatever age, are written as they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Transaction};

use super::database::exists;

/// A column: its name and its type in a table that is made here.
pub(super) type Column = (&'static str, &'static str);

/// A table, or one for each day, of one layout.
pub(super) struct Layout {
    /// Name of the table, or what the names of all begin with.
    pub(super) table: &'static str,
    /// Columns of a table that is made here.
    pub(super) columns: &'static [Column],
    /// What else follows the columns, such as a primary key; begins with a comma.
    pub(super) constraints: &'static str,
    /// Statements for a new table; `{table}` stands for its name.
    pub(super) indexes: &'static [&'static str],
}

/// Tables that are known to be there, with those columns of the layout that they have.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Vec<&'static str>>>);

impl Known {
    /// Looks again next time: a table may be gone or another.
    pub(super) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The columns of a table, which is made if it is not there.
    pub(super) async fn columns(
        &self,
        transaction: &Transaction<'_>,
        layout: &Layout,
        table: &str,
        with_indexes: bool,
    ) -> Result<Vec<&'static str>, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(table).cloned();
        if let Some(columns) = known {
            return Ok(columns);
        }
        if !exists(transaction, table).await? {
            create(transaction, layout, table, with_indexes).await?;
            // Not remembered: the transaction may yet fail, and the table with it.
            return Ok(layout.columns.iter().map(|(name, _)| *name).collect());
        }
        let columns = found(transaction, layout, table).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_owned(), columns.clone());
        Ok(columns)
    }
}

async fn create(
    transaction: &Transaction<'_>,
    layout: &Layout,
    table: &str,
    with_indexes: bool,
) -> Result<(), Error> {
    let columns: Vec<String> =
        layout.columns.iter().map(|(name, kind)| format!("\"{name}\" {kind}")).collect();
    let (columns, constraints) = (columns.join(", "), layout.constraints);
    transaction
        .batch_execute(&format!("CREATE TABLE IF NOT EXISTS \"{table}\" ({columns}{constraints})"))
        .await?;
    for index in layout.indexes.iter().filter(|_| with_indexes) {
        transaction.batch_execute(&index.replace("{table}", table)).await?;
    }
    Ok(())
}

async fn found(
    transaction: &Transaction<'_>,
    layout: &Layout,
    table: &str,
) -> Result<Vec<&'static str>, Error> {
    let quoted = format!("\"{table}\"");
    let sql = "SELECT attname::text FROM pg_attribute \
        WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";
    let rows = transaction.query_typed(sql, &[(&quoted, Type::TEXT)]).await?;
    let names: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let is_there = |name: &&str| names.iter().any(|found| found == name);
    Ok(layout.columns.iter().map(|(name, _)| *name).filter(is_there).collect())
}

/// `INSERT INTO table AS old (…) SELECT … FROM json_populate_recordset(…)`, for rows as JSON text in `$1`.
pub(super) fn insert(table: &str, columns: &[&str]) -> String {
    let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let names = names.join(", ");
    format!(
        "INSERT INTO \"{table}\" AS old ({names}) \
         SELECT {names} FROM json_populate_recordset(NULL::\"{table}\", $1::text::json)"
    )
}

/// Rows by table: the table itself, or the one of each row's day.
pub(super) fn by_table(
    layout: &Layout,
    sharded: bool,
    rows: impl Iterator<Item = (String, Value)>,
) -> BTreeMap<String, Vec<Value>> {
    let mut tables: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (day, mut row) in rows {
        without_zeros(&mut row);
        let table = if sharded { format!("{}_{day}", layout.table) } else { layout.table.to_owned() };
        tables.entry(table).or_default().push(row);
    }
    tables
}

/// PostgreSQL cannot store the character zero.
fn without_zeros(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{FFFD}"),
        Value::Array(items) => items.iter_mut().for_each(without_zeros),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains('\0')) {
                let old = std::mem::take(members);
                members.extend(old.into_iter().map(|(name, value)| (name.replace('\0', "\u{FFFD}"), value)));
            }
            members.values_mut().for_each(without_zeros);
        }
        _ => {}
    }
}
