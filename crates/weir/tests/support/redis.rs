//! A real Redis of a test's own.

use tempfile::TempDir;
use weir_pipeline::testing::Program;

/// A running `redis-server`; it ends with the test.
pub struct Server {
    pub port: u16,
    program: Program,
    _directory: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let arguments = |port: u16| {
            ["--save", "", "--bind", "127.0.0.1", "--port", &port.to_string(), "--dir", &path]
                .map(ToOwned::to_owned)
                .to_vec()
        };
        let program = Program::start("redis-server", arguments).await;
        Self { port: program.port(), program, _directory: directory }
    }

    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap().get_connection().unwrap()
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        redis::cmd("DBSIZE").query(&mut self.connection()).unwrap()
    }

    pub fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }
}
