//! Real HARs there and back, broken ones entry by entry, and what foreign bytes do.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_kit::Timestamp;
use weir_model::{Attributes, Body, Captured, Exchange, Headers, Origin, Peer, Request, Response, Timings};
use weir_pipeline::Imported;

use super::{IMPORTER, RENDERER};
use crate::parts;

fn import(bytes: &[u8], piece: usize) -> Imported {
    let (mut importer, mut out) = ((IMPORTER.open)(), Imported::default());
    for piece in bytes.chunks(piece.max(1)) {
        importer.feed(piece, &mut out);
    }
    importer.finish(&mut out);
    out
}

fn render(exchanges: &[Exchange]) -> Vec<u8> {
    let (mut renderer, mut out) = ((RENDERER.open)(), Vec::new());
    renderer.begin(&mut out);
    for exchange in exchanges {
        renderer.exchange(exchange, &mut out);
    }
    renderer.end(&mut out);
    out
}

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder);
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "har"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// An entry with everything evened out that README.md lists as not kept. What is left must be equal.
fn evened(entry: &Value) -> Value {
    let mut entry = entry.clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entry["startedDateTime"] =
        json!(text(&entry["startedDateTime"]).parse::<Timestamp>().unwrap().to_string());
    let members = entry.as_object_mut().unwrap();
    members.remove("cache");
    if members.get("serverIPAddress").is_some_and(|address| text(address).is_empty()) {
        members.remove("serverIPAddress");
    }
    for side in ["request", "response"] {
        let Some(message) = members.get_mut(side) else { continue };
        message["httpVersion"] = json!(parts::protocol_version(&text(&message["httpVersion"])));
        for size in ["headersSize", "bodySize"] {
            let known = message[size].as_i64().filter(|size| *size >= 0);
            message[size] = json!(known.unwrap_or(-1));
        }
        for derived in ["cookies", "queryString", "redirectURL"] {
            message.as_object_mut().unwrap().remove(derived);
        }
        let header = message["headers"].as_array().unwrap().iter().rev().find(|header| {
            header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type"))
        });
        let media_type = header.map_or(json!(""), |header| header["value"].clone());
        for body in ["postData", "content"] {
            let Some(body) = message.get_mut(body).and_then(Value::as_object_mut) else { continue };
            body.remove("params");
            if body.get("encoding").is_some_and(|encoding| encoding == "base64") {
                let bytes = STANDARD.decode(body["text"].as_str().unwrap()).unwrap();
                if let Ok(text) = String::from_utf8(bytes) {
                    body.insert("text".to_owned(), json!(text));
                    body.remove("encoding");
                }
            }
            if body.get("mimeType").is_none_or(|given| given == "") {
                body.insert("mimeType".to_owned(), media_type.clone());
            }
        }
    }
    let url = text(&members["request"]["url"]);
    let (scheme, rest) = url.split_once("://").unwrap();
    members["request"]["url"] = json!(format!("{}://{rest}", scheme.to_lowercase()));
    if members["response"]["status"] == 0 {
        members["response"] = json!({"_error": members["response"]["_error"]});
    } else {
        let content = members["response"]["content"].as_object_mut().unwrap();
        let size = content.get("size").and_then(Value::as_i64).filter(|size| *size > 0).unwrap_or(0);
        content.insert("size".to_owned(), json!(size));
    }
    for part in ["blocked", "dns", "connect", "ssl", "send", "wait", "receive"] {
        let timings = &mut members["timings"];
        let known = timings[part].as_f64().filter(|millis| *millis >= 0.0);
        let required = ["send", "wait", "receive"].contains(&part);
        timings[part] = json!(known.unwrap_or(if required { 0.0 } else { -1.0 }));
    }
    rounded(&entry)
}

/// Numbers to the microsecond of a millisecond, nothing where there was `null`.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!((number.as_f64().unwrap() * 1_000.0).round() / 1_000.0),
        Value::Array(items) => items.iter().map(rounded).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), rounded(value)))
            .collect(),
        other => other.clone(),
    }
}

/// The paths at which two values differ.
fn differences(path: &str, left: &Value, right: &Value) -> Vec<String> {
    let (Value::Object(left), Value::Object(right)) = (left, right) else {
        let shown = |value: &Value| value.to_string().chars().take(200).collect::<String>();
        return if left == right {
            vec![]
        } else {
            vec![format!("{path}: {} {}", shown(left), shown(right))]
        };
    };
    let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let of = |members: &serde_json::Map<String, Value>, name| members.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .flat_map(|name| differences(&format!("{path}.{name}"), &of(left, name), &of(right, name)))
        .collect()
}

