//! Whole exchanges and the collections in `testdata/`.

use std::fs;
use std::path::{Path, PathBuf};

use weir_kit::Timestamp;
use weir_model::{Body, Exchange, ExchangeId, Operation, Protocol, Request, Response};

use super::graphql::{Lexer, in_document};
use super::*;

struct Case<'a> {
    method: &'a str,
    path: &'a str,
    media_type: &'a str,
    body: &'a [u8],
    answer_type: &'a str,
    answer: &'a [u8],
}

const POST: Case<'_> = Case {
    method: "POST",
    path: "/api",
    media_type: "application/json",
    body: b"",
    answer_type: "application/json",
    answer: b"",
};

fn operation(case: &Case<'_>) -> Operation {
    let (path, query) = match case.path.split_once('?') {
        Some((path, query)) => (path, Some(query.into())),
        None => (case.path, None),
    };
    let mut request = Request { method: case.method.into(), path: path.into(), query, ..Request::default() };
    request.headers.push("Content-Type", case.media_type.to_owned());
    request.body = Body::whole(case.body.to_vec());
    let mut response = Response { status: 200, ..Response::default() };
    response.headers.push("content-type", case.answer_type.to_owned());
    response.body = Body::whole(case.answer.to_vec());
    let mut exchange = Exchange::new(ExchangeId::new(Timestamp::default()), Timestamp::default(), request);
    exchange.response = Some(response);
    identify(&mut exchange, &Templates::default());
    exchange.operation.unwrap()
}

fn shown(case: &Case<'_>) -> String {
    let found = operation(case);
    let parts = [found.kind, found.name, found.error.map(|error| format!("!{error}").into())];
    let parts: Vec<CompactString> = parts.into_iter().flatten().collect();
    format!("{} {}", found.protocol.name(), parts.join(" "))
}

