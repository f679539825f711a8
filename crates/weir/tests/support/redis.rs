//! A real Redis of a test's own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_pipeline::testing::free_port;

/// A running `redis-server`; it ends with the test.
pub struct Server {
    pub port: u16,
    child: Child,
    _directory: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let child = Command::new("redis-server")
                .args(["--save", "", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"])
                .arg(directory.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()
                .expect("redis-server is needed: scripts/setup.sh test");
            let mut server = Self { port, child, _directory: directory };
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

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap().get_connection().unwrap()
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        redis::cmd("DBSIZE").query(&mut self.connection()).unwrap()
    }

    pub fn signal(&self, signal: &str) {
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
