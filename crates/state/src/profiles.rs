//! What reporters know of users, companies and subscriptions.
//!
//! A file of its own beside the state: profiles come with the traffic, many and often, and must not hold up what people
//! configure.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde_json::{Map, Value};
use weir_kit::Timestamp;

use crate::StateError;
use crate::migrations::run;
use crate::state::{lock, open_reader, prepare};

/// Steps in order, as those of the state.
const STEPS: &[&str] = &["
    CREATE TABLE profile (
        project TEXT NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        company TEXT,
        sessions TEXT NOT NULL,
        properties TEXT NOT NULL,
        words TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        PRIMARY KEY (project, kind, id)
    );
    CREATE INDEX profile_newest ON profile (project, kind, last_seen, id);
    CREATE TABLE tally (project TEXT PRIMARY KEY, profiles INTEGER NOT NULL) WITHOUT ROWID;
"];

/// Longest id, in bytes.
const MAX_ID: usize = 1_024;
/// Most sessions remembered of one profile; the newest stay.
const MAX_SESSIONS: usize = 32;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileLimits {
    /// Most profiles of a project, all kinds together.
    pub profiles: u64,
    /// Most bytes of what is known of one, as JSON.
    pub bytes: usize,
}

impl Default for ProfileLimits {
    fn default() -> Self {
        Self { profiles: 1_000_000, bytes: 64 << 10 }
    }
}

/// News of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileNews {
    /// Its id among its kind.
    pub id: String,
    /// The company it belongs to, when that is said.
    pub company: Option<String>,
    /// Sessions it was seen in, to be added to those known.
    pub sessions: Vec<String>,
    /// What is said of it: objects are merged member by member, anything else replaces, null and `{}` say nothing.
    pub properties: Map<String, Value>,
}

/// What is known of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its id among its kind.
    pub id: String,
    /// The company it belongs to.
    pub company: Option<String>,
    /// Sessions it was seen in, newest last.
    pub sessions: Vec<String>,
    /// What reporters said of it.
    pub properties: Map<String, Value>,
    /// When it was first heard of.
    pub first_seen: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

/// Which profiles are listed, those heard of last first.
#[derive(Debug, Clone, Copy)]
pub struct ProfileListing<'a> {
    /// Text that stands in the id or in any value, without regard to case; empty for all.
    pub text: &'a str,
    /// Only those of this company.
    pub company: Option<&'a str>,
    /// Go on after this one.
    pub after: Option<(Timestamp, &'a str)>,
    /// At most this many.
    pub limit: usize,
}

