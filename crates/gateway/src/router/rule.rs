//! One way to match a route, and where it stands among the others.

use std::cmp::Reverse;

use http::{HeaderMap, HeaderName, Method};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::Conditions;
use super::path::normalise;
use crate::entities::is_expression;
use crate::snapshot::RequestHead;

/// Largest compiled form of an expression, in bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// Compiles an expression for paths, anchored at the start.
///
/// # Errors
/// What the compiler says: syntax, or too large. Look-around and back-references are not supported, which is why no
/// expression can take more than linear time.
pub fn expression(pattern: &str) -> Result<Regex, String> {
    let anchored = format!("^(?:{pattern})");
    RegexBuilder::new(&anchored).size_limit(LARGEST_EXPRESSION).build().map_err(|error| one_line(&error))
}

/// For the values of a header condition: `None` when they are plain, else whether the expression is sound.
pub fn header_expression(values: &Value) -> Option<Result<(), String>> {
    match values.as_array().map(Vec::as_slice) {
        Some([Value::String(text)]) => {
            text.strip_prefix("~*").map(|pattern| header_pattern(pattern).map(|_| ()))
        }
        _ => None,
    }
}

fn header_pattern(pattern: &str) -> Result<Regex, String> {
    let compiled = RegexBuilder::new(pattern).case_insensitive(true).size_limit(LARGEST_EXPRESSION).build();
    compiled.map_err(|error| one_line(&error))
}

fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

/// One way to match a route: a route with several paths has one for each prefix and one for all its expressions.
#[derive(Debug)]
pub(super) struct Rule {
    /// Index of the route.
    pub(super) route: usize,
    /// Group that is tried before later ones.
    pub(super) tier: Tier,
    /// Any of these.
    pub(super) hosts: Vec<HostPattern>,
    /// The path.
    pub(super) path: Option<PathTest>,
    methods: Vec<Method>,
    headers: Vec<HeaderTest>,
    snis: Vec<Box<str>>,
}

/// Groups of rules, in the order they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Routes.
    Route,
    /// APIs with the names of Kong 0.10 on.
    Api,
    /// Hosts of APIs with older names.
    OldApiHost,
    /// Paths of APIs with older names, for calls whose host none of them has.
    OldApiPath,
}

/// A host, perhaps with a wildcard at one end, perhaps with a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPattern {
    pub(super) kind: HostKind,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKind {
    /// The whole name, lower case.
    Plain(Box<str>),
    /// `*.x` as `.x`.
    EndsWith(Box<str>),
    /// `x.*` as `x.`.
    StartsWith(Box<str>),
}

impl HostPattern {
    fn new(text: &str) -> Self {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
            _ => (text, None),
        };
        let host = host.to_ascii_lowercase();
        let kind = match (host.strip_prefix('*'), host.strip_suffix('*')) {
            (Some(end), _) => HostKind::EndsWith(end.into()),
            (None, Some(start)) => HostKind::StartsWith(start.into()),
            (None, None) => HostKind::Plain(host.into()),
        };
        Self { kind, port }
    }

    /// `host` is in lower case.
    fn matches(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|wanted| wanted == port)
            && match &self.kind {
                HostKind::Plain(name) => host == &**name,
                HostKind::EndsWith(end) => host.len() > end.len() && host.ends_with(&**end),
                HostKind::StartsWith(start) => host.len() > start.len() && host.starts_with(&**start),
            }
    }

    fn is_wildcard(&self) -> bool {
        !matches!(self.kind, HostKind::Plain(_))
    }
}

/// What a path must be like.
#[derive(Debug)]
pub(super) enum PathTest {
    /// Starts with this.
    Prefix(Box<str>),
    /// Starts with these whole segments.
    Segments(Box<str>),
    /// Any of these matches at the start; longest pattern first.
    Expressions(Vec<Regex>),
}

impl PathTest {
    /// How many bytes of the path match.
    fn matches(&self, path: &str) -> Option<usize> {
        match self {
            Self::Prefix(prefix) => path.starts_with(&**prefix).then_some(prefix.len()),
            Self::Segments(prefix) => {
                let rest = path.strip_prefix(&**prefix)?;
                (rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')).then_some(prefix.len())
            }
            Self::Expressions(all) => all.iter().find_map(|one| one.find(path)).map(|found| found.end()),
        }
    }
}

/// What a header must hold.
#[derive(Debug)]
struct HeaderTest {
    name: HeaderName,
    values: HeaderValues,
}

#[derive(Debug)]
enum HeaderValues {
    AnyOf(Vec<String>),
    Expression(Regex),
}

impl HeaderTest {
    fn matches(&self, headers: &HeaderMap) -> bool {
        headers.get_all(&self.name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            match &self.values {
                HeaderValues::AnyOf(wanted) => wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(value)),
                HeaderValues::Expression(pattern) => pattern.is_match(value),
            }
        })
    }
}

