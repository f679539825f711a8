//! Users, companies and subscriptions: what reporters said of them.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weir_kit::Timestamp;
use weir_model::{Field, ProjectId};
use weir_pipeline::ProfileKind;
use weir_query::table::Cell;
use weir_query::{Aggregation, Dimension, Filter, Measure, TimeRange};
use weir_state::{ProfileListing, Profiles, StateError};

use super::{App, json, within};
use crate::error::Problem;
use crate::parameters::{NOT_A_CURSOR, Parameters};

/// Most users or companies of the traffic that are looked up for one page.
const MAX_UNDESCRIBED: usize = 100;

/// One page of users, companies or subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileList {
    /// Those heard of last come first.
    profiles: Vec<Profile>,
    /// `cursor` of the next page; null on the last.
    #[schema(required)]
    next: Option<String>,
    /// Ids among the 100 most frequent ones of the traffic of which no reporter said anything. On the first page of a
    /// list that is not searched; null elsewhere, and when counting took too long.
    #[schema(required)]
    without_profile: Option<Vec<WithoutProfile>>,
}

/// What is known of a user, company or subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Profile {
    /// As exchanges name it.
    id: String,
    /// `metadata.name`, or first and last name.
    #[schema(required)]
    name: Option<String>,
    /// `metadata.email`.
    #[schema(required)]
    email: Option<String>,
    /// Id of the company it belongs to.
    #[schema(required)]
    company: Option<String>,
    /// When it was first heard of.
    #[schema(format = DateTime)]
    first_seen: String,
    /// When it was last heard of.
    #[schema(format = DateTime)]
    last_seen: String,
    /// The sessions it was seen in, as exchanges name them; the newest is the last.
    sessions: Vec<String>,
    /// What reporters said, merged; secrets are masked.
    #[schema(value_type = Object)]
    properties: Map<String, Value>,
}

/// An id that only the traffic names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WithoutProfile {
    id: String,
    /// Calls in all the traffic held.
    count: i64,
}

/// Users, those heard of last first.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "listUsers", tag = "profiles",
    params(
        ("search" = Option<String>, Query, description = "text in the id or in any property, without regard to case"),
        ("company" = Option<String>, Query, description = "only those of this company"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = ProfileList, description = "a page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn users(State(app): State<Arc<App>>, query: RawQuery) -> Result<Response, Problem> {
    list(&app, ProfileKind::User, query.0.as_deref()).await
}

/// Companies, those heard of last first.
#[utoipa::path(
    get, path = "/api/v1/companies", operation_id = "listCompanies", tag = "profiles",
    params(
        ("search" = Option<String>, Query, description = "text in the id or in any property, without regard to case"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = ProfileList, description = "a page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn companies(State(app): State<Arc<App>>, query: RawQuery) -> Result<Response, Problem> {
    list(&app, ProfileKind::Company, query.0.as_deref()).await
}

/// Subscriptions, those heard of last first.
#[utoipa::path(
    get, path = "/api/v1/subscriptions", operation_id = "listSubscriptions", tag = "profiles",
    params(
        ("search" = Option<String>, Query, description = "text in the id or in any property, without regard to case"),
        ("company" = Option<String>, Query, description = "only those of this company"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = ProfileList, description = "a page"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "all mistakes"),
    )
)]
pub(crate) async fn subscriptions(State(app): State<Arc<App>>, query: RawQuery) -> Result<Response, Problem> {
    list(&app, ProfileKind::Subscription, query.0.as_deref()).await
}

/// What is known of one user.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", operation_id = "getUser", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Profile, description = "the user"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn user(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    one(&app, ProfileKind::User, id, query.0.as_deref()).await
}

/// What is known of one company.
#[utoipa::path(
    get, path = "/api/v1/companies/{id}", operation_id = "getCompany", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Profile, description = "the company"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn company(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    one(&app, ProfileKind::Company, id, query.0.as_deref()).await
}

/// What is known of one subscription.
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{id}", operation_id = "getSubscription", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Profile, description = "the subscription"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn subscription(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    one(&app, ProfileKind::Subscription, id, query.0.as_deref()).await
}

/// Forgets what was said of a user; its exchanges stay.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", operation_id = "deleteUser", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 204, description = "forgotten"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn delete_user(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    forget(&app, ProfileKind::User, id, query.0.as_deref()).await
}

/// Forgets what was said of a company; its exchanges and users stay.
#[utoipa::path(
    delete, path = "/api/v1/companies/{id}", operation_id = "deleteCompany", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 204, description = "forgotten"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn delete_company(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    forget(&app, ProfileKind::Company, id, query.0.as_deref()).await
}

/// Forgets what was said of a subscription; its exchanges stay.
#[utoipa::path(
    delete, path = "/api/v1/subscriptions/{id}", operation_id = "deleteSubscription", tag = "profiles",
    params(
        ("id" = String, Path, description = "its id"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 204, description = "forgotten"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "no reporter said anything of it"),
    )
)]
pub(crate) async fn delete_subscription(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    query: RawQuery,
) -> Result<Response, Problem> {
    forget(&app, ProfileKind::Subscription, id, query.0.as_deref()).await
}

