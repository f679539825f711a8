//! Rules and rates as JSON, in the API and in the state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weir_kit::Timestamp;
use weir_pipeline::governance::{self, Answer, Condition, Group, RequestRate, Sampling, Subject};

/// What reporters that can act on calls do with some of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleDraft)]
pub(crate) struct RuleDocument {
    /// What people call it.
    pub(super) name: String,
    /// Whose calls it is about.
    pub(super) applies_to: AppliesTo,
    /// Users or companies by id, each with the texts that take the place of `{{n}}` in the answer, by `n`.
    #[serde(default)]
    pub(super) members: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether it is about everybody who is not a member instead.
    #[serde(default)]
    pub(super) except: bool,
    /// Whether it is about callers that nobody knows, too.
    #[serde(default)]
    pub(super) unidentified: bool,
    /// Where the texts for `{{n}}` come from, by `n`, such as `{"0": "metadata.plan"}`; for people.
    #[serde(default)]
    pub(super) variables: BTreeMap<String, String>,
    /// Alternatives: it fits calls for which all conditions of one of them hold; with none, every call.
    #[serde(default)]
    pub(super) when: Vec<Vec<ConditionDocument>>,
    /// Whether the call is answered in place of the service; otherwise headers are added to the service's answer.
    pub(super) block: bool,
    /// The answer, or the headers that are added.
    pub(super) answer: AnswerDocument,
}

/// Whose calls a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AppliesTo {
    /// Everybody's.
    Anyone,
    /// Those of users.
    Users,
    /// Those of companies.
    Companies,
}

/// What a call looks like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Condition)]
pub(crate) struct ConditionDocument {
    /// `request.verb`, `request.route`, `request.ip_address`, `request.body.<key>`, `request.headers.<name>`; for rates also
    /// `response.status`.
    pub(super) path: String,
    /// A regular expression that is found in the value, anywhere.
    pub(super) pattern: String,
}

/// An answer in place of the service's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleAnswer)]
pub(crate) struct AnswerDocument {
    /// 200 to 599.
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Sent as JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(super) body: Map<String, Value>,
}

fn ok() -> u16 {
    200
}

/// A rule that is in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rule {
    /// Exchanges that it blocked carry it as `moesif.blocked_by`.
    pub(super) id: String,
    #[schema(format = DateTime)]
    pub(super) created_at: String,
    #[serde(flatten)]
    pub(super) rule: RuleDocument,
}

/// How much reporters that can sample send of the traffic, in percent; the lowest rate that fits a call counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Sampling)]
pub(crate) struct SamplingDocument {
    /// Of calls that nothing else here fits.
    #[serde(default = "all")]
    #[schema(maximum = 100)]
    pub(super) rate: u8,
    /// Of the calls of a user, by id.
    #[serde(default)]
    pub(super) users: BTreeMap<String, u8>,
    /// Of the calls of a company, by id.
    #[serde(default)]
    pub(super) companies: BTreeMap<String, u8>,
    /// Of calls that look alike; the first that fits counts.
    #[serde(default)]
    pub(super) requests: Vec<RequestRateDocument>,
}

fn all() -> u8 {
    100
}

impl Default for SamplingDocument {
    fn default() -> Self {
        Self { rate: all(), users: BTreeMap::new(), companies: BTreeMap::new(), requests: Vec::new() }
    }
}

/// The rate of calls that look alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestRate)]
pub(crate) struct RequestRateDocument {
    /// All of them hold.
    pub(super) when: Vec<ConditionDocument>,
    /// Percent.
    #[schema(maximum = 100)]
    pub(super) rate: u8,
}

impl Rule {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The rule as reporters get it.
    pub(super) fn snapshot(&self) -> governance::Rule {
        let rule = &self.rule;
        let group = || Group {
            members: rule.members.clone(),
            except: rule.except,
            unidentified: rule.unidentified,
            variables: rule.variables.clone(),
        };
        governance::Rule {
            id: self.id.clone(),
            name: rule.name.clone(),
            subject: match rule.applies_to {
                AppliesTo::Anyone => Subject::Anyone,
                AppliesTo::Users => Subject::Users(group()),
                AppliesTo::Companies => Subject::Companies(group()),
            },
            when: rule.when.iter().map(|alternative| conditions(alternative)).collect(),
            block: rule.block,
            answer: Answer {
                status: rule.answer.status,
                headers: rule.answer.headers.clone(),
                body: rule.answer.body.clone(),
            },
            created_at: self.created_at.parse().unwrap_or(Timestamp::MIN),
        }
    }
}

impl SamplingDocument {
    /// The rates as reporters get them.
    pub(super) fn snapshot(&self) -> Sampling {
        let request =
            |rate: &RequestRateDocument| RequestRate { when: conditions(&rate.when), rate: rate.rate };
        Sampling {
            rate: self.rate,
            users: self.users.clone(),
            companies: self.companies.clone(),
            requests: self.requests.iter().map(request).collect(),
        }
    }
}

fn conditions(documents: &[ConditionDocument]) -> Vec<Condition> {
    let condition = |document: &ConditionDocument| Condition {
        path: document.path.clone(),
        pattern: document.pattern.clone(),
    };
    documents.iter().map(condition).collect()
}
