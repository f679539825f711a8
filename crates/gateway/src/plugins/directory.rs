//! Consumers and their credentials, as plugins look them up.

use std::collections::HashMap;
use std::sync::Arc;

use weir_kit::{Secret, Timestamp};

use super::Authenticated;

/// Consumers and credentials of one configuration.
#[derive(Debug, Default)]
pub struct Directory {
    consumers: Vec<Authenticated>,
    by_name: HashMap<Arc<str>, usize>,
    keys: HashMap<Box<str>, Key>,
}

/// A credential of key-auth.
#[derive(Debug, Clone)]
struct Key {
    id: Arc<str>,
    secret: Arc<Secret>,
    consumer: usize,
    ends_at: Option<Timestamp>,
}

impl Directory {
    /// Adds a consumer, to be found by id and `username`.
    pub fn add_consumer(&mut self, id: Arc<str>, username: Option<Arc<str>>, custom_id: Option<Arc<str>>) {
        let index = self.consumers.len();
        self.by_name.insert(id.clone(), index);
        if let Some(username) = &username {
            self.by_name.entry(username.clone()).or_insert(index);
        }
        self.consumers.push(Authenticated {
            id: Some(id),
            username,
            custom_id,
            credential: None,
            key: None,
            anonymous: false,
        });
    }

    /// Adds a key of a consumer that was added before; false when there is no such consumer.
    pub fn add_key(&mut self, id: Arc<str>, key: &str, consumer: &str, ends_at: Option<Timestamp>) -> bool {
        let Some(&consumer) = self.by_name.get(consumer) else { return false };
        let secret = Arc::new(Secret::new(key));
        self.keys.insert(key.into(), Key { id, secret, consumer, ends_at });
        true
    }

    /// Who shows this key now.
    pub fn by_key(&self, key: &str, now: Timestamp) -> Option<Authenticated> {
        let found = self.keys.get(key)?;
        if found.ends_at.is_some_and(|end| end <= now) {
            return None;
        }
        let consumer = self.consumers.get(found.consumer)?.clone();
        Some(Authenticated {
            credential: Some(found.id.clone()),
            key: Some(found.secret.clone()),
            ..consumer
        })
    }

    /// The consumer to stand for callers that could not be authenticated, by id or `username`.
    pub fn anonymous(&self, name: &str) -> Option<Authenticated> {
        let consumer = self.consumers.get(*self.by_name.get(name)?)?.clone();
        Some(Authenticated { anonymous: true, ..consumer })
    }
}
