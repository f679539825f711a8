//! Servers of others from their registries, run by a script of theirs: a folder in the end-to-end tests' `clients`.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A server that runs; it ends when this is dropped.
pub(crate) struct Foreign {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Foreign {
    /// Installs what is pinned in the folder, if it is not there yet, and runs its `server.py` or `server.cjs`. The latter is
    /// told where its modules are.
    pub(crate) fn start(folder: &str, arguments: &[&Path]) -> Self {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let installed = Command::new(crates.join("../scripts/clients.sh"))
            .arg(folder)
            .env("CARGO_TARGET_DIR", build_folder())
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(installed.status.success(), "{folder} was not installed: {:?}", installed.status);
        let place = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
        let scripts = crates.join("weir/tests/clients").join(folder);
        let mut command = if scripts.join("server.cjs").exists() {
            let mut node = Command::new("node");
            node.arg(scripts.join("server.cjs")).arg(place.join("node_modules"));
            node
        } else {
            let mut python = Command::new(place.join("bin/python"));
            python.arg(scripts.join("server.py"));
            python
        };
        let mut process = command
            .args(arguments)
            // Proxies of the machine are not meant for what is on the machine.
            .envs([("NO_PROXY", "*"), ("no_proxy", "*"), ("PYTHONWARNINGS", "ignore")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, output }
    }

    /// The next line that it says.
    pub(crate) fn line(&mut self) -> String {
        self.output.next().expect("the server ended without a word").unwrap()
    }

    /// Asks it to say something.
    #[allow(dead_code, reason = "not every server is asked")]
    pub(crate) fn ask(&mut self) -> String {
        self.process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.line()
    }
}

impl Drop for Foreign {
    /// At the end of its input it tidies up and ends.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

/// The folder that this very test was built in.
fn build_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_path_buf()
}