#[test]
fn real_sites_come_back_as_they_were() {
    let mut count = 0;
    for (name, bytes) in files("har-sites") {
        let original: Value = serde_json::from_slice(&bytes).unwrap();
        let original = original["log"]["entries"].as_array().unwrap();
        let imported = import(&bytes, 10_000);
        assert_eq!(imported.rejected, [], "{name}");
        let written: Value = serde_json::from_slice(&render(&imported.accepted)).unwrap();
        let written = written["log"]["entries"].as_array().unwrap();
        assert_eq!(written.len(), original.len(), "{name}");
        for (number, (written, original)) in written.iter().zip(original).enumerate() {
            let mut written = evened(written);
            if original["request"]["postData"]["text"].is_null() {
                // Only fields were recorded; weir writes the form that they make.
                written["request"]["postData"].as_object_mut().map(|data| data.remove("text"));
            }
            if original["response"]["content"]["size"].as_i64().is_some_and(|size| size < 0) {
                // Unknown; weir writes the bytes on the wire then.
                written["response"]["content"]["size"] = json!(0.0);
            }
            let differences = differences("", &written, &evened(original));
            assert_eq!(differences, [] as [String; 0], "{name}, entry {number}");
        }
        count += written.len();
    }
    assert_eq!(count, 1_137);
}

#[test]
fn importing_twice_gives_the_same_ids() {
    let (_, bytes) = files("har-sites").swap_remove(3);
    assert_eq!(import(&bytes, 1_000).accepted, import(&bytes, usize::MAX).accepted);
    let mut ids: Vec<_> = import(&bytes, 1_000).accepted.into_iter().map(|exchange| exchange.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 13);
}

#[test]
fn incomplete_files_give_what_they_have() {
    let no_start = "startedDateTime is missing";
    let expected = [
        ("ServerService-GetNavigationMenu2-ff.har", 1, 1, ""),
        ("ServerService-GetNavigationMenu2-fiddler.har", 1, 1, ""),
        ("add.har", 1, 1, ""),
        ("auth-variants.har", 4, 0, no_start),
        ("base-path.har", 2, 0, no_start),
        ("binary-json.har", 1, 1, ""),
        ("custom-method.har", 1, 0, no_start),
        ("ericduran.github.io.har", 31, 31, ""),
        ("formdata.har", 5, 0, no_start),
        ("full.har", 8, 0, no_start),
        ("html.har", 1, 1, ""),
        ("invalid-url.har", 2, 0, no_start),
        ("load-impact.har", 1, 0, no_start),
        ("media-types.har", 5, 0, no_start),
        ("multipart-merge.har", 2, 0, no_start),
        ("no-entries.har", 0, 0, ""),
        ("no-success-status.har", 1, 1, ""),
        ("one-post-json-cookie.har", 1, 1, ""),
        ("pathReplace.har", 1, 0, no_start),
        ("post-data-conflict.har", 1, 0, no_start),
        ("post-json-invalid.har", 1, 1, ""),
        ("post-same-endpoint-diff-bodies.har", 3, 0, no_start),
        ("security.har", 1, 0, no_start),
        ("typed-params.har", 3, 0, no_start),
        ("url.har", 6, 0, no_start),
        ("urlfull.har", 5, 0, no_start),
    ];
    let files = files("har-api");
    assert_eq!(files.len(), expected.len());
    for ((name, bytes), (expected_name, offered, accepted, why)) in files.iter().zip(expected) {
        let imported = import(bytes, 777);
        assert_eq!(name, expected_name);
        assert_eq!((imported.offered, imported.accepted.len()), (offered, accepted), "{name}");
        assert_eq!(imported.rejected.len() as u64, offered - accepted as u64, "{name}");
        for (number, rejected) in imported.rejected.iter().enumerate() {
            assert_eq!(
                (rejected.index, &rejected.reason),
                (number, &format!("entry {number}: {why}")),
                "{name}"
            );
        }
    }
}

