//! The messages, and that they arrive.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId, Request};
use weir_pipeline::{Batch, Delivered, ExportError};

use super::{EXPORTER, gelf};
use crate::tyk::record::{Record, Time};

#[test]
fn a_message_has_the_text_and_every_field() {
    let record = Record {
        method: "GET".into(),
        response_code: 200,
        tags: Some(vec!["a".into(), "b".into()]),
        time_stamp: Time { seconds: 1_795_175_537, nanos: 725_064_306 },
        ..Record::default()
    };
    let fields = ["method", "response_code", "tags"].map(ToOwned::to_owned);
    let message: Value = serde_json::from_slice(&gelf::message(&record, &fields)).unwrap();
    assert_eq!(
        message,
        json!({
            "version": "1.1", "host": "tyk-pumps", "timestamp": 1_795_175_537.725, "level": 6,
            "short_message": "{\"method\":\"GET\",\"response_code\":200,\"tags\":[\"a\",\"b\"]}",
            "_method": "GET", "_response_code": 200, "_tags": "a,b",
        })
    );
}

#[test]
fn long_messages_are_cut_into_chunks_and_too_long_ones_are_not_sent() {
    let id = *b"12345678";
    for (length, count) in [(1_420, 1), (1_421, 2), (128 * 1_420, 128)] {
        let message: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let datagrams = gelf::datagrams(message.clone(), id).unwrap();
        assert_eq!(datagrams.len(), count, "{length}");
        if count > 1 {
            for (number, datagram) in datagrams.iter().enumerate() {
                assert_eq!(datagram[..2], [0x1E, 0x0F]);
                assert_eq!(datagram[2..10], id);
                assert_eq!(datagram[10..12], [number as u8, count as u8]);
            }
            let whole: Vec<u8> = datagrams.iter().flat_map(|datagram| &datagram[12..]).copied().collect();
            assert_eq!(whole, message);
        }
    }
    assert_eq!(gelf::datagrams(vec![0; 128 * 1_420 + 1], id), None);
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
async fn a_real_udp_socket_receives_messages() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let huge = format!("/{}", "x".repeat(200_000));
    let settings = json!({"host": "127.0.0.1", "port": port, "tags": ["path"]});
    let delivered = export(settings, &["/a", &huge, "/b"]).await.unwrap();
    assert_eq!(delivered.rejected.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
    for path in ["/a", "/b"] {
        let mut buffer = [0; 4_096];
        let size = socket.recv(&mut buffer).await.unwrap();
        let message: Value = serde_json::from_slice(&buffer[..size]).unwrap();
        assert_eq!(message["_path"], path);
    }
}

#[tokio::test]
async fn a_real_tcp_socket_receives_messages_ended_by_zero() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    let settings = json!({"host": "127.0.0.1", "port": port, "transport": "tcp"});
    export(settings, &["/a", "/b"]).await.unwrap();
    let bytes = server.await.unwrap();
    let paths: Vec<Value> = bytes
        .split(|byte| *byte == 0)
        .filter(|message| !message.is_empty())
        .map(|message| serde_json::from_slice::<Value>(message).unwrap()["_path"].clone())
        .collect();
    assert_eq!(paths, ["/a", "/b"]);
}