/// All profiles. Cheap to clone. All calls block; writing waits for the disk once a call, listing by text reads all
/// profiles of a kind.
#[derive(Debug, Clone)]
pub struct Profiles(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` in memory, where readers share the writer's connection.
    file: Option<PathBuf>,
    writer: Mutex<Connection>,
    limits: ProfileLimits,
}

impl Profiles {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StateError::TooNew`], or what the disk says.
    pub fn open(file: &Path, limits: ProfileLimits) -> Result<Self, StateError> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        Self::over(Some(file.to_path_buf()), connection, limits)
    }

    /// Profiles that are gone when dropped: for tests.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn in_memory(limits: ProfileLimits) -> Result<Self, StateError> {
        Self::over(None, Connection::open_in_memory()?, limits)
    }

    fn over(
        file: Option<PathBuf>,
        mut connection: Connection,
        limits: ProfileLimits,
    ) -> Result<Self, StateError> {
        prepare(&connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        run(&transaction, STEPS)?;
        transaction.commit()?;
        Ok(Self(Arc::new(Inner { file, writer: Mutex::new(connection), limits })))
    }

    /// Merges news in order, durable when it returns. News that cannot be kept do not hold up the rest: gives why not, by
    /// index.
    ///
    /// # Errors
    /// Those of the database; nothing was kept then.
    pub fn upsert(
        &self,
        project: &str,
        news: Vec<(&'static str, ProfileNews)>,
        now: Timestamp,
    ) -> Result<Vec<(usize, String)>, StateError> {
        let mut refused = Vec::new();
        let mut connection = lock(&self.0.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writing = Writing::begin(&transaction, project, self.0.limits, now)?;
        for (index, (kind, news)) in news.into_iter().enumerate() {
            if let Err(reason) = writing.merge(kind, news)? {
                refused.push((index, reason));
            }
        }
        writing.end()?;
        transaction.commit()?;
        Ok(refused)
    }

    /// What is known of one.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn get(&self, project: &str, kind: &str, id: &str) -> Result<Option<Profile>, StateError> {
        self.read(|transaction| find(transaction, project, kind, id))
    }

    /// Some of them, those heard of last first.
    ///
    /// # Errors
    /// Those of the database, or [`StateError::Damaged`].
    pub fn list(
        &self,
        project: &str,
        kind: &str,
        listing: &ProfileListing<'_>,
    ) -> Result<Vec<Profile>, StateError> {
        const SQL: &str = "
            SELECT id, company, sessions, properties, first_seen, last_seen FROM profile
            WHERE project = ?1 AND kind = ?2 AND (?3 IS NULL OR company = ?3)
                AND (?4 = '' OR instr(words, ?4) > 0)
                AND (?5 IS NULL OR (last_seen, id) < (?5, ?6))
            ORDER BY last_seen DESC, id DESC LIMIT ?7";
        let (last_seen, id) = listing.after.unzip();
        let last_seen = last_seen.map(Timestamp::micros);
        let limit = i64::try_from(listing.limit).unwrap_or(i64::MAX);
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(SQL)?;
            let text = listing.text.to_lowercase();
            let rows = statement
                .query_map(params![project, kind, listing.company, text, last_seen, id, limit], raw)?;
            rows.map(|row| decode(kind, row?)).collect()
        })
    }

    /// Which of these ids have a profile.
    ///
    /// # Errors
    /// Those of the database.
    pub fn known(&self, project: &str, kind: &str, ids: &[String]) -> Result<HashSet<String>, StateError> {
        let sql = "SELECT 1 FROM profile WHERE project = ?1 AND kind = ?2 AND id = ?3";
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            let mut known = HashSet::new();
            for id in ids {
                if statement.exists(params![project, kind, id])? {
                    known.insert(id.clone());
                }
            }
            Ok(known)
        })
    }

    /// Forgets one; false when there was none.
    ///
    /// # Errors
    /// Those of the database.
    pub fn delete(&self, project: &str, kind: &str, id: &str) -> Result<bool, StateError> {
        let mut connection = lock(&self.0.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "DELETE FROM profile WHERE project = ?1 AND kind = ?2 AND id = ?3";
        let gone = transaction.execute(sql, params![project, kind, id])? > 0;
        if gone {
            transaction.execute("UPDATE tally SET profiles = profiles - 1 WHERE project = ?1", [project])?;
        }
        transaction.commit()?;
        Ok(gone)
    }

    fn read<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StateError>) -> Result<T, StateError> {
        match &self.0.file {
            Some(file) => work(&open_reader(file)?.transaction()?),
            None => work(&lock(&self.0.writer).transaction()?),
        }
    }
}

/// One call of [`Profiles::upsert`].
struct Writing<'a> {
    transaction: &'a Transaction<'a>,
    project: &'a str,
    limits: ProfileLimits,
    now: Timestamp,
    profiles: u64,
}

impl<'a> Writing<'a> {
    fn begin(
        transaction: &'a Transaction<'a>,
        project: &'a str,
        limits: ProfileLimits,
        now: Timestamp,
    ) -> Result<Self, StateError> {
        let sql = "SELECT profiles FROM tally WHERE project = ?1";
        let count: Option<i64> = transaction.query_row(sql, [project], |row| row.get(0)).optional()?;
        let profiles = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        Ok(Self { transaction, project, limits, now, profiles })
    }

    /// Keeps the news, or says why not.
    fn merge(&mut self, kind: &'static str, news: ProfileNews) -> Result<Result<(), String>, StateError> {
        if news.id.is_empty() || news.id.len() > MAX_ID {
            return Ok(Err(format!("an id of {} bytes; 1 to {MAX_ID} are possible", news.id.len())));
        }
        let known = find(self.transaction, self.project, kind, &news.id)?;
        if known.is_none() && self.profiles >= self.limits.profiles {
            return Ok(Err(format!("there are {} profiles already, which is the most", self.profiles)));
        }
        let is_new = known.is_none();
        let mut profile = known.unwrap_or_else(|| Profile {
            id: news.id,
            company: None,
            sessions: Vec::new(),
            properties: Map::new(),
            first_seen: self.now,
            last_seen: self.now,
        });
        profile.last_seen = profile.last_seen.max(self.now);
        profile.company = news.company.or(profile.company);
        add_sessions(&mut profile.sessions, news.sessions);
        merge(&mut profile.properties, news.properties);
        let properties = Value::Object(profile.properties).to_string();
        if properties.len() > self.limits.bytes {
            let (found, most) = (properties.len(), self.limits.bytes);
            return Ok(Err(format!("{} {:?} would have {found} bytes, at most {most}", kind, profile.id)));
        }
        let sql = "INSERT OR REPLACE INTO profile VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        self.transaction.prepare_cached(sql)?.execute(params![
            self.project,
            kind,
            profile.id,
            profile.company,
            Value::from(profile.sessions).to_string(),
            properties,
            words(&profile.id, profile.company.as_deref(), &properties),
            profile.first_seen.micros(),
            profile.last_seen.micros(),
        ])?;
        self.profiles += u64::from(is_new);
        Ok(Ok(()))
    }

    fn end(self) -> Result<(), StateError> {
        let sql = "INSERT OR REPLACE INTO tally VALUES (?1, ?2)";
        let profiles = i64::try_from(self.profiles).unwrap_or(i64::MAX);
        self.transaction.execute(sql, params![self.project, profiles])?;
        Ok(())
    }
}

