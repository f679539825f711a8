//! Senders of ALF as they are in the field, byte for byte, against a running weir (kong-galileo, section 10; kong-analytics, section 5).

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use support::Weir;

/// One connection of a sender that reads answers as Kong's minimal HTTP client did: by `Content-Length`.
struct Sender(TcpStream);

impl Sender {
    fn connect(weir: &Weir) -> Self {
        let stream = TcpStream::connect(weir.address("server")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Head and body of an answer.
    fn answer(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(
                self.0.read(&mut byte).unwrap(),
                1,
                "the connection ended: {}",
                String::from_utf8_lossy(&head)
            );
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

fn entry(path: &str) -> serde_json::Value {
    json!({
        "startedDateTime": "2016-04-11T12:00:00Z", "time": 3,
        "request": {"method": "GET", "url": format!("http://a.test{path}"), "httpVersion": "HTTP/1",
            "queryString": [{"name": "flag", "value": true}], "headers": [{"name": "x-name", "value": "NAME"}],
            "headersSize": -1, "bodySize": -1},
        "response": {"status": 200, "statusText": "", "httpVersion": "", "headers": {}, "headersSize": 0, "bodySize": 0},
        "timings": {"send": 1, "wait": 1, "receive": 1},
    })
}

fn alf(version: &str, token: &str, entries: &serde_json::Value) -> String {
    json!({"version": version, "serviceToken": token,
           "har": {"log": {"creator": {"name": "c", "version": "1"}, "entries": entries}}})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_of_the_field_are_understood_on_one_connection() {
    let weir = Weir::start_with(&[
        ("WEIR_COLLECTOR__UNKNOWN_CREDENTIALS", "refuse"),
        ("WEIR_COLLECTOR__TOKENS", "{\"tok-1\": \"default\"}"),
    ])
    .await;
    let mut sender = Sender::connect(&weir);

    // Kong 0.4 to 0.8: GET with a body and without a type.
    let body = format!("[{}]", alf("1.0.0", "tok-1", &json!([entry("/get")])));
    let head = format!(
        "GET /1.0.0/batch HTTP/1.1\r\ncontent-length: {}\r\nhost: socket.analytics.mashape.com\r\n\
         user-agent: Resty/HTTP 0.1.0 (Lua)\r\naccept: */*\r\n\r\n",
        body.len()
    );
    sender.send(format!("{head}{body}").as_bytes());
    let (head, body) = sender.answer();
    assert!(head.starts_with("http/1.1 200 ") && head.contains("\r\nconnection: keep-alive\r\n"), "{head}");
    assert_eq!(body, "{\"errors\":[],\"sent\":1,\"saved\":1}\n");

    // Two bytes that nobody counted, then a batch without entries, as an object.
    let empty = alf("1.1.0", "tok-1", &json!({}));
    sender.send(
        format!(
            "\r\nPOST /1.1.0/single HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{empty}",
            empty.len()
        )
        .as_bytes(),
    );
    assert_eq!(sender.answer().1, "{\"errors\":[],\"sent\":0,\"saved\":0}\n");

    // Chunked, with bytes that are not UTF-8.
    let text = alf("1.1.0", "tok-1", &json!([entry("/chunked")]));
    let (before, after) = text.split_once("NAME").unwrap();
    let text = [before.as_bytes(), b"caf\xe9", after.as_bytes()].concat();
    sender.send(b"POST /1.1.0/single HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n");
    for piece in text.chunks(100) {
        sender.send(format!("{:x}\r\n", piece.len()).as_bytes());
        sender.send(piece);
        sender.send(b"\r\n");
    }
    sender.send(b"0\r\n\r\n");
    assert_eq!(sender.answer().1, "{\"errors\":[],\"sent\":1,\"saved\":1}\n");

    // What the first generation may be told: 200, 207 or 400, and nothing else.
    let unknown = format!("[{}]", alf("1.0.0", "tok-2", &json!([entry("/unknown")])));
    for (path, body, status) in [
        ("/1.0.0/batch", unknown.as_str(), "207"),
        ("/1.0.0/single", "{broken", "400"),
        ("/1.0.0/batch", "[]", "200"),
        ("/1.1.0/batch", unknown.as_str(), "400"),
    ] {
        let call = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        sender.send(call.as_bytes());
        let (head, said) = sender.answer();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{path} {body}: {head}{said}");
        assert!(head.contains("\r\nconnection: keep-alive\r\n") && said.ends_with('\n'), "{head}{said}");
    }

    // One that does not wait for its answer.
    let body = alf("1.1.0", "tok-1", &json!([entry("/gone")]));
    sender.send(
        format!("POST /1.1.0/single HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .as_bytes(),
    );
    drop(sender);

    let list = weir.wait_for("/api/v1/exchanges", |list| list["total"]["value"] == 3).await;
    let mut paths: Vec<&str> =
        list["exchanges"].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/chunked", "/get", "/gone"]);
    let chunked = list["exchanges"].as_array().unwrap().iter().find(|row| row["path"] == "/chunked").unwrap();
    let whole = weir.ask(&format!("/api/v1/exchanges/{}", chunked["id"].as_str().unwrap())).await;
    assert_eq!(whole["request"]["headers"][0]["value"], "caf\u{fffd}");
    assert_eq!(whole["request"]["version"], "1.0");
}
