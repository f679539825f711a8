//! The page, compiled into the program.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::error::Problem;

/// One file of the page.
struct File {
    /// Path as asked for.
    path: &'static str,
    /// Hash of the content.
    tag: &'static str,
    bytes: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

// `FILES`, sorted by path; empty when the page had not been built.
include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

const STUB: &str = include_str!("stub.html");

/// Whether there is a file of the page with this path.
pub(crate) fn has(path: &str) -> bool {
    find(path).is_some()
}

fn find(path: &str) -> Option<&'static File> {
    let found = FILES.binary_search_by(|file| file.path.cmp(path)).ok()?;
    FILES.get(found)
}

/// First segments of the paths of the page's views.
const VIEWS: &[&str] = &[
    "",
    "traffic",
    "health",
    "connect",
    "overview",
    "users",
    "companies",
    "endpoints",
    "errors",
    "callers",
    "countries",
    "gateway",
];

/// Whether the page itself is the answer where no file is. Beside its views that is what a browser goes to, so that the
/// page can say that it has no such view; programs that ask for something that is not here must not get HTML.
fn is_view(path: &str, headers: &HeaderMap) -> bool {
    let first = path.split('/').nth(1).unwrap_or("");
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_asset = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    !is_asset && (VIEWS.contains(&first) || accepted.contains("text/html"))
}

/// Answers with a file of the page, or with the page itself where the path is one of its views.
pub(crate) fn serve(parts: &Parts) -> Response {
    let path = parts.uri.path();
    match find(path) {
        Some(file) => answer(file, &parts.method, &parts.headers),
        None if !is_view(path, &parts.headers) => {
            Problem::not_found(format!("nothing is served at {path:?}")).into_response()
        }
        None => match find("/index.html") {
            Some(page) => answer(page, &parts.method, &parts.headers),
            None => stub(),
        },
    }
}

fn answer(file: &'static File, method: &Method, headers: &HeaderMap) -> Response {
    // Names under assets/ carry a hash of the content, so a name never changes its meaning.
    let for_ever = file.path.starts_with("/assets/");
    let cache = if for_ever { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = crate::api::tag(file.tag);
    let mut response = if crate::api::has_already(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (bytes, coding) = coded(file, headers);
        let length = bytes.len();
        let mut response =
            Response::new(if method == Method::HEAD { Body::empty() } else { Body::from(bytes) });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.path)));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// The smallest form that the client reads.
fn coded(file: &File, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    let accepts = |coding: &str| {
        accepted.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let refused = |quality: &str| {
                quality.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty())
            };
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding)) && !parts.any(refused)
        })
    };
    match file {
        File { brotli: Some(bytes), .. } if accepts("br") => (bytes, Some("br")),
        File { gzip: Some(bytes), .. } if accepts("gzip") => (bytes, Some("gzip")),
        File { bytes, .. } => (bytes, None),
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What is shown when the program was built without the page.
fn stub() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STUB)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    static FILE: File =
        File { path: "/assets/a-1.js", tag: "1", bytes: b"plain", brotli: Some(b"br"), gzip: Some(b"gz") };

    fn coding(accepted: &'static str) -> Option<&'static str> {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        coded(&FILE, &headers).1
    }

    #[test]
    fn the_views_are_those_of_the_page() {
        let routes = include_str!("../../../ui/src/app/router.tsx");
        let paths = routes.split("path: \"/").skip(1).filter_map(|rest| rest.split(['/', '"']).next());
        let mut named: Vec<&str> = paths.collect();
        named.dedup();
        assert_eq!(named, VIEWS);
    }

    #[test]
    fn only_views_and_browsers_get_the_page() {
        let browser =
            HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))]);
        for (path, program, person) in [
            ("/", true, true),
            ("/traffic", true, true),
            ("/traffic/0189", true, true),
            ("/v1/config", false, true),
            ("/elsewhere", false, true),
            ("/assets/a-1.js", false, false),
            ("/robots.txt", false, false),
        ] {
            assert_eq!(is_view(path, &HeaderMap::new()), program, "{path}");
            assert_eq!(is_view(path, &browser), person, "{path}");
        }
    }

    #[test]
    fn the_smallest_accepted_form_is_sent() {
        assert_eq!(coding("gzip, deflate, br"), Some("br"));
        assert_eq!(coding("GZIP"), Some("gzip"));
        assert_eq!(coding("br;q=0, gzip;q=0.5"), Some("gzip"));
        assert_eq!(coding("br; q=0.0"), None);
        assert_eq!(coding("identity"), None);
    }

    #[test]
    fn assets_are_kept_for_ever_and_recognised() {
        let response = answer(&FILE, &Method::GET, &HeaderMap::new());
        assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        let tag = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("W/\"1\""))]);
        assert_eq!(answer(&FILE, &Method::GET, &tag).status(), StatusCode::NOT_MODIFIED);
        let page = File { path: "/index.html", ..FILE };
        let page: &'static File = Box::leak(Box::new(page));
        assert_eq!(answer(page, &Method::GET, &HeaderMap::new()).headers()["cache-control"], "no-cache");
    }
}
