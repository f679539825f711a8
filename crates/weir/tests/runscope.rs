//! The Kong plugin `runscope` and the Messages API: weir on both ends, and bytes as the original plugin sent them.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Weir, upstream};

/// The specification's example, as the plugin writes it.
const EXAMPLE: &str = r#"{"request":{"method":"POST","url":"http://shop.example.test:8000/items?src=web","headers":{"host":"shop.example.test","accept":["application/json","text/plain"],"content-type":"application/x-www-form-urlencoded"},"body":"sku=42&qty=3","form":{"sku":"42","qty":"3"},"timestamp":1460376000.742},"response":{"status":201,"headers":{"content-type":"application/json","content-length":"17"},"size_bytes":"17","body":"{\"ok\":true,\"n\":1}","timestamp":1460376000.790,"response_time":0.048}}"#;

/// The plugin's call, with the two bytes after the body that no length counts.
fn call(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: api.example.test\r\nConnection: Keep-Alive\r\nAuthorization: Bearer t1\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

struct Answer {
    status: u16,
    body: Value,
}

async fn ask(weir: &Weir, method: &str, path: &str, body: &str) -> Answer {
    let method = method.parse().unwrap();
    let request = weir.client.request(method, weir.server(path)).header("authorization", "Bearer t1");
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or_default() }
}

