//! The output `syslog` against rsyslog, which takes messages apart.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_pipeline::testing::Program;

use crate::{call, calls, eventually, output, send, settings_file};

struct Rsyslog {
    program: Program,
    folder: TempDir,
}

impl Rsyslog {
    /// One that listens for datagrams and streams on the same port.
    async fn start() -> Self {
        let listening = |port: u16| {
            format!(
                r#"module(load="imudp") module(load="imtcp")
                input(type="imudp" address="127.0.0.1" port="{port}")
                input(type="imtcp" address="127.0.0.1" port="{port}")"#
            )
        };
        Self::listening(tempfile::tempdir().unwrap(), listening).await
    }

    /// One that listens for streams with TLS, with a certificate for `localhost` in the file `certificate`.
    async fn start_with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("certificate"), pair.cert.pem()).unwrap();
        fs::write(folder.path().join("key"), pair.signing_key.serialize_pem()).unwrap();
        let place = folder.path().display().to_string();
        let listening = move |port: u16| {
            format!(
                r#"global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{place}/certificate"
                    DefaultNetstreamDriverCertFile="{place}/certificate" DefaultNetstreamDriverKeyFile="{place}/key")
                module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
                input(type="imtcp" address="127.0.0.1" port="{port}")"#
            )
        };
        Self::listening(folder, listening).await
    }

    /// One that writes a line for each message.
    async fn listening(folder: TempDir, listening: impl Fn(u16) -> String) -> Self {
        let place = folder.path().display().to_string();
        let arguments = |port: u16| {
            let listening = listening(port);
            let settings = format!(
                r#"global(workDirectory="{place}" maxMessageSize="64k")
                template(name="seen" type="list" option.jsonf="on") {{
                    property(outname="facility" name="syslogfacility" format="jsonf")
                    property(outname="severity" name="syslogseverity" format="jsonf")
                    property(outname="program" name="app-name" format="jsonf")
                    property(outname="process" name="procid" format="jsonf")
                    property(outname="version" name="protocol-version" format="jsonf")
                    property(outname="at" name="timereported" dateFormat="rfc3339" format="jsonf")
                    property(outname="text" name="msg" format="jsonf")
                }}
                {listening}
                action(type="omfile" file="{place}/seen" template="seen")
                "#
            );
            let file = settings_file(folder.path(), &settings);
            ["-n", "-f", &file, "-i", &format!("{place}/process")].map(ToOwned::to_owned).to_vec()
        };
        Self { program: Program::start("rsyslogd", arguments).await, folder }
    }

    /// The messages that it wrote, once there are so many.
    async fn seen(&self, count: usize) -> Vec<Value> {
        let file = self.folder.path().join("seen");
        eventually("rsyslog writes", async || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            (text.matches('\n').count() >= count)
                .then(|| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        })
        .await
    }
}

fn path_of(message: &Value) -> String {
    let text = message["text"].as_str().unwrap();
    let record: Value = serde_json::from_str(text.trim_start()).unwrap();
    record["path"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rsyslog_reads_every_transport_and_form() {
    let rsyslog = Rsyslog::start().await;
    let address = format!("127.0.0.1:{}", rsyslog.program.port());
    let mut expected = Vec::new();
    for transport in ["udp", "tcp"] {
        for (format, version) in [("rfc3164", "0"), ("rfc5424", "1")] {
            let settings = json!({"network_addr": address, "transport": transport, "format": format,
                "content": "json", "facility": 16, "log_level": 5, "tag": "calls"});
            let path = format!("/{transport}/{format}");
            // What ends a line, and what looks like the head of a message, is in the text of the next.
            let odd = format!("{path}?<0>1 2\n<0>x");
            send(&*output("syslog", settings), &calls(&[&path, &odd])).await.unwrap();
            expected.extend([(path, version), (odd, version)]);
        }
    }
    let seen = rsyslog.seen(expected.len()).await;
    let mut found: Vec<(String, &str)> =
        seen.iter().map(|message| (path_of(message), message["version"].as_str().unwrap())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for message in &seen {
        assert_eq!([&message["facility"], &message["severity"], &message["program"]], ["16", "5", "calls"]);
        assert_eq!(message["process"], std::process::id().to_string());
        assert!(message["at"].as_str().unwrap().starts_with("20"), "{message}");
    }
}

#[tokio::test]
async fn rsyslog_reads_messages_over_tls() {
    let rsyslog = Rsyslog::start_with_tls().await;
    let settings = json!({"network_addr": format!("localhost:{}", rsyslog.program.port()), "transport": "tls", "content": "json",
        "ssl_ca_file": rsyslog.folder.path().join("certificate")});
    let mut call = call("/over/tls");
    call.request.headers.push("User-Agent", "a".repeat(20_000));
    send(&*output("syslog", settings.clone()), &[call.into()]).await.unwrap();
    let seen = rsyslog.seen(1).await;
    assert_eq!(path_of(&seen[0]), "/over/tls");
    let mut unknown = settings;
    unknown.as_object_mut().unwrap().remove("ssl_ca_file");
    assert!(send(&*output("syslog", unknown), &calls(&["/a"])).await.is_err(), "nobody vouches for it");
}
