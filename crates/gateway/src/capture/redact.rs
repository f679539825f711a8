//! What never enters a record.

use percent_encoding::percent_decode_str;

use crate::settings::CaptureSettings;

/// What stands for a value that is not recorded.
pub(crate) const REDACTED: &str = "[redacted]";

const SECRET_HEADERS: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "apikey",
    "api-key",
    "x-api-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
];

const SECRET_PARAMETERS: [&str; 6] =
    ["apikey", "api_key", "api-key", "access_token", "client_secret", "password"];

/// Names whose values are not recorded.
#[derive(Debug)]
pub(crate) struct Secrets {
    headers: Names,
    parameters: Names,
}

/// Lower-case names, with a quick first look at the length.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    names: Vec<String>,
    /// Bit n: there is a name of n bytes (63: or more).
    lengths: u64,
}

impl Names {
    pub(crate) fn new<'a>(all: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<String> = all.map(str::to_ascii_lowercase).collect();
        let lengths = names.iter().fold(0, |bits, name| bits | (1 << name.len().min(63)));
        Self { names, lengths }
    }

    fn has(&self, name: &str) -> bool {
        (self.lengths >> name.len().min(63)) & 1 == 1
            && self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl Secrets {
    pub(crate) fn new(settings: &CaptureSettings) -> Self {
        let names = |built_in: &[&'static str], configured: &[String]| {
            Names::new(built_in.iter().copied().chain(configured.iter().map(String::as_str)))
        };
        Self {
            headers: names(&SECRET_HEADERS, &settings.secret_headers),
            parameters: names(&SECRET_PARAMETERS, &settings.secret_parameters),
        }
    }

    /// The value to record for a header; `more` are names that plugins of the call keep credentials under.
    pub(crate) fn header<'a>(&self, name: &str, value: &'a [u8], more: &Names) -> &'a [u8] {
        if self.headers.has(name) || more.has(name) { REDACTED.as_bytes() } else { value }
    }

    /// The query to record: `None` when it holds no secret and can be taken as it is.
    pub(crate) fn query(&self, query: &str, more: &Names) -> Option<String> {
        let is_known = |name: &str| self.parameters.has(name) || more.has(name);
        let is_secret = |pair: &str| {
            let Some((name, _)) = pair.split_once('=') else { return false };
            if name.contains(['%', '+']) {
                let decoded = percent_decode_str(name).decode_utf8_lossy();
                is_known(&decoded)
            } else {
                is_known(name)
            }
        };
        if !query.split('&').any(is_secret) {
            return None;
        }
        let mut shown = String::with_capacity(query.len() + REDACTED.len());
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                shown.push('&');
            }
            match pair.split_once('=') {
                Some((name, _)) if is_secret(pair) => {
                    shown.push_str(name);
                    shown.push('=');
                    shown.push_str(REDACTED);
                }
                _ => shown.push_str(pair),
            }
        }
        Some(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_recognised_however_they_are_written() {
        let settings = CaptureSettings {
            secret_headers: vec!["X-Mine".to_owned()],
            secret_parameters: vec!["sig".to_owned()],
            ..CaptureSettings::default()
        };
        let secrets = Secrets::new(&settings);
        let more = Names::new(["X-Plugin", "plug"].into_iter());
        for (name, value) in [
            ("authorization", REDACTED),
            ("Cookie", REDACTED),
            ("x-mine", REDACTED),
            ("x-plugin", REDACTED),
            ("accept", "v"),
            ("x-api-key-id", "v"),
        ] {
            assert_eq!(secrets.header(name, b"v", &more), value.as_bytes(), "{name}");
        }
        for (query, shown) in [
            ("a=1&apikey=s3cret&b=2", Some("a=1&apikey=[redacted]&b=2")),
            ("api%6bey=s3cret", Some("api%6bey=[redacted]")),
            ("plug=s3cret", Some("plug=[redacted]")),
            ("SIG=1&sig=2&sig", Some("SIG=[redacted]&sig=[redacted]&sig")),
            ("a=1&b=apikey", None),
            ("", None),
        ] {
            assert_eq!(secrets.query(query, &more).as_deref(), shown, "{query}");
        }
    }
}
