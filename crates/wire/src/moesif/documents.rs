//! Rules and rates in the words of the original (moesif-api, sections 5 and 6). Every member is always there and none is
//! null: the clients with typed readers need all, and the oldest plugin breaks on null.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use weir_pipeline::Governance;
use weir_pipeline::governance::{Condition, Group, Rule, Subject};

/// The reply of `GET /v1/config`.
#[derive(Serialize)]
struct Config<'a> {
    org_id: &'a str,
    app_id: &'a str,
    sample_rate: u8,
    block_bot_traffic: bool,
    user_sample_rate: &'a BTreeMap<String, u8>,
    company_sample_rate: &'a BTreeMap<String, u8>,
    user_rules: BTreeMap<&'a str, Vec<Membership<'a>>>,
    company_rules: BTreeMap<&'a str, Vec<Membership<'a>>>,
    ip_addresses_blocked_by_name: BTreeMap<&'a str, &'a str>,
    regex_config: Vec<Rate<'a>>,
    billing_config_jsons: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Membership<'a> {
    rules: &'a str,
    values: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Rate<'a> {
    conditions: Vec<Expression<'a>>,
    sample_rate: u8,
}

#[derive(Serialize)]
struct Expression<'a> {
    path: &'a str,
    value: String,
}

/// One of the replies of `GET /v1/rules`.
#[derive(Serialize)]
struct RuleDocument<'a> {
    _id: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    block: bool,
    applied_to: &'static str,
    applied_to_unidentified: bool,
    variables: Vec<Variable<'a>>,
    regex_config: Vec<Alternative<'a>>,
    response: Response<'a>,
    org_id: &'a str,
    app_id: &'a str,
    created_at: String,
}

#[derive(Serialize)]
struct Variable<'a> {
    name: &'a str,
    path: &'a str,
}

#[derive(Serialize)]
struct Alternative<'a> {
    conditions: Vec<Expression<'a>>,
}

#[derive(Serialize)]
struct Response<'a> {
    status: u16,
    headers: &'a BTreeMap<String, String>,
    body: &'a Map<String, Value>,
}

/// What a client understands of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The plugins: expressions are Lua patterns.
    Lua,
    /// The SDKs of Python and Node: rules, but not rates, know the address of the client under another name.
    Sdk,
    /// weir, and whoever is not known.
    Plain,
}

impl Dialect {
    /// The dialect of a client that calls itself so.
    pub(super) fn of(user_agent: &str) -> Self {
        let is = |prefix: &str| {
            let start = user_agent.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        match () {
            () if is("lua-resty-http") || is("kong-plugin-moesif") => Self::Lua,
            // The Python SDK reports under its own name, but asks under that of its HTTP library.
            () if is("moesif") || is("python-requests") => Self::Sdk,
            () => Self::Plain,
        }
    }

    fn expression(self, condition: &Condition) -> Expression<'_> {
        let path = match condition.path.as_str() {
            "request.ip_address" if self == Self::Sdk => "request.ip",
            path => path,
        };
        let value = match self {
            Self::Lua => lua(&condition.pattern).unwrap_or_else(|| condition.pattern.clone()),
            _ => condition.pattern.clone(),
        };
        Expression { path, value }
    }
}

/// As what we speak, and to whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service<'a> {
    pub(super) organisation: &'a str,
    pub(super) application_id: &'a str,
    pub(super) dialect: Dialect,
}

impl<'a> Service<'a> {
    /// The document of rates and memberships.
    pub(super) fn config(self, governance: &Governance) -> String {
        let (mut user_rules, mut company_rules) = (BTreeMap::new(), BTreeMap::new());
        for rule in &governance.rules {
            let (group, by_member) = match &rule.subject {
                Subject::Anyone => continue,
                Subject::Users(group) => (group, &mut user_rules),
                Subject::Companies(group) => (group, &mut company_rules),
            };
            for (id, values) in &group.members {
                let memberships: &mut Vec<Membership<'_>> = by_member.entry(id.as_str()).or_default();
                memberships.push(Membership { rules: &rule.id, values });
            }
        }
        let sampling = &governance.sampling;
        let dialect = if self.dialect == Dialect::Sdk { Dialect::Plain } else { self.dialect };
        let rates = sampling.requests.iter().map(|request| Rate {
            conditions: expressions(&request.when, dialect),
            sample_rate: request.rate,
        });
        written(&Config {
            org_id: self.organisation,
            app_id: self.application_id,
            sample_rate: sampling.rate,
            block_bot_traffic: false,
            user_sample_rate: &sampling.users,
            company_sample_rate: &sampling.companies,
            user_rules,
            company_rules,
            ip_addresses_blocked_by_name: BTreeMap::new(),
            regex_config: rates.collect(),
            billing_config_jsons: BTreeMap::new(),
        })
    }

