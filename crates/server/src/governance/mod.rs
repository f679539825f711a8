//! Rules and rates that reporters apply, as people write them; kept in the state, published as one snapshot a project.
//!
//! In reading order: [`RuleDocument`], [`SamplingDocument`] (what people write), [`Governed`] (where it is kept), `check`
//! (what is wrong with it).

mod check;
mod documents;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weir_kit::Timestamp;
use weir_model::ProjectId;
use weir_pipeline::Governance;
use weir_state::{Reader, Record, State, StateError};

pub(crate) use check::{rule as check_rule, sampling as check_sampling};
pub(crate) use documents::{Rule, RuleDocument, SamplingDocument};

/// Collections in the state.
const RULES: &str = "governance_rules";
const SAMPLING: &str = "governance_sampling";
/// Name that records of both are listed and found by.
const PROJECT: &str = "project";

/// Most rules of a project: reporters hold and try all of them.
pub(crate) const MAX_RULES: usize = 1_000;

/// What is in force, and where it is kept.
pub(crate) struct Governed {
    state: State,
    /// Of projects that have any; replaced whole with every change.
    published: RwLock<HashMap<ProjectId, Arc<Governance>>>,
    /// In force where nothing is configured.
    nothing: Arc<Governance>,
}

impl Governed {
    /// Reads what is in force.
    pub(crate) fn open(state: State) -> Result<Self, StateError> {
        let nothing = Arc::new(publish(&SamplingDocument::default(), &[]));
        let governed = Self { state, published: RwLock::default(), nothing };
        let projects = governed.state.read(|reader| {
            let records = reader.all(RULES)?.into_iter().chain(reader.all(SAMPLING)?);
            let name = |body: &Value| body.get(PROJECT).and_then(Value::as_str).map(ProjectId::from);
            Ok::<_, StateError>(records.filter_map(|record| name(&record.body)).collect::<Vec<_>>())
        })?;
        for project in projects {
            governed.publish(&project)?;
        }
        Ok(governed)
    }

    /// What is in force for a project at this moment.
    pub(crate) fn current(&self, project: &ProjectId) -> Arc<Governance> {
        let published = self.published.read().unwrap_or_else(PoisonError::into_inner);
        published.get(project).unwrap_or(&self.nothing).clone()
    }

    /// All rules of a project, oldest first.
    pub(crate) fn rules(&self, project: &ProjectId) -> Result<Vec<Rule>, StateError> {
        self.state.read(|reader| rules(reader, project))
    }

    /// Adds a rule; `None` when there are too many.
    pub(crate) fn add(
        &self,
        project: &ProjectId,
        rule: RuleDocument,
        now: Timestamp,
    ) -> Result<Option<Rule>, StateError> {
        let id = Uuid::new_v4();
        let rule = Rule { id: id.to_string(), created_at: now.to_string(), rule };
        let added = self.state.write(|writer| {
            if rules(writer, project)?.len() >= MAX_RULES {
                return Ok(None);
            }
            writer.put(RULES, &record(project, id, &rule))?;
            Ok::<_, StateError>(Some(rule))
        })?;
        self.publish(project)?;
        Ok(added)
    }

    /// Replaces a rule; `None` when there is none of this id.
    pub(crate) fn replace(
        &self,
        project: &ProjectId,
        id: Uuid,
        rule: RuleDocument,
    ) -> Result<Option<Rule>, StateError> {
        let replaced = self.state.write(|writer| {
            let name = id.to_string();
            let known = rules(writer, project)?.into_iter().find(|known| known.id == name);
            let Some(known) = known else { return Ok(None) };
            let rule = Rule { rule, ..known };
            writer.put(RULES, &record(project, id, &rule))?;
            Ok::<_, StateError>(Some(rule))
        })?;
        self.publish(project)?;
        Ok(replaced)
    }

    /// Removes a rule; false when there is none of this id.
    pub(crate) fn remove(&self, project: &ProjectId, id: Uuid) -> Result<bool, StateError> {
        let removed = self.state.write(|writer| {
            let name = id.to_string();
            let known = rules(writer, project)?.iter().any(|known| known.id == name);
            Ok::<_, StateError>(known && writer.delete(RULES, id)?)
        })?;
        self.publish(project)?;
        Ok(removed)
    }

    /// The rates of a project.
    pub(crate) fn sampling(&self, project: &ProjectId) -> Result<SamplingDocument, StateError> {
        self.state.read(|reader| sampling(reader, project))
    }

