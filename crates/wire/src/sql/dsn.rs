//! Connection strings as Tyk Pump's driver reads them: words `key=value`, or a URL. What the server knows and the client
//! does not (`TimeZone`, `search_path`) becomes a parameter of the session.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use url::Url;
use weir_kit::ConfigError;

use crate::parts::tls::TlsSettings;

const KEY: &str = "connection_string";

/// How to connect.
#[derive(Debug, Clone)]
pub(super) struct Dsn {
    pub(super) config: Config,
    pub(super) tls: TlsSettings,
}

/// Reads a connection string. Messages never quote it: it holds a password.
pub(super) fn read(text: &str) -> Result<Dsn, ConfigError> {
    let pairs = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        url_pairs(text)?
    } else {
        words(text)?
    };
    let mut config = Config::new();
    config.application_name("weir").connect_timeout(Duration::from_secs(10)).ssl_mode(SslMode::Prefer);
    // As the original: a certificate is checked only when the mode says so.
    let mut tls = TlsSettings { ssl_insecure_skip_verify: true, ..TlsSettings::default() };
    let mut parameters = String::new();
    for (key, value) in pairs {
        match key.as_str() {
            "host" | "hostaddr" => {
                value.split(',').for_each(|host| {
                    config.host(host);
                });
            }
            "port" => {
                for port in value.split(',') {
                    config.port(number(&key, port)?);
                }
            }
            "user" => {
                config.user(value);
            }
            "password" => {
                config.password(value);
            }
            "dbname" | "database" | "DB.name" => {
                config.dbname(value);
            }
            "application_name" => {
                config.application_name(value);
            }
            "connect_timeout" => {
                config.connect_timeout(Duration::from_secs(number(&key, &value)?));
            }
            "sslmode" => {
                let (mode, verify) = ssl_mode(&value)?;
                config.ssl_mode(mode);
                tls.ssl_insecure_skip_verify = !verify;
            }
            "sslrootcert" => tls.ssl_ca_file = Some(value),
            "sslcert" => tls.ssl_cert_file = Some(value),
            "sslkey" => tls.ssl_key_file = Some(value),
            _ => {
                parameters.push_str(&format!("-c {key}={} ", value.replace('\\', "\\\\").replace(' ', "\\ ")))
            }
        }
    }
    if config.get_hosts().is_empty() {
        config.host("localhost");
    }
    if !parameters.is_empty() {
        config.options(parameters.trim_end());
    }
    Ok(Dsn { config, tls })
}

fn ssl_mode(mode: &str) -> Result<(SslMode, bool), ConfigError> {
    Ok(match mode {
        "disable" => (SslMode::Disable, false),
        "allow" | "prefer" => (SslMode::Prefer, false),
        "require" => (SslMode::Require, false),
        "verify-ca" | "verify-full" => (SslMode::Require, true),
        _ => {
            return Err(ConfigError::one(
                KEY,
                format!(
                    "sslmode {mode:?} is none of disable, allow, prefer, \
            require, verify-ca, verify-full"
                ),
            ));
        }
    })
}

fn number<N: std::str::FromStr>(key: &str, text: &str) -> Result<N, ConfigError> {
    text.trim().parse().map_err(|_| ConfigError::one(KEY, format!("{key} is not a number within range")))
}

type Pairs = Vec<(String, String)>;

fn url_pairs(text: &str) -> Result<Pairs, ConfigError> {
    let broken = |_| ConfigError::one(KEY, "not a URL that can be read");
    let url = Url::parse(text).map_err(broken)?;
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut pairs = Pairs::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            pairs.push((key.to_owned(), value));
        }
    };
    let host = url.host_str().unwrap_or_default();
    add("host", decode(host.trim_start_matches('[').trim_end_matches(']')));
    add("port", url.port().map(|port| port.to_string()).unwrap_or_default());
    add("user", decode(url.username()));
    add("password", decode(url.password().unwrap_or_default()));
    add("dbname", decode(url.path().trim_start_matches('/')));
    for (key, value) in url.query_pairs() {
        add(&key, value.into_owned());
    }
    Ok(pairs)
}

/// `key=value` with spaces between; a value with spaces stands in single quotes, a backslash takes the next letter as it is.
fn words(text: &str) -> Result<Pairs, ConfigError> {
    let broken = || ConfigError::one(KEY, "wants words of the form key=value");
    let mut pairs = Pairs::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(letter) = letters.next_if(|letter| *letter != '=') {
            key.push(letter);
        }
        let key = key.trim().to_owned();
        match (letters.next(), key.is_empty()) {
            (None, true) => return Ok(pairs),
            (Some(_), false) => {}
            _ => return Err(broken()),
        }
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let quoted = letters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match letters.next() {
                Some('\\') => value.extend(letters.next()),
                Some('\'') if quoted => break,
                None if quoted => return Err(broken()),
                None => break,
                Some(letter) if !quoted && letter.is_whitespace() => break,
                Some(letter) => value.push(letter),
            }
        }
        pairs.push((key, value));
    }
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    #[test]
    fn words_and_urls_say_the_same() {
        for text in [
            "host=db.test port=5433 user=u password='a b\\'c' dbname=tyk sslmode=verify-full TimeZone=UTC",
            "postgres://u:a%20b'c@db.test:5433/tyk?sslmode=verify-full&TimeZone=UTC",
        ] {
            let Dsn { config, tls } = read(text).unwrap();
            assert_eq!(config.get_hosts(), [Host::Tcp("db.test".to_owned())], "{text}");
            assert_eq!(config.get_ports(), [5_433]);
            assert_eq!(config.get_user(), Some("u"));
            assert_eq!(config.get_password(), Some(&b"a b'c"[..]));
            assert_eq!(config.get_dbname(), Some("tyk"));
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
            assert_eq!(config.get_options(), Some("-c TimeZone=UTC"));
            assert!(!tls.ssl_insecure_skip_verify);
        }
    }

    #[test]
    fn modes_of_tls_are_those_of_the_original() {
        for (mode, expected, verify) in [
            ("disable", SslMode::Disable, false),
            ("prefer", SslMode::Prefer, false),
            ("require", SslMode::Require, false),
            ("verify-ca", SslMode::Require, true),
        ] {
            let dsn = read(&format!("sslmode={mode} sslrootcert=/ca.pem")).unwrap();
            assert_eq!((dsn.config.get_ssl_mode(), !dsn.tls.ssl_insecure_skip_verify), (expected, verify));
            assert_eq!(dsn.tls.ssl_ca_file.as_deref(), Some("/ca.pem"));
        }
    }

    #[test]
    fn mistakes_are_told_without_the_password() {
        for text in ["host", "=x", "password='s3cret", "port=s3cret", "postgres://u:s3cret@[/", "sslmode=x"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("connection_string: ") && !error.contains("s3cret"), "{error}");
        }
    }
}
