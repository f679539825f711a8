//! Endpoints by method and path template, as lists in the settings of plugins.
//!
//! Templates follow Tyk's rules, so that its lists mean here what they meant there: `{name}` is one or more characters other than
//! `/`, `/*/` is one segment, `/*` at the end is anything; other text is a regular expression. It may match anywhere in the path,
//! unless prefixes or suffixes are to match. Compared are the path after what the route matched, then the whole one, both
//! in their normal form, so that no spelling of a path escapes its endpoint.

use http::Method;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use weir_kit::{ConfigError, FieldKind, FieldSpec};

use super::Call;
use crate::router::normalise;

/// Largest compiled form of a template, in bytes.
const LARGEST_TEMPLATE: usize = 1 << 20;

const ENDPOINT: &[FieldSpec] = &[
    FieldSpec::new("method", FieldKind::Text, "method; none: any"),
    FieldSpec {
        required: true,
        ..FieldSpec::new("path", FieldKind::Text, "template of the path, such as `/users/{id}`")
    },
];

/// A list of endpoints among the settings of a plugin.
pub(super) const fn list(name: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec::new(name, FieldKind::Array(&FieldKind::Record(ENDPOINT)), about)
}

const fn switch(name: &'static str, about: &'static str) -> FieldSpec {
    FieldSpec { required: true, default: Some("false"), ..FieldSpec::new(name, FieldKind::Boolean, about) }
}

/// Whether templates that begin with `/` match only at the start of a path.
pub(super) const PREFIX_MATCHING: FieldSpec =
    switch("prefix_matching", "whether a path must begin with its template, not only contain it");
/// Whether templates match only at the end of a path.
pub(super) const SUFFIX_MATCHING: FieldSpec =
    switch("suffix_matching", "whether a path must end with its template");
/// Whether upper and lower case are alike.
pub(super) const IGNORE_CASE: FieldSpec =
    switch("ignore_case", "whether templates match without regard to upper and lower case");

/// One endpoint, as configured.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Endpoint {
    /// `None` and empty: any.
    pub(super) method: Option<String>,
    pub(super) path: String,
}

/// The settings of how templates match.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Matching {
    prefix_matching: bool,
    suffix_matching: bool,
    ignore_case: bool,
}

/// A list of endpoints, ready to be compared with calls.
#[derive(Debug)]
pub(super) struct Endpoints(Vec<Template>);

#[derive(Debug)]
struct Template {
    method: Option<Method>,
    path: Regex,
    /// As configured.
    text: String,
}

impl Endpoints {
    /// The endpoints of the setting `name`.
    ///
    /// # Errors
    /// A method that is none, or a template that is no regular expression, by its place in the list.
    pub(super) fn new(name: &str, listed: Vec<Endpoint>, matching: Matching) -> Result<Self, ConfigError> {
        let template = |(index, endpoint): (usize, Endpoint)| {
            let wrong =
                |member: &str, message| ConfigError::one(format!("{name}.{}.{member}", index + 1), message);
            let method = endpoint.method.filter(|method| !method.is_empty());
            let method = method.map(|method| {
                Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                    .map_err(|_| wrong("method", format!("not a method: {method:?}")))
            });
            let path = compile(&endpoint.path, matching)
                .map_err(|error| wrong("path", format!("not a template: {:?}: {error}", endpoint.path)))?;
            Ok(Template { method: method.transpose()?, path, text: endpoint.path })
        };
        listed.into_iter().enumerate().map(template).collect::<Result<_, _>>().map(Self)
    }

    /// The template of the first endpoint that this call is to.
    pub(super) fn find(&self, call: &Call) -> Option<&str> {
        self.matching(&call.request.method, call.request.uri.path(), call.matched_prefix)
    }

    /// `prefix` counts the bytes of the path's normal form that the route matched.
    fn matching(&self, method: &Method, path: &str, prefix: usize) -> Option<&str> {
        let path = normalise(path);
        let rest = path.get(prefix..).unwrap_or_default();
        let rest =
            if rest.starts_with('/') { rest.into() } else { std::borrow::Cow::Owned(format!("/{rest}")) };
        let meant = |template: &&Template| {
            template.method.as_ref().is_none_or(|wanted| wanted == method)
                && (template.path.is_match(&rest) || template.path.is_match(&path))
        };
        self.0.iter().find(meant).map(|template| template.text.as_str())
    }
}

fn compile(template: &str, matching: Matching) -> Result<Regex, regex::Error> {
    let mut pattern = expression(template);
    if matching.prefix_matching && pattern.starts_with('/') {
        pattern.insert(0, '^');
    }
    if matching.suffix_matching && !pattern.ends_with('$') {
        pattern.push('$');
    }
    RegexBuilder::new(&pattern).case_insensitive(matching.ignore_case).size_limit(LARGEST_TEMPLATE).build()
}

