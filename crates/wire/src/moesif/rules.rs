//! Governance rules: which calls they are about, and what is answered or added (moesif-plugin, section 10).
//!
//! Made once of what the service says, and asked on every call. A rule that cannot be understood is left out, so that in
//! doubt a call passes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use regex::{Regex, RegexBuilder};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::remote::Served;
use super::served::{AppliedTo, Condition, Membership, RegexRate, Rule, RuleKind, ServedConfig};
use super::template::{Body, Header, Values};

/// Most conditions of all rules together; what goes beyond is left out.
const MAX_CONDITIONS: usize = 5_000;

/// Memory for one compiled expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 256 * 1024;

/// The rules in force.
#[derive(Debug, Default)]
pub struct Rules {
    /// In the order in which they are asked.
    rules: Vec<Compiled>,
    /// Who is in which cohort.
    config: Option<Arc<ServedConfig>>,
    reads_bodies: bool,
    reads_addresses: bool,
    /// What could not be understood, for people.
    pub problems: Vec<String>,
}

/// A call, as rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Method.
    pub verb: &'a str,
    /// Path without query.
    pub route: &'a str,
    /// The client's address; only looked at when [`Rules::reads_addresses`].
    pub address: Option<IpAddr>,
    /// Headers of the request.
    pub headers: &'a HeaderMap,
    /// Members of a JSON body; only looked at when [`Rules::reads_bodies`].
    pub body: Option<&'a Members<'a>>,
    /// The user.
    pub user: Option<&'a str>,
    /// The company.
    pub company: Option<&'a str>,
}

/// Members of a JSON object, unread.
pub type Members<'a> = HashMap<String, &'a RawValue>;

/// What rules make of a call.
#[derive(Debug, Default, PartialEq)]
pub struct Judgement {
    /// The answer in place of the service's.
    pub block: Option<Block>,
    /// Headers of the answer, whoever gives it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// That a rule answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// `_id` of the rule.
    pub rule: Arc<str>,
    /// Status.
    pub status: StatusCode,
    /// JSON.
    pub body: Bytes,
}

#[derive(Debug)]
struct Compiled {
    id: Arc<str>,
    class: Class,
    applied_to: AppliedTo,
    /// One of them must hold; none at all holds always.
    when: Vec<Vec<(Part, Regex)>>,
    /// Status and body, when the call is blocked.
    block: Option<(StatusCode, Body)>,
    headers: Vec<(HeaderName, Header)>,
}

/// Whom a rule is about; in the order in which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    User,
    UserOrNobody,
    Company,
    CompanyOrNobody,
    Anybody,
}

/// A part of a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Verb,
    Route,
    Address,
    Body(String),
    Header(HeaderName),
    /// Something this version does not know: the condition does not hold.
    Unknown,
}

impl Rules {
    /// The rules of what the service says.
    pub fn of(served: &Served) -> Self {
        let mut made = Self::default();
        let mut rules: Vec<&Rule> = served.rules.iter().collect();
        rules.sort_by(|a, b| (&a.created_at, &a.id).cmp(&(&b.created_at, &b.id)));
        let mut room = MAX_CONDITIONS;
        for rule in rules {
            match Compiled::of(rule, &mut room) {
                Ok(rule) => made.rules.push(rule),
                Err(problem) => made.problems.push(format!("rule {:?}: {problem}", rule.id)),
            }
        }
        // Stable: within a class the order of creation stays.
        made.rules.sort_by_key(|rule| rule.class);
        let reads = |wanted: fn(&Part) -> bool| made.rules.iter().any(|rule| rule.reads(wanted));
        made.reads_bodies = reads(|part| matches!(part, Part::Body(_)));
        made.reads_addresses = reads(|part| matches!(part, Part::Address));
        made.config.clone_from(&served.config);
        made
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule looks at bodies.
    pub fn reads_bodies(&self) -> bool {
        self.reads_bodies
    }

    /// Whether a rule looks at the client's address.
    pub fn reads_addresses(&self) -> bool {
        self.reads_addresses
    }

    /// What is to be done with a call: the first rule that blocks answers; headers of all rules that match are set, an
    /// earlier rule's before a later one's.
    pub fn judge(&self, call: &Asked<'_>) -> Judgement {
        let mut judgement = Judgement::default();
        let config = self.config.as_deref();
        let user = call.user.map(|id| cohorts(config.map(|config| &config.user_rules), id));
        let company = call.company.map(|id| cohorts(config.map(|config| &config.company_rules), id));
        for rule in &self.rules {
            let Some(values) = rule.concerns(user, company) else { continue };
            if rule.holds(call) {
                rule.apply(values, &mut judgement);
            }
        }
        judgement
    }
}

impl Compiled {
    fn of(rule: &Rule, room: &mut usize) -> Result<Self, String> {
        let class = match (rule.kind, rule.applied_to_unidentified) {
            (RuleKind::User, false) => Class::User,
            (RuleKind::User, true) => Class::UserOrNobody,
            (RuleKind::Company, false) => Class::Company,
            (RuleKind::Company, true) => Class::CompanyOrNobody,
            (RuleKind::Regex, _) => Class::Anybody,
            (RuleKind::Unknown, _) => return Err("is of an unknown type".to_owned()),
        };
        let wanted = rule.regex_config.iter().map(|entry| entry.conditions.len()).sum();
        *room = room.checked_sub(wanted).ok_or("there are too many conditions")?;
        let variables: Vec<String> = rule.variables.iter().map(|variable| variable.name.clone()).collect();
        Ok(Self {
            id: rule.id.as_str().into(),
            class,
            applied_to: rule.applied_to,
            when: rule.regex_config.iter().map(conditions).collect::<Result<_, _>>()?,
            block: if rule.block { Some(block(rule, &variables)?) } else { None },
            headers: headers(rule, &variables)?,
        })
    }

