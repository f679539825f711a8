//! Learns, off the hot path, which positions of a service's paths hold values that do not look like values: user names,
//! slugs, words.
//!
//! A position is merged when it has shown more than [`LearnerLimits::distinct`] names and most visits still show a new one,
//! when it has shown twice as many and new ones keep coming, or eight times as many in any case. Methods of an API are many
//! too, but they come again. Names that carry a tenth of the position's traffic or more (`/users/me` beside `/users/<name>`)
//! stay. The same exchanges in the same order always teach the same templates.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::Exchange;

use super::template::{Branch, MAX_SEGMENTS, NAME, Templates, scope, segments, written};

/// What a [`Learner`] may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerLimits {
    /// Different names below one parent before they may be taken for values.
    pub distinct: usize,
    /// Positions kept per service.
    pub positions: usize,
    /// Services, over all projects.
    pub services: usize,
}

impl Default for LearnerLimits {
    fn default() -> Self {
        Self { distinct: 50, positions: 20_000, services: 1_000 }
    }
}

/// Watches paths and hands out [`Templates`].
#[derive(Debug, Default)]
pub struct Learner {
    limits: LearnerLimits,
    /// Where each service stands in `services`, by project and name.
    projects: BTreeMap<Arc<str>, BTreeMap<Box<str>, usize>>,
    services: Vec<Service>,
    changed: bool,
}

#[derive(Debug, Default)]
struct Service {
    root: Position,
    positions: usize,
}

#[derive(Debug, Default)]
struct Position {
    visits: u64,
    merged_but: Option<BTreeSet<Box<str>>>,
    children: BTreeMap<Box<str>, Position>,
}

impl Learner {
    /// A learner that knows nothing yet.
    pub fn new(limits: LearnerLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Learns from one exchange. Only answers that show the path to exist teach anything: scanners would otherwise fill
    /// the tree with names that mean nothing.
    pub fn observe(&mut self, exchange: &Exchange) {
        if !matches!(exchange.status(), Some(101..=399 | 409 | 422)) {
            return;
        }
        let limits = self.limits;
        let Some(service) = self.service(&exchange.project.0, scope(exchange)) else { return };
        let merged = service.observe(&exchange.request.path, limits);
        self.changed |= merged;
    }

    /// A new snapshot, when anything has been learned since the last one.
    pub fn take_templates(&mut self) -> Option<Arc<Templates>> {
        std::mem::take(&mut self.changed).then(|| Arc::new(self.templates()))
    }

    /// The snapshot of what is known now.
    pub fn templates(&self) -> Templates {
        let mut templates = Templates::default();
        for (project, services) in &self.projects {
            for (name, at) in services {
                if let Some(branch) = self.services[*at].root.branch() {
                    templates.projects.entry(project.clone()).or_default().insert(name.clone(), branch);
                }
            }
        }
        templates
    }

    /// Learns what an earlier learner knew, from [`Templates::to_text`]; gives the number of lines that could not be used.
    pub fn restore(&mut self, text: &str) -> usize {
        let most = self.limits.positions;
        let mut unusable = 0;
        for line in text.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let [project, service, path, kept] = parts[..] else {
                unusable += 1;
                continue;
            };
            let place = self.service(&project.into(), service);
            unusable += usize::from(!place.is_some_and(|service| service.restore(path, kept, most)));
        }
        self.changed = true;
        unusable
    }

    /// What is known of a service; `None` for a new one when there are too many.
    fn service(&mut self, project: &Arc<str>, name: &str) -> Option<&mut Service> {
        let known = self.projects.get(project).and_then(|services| services.get(name)).copied();
        if known.is_none() && self.services.len() >= self.limits.services {
            return None;
        }
        let at = known.unwrap_or_else(|| {
            self.services.push(Service::default());
            let at = self.services.len() - 1;
            self.projects.entry(project.clone()).or_default().insert(name.into(), at);
            at
        });
        self.services.get_mut(at)
    }
}