/// The regular expression that a template stands for.
fn expression(template: &str) -> String {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some(at) = rest.find(['{', '*']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let parameter = from.strip_prefix('{').and_then(|named| named.split_once('}')).filter(|(name, _)| {
            name.starts_with(|first: char| first.is_alphabetic() || first == '_')
                && !name.contains(['{', '/'])
        });
        rest = if let Some((_, after)) = parameter {
            out.push_str("[^/]+");
            after
        } else if before.ends_with('/') && from == "*" {
            out.push_str(".*");
            ""
        } else if before.ends_with('/') && from.starts_with("*/") {
            out.push_str("[^/]+");
            &from[1..]
        } else {
            out.push_str(&from[..1]);
            &from[1..]
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(method: Option<&str>, path: &str, matching: Matching) -> Endpoints {
        let endpoint = Endpoint { method: method.map(str::to_owned), path: path.to_owned() };
        Endpoints::new("endpoints", vec![endpoint], matching).unwrap()
    }

    #[test]
    fn templates_match_as_tyks_do() {
        let anchored = Matching { prefix_matching: true, suffix_matching: true, ignore_case: false };
        let anywhere = Matching::default();
        for (template, matching, path, expected) in [
            ("/users/{id}", anywhere, "/users/5", true),
            ("/users/{id}", anywhere, "/users/5/orders", true),
            ("/users/{id}", anywhere, "/v1/users/5", true),
            ("/users/{id}", anywhere, "/users/", false),
            ("/users/{id}", anywhere, "/users", false),
            ("/users/{id}", anchored, "/users/5", true),
            ("/users/{id}", anchored, "/users/5/orders", false),
            ("/users/{id}", anchored, "/api/users/5", true),
            ("/users/{id}", anchored, "/api/v1/users/5", false),
            ("/users/*/orders", anchored, "/users/5/orders", true),
            ("/users/*/orders", anchored, "/users/5/6/orders", false),
            ("/users/*", anchored, "/users/5/6/7", true),
            ("/users/*", anchored, "/users/", true),
            ("/users/[0-9]+$", anywhere, "/users/5", true),
            ("/users/[0-9]+$", anywhere, "/users/x", false),
            ("/years/[0-9]{4}", anchored, "/years/2026", true),
            ("/years/[0-9]{4}", anchored, "/years/26", false),
            ("/{a}/x/{b}", anchored, "/1/x/2", true),
            ("users", anywhere, "/all/users", true),
            ("/users", anywhere, "/USERS", false),
            ("/users", Matching { ignore_case: true, ..anywhere }, "/USERS", true),
            // Other spellings of the same path.
            ("/users/{id}", anchored, "//users/./5", true),
            ("/users/{id}", anchored, "/%75sers/5", true),
            ("/users/{id}", anchored, "/x/../users/5", true),
        ] {
            // The route of these calls has the path `/api`, where they are under it.
            let prefix = if path.starts_with("/api/") { 4 } else { 0 };
            let endpoints = endpoints(None, template, matching);
            let found = endpoints.matching(&Method::GET, path, prefix);
            assert_eq!(found, expected.then_some(template), "{template} {matching:?} {path}");
        }
    }

    #[test]
    fn methods_are_equal_or_any() {
        for (method, asked, expected) in [
            (Some("GET"), Method::GET, true),
            (Some("get"), Method::GET, true),
            (Some("GET"), Method::HEAD, false),
        ] {
            let endpoints = endpoints(method, "/a", Matching::default());
            assert_eq!(endpoints.matching(&asked, "/a", 0).is_some(), expected, "{method:?} {asked}");
        }
        for any in [None, Some("")] {
            assert!(endpoints(any, "/a", Matching::default()).matching(&Method::PATCH, "/a", 0).is_some());
        }
    }

    #[test]
    fn mistakes_are_named() {
        let one = |method: &str, path: &str| {
            let endpoint = Endpoint { method: Some(method.to_owned()), path: path.to_owned() };
            Endpoints::new("endpoints", vec![endpoint], Matching::default()).unwrap_err().to_string()
        };
        assert_eq!(one("G T", "/"), "endpoints.1.method: not a method: \"G T\"");
        assert!(
            one("GET", "/(").starts_with("endpoints.1.path: not a template: \"/(\": "),
            "{}",
            one("GET", "/(")
        );
        assert!(one("GET", "/a{1000}{1000}{1000}").contains("not a template"));
    }
}
