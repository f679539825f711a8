//! A PostgreSQL server of a test's own, on a Unix socket in a folder that goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// The server; it ends when this is dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    server: Child,
}

impl Postgres {
    /// Makes a cluster and starts its server. PostgreSQL refuses to run as root, so there it runs as its own user.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(given.success());
        }
        let made = command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=weir", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        let server = Self::run(folder.path());
        let postgres = Self { folder, server };
        postgres.wait_until_ready().await;
        postgres
    }

    fn run(folder: &Path) -> Child {
        let mut server = command("postgres");
        server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-c", "listen_addresses="]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        server.spawn().unwrap()
    }

    async fn wait_until_ready(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.connect().await.is_none() {
            assert!(Instant::now() < end, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// For the setting `connection_string`.
    pub(crate) fn connection_string(&self) -> String {
        format!("host={} user=weir dbname=postgres TimeZone=UTC", self.folder.path().display())
    }

    async fn connect(&self) -> Option<Client> {
        let (client, connection) =
            tokio_postgres::connect(&self.connection_string().replace(" TimeZone=UTC", ""), NoTls)
                .await
                .ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// A connection to look with.
    pub(crate) async fn client(&self) -> Client {
        self.connect().await.unwrap()
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        let stopped = command("pg_ctl")
            .args(["stop", "--mode=immediate", "--silent", "-D"])
            .arg(self.folder.path().join("data"))
            .stdout(Stdio::null())
            .status();
        assert!(stopped.unwrap().success());
        self.server.wait().unwrap();
    }

    /// Starts the server again.
    pub(crate) async fn restart(&mut self) {
        self.server = Self::run(self.folder.path());
        self.wait_until_ready().await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn command(name: &str) -> Command {
    let program = program(name);
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

/// Debian keeps them out of the way.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| name.into())
}
