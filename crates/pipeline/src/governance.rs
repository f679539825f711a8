//! What reporters and gateways should do with calls: block some, report only some.
//!
//! Written down once for all protocols; each protocol that can carry it has its own words.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use weir_kit::Timestamp;

/// The rules and rates of one project at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Governance {
    /// Names this state: changes with every change of rules or rates, and only then. Letters and digits.
    pub tag: String,
    /// How much is reported.
    pub sampling: Sampling,
    /// What is done with calls, in the order of creation.
    pub rules: Vec<Rule>,
}

/// How much of the traffic reporters send, in percent. The lowest rate that fits a call counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Of calls that nothing else here fits.
    pub rate: u8,
    /// Of the calls of a user, by id.
    pub users: BTreeMap<String, u8>,
    /// Of the calls of a company, by id.
    pub companies: BTreeMap<String, u8>,
    /// Of calls that look like this; the first that fits counts.
    pub requests: Vec<RequestRate>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { rate: 100, users: BTreeMap::new(), companies: BTreeMap::new(), requests: Vec::new() }
    }
}

/// The rate of calls that look alike.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRate {
    /// All of them hold.
    pub when: Vec<Condition>,
    /// Percent.
    pub rate: u8,
}

/// What a call looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// A part of the call: `request.verb`, `request.route`, `request.ip_address`, ...
    pub path: String,
    /// A regular expression that is found in it, anywhere.
    pub pattern: String,
}

/// What is done with some calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose calls it is about.
    pub subject: Subject,
    /// Fits calls for which all conditions of one of these alternatives hold; no alternatives: every call.
    pub when: Vec<Vec<Condition>>,
    /// Whether the call is answered in place of the upstream. Otherwise headers are only added to its answer.
    pub block: bool,
    /// The answer, or what is added to it.
    pub answer: Answer,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Whose calls a rule is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Everybody's.
    Anyone,
    /// Those of users.
    Users(Group),
    /// Those of companies.
    Companies(Group),
}

/// Some users or companies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// Their ids, each with the texts that take the place of `{{name}}` in the answer.
    pub members: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether the rule is about everybody else instead.
    pub except: bool,
    /// Whether the rule is about callers that nobody knows, too.
    pub unidentified: bool,
    /// Where the texts of `{{name}}` come from, by name; for people.
    pub variables: BTreeMap<String, String>,
}

/// An answer of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body, sent as JSON.
    pub body: Map<String, Value>,
}
