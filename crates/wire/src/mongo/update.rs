//! Aggregates as changes of Tyk Pump's document (tyk-pump, section 5.4). Pure.
//!
//! A document is about one organisation and one bucket. What can be added is added by the server; what follows from the sums
//! (means, lists for people to read) is set from the sums afterwards.

use mongodb::bson::{Bson, Document, doc};

use super::document::date;
use crate::parts::aggregate::{Aggregates, Counter, Key};
use crate::tyk::record::Time;

/// Dimensions with a counter for each value.
const FLAT: &[&str] =
    &["apikeys", "errors", "versions", "apiid", "oauthids", "geo", "tags", "endpoints", "apiendpoints"];
/// Dimensions with a counter for each endpoint of each value.
const NESTED: &[&str] = &["keyendpoints", "oauthendpoints"];
/// How many batches a document remembers.
const REMEMBERED: i32 = 32;
/// Ids of the batches that a document holds; ours.
pub const BATCHES: &str = "weir_batches";

/// Which document of a collection it is.
pub fn selector(bucket: i64, org_id: &str) -> Document {
    doc! {"orgid": org_id, "timestamp": date(Time { seconds: bucket, nanos: 0 })}
}

/// The same, as long as it does not hold this batch.
pub fn without(bucket: i64, org_id: &str, batch: &str) -> Document {
    let mut selector = selector(bucket, org_id);
    selector.insert(BATCHES, doc! {"$ne": batch});
    selector
}

/// What a batch adds to the document of its bucket. All aggregates must be of the same one.
pub fn changes(bucket: i64, aggregates: &Aggregates, expire_at: Time, batch: &str) -> Document {
    let at = Time { seconds: bucket, nanos: 0 }.civil();
    let (mut inc, mut max, mut min) = (Document::new(), Document::new(), Document::new());
    let mut set = doc! {
        "timeid.year": at.year, "timeid.month": at.month, "timeid.day": at.day, "timeid.hour": at.hour,
    };
    max.insert("expireAt", date(expire_at));
    for (key, counter) in aggregates {
        let path = path(key);
        let name = |field: &str| format!("{path}.{field}");
        for (field, value) in sums(counter) {
            inc.insert(name(field), value);
        }
        for (status, count) in &counter.error_map {
            inc.insert(name(&format!("errormap.{status}")), *count);
        }
        max.insert(name("maxlatency"), counter.max_latency);
        max.insert(name("maxupstreamlatency"), counter.max_upstream_latency);
        max.insert(name("lasttime"), date(counter.last_time));
        // Failed calls are often short and say nothing of the others.
        if counter.hits != counter.error {
            min.insert(name("minlatency"), counter.min_latency);
            min.insert(name("minupstreamlatency"), counter.min_upstream_latency);
        }
        set.insert(name("identifier"), counter.identifier.as_str());
        set.insert(name("humanidentifier"), counter.human_identifier.as_str());
    }
    if let Some(last) = aggregates.values().map(|counter| counter.last_time).max() {
        max.insert("lasttime", date(last));
    }
    let batches = doc! {BATCHES: {"$each": [batch], "$slice": -REMEMBERED}};
    let mut changes = doc! {"$inc": inc, "$max": max, "$set": set, "$push": batches};
    // The server refuses an empty group.
    if !min.is_empty() {
        changes.insert("$min", min);
    }
    changes
}