#[test]
fn graphql_is_recognised_by_its_document() {
    for (body, expected) in [
        (r#"{"query":"query Cart($id: ID!) { cart(id: $id) { total } }"}"#, "graphql query Cart"),
        (r#"{"query":"mutation { a: addItem(sku: \"x\") { id } pay }"}"#, "graphql mutation addItem, pay"),
        (r#"{"query":"{ viewer { login } ...F @include(if: true) }"}"#, "graphql query viewer"),
        (r#"{"query":"subscription S { s }"}"#, "graphql subscription S"),
        (
            r#"{"operationName":"B","query":"query A { a } query B { b } fragment F on T @x { c }"}"#,
            "graphql query B",
        ),
        (r#"{"operationName":"P","extensions":{"persistedQuery":{"version":1}}}"#, "graphql query P"),
        (r#"[{"query":"{a}"},{"query":"{b}"}]"#, "graphql query a, b"),
        (r##"{"query":"# note\n,, query Q { q }"##, "graphql query Q"),
        (r#"{"query":"{ a(x: \"}\") { b } c"#, "graphql query a"),
        (r#"{"query":"shoes"}"#, "rest "),
        (r#"{"query":"query for red shoes {size: 42}"}"#, "rest "),
        (r#"{"query":{"match_all":{}}}"#, "rest "),
        (r#"{"query":"{}"}"#, "graphql query"),
        (r#"[1,2,3]"#, "rest "),
        ("[]", "rest "),
    ] {
        assert_eq!(shown(&Case { body: body.as_bytes(), ..POST }), expected, "{body}");
    }
    let document = Case { media_type: "application/graphql", body: b"query Q { q }", ..POST };
    assert_eq!(shown(&document), "graphql query Q");
    let get = Case { method: "GET", path: "/graphql?query=query+G+%7B+g+%7D", media_type: "", ..POST };
    assert_eq!(shown(&get), "graphql query G");
    let search = Case { method: "GET", path: "/search?query=red+shoes", media_type: "", ..POST };
    assert_eq!(shown(&search), "rest ");
}

#[test]
fn errors_inside_successful_answers_are_found_and_messages_are_not_kept() {
    let call = Case { body: br#"{"query":"{ a }"}"#, ..POST };
    for (answer, expected) in [
        (r#"{"data":{"a":1}}"#, "graphql query a"),
        (
            r#"{"data":null,"errors":[{"message":"no","extensions":{"code":"UNAUTHENTICATED"}}]}"#,
            "graphql query a !UNAUTHENTICATED",
        ),
        (r#"{"errors":[{"message":"secret"}]}"#, "graphql query a !error"),
        (r#"{"errors":[]}"#, "graphql query a"),
        (r#"[{"data":1},{"errors":[{}]}]"#, "graphql query a !error"),
    ] {
        assert_eq!(shown(&Case { answer: answer.as_bytes(), ..call }), expected, "{answer}");
    }
    let events = Case {
        answer_type: "text/event-stream",
        answer: b"event: next\ndata: {\"errors\":[{}]}\n\n",
        ..call
    };
    assert_eq!(shown(&events), "graphql query a !error");
}

#[test]
fn json_rpc_is_recognised_with_batches_and_tools() {
    let batch = br#"[{"jsonrpc":"2.0","method":"a","id":1},{"jsonrpc":"2.0","method":"b"},{"jsonrpc":"2.0","method":"a"}]"#;
    assert_eq!(shown(&Case { body: batch, ..POST }), "json_rpc a, b");
    let old = Case { body: br#"{"method":"a","params":[],"id":1}"#, ..POST };
    assert_eq!(shown(&old), "rest ");
    let tool = Case { body: &data("jsonrpc-mcp/CallToolRequest"), ..POST };
    assert_eq!(shown(&tool), "json_rpc tools/call get_weather");
    let answered = Case { answer: &data("jsonrpc-mcp/CallToolResultResponse"), ..tool };
    assert_eq!(shown(&answered), "json_rpc tools/call get_weather");
    let failed =
        Case { answer: br#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#, ..tool };
    assert_eq!(shown(&failed), "json_rpc tools/call get_weather !tool_error");
    let prompt = Case { body: &data("jsonrpc-mcp/GetPromptRequest"), ..POST };
    assert_eq!(shown(&prompt), "json_rpc prompts/get code_review");
}

#[test]
fn every_ethereum_exchange_names_its_method_and_its_error() {
    let (mut calls, mut errors) = (0, 0);
    for file in files("jsonrpc-ethereum", "io") {
        let text = fs::read_to_string(&file).unwrap();
        let method = file.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut request = None;
        for line in text.lines() {
            if let Some(body) = line.strip_prefix(">> ") {
                request = Some(body);
            } else if let (Some(answer), Some(body)) = (line.strip_prefix("<< "), request.take()) {
                let found = operation(&Case { body: body.as_bytes(), answer: answer.as_bytes(), ..POST });
                assert_eq!(
                    (found.protocol, found.name.as_deref()),
                    (Protocol::JsonRpc, Some(method.as_str())),
                    "{file:?}"
                );
                let expected = serde_json::from_str::<serde_json::Value>(answer).unwrap();
                let code = expected.get("error").map(|error| error["code"].to_string());
                assert_eq!(found.error.as_deref(), code.as_deref(), "{file:?}");
                calls += 1;
                errors += usize::from(code.is_some());
            }
        }
    }
    assert!(calls > 140 && errors > 40, "{calls} calls, {errors} errors");
}

#[test]
fn every_soap_sample_names_its_operation() {
    let (mut envelopes, mut faults) = (0, 0);
    for file in files("soap-samples", "xml") {
        let text = fs::read(&file).unwrap();
        let is_fault = memchr::memmem::find(&text, b"Fault>").is_some();
        // One sample shows an answer wrapped in a multipart message; one has other text before the envelope.
        let Some(envelope) = soap::named(&Request::default(), "text/xml", &text, None) else {
            assert!(
                memchr::memmem::find(&text, b"Envelope").is_none() || !text.starts_with(b"<"),
                "{file:?}"
            );
            continue;
        };
        envelopes += 1;
        let folder = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let request = file.file_name().unwrap() == "request.xml";
        let empty = memchr::memmem::find(&text, b"Body/>").is_some()
            || memchr::memmem::find(&text, b"Body></").is_some();
        assert!(envelope.name.is_some() || empty || !request, "{folder}");
        if is_fault {
            let case =
                Case { media_type: "text/xml", body: &text, answer_type: "text/xml", answer: &text, ..POST };
            assert!(operation(&case).error.is_some(), "{folder}");
            faults += 1;
        }
    }
    assert!(envelopes > 150, "{envelopes} envelopes, {faults} faults");
}

#[test]
fn soap_actions_and_faults_are_read() {
    let body =
        br#"<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/>
        <s:Body> <o:PlaceOrder xmlns:o="urn:o"><o:id>1</o:id></o:PlaceOrder></s:Body></s:Envelope>"#;
    let call = Case { media_type: "application/soap+xml", body, ..POST };
    assert_eq!(shown(&call), "soap PlaceOrder");
    let fault = br#"<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body><Fault>
        <faultcode>soap:Client</faultcode><faultstring>secret</faultstring></Fault></Body></Envelope>"#;
    assert_eq!(shown(&Case { answer_type: "text/xml", answer: fault, ..call }), "soap PlaceOrder !Client");
    let fault = br#"<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code>
        <e:Value>e:Sender</e:Value></e:Code></e:Fault></e:Body></e:Envelope>"#;
    assert_eq!(shown(&Case { answer_type: "text/xml", answer: fault, ..call }), "soap PlaceOrder !Sender");
    let empty = br#"<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body/></e:Envelope>"#;
    let media_type = "application/soap+xml; charset=utf-8; action=\"urn:shop/ListOrders\"";
    assert_eq!(shown(&Case { media_type, body: empty, ..POST }), "soap ListOrders");
    let feed = Case { media_type: "application/xml", body: b"<Envelope><Body/></Envelope>", ..POST };
    assert_eq!(shown(&feed), "rest ");
}

#[test]
fn grpc_status_is_found_in_trailers_headers_and_frames() {
    let call = Case { path: "/shop.v1.Orders/Get", media_type: "application/grpc+proto", ..POST };
    assert_eq!(shown(&call), "grpc shop.v1.Orders/Get");
    let mut frames = b"\x00\x00\x00\x00\x02hi\x80\x00\x00\x00\x10".to_vec();
    frames.extend_from_slice(b"grpc-status: 5\r\n");
    assert_eq!(shown(&Case { answer: &frames, ..call }), "grpc shop.v1.Orders/Get !NOT_FOUND");

    let request = Request { path: "/a.B/C".into(), ..Request::default() };
    for (status, expected) in [("0", None), ("16", Some("UNAUTHENTICATED")), ("99", Some("99"))] {
        let mut response = Response::default();
        response.trailers.push("grpc-status", status.to_owned());
        assert_eq!(grpc::named(&request, Some(&response)).error.as_deref(), expected);
    }
}

#[test]
fn upgrades_are_websockets() {
    let mut request = Request { method: "GET".into(), path: "/live/42".into(), ..Request::default() };
    request.headers.push("Upgrade", "WebSocket");
    assert_eq!(recognise(&request, None).0, Protocol::WebSocket);
}

#[test]
fn graphql_documents_of_all_kinds_are_read() {
    let mut operations = 0;
    for file in files("graphql/documents", "graphql") {
        let text = fs::read(&file).unwrap();
        operations += usize::from(in_document(&text).is_some());
    }
    assert!(operations > 20, "{operations}");
    let kitchen_sink = fs::read(testdata("graphql/kitchen-sink.graphql")).unwrap();
    let named = in_document(&kitchen_sink).unwrap().named(None);
    assert_eq!((named.kind, named.name.as_deref()), (Some("query"), Some("queryName")));
}

proptest::proptest! {
    #[test]
    fn foreign_bodies_are_never_trouble(body: Vec<u8>, answer: Vec<u8>, kind in 0..5_usize) {
        let types = ["application/json", "text/xml", "application/graphql", "application/grpc-web", ""];
        let _found = operation(&Case { body: &body, answer: &answer, media_type: types[kind], answer_type: types[kind], ..POST });
    }

    #[test]
    fn any_text_is_lexed(text in "[a-z{}()\":@.#\\\\é\n ]{0,60}") {
        for lexeme in Lexer::new(&text) {
            if let Lexeme::Name(span) | Lexeme::Text(span) | Lexeme::Other(span) = lexeme {
                proptest::prop_assert!(text.get(span).is_some());
            }
        }
        let _call = in_document(text.as_bytes());
    }
}

/// The first file in a folder of `testdata/`.
fn data(folder: &str) -> Vec<u8> {
    fs::read(files(folder, "json").first().unwrap()).unwrap()
}

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

/// All files below a folder of `testdata/` with this extension, sorted.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![testdata(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {extension} files in {folder}");
    found
}
