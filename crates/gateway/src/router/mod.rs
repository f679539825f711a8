//! Finds the route of a call by Kong's traditional rules (`kong-admin-api`, section 13).
//!
//! All order is decided when the router is built: every route becomes [`rule::Rule`]s, sorted so that the first that matches
//! is the right one. A look-up walks only the rules that the call's host and the beginnings of its path select, and
//! allocates nothing unless host or path are not in their normal form.

mod path;
mod rule;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use serde_json::json;

pub use path::normalise;
use rule::{HostKind, PathTest, Rule};
pub use rule::{Tier, expression, header_expression};

use crate::answer::Answer;
use crate::snapshot::{Match, RequestHead, Router};

/// What a route asks of a call.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Index of the route in the snapshot.
    pub route: usize,
    /// Its group.
    pub tier: Tier,
    /// Hosts.
    pub hosts: Vec<String>,
    /// Prefixes and expressions.
    pub paths: Vec<String>,
    /// Whether only paths that begin with `~` are expressions.
    pub strict_paths: bool,
    /// Whether prefixes match whole segments only.
    pub whole_segments: bool,
    /// Methods.
    pub methods: Vec<String>,
    /// Values by header name.
    pub headers: Vec<(String, Vec<String>)>,
    /// Server names of TLS.
    pub snis: Vec<String>,
    /// Rank among expressions.
    pub regex_priority: i64,
    /// When it was created, and its place among those of the same moment.
    pub created: (i64, i64),
}

/// What a call is told that no route matches, in the words of the generation that was configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoMatch {
    /// Kong 1 and later, and gateways without APIs.
    #[default]
    Route,
    /// Kong 0.13 and 0.14: routes and APIs.
    RouteAndApi,
    /// Kong 0.10 to 0.12.
    Api,
    /// Kong 0.2 to 0.9.
    OldApi,
}

/// Routes, ready to be looked up.
#[derive(Debug, Default)]
pub struct KongRouter {
    rules: Vec<Rule>,
    /// Rules with plain hosts only, by host.
    by_host: HashMap<Box<str>, PathIndex>,
    /// All others.
    any_host: PathIndex,
    /// Whether `X-Host-Override` counts.
    has_old_hosts: bool,
    no_match: NoMatch,
}

/// Rules by the beginning of the path. Lists hold indexes of rules, ascending.
#[derive(Debug, Default)]
struct PathIndex {
    /// Lengths of prefixes that occur.
    lengths: Vec<usize>,
    prefixes: HashMap<Box<str>, Vec<usize>>,
    /// Rules without a path, or with expressions.
    rest: Vec<usize>,
}

/// The best rule found so far: its index and how much of the path it matched.
type Best = Option<(usize, Option<usize>)>;

impl PathIndex {
    fn add(&mut self, rule: &Rule, index: usize) {
        match &rule.path {
            Some(PathTest::Prefix(prefix) | PathTest::Segments(prefix)) => {
                self.prefixes.entry(prefix.clone()).or_default().push(index);
                if let Err(place) = self.lengths.binary_search(&prefix.len()) {
                    self.lengths.insert(place, prefix.len());
                }
            }
            Some(PathTest::Expressions(_)) | None => self.rest.push(index),
        }
    }

    /// Improves on `best` with the rules of this index that `test` accepts.
    fn search(&self, path: &str, best: &mut Best, test: &impl Fn(usize) -> Option<Option<usize>>) {
        for &length in self.lengths.iter().take_while(|length| **length <= path.len()) {
            if let Some(list) = path.get(..length).and_then(|prefix| self.prefixes.get(prefix)) {
                first(list, best, test);
            }
        }
        first(&self.rest, best, test);
    }
}

fn first(list: &[usize], best: &mut Best, test: &impl Fn(usize) -> Option<Option<usize>>) {
    for &index in list {
        if best.is_some_and(|(found, _)| found <= index) {
            return;
        }
        if let Some(prefix) = test(index) {
            *best = Some((index, prefix));
            return;
        }
    }
}

