//! do-not-track: of such a call nothing is kept, wherever one looks; its neighbours are kept everywhere.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::receiver::{Call, Recorder};
use support::redis::Server;
use support::{Weir, upstream};

/// A word that occurs in path, query, headers and bodies of one call, and nowhere else.
const NEVER: &str = "xyzzynevermore";
/// The same of a call that is kept.
const KEPT: &str = "xyzzyalways";

/// A weir with Redis and a receiver behind its gateway, which all take every call they are given.
struct Everywhere {
    weir: Weir,
    redis: Server,
    receiver: Recorder,
}

impl Everywhere {
    async fn start() -> Self {
        let (redis, receiver) = (Server::start().await, Recorder::start(200).await);
        let capture = [
            ("WEIR_GATEWAY__CAPTURE__REQUEST_BODY_BYTES", "64KiB"),
            ("WEIR_GATEWAY__CAPTURE__RESPONSE_BODY_BYTES", "64KiB"),
            ("WEIR_STORE__COMMIT_INTERVAL", "100ms"),
        ];
        let weir = Weir::start_with(&capture).await;
        weir.route_everything_to(&upstream().await).await;
        let all = Self { weir, redis, receiver };
        let storage = json!({"host": "127.0.0.1", "port": all.redis.port});
        all.configure(
            "/plugins",
            &json!({"name": "tyk", "config":
            {"storage": storage, "enable_detailed_recording": true}}),
        )
        .await;
        let galileo = json!({"service_token": "t", "host": "127.0.0.1", "port": all.receiver.address.port(),
            "https": false, "log_bodies": true, "flush_timeout": 0.05});
        all.configure("/plugins", &json!({"name": "galileo", "config": galileo})).await;
        all
    }

    async fn configure(&self, path: &str, body: &Value) {
        let request = self.weir.client.post(self.weir.admin(path)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 201, "{path}: {text}");
    }

    /// A call with the word wherever a call can have one, the answer included.
    async fn call(&self, method: &str, path: &str, word: &str, key: Option<&str>) -> u16 {
        let url = self.weir.proxy(&format!("{path}/{word}?query={word}"));
        let mut request = self.weir.client.request(method.parse().unwrap(), url);
        request = request.header("x-word", word).header("user-agent", word);
        if let Some(key) = key {
            request = request.header("apikey", key);
        }
        let answer = request.body(format!("{{\"word\":\"{word}\"}}")).send().await.unwrap();
        answer.status().as_u16()
    }

    /// Waits until `count` calls are at every place; what was to be kept from there would be there by then, too.
    async fn settled(&self, count: u64) {
        let enough = |ledger: &Value| {
            let targets = ledger["targets"].as_array().unwrap();
            targets.len() >= 3 && targets.iter().all(|target| target["delivered"] == count)
        };
        self.weir.wait_for("/api/v1/ledger", enough).await;
        let kept = |list: &Value| list["exchanges"].as_array().unwrap().len() as u64;
        assert_eq!(kept(&self.weir.ask("/api/v1/exchanges?limit=100").await), count);
    }

    /// The places where the word is found.
    async fn places_of(&self, word: &str) -> Vec<&'static str> {
        let mut places = Vec::new();
        let list = self.weir.ask("/api/v1/exchanges?limit=100").await;
        for row in list["exchanges"].as_array().unwrap() {
            let whole = self.weir.ask(&format!("/api/v1/exchanges/{}", row["id"].as_str().unwrap())).await;
            if whole.to_string().contains(word) {
                places.push("api");
            }
        }
        if self.redis_values().iter().any(|value| contains(value, word)) {
            places.push("redis");
        }
        let held = |call: &Call| call.head.contains(word) || contains(&call.body, word);
        if self.receiver.calls().iter().any(held) {
            places.push("receiver");
        }
        let files = files_under(&self.weir.data_dir());
        assert!(files.len() > 3, "{files:?}");
        if files.iter().any(|file| contains(&std::fs::read(file).unwrap_or_default(), word)) {
            places.push("files");
        }
        places.dedup();
        places
    }

    /// All values of all lists in Redis.
    fn redis_values(&self) -> Vec<Vec<u8>> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.redis.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        let list = |key: &String| -> Vec<Vec<u8>> {
            redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut connection).unwrap()
        };
        keys.iter().flat_map(list).collect()
    }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files
}

/// A service of this name under its own path, and one plugin on it.
async fn add_service(all: &Everywhere, name: &str, upstream: &str, plugins: &[Value]) {
    all.configure("/services", &json!({"name": name, "url": upstream})).await;
    let paths = json!({"name": name, "paths": [format!("/{name}")]});
    all.configure(&format!("/services/{name}/routes"), &paths).await;
    for plugin in plugins {
        all.configure(&format!("/services/{name}/plugins"), plugin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_call_that_is_not_tracked_nothing_is_kept_anywhere() {
    let all = Everywhere::start().await;
    let upstream = upstream().await;
    let endpoint = json!({"method": "PUT", "path": "/private/{id}"});
    let config = json!({"endpoints": [endpoint]});
    all.configure("/services/shop/plugins", &json!({"name": "do-not-track", "config": config})).await;
    let key_auth = json!({"name": "key-auth"});
    add_service(&all, "quiet", &upstream, &[json!({"name": "do-not-track"}), key_auth.clone()]).await;
    add_service(&all, "keyed", &upstream, &[key_auth]).await;
    for consumer in ["ann", "bob"] {
        all.configure("/consumers", &json!({"username": consumer})).await;
        let key = json!({"key": format!("key-of-{consumer}")});
        all.configure(&format!("/consumers/{consumer}/key-auth"), &key).await;
    }
    all.configure("/consumers/ann/plugins", &json!({"name": "do-not-track"})).await;

    let (ann, bob) = (Some("key-of-ann"), Some("key-of-bob"));
    for (method, path, word, key, status) in [
        // An endpoint, in any spelling of its path; another method and another path are its neighbours.
        ("PUT", "/private", NEVER, None, 200),
        ("PUT", "//%70rivate", NEVER, None, 200),
        ("POST", "/private", KEPT, None, 200),
        ("PUT", "/public", KEPT, None, 200),
        // A whole service, also what it refuses.
        ("PUT", "/quiet", NEVER, None, 401),
        ("PUT", "/quiet", NEVER, bob, 200),
        // A consumer.
        ("PUT", "/keyed", NEVER, ann, 200),
        ("PUT", "/keyed", KEPT, bob, 200),
    ] {
        assert_eq!(all.call(method, path, word, key).await, status, "{method} {path}");
    }
    // What comes later on the same way, so that nothing earlier can still be under way.
    assert_eq!(all.call("PUT", "/last", KEPT, None).await, 200);
    all.settled(4).await;

    assert_eq!(all.places_of(KEPT).await, ["api", "redis", "receiver", "files"]);
    assert_eq!(all.places_of(NEVER).await, [""; 0]);
    let metrics =
        all.weir.client.get(all.weir.server("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nweir_gateway_untracked_total 5.0\n"), "{metrics}");
    let ledger = all.weir.ask("/api/v1/ledger").await;
    assert_eq!(ledger["balanced"], true);

    // What only memory held is in files once it has stopped.
    let Everywhere { mut weir, .. } = all;
    weir.stop();
    let holding =
        |word| files_under(&weir.data_dir()).iter().any(|file| contains(&std::fs::read(file).unwrap(), word));
    assert_eq!((holding(KEPT), holding(NEVER)), (true, false));
}
