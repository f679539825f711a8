//! Listen paths as paths of routes.
//!
//! Tyk tries longer listen paths first; `{name}` and `{name:expression}` stand for one segment and count nothing. A route's
//! plain path also goes after longer ones, but any expression goes before all plain paths. So where expressions are needed, plain
//! paths that must go before one become expressions too, and priorities give Tyk's order.

use regex::Regex;

/// What a listen path has before its parameters are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    /// With its expression.
    Parameter(&'a str),
}

/// What any parameter without an expression of its own matches.
const SEGMENT: &str = "[^/]+";

/// Whether a listen path can be served.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(path: &str) -> Result<(), String> {
    let parts = parts(path).ok_or_else(|| format!("{path:?}: braces do not match"))?;
    if !path.starts_with('/') {
        return Err(format!("{path:?} does not begin with /"));
    }
    for part in parts {
        match part {
            Part::Text(text) if text.contains("//") => return Err(format!("{path:?} has an empty segment")),
            Part::Text(text) if text.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#')) => {
                return Err(format!("{path:?} has a character that paths cannot have"));
            }
            Part::Parameter(pattern) if Regex::new(pattern).is_err() => {
                return Err(format!("{path:?}: {pattern:?} is no regular expression"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether it has parameters.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains('{')
}

/// How early it is tried: higher first.
pub(super) fn rank(path: &str) -> usize {
    let length = |part: &Part<'_>| if let Part::Text(text) = part { text.len() } else { 0 };
    parts(path).map_or(path.len(), |parts| parts.iter().map(length).sum())
}

/// The expression for it, as a path of a route.
pub(super) fn expression(path: &str) -> String {
    let part = |part: Part<'_>| match part {
        Part::Text(text) => regex::escape(text),
        Part::Parameter(pattern) => format!("(?:{pattern})"),
    };
    let all: String = parts(path).unwrap_or_default().into_iter().map(part).collect();
    format!("~{}", all.replace(&format!("(?:{SEGMENT})"), SEGMENT))
}

/// `None` when braces do not match. An expression may hold braces of its own.
fn parts(path: &str) -> Option<Vec<Part<'_>>> {
    let (mut parts, mut rest) = (Vec::new(), path);
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        let end = closing(from)?;
        let inside = from.get(1..end)?;
        let pattern = inside.split_once(':').map_or(SEGMENT, |(_, pattern)| pattern);
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        parts.push(Part::Parameter(pattern));
        rest = from.get(end + 1..)?;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Some(parts)
}

/// Where the brace at the start is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return None,
            '}' if depth == 1 => return Some(index),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_expressions() {
        for (path, expected, length) in [
            ("/users/", "~/users/", 7),
            ("/a.b/", r"~/a\.b/", 5),
            ("/{tenant}/users/", "~/[^/]+/users/", 8),
            ("/users/{id:[0-9]{2,4}}", "~/users/(?:[0-9]{2,4})", 7),
            ("/{a}/{b}", "~/[^/]+/[^/]+", 2),
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
            assert_eq!((expression(path).as_str(), rank(path)), (expected, length), "{path}");
        }
    }

    #[test]
    fn paths_that_cannot_be_are_told() {
        for (path, message) in [
            ("users/", "\"users/\" does not begin with /"),
            ("/a//b", "\"/a//b\" has an empty segment"),
            ("/a b", "\"/a b\" has a character that paths cannot have"),
            ("/{a", "\"/{a\": braces do not match"),
            ("/a}", "\"/a}\": braces do not match"),
            ("/{a:(}", "\"/{a:(}\": \"(\" is no regular expression"),
        ] {
            assert_eq!(check(path).unwrap_err(), message);
        }
    }
}
