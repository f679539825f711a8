//! What the service says: rates for sampling and rules for governance (moesif-api, sections 5 and 6). Read leniently: a
//! member that is missing, null or of the wrong kind is empty, and one bad rule takes no others with it.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::parts::lenient::{Number, Text};

/// The reply of `GET /v1/config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServedConfig {
    /// Percentage of all events to send.
    #[serde(deserialize_with = "optional_number")]
    pub sample_rate: Option<f64>,
    /// Percentage by user.
    #[serde(deserialize_with = "rates")]
    pub user_sample_rate: HashMap<String, f64>,
    /// Percentage by company.
    #[serde(deserialize_with = "rates")]
    pub company_sample_rate: HashMap<String, f64>,
    /// Percentage by what a call looks like; the first that matches counts.
    #[serde(deserialize_with = "lenient_list")]
    pub regex_config: Vec<RegexRate>,
    /// The rules whose cohort each user is in.
    #[serde(deserialize_with = "memberships")]
    pub user_rules: HashMap<String, Vec<Membership>>,
    /// The rules whose cohort each company is in.
    #[serde(deserialize_with = "memberships")]
    pub company_rules: HashMap<String, Vec<Membership>>,
}

/// That an entity is in the cohort of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Membership {
    /// The `_id` of the rule.
    #[serde(deserialize_with = "text")]
    pub rules: String,
    /// Values for the variables of the rule's response, by name.
    #[serde(deserialize_with = "texts")]
    pub values: HashMap<String, String>,
}

/// A rate for calls that look alike.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RegexRate {
    /// All of them must hold.
    #[serde(deserialize_with = "lenient_list")]
    pub conditions: Vec<Condition>,
    /// Percentage.
    #[serde(deserialize_with = "optional_number")]
    pub sample_rate: Option<f64>,
}

/// That a part of a call matches an expression.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Which part, such as `request.route`.
    #[serde(deserialize_with = "text")]
    pub path: String,
    /// A regular expression, which may match anywhere in it.
    #[serde(deserialize_with = "text")]
    pub value: String,
}

/// A governance rule, one of the reply of `GET /v1/rules`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its id.
    #[serde(rename = "_id", deserialize_with = "text")]
    pub id: String,
    /// Its name, for people.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Whom it is about.
    #[serde(rename = "type", deserialize_with = "rule_type")]
    pub kind: RuleKind,
    /// Whether the call is answered with `response` and not proxied.
    #[serde(deserialize_with = "flag")]
    pub block: bool,
    /// Whether it is about those in the cohort or those who are not.
    #[serde(deserialize_with = "applied_to")]
    pub applied_to: AppliedTo,
    /// Whether it is about callers that nobody knows.
    #[serde(deserialize_with = "flag")]
    pub applied_to_unidentified: bool,
    /// The variables of `response`; without any it is taken as it is.
    #[serde(deserialize_with = "lenient_list")]
    pub variables: Vec<Variable>,
    /// One of them must hold; none at all holds always.
    #[serde(deserialize_with = "lenient_list")]
    pub regex_config: Vec<RegexRate>,
    /// What is answered.
    #[serde(deserialize_with = "or_default")]
    pub response: Override,
    /// When it was made, as text; orders rules of a kind.
    #[serde(deserialize_with = "text")]
    pub created_at: String,
}

/// Whom a rule is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RuleKind {
    /// Users of a cohort.
    User,
    /// Companies of a cohort.
    Company,
    /// Calls by what they look like.
    Regex,
    /// Something this version does not know; such a rule never applies.
    #[default]
    Unknown,
}

/// Whether a rule is about those in its cohort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AppliedTo {
    /// Those who are.
    #[default]
    Matching,
    /// Those who are not.
    NotMatching,
}

/// A place in a rule's response to fill in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Variable {
    /// The digits in `{{0}}`.
    #[serde(deserialize_with = "text")]
    pub name: String,
    /// Where the service takes the value from.
    #[serde(deserialize_with = "text")]
    pub path: String,
}

/// The answer that a rule gives.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Override {
    /// Status; `None` when it is not one.
    #[serde(deserialize_with = "status")]
    pub status: Option<u16>,
    /// Headers, in order of their names.
    #[serde(deserialize_with = "sorted_texts")]
    pub headers: Vec<(String, String)>,
    /// JSON of any kind.
    pub body: Value,
}

/// Reads the reply of `GET /v1/config`.
pub fn config(json: &[u8]) -> Result<ServedConfig, String> {
    serde_json::from_slice(json).map_err(|error| format!("the configuration is not readable: {error}"))
}

/// Reads the reply of `GET /v1/rules`; what could not be read of it is described beside.
pub fn rules(json: &[u8]) -> Result<(Vec<Rule>, Vec<String>), String> {
    let items: Option<Vec<&RawValue>> =
        serde_json::from_slice(json).map_err(|error| format!("the rules are not readable: {error}"))?;
    let (mut rules, mut bad) = (Vec::new(), Vec::new());
    for (index, item) in items.unwrap_or_default().into_iter().enumerate() {
        match serde_json::from_str::<Rule>(item.get()) {
            Ok(rule) if rule.id.is_empty() => bad.push(format!("rules[{index}] has no _id")),
            Ok(rule) => rules.push(rule),
            Err(error) => bad.push(format!("rules[{index}]: {error}")),
        }
    }
    Ok((rules, bad))
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Text::deserialize(from).map(|text| text.0.into_owned())
}