    /// Replaces the rates of a project.
    pub(crate) fn set_sampling(
        &self,
        project: &ProjectId,
        sampling: &SamplingDocument,
    ) -> Result<(), StateError> {
        self.state.write(|writer| {
            let known = writer.find(SAMPLING, PROJECT, project.as_str())?;
            let body = serde_json::json!({ PROJECT: project.as_str(), "sampling": sampling });
            let mut record = Record::new(known.map_or_else(Uuid::new_v4, |known| known.id), body);
            record.unique.push((PROJECT.to_owned(), project.as_str().to_owned()));
            writer.put(SAMPLING, &record)
        })?;
        self.publish(project)
    }

    /// Reads rules and rates under one view and puts them in force together. The lock is taken first: of two changes at a
    /// time, the later view is the one that stays.
    fn publish(&self, project: &ProjectId) -> Result<(), StateError> {
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.state.read(|reader| {
            Ok::<_, StateError>(publish(&sampling(reader, project)?, &rules(reader, project)?))
        })?;
        published.insert(project.clone(), Arc::new(snapshot));
        Ok(())
    }
}

fn rules(reader: &Reader<'_>, project: &ProjectId) -> Result<Vec<Rule>, StateError> {
    let page = reader.list_by(RULES, (PROJECT, project.as_str()), 0, usize::MAX)?;
    page.records.into_iter().map(|stored| read(RULES, stored.id, "rule", stored.body)).collect()
}

fn sampling(reader: &Reader<'_>, project: &ProjectId) -> Result<SamplingDocument, StateError> {
    match reader.find(SAMPLING, PROJECT, project.as_str())? {
        Some(stored) => read(SAMPLING, stored.id, "sampling", stored.body),
        None => Ok(SamplingDocument::default()),
    }
}

fn read<T: serde::de::DeserializeOwned>(
    collection: &str,
    id: Uuid,
    member: &str,
    mut body: Value,
) -> Result<T, StateError> {
    let value = body.get_mut(member).map(Value::take).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| StateError::Damaged {
        collection: collection.to_owned(),
        id: id.to_string(),
        cause: error.to_string(),
    })
}

fn record(project: &ProjectId, id: Uuid, rule: &Rule) -> Record {
    let body = serde_json::json!({ PROJECT: project.as_str(), "rule": rule });
    let mut record = Record::new(id, body);
    record.index.push((PROJECT.to_owned(), project.as_str().to_owned()));
    record
}

/// The snapshot for reporters. Its tag is a digest of all that is in it.
fn publish(sampling: &SamplingDocument, rules: &[Rule]) -> Governance {
    let text = serde_json::json!([sampling, rules]).to_string();
    let tag = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Governance { tag, sampling: sampling.snapshot(), rules: rules.iter().map(Rule::snapshot).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(name: &str) -> RuleDocument {
        let rule = json!({"name": name, "applies_to": "anyone", "block": true, "answer": {"status": 451}});
        serde_json::from_value(rule).unwrap()
    }

    #[test]
    fn a_change_is_in_force_at_once_and_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.db");
        let (shop, other) = (ProjectId::from("shop"), ProjectId::from("other"));
        let now = Timestamp::from_seconds(1);
        let governed = Governed::open(State::open(&file).unwrap()).unwrap();
        let empty = governed.current(&shop).tag.clone();

        let rule = governed.add(&shop, document("a"), now).unwrap().unwrap();
        let added = governed.current(&shop);
        assert_eq!((added.rules.len(), added.rules[0].answer.status), (1, 451));
        assert_ne!(added.tag, empty);
        assert_eq!(governed.current(&other).tag, empty);

        let sampling = SamplingDocument { rate: 10, ..SamplingDocument::default() };
        governed.set_sampling(&shop, &sampling).unwrap();
        governed.set_sampling(&shop, &sampling).unwrap();
        let sampled = governed.current(&shop);
        assert_eq!(sampled.sampling.rate, 10);
        assert_ne!(sampled.tag, added.tag);

        let id: Uuid = rule.id.parse().unwrap();
        assert_eq!(governed.replace(&other, id, document("b")).unwrap(), None);
        assert!(!governed.remove(&other, id).unwrap());
        let replaced = governed.replace(&shop, id, document("b")).unwrap().unwrap();
        assert_eq!((replaced.id, replaced.created_at), (rule.id, rule.created_at));
        let before = governed.current(&shop);
        drop(governed);

        let governed = Governed::open(State::open(&file).unwrap()).unwrap();
        assert_eq!(governed.current(&shop), before);
        assert!(governed.remove(&shop, id).unwrap());
        governed.set_sampling(&shop, &SamplingDocument::default()).unwrap();
        assert_eq!(
            governed.current(&shop).tag,
            empty,
            "the tag names what is in force, not how it came about"
        );
    }
}