/// Objects are merged, anything else replaces; null and empty objects say nothing.
fn merge(known: &mut Map<String, Value>, news: Map<String, Value>) {
    for (name, value) in news {
        let Value::Object(news) = value else {
            if !value.is_null() {
                known.insert(name, value);
            }
            continue;
        };
        let mut inside = match known.get_mut(&name) {
            Some(Value::Object(inside)) => std::mem::take(inside),
            _ => Map::new(),
        };
        merge(&mut inside, news);
        if !inside.is_empty() {
            known.insert(name, Value::Object(inside));
        }
    }
}

fn add_sessions(known: &mut Vec<String>, news: Vec<String>) {
    for session in news {
        known.retain(|known| *known != session);
        known.push(session);
    }
    known.drain(..known.len().saturating_sub(MAX_SESSIONS));
}

/// What text is looked for in, in lower case.
fn words(id: &str, company: Option<&str>, properties: &str) -> String {
    format!("{id}\n{}\n{properties}", company.unwrap_or("")).to_lowercase()
}

fn find(
    transaction: &Transaction<'_>,
    project: &str,
    kind: &str,
    id: &str,
) -> Result<Option<Profile>, StateError> {
    let sql = "SELECT id, company, sessions, properties, first_seen, last_seen FROM profile
         WHERE project = ?1 AND kind = ?2 AND id = ?3";
    let row = transaction.prepare_cached(sql)?.query_row(params![project, kind, id], raw).optional()?;
    row.map(|row| decode(kind, row)).transpose()
}

/// A row as it is in the file.
type Raw = (String, Option<String>, String, String, i64, i64);

