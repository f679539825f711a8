//! Rules and rates for reporters that can act on calls or sample them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use weir_query::Mistake;
use weir_state::StateError;

use super::{App, json};
use crate::error::{Origin, Problem};
use crate::governance::{self, Governed, MAX_RULES, Rule, RuleDocument, SamplingDocument};
use crate::parameters::Parameters;

/// The rules of a project.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rules {
    /// In the order of creation.
    rules: Vec<Rule>,
    /// Names what is in force, rules and rates together; changes when they do.
    tag: String,
}

/// All rules, oldest first.
#[utoipa::path(
    get, path = "/api/v1/governance/rules", operation_id = "listRules", tag = "governance",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    responses((status = 200, body = Rules, description = "the rules"))
)]
pub(crate) async fn rules(State(app): State<Arc<App>>, query: RawQuery) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let rules = blocking(&app, move |governed| {
        Ok(Rules { rules: governed.rules(&project)?, tag: governed.current(&project).tag.clone() })
    });
    Ok(json(&rules.await?))
}

/// Adds a rule. Reporters apply it when they next ask, within a minute as a rule.
#[utoipa::path(
    post, path = "/api/v1/governance/rules", operation_id = "createRule", tag = "governance",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    request_body = RuleDocument,
    responses(
        (status = 201, body = Rule, description = "the rule is in force"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "there are too many rules"),
    )
)]
pub(crate) async fn add_rule(
    State(app): State<Arc<App>>,
    query: RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let rule = checked(&app, body, governance::check_rule).await?;
    let now = app.now();
    let added = blocking(&app, move |governed| governed.add(&project, rule, now)).await?;
    let rule = added.ok_or_else(|| {
        Problem::with_status(StatusCode::CONFLICT, format!("there are {MAX_RULES} rules, which is the most"))
    })?;
    let place = HeaderValue::try_from(format!("/api/v1/governance/rules/{}", rule.id()));
    let mut response = (StatusCode::CREATED, json(&rule)).into_response();
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// One rule.
#[utoipa::path(
    get, path = "/api/v1/governance/rules/{id}", operation_id = "getRule", tag = "governance",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Rule, description = "the rule"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none"),
    )
)]
pub(crate) async fn rule(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let wanted = id_of(&id)?;
    let rules = blocking(&app, move |governed| governed.rules(&project)).await?;
    let rule = rules.into_iter().find(|rule| rule.id() == wanted.to_string()).ok_or_else(|| unknown(&id))?;
    Ok(json(&rule))
}

/// Replaces a rule; it keeps its place in the order.
#[utoipa::path(
    put, path = "/api/v1/governance/rules/{id}", operation_id = "replaceRule", tag = "governance",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    request_body = RuleDocument,
    responses(
        (status = 200, body = Rule, description = "the rule is in force"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none"),
    )
)]
pub(crate) async fn replace_rule(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let wanted = id_of(&id)?;
    let rule = checked(&app, body, governance::check_rule).await?;
    let replaced = blocking(&app, move |governed| governed.replace(&project, wanted, rule)).await?;
    Ok(json(&replaced.ok_or_else(|| unknown(&id))?))
}

/// Removes a rule.
#[utoipa::path(
    delete, path = "/api/v1/governance/rules/{id}", operation_id = "deleteRule", tag = "governance",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 204, description = "it is no longer in force"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is none"),
    )
)]
pub(crate) async fn delete_rule(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let wanted = id_of(&id)?;
    let gone = blocking(&app, move |governed| governed.remove(&project, wanted)).await?;
    if gone { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(unknown(&id)) }
}

/// The rates.
#[utoipa::path(
    get, path = "/api/v1/governance/sampling", operation_id = "getSampling", tag = "governance",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    responses((status = 200, body = SamplingDocument, description = "the rates"))
)]
pub(crate) async fn sampling(State(app): State<Arc<App>>, query: RawQuery) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    Ok(json(&blocking(&app, move |governed| governed.sampling(&project)).await?))
}

/// Replaces the rates.
#[utoipa::path(
    put, path = "/api/v1/governance/sampling", operation_id = "replaceSampling", tag = "governance",
    params(("project" = Option<String>, Query, description = "whose traffic; `default` when not given")),
    request_body = SamplingDocument,
    responses(
        (status = 200, body = SamplingDocument, description = "the rates are in force"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn replace_sampling(
    State(app): State<Arc<App>>,
    query: RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query.0.as_deref())?;
    let sampling = checked(&app, body, governance::check_sampling).await?;
    let set = blocking(&app, move |governed| {
        governed.set_sampling(&project, &sampling)?;
        Ok(sampling)
    });
    Ok(json(&set.await?))
}

async fn checked<T>(
    app: &App,
    body: Body,
    check: fn(Value) -> Result<T, Vec<Mistake>>,
) -> Result<T, Problem> {
    let body = app.question(body).await?;
    check(body).map_err(|mistakes| Problem::mistakes(&mistakes, Origin::Parameter("")))
}

async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&Governed) -> Result<T, StateError> + Send + 'static,
) -> Result<T, Problem> {
    let app = app.clone();
    super::state(move || work(&app.governed)).await
}

fn id_of(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| unknown(id))
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(80).collect();
    Problem::not_found(format!("there is no rule {id:?}"))
}
