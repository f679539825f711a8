//! A running weir, as a person would start it, and an API behind its gateway.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod load;
pub mod receiver;
pub mod redis;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything asked of a weir may take before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A weir process with a data folder of its own.
pub struct Weir {
    child: Option<Child>,
    role: &'static str,
    directory: TempDir,
    variables: BTreeMap<String, String>,
    addresses: Value,
    pub client: Client,
}

impl Weir {
    /// Starts `weir run` on free ports and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further `WEIR_…` variables.
    pub async fn start_with(variables: &[(&str, &str)]) -> Self {
        Self::start_role("run", variables).await
    }

    /// Starts another of the commands that serve.
    pub async fn start_role(role: &'static str, variables: &[(&str, &str)]) -> Self {
        let local = "127.0.0.1:0";
        let mut all: BTreeMap<String, String> = [
            ("WEIR_GATEWAY__PROXY_LISTEN", local),
            ("WEIR_GATEWAY__PROXY_TLS_LISTEN", local),
            ("WEIR_GATEWAY__ADMIN_LISTEN", local),
            ("WEIR_SERVER__LISTEN", local),
            ("WEIR_LOG__LEVEL", "warn"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        all.extend(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        let mut weir = Self {
            child: None,
            role,
            directory: tempfile::tempdir().unwrap(),
            variables: all,
            addresses: Value::Null,
            client: Client::new(),
        };
        weir.launch().await;
        weir
    }

    /// Starts the process again over the same data folder, and waits until it is ready.
    pub async fn launch(&mut self) {
        self.spawn();
        self.wait_until_ready().await;
    }

    /// Starts the process again over the same data folder.
    pub fn spawn(&mut self) {
        let _absent_on_first_start = std::fs::remove_file(self.data_dir().join("run.json"));
        let child = Command::new(binary())
            .arg(self.role)
            .env("WEIR_DATA_DIR", self.data_dir())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub async fn wait_until_ready(&mut self) {
        let run_file = self.data_dir().join("run.json");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("weir ended at start: {status}");
            }
            if let Ok(text) = std::fs::read(&run_file)
                && let Ok(addresses) = serde_json::from_slice(&text)
            {
                self.addresses = addresses;
                if self.is_ready().await {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "weir was not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        if self.role == "gateway" || self.role == "pump" {
            return true;
        }
        let ready = self.client.get(self.server("/readyz")).send().await;
        ready.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    fn url(&self, role: &str, path: &str) -> String {
        let address = self.addresses[role].as_str().unwrap_or_else(|| panic!("no address of {role}"));
        format!("http://{address}{path}")
    }

    pub fn address(&self, role: &str) -> std::net::SocketAddr {
        self.addresses[role].as_str().unwrap().parse().unwrap()
    }

    pub fn proxy(&self, path: &str) -> String {
        self.url("proxy", path)
    }

    pub fn admin(&self, path: &str) -> String {
        self.url("admin", path)
    }

    pub fn server(&self, path: &str) -> String {
        self.url("server", path)
    }

    /// A JSON answer of the server.
    pub async fn ask(&self, path: &str) -> Value {
        let answer = self.client.get(self.server(path)).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A form sent to the Admin API, as `curl -d` does.
    pub async fn configure(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.client
            .post(self.admin(path))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish())
            .send()
            .await
            .unwrap()
    }

    /// A service and a route for `upstream` under `/` of the gateway.
    pub async fn route_everything_to(&self, upstream: &str) {
        let answer = self.configure("/services", &[("name", "shop"), ("url", upstream)]).await;
        assert_eq!(answer.status(), 201);
        let answer = self.configure("/services/shop/routes", &[("name", "all"), ("paths[]", "/")]).await;
        assert_eq!(answer.status(), 201);
    }

    /// Asks again and again until `enough` is content with the answer.
    pub async fn wait_for(&self, path: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(path).await;
            if enough(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} never became what it should: {answer:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the process as the power cord would.
    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the process to stop and waits until it has.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let status = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
        assert!(status.success());
        assert!(child.wait().unwrap().success(), "weir did not stop cleanly");
    }

    /// What the process has of the memory now.
    pub fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let bytes = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
        };
        Memory { own_bytes: bytes("RssAnon:"), mapped_bytes: bytes("RssFile:") }
    }
}

/// Resident memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// What it asked for and only it can give back.
    pub own_bytes: u64,
    /// Pages of its files, the index above all: the system's cache, which shrinks when others need memory.
    pub mapped_bytes: u64,
}

impl Memory {
    /// The larger in each part.
    pub fn most(self, other: Self) -> Self {
        Self {
            own_bytes: self.own_bytes.max(other.own_bytes),
            mapped_bytes: self.mapped_bytes.max(other.mapped_bytes),
        }
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _may_have_ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// The program under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_weir"))
}

/// One of weir's commands, with what it printed.
pub fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(binary()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// A small API: echoes what it was sent under `/echo`, answers `{"ok":true,...}` elsewhere.
pub async fn upstream() -> String {
    use axum::Json;
    use axum::extract::{OriginalUri, Request};
    use axum::routing::any;
    let echo = async |request: Request| axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let other =
        async |OriginalUri(uri): OriginalUri| Json(serde_json::json!({"ok": true, "path": uri.path()}));
    let app = axum::Router::new().route("/echo", any(echo)).fallback(other);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://{address}")
}