impl Service {
    /// Merges the position at `path` but for the names that stay; tells whether there was room.
    fn restore(&mut self, path: &str, kept: &str, most: usize) -> bool {
        let mut position = &mut self.root;
        for segment in segments(path).take(MAX_SEGMENTS) {
            if !position.children.contains_key(segment) {
                if self.positions >= most {
                    return false;
                }
                self.positions += 1;
            }
            position = position.children.entry(segment.into()).or_default();
        }
        position.merged_but = Some(kept.split('/').filter(|name| !name.is_empty()).map(Into::into).collect());
        true
    }

    /// Walks the path and counts; tells whether a position was merged.
    fn observe(&mut self, path: &str, limits: LearnerLimits) -> bool {
        let mut merged = false;
        let mut position = &mut self.root;
        position.visits += 1;
        for segment in segments(path).take(MAX_SEGMENTS) {
            let mut key = position.key(segment);
            if !position.children.contains_key(key.as_ref()) {
                if self.positions >= limits.positions {
                    break;
                }
                self.positions += 1;
                position.children.insert(key.as_ref().into(), Position::default());
                if position.holds_values(limits.distinct) {
                    self.positions -= position.merge();
                    merged = true;
                    key = position.key(segment);
                }
            }
            let Some(child) = position.children.get_mut(key.as_ref()) else { break };
            child.visits += 1;
            position = child;
        }
        merged
    }
}