    /// The document of rules.
    pub(super) fn rules(self, governance: &Governance) -> String {
        written(&governance.rules.iter().map(|rule| self.rule(rule)).collect::<Vec<_>>())
    }

    fn rule<'r>(self, rule: &'r Rule) -> RuleDocument<'r>
    where
        'a: 'r,
    {
        let (kind, group): (_, Option<&Group>) = match &rule.subject {
            Subject::Anyone => ("regex", None),
            Subject::Users(group) => ("user", Some(group)),
            Subject::Companies(group) => ("company", Some(group)),
        };
        let variables = group.into_iter().flat_map(|group| &group.variables);
        let alternative =
            |when: &'r Vec<Condition>| Alternative { conditions: expressions(when, self.dialect) };
        RuleDocument {
            _id: &rule.id,
            name: &rule.name,
            kind,
            block: rule.block,
            applied_to: if group.is_some_and(|group| group.except) { "not_matching" } else { "matching" },
            applied_to_unidentified: group.is_some_and(|group| group.unidentified),
            variables: variables.map(|(name, path)| Variable { name, path }).collect(),
            regex_config: rule.when.iter().map(alternative).collect(),
            response: Response {
                status: rule.answer.status,
                headers: &rule.answer.headers,
                body: &rule.answer.body,
            },
            org_id: self.organisation,
            app_id: self.application_id,
            created_at: rule.created_at.to_string(),
        }
    }
}

fn expressions(conditions: &[Condition], dialect: Dialect) -> Vec<Expression<'_>> {
    conditions.iter().map(|condition| dialect.expression(condition)).collect()
}

fn written(document: &impl Serialize) -> String {
    // Maps with text for keys can always be written.
    serde_json::to_string(document).unwrap_or_default()
}

/// A regular expression as a Lua pattern; `None` when it says more than a Lua pattern can.
fn lua(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = pattern.chars().peekable();
    let mut at_start = true;
    while let Some(character) = characters.next() {
        match character {
            '^' if at_start => out.push('^'),
            '$' if characters.peek().is_none() => out.push('$'),
            '.' => out.push('.'),
            '\\' => match characters.next()? {
                'd' => out.push_str("%d"),
                'D' => out.push_str("%D"),
                's' => out.push_str("%s"),
                'S' => out.push_str("%S"),
                'w' => out.push_str("[%w_]"),
                'W' => out.push_str("[^%w_]"),
                literal if literal.is_ascii_punctuation() => push_literal(literal, &mut out),
                _ => return None,
            },
            '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' | '*' | '+' | '?' => return None,
            literal => push_literal(literal, &mut out),
        }
        at_start = false;
        // A repetition belongs to the one before; lazy ones and those of more than a byte are not the same in Lua.
        if let Some(repetition @ ('*' | '+' | '?')) = characters.peek().copied() {
            if !character.is_ascii() || character == '^' {
                return None;
            }
            characters.next();
            out.push(repetition);
            if matches!(characters.peek(), Some('*' | '+' | '?')) {
                return None;
            }
        }
    }
    Some(out)
}

