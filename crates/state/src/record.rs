//! One thing people configured.

use serde_json::Value;
use uuid::Uuid;

/// What is to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id, unique in its collection.
    pub id: Uuid,
    /// The thing itself.
    pub body: Value,
    /// Names and values under which no other record of the collection may stand.
    pub unique: Vec<(String, String)>,
    /// Names and values it can be listed by: parents, tags.
    pub index: Vec<(String, String)>,
}

impl Record {
    /// A record that can only be found by its id.
    pub fn new(id: Uuid, body: Value) -> Self {
        Self { id, body, unique: Vec::new(), index: Vec::new() }
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id.
    pub id: Uuid,
    /// Its place in the order of creation, unique in the whole state and never used again.
    pub sequence: i64,
    /// The thing itself.
    pub body: Value,
}

/// Some of the records of a collection, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records.
    pub records: Vec<Stored>,
    /// The sequence to go on after; `None` on the last page.
    pub next: Option<i64>,
}
