//! The path that a service is asked for (Kong's `strip_path` and `path_handling`).

use std::borrow::Cow;

use crate::snapshot::PathHandling;

/// Joins the path of a service and that of a request.
///
/// `prefix` is the length of what the route matched, when that is to be taken off.
pub fn upstream_path<'a>(
    service: Option<&str>,
    path: &'a str,
    prefix: Option<usize>,
    handling: PathHandling,
) -> Cow<'a, str> {
    let service = service.filter(|path| !path.is_empty()).unwrap_or("/");
    let rest = prefix.and_then(|length| path.get(length..)).unwrap_or(path);
    let stripped = prefix.is_some();
    if service == "/" && rest.starts_with('/') {
        return Cow::Borrowed(rest);
    }
    Cow::Owned(match handling {
        PathHandling::V0 if stripped && rest.is_empty() => bare(service, path),
        PathHandling::V0 if !stripped && path == "/" && !service.ends_with('/') => service.to_owned(),
        PathHandling::V0 => {
            format!("{}/{}", without_final_slash(service), rest.strip_prefix('/').unwrap_or(rest))
        }
        PathHandling::V1 if stripped => match rest.strip_prefix('/') {
            Some(rest) if service.ends_with('/') => format!("{service}{rest}"),
            _ => format!("{service}{rest}"),
        },
        PathHandling::V1 => format!("{service}{}", rest.strip_prefix('/').unwrap_or(rest)),
    })
}

/// The service's path alone, ending with a slash if and only if the request's path does.
fn bare(service: &str, path: &str) -> String {
    match (service.ends_with('/'), path.ends_with('/')) {
        (false, true) if path != "/" => format!("{service}/"),
        (true, false) if service != "/" => without_final_slash(service).to_owned(),
        _ => service.to_owned(),
    }
}

fn without_final_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_as_kong_does() {
        use PathHandling::{V0, V1};
        for (service, route, path, strip, handling, expected) in [
            ("/s", "/a", "/a/b", true, V0, "/s/b"),
            ("/s", "/a", "/a", true, V0, "/s"),
            ("/s", "/a", "/a/", true, V0, "/s/"),
            ("/s", "/a", "/ab", true, V0, "/s/b"),
            ("/s", "/a", "/a/b", false, V0, "/s/a/b"),
            ("/s/", "/a", "/a", true, V0, "/s"),
            ("/s/", "/a", "/a/", true, V0, "/s/"),
            ("/", "/a", "/a", true, V0, "/"),
            ("", "/a", "/a/b", true, V0, "/b"),
            ("/s", "/", "/", true, V0, "/s"),
            ("/s", "/", "/", false, V0, "/s"),
            ("/s/", "/", "/", false, V0, "/s/"),
            ("/s", "/", "/x", true, V0, "/s/x"),
            ("/", "/a", "/a/b", false, V0, "/a/b"),
            ("/s", "/a", "/a/b", true, V1, "/s/b"),
            ("/s/", "/a", "/a/b", true, V1, "/s/b"),
            ("/s", "/a", "/ab", true, V1, "/sb"),
            ("/s/", "/a", "/a/b", false, V1, "/s/a/b"),
            ("/s", "/a", "/a/b", false, V1, "/sa/b"),
        ] {
            let prefix = strip.then_some(route.len());
            let joined = upstream_path(Some(service), path, prefix, handling);
            assert_eq!(joined, expected, "{service} {route} {path} strip={strip} {handling:?}");
        }
    }
}