fn sums(counter: &Counter) -> [(&'static str, i64); 10] {
    [
        ("hits", counter.hits),
        ("success", counter.success),
        ("errortotal", counter.error),
        ("totalrequesttime", counter.total_request_time),
        ("totallatency", counter.total_latency),
        ("totalupstreamlatency", counter.total_upstream_latency),
        ("openconnections", counter.open_connections),
        ("closedconnections", counter.closed_connections),
        ("bytesin", counter.bytes_in),
        ("bytesout", counter.bytes_out),
    ]
}

/// Where the counter of a key is. Values of keys and clients have their endpoint after the last dot.
fn path(key: &Key) -> String {
    if key.dimension.is_empty() {
        return "total".to_owned();
    }
    match key.value.rsplit_once('.') {
        Some((whose, endpoint)) if NESTED.contains(&key.dimension) => {
            format!("{}.{}.{}", key.dimension, member(whose), member(endpoint))
        }
        _ => format!("{}.{}", key.dimension, member(&key.value)),
    }
}

/// A value as the name of a member, without what leads elsewhere in a path; as the original writes a dot.
fn member(value: &str) -> String {
    value.replace('.', "\\u2e").replace('$', "\\u24").replace('\0', "\u{FFFD}")
}

/// What follows from the sums of a document: means and sorted lists.
pub fn derived(document: &Document) -> Document {
    let mut set = Document::new();
    if let Ok(total) = document.get_document("total") {
        completed("total", total, &mut set);
    }
    for dimension in FLAT {
        if let Ok(counters) = document.get_document(dimension) {
            let list = listed(dimension, counters, &mut set);
            set.insert(format!("lists.{dimension}"), list);
        }
    }
    for dimension in NESTED {
        let Ok(groups) = document.get_document(dimension) else { continue };
        for (whose, counters) in groups {
            if let Some(counters) = counters.as_document() {
                let path = format!("{dimension}.{whose}");
                let list = listed(&path, counters, &mut set);
                set.insert(format!("lists.{path}"), list);
            }
        }
    }
    set
}

fn listed(path: &str, counters: &Document, set: &mut Document) -> Vec<Bson> {
    let counters = counters.iter().filter_map(|(name, counter)| Some((name, counter.as_document()?)));
    counters.map(|(name, counter)| completed(&format!("{path}.{name}"), counter, set).into()).collect()
}

/// The counter with its means and its list of errors, which are also set in their place.
fn completed(path: &str, counter: &Document, set: &mut Document) -> Document {
    let number = |name: &str| counter.get(name).and_then(whole).unwrap_or(0);
    let hits = number("hits");
    let mean = |total: &str| if hits == 0 { 0.0 } else { number(total) as f64 / hits as f64 };
    let mut codes: Vec<(&String, i64)> = counter
        .get_document("errormap")
        .into_iter()
        .flatten()
        .filter_map(|(code, count)| Some((code, whole(count)?)))
        .collect();
    codes.sort_unstable();
    let errors: Vec<Bson> =
        codes.into_iter().map(|(code, count)| doc! {"code": code, "count": count}.into()).collect();
    let mut completed = counter.clone();
    for (name, value) in [
        ("requesttime", Bson::from(mean("totalrequesttime"))),
        ("latency", Bson::from(mean("totallatency"))),
        ("upstreamlatency", Bson::from(mean("totalupstreamlatency"))),
        ("errorlist", Bson::from(errors)),
    ] {
        completed.insert(name, value.clone());
        set.insert(format!("{path}.{name}"), value);
    }
    completed
}

/// Other writers have other types of numbers.
fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(dimension: &'static str, value: &str) -> Key {
        Key { bucket: 0, org_id: "o".into(), dimension, value: value.into() }
    }

    #[test]
    fn values_do_not_lead_elsewhere() {
        for (key, expected) in [
            (key("", "total"), "total"),
            (key("apiid", "a.test"), "apiid.a\\u2etest"),
            (key("endpoints", "/$a.b\0"), "endpoints./\\u24a\\u2eb\u{FFFD}"),
            (key("keyendpoints", "k.1.YTov"), "keyendpoints.k\\u2e1.YTov"),
            (key("oauthendpoints", "c.YTov"), "oauthendpoints.c.YTov"),
        ] {
            assert_eq!(path(&key), expected);
        }
    }

    #[test]
    fn failures_do_not_lower_minima_and_an_empty_group_is_left_out() {
        let failed = Counter { hits: 2, error: 2, error_map: [(500, 2)].into(), ..Counter::default() };
        let aggregates = Aggregates::from([(key("", "total"), failed)]);
        let changes = changes(0, &aggregates, Time { seconds: 9, nanos: 0 }, "b");
        assert!(!changes.contains_key("$min"));
        let added = changes.get_document("$inc").unwrap();
        assert_eq!(added.get_i64("total.errormap.500").unwrap(), 2);
        assert_eq!(added.get_i64("total.hits").unwrap(), 2);
    }

    #[test]
    fn means_and_lists_follow_from_sums_of_any_type() {
        let counter = doc! {"hits": 4, "totalrequesttime": 10_i64, "totallatency": 8.0, "errormap": {"500": 1, "404": 2}};
        let set =
            derived(&doc! {"total": counter.clone(), "errors": {}, "keyendpoints": {"k": {"e": counter}}});
        assert_eq!(set.get_f64("total.requesttime").unwrap(), 2.5);
        assert_eq!(set.get_f64("keyendpoints.k.e.latency").unwrap(), 2.0);
        assert_eq!(set.get_array("lists.errors").unwrap().len(), 0);
        let list = set.get_array("lists.keyendpoints.k").unwrap();
        let errors = list[0].as_document().unwrap().get_array("errorlist").unwrap();
        assert_eq!(errors[0], Bson::from(doc! {"code": "404", "count": 2_i64}));
    }
}
