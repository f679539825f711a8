//! The lists of what there is. Settings, the Admin API, the collector, `weir import` and `weir export` walk them.
//!
//! To add a protocol: a folder beside this file, its `mod` line in `lib.rs`, its line here.

use weir_kit::Kind;
use weir_pipeline::{ExporterKind, ImporterKind, Receiver, RendererKind};

use crate::{
    access_log, auto, csv, elasticsearch, galileo, graylog, har, influx, kafka, moesif, mongo, prometheus,
    runscope, s3, splunk, sql, statsd, stdout, syslog, tyk, webhook, weir,
};

/// Everything exchanges can be sent to, sorted by name.
pub static EXPORTERS: &[ExporterKind] = &[
    csv::EXPORTER,
    statsd::DOGSTATSD,
    elasticsearch::EXPORTER,
    galileo::EXPORTER,
    graylog::EXPORTER,
    webhook::EXPORTER,
    influx::EXPORTER,
    influx::SECOND,
    kafka::EXPORTER,
    galileo::first::EXPORTER,
    moesif::EXPORTER,
    mongo::EXPORTER,
    mongo::AGGREGATE,
    mongo::SELECTIVE,
    prometheus::EXPORTER,
    runscope::EXPORTER,
    s3::EXPORTER,
    splunk::EXPORTER,
    sql::EXPORTER,
    sql::AGGREGATE,
    statsd::EXPORTER,
    stdout::EXPORTER,
    syslog::EXPORTER,
    tyk::EXPORTER,
];

/// Everything that accepts the reports of others, sorted by name.
pub static RECEIVERS: &[Kind<dyn Receiver>] = &[galileo::RECEIVER, moesif::RECEIVER, runscope::RECEIVER];

/// Every file format that can be read, sorted by name.
pub static IMPORTERS: &[ImporterKind] = &[
    auto::IMPORTER,
    access_log::COMBINED,
    access_log::COMMON,
    har::IMPORTER,
    access_log::JSON,
    weir::IMPORTER,
];

/// Every file format that can be written, sorted by name.
pub static RENDERERS: &[RendererKind] = &[har::RENDERER, weir::RENDERER];

/// The exporter with this name or alias.
pub fn exporter(name: &str) -> Option<&'static ExporterKind> {
    EXPORTERS.iter().find(|kind| kind.name == name || kind.aliases.contains(&name))
}

/// The importer with this name.
pub fn importer(name: &str) -> Option<&'static ImporterKind> {
    IMPORTERS.iter().find(|kind| kind.name == name)
}

/// The renderer with this name.
pub fn renderer(name: &str) -> Option<&'static RendererKind> {
    RENDERERS.iter().find(|kind| kind.name == name)
}

/// How many bytes of a file [`detect`] wants to see, when there are as many.
pub const DETECT_BYTES: usize = 64 * 1024;

/// The importer for a file that begins with these bytes; `None` when no format is recognised. Content decides, not the
/// file's name: a file is of the format in which one of its first lines can be read.
pub fn detect(first_bytes: &[u8]) -> Option<&'static ImporterKind> {
    let bytes = first_bytes.get(..DETECT_BYTES).unwrap_or(first_bytes);
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if let Some(object) = bytes.strip_prefix(b"{") {
        let object = object.trim_ascii_start();
        if object.starts_with(b"\"weir\"") {
            return importer(weir::IMPORTER.name);
        }
        if object.strip_prefix(b"\"log\"").is_some_and(begins_object) {
            return importer(har::IMPORTER.name);
        }
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.take(50).find_map(format_of_line).and_then(importer)
}

/// Whether `: {` follows, as after the `"log"` of a HAR; some JSON logs have a member `log`, too, with text.
fn begins_object(rest: &[u8]) -> bool {
    let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    value.is_some_and(|value| value.starts_with(b"{"))
}

fn format_of_line(line: &[u8]) -> Option<&'static str> {
    if access_log::json::read(line, 1).is_ok() {
        return Some(access_log::JSON.name);
    }
    let exchange = access_log::clf::read_combined(line, 1).ok()?;
    let has_more = exchange.attributes.get("access_log.rest").is_some();
    let quotes = memchr::memchr_iter(b'"', line).count();
    Some(if quotes >= 6 || has_more { access_log::COMBINED.name } else { access_log::COMMON.name })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sorted(names: &[&str]) {
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    }

    #[test]
    fn lists_are_sorted_without_doubles() {
        sorted(&EXPORTERS.iter().map(|kind| kind.name).collect::<Vec<_>>());
        sorted(&RECEIVERS.iter().map(|kind| kind.name).collect::<Vec<_>>());
        sorted(&IMPORTERS.iter().map(|kind| kind.name).collect::<Vec<_>>());
        sorted(&RENDERERS.iter().map(|kind| kind.name).collect::<Vec<_>>());
    }

    #[test]
    fn every_protocol_has_its_page_for_users() {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
        let folders = std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().path());
        let protocols: Vec<PathBuf> =
            folders.filter(|path| path.is_dir() && !path.ends_with("parts")).collect();
        assert!(protocols.len() >= 4);
        for folder in protocols {
            let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
            assert!(page.starts_with("# ") && page.len() > 1_000, "{folder:?}");
        }
    }

    #[test]
    fn no_two_receivers_answer_the_same_request() {
        let mut mounts: Vec<(&str, &str)> = Vec::new();
        for kind in RECEIVERS {
            let receiver = (kind.build)(serde_json::Value::Null).unwrap();
            mounts.extend(receiver.mounts().iter().map(|mount| (mount.method, mount.path)));
        }
        let count = mounts.len();
        mounts.sort_unstable();
        mounts.dedup();
        assert_eq!(mounts.len(), count);
    }

    #[test]
    fn settings_are_described_well() {
        for kind in EXPORTERS {
            let mut names: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), kind.fields.len(), "{}", kind.name);
            assert!(!kind.about.is_empty(), "{}", kind.name);
            for field in kind.fields {
                assert!(!field.about.is_empty(), "{}.{}", kind.name, field.name);
                if let Some(default) = field.default {
                    serde_json::from_str::<serde_json::Value>(default).unwrap();
                }
            }
        }
    }

    #[test]
    fn formats_are_known_by_their_content() {
        let clf = "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1";
        let combined = format!("{clf} \"-\" \"curl\"");
        for (text, name) in [
            ("\u{FEFF} {\n \"log\" : {", Some("har")),
            (
                "{\"log\":\"text\",\"time\":\"2026-01-01T00:00:00Z\",\"request\":\"GET / HTTP/1.1\"}",
                Some("json"),
            ),
            ("{\"weir\":1,\"id\"", Some("ndjson")),
            (clf, Some("common")),
            (combined.as_str(), Some("combined")),
            ("hello\nworld", None),
            ("", None),
            ("{", None),
        ] {
            assert_eq!(detect(text.as_bytes()).map(|kind| kind.name), name, "{text}");
        }
        let late = format!("garbage\n\n{combined}\n");
        assert_eq!(detect(late.as_bytes()).unwrap().name, "combined");
    }
}
