//! What can be asked for, and which values there are.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use weir_model::field::FIELDS;
use weir_model::{Field, FieldType};
use weir_query::json::MAX_ROWS;
use weir_query::table::Cell;
use weir_query::{Aggregation, Dimension, Filter, Measure, Op, check};

use super::{App, json, within};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::views::table::cell_value;

/// What can be filtered, grouped and shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fields {
    fields: Vec<FieldInfo>,
    /// Fields with open names.
    families: Vec<Family>,
}

/// A field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldInfo {
    name: &'static str,
    /// Short names; the first one is shown.
    aliases: &'static [&'static str],
    /// keyword, integer, bytes, duration, time or bool.
    #[serde(rename = "type")]
    kind: &'static str,
    about: &'static str,
}

/// Fields whose names come from the traffic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Family {
    /// What stands before the name.
    prefix: &'static str,
    about: &'static str,
}

/// Values of a field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Values {
    /// Most frequent first.
    values: Vec<ValueCount>,
    /// Whether there are more.
    more: bool,
    /// Whether counts are estimates.
    approximate: bool,
}

/// A value and how many calls have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValueCount {
    /// A string, number or boolean.
    value: serde_json::Value,
    count: i64,
}

/// The fields that a question may name.
#[utoipa::path(
    get, path = "/api/v1/fields", operation_id = "listFields", tag = "questions",
    responses((status = 200, body = Fields, description = "the fields"))
)]
pub(crate) async fn list() -> Response {
    let fields = FIELDS.iter().map(|row| FieldInfo {
        name: row.name,
        aliases: row.aliases,
        kind: row.field_type.name(),
        about: row.about,
    });
    let families = check::FAMILIES.iter().map(|(prefix, about)| Family { prefix, about });
    json(&Fields { fields: fields.collect(), families: families.collect() })
}

/// The most frequent values of a field among what matches.
#[utoipa::path(
    get, path = "/api/v1/fields/{name}/values", operation_id = "listFieldValues", tag = "questions",
    params(
        ("name" = String, Path, description = "name or alias of a field, or a member of a family"),
        ("q" = Option<String>, Query, description = "query text"),
        ("from" = Option<String>, Query, description = "first instant"),
        ("to" = Option<String>, Query, description = "instant after the last"),
        ("prefix" = Option<String>, Query, description = "how the values begin"),
        ("limit" = Option<u32>, Query, description = "1 to 1000, default 10"),
        ("project" = Option<String>, Query, description = "whose traffic; `default` when not given"),
    ),
    responses(
        (status = 200, body = Values, description = "the values"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "there is no such field"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "it took too long"),
    )
)]
pub(crate) async fn values(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let field = check::field(&name).map_err(Problem::not_found)?;
    let known = ["q", "from", "to", "prefix", "limit", "project"];
    let mut parameters = Parameters::read(query.as_deref(), &known);
    let now = app.now();
    let prefix = parameters.text("prefix").unwrap_or("").to_owned();
    let limit = parameters.count("limit", 1..=1_000, 10);
    let filter = parameters.filter(now);
    let is_text = field.field_type().is_none_or(|kind| kind == FieldType::Keyword);
    let filter = if is_text && !prefix.is_empty() {
        let test = Filter::Test { field: field.clone(), op: Op::Prefix(prefix.clone()) };
        Filter::And(vec![filter, test])
    } else {
        filter
    };
    let asked = Aggregation {
        project: parameters.project(),
        range: parameters.range(now),
        filter,
        dimensions: vec![Dimension::Field(field.clone())],
        measures: vec![Measure::Count],
        order_by: Some(0),
        // Values that a field has beside the one asked for, and `null`, are left out below.
        limit: if prefix.is_empty() { limit + 1 } else { MAX_ROWS },
    };
    parameters.done()?;
    let figures = within(app.settings.values_timeout, app.store.aggregate(&asked)).await?;
    let kind = kind(&field);
    let mut values: Vec<ValueCount> = figures
        .rows
        .iter()
        .filter_map(|row| match row.as_slice() {
            [Cell::Null, ..] => None,
            [value, Cell::Integer(count)] => {
                Some(ValueCount { value: cell_value(value, kind), count: *count })
            }
            [value, Cell::Float(count)] => {
                Some(ValueCount { value: cell_value(value, kind), count: count.round() as i64 })
            }
            _ => None,
        })
        .filter(|found| shown(&found.value).starts_with(&prefix))
        .collect();
    let more = figures.more || values.len() > limit;
    values.truncate(limit);
    Ok(json(&Values { values, more, approximate: figures.approximate }))
}

fn kind(field: &Field) -> &'static str {
    field.field_type().map_or("any", FieldType::name)
}

fn shown(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