fn raw(row: &Row<'_>) -> Result<Raw, rusqlite::Error> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn decode(kind: &str, row: Raw) -> Result<Profile, StateError> {
    let (id, company, sessions, properties, first_seen, last_seen) = row;
    let damaged = |error: serde_json::Error| StateError::Damaged {
        collection: kind.to_owned(),
        id: id.clone(),
        cause: error.to_string(),
    };
    Ok(Profile {
        company,
        sessions: serde_json::from_str(&sessions).map_err(damaged)?,
        properties: serde_json::from_str(&properties).map_err(damaged)?,
        first_seen: Timestamp::from_micros(first_seen),
        last_seen: Timestamp::from_micros(last_seen),
        id,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ALL: ProfileListing<'_> = ProfileListing { text: "", company: None, after: None, limit: 100 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn news(id: &str, properties: Value) -> ProfileNews {
        let Value::Object(properties) = properties else { panic!("not an object: {properties}") };
        ProfileNews { id: id.to_owned(), properties, ..ProfileNews::default() }
    }

    fn user(id: &str, properties: Value) -> (&'static str, ProfileNews) {
        ("user", news(id, properties))
    }

    fn ids(profiles: &[Profile]) -> Vec<&str> {
        profiles.iter().map(|profile| profile.id.as_str()).collect()
    }

    #[test]
    fn news_are_merged_member_by_member() {
        let profiles = Profiles::in_memory(ProfileLimits::default()).unwrap();
        let first = json!({"metadata": {"plan": {"name": "free", "seats": 1}, "tags": ["a", "b"]}, "old": 1});
        profiles.upsert("p", vec![user("ann", first)], at(1)).unwrap();
        let second = json!({
            "metadata": {"plan": {"seats": 5}, "tags": ["c"], "email": null}, "campaign": {}, "old": null
        });
        profiles.upsert("p", vec![user("ann", second)], at(5)).unwrap();
        let ann = profiles.get("p", "user", "ann").unwrap().unwrap();
        let expected = json!({"metadata": {"plan": {"name": "free", "seats": 5}, "tags": ["c"]}, "old": 1});
        assert_eq!(Value::Object(ann.properties), expected);
        assert_eq!((ann.first_seen, ann.last_seen), (at(1), at(5)));
        assert_eq!(profiles.get("p", "company", "ann").unwrap(), None);
        assert_eq!(profiles.get("q", "user", "ann").unwrap(), None);
    }

    #[test]
    fn sessions_are_added_and_the_oldest_forgotten() {
        let profiles = Profiles::in_memory(ProfileLimits::default()).unwrap();
        for number in 0..40 {
            let sessions = vec![format!("s{number}"), "always".to_owned()];
            let ann = ProfileNews {
                sessions,
                company: (number == 0).then(|| "c".into()),
                ..news("ann", json!({}))
            };
            profiles.upsert("p", vec![("user", ann)], at(number)).unwrap();
        }
        let ann = profiles.get("p", "user", "ann").unwrap().unwrap();
        assert_eq!((ann.sessions.len(), ann.company.as_deref()), (MAX_SESSIONS, Some("c")));
        assert_eq!(&ann.sessions[30..], ["s39", "always"]);
    }

    #[test]
    fn the_last_heard_of_come_first_page_by_page() {
        let profiles = Profiles::in_memory(ProfileLimits::default()).unwrap();
        for (id, second) in [("a", 1), ("b", 3), ("c", 2), ("d", 3)] {
            profiles
                .upsert("p", vec![user(id, json!({"metadata": {"name": id.repeat(3)}}))], at(second))
                .unwrap();
        }
        profiles.upsert("q", vec![user("z", json!({}))], at(9)).unwrap();
        let list = |listing: ProfileListing<'_>| profiles.list("p", "user", &listing).unwrap();
        assert_eq!(ids(&list(ALL)), ["d", "b", "c", "a"]);
        let first = list(ProfileListing { limit: 2, ..ALL });
        assert_eq!(ids(&first), ["d", "b"]);
        let after = Some((first[1].last_seen, first[1].id.as_str()));
        assert_eq!(ids(&list(ProfileListing { after, ..ALL })), ["c", "a"]);
        assert_eq!(ids(&list(ProfileListing { text: "BBB", ..ALL })), ["b"]);
        assert_eq!(ids(&list(ProfileListing { text: "%", ..ALL })), [""; 0]);
        let mut dee = news("d", json!({}));
        dee.company = Some("acme".to_owned());
        profiles.upsert("p", vec![("user", dee)], at(1)).unwrap();
        assert_eq!(ids(&list(ProfileListing { company: Some("acme"), ..ALL })), ["d"]);
        assert_eq!(ids(&list(ALL)), ["d", "b", "c", "a"], "old news do not make anybody older");
        let known = profiles.known("p", "user", &["a".into(), "nobody".into()]).unwrap();
        assert_eq!(known, HashSet::from(["a".to_owned()]));
    }

    #[test]
    fn limits_hold_and_spare_the_rest() {
        let profiles = Profiles::in_memory(ProfileLimits { profiles: 2, bytes: 100 }).unwrap();
        let large = json!({"note": "x".repeat(100)});
        let all = vec![
            user("a", json!({})),
            user("b", large),
            user("", json!({})),
            user("c", json!({})),
            user("d", json!({})),
            user("a", json!({"again": true})),
        ];
        let refused = profiles.upsert("p", all, at(1)).unwrap();
        let reasons: Vec<(usize, &str)> =
            refused.iter().map(|(index, reason)| (*index, reason.as_str())).collect();
        assert_eq!(
            reasons,
            [
                (1, "user \"b\" would have 111 bytes, at most 100"),
                (2, "an id of 0 bytes; 1 to 1024 are possible"),
                (4, "there are 2 profiles already, which is the most"),
            ]
        );
        assert_eq!(ids(&profiles.list("p", "user", &ALL).unwrap()), ["c", "a"]);
        assert!(profiles.delete("p", "user", "a").unwrap());
        assert!(!profiles.delete("p", "user", "a").unwrap());
        assert_eq!(profiles.upsert("p", vec![user("d", json!({}))], at(1)).unwrap(), []);
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("profiles.db");
        let open = || Profiles::open(&file, ProfileLimits::default()).unwrap();
        open().upsert("p", vec![user("ann", json!({"metadata": {"plan": "gold"}}))], at(1)).unwrap();
        let ann = open().get("p", "user", "ann").unwrap().unwrap();
        assert_eq!(ann.properties["metadata"]["plan"], "gold");
    }
}