async fn get(weir: &Weir, path: &str) -> Value {
    let answer = ask(weir, "GET", path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!((&answer.body["meta"]["status"], &answer.body["error"]), (&json!("success"), &Value::Null));
    answer.body["data"].clone()
}

/// The messages of a bucket once there are so many.
async fn messages(weir: &Weir, bucket: &str, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let list = get(weir, &format!("/buckets/{bucket}/messages?count=1000")).await;
        let list = list.as_array().unwrap().clone();
        if list.len() >= count {
            assert_eq!(list.len(), count, "each once");
            return list;
        }
        assert!(Instant::now() < deadline, "{} of {count} messages in {bucket}", list.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_reports_to_our_own_service() {
    let weir = Weir::start().await;
    weir.route_everything_to(&upstream().await).await;
    for (name, form) in [
        ("b1", [("bucket_key", "b1"), ("config.access_token", "t1"), ("config.batch_size", "1")]),
        ("b2", [("config.bucket", "b2"), ("access_token", "t1"), ("batch_size", "50")]),
        ("b3", [("value.bucket_key", "b3"), ("value.access_token", "t1"), ("strict_kong", "true")]),
    ] {
        let (route, path) = (format!("route-{name}"), format!("/{name}"));
        let route = [("name", route.as_str()), ("paths[]", path.as_str()), ("strip_path", "false")];
        assert_eq!(weir.configure("/services/shop/routes", &route).await.status(), 201);
        // The slash at the end makes two of them.
        let endpoint = weir.server("/");
        let mut all = vec![("name", "runscope"), ("api_endpoint", endpoint.as_str()), ("log_body", "true")];
        all.extend(form);
        let made = weir.configure(&format!("/routes/route-{name}/plugins"), &all).await;
        assert_eq!(made.status(), 201, "{name}: {}", made.text().await.unwrap());
    }
    let missing = [("name", "runscope"), ("bucket_key", "b1")];
    assert_eq!(weir.configure("/plugins", &missing).await.status(), 400);

    let proxy_port = weir.address("proxy").port();
    for bucket in ["b1", "b2", "b3"] {
        for number in 0..40 {
            let url = weir.proxy(&format!("/{bucket}/{number}?src=web"));
            let request = weir.client.post(url).header("host", "Shop.example.test");
            let form =
                request.header("content-type", "application/x-www-form-urlencoded").body("sku=42&sku=43");
            assert_eq!(form.send().await.unwrap().status(), 200);
        }
        let list = messages(&weir, bucket, 40).await;
        let url = format!("http://shop.example.test:{proxy_port}/{bucket}/39?src=web");
        let newest = list.iter().find(|message| message["request"]["url"] == url).expect("the last call");
        assert_eq!(newest["request"]["params"], json!({"src": ["web"]}));
        assert_eq!(newest["request"].get("body"), None, "lists leave bodies out");
        let uuid = newest["uuid"].as_str().unwrap();
        let whole = get(&weir, &format!("/buckets/{bucket}/messages/{uuid}")).await;
        assert_eq!(whole["request"]["body"], "sku=42&sku=43");
        assert_eq!(whole["request"]["form"], json!({"sku": ["42", "43"]}));
        assert_eq!((&whole["response"]["status"], &whole["response"]["reason"]), (&json!(200), &json!("OK")));
        assert!(whole["response"]["size_bytes"].is_u64() && whole["response"]["response_time"].is_number());
        assert_eq!(whole["unique_identifier"].is_string(), bucket != "b3", "the original sent none");
    }
    let ledger = weir.ask("/api/v1/ledger").await;
    assert_eq!(ledger["balanced"], true);
}

/// Senders that leave at once, as the plugin does: the message is kept all the same.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_the_original_plugin_are_understood() {
    let weir = Weir::start().await;
    let connect = || TcpStream::connect(weir.address("server")).unwrap();

    // Leaves without a look at the answer.
    let mut stream = connect();
    stream.write_all(&call("/buckets/gone/messages", EXAMPLE)).unwrap();
    drop(stream);
    messages(&weir, "gone", 1).await;

    // Closes its side first.
    let mut stream = connect();
    stream.write_all(&call("//buckets/half/messages", EXAMPLE)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    messages(&weir, "half", 1).await;

    // Three calls on one connection, none of whose answers is read before all are sent.
    let mut stream = connect();
    for _ in 0..3 {
        stream.write_all(&call("/buckets/kept/messages", EXAMPLE)).unwrap();
    }
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    while String::from_utf8_lossy(&text).matches("HTTP/1.1 200 OK").count() < 3 {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&buffer[..count]);
    }
    assert!(!String::from_utf8_lossy(&text).contains(" 400 "));

    // Goes on after the answer, with the stray bytes first in what is read for the next call.
    for _ in 0..2 {
        stream.write_all(&call("/buckets/kept/messages", EXAMPLE)).unwrap();
        let count = stream.read(&mut buffer).unwrap();
        assert!(
            buffer[..count].starts_with(b"HTTP/1.1 200 OK"),
            "{}",
            String::from_utf8_lossy(&buffer[..count])
        );
    }
    messages(&weir, "kept", 5).await;

    // Closes 30 ms after its last byte, whatever has come by then.
    let mut stream = connect();
    let mut binary = call("/buckets/late/messages", EXAMPLE);
    let at = binary.windows(3).position(|part| part == b"sku").unwrap();
    binary[at] = 0xFF;
    stream.write_all(&binary).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    drop(stream);
    let list = messages(&weir, "late", 1).await;
    let uuid = list[0]["uuid"].as_str().unwrap();
    let message = get(&weir, &format!("/buckets/late/messages/{uuid}")).await;
    assert_eq!(message["request"]["body"], "\u{FFFD}ku=42&qty=3");
    assert_eq!(message["request"]["host"], "shop.example.test:8000");
    assert_eq!(message["request"]["headers"]["accept"], json!(["application/json", "text/plain"]));
    assert_eq!(message["request"]["timestamp"], 1460376000.742);
    assert_eq!(message["response"]["reason"], "Created");
    assert_eq!(message["response"]["timestamp"], 1460376000.79);
    assert_eq!((&message["response"]["size_bytes"], &message["bucket_key"]), (&json!(17), &json!("late")));
}

fn message(number: u32, status: u16) -> Value {
    json!({
        "unique_identifier": format!("x-{number}"),
        "request": {"method": "GET", "url": format!("http://a.test/items/{number}"),
            "headers": {"X-Id": number}, "timestamp": 1_460_376_000 + number},
        "response": {"status": status, "headers": {}, "body": "card declined", "size_bytes": 13 + number,
            "response_time": f64::from(number) / 10.0},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_listed_searched_and_removed() {
    let weir = Weir::start().await;
    let bulk: Vec<Value> =
        (0..20).map(|number| message(number, if number < 5 { 500 } else { 200 })).collect();
    let answer = ask(&weir, "POST", "/buckets/b1/messages", &json!(bulk).to_string()).await;
    assert_eq!((answer.status, &answer.body["meta"]["success_count"]), (200, &json!(20)));
    ask(&weir, "POST", "/buckets/b2/messages", &message(99, 200).to_string()).await;
    let again = ask(&weir, "POST", "/buckets/b1/messages", &json!(bulk).to_string()).await;
    assert_eq!(again.body["data"], answer.body["data"], "a repeated call is recognised");
    let list = messages(&weir, "b1", 20).await;
    messages(&weir, "b2", 1).await;
    assert_eq!(list[0]["uuid"], answer.body["data"][19]["uuid"], "newest first");

    let names = async |query: &str| -> Vec<String> {
        let list = get(&weir, &format!("/buckets/b1/{query}")).await;
        let name = |message: &Value| message["unique_identifier"].as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(names("messages?count=2").await, ["x-19", "x-18"]);
    assert_eq!(names("messages?since=1460376017").await, ["x-19", "x-18"], "only after");
    assert_eq!(names("messages?before=1460376002").await, ["x-1", "x-0"], "only before");
    assert_eq!(names("stream?since=1460376005.5&before=1460376006.5").await, ["x-6"]);
    assert_eq!(names("errors").await, ["x-4", "x-3", "x-2", "x-1", "x-0"]);
    assert_eq!(names("captures").await, [""; 0]);
    assert_eq!(names("messages?q=status:500+path:/items/3").await, ["x-3"]);
    assert_eq!(names("messages?q=time:%3E1.75").await, ["x-19", "x-18"]);
    assert_eq!(names("messages?q=header.x-id:7+%22card+declined%22").await, ["x-7"]);
    assert_eq!(names("messages?q=size:%3C14").await, ["x-0"]);
    assert_eq!(ask(&weir, "GET", "/buckets/b1/messages?q=status:high", "").await.status, 400);
    assert_eq!(ask(&weir, "GET", "/buckets/b1/messages?since=soon", "").await.status, 400);

    let uuid = list[0]["uuid"].as_str().unwrap();
    let elsewhere = ask(&weir, "GET", &format!("/buckets/b2/messages/{uuid}"), "").await;
    assert_eq!((elsewhere.status, &elsewhere.body["error"]["status"]), (404, &json!(404)));
    let buckets = get(&weir, "/buckets").await;
    let keys: Vec<&str> = buckets.as_array().unwrap().iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["b1", "b2"]);
    assert_eq!(get(&weir, "/account").await["name"], "default");
    let made = ask(&weir, "POST", "/buckets", r#"{"name":"Shop","team_id":"x"}"#).await;
    assert_eq!((made.status, made.body["data"]["key"].as_str().unwrap().len()), (201, 12));

    assert_eq!(ask(&weir, "DELETE", "/buckets/b1/messages", "").await.status, 204);
    assert_eq!(names("messages").await, [""; 0]);
    messages(&weir, "b2", 1).await;
    let gone = ask(&weir, "GET", &format!("/buckets/b1/messages/{uuid}"), "").await;
    assert_eq!(gone.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_has_its_own_fate_and_strangers_none() {
    let variables =
        [("WEIR_COLLECTOR__UNKNOWN_CREDENTIALS", "refuse"), ("WEIR_COLLECTOR__TOKENS", "{\"t1\":\"shop\"}")];
    let weir = Weir::start_with(&variables).await;
    let mixed = json!([message(1, 200), {"request": {"method": "GET", "url": "/x"}}, message(2, 200), 7]);
    let answer = ask(&weir, "POST", "/buckets/b1/messages", &mixed.to_string()).await;
    let meta = json!({"status": "success", "success_count": 2, "warning_count": 0, "error_count": 2});
    assert_eq!((answer.status, &answer.body["meta"]), (200, &meta));
    let data = answer.body["data"].as_array().unwrap();
    let fates: Vec<&str> = data.iter().map(|item| item["status"].as_str().unwrap()).collect();
    assert_eq!(fates, ["success", "error", "success", "error"]);
    assert_eq!(
        (&data[0]["unique_identifier"], &data[2]["unique_identifier"]),
        (&json!("x-1"), &json!("x-2"))
    );
    assert_eq!(data[1]["error"]["message"], "request.url \"/x\" is not an absolute URL");
    assert_eq!((&data[1]["uuid"], &data[0]["error"]), (&Value::Null, &Value::Null));
    messages(&weir, "b1", 2).await;
    assert_eq!(weir.ask("/api/v1/exchanges?project=shop").await["total"]["value"], 2);

    let expected = json!({"data": {}, "error": {"message": "Authentication required", "status": 401},
        "meta": {"status": "error"}});
    let url = weir.server("/buckets/b1/messages");
    let stranger = async |request: reqwest::RequestBuilder| {
        let answer = request.body(message(3, 200).to_string()).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    for request in [
        weir.client.post(&url),
        weir.client.post(&url).header("authorization", "Bearer nobody"),
        weir.client.get(&url),
        weir.client.get(&url).header("authorization", "Bearer nobody"),
    ] {
        assert_eq!(stranger(request).await, (401, expected.clone()));
    }
    let by_query = weir.client.get(format!("{url}?access_token=t1"));
    assert_eq!(stranger(by_query).await.0, 200);
    let not_json = ask(&weir, "POST", "/buckets/b1/messages", "{").await;
    assert_eq!((not_json.status, &not_json.body["error"]["status"]), (400, &json!(400)));
    messages(&weir, "b1", 2).await;
}