fn push_literal(literal: char, out: &mut String) {
    if literal.is_ascii_punctuation() {
        out.push('%');
    }
    out.push(literal);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_kit::Timestamp;
    use weir_pipeline::governance::{Answer, RequestRate, Sampling};

    use super::*;

    fn governance() -> Governance {
        let condition = |path: &str, pattern: &str| Condition { path: path.into(), pattern: pattern.into() };
        let rule = |id: &str, subject, when| Rule {
            id: id.into(),
            name: format!("rule {id}"),
            subject,
            when,
            block: true,
            answer: Answer {
                status: 451,
                headers: BTreeMap::from([("X-Why".into(), "{{0}}".into())]),
                body: Map::from_iter([("error".into(), "no".into())]),
            },
            created_at: Timestamp::from_seconds(1_700_000_000),
        };
        let free = BTreeMap::from([("0".to_owned(), "free".to_owned())]);
        let group = Group {
            members: BTreeMap::from([("ann".to_owned(), free)]),
            except: false,
            unidentified: true,
            variables: BTreeMap::from([("0".to_owned(), "metadata.plan".to_owned())]),
        };
        let except = Group { except: true, ..Group::default() };
        Governance {
            tag: "t1".into(),
            sampling: Sampling {
                rate: 50,
                users: BTreeMap::from([("ann".into(), 10)]),
                companies: BTreeMap::new(),
                requests: vec![RequestRate {
                    when: vec![condition("request.ip_address", "^10\\.")],
                    rate: 0,
                }],
            },
            rules: vec![
                rule("r1", Subject::Users(group), Vec::new()),
                rule("r2", Subject::Companies(except), Vec::new()),
                rule("r3", Subject::Anyone, vec![vec![condition("request.route", "/a-b")]]),
            ],
        }
    }

    fn service(dialect: Dialect) -> Service<'static> {
        Service { organisation: "shop", application_id: "app", dialect }
    }

    #[test]
    fn sdks_know_the_address_by_another_name_in_rules() {
        let mut governance = governance();
        governance.rules[2].when[0][0].path = "request.ip_address".into();
        let path = |dialect| {
            let rules = parsed(&service(dialect).rules(&governance));
            rules[2]["regex_config"][0]["conditions"][0]["path"].clone()
        };
        assert_eq!(
            (path(Dialect::Sdk), path(Dialect::Lua)),
            (json!("request.ip"), json!("request.ip_address"))
        );
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_configuration_has_every_member() {
        let config = parsed(&service(Dialect::Sdk).config(&governance()));
        assert_eq!(
            config,
            json!({
                "org_id": "shop", "app_id": "app", "sample_rate": 50, "block_bot_traffic": false,
                "user_sample_rate": {"ann": 10}, "company_sample_rate": {},
                "user_rules": {"ann": [{"rules": "r1", "values": {"0": "free"}}]}, "company_rules": {},
                "ip_addresses_blocked_by_name": {},
                "regex_config": [
                    {"conditions": [{"path": "request.ip_address", "value": "^10\\."}], "sample_rate": 0}
                ],
                "billing_config_jsons": {}
            })
        );
    }

    #[test]
    fn rules_have_every_member() {
        let rules = parsed(&service(Dialect::Lua).rules(&governance()));
        assert_eq!(
            rules[0],
            json!({
                "_id": "r1", "name": "rule r1", "type": "user", "block": true, "applied_to": "matching",
                "applied_to_unidentified": true, "variables": [{"name": "0", "path": "metadata.plan"}],
                "regex_config": [],
                "response": {"status": 451, "headers": {"X-Why": "{{0}}"}, "body": {"error": "no"}},
                "org_id": "shop", "app_id": "app", "created_at": "2023-11-14T22:13:20Z"
            })
        );
        assert_eq!((&rules[1]["type"], &rules[1]["applied_to"]), (&json!("company"), &json!("not_matching")));
        assert_eq!(
            (&rules[2]["type"], &rules[2]["regex_config"]),
            (&json!("regex"), &json!([{"conditions": [{"path": "request.route", "value": "%/a%-b"}]}]))
        );
    }

    #[test]
    fn plain_expressions_become_lua_patterns() {
        for (pattern, expected) in [
            ("/orders-v2", Some("%/orders%-v2")),
            ("^/a\\.b$", Some("^%/a%.b$")),
            ("^/users/\\d+/x?", Some("^%/users%/%d+%/x?")),
            (".*\\w+", Some(".*[%w_]+")),
            ("100%", Some("100%%")),
            ("a|b", None),
            ("(a)", None),
            ("[ab]", None),
            ("a{2}", None),
            ("a+?", None),
            ("\\b", None),
            ("a^", None),
        ] {
            assert_eq!(lua(pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn clients_are_known_by_their_names() {
        for (agent, dialect) in [
            ("lua-resty-http/0.17.2 (Lua) ngx_lua/10026", Dialect::Lua),
            ("kong-plugin-moesif/2.1.2", Dialect::Lua),
            ("moesifwsgi-python/1.10.5", Dialect::Sdk),
            ("python-requests/2.34.2", Dialect::Sdk),
            ("moesif-nodejs/3.11.0", Dialect::Sdk),
            ("weir/0.1", Dialect::Plain),
            ("", Dialect::Plain),
        ] {
            assert_eq!(Dialect::of(agent), dialect, "{agent}");
        }
    }
}