impl KongRouter {
    /// A router over these routes.
    ///
    /// # Errors
    /// An expression, method or header name that cannot be compiled.
    pub fn new(routes: &[Conditions], no_match: NoMatch) -> Result<Self, String> {
        let mut ranked = Vec::new();
        for conditions in routes {
            ranked.extend(Rule::of(conditions)?);
        }
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut router = Self { no_match, ..Self::default() };
        router.rules = ranked.into_iter().map(|(_, rule)| rule).collect();
        router.has_old_hosts = router.rules.iter().any(|rule| rule.tier == Tier::OldApiHost);
        for (index, rule) in router.rules.iter().enumerate() {
            match plain_hosts(rule) {
                Some(hosts) => {
                    for host in hosts {
                        router.by_host.entry(host.into()).or_default().add(rule, index);
                    }
                }
                None => router.any_host.add(rule, index),
            }
        }
        Ok(router)
    }

    fn best(&self, head: &RequestHead<'_>, host: &str, path: &str, tier: Option<Tier>) -> Best {
        let test = |index: usize| {
            let rule = self.rules.get(index)?;
            if tier.is_some_and(|tier| tier != rule.tier) {
                return None;
            }
            rule.matches(head, host, path)
        };
        let mut best = None;
        if let Some(index) = self.by_host.get(host) {
            index.search(path, &mut best, &test);
        }
        self.any_host.search(path, &mut best, &test);
        best
    }

    /// For APIs with old names, `X-Host-Override` may name the host when `Host` names none of them.
    fn by_override(&self, head: &RequestHead<'_>, path: &str) -> Best {
        let value = head.headers.get("x-host-override").map(HeaderValue::to_str)?.ok()?;
        let host = value.rsplit_once(':').map_or(value, |(host, _)| host);
        self.best(head, &lower_case(host), path, Some(Tier::OldApiHost))
    }
}

fn plain_hosts(rule: &Rule) -> Option<Vec<&str>> {
    if rule.hosts.is_empty() {
        return None;
    }
    let plain = rule.hosts.iter().map(|host| match &host.kind {
        HostKind::Plain(name) => Some(&**name),
        _ => None,
    });
    let mut names = plain.collect::<Option<Vec<&str>>>()?;
    // One name with two ports is one entry.
    names.sort_unstable();
    names.dedup();
    Some(names)
}

fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

impl Router for Arc<KongRouter> {
    fn find<'a>(&self, head: &RequestHead<'a>) -> Option<Match<'a>> {
        (**self).find(head)
    }

    fn no_match(&self, head: &RequestHead<'_>) -> Answer {
        (**self).no_match(head)
    }
}

impl Router for KongRouter {
    fn find<'a>(&self, head: &RequestHead<'a>) -> Option<Match<'a>> {
        let path = normalise(head.path);
        let mut best = self.best(head, &lower_case(head.host), &path, None);
        let tier =
            best.and_then(|(index, _)| self.rules.get(index)).map_or(Tier::OldApiPath, |rule| rule.tier);
        if self.has_old_hosts && tier == Tier::OldApiPath {
            best = self.by_override(head, &path).or(best);
        }
        let (index, prefix) = best?;
        Some(Match { route: self.rules.get(index)?.route, path, prefix })
    }

    fn no_match(&self, head: &RequestHead<'_>) -> Answer {
        let not_found = |message| Answer::message(StatusCode::NOT_FOUND, message);
        match self.no_match {
            NoMatch::Route => not_found("no Route matched with those values"),
            NoMatch::RouteAndApi => not_found("no route and no API found with those values"),
            NoMatch::Api => not_found("no API found with those values"),
            NoMatch::OldApi => {
                let message = "API not found with these values";
                let mut answer = not_found(message);
                let body =
                    json!({"message": message, "request_host": [head.host], "request_path": head.path});
                answer.body = body.to_string().into();
                answer
            }
        }
    }
}
