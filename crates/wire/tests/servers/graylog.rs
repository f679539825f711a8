//! The output `graylog` against a server of GELF that others wrote (graygelf); Graylog itself cannot be had.

use serde_json::{Value, json};

use crate::foreign::Foreign;
use crate::{calls, eventually, output, send};

#[tokio::test]
async fn graygelf_puts_messages_together() {
    let mut server = Foreign::start("gelf", &[]);
    let address = server.line();
    let (host, port) = address.split_once(':').unwrap();
    let settings =
        json!({"host": host, "port": port.parse::<u16>().unwrap(), "tags": ["path", "response_code"]});
    let long = format!("/{}", "x\u{e9}".repeat(10_000));
    send(&*output("graylog", settings), &calls(&["/a", &long, "/b"])).await.unwrap();
    let mut messages = eventually("graygelf reads", async || {
        let seen: Value = serde_json::from_str(&server.ask()).unwrap();
        seen.as_array().filter(|seen| seen.len() >= 3).cloned()
    })
    .await;
    messages.sort_by_key(|message| message["_path"].as_str().unwrap().to_owned());
    let paths: Vec<&str> = messages.iter().map(|message| message["_path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/a", "/b", &long]);
    for message in &messages {
        assert_eq!(message["version"], "1.1");
        assert_eq!(message["_response_code"], 404);
        assert_eq!(message["timestamp"].as_f64(), Some(1_795_175_537.27), "its end");
    }
}
