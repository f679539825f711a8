//! What is served where.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use uuid::Uuid;

use crate::api::{
    App, bodies, exchanges, export, fields, figures, governance, import, ledger, live, profiles, session,
    setup,
};
use crate::collector::{self, Collector, Found};
use crate::error::Problem;
use crate::{guard, metrics, openapi, ui};

/// A route of the API: method, path, handler.
pub(crate) type Route = (&'static str, &'static str, MethodRouter<Arc<App>>);

/// Every endpoint of the API. The OpenAPI document is compared with this list.
pub(crate) fn routes() -> Vec<Route> {
    vec![
        ("get", "/api/v1/exchanges", get(exchanges::list)),
        ("delete", "/api/v1/exchanges", delete(exchanges::erase)),
        ("get", "/api/v1/exchanges/{id}", get(exchanges::one)),
        ("get", "/api/v1/exchanges/{id}/har", get(exchanges::har)),
        ("get", "/api/v1/exchanges/{id}/{side}/body", get(bodies::body)),
        ("post", "/api/v1/explore", post(figures::explore)),
        ("post", "/api/v1/aggregate", post(figures::aggregate)),
        ("get", "/api/v1/fields", get(fields::list)),
        ("get", "/api/v1/fields/{name}/values", get(fields::values)),
        ("get", "/api/v1/live", get(live::live)),
        ("get", "/api/v1/users", get(profiles::users)),
        ("get", "/api/v1/users/{id}", get(profiles::user)),
        ("delete", "/api/v1/users/{id}", delete(profiles::delete_user)),
        ("get", "/api/v1/companies", get(profiles::companies)),
        ("get", "/api/v1/companies/{id}", get(profiles::company)),
        ("delete", "/api/v1/companies/{id}", delete(profiles::delete_company)),
        ("get", "/api/v1/subscriptions", get(profiles::subscriptions)),
        ("get", "/api/v1/subscriptions/{id}", get(profiles::subscription)),
        ("delete", "/api/v1/subscriptions/{id}", delete(profiles::delete_subscription)),
        ("get", "/api/v1/governance/rules", get(governance::rules)),
        ("post", "/api/v1/governance/rules", post(governance::add_rule)),
        ("get", "/api/v1/governance/rules/{id}", get(governance::rule)),
        ("put", "/api/v1/governance/rules/{id}", put(governance::replace_rule)),
        ("delete", "/api/v1/governance/rules/{id}", delete(governance::delete_rule)),
        ("get", "/api/v1/governance/sampling", get(governance::sampling)),
        ("put", "/api/v1/governance/sampling", put(governance::replace_sampling)),
        ("get", "/api/v1/ledger", get(ledger::ledger)),
        ("get", "/api/v1/setup", get(setup::setup)),
        ("post", "/api/v1/import", post(import::import)),
        ("get", "/api/v1/export", get(export::export)),
        ("post", "/api/v1/session", post(session::sign_in)),
        ("delete", "/api/v1/session", delete(session::sign_out)),
    ]
}

/// Everything behind the server's address.
pub(crate) fn router(app: Arc<App>, collector: Arc<Collector>, admin: Option<Router>) -> Router {
    let mut api = Router::new();
    for (_, path, handler) in routes() {
        api = api.route(path, handler);
    }
    let unknown =
        || async { Problem::not_found("there is no such endpoint; GET /api/openapi.json lists them") };
    let wrong_method = || async {
        Problem::with_status(
            StatusCode::METHOD_NOT_ALLOWED,
            "this endpoint has no such method; see /api/openapi.json",
        )
    };
    let mut api =
        api.route("/api/{*rest}", axum::routing::any(unknown)).method_not_allowed_fallback(wrong_method);
    if let Some(admin) = admin {
        api = api.nest_service("/admin", admin);
    }
    let api = api
        .layer(middleware::from_fn(not_kept))
        .layer(middleware::from_fn_with_state(app.clone(), guard::api));
    let figures = Router::new()
        .route("/metrics", get(metrics::metrics))
        .layer(middleware::from_fn_with_state(app.clone(), guard::host));
    let open = Router::new()
        .route("/api/openapi.json", get(openapi::document))
        .route("/healthz", get(metrics::healthz))
        .route("/readyz", get(metrics::readyz));
    let rest = Rest { app: app.clone(), collector };
    Router::new()
        .merge(api)
        .merge(figures)
        .merge(open)
        .with_state(app.clone())
        .fallback_service(Router::new().fallback(elsewhere).with_state(rest))
        .layer(middleware::from_fn_with_state(app, metrics::count))
        .layer(middleware::from_fn(dress))
}

#[derive(Clone)]
struct Rest {
    app: Arc<App>,
    collector: Arc<Collector>,
}

/// What is no endpoint of ours is a report or a part of the page.
async fn elsewhere(State(rest): State<Rest>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match rest.collector.find(&parts.method, parts.uri.path()) {
        Found::Receiver(receiver, mount, parameters) => {
            let room = rest.collector.room.clone();
            collector::serve(rest.app, room, receiver, mount, parameters, parts, body).await
        }
        Found::Nobody if matches!(parts.method, Method::GET | Method::HEAD) => ui::serve(&parts),
        Found::Nobody => {
            Problem::not_found(format!("nothing is served at {:?}", parts.uri.path())).into_response()
        }
        Found::OtherMethods(methods) if parts.method == Method::OPTIONS => {
            collector::preflight(&methods, &parts.headers)
        }
        // Paths of reports are also paths of the page for all we know.
        Found::OtherMethods(_) if parts.method == Method::GET && ui::has(parts.uri.path()) => {
            ui::serve(&parts)
        }
        Found::OtherMethods(methods) => {
            let detail = format!("{} is for reports, sent with {}", parts.uri.path(), methods.join(" or "));
            let mut response = Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
            if let Ok(allow) = HeaderValue::try_from(methods.join(", ")) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
    }
}

/// Answers of the API are not kept by anybody unless they say otherwise.
async fn not_kept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What a page from here may load and who may frame it: `ui.md` of the design. Inline styles are for the scroll lock of
/// dialogs.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; connect-src 'self'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; \
    base-uri 'none'";

/// Gives every answer its request id and the headers that keep browsers from guessing.
async fn dress(request: Request, next: Next) -> Response {
    const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
    let given = request.headers().get(&REQUEST_ID).filter(|value| is_request_id(value.as_bytes())).cloned();
    let id = given.or_else(|| HeaderValue::try_from(Uuid::new_v4().to_string()).ok());
    let peer = request.extensions().get::<SocketAddr>().copied();
    let shown = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    let bare = response.extensions().get::<collector::Bare>().is_some();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        if !bare {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
    }
    if let Some(id) = id {
        tracing::debug!(method = %shown.0, path = shown.1, status = response.status().as_u16(), ?peer, ?id, "answered");
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Request ids of others are taken over when they are harmless to log.
fn is_request_id(bytes: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&bytes.len()) && bytes.iter().all(harmless)
}
