//! The plugins as their documentation configures them, with curl.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod support;

use std::process::{Command, Stdio};

use support::receiver::Recorder;
use support::{Weir, upstream};

/// Each with the status that its receiver says yes with.
const PLUGINS: &[(&str, u16)] =
    &[("analytics", 200), ("galileo", 200), ("mashape-analytics", 200), ("moesif", 201), ("runscope", 200)];

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_documentation_work_in_every_spelling() {
    for (name, accepted) in PLUGINS {
        let weir = Weir::start().await;
        let recorder = Recorder::start(*accepted).await;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documented_plugins.sh");
        let mut command = Command::new(script);
        command
            .env("PLUGINS", name)
            .env("ADMIN", weir.admin(""))
            .env("PROXY", weir.proxy(""))
            .env("RECEIVER", format!("http://{}", recorder.address))
            .env("UPSTREAM", upstream().await)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let (said, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {said}{complaints}");
        println!("{name}: {said}");
    }
}
