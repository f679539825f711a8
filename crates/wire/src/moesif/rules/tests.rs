//! Section 10, line by line.

use serde_json::json;

use super::*;
use crate::moesif::served;

/// Rules and cohorts as the service words them.
fn rules(rules: Value, config: Value) -> Rules {
    let (list, bad) = served::rules(rules.to_string().as_bytes()).unwrap();
    assert!(bad.is_empty(), "{bad:?}");
    let config = served::config(config.to_string().as_bytes()).unwrap();
    Rules::of(&Served { config: Some(Arc::new(config)), rules: Arc::new(list), ..Served::default() })
}

/// A rule that blocks with 451 and its own id in a header.
fn rule(id: &str, kind: &str, more: Value) -> Value {
    let mut rule = json!({
        "_id": id, "name": id, "type": kind, "block": true, "applied_to": "matching", "applied_to_unidentified": false,
        "variables": [], "regex_config": [], "created_at": "2024-01-01T00:00:00.000Z",
        "response": {"status": 451, "headers": {}, "body": {"by": id}}
    });
    for (name, value) in more.as_object().unwrap() {
        rule[name] = value.clone();
    }
    rule
}

/// A rule that adds headers.
fn adds(id: &str, kind: &str, headers: Value, more: Value) -> Value {
    let mut rule = rule(id, kind, more);
    rule["block"] = false.into();
    rule["response"]["headers"] = headers;
    rule
}

fn when(conditions: &[(&str, &str)]) -> Value {
    let all: Vec<Value> =
        conditions.iter().map(|(path, value)| json!({"path": path, "value": value})).collect();
    json!({"regex_config": [{"conditions": all}]})
}

fn cohorts(of: &[(&str, &[&str])]) -> Value {
    let list = |rules: &[&str]| rules.iter().map(|rule| json!({"rules": rule})).collect::<Vec<_>>();
    of.iter().map(|(id, rules)| ((*id).to_owned(), Value::from(list(rules)))).collect::<Map<_, _>>().into()
}

fn call<'a>(headers: &'a HeaderMap, user: Option<&'a str>, company: Option<&'a str>) -> Asked<'a> {
    Asked { verb: "GET", route: "/items/1", address: None, headers, body: None, user, company }
}

/// Which rule blocks; `-` for none.
fn blocker(rules: &Rules, user: Option<&str>, company: Option<&str>) -> String {
    let judgement = rules.judge(&call(&HeaderMap::new(), user, company));
    judgement.block.map_or_else(|| "-".to_owned(), |block| block.rule.to_string())
}

#[test]
fn rules_about_users_look_at_cohorts() {
    for (applied_to, unidentified, member, stranger, nobody) in [
        ("matching", false, "r", "-", "-"),
        ("not_matching", false, "-", "r", "-"),
        ("matching", true, "r", "-", "r"),
        ("not_matching", true, "-", "r", "r"),
        // What is not said is `matching`.
        ("", false, "r", "-", "-"),
    ] {
        let more = json!({"applied_to": applied_to, "applied_to_unidentified": unidentified});
        let members = cohorts(&[("m", &["other", "r"]), ("s", &["other"])]);
        let users = rules(json!([rule("r", "user", more.clone())]), json!({"user_rules": members.clone()}));
        let companies = rules(json!([rule("r", "company", more)]), json!({"company_rules": members}));
        for (id, found) in
            [(Some("m"), member), (Some("s"), stranger), (Some("new"), stranger), (None, nobody)]
        {
            let about = format!("{applied_to} {unidentified} {id:?}");
            assert_eq!(blocker(&users, id, Some("m")), found, "user {about}");
            assert_eq!(blocker(&companies, Some("m"), id), found, "company {about}");
        }
    }
}

#[test]
fn the_expressions_must_match_too() {
    let config = json!({"user_rules": cohorts(&[("m", &["r"])])});
    let matching = rules(json!([rule("r", "user", when(&[("request.route", "^/items")]))]), config.clone());
    let other = rules(json!([rule("r", "user", when(&[("request.route", "^/other")]))]), config);
    assert_eq!(
        (blocker(&matching, Some("m"), None).as_str(), blocker(&other, Some("m"), None).as_str()),
        ("r", "-")
    );
    let mut unidentified = when(&[("request.route", "^/other")]);
    unidentified["applied_to_unidentified"] = true.into();
    assert_eq!(blocker(&rules(json!([rule("r", "user", unidentified)]), json!({})), None, None), "-");
}