/// Sorts rules: the first that matches wins. Section by section as Kong's traditional router has it.
pub(super) type Rank = (
    Tier,
    // More kinds of conditions; the weightier kinds.
    (Reverse<u32>, Reverse<u8>),
    // Wildcard with port, plain hosts only, expressions.
    Reverse<u8>,
    // More header names.
    Reverse<usize>,
    // Priority of expressions; longer paths.
    (Reverse<i64>, Reverse<usize>),
    // Older.
    (i64, i64),
);

impl Rule {
    /// The rules of a route, with their ranks.
    pub(super) fn of(conditions: &Conditions) -> Result<Vec<(Rank, Rule)>, String> {
        let mut expressions: Vec<&str> = Vec::new();
        let mut tests: Vec<(Option<PathTest>, usize, bool)> = Vec::new();
        for path in &conditions.paths {
            if is_expression(path, conditions.strict_paths) {
                expressions.push(path.strip_prefix('~').unwrap_or(path));
            } else {
                let path: Box<str> = normalise(path).into();
                let length = path.len();
                let whole = conditions.whole_segments;
                let test = if whole { PathTest::Segments(path) } else { PathTest::Prefix(path) };
                tests.push((Some(test), length, false));
            }
        }
        if let Some(longest) = expressions.iter().map(|pattern| pattern.len()).max() {
            expressions.sort_by_key(|pattern| Reverse(pattern.len()));
            let compiled: Result<Vec<Regex>, String> = expressions.into_iter().map(expression).collect();
            tests.push((Some(PathTest::Expressions(compiled?)), longest, true));
        }
        if tests.is_empty() {
            tests.push((None, 0, false));
        }
        let rule = |(path, length, is_expression)| {
            let rule = Self::with_path(conditions, path)?;
            Ok((rule.rank(conditions, length, is_expression), rule))
        };
        tests.into_iter().map(rule).collect()
    }

    fn with_path(conditions: &Conditions, path: Option<PathTest>) -> Result<Self, String> {
        let methods = conditions.methods.iter().map(|method| Method::from_bytes(method.as_bytes()));
        let methods: Result<Vec<Method>, _> = methods.collect();
        let headers: Result<Vec<HeaderTest>, String> =
            conditions.headers.iter().map(|(name, values)| header_test(name, values)).collect();
        Ok(Self {
            route: conditions.route,
            tier: conditions.tier,
            hosts: conditions.hosts.iter().map(|host| HostPattern::new(host)).collect(),
            path,
            methods: methods.map_err(|error| error.to_string())?,
            headers: headers?,
            snis: conditions.snis.iter().map(|sni| sni.to_ascii_lowercase().into()).collect(),
        })
    }

    fn rank(&self, conditions: &Conditions, path_length: usize, is_expression: bool) -> Rank {
        let kinds = [
            !self.hosts.is_empty(),
            !self.headers.is_empty(),
            self.path.is_some(),
            !self.methods.is_empty(),
            !self.snis.is_empty(),
        ];
        let count = kinds.iter().map(|kind| u32::from(*kind)).sum();
        let weight = kinds.iter().fold(0, |weight, kind| weight * 2 + u8::from(*kind));
        let wildcard_with_port = self.hosts.iter().any(|host| host.is_wildcard() && host.port.is_some());
        let plain_only = !self.hosts.is_empty() && !self.hosts.iter().any(HostPattern::is_wildcard);
        let special = 4 * u8::from(wildcard_with_port) + 2 * u8::from(plain_only) + u8::from(is_expression);
        let priority = if is_expression { conditions.regex_priority } else { 0 };
        (
            self.tier,
            (Reverse(count), Reverse(weight)),
            Reverse(special),
            Reverse(self.headers.len()),
            (Reverse(priority), Reverse(path_length)),
            conditions.created,
        )
    }

    /// Whether the call fits; the inner value is how much of the path matched.
    pub(super) fn matches(&self, head: &RequestHead<'_>, host: &str, path: &str) -> Option<Option<usize>> {
        let fits = (self.hosts.is_empty()
            || self.hosts.iter().any(|pattern| pattern.matches(host, head.port)))
            && (self.methods.is_empty() || self.methods.contains(head.method))
            && (self.snis.is_empty()
                || head.sni.is_some_and(|sni| self.snis.iter().any(|s| s.eq_ignore_ascii_case(sni))))
            && self.headers.iter().all(|header| header.matches(head.headers));
        if !fits {
            return None;
        }
        match &self.path {
            None => Some(None),
            Some(test) => test.matches(path).map(Some),
        }
    }
}

fn header_test(name: &str, values: &[String]) -> Result<HeaderTest, String> {
    let name = HeaderName::try_from(name).map_err(|_| format!("invalid header name {name:?}"))?;
    let values = match values {
        [one] if one.starts_with("~*") => {
            HeaderValues::Expression(header_pattern(one.trim_start_matches("~*"))?)
        }
        _ => HeaderValues::AnyOf(values.to_vec()),
    };
    Ok(HeaderTest { name, values })
}
