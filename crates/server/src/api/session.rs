//! Signing in, for the page: a token becomes a cookie that scripts cannot read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use utoipa::ToSchema;

use super::App;
use crate::error::Problem;
use crate::guard;

/// What signing in takes.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the shape is described here and read below")]
pub(crate) struct SessionRequest {
    /// The value of the setting `server.token`.
    token: String,
}

/// Signs in: sets a cookie that stands for the token until the browser is closed or somebody signs out.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "signIn", tag = "operations",
    request_body = SessionRequest,
    responses(
        (status = 204, description = "signed in, or no token is needed"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "not the token"),
    )
)]
pub(crate) async fn sign_in(State(app): State<Arc<App>>, body: Body) -> Result<Response, Problem> {
    let body = app.question(body).await?;
    let given = body.get("token").and_then(serde_json::Value::as_str);
    let given = given.ok_or_else(|| Problem::invalid("expected {\"token\": \"…\"}"))?;
    let Some(token) = &app.settings.token else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    if !guard::same(given, token.expose()) {
        return Err(Problem::unauthorized());
    }
    Ok(with_cookie(&guard::cookie(token)))
}

/// Signs out: removes the cookie.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "signOut", tag = "operations",
    responses((status = 204, description = "signed out"))
)]
pub(crate) async fn sign_out() -> Response {
    with_cookie(&format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", guard::COOKIE))
}

fn with_cookie(cookie: &str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
