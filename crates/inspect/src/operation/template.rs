//! Path templates: `/users/42/orders` and `/users/43/orders` are one endpoint.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_model::field::without_port;
use weir_model::{CompactString, Exchange};

use super::segment::placeholder;

/// Segments beyond this many are written as one `…`.
pub(super) const MAX_SEGMENTS: usize = 20;
/// Placeholder of values that were recognised by their number.
pub(super) const NAME: &str = "{name}";

/// What the [`Learner`](super::Learner) has found out, as an immutable snapshot. The empty one knows only what segments
/// show by their looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Templates {
    /// By project, then by service.
    pub(super) projects: BTreeMap<Arc<str>, BTreeMap<Box<str>, Branch>>,
}

/// Positions below one parent; only those at or above a merged one are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Branch {
    /// When set, segments here are values, except these.
    pub(super) merged_but: Option<BTreeSet<Box<str>>>,
    /// Further branches by the segment as templated.
    pub(super) children: BTreeMap<Box<str>, Branch>,
}

impl Templates {
    /// The template of an exchange's path.
    pub fn template(&self, exchange: &Exchange) -> CompactString {
        let root =
            self.projects.get(exchange.project.as_str()).and_then(|services| services.get(scope(exchange)));
        template_below(root, &exchange.request.path)
    }

    /// How many positions are known to hold values.
    pub fn merged_positions(&self) -> usize {
        fn count(branch: &Branch) -> usize {
            usize::from(branch.merged_but.is_some()) + branch.children.values().map(count).sum::<usize>()
        }
        self.projects.values().flat_map(BTreeMap::values).map(count).sum()
    }
}

impl Templates {
    /// What is known as text, to be kept over a restart: a line for each merged position with project, service, path, and
    /// the names that stay, separated by tabs and slashes. [`Learner::restore`](super::Learner::restore) reads it.
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        for (project, services) in &self.projects {
            for (service, branch) in services {
                branch.write(&format!("{project}\t{service}\t"), "", &mut lines);
            }
        }
        lines.sort();
        lines.concat()
    }
}

impl Branch {
    fn write(&self, owner: &str, path: &str, lines: &mut Vec<String>) {
        if let Some(kept) = &self.merged_but {
            let kept: Vec<&str> = kept.iter().map(AsRef::as_ref).collect();
            lines.push(format!("{owner}{path}\t{}\n", kept.join("/")));
        }
        for (segment, branch) in &self.children {
            branch.write(owner, &format!("{path}/{segment}"), lines);
        }
    }
}

/// Whose paths are learned together: the service, else the host.
pub(super) fn scope(exchange: &Exchange) -> &str {
    exchange.service.as_deref().unwrap_or_else(|| without_port(&exchange.request.host))
}

fn template_below(root: Option<&Branch>, path: &str) -> CompactString {
    let mut template = CompactString::with_capacity(path.len() + 8);
    let mut branch = root;
    for (index, segment) in segments(path).enumerate() {
        template.push('/');
        if index == MAX_SEGMENTS {
            template.push('…');
            break;
        }
        let merged = branch.and_then(|branch| branch.merged_but.as_ref());
        let written = written(segment, |name| merged.is_some_and(|kept| !kept.contains(name)));
        template.push_str(&written);
        branch = branch.and_then(|branch| branch.children.get(written.as_ref()));
    }
    if template.is_empty() {
        // `*` of OPTIONS and the authority of CONNECT have no segments and stay.
        template.push_str(if path.starts_with('/') || path.is_empty() { "/" } else { path });
    }
    template
}

/// A segment as it stands in a template; `is_value` answers for names below a parent that was merged.
pub(super) fn written(segment: &str, is_value: impl Fn(&str) -> bool) -> Cow<'_, str> {
    match placeholder(segment) {
        Some(placeholder) => placeholder,
        None if is_value(segment) => Cow::Borrowed(NAME),
        None => Cow::Borrowed(segment),
    }
}

/// The segments of a path, without empty ones and without path parameters (`;jsessionid=…`).
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let path = if path.starts_with('/') { path } else { "" };
    path.split('/')
        .map(|segment| segment.split(';').next().unwrap_or(segment))
        .filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_templated() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("*", "*"),
            ("example.com:443", "example.com:443"),
            ("/users/42/orders/", "/users/{id}/orders"),
            ("//users///42", "/users/{id}"),
            ("/a;jsessionid=1F/b;v=2", "/a/b"),
            ("/files/10042.json", "/files/{id}.json"),
            ("/v1/users/ann%40example.com", "/v1/users/{email}"),
        ] {
            assert_eq!(template_below(None, path), expected, "{path}");
        }
        let deep = "/a".repeat(30);
        assert_eq!(template_below(None, &deep), format!("{}/…", "/a".repeat(20)));
    }
}