fn optional_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Number::deserialize(from).map(|number| number.0.filter(|number| number.is_finite()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn status<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u16>, D::Error> {
    let number = optional_number(from)?.filter(|status| (100.0..1_000.0).contains(status));
    Ok(number.map(|status| status as u16))
}

fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Text::deserialize(from).map(|text| text.0 == "true")
}

fn rule_type<'de, D: Deserializer<'de>>(from: D) -> Result<RuleKind, D::Error> {
    Text::deserialize(from).map(|text| match text.0.as_ref() {
        "user" => RuleKind::User,
        "company" => RuleKind::Company,
        "regex" => RuleKind::Regex,
        _ => RuleKind::Unknown,
    })
}

fn applied_to<'de, D: Deserializer<'de>>(from: D) -> Result<AppliedTo, D::Error> {
    Text::deserialize(from)
        .map(|text| if text.0 == "not_matching" { AppliedTo::NotMatching } else { AppliedTo::Matching })
}

/// A list whose encoder may have written `{}` for an empty one.
fn lenient_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    crate::parts::lenient::Many::deserialize(from).map(|many| many.0)
}

/// A map. Encoders that cannot tell an empty map from an empty list write `[]` for it; that and `null` are empty.
struct Map<T>(HashMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
            type Value = Map<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_unit<E: Error>(self) -> Result<Map<T>, E> {
                Ok(Map(HashMap::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Map<T>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Map(HashMap::new()))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Map<T>, A::Error> {
                let mut map = HashMap::new();
                while let Some((name, value)) = members.next_entry()? {
                    map.insert(name, value);
                }
                Ok(Map(map))
            }
        }
        deserializer.deserialize_any(MapVisitor(PhantomData))
    }
}

fn rates<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<String, f64>, D::Error> {
    let rates = Map::<Number>::deserialize(from)?.0;
    let known = |rate: Number| rate.0.filter(|rate| rate.is_finite());
    Ok(rates.into_iter().filter_map(|(name, rate)| Some((name, known(rate)?))).collect())
}

fn texts<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<String, String>, D::Error> {
    let texts = Map::<Value>::deserialize(from)?.0;
    Ok(texts.into_iter().filter_map(|(name, value)| Some((name, plain(value)?))).collect())
}

fn sorted_texts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    let mut texts: Vec<(String, String)> = texts(from)?.into_iter().collect();
    texts.sort();
    Ok(texts)
}

fn plain(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn memberships<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<String, Vec<Membership>>, D::Error> {
    let lists = Map::<Option<Vec<Membership>>>::deserialize(from)?.0;
    Ok(lists.into_iter().map(|(name, list)| (name, list.unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_empty_lists_are_nothing() {
        let empty = ServedConfig::default();
        for json in [
            "{}",
            r#"{"sample_rate":null,"user_sample_rate":null,"regex_config":null,"user_rules":null}"#,
            r#"{"user_sample_rate":[],"regex_config":{},"company_rules":[],"org_id":"o","new":{"a":[1]}}"#,
            r#"{"user_sample_rate":{"u":null},"sample_rate":"all"}"#,
        ] {
            assert_eq!(config(json.as_bytes()).unwrap(), empty, "{json}");
        }
        for json in ["", "null", "<html>", "{\"user_rules\":1}"] {
            let error = config(json.as_bytes()).unwrap_err();
            assert!(error.starts_with("the configuration is not readable"), "{json}: {error}");
        }
    }

    #[test]
    fn a_configuration_is_read() {
        let json = br#"{"sample_rate":"30","user_sample_rate":{"u":7.5},"company_sample_rate":{"c":20},
            "regex_config":[{"conditions":[{"path":"request.route","value":"/a"}],"sample_rate":1}],
            "user_rules":{"u":[{"rules":"r1","values":{"0":"free","1":5}}],"v":null}}"#;
        let config = config(json).unwrap();
        assert_eq!((config.sample_rate, config.user_sample_rate["u"]), (Some(30.0), 7.5));
        assert_eq!(config.company_sample_rate["c"], 20.0);
        assert_eq!(config.regex_config[0].conditions[0].value, "/a");
        let member = &config.user_rules["u"][0];
        assert_eq!(
            (member.rules.as_str(), member.values["0"].as_str(), member.values["1"].as_str()),
            ("r1", "free", "5")
        );
        assert!(config.user_rules["v"].is_empty());
    }

    #[test]
    fn one_bad_rule_takes_no_others_with_it() {
        let json = br#"[{"_id":"a","type":"regex","block":true,"regex_config":null,"variables":{},
             "response":{"status":"451","headers":{"X-B":"2","X-A":1},"body":{"e":1}}},
            {"type":"user"},{"_id":"c","regex_config":"no"},7,{"_id":"d","type":"other","applied_to":"not_matching"}]"#;
        let (rules, bad) = rules(json).unwrap();
        let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!((ids, bad.len()), (vec!["a", "d"], 3), "{bad:?}");
        assert_eq!(
            (rules[0].kind, rules[0].block, rules[0].response.status),
            (RuleKind::Regex, true, Some(451))
        );
        assert_eq!(rules[0].response.headers, [("X-A".into(), "1".into()), ("X-B".into(), "2".into())]);
        assert_eq!((rules[1].kind, rules[1].applied_to), (RuleKind::Unknown, AppliedTo::NotMatching));
        assert_eq!(super::rules(b"null").unwrap().0, []);
        assert!(super::rules(b"{}").is_err());
    }
}
