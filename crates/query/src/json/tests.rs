//! Both forms of a query, as JSON.

use super::*;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-20T13:45:30Z".parse().unwrap()
}

fn mistakes<T: std::fmt::Debug>(outcome: Result<T, Vec<Mistake>>) -> String {
    outcome.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_forms_mean_the_same() {
    for (text, value) in [
        ("status:500", json!({"field": "status", "op": "eq", "value": 500})),
        ("status:(500 502)", json!({"field": "status", "op": "in", "values": [500, "502"]})),
        ("status:>=500", json!({"field": "status", "op": "range", "gte": 500})),
        ("latency:{1s TO 2s]", json!({"field": "latency", "op": "range", "gt": 1000, "lte": "2s"})),
        ("user:*", json!({"field": "user", "op": "exists"})),
        ("path:/a*", json!({"field": "path", "op": "prefix", "value": "/a"})),
        ("path:/a*b", json!({"field": "path", "op": "like", "value": "/a*b"})),
        ("path:\"/ab\"", json!({"field": "path", "op": "like", "value": "/ab"})),
        ("request.body.ok:\"true\"", json!({"field": "request.body.ok", "op": "eq", "value": "true"})),
        ("\"card declined\"", json!({"text": "card declined"})),
        (
            "a:1 OR -(b c)".replace('a', "status").as_str(),
            json!({"or": [{"field": "status", "op": "eq", "value": 1}, {"not": {"and": [{"text": "b"}, {"text": "c"}]}}]}),
        ),
    ] {
        let from_json = expression(&value, "").and_then(|expression| check::filter(&expression, now()));
        assert_eq!(from_json, check::text(text, now()), "{text}");
    }
}

#[test]
fn all_mistakes_of_a_filter_come_at_once() {
    let filter = json!({"and": [
        {"field": "staus", "op": "eq", "value": 1},
        {"field": "status", "op": "equals", "value": 1},
        {"field": "status", "op": "range"},
        {"nor": []},
        {"or": []},
        {"field": "status", "op": "in", "values": [[]]},
        {"text": 5, "extra": 1},
    ]});
    assert_eq!(
        mistakes(expression(&filter, "/filter")),
        "/filter/and/1/op: unknown operator \"equals\"; expected one of exists, eq, in, prefix, like, range\n\
         /filter/and/2: a range takes one of gt and gte, one of lt and lte, or one of each\n\
         /filter/and/3: expected an object with one of \"and\", \"or\", \"not\", \"text\", \"field\"\n\
         /filter/and/4/or: expected an array of at least one filter\n\
         /filter/and/5/values/0: expected a string, a number or a boolean, found an array\n\
         /filter/and/6/extra: unknown member \"extra\"; known are text\n\
         /filter/and/6/text: expected a string, found 5"
    );
}

#[test]
fn deep_and_wide_filters_are_refused() {
    let mut deep = json!({"text": "a"});
    for _ in 0..MAX_DEPTH + 1 {
        deep = json!({"not": deep});
    }
    assert!(mistakes(expression(&deep, "")).contains("deep"));
    let wide = json!({"and": vec![json!({"text": "a"}); MAX_TERMS + 5]});
    assert_eq!(mistakes(expression(&wide, "")).lines().count(), 1);
}

#[test]
fn an_aggregation_is_read() {
    let body = json!({
        "q": "status:>=500", "from": "now-1h", "to": "now", "interval": "1m",
        "group_by": ["endpoint", {"field": "latency", "bounds": [100, 500]}],
        "measures": ["count", "p95(latency)"], "order_by": "p95(latency)", "limit": 10
    });
    let read = aggregation(&body, ProjectId::default(), now()).unwrap();
    assert_eq!(read.dimensions.len(), 3);
    assert_eq!(read.dimensions[0], Dimension::Time(Duration::from_secs(60)));
    let Dimension::Bands { bounds, .. } = &read.dimensions[2] else { panic!("{:?}", read.dimensions) };
    assert_eq!(bounds, &[100_000.0, 500_000.0]);
    assert_eq!((read.order_by, read.limit), (Some(1), 10));
    let plain = aggregation(&json!({}), ProjectId::default(), now()).unwrap();
    assert_eq!(
        (plain.measures, plain.order_by, plain.range),
        (vec![Measure::Count], Some(0), TimeRange::ALL)
    );
}

#[test]
fn all_mistakes_of_an_aggregation_come_at_once() {
    let body = json!({
        "q": "lateny:1", "filter": {"text": 1}, "from": "soon", "groupby": [], "interval": "fast",
        "group_by": ["staus", 5, {"field": "path", "bounds": [2, 1]}],
        "measures": ["p95(path)", 1], "limit": 0
    });
    assert_eq!(
        mistakes(aggregation(&body, ProjectId::default(), now())),
        "/groupby: unknown member \"groupby\"; did you mean group_by?\n\
         /from: \"soon\" is not a time; write 2026-11-03T14:00:00Z, 2026-11-03, now-6h, now/d or epoch milliseconds\n\
         at 0: unknown field \"lateny\"; did you mean latency?\n\
         /filter/text: expected a string, found 1\n\
         /interval: \"fast\" is not a duration; write it with a unit, such as 500ms or 2s\n\
         /group_by/0: unknown field \"staus\"; did you mean status?\n\
         /group_by/1: expected a field name or an object, found 5\n\
         /group_by/2/field: path is of type keyword, not a number\n\
         /group_by/2/bounds: expected at least one number, in ascending order\n\
         /measures/0: path is of type keyword, not a number\n\
         /measures/1: expected a measure, such as \"count\", found 1\n\
         /limit: expected a whole number from 1 to 10000, found 0"
    );
    assert!(mistakes(aggregation(&json!([]), ProjectId::default(), now())).contains("expected an object"));
    let body = json!({"measures": ["count"], "order_by": "p50(latency)"});
    assert!(mistakes(aggregation(&body, ProjectId::default(), now())).contains("/order_by"));
}
