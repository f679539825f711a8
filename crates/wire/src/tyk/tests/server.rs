//! A real Redis of a test's own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_pipeline::testing::free_port;

use crate::tyk::connection::{Redis, RedisSettings};

/// A running `redis-server`; it ends with the test.
pub(in crate::tyk) struct Server {
    pub(in crate::tyk) port: u16,
    pub(in crate::tyk) directory: TempDir,
    child: Child,
}

impl Server {
    /// One that anybody may use.
    pub(in crate::tyk) async fn start() -> Self {
        Self::start_with(|port, _| vec!["--port".to_owned(), port.to_string()]).await
    }

    /// One with these arguments, given its port and folder.
    pub(in crate::tyk) async fn start_with(arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let fixed = ["--save", "", "--bind", "127.0.0.1", "--dir"].map(ToOwned::to_owned);
            let child = Command::new("redis-server")
                // A file of settings must be the first.
                .args(arguments(port, directory.path()))
                .args(fixed)
                .arg(directory.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is needed: scripts/setup.sh test");
            let mut server = Self { port, directory, child };
            // Another process may have taken the port in between; then this one ends at once.
            while server.child.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return server;
                }
                assert!(Instant::now() < deadline, "redis-server did not listen in time");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    pub(in crate::tyk) fn settings(&self) -> RedisSettings {
        RedisSettings { host: "127.0.0.1".to_owned(), port: self.port, ..RedisSettings::default() }
    }

    pub(in crate::tyk) fn redis(&self) -> Redis {
        Redis::new(self.settings())
    }

    pub(in crate::tyk) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
