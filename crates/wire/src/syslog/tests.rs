//! The messages, and that they arrive.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::{Batch, Delivered, ExportError};

use super::EXPORTER;
use super::message::{Content, Format, Frame};
use crate::tyk::record::Record;

fn frame(format: Format, content: Content) -> Frame {
    Frame { format, content, priority: 14, host: "node".into(), tag: "weir".into() }
}

fn record() -> Record<'static> {
    Record {
        method: "GET".into(),
        path: "/a".into(),
        response_code: 200,
        user_agent: "evil\n<0>line".into(),
        ..Record::default()
    }
}

#[test]
fn messages_have_the_form_that_was_asked_for() {
    let (now, pid) = (Timestamp::from_micros(1_795_175_537_250_000), std::process::id());
    let old = frame(Format::Rfc3164, Content::Map).message(&record(), now);
    let expected = format!(
        "<14>2026-11-20T11:52:17Z node weir[{pid}]: map[alias: api_id: api_key: api_name: api_version: \
         content_length:0 host: ip_address: method:GET oauth_id: org_id: path:/a raw_path: raw_request: \
         raw_response: request_time_ms:0 response_code:200 timestamp:0001-01-01 00:00:00 +0000 UTC \
         user_agent:evil\\n<0>line]"
    );
    assert_eq!(old, expected);
    let new = frame(Format::Rfc5424, Content::Json).message(&record(), now);
    let head = format!("<14>1 2026-11-20T11:52:17.25Z node weir {pid} - - ");
    let content: Value = serde_json::from_str(new.strip_prefix(&head).unwrap()).unwrap();
    assert_eq!(content["user_agent"], "evil\n<0>line");
    assert_eq!(content.as_object().unwrap().len(), 19);
    assert!(!new.contains('\n'));
}

async fn export(settings: Value, paths: &[&str]) -> Result<Delivered, ExportError> {
    let settings = weir_kit::schema::check(EXPORTER.fields, settings).unwrap();
    let exporter = (EXPORTER.build)(settings).unwrap().exporter;
    let at = Timestamp::from_seconds(1);
    let exchange = |path: &&str| {
        let request = Request { method: "GET".into(), path: (*path).into(), ..Request::default() };
        Arc::new(Exchange::new(ExchangeId::new(at), at, request))
    };
    let exchanges: Vec<Arc<Exchange>> = paths.iter().map(exchange).collect();
    exporter.export(&Batch { exchanges: &exchanges, next_position: 1 }).await
}

#[tokio::test]
async fn a_real_udp_socket_receives_a_datagram_for_each() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let huge = format!("/{}", "x".repeat(70_000));
    let settings = json!({"network_addr": address, "log_level": 6});
    let delivered = export(settings, &["/a", &huge, "/b"]).await.unwrap();
    assert_eq!(delivered.rejected.len(), 1);
    assert_eq!(delivered.rejected[0].0, 1);
    for path in ["path:/a ", "path:/b "] {
        let mut buffer = [0; 4_096];
        let size = socket.recv(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..size]);
        assert!(text.starts_with("<6>") && text.contains(path), "{text}");
    }
}

#[tokio::test]
async fn a_real_tcp_socket_receives_counted_messages_or_lines() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let settings =
        |format: &str| json!({"network_addr": address, "transport": "tcp", "format": format, "facility": 1});
    let server = tokio::spawn(async move {
        let mut received = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            received.push(text);
        }
        received
    });
    export(settings("rfc3164"), &["/a", "/b"]).await.unwrap();
    export(settings("rfc5424"), &["/a", "/b"]).await.unwrap();
    let received = server.await.unwrap();
    assert_eq!(received[0].lines().filter(|line| line.starts_with("<8>")).count(), 2);
    let mut rest = received[1].as_str();
    for path in ["path:/a ", "path:/b "] {
        let (length, text) = rest.split_once(' ').unwrap();
        let (message, after) = text.split_at(length.parse().unwrap());
        assert!(message.starts_with("<8>1 ") && message.contains(path), "{message}");
        rest = after;
    }
    assert_eq!(rest, "");
}
