//! Checks that several entities share.

use serde_json::Value;
use weir_kit::Problem;

use super::Object;

pub(super) fn problem(key: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { key: key.into(), message: message.into() }
}

/// Letters, digits, `.-_~` and anything beyond ASCII.
pub(super) fn valid_name(object: &Object, field: &str, problems: &mut Vec<Problem>) {
    let Some(name) = object.get(field).and_then(Value::as_str) else { return };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~') || !c.is_ascii();
    if name.is_empty() || !name.chars().all(allowed) {
        let message =
            format!("invalid value '{name}': it must only contain alphanumeric and '., -, _, ~' characters");
        problems.push(problem(field, message));
    }
}

/// A plain path, not an expression.
pub(super) fn valid_path(object: &Object, field: &str, problems: &mut Vec<Problem>) {
    let Some(path) = object.get(field).and_then(Value::as_str) else { return };
    if let Err(message) = plain_path(path) {
        problems.push(problem(field, message));
    }
}

fn plain_path(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("should start with: /".to_owned());
    }
    if path.contains("//") {
        return Err("must not have empty segments".to_owned());
    }
    let bad = path.chars().find(|c| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#'));
    bad.map_or(Ok(()), |c| Err(format!("invalid character {c:?} in path {path:?}")))
}

/// Whether a path of a route is an expression.
///
/// From Kong 3 on it says so with `~`; before, any path with a character beyond letters, digits and `.-_~/%` was one.
pub fn is_expression(path: &str, strict: bool) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '/' | '%');
    path.starts_with('~') || (!strict && !path.chars().all(plain))
}

/// A path of a route: plain, or an expression that this program can run.
pub(super) fn route_path(path: &str, strict: bool) -> Result<(), String> {
    if !path.starts_with(['/', '~']) {
        return Err("should start with: / (fixed path) or ~/ (regex path)".to_owned());
    }
    if !is_expression(path, strict) {
        return plain_path(path);
    }
    crate::router::expression(path.strip_prefix('~').unwrap_or(path))
        .map(|_| ())
        .map_err(|error| format!("invalid regex {path:?}: {error}"))
}

/// A host name or address without port.
pub(super) fn valid_host(host: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    !host.is_empty() && host.chars().all(allowed) && (address || !host.contains(':'))
}

/// A host of a route: a name, perhaps with one wildcard at an end, perhaps with a port.
pub(super) fn valid_host_pattern(pattern: &str) -> Result<(), String> {
    let (host, port) = match pattern.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (pattern, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!("invalid value: {pattern}"));
    }
    let inner = host.strip_prefix("*.").or_else(|| host.strip_suffix(".*")).unwrap_or(host);
    if inner.contains('*') {
        return Err(if host.matches('*').count() > 1 {
            "invalid wildcard: must have at most one wildcard".to_owned()
        } else {
            "invalid wildcard: must be placed at leftmost or rightmost label".to_owned()
        });
    }
    if valid_host(inner) { Ok(()) } else { Err(format!("invalid value: {pattern}")) }
}

/// Checks each text of a list.
pub(super) fn each(
    object: &Object,
    field: &str,
    problems: &mut Vec<Problem>,
    check: impl Fn(&str) -> Result<(), String>,
) {
    let items = object.get(field).and_then(Value::as_array).into_iter().flatten();
    for (index, item) in items.enumerate() {
        if let Some(Err(message)) = item.as_str().map(&check) {
            problems.push(problem(format!("{field}.{}", index + 1), message));
        }
    }
}

/// Whether a field holds something: neither null nor an empty list or map.
pub(super) fn is_set(object: &Object, field: &str) -> bool {
    match object.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(entries)) => !entries.is_empty(),
        Some(_) => true,
    }
}

/// Methods are upper-case words.
pub(super) fn method(text: &str) -> Result<(), String> {
    let upper = !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '-' || c == '_');
    if upper { Ok(()) } else { Err(format!("invalid value: {text}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_patterns() {
        for good in ["a.com", "*.a.com", "a.*", "a.com:8080", "*.a.com:1", "10.0.0.1", "localhost"] {
            assert_eq!(valid_host_pattern(good), Ok(()), "{good}");
        }
        for bad in ["", "a.*.com", "*.a.*", "a.com:99999", "a b", "*a.com", "http://a.com"] {
            assert!(valid_host_pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn expressions_are_told_from_prefixes() {
        for (path, strict, expression) in [
            ("/a/b-c_d~e.f%20", false, false),
            ("/a/(b|c)", false, true),
            ("/a/(b|c)", true, false),
            ("~/a", false, true),
            ("~/a", true, true),
            ("/a/\\d+", false, true),
        ] {
            assert_eq!(is_expression(path, strict), expression, "{path}");
        }
        assert!(route_path("~/a(", false).is_err());
        assert!(route_path("a", false).is_err());
        assert!(route_path("/a//b", false).is_err());
        assert_eq!(route_path("/a/(?<id>\\d+)$", false), Ok(()));
    }
}
