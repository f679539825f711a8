//! Reports made to hurt: bombs, endless nesting, endless heads. Each is refused within its limit, and weir goes on.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::json;
use support::Weir;

/// More than any mount takes, inflated; a few hundred kilobytes packed.
const BOMB_BYTES: usize = 300 << 20;

/// Spaces, which JSON allows in any number.
fn bomb(mut encoder: impl Write) {
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..BOMB_BYTES >> 20 {
        encoder.write_all(&spaces).unwrap();
    }
}

fn packed(coding: &str, fill: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let level = Compression::fast();
    match coding {
        "gzip" => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            fill(&mut encoder);
            encoder.finish().unwrap()
        }
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            fill(&mut encoder);
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = DeflateEncoder::new(Vec::new(), level);
            fill(&mut encoder);
            encoder.finish().unwrap()
        }
    }
}

async fn post(weir: &Weir, path: &str, coding: &str, body: Vec<u8>) -> u16 {
    let request = weir.client.post(weir.server(path)).header("x-moesif-application-id", "app");
    let request = if coding.is_empty() { request } else { request.header("content-encoding", coding) };
    request.body(body).send().await.unwrap().status().as_u16()
}

fn event(path: &str) -> String {
    let at = "2026-11-20T12:00:00Z";
    json!({
        "request": {"time": at, "uri": format!("https://a.example{path}"), "verb": "GET", "headers": {}},
        "response": {"time": at, "status": 200, "headers": {}}
    })
    .to_string()
}

#[tokio::test]
async fn what_unpacks_without_end_is_refused_at_the_limit() {
    let weir = Weir::start().await;
    for (name, coding) in [("gzip", "gzip"), ("zlib", "deflate"), ("raw", "deflate")] {
        let small = packed(name, |out| out.write_all(format!("[{}]", event("/small")).as_bytes()).unwrap());
        assert_eq!(post(&weir, "/v1/events/batch", coding, small).await, 201, "{name}");
        let bomb = packed(name, |out| bomb(out));
        for path in ["/v1/events/batch", "/collector/v1/users", "/v1/actions", "/1.1.0/batch"] {
            assert_eq!(post(&weir, path, coding, bomb.clone()).await, 413, "{name} {path}");
        }
    }
    let twice = packed("gzip", |out| out.write_all(&packed("gzip", |out| bomb(out))).unwrap());
    assert_eq!(post(&weir, "/v1/events/batch", "gzip, gzip", twice).await, 413);
    assert_eq!(post(&weir, "/v1/events/batch", "gzip, gzip, gzip, gzip", Vec::new()).await, 400);
    assert_eq!(post(&weir, "/v1/events/batch", "lzma", Vec::new()).await, 415);
    assert_eq!(post(&weir, "/v1/events/batch", "gzip", b"no gzip".to_vec()).await, 400);
    let held = weir.memory().own_bytes;
    assert!(held < BOMB_BYTES as u64, "{held} bytes are held");
}

#[tokio::test]
async fn endless_nesting_hurts_only_itself() {
    let weir = Weir::start().await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        let open = open.repeat(10_000);
        let with_body =
            event("/deep").replace("\"headers\":{}", &format!("\"headers\":{{}},\"body\":{deep}"));
        let batch = format!("[{with_body},{}]", event("/after"));
        assert_eq!(post(&weir, "/v1/events/batch", "", batch.into_bytes()).await, 201);
        for body in
            [&deep, &open, &format!("[{deep}]"), &format!("{{\"user_id\":\"u\",\"metadata\":{deep}}}")]
        {
            for path in
                ["/v1/events", "/v1/events/batch", "/v1/users", "/v1/users/batch", "/v1/actions/batch"]
            {
                let status = post(&weir, path, "", body.clone().into_bytes()).await;
                assert_eq!(status, 400, "{path} {}", &body[..20.min(body.len())]);
            }
        }
    }
    let after = |answer: &serde_json::Value| answer["exchanges"].as_array().unwrap().len() == 2;
    weir.wait_for("/api/v1/exchanges?q=path:/after", after).await;
    let users = weir.ask("/api/v1/users").await;
    assert_eq!(users["profiles"], json!([]));
}

#[tokio::test]
async fn heads_without_end_are_refused() {
    let weir = Weir::start().await;
    let status = |fields: String| {
        let address = weir.address("server");
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nHost: weir\r\nX-Moesif-Application-Id: app\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        // The server may have answered and closed before all is written.
        let _broken_pipe = stream.write_all(head.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[9..]).into_owned()
    };
    let many = |count: usize| (0..count).map(|number| format!("X-{number}: 1\r\n")).collect::<String>();
    assert_eq!(status(many(100)), "400", "an empty body is no event, but the head is read");
    assert_eq!(status(many(250)), "431");
    assert_eq!(status(many(100_000)), "431");
    assert_eq!(status(format!("X-Long: {}\r\n", "a".repeat(1 << 20))), "431");
    // Headers inside of an event have a limit of their own, which costs only that event.
    let fields = (0..20_000).map(|number| format!("\"x-{number}\":\"1\"")).collect::<Vec<_>>().join(",");
    let swollen = event("/swollen").replacen("\"headers\":{}", &format!("\"headers\":{{{fields}}}"), 1);
    let batch = format!("[{swollen},{}]", event("/lean"));
    assert_eq!(post(&weir, "/v1/events/batch", "", batch.into_bytes()).await, 201);
    let lean = |answer: &serde_json::Value| answer["exchanges"].as_array().unwrap().len() == 1;
    weir.wait_for("/api/v1/exchanges?q=path:/lean", lean).await;
}
