//! weir's own logs, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::Log;

/// Starts logging as the settings say; `RUST_LOG` overrides the level.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&log.level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let builder = builder.with_ansi(std::io::stderr().is_terminal());
    match log.format.as_str() {
        "json" => builder.json().flatten_event(true).init(),
        _ => builder.init(),
    }
}

/// Starts logging for commands that read no settings.
pub fn start_plain() {
    start(&Log { level: "info".to_owned(), format: "text".to_owned() });
}