    fn reads(&self, wanted: fn(&Part) -> bool) -> bool {
        self.when.iter().flatten().any(|(part, _)| wanted(part))
    }

    /// Whether it is about this caller, whose cohorts are given when he is known; with the values for its templates.
    fn concerns<'a>(
        &self,
        user: Option<&'a [Membership]>,
        company: Option<&'a [Membership]>,
    ) -> Option<Values<'a>> {
        let (entity, nobody) = match self.class {
            Class::Anybody => return Some(None),
            Class::User => (user, false),
            Class::UserOrNobody => (user, true),
            Class::Company => (company, false),
            Class::CompanyOrNobody => (company, true),
        };
        let Some(cohorts) = entity else { return nobody.then_some(None) };
        let member = cohorts.iter().find(|cohort| *cohort.rules == *self.id);
        match self.applied_to {
            AppliedTo::Matching => member.map(|member| Some(&member.values)),
            AppliedTo::NotMatching => member.is_none().then_some(None),
        }
    }

    fn holds(&self, call: &Asked<'_>) -> bool {
        self.when.is_empty()
            || self.when.iter().any(|all| all.iter().all(|(part, regex)| part.matches(call, regex)))
    }

    fn apply(&self, values: Values<'_>, judgement: &mut Judgement) {
        if judgement.block.is_none()
            && let Some((status, body)) = &self.block
        {
            judgement.block = Some(Block { rule: self.id.clone(), status: *status, body: body.with(values) });
        }
        for (name, value) in &self.headers {
            if judgement.headers.iter().all(|(known, _)| known != name)
                && let Some(value) = value.with(values)
            {
                judgement.headers.push((name.clone(), value));
            }
        }
    }
}

impl Part {
    fn named(path: &str) -> Self {
        if let Some(key) = path.strip_prefix("request.body.") {
            return Self::Body(key.to_owned());
        }
        if let Some(name) = path.strip_prefix("request.headers.") {
            return name.parse().map_or(Self::Unknown, Self::Header);
        }
        match path {
            "request.verb" => Self::Verb,
            "request.route" => Self::Route,
            "request.ip_address" | "request.ip" => Self::Address,
            _ => Self::Unknown,
        }
    }

    fn matches(&self, call: &Asked<'_>, regex: &Regex) -> bool {
        let text = match self {
            Self::Verb => Some(call.verb.into()),
            Self::Route => Some(if call.route.is_empty() { "/" } else { call.route }.into()),
            Self::Address => call.address.map(|address| address.to_string().into()),
            Self::Header(name) => {
                call.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
            }
            Self::Body(key) => call.body.and_then(|body| body.get(key)).and_then(text_of),
            Self::Unknown => None,
        };
        text.is_some_and(|text| regex.is_match(&text))
    }
}

/// A text as it is meant, anything else as it is written; `null` is nothing.
fn text_of<'a>(value: &&'a RawValue) -> Option<Cow<'a, str>> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str::<String>(text).ok().map(Cow::Owned),
        other => Some(other.into()),
    }
}

/// Of two conditions on the same part the last counts, as in the original.
fn conditions(entry: &RegexRate) -> Result<Vec<(Part, Regex)>, String> {
    let mut by_part: Vec<(Part, Regex)> = Vec::new();
    for Condition { path, value } in &entry.conditions {
        let (part, regex) = (Part::named(path), expression(value)?);
        match by_part.iter_mut().find(|(known, _)| *known == part && part != Part::Unknown) {
            Some(slot) => slot.1 = regex,
            None => by_part.push((part, regex)),
        }
    }
    Ok(by_part)
}

fn expression(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(MAX_EXPRESSION_BYTES)
        .dfa_size_limit(MAX_EXPRESSION_BYTES)
        .build()
        .map_err(|error| {
            format!(
                "cannot use the expression {:?}: {}",
                crate::parts::shortened(text, 100),
                last_line(&error)
            )
        })
}

/// The parser's errors draw a picture above their message.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn block(rule: &Rule, variables: &[String]) -> Result<(StatusCode, Body), String> {
    let status = rule.response.status.ok_or("has no status to answer with")?;
    // An interim answer, or one to an upgrade, would leave the client waiting.
    let status = StatusCode::from_u16(status).ok().filter(|status| status.as_u16() >= 200);
    let status = status.ok_or("cannot answer with that status")?;
    let body = match &rule.response.body {
        Value::Null => Value::Object(Map::new()),
        body => body.clone(),
    };
    Ok((status, Body::new(body, variables)))
}

fn headers(rule: &Rule, variables: &[String]) -> Result<Vec<(HeaderName, Header)>, String> {
    let header = |(name, value): &(String, String)| {
        let parsed = name.parse::<HeaderName>().ok();
        let made = parsed.and_then(|parsed| Some((parsed, Header::new(value, variables)?)));
        made.ok_or_else(|| format!("cannot set the header {name:?}"))
    };
    rule.response.headers.iter().map(header).collect()
}

/// The rules whose cohort somebody is in.
fn cohorts<'a>(of: Option<&'a HashMap<String, Vec<Membership>>>, id: &str) -> &'a [Membership] {
    of.and_then(|of| of.get(id)).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