/// Incomplete files with a start put in, to see that nothing but the start is missed.
#[test]
fn apart_from_the_start_little_is_needed() {
    let mut rejected = Vec::new();
    let mut accepted = Vec::new();
    for (name, bytes) in files("har-api") {
        let mut har: Value = serde_json::from_slice(&bytes).unwrap();
        for entry in har["log"]["entries"].as_array_mut().unwrap() {
            entry["startedDateTime"] = json!("2026-01-01T00:00:00Z");
        }
        let imported = import(har.to_string().as_bytes(), usize::MAX);
        rejected.extend(imported.rejected.into_iter().map(|rejected| format!("{name} {}", rejected.reason)));
        accepted.extend(imported.accepted.into_iter().map(|exchange| (name.clone(), exchange)));
    }
    let expected = [
        "invalid-url.har entry 0: request.url \"testloadimpact\" is not an absolute URL",
        "invalid-url.har entry 1: request.url \"\" is not an absolute URL",
    ];
    assert_eq!(rejected, expected);
    let of = |file: &str| -> Vec<&Exchange> {
        accepted.iter().filter(|(name, _)| name == file).map(|(_, exchange)| exchange).collect()
    };
    assert_eq!(of("custom-method.har")[0].request.method, "CUSTOM");
    assert_eq!(of("custom-method.har")[0].response, None);
    assert_eq!(of("post-data-conflict.har")[0].request.body.bytes().unwrap(), "foo0=bar0&foo1=bar1");
    let form = &of("multipart-merge.har")[0].request.body;
    assert_eq!(form.bytes().unwrap(), "title=Quarterly%20report&file=%28binary%29&publish=true");
    assert_eq!(form.media_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(of("one-post-json-cookie.har")[0].request.headers.all("cookie").count(), 1);
}

fn one(entry: Value) -> Imported {
    let har = json!({"log": {"creator": {"name": "rec", "version": 3}, "entries": [entry]}});
    import(har.to_string().as_bytes(), 7)
}

#[test]
fn members_find_their_places() {
    let imported = one(json!({
        "startedDateTime": "2026-01-01T00:00:00.5+01:00", "time": 12.5, "pageref": "page_1", "connection": "443",
        "_initiator": {"type": "script"}, "serverIPAddress": "[::1]", "_huge": "x".repeat(70_000),
        "request": {"method": "POST", "url": "HTTPS://u:p@A.test/x?y=1#top", "httpVersion": "h2", "headersSize": -1,
            "cookies": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}], "bodySize": 5,
            "postData": {"mimeType": "text/plain", "text": "hello", "comment": "c"}},
        "response": {"status": 200, "statusText": "OK", "httpVersion": "h2", "bodySize": -1, "redirectURL": "",
            "headers": [{"name": "Content-Type", "value": "image/png"}],
            "content": {"size": 4, "mimeType": "image/png", "encoding": "base64", "text": "iVBORw=="}},
        "timings": {"blocked": -1, "dns": -1, "connect": 3, "ssl": 2, "send": 0, "wait": 4.5, "receive": 1, "_q": 2},
    }));
    assert_eq!(imported.rejected, []);
    let exchange = &imported.accepted[0];
    assert_eq!(exchange.origin.node.as_deref(), Some("rec 3"));
    assert_eq!(exchange.started_at.to_string(), "2025-12-31T23:00:00.500Z");
    assert_eq!((exchange.request.scheme.as_str(), exchange.request.host.as_str()), ("https", "a.test"));
    assert_eq!(exchange.request.headers.text("cookie").unwrap(), "a=1; b=2");
    assert_eq!(exchange.server, parts::peer("::1"));
    assert_eq!(exchange.timings.duration().unwrap().as_micros(), 12_500);
    let answer = exchange.response.as_ref().unwrap();
    assert_eq!(answer.body.bytes().unwrap().as_ref(), b"\x89PNG");
    let attributes: Vec<&str> = exchange.attributes.iter().map(|(name, _)| name).collect();
    assert_eq!(
        attributes,
        [
            "url.fragment",
            "har.request.postData.comment",
            "har.timings._q",
            "har.dropped",
            "har._initiator",
            "har.connection",
            "har.pageref",
        ]
    );
    let written: Value = serde_json::from_slice(&render(&imported.accepted)).unwrap();
    let entry = &written["log"]["entries"][0];
    assert_eq!(entry["request"]["url"], "https://a.test/x?y=1#top");
    assert_eq!(entry["_initiator"]["type"], "script");
    assert_eq!(entry["request"]["cookies"][1], json!({"name": "b", "value": "2"}));
    assert_eq!(entry["response"]["content"]["encoding"], "base64");
}

