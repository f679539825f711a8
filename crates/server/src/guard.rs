//! Who may ask: token, host name, origin.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};
use sha2::{Digest, Sha256};
use weir_kit::Secret;

use crate::api::App;
use crate::error::Problem;
use crate::parts::Settings;

/// Name of the cookie that stands for the token.
pub(crate) const COOKIE: &str = "weir_session";

/// Lets a request to the API through, or says why not.
pub(crate) async fn api(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let signs_in = request.uri().path() == "/api/v1/session";
    let (headers, uri) = (request.headers(), request.uri());
    let allowed = host_allowed(&app.settings, headers, uri)
        .and_then(|()| origin_allowed(request.method(), headers, uri))
        .and_then(|()| if signs_in { Ok(()) } else { token_allowed(&app.settings, headers) });
    match allowed {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets a request for figures through that programs, not pages, ask for.
pub(crate) async fn host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match host_allowed(&app.settings, request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The host that the request names, without its port.
fn named_host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    // HTTP/2 names it in the target.
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok()).unwrap_or("");
    weir_model::field::without_port(host)
}

/// Without a token, a name that a stranger can point at this machine must not reach the API: a foreign page could read
/// everything through the visitor's browser (DNS rebinding). With a token there is nothing to gain, as browsers send
/// neither the token nor the cookie to other names.
fn host_allowed(settings: &Settings, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    let host = named_host(headers, uri);
    if settings.token.is_some() || is_local_name(host) || is_listed(settings, host) {
        return Ok(());
    }
    Err(Problem::with_status(
        http::StatusCode::MISDIRECTED_REQUEST,
        format!(
            "the API does not answer under the name {host:?}; add it to server.allowed_hosts, or set server.token"
        ),
    ))
}

/// An address, `localhost`, or a name without a dot: names that nobody on the internet can own.
fn is_local_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let name = bare.to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok() || !name.contains('.') || name.ends_with(".localhost")
}

fn is_listed(settings: &Settings, host: &str) -> bool {
    settings.allowed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host.trim_end_matches('.')))
}

/// A page of another site must not change anything here (cross-site request forgery).
fn origin_allowed(method: &Method, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = |from: &str| Problem::forbidden(format!("a page of {from} must not change anything here"));
    if let Some(origin) = text("origin") {
        let origin_host = origin.split_once("://").map_or("", |(_, host)| host);
        let same =
            weir_model::field::without_port(origin_host).eq_ignore_ascii_case(named_host(headers, uri));
        let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text("host")).unwrap_or("");
        if !same || port(origin_host, origin) != port(host, origin) {
            return Err(refused(origin));
        }
        return Ok(());
    }
    match text("sec-fetch-site") {
        Some("cross-site" | "same-site") => Err(refused("another site")),
        _ => Ok(()),
    }
}

/// The port of a host, by the scheme of the origin when it names none.
fn port<'a>(host: &'a str, origin: &str) -> &'a str {
    match host.strip_prefix(weir_model::field::without_port(host)).and_then(|rest| rest.strip_prefix(':')) {
        Some(port) => port,
        None if origin.starts_with("https:") => "443",
        None => "80",
    }
}

fn token_allowed(settings: &Settings, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &settings.token else { return Ok(()) };
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| {
        let (scheme, given) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(given.trim())
    });
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let session = cookies.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    let allowed = bearer.is_some_and(|given| same(given, token.expose()))
        || session.is_some_and(|given| same(given, &session_value(token)));
    if allowed { Ok(()) } else { Err(Problem::unauthorized()) }
}

/// Compares in a time that does not depend on where the two differ.
pub(crate) fn same(given: &str, expected: &str) -> bool {
    let (given, expected) = (Sha256::digest(given), Sha256::digest(expected));
    given.iter().zip(expected).fold(0, |differences, (left, right)| differences | (left ^ right)) == 0
}

/// What the cookie holds: it is worth the token here, but does not reveal it.
fn session_value(token: &Secret) -> String {
    let digest = Sha256::digest(format!("weir session\n{}", token.expose()));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The cookie that stands for a token.
pub(crate) fn cookie(token: &Secret) -> String {
    format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", session_value(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_names_that_nobody_can_own_reach_an_open_api() {
        let uri = Uri::from_static("/api/v1/fields");
        let mut settings = Settings { allowed_hosts: vec!["weir.example.com".into()], ..Settings::default() };
        for (host, allowed) in [
            ("127.0.0.1:8002", true),
            ("[::1]:8002", true),
            ("localhost:8002", true),
            ("a.localhost", true),
            ("weir", true),
            ("weir.example.com:8002", true),
            ("WEIR.example.com.", true),
            ("evil.example.com", false),
            ("127.0.0.1.evil.com", false),
            ("localhost.evil.com:8002", false),
        ] {
            let headers = headers(&[("host", host)]);
            assert_eq!(host_allowed(&settings, &headers, &uri).is_ok(), allowed, "{host}");
        }
        settings.token = Some(Secret::new("t"));
        assert!(host_allowed(&settings, &headers(&[("host", "any.example.com")]), &uri).is_ok());
    }

    #[test]
    fn foreign_pages_change_nothing() {
        let uri = Uri::from_static("/api/v1/import");
        for (pairs, allowed) in [
            (&[("host", "localhost:8002")][..], true),
            (&[("host", "localhost:8002"), ("origin", "http://localhost:8002")], true),
            (&[("host", "localhost:8002"), ("origin", "http://localhost:3000")], false),
            (&[("host", "weir.test"), ("origin", "https://weir.test")], true),
            (&[("host", "weir.test"), ("origin", "http://evil.test")], false),
            (&[("host", "weir.test"), ("origin", "null")], false),
            (&[("host", "weir.test"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "weir.test"), ("sec-fetch-site", "same-origin")], true),
        ] {
            let headers = headers(pairs);
            assert_eq!(origin_allowed(&Method::POST, &headers, &uri).is_ok(), allowed, "{pairs:?}");
            assert!(origin_allowed(&Method::GET, &headers, &uri).is_ok());
        }
    }

    #[test]
    fn a_token_is_asked_for() {
        let settings = Settings { token: Some(Secret::new("s3cret")), ..Settings::default() };
        for (pairs, allowed) in [
            (&[][..], false),
            (&[("authorization", "Bearer s3cret")], true),
            (&[("authorization", "bearer s3cret")], true),
            (&[("authorization", "Bearer s3cre")], false),
            (&[("authorization", "Basic s3cret")], false),
            (&[("cookie", "weir_session=s3cret")], false),
        ] {
            assert_eq!(token_allowed(&settings, &headers(pairs)).is_ok(), allowed, "{pairs:?}");
        }
        let cookie = cookie(&Secret::new("s3cret"));
        let value = HeaderValue::try_from(format!("a=b; {}", cookie.split(';').next().unwrap())).unwrap();
        assert!(token_allowed(&settings, &HeaderMap::from_iter([(header::COOKIE, value)])).is_ok());
        assert!(!cookie.contains("s3cret"));
    }
}
