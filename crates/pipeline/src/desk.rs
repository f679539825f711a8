//! What receivers may ask for that answer questions beside taking reports.
//!
//! A receiver is pure; whatever it has to know or change beyond its call goes over this desk. The server stands behind it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, ProjectId};

use crate::governance::Governance;
use crate::receiver::Credential;

/// The desk. Nothing here lets one project see another's.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Whose the credential is; `None` when it is not known and unknown ones are refused.
    fn project(&self, credential: &Credential) -> Option<ProjectId>;

    /// The exchanges that match, newest first.
    async fn list(&self, project: &ProjectId, question: &Question<'_>) -> Result<Vec<Exchange>, DeskError>;

    /// One exchange.
    async fn get(&self, project: &ProjectId, id: ExchangeId) -> Result<Option<Exchange>, DeskError>;

    /// Removes the exchanges that match this query text, for ever; gives how many went.
    async fn erase(&self, project: &ProjectId, text: &str) -> Result<u64, DeskError>;

    /// Merges what reporters say of users, companies and subscriptions into what is known of them, in this order and
    /// durably. One that cannot be kept does not hold up the rest: gives why not, by index.
    async fn upsert(
        &self,
        project: &ProjectId,
        updates: Vec<ProfileUpdate>,
    ) -> Result<Vec<(usize, String)>, DeskError>;

    /// The rules and rates that reporters should apply.
    fn governance(&self, project: &ProjectId) -> Arc<Governance>;
}

/// Which exchanges are meant.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// weir's own query text; empty for all.
    pub text: &'a str,
    /// Those that began at this instant or later.
    pub since: Option<Timestamp>,
    /// Those that began before this instant.
    pub before: Option<Timestamp>,
    /// At most this many, the newest; never more than 1,000.
    pub limit: usize,
}

/// What reporters know by an id of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileKind {
    /// Who calls.
    User,
    /// The account that users belong to.
    Company,
    /// What a company has bought.
    Subscription,
}

impl ProfileKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::User, Self::Company, Self::Subscription];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Company => "company",
            Self::Subscription => "subscription",
        }
    }
}

/// News of one user, company or subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileUpdate {
    /// What it is.
    pub kind: ProfileKind,
    /// Its id among its kind; not empty.
    pub id: String,
    /// Id of the company it belongs to, when that is said.
    pub company: Option<String>,
    /// Sessions it was seen in, hashed; added to those known.
    pub sessions: Vec<String>,
    /// What is said of it. Objects are merged member by member, anything else replaces what was there, null says nothing.
    pub properties: Map<String, Value>,
}

/// Why the desk could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// The question makes no sense; says where and why.
    #[error("{0}")]
    Question(String),
    /// Trying again later may help.
    #[error("busy: {0}")]
    Busy(String),
    /// Trouble that the log of the server tells about.
    #[error("{0}")]
    Failed(String),
}
