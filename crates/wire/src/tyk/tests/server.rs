//! A real Redis of a test's own.

use std::path::Path;

use tempfile::TempDir;
use weir_pipeline::testing::Program;

use crate::tyk::connection::{Redis, RedisSettings};

/// A running `redis-server`; it ends with the test.
pub(in crate::tyk) struct Server {
    pub(in crate::tyk) port: u16,
    program: Program,
    pub(in crate::tyk) directory: TempDir,
}

impl Server {
    /// One that anybody may use.
    pub(in crate::tyk) async fn start() -> Self {
        Self::start_with(|port, _| vec!["--port".to_owned(), port.to_string()]).await
    }

    /// One with these arguments, given its port and folder.
    pub(in crate::tyk) async fn start_with(arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let fixed = ["--save", "", "--bind", "127.0.0.1", "--dir", &path].map(ToOwned::to_owned);
        // A file of settings must be the first.
        let arguments = |port| [arguments(port, directory.path()), fixed.to_vec()].concat();
        let program = Program::start("redis-server", arguments).await;
        Self { port: program.port(), program, directory }
    }

    pub(in crate::tyk) fn settings(&self) -> RedisSettings {
        RedisSettings { host: "127.0.0.1".to_owned(), port: self.port, ..RedisSettings::default() }
    }

    pub(in crate::tyk) fn redis(&self) -> Redis {
        Redis::new(self.settings())
    }

    pub(in crate::tyk) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }
}
