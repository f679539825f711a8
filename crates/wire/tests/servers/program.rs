//! A server of Debian's, in a folder of its own.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_pipeline::testing::free_port;

/// It ends when this is dropped.
pub(crate) struct Program {
    process: Child,
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
}

impl Program {
    /// Writes `configuration`, made for a folder and a free port, to the file `configuration` in that folder, and starts the
    /// program with `arguments`. It is ready when something listens on the port.
    pub(crate) async fn start(
        name: &str,
        configuration: impl Fn(&Path, u16) -> String,
        arguments: impl Fn(&Path, u16) -> Vec<String>,
    ) -> Self {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let folder = tempfile::tempdir().unwrap();
            let port = free_port();
            fs::write(folder.path().join("configuration"), configuration(folder.path(), port)).unwrap();
            // Debian keeps daemons where only administrators look.
            let search = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
            let process = Command::new(name)
                .args(arguments(folder.path(), port))
                .env("PATH", search)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{name} is needed (scripts/setup.sh test): {error}"));
            let mut program = Self { process, folder, port };
            // Another process may have taken the port in between; then this one ends at once.
            while program.process.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return program;
                }
                assert!(Instant::now() < deadline, "{name} did not listen in time");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(Instant::now() < deadline, "{name} ends at once");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _may_have_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