impl Position {
    fn key<'s>(&self, segment: &'s str) -> Cow<'s, str> {
        written(segment, |name| self.merged_but.as_ref().is_some_and(|kept| !kept.contains(name)))
    }

    fn holds_values(&self, distinct: usize) -> bool {
        if self.merged_but.is_some() || self.children.len() <= distinct {
            return false;
        }
        let names = || self.children.iter().filter(|(name, _)| !name.starts_with('{'));
        let count = names().count();
        // The share of visits to names seen once estimates how likely the next visit shows a new one (Good–Turing).
        let (seen_once, visits) = names().fold((0, 0), |(once, visits), (_, child)| {
            (once + u64::from(child.visits <= 1), visits + child.visits)
        });
        match count {
            _ if count > distinct * 8 => true,
            _ if count > distinct * 2 => seen_once * 10 >= visits,
            _ => count > distinct && seen_once * 5 >= visits * 2,
        }
    }

    /// Folds all names but the dominant ones into one position; gives how many positions that freed.
    fn merge(&mut self) -> usize {
        let before = self.size();
        let children = std::mem::take(&mut self.children);
        let mut kept = BTreeSet::new();
        let mut values = Position::default();
        for (name, child) in children {
            if name.starts_with('{') {
                self.children.insert(name, child);
            } else if child.visits >= 5 && child.visits * 10 >= self.visits {
                kept.insert(name.clone());
                self.children.insert(name, child);
            } else {
                values.absorb(child);
            }
        }
        self.merged_but = Some(kept);
        self.children.insert(NAME.into(), values);
        before - self.size()
    }

    fn absorb(&mut self, other: Position) {
        self.visits += other.visits;
        if let Some(kept) = other.merged_but {
            self.merged_but.get_or_insert_default().extend(kept);
        }
        for (name, child) in other.children {
            self.children.entry(name).or_default().absorb(child);
        }
    }

    /// Positions below this one.
    fn size(&self) -> usize {
        self.children.values().map(|child| 1 + child.size()).sum()
    }

    /// What the snapshot needs of it: nothing, unless something here or below was merged.
    fn branch(&self) -> Option<Branch> {
        let children: BTreeMap<Box<str>, Branch> = self
            .children
            .iter()
            .filter_map(|(name, child)| child.branch().map(|branch| (name.clone(), branch)))
            .collect();
        let empty = children.is_empty() && self.merged_but.is_none();
        (!empty).then(|| Branch { merged_but: self.merged_but.clone(), children })
    }
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;
    use weir_model::{CompactString, ExchangeId, Request, Response};

    use super::*;

    fn exchange(path: &str, status: u16) -> Exchange {
        let request = Request { path: path.into(), host: "shop.test:8000".into(), ..Request::default() };
        let start = Timestamp::default();
        let mut exchange = Exchange::new(ExchangeId::with_random(start, [0; 16]), start, request);
        exchange.response = Some(Response { status, ..Response::default() });
        exchange
    }

    fn learner(distinct: usize) -> Learner {
        Learner::new(LearnerLimits { distinct, positions: 1_000, services: 2 })
    }

    fn template(learner: &Learner, path: &str) -> CompactString {
        learner.templates().template(&exchange(path, 200))
    }

    #[test]
    fn names_that_keep_coming_are_values_and_dominant_ones_stay() {
        let mut learner = learner(10);
        assert!(learner.take_templates().is_none());
        for index in 0..40 {
            learner.observe(&exchange(&format!("/users/{}/orders", word(index)), 200));
            learner.observe(&exchange("/users/me/orders", 200));
        }
        assert!(learner.take_templates().is_some());
        assert!(learner.take_templates().is_none());
        assert_eq!(template(&learner, "/users/somebody/orders"), "/users/{name}/orders");
        assert_eq!(template(&learner, "/users/me/orders"), "/users/me/orders");
        assert_eq!(template(&learner, "/users/42/orders"), "/users/{id}/orders");
        assert_eq!(learner.templates().merged_positions(), 1);
    }

    #[test]
    fn what_was_learned_survives_as_text() {
        let mut before = learner(10);
        for index in 0..40 {
            before.observe(&exchange(&format!("/users/{}/orders", word(index)), 200));
            before.observe(&exchange("/users/me/orders", 200));
        }
        let text = before.templates().to_text();
        assert_eq!(text, "default\tshop.test\t/users\tme\n");
        let mut after = learner(10);
        assert_eq!(after.restore(&text), 0);
        assert_eq!(after.take_templates().unwrap().to_text(), text);
        assert_eq!(template(&after, "/users/somebody/orders"), "/users/{name}/orders");
        assert_eq!(template(&after, "/users/me/orders"), "/users/me/orders");
        after.observe(&exchange("/users/somebody/orders", 200));
        assert_eq!(after.templates().to_text(), text);
        assert_eq!(after.restore("nonsense\n\n"), 2);
    }

    #[test]
    fn many_methods_that_come_again_are_no_values() {
        let mut learner = learner(10);
        for round in 0..400 {
            learner.observe(&exchange(&format!("/api/{}", word(round % 9)), 200));
        }
        for index in 9..30 {
            for _ in 0..20 {
                learner.observe(&exchange(&format!("/api/{}", word(index)), 200));
            }
        }
        assert_eq!(template(&learner, "/api/anything"), "/api/anything");
    }

    #[test]
    fn what_was_not_found_teaches_nothing() {
        let mut learner = learner(10);
        for index in 0..100 {
            learner.observe(&exchange(&format!("/{}", word(index)), 404));
        }
        assert!(learner.take_templates().is_none());
        assert!(learner.projects.is_empty());
    }

    #[test]
    fn values_below_values_are_merged_too() {
        let mut learner = learner(5);
        for outer in 0..60 {
            for inner in 0..20 {
                learner.observe(&exchange(&format!("/shops/{}/items/{}", word(outer), word(inner)), 200));
            }
        }
        assert_eq!(template(&learner, "/shops/a/items/b"), "/shops/{name}/items/{name}");
    }

    #[test]
    fn memory_is_bounded() {
        let mut learner = learner(1_000_000);
        for index in 0..5_000 {
            learner.observe(&exchange(&format!("/{}/{}", word(index), word(index + 1)), 200));
        }
        let service = &learner.services[learner.projects["default"]["shop.test"]];
        assert_eq!(service.root.size(), 1_000);
        assert_eq!(service.positions, 1_000);
    }

    #[test]
    fn services_are_bounded_and_apart() {
        let mut learner = learner(5);
        for service in ["a", "b", "c"] {
            for index in 0..20 {
                let mut seen = exchange(&format!("/{}", word(index)), 200);
                seen.service = Some(service.into());
                learner.observe(&seen);
            }
        }
        assert_eq!(learner.templates().merged_positions(), 2);
        assert_eq!(template(&learner, "/unknown-host"), "/unknown-host");
    }

    /// A word without digits, different for each index.
    fn word(index: usize) -> String {
        let letter = |value: usize| char::from(b'a' + u8::try_from(value % 26).unwrap());
        [letter(index / 676), letter(index / 26), letter(index), 'x'].iter().collect()
    }
}