#[test]
fn files_that_are_not_har_say_so() {
    for (text, reason) in [
        ("", "entry 0: no log.entries in this file"),
        ("<html>", "entry 0: no log.entries in this file"),
        ("{\"log\":{\"entries\":[{\"a\":1", "entry 0: the file ends within this entry"),
        ("{\"log\":{\"entries\":[", "entry 0: the file ends before this entry"),
    ] {
        let imported = import(text.as_bytes(), 3);
        assert_eq!((imported.offered, imported.rejected[0].reason.as_str()), (1, reason), "{text}");
    }
    assert_eq!(
        one(json!(7)).rejected[0].reason,
        "entry 0: not an entry: invalid type: integer `7`, expected an object at line 1 column 1"
    );
}

/// What HAR carries of an exchange: the losses that README.md lists, and no other.
fn carried(exchange: &Exchange) -> Exchange {
    let asked = &exchange.request;
    let text = |headers: &Headers| -> Headers {
        headers
            .iter()
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect()
    };
    let body = |given: &Body, headers: &Headers| {
        let plain = given.decoded(usize::MAX).or(given.bytes().cloned());
        let header =
            parts::last(headers, "content-type").map(|value| String::from_utf8_lossy(value).into_owned());
        Body {
            size: given.size,
            captured: match (&given.captured, plain) {
                (Captured::Cut(_), Some(bytes)) => Captured::Cut(bytes),
                (_, Some(bytes)) => Captured::Whole(bytes),
                _ => Captured::default(),
            },
            media_type: given.media_type.clone().filter(|given| header.as_deref() != Some(given.as_str())),
            ..Body::default()
        }
    };
    let request = Request {
        headers: text(&asked.headers),
        trailers: Headers::default(),
        body: Body { media_type: None, ..body(&asked.body, &asked.headers) },
        ..asked.clone()
    };
    let mut carried = Exchange::new(exchange.id, exchange.started_at, request);
    if matches!(asked.body.captured, Captured::Whole(_) | Captured::Cut(_)) {
        carried.request.body.media_type = body(&asked.body, &asked.headers).media_type;
    }
    carried.origin = Origin {
        source: "har".into(),
        node: Some(format!("weir {}", env!("CARGO_PKG_VERSION")).into()),
        environment: None,
    };
    carried.client = Peer { port: None, ..exchange.client };
    carried.server = Peer { port: None, ..exchange.server };
    carried.response = exchange.response.as_ref().map(|answer| Response {
        headers: text(&answer.headers),
        trailers: Headers::default(),
        body: body(&answer.body, &answer.headers),
        ..answer.clone()
    });
    let given = exchange.timings;
    let required = |part: Option<std::time::Duration>| Some(part.unwrap_or_default());
    carried.timings = Timings {
        send: required(given.send),
        wait: required(given.wait),
        receive: required(given.receive),
        ..given
    };
    let total = exchange.duration().or(Some(std::time::Duration::ZERO));
    carried.timings.total = None;
    carried.timings.total = total.filter(|total| Some(*total) != carried.timings.duration());
    carried.attributes = Attributes::default();
    carried
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_but_for_the_listed_losses(
        exchanges in proptest::collection::vec(crate::testing::exchanges(), 1..4),
        piece in 1usize..500,
    ) {
        let imported = import(&render(&exchanges), piece);
        prop_assert_eq!(&imported.rejected, &[]);
        for (sent, mut arrived) in exchanges.iter().zip(imported.accepted) {
            arrived.id = sent.id;
            prop_assert_eq!(arrived, carried(sent));
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _outcome = super::decode::entry(&bytes, 0, None);
    }

    #[test]
    fn damaged_files_never_panic_and_are_counted(
        exchange in crate::testing::exchanges(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = render(&[exchange]);
        for (index, byte) in damage {
            let index = index.index(file.len());
            file[index] = byte;
        }
        let imported = import(&file, 100);
        prop_assert_eq!(imported.offered as usize, imported.accepted.len() + imported.rejected.len());
        let again = import(&render(&imported.accepted), 100);
        prop_assert_eq!(again.rejected, [], "what weir writes it reads");
    }
}
