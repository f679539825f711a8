//! Servers of the machine's that cannot be told to choose a port.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::net::TcpStream;

/// Longest wait for a server to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A TCP port of this machine that nothing listens on now. It is below those that are given to connections, and with room for
/// the port of a Redis cluster's bus 10,000 above. Another process may take it before its server does.
pub fn free_port() -> u16 {
    loop {
        let port = rand::rng().random_range(20_000..30_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server that runs; it is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    process: Child,
    port: u16,
}

impl Program {
    /// Starts it with these arguments, given the port that it shall listen on, and waits until something listens there.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not listen in time.
    pub async fn start(name: &str, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        // Debian keeps daemons where only administrators look.
        let search = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port();
            let process = Command::new(name)
                .args(arguments(port))
                .env("PATH", &search)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{name} is needed (scripts/setup.sh test): {error}"));
            let mut program = Self { process, port };
            // Another process may have taken the port in between; then this one ends at once.
            while matches!(program.process.try_wait(), Ok(None)) {
                if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return program;
                }
                assert!(Instant::now() < deadline, "{name} did not listen in time");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(Instant::now() < deadline, "{name} ends at once");
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends it a signal, such as `-STOP`.
    ///
    /// # Panics
    ///
    /// When it has ended.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "{signal} was not sent");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _may_have_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
