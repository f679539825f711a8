//! Which buckets, labels and counts come of which records.

use weir_kit::Timestamp;
use weir_model::ExchangeId;

use super::*;
use crate::tyk::record::{Geo, GraphQl, Latency, Network, Time};

/// 2026-11-20T11:00:00Z
const HOUR: i64 = 1_795_172_400;

fn record(seconds: i64, status: i64, millis: i64) -> Entry<'static> {
    let record = Record {
        path: "/a.b".into(),
        response_code: status,
        api_key: "k".into(),
        alias: "Ann".into(),
        api_id: "api".into(),
        api_name: "Api".into(),
        api_version: "v1".into(),
        org_id: "org".into(),
        time_stamp: Time { seconds: HOUR + seconds, nanos: 5 },
        request_time: millis,
        latency: Latency { total: millis, upstream: millis / 2, gateway: 0 },
        ..Record::default()
    };
    Entry { id: ExchangeId::new(Timestamp::from_seconds(HOUR)), weight: 1, record }
}

fn counted(entries: &[Entry<'_>], rules: &Rules) -> Aggregates {
    aggregate(entries.iter(), rules)
}

fn key(bucket: i64, dimension: &'static str, value: &str) -> Key {
    Key { bucket, org_id: "org".into(), dimension, value: value.into() }
}

fn values(aggregates: &Aggregates, dimension: &str) -> Vec<String> {
    aggregates.keys().filter(|key| key.dimension == dimension).map(|key| key.value.clone()).collect()
}

#[test]
fn a_record_counts_in_the_bucket_of_its_own_time() {
    let entries = [record(3_599, 200, 5), record(3_600, 200, 5), record(-1, 200, 5), record(3_600, 200, 5)];
    let hours = counted(&entries, &Rules::default());
    for (bucket, hits) in [(HOUR - 3_600, 1), (HOUR, 1), (HOUR + 3_600, 2)] {
        assert_eq!(hours[&key(bucket, "", "total")].hits, hits, "{bucket}");
    }
    let minutes = counted(&entries, &Rules { bucket_seconds: MINUTE, ..Rules::default() });
    for (bucket, hits) in [(HOUR - 60, 1), (HOUR + 3_540, 1), (HOUR + 3_600, 2)] {
        assert_eq!(minutes[&key(bucket, "", "total")].hits, hits, "{bucket}");
    }
}

#[test]
fn hits_successes_and_errors_are_told_apart() {
    let mut sampled = record(1, 200, 10);
    sampled.weight = 4;
    let entries = [record(0, 200, 10), record(1, 304, 20), record(2, 404, 2), record(3, 520, 4), sampled];
    let total = &counted(&entries, &Rules::default())[&key(HOUR, "", "total")];
    assert_eq!((total.hits, total.success, total.error), (8, 5, 2));
    assert_eq!(total.error_map, [(404, 1), (520, 1)].into());
    assert_eq!((total.total_latency, total.total_request_time, total.total_upstream_latency), (76, 76, 38));
    assert_eq!((total.min_latency, total.max_latency), (10, 20), "errors do not lower the minimum");
    assert_eq!((total.min_upstream_latency, total.max_upstream_latency), (5, 10));
    assert!((total.latency() - 9.5).abs() < f64::EPSILON);
    assert_eq!(total.last_time.seconds, HOUR + 3);
    assert!((total.latencies.quantile(0.5).unwrap() - 10.0).abs() < 0.1);
}

#[test]
fn minima_come_from_errors_only_while_there_is_nothing_else() {
    for (statuses, least) in [
        (&[(404, 5), (404, 3)][..], 3),
        (&[(404, 5), (200, 9)], 9),
        (&[(200, 9), (404, 5)], 9),
        (&[(404, 50), (200, 9), (200, 7)], 7),
    ] {
        let entries: Vec<Entry<'_>> =
            statuses.iter().map(|(status, millis)| record(0, *status, *millis)).collect();
        let total = &counted(&entries, &Rules::default())[&key(HOUR, "", "total")];
        assert_eq!(total.min_latency, least, "{statuses:?}");
    }
}

#[test]
fn every_dimension_has_its_value() {
    let mut entry = record(0, 404, 1);
    entry.record.oauth_id = "client".into();
    entry.record.geo = Geo { country: "DE".into(), ..Geo::default() };
    entry.record.tags = Some([" a.b ", "key-k", "a.b", "org-org", ""].map(Into::into).to_vec());
    let rules = Rules { track_all_paths: true, ignore_tag_prefixes: vec!["org-".into()], ..Rules::default() };
    let aggregates = counted(&[entry], &rules);
    for (dimension, value, identifier, human) in [
        ("", "total", "", ""),
        ("apiid", "api", "api", "Api"),
        ("errors", "404", "404", ""),
        ("versions", "YXBpOnYx", "v1", "v1"),
        ("apikeys", "k", "k", "Ann"),
        ("oauthids", "client", "client", ""),
        ("geo", "DE", "DE", ""),
        ("tags", "ab", "ab", ""),
        ("endpoints", "/a.b", "/a.b", "/a.b"),
        ("keyendpoints", "k.YXBpOi9hLmI", "/a.b", "/a.b"),
        ("oauthendpoints", "client.YXBpOi9hLmI", "/a.b", "/a.b"),
        ("apiendpoints", "6170693a76313a2f612e62", "/a.b", "/a.b"),
    ] {
        let counter = aggregates.get(&key(HOUR, dimension, value));
        let counter = counter.unwrap_or_else(|| panic!("{dimension}: {:?}", values(&aggregates, dimension)));
        assert_eq!((counter.identifier.as_str(), counter.human_identifier.as_str()), (identifier, human));
        assert_eq!((counter.hits, counter.error), (1, 1), "{dimension}");
    }
    assert_eq!(aggregates.len(), DIMENSIONS.len() + 1);
}

#[test]
fn what_is_empty_untracked_or_ignored_has_no_label() {
    let mut entry = record(0, 200, 1);
    entry.record.api_key = "".into();
    let names = |entry: &Entry<'_>, rules: &Rules| -> Vec<&str> {
        counted(std::slice::from_ref(entry), rules).keys().map(|key| key.dimension).collect()
    };
    assert_eq!(names(&entry, &Rules::default()), ["", "apiid", "versions"]);
    let fewer = Rules { ignore_dimensions: vec!["versions".into()], ..Rules::default() };
    assert_eq!(names(&entry, &fewer), ["", "apiid"]);
    entry.record.track_path = true;
    assert_eq!(names(&entry, &fewer), ["", "apiendpoints", "apiid", "endpoints"]);
}

#[test]
fn records_of_other_aggregates_and_without_organisation_are_left_out() {
    let mut without = record(0, 200, 1);
    without.record.org_id = "".into();
    let mut graphql = record(0, 200, 1);
    graphql.record.graphql = GraphQl { is_graphql: true, ..GraphQl::default() };
    let mut mcp = record(0, 200, 1);
    mcp.record.mcp.is_mcp = true;
    assert!(counted(&[without, graphql, mcp], &Rules::default()).is_empty());
}

#[test]
fn network_statistics_are_no_calls() {
    let mut entry = record(0, -1, 0);
    entry.record.network =
        Network { open_connections: 3, closed_connections: 2, bytes_in: 10, bytes_out: 20 };
    let aggregates = counted(&[entry.clone(), entry], &Rules::default());
    let total = &aggregates[&key(HOUR, "", "total")];
    assert_eq!((total.hits, total.open_connections, total.closed_connections), (0, 6, 4));
    let api = &aggregates[&key(HOUR, "apiid", "api")];
    assert_eq!((api.bytes_in, api.bytes_out), (20, 40));
    assert_eq!(aggregates.len(), 2);
}