async fn list(app: &Arc<App>, kind: ProfileKind, query: Option<&str>) -> Result<Response, Problem> {
    let known = match kind {
        ProfileKind::Company => &["search", "limit", "cursor", "project"][..],
        _ => &["search", "company", "limit", "cursor", "project"],
    };
    let mut parameters = Parameters::read(query, known);
    let project = parameters.project();
    let limit = parameters.count("limit", 1..=1_000, 50);
    let text = parameters.text("search").unwrap_or("").to_owned();
    let company = parameters.text("company").map(str::to_owned);
    let after = parameters.text("cursor").map(str::to_owned);
    let is_whole = text.is_empty() && company.is_none() && after.is_none();
    let after = match after.as_deref().map(read_cursor) {
        Some(None) => {
            parameters.wrong("cursor", NOT_A_CURSOR);
            None
        }
        after => after.flatten(),
    };
    parameters.done()?;
    let owner = project.clone();
    let mut found = blocking(app, move |profiles| {
        let after = after.as_ref().map(|(last_seen, id)| (*last_seen, id.as_str()));
        let listing = ProfileListing { text: &text, company: company.as_deref(), after, limit: limit + 1 };
        profiles.list(owner.as_str(), kind.name(), &listing)
    })
    .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| write_cursor(last.last_seen, &last.id));
    let without_profile = if is_whole { without_profile(app, kind, project).await? } else { None };
    Ok(json(&ProfileList { profiles: found.into_iter().map(Profile::new).collect(), next, without_profile }))
}

/// The most frequent ids of the traffic without a profile; `None` when there is no such field, or counting takes too long.
async fn without_profile(
    app: &Arc<App>,
    kind: ProfileKind,
    project: ProjectId,
) -> Result<Option<Vec<WithoutProfile>>, Problem> {
    let field = match kind {
        ProfileKind::User => "user.id",
        ProfileKind::Company => "weir.company",
        // Exchanges hold it, but nothing counts by it.
        ProfileKind::Subscription => return Ok(None),
    };
    let Some(field) = Field::named(field) else { return Ok(None) };
    let asked = Aggregation {
        project: project.clone(),
        range: TimeRange::ALL,
        filter: Filter::Any,
        dimensions: vec![Dimension::Field(field)],
        measures: vec![Measure::Count],
        order_by: Some(0),
        limit: MAX_UNDESCRIBED + 1,
    };
    let Ok(figures) = within(app.settings.values_timeout, app.store.aggregate(&asked)).await else {
        return Ok(None);
    };
    let counts = figures.rows.into_iter().filter_map(|row| match row.as_slice() {
        [Cell::Text(id), Cell::Integer(count)] if !id.is_empty() => Some((id.to_string(), *count)),
        _ => None,
    });
    let counts: Vec<(String, i64)> = counts.take(MAX_UNDESCRIBED).collect();
    let ids: Vec<String> = counts.iter().map(|(id, _)| id.clone()).collect();
    let known = blocking(app, move |profiles| profiles.known(project.as_str(), kind.name(), &ids)).await?;
    let unknown = counts.into_iter().filter(|(id, _)| !known.contains(id));
    Ok(Some(unknown.map(|(id, count)| WithoutProfile { id, count }).collect()))
}

async fn one(
    app: &Arc<App>,
    kind: ProfileKind,
    id: String,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query)?;
    let asked = id.clone();
    let found = blocking(app, move |profiles| profiles.get(project.as_str(), kind.name(), &asked)).await?;
    found.map(|found| json(&Profile::new(found))).ok_or_else(|| unknown(kind, &id))
}

async fn forget(
    app: &Arc<App>,
    kind: ProfileKind,
    id: String,
    query: Option<&str>,
) -> Result<Response, Problem> {
    let project = Parameters::only_project(query)?;
    let asked = id.clone();
    let gone = blocking(app, move |profiles| profiles.delete(project.as_str(), kind.name(), &asked)).await?;
    if gone { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(unknown(kind, &id)) }
}

fn unknown(kind: ProfileKind, id: &str) -> Problem {
    let id: String = id.chars().take(80).collect();
    Problem::not_found(format!("no reporter said anything of a {} {id:?}", kind.name()))
}

/// Runs work on the profiles away from the threads that serve connections.
async fn blocking<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&Profiles) -> Result<T, StateError> + Send + 'static,
) -> Result<T, Problem> {
    let app = app.clone();
    super::state(move || work(&app.profiles)).await
}

fn write_cursor(last_seen: Timestamp, id: &str) -> String {
    use base64::Engine;
    let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(id);
    format!("{}.{id}", last_seen.micros())
}

fn read_cursor(text: &str) -> Option<(Timestamp, String)> {
    use base64::Engine;
    let (micros, id) = text.split_once('.')?;
    let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).ok()?;
    Some((Timestamp::from_micros(micros.parse().ok()?), String::from_utf8(id).ok()?))
}

impl Profile {
    fn new(known: weir_state::Profile) -> Self {
        let metadata = known.properties.get("metadata");
        let text = |name: &str| {
            let text = metadata?.get(name)?.as_str()?.trim();
            Some(text.to_owned()).filter(|text| !text.is_empty())
        };
        let name = text("name").or_else(|| match (text("first_name"), text("last_name")) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (first, last) => first.or(last),
        });
        Self {
            name,
            email: text("email"),
            id: known.id,
            company: known.company,
            first_seen: known.first_seen.to_string(),
            last_seen: known.last_seen.to_string(),
            sessions: known.sessions,
            properties: known.properties,
        }
    }
}