#[test]
fn conditions_look_at_parts_of_the_call() {
    let mut headers = HeaderMap::new();
    headers.insert("x-plan", HeaderValue::from_static("gold"));
    let text = r#"{"query":"mutation { pay(\"x\") }","operationName":"Pay","n":7,"list":[1],"none":null}"#;
    let body: Members<'_> = serde_json::from_str(text).unwrap();
    let asked = Asked {
        verb: "POST",
        route: "/graphql",
        address: Some([203, 0, 113, 5].into()),
        headers: &headers,
        body: Some(&body),
        user: None,
        company: None,
    };
    for (path, value, holds) in [
        ("request.verb", "POST", true),
        ("request.verb", "^(GET|POST)$", true),
        ("request.verb", "post", false),
        ("request.verb", "(?i)post", true),
        ("request.route", "raph", true),
        ("request.route", r"^/graphql$", true),
        ("request.route", r"^/graphql\?", false),
        ("request.ip_address", r"^203\.0\.113\.\d+$", true),
        ("request.ip", r"^203\.", true),
        ("request.ip", r"^10\.", false),
        ("request.body.query", r#"pay\("x"\)"#, true),
        ("request.body.operationName", "^Pay$", true),
        ("request.body.n", "^7$", true),
        ("request.body.list", r"^\[1\]$", true),
        ("request.body.none", ".*", false),
        ("request.body.missing", ".*", false),
        ("request.headers.X-Plan", "^gold$", true),
        ("request.headers.x-other", ".*", false),
        ("request.headers.not a name", ".*", false),
        ("response.status", ".*", false),
        ("request.anything", "", false),
        ("", "", false),
    ] {
        let rules = rules(json!([rule("r", "regex", when(&[(path, value)]))]), json!({}));
        assert_eq!(rules.judge(&asked).block.is_some(), holds, "{path} {value}");
        assert_eq!(rules.reads_bodies(), path.starts_with("request.body."), "{path}");
        assert_eq!(rules.reads_addresses(), path.starts_with("request.ip"), "{path}");
    }
    let route = rules(json!([rule("r", "regex", when(&[("request.route", "^/$")]))]), json!({}));
    assert!(route.judge(&Asked { route: "", ..asked }).block.is_some(), "no path is /");
    let body = rules(json!([rule("r", "regex", when(&[("request.body.n", "7")]))]), json!({}));
    assert!(body.judge(&Asked { body: None, ..asked }).block.is_none(), "no body, no match");
}

#[test]
fn conditions_are_joined_by_and_and_entries_by_or() {
    let holds = |regex_config: Value| {
        let rules = rules(json!([rule("r", "regex", json!({"regex_config": regex_config}))]), json!({}));
        assert_eq!(rules.problems, [""; 0]);
        blocker(&rules, None, None) == "r"
    };
    let (yes, no) =
        (json!({"path": "request.verb", "value": "GET"}), json!({"path": "request.route", "value": "no"}));
    assert!(holds(json!([])));
    assert!(holds(json!(null)));
    assert!(holds(json!([{"conditions": [yes]}])));
    assert!(!holds(json!([{"conditions": [yes, no]}])));
    assert!(holds(json!([{"conditions": [no]}, {"conditions": [yes]}])));
    assert!(!holds(json!([{"conditions": [no]}, {"conditions": [no]}])));
    let items = json!({"path": "request.route", "value": "items"});
    assert!(holds(json!([{"conditions": [no, items]}])), "the last of two on one part counts");
    assert!(!holds(json!([{"conditions": [items, no]}])));
    let unknown = json!({"path": "x", "value": ""});
    assert!(!holds(json!([{"conditions": [yes, unknown, unknown]}])));
}

#[test]
fn users_come_first_then_companies_then_calls_and_older_rules_before_younger() {
    let at = |created_at: &str| json!({"created_at": created_at});
    let unidentified = |created_at: &str| json!({"created_at": created_at, "applied_to_unidentified": true});
    let all = [
        rule("regex-1", "regex", at("2020")),
        rule("company-all", "company", unidentified("2020")),
        rule("company-b", "company", at("2021")),
        rule("company-a", "company", at("2022")),
        rule("user-all", "user", unidentified("2020")),
        rule("user-c", "user", at("2023")),
        rule("user-b", "user", at("2022")),
        rule("user-a", "user", at("2022")),
        rule("regex-0", "regex", at("2020")),
    ];
    let ids: Vec<&str> = all.iter().map(|rule| rule["_id"].as_str().unwrap()).collect();
    let config = json!({"user_rules": cohorts(&[("u", &ids)]), "company_rules": cohorts(&[("c", &ids)])});
    let mut left = all.to_vec();
    let mut order = Vec::new();
    while !left.is_empty() {
        let first = blocker(&rules(left.clone().into(), config.clone()), Some("u"), Some("c"));
        left.retain(|rule| rule["_id"] != first.as_str());
        order.push(first);
    }
    assert_eq!(
        order,
        [
            "user-a",
            "user-b",
            "user-c",
            "user-all",
            "company-b",
            "company-a",
            "company-all",
            "regex-0",
            "regex-1"
        ]
    );
}

#[test]
fn headers_of_all_matching_rules_are_set_the_earlier_before_the_later() {
    let config = json!({"user_rules": cohorts(&[("u", &["user"])]), "company_rules": {}});
    let mut blocking = rule("block", "regex", json!({"created_at": "2020"}));
    blocking["response"]["headers"] = json!({"X-A": "block", "X-B": "block"});
    let list = json!([
        adds("late", "regex", json!({"x-b": "late", "X-C": "late"}), json!({"created_at": "2021"})),
        blocking,
        adds("user", "user", json!({"X-A": "user"}), json!({})),
        adds("others", "user", json!({"X-D": "never"}), json!({})),
        rule("second", "regex", json!({"created_at": "2022"})),
    ]);
    let judgement = rules(list, config).judge(&call(&HeaderMap::new(), Some("u"), None));
    let block = judgement.block.unwrap();
    assert_eq!(
        (&*block.rule, block.status.as_u16(), &block.body[..]),
        ("block", 451, &br#"{"by":"block"}"#[..])
    );
    let headers: Vec<String> =
        judgement.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
    assert_eq!(headers, ["x-a=user", "x-b=block", "x-c=late"]);
}

#[test]
fn a_rule_that_only_adds_headers_blocks_nothing() {
    let rules = rules(json!([adds("h", "regex", json!({"X-Deprecated": "true"}), json!({}))]), json!({}));
    let judgement = rules.judge(&call(&HeaderMap::new(), None, None));
    assert_eq!(judgement.block, None);
    assert_eq!(judgement.headers, [("x-deprecated".parse().unwrap(), HeaderValue::from_static("true"))]);
}

#[test]
fn answers_are_filled_in_for_the_caller() {
    let mut quota =
        rule("q", "user", json!({"variables": [{"name": "0", "path": "a"}, {"name": "1", "path": "b"}]}));
    quota["response"] = json!({
        "status": 429, "headers": {"X-Quota": "{{1}}", "X-Plan": "{{0}}"},
        "body": {"message": "plan {{0}}", "n": [{"m": "{{1}}", "d": "{{1|none}}"}]}
    });
    let config = json!({"user_rules": {
        "u": [{"rules": "q", "values": {"0": "free"}}], "v": [{"rules": "q"}], "w": [{"rules": "q", "values": {"0": "a\nb"}}]
    }});
    let rules = rules(json!([quota]), config);
    let answer = |user| {
        let judgement = rules.judge(&call(&HeaderMap::new(), Some(user), None));
        let body: Value = serde_json::from_slice(&judgement.block.unwrap().body).unwrap();
        let headers: Vec<String> = judgement
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
            .collect();
        (body, headers)
    };
    let (body, headers) = answer("u");
    assert_eq!(body, json!({"message": "plan free", "n": [{"m": "UNKNOWN", "d": "none"}]}));
    assert_eq!(headers, ["x-plan=free", "x-quota=UNKNOWN"]);
    assert_eq!(answer("v").0["message"], "plan UNKNOWN");
    let (body, headers) = answer("w");
    assert_eq!((body["message"].as_str(), headers), (Some("plan a\nb"), vec!["x-quota=UNKNOWN".to_owned()]));
}

#[test]
fn what_cannot_be_understood_is_left_out_and_named() {
    let bad = |more: Value| {
        let rules = rules(json!([rule("bad", "regex", more), rule("good", "regex", json!({}))]), json!({}));
        assert_eq!(blocker(&rules, None, None), "good");
        assert_eq!(rules.problems.len(), 1);
        rules.problems[0].clone()
    };
    let answers = |status: Value, headers: Value| json!({"response": {"status": status, "headers": headers, "body": {}}});
    for (more, told) in [
        (when(&[("request.route", "(")]), "cannot use the expression \"(\""),
        (when(&[("request.route", "(?!x)")]), "look-around"),
        (when(&[("request.route", "(a{1000}){1000}")]), "size limit"),
        (when(&[("unknown", "(")]), "expression"),
        (json!({"type": "else"}), "unknown type"),
        (answers(json!(null), json!({})), "no status"),
        (answers(json!(101), json!({})), "cannot answer with that status"),
        (answers(json!(200), json!({"bad name": "x"})), "cannot set the header \"bad name\""),
        (answers(json!(200), json!({"X-A": "a\r\nb"})), "cannot set the header \"X-A\""),
    ] {
        let problem = bad(more);
        assert!(problem.starts_with("rule \"bad\": ") && problem.contains(told), "{problem}");
    }
    let many: Vec<(&str, &str)> = vec![("request.verb", "GET"); MAX_CONDITIONS + 1];
    assert!(bad(when(&many)).contains("too many conditions"));
    let empty =
        rules(json!([{"_id": "e", "type": "regex", "block": true, "response": {"status": 403}}]), json!({}));
    assert_eq!(empty.judge(&call(&HeaderMap::new(), None, None)).block.unwrap().body, "{}");
}
