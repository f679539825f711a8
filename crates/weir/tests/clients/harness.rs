//! Installs a client as pinned in its folder, and runs its scripts.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a script may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client that is installed: a folder beside this file.
pub(crate) struct Client {
    sources: PathBuf,
    installed: PathBuf,
}

impl Client {
    /// The client of this folder, installed if it is not yet.
    pub(crate) fn installed(name: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let output = Command::new(here.join("../../scripts/clients.sh"))
            .arg(name)
            // The folder that this very test was built in.
            .env("CARGO_TARGET_DIR", build_folder())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "{name} was not installed: {:?}", output.status);
        let installed = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        Self { sources: here.join("tests/clients").join(name), installed }
    }

    /// Runs a Python script of the folder and gives what it saw.
    pub(crate) async fn python(&self, script: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new(self.installed.join("bin/python"));
        command.arg(self.sources.join(script)).args(arguments).env("PYTHONWARNINGS", "ignore");
        Running::start(command).await
    }

    /// Runs a Node script of the folder and gives what it saw.
    pub(crate) async fn node(&self, script: &str, arguments: &[&str]) -> Running {
        let mut command = Command::new("node");
        command.arg(self.sources.join(script)).args(arguments);
        command.env("NODE_PATH", self.installed.join("node_modules")).env("NODE_NO_WARNINGS", "1");
        Running::start(command).await
    }
}

/// A script that has said what it saw, and may have more to send in the background.
pub(crate) struct Running {
    /// The JSON of its line `saw {…}`.
    pub(crate) saw: Value,
    child: Child,
}

impl Running {
    async fn start(mut command: Command) -> Self {
        // Proxies of the machine are not meant for what is on the machine.
        command.env("NO_PROXY", "*").env("no_proxy", "*");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut running = Self { saw: Value::Null, child };
        let output = BufReader::new(running.child.stdout.take().unwrap());
        // Some clients talk, too.
        let reading = tokio::task::spawn_blocking(move || {
            output.lines().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("saw ")?.to_owned()))
        });
        let saw = tokio::time::timeout(PATIENCE, reading).await;
        let saw = saw.unwrap_or_else(|_| panic!("{command:?} said nothing in time")).unwrap();
        let saw = saw.unwrap_or_else(|| panic!("{command:?} ended without saying what it saw"));
        running.saw = serde_json::from_str(&saw).unwrap();
        running
    }

    /// Lets it end and waits until it has.
    pub(crate) async fn end(mut self) {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return assert!(status.success(), "the script failed: {status}");
            }
            assert!(Instant::now() < deadline, "the script did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The build folder: cargo's folder for temporary files of tests lies in it.
fn build_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}
