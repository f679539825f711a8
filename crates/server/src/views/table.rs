//! Tables of figures.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use weir_model::{Field, FieldType};
use weir_query::table::{Cell, Table as Figures};
use weir_query::{Aggregation, Dimension, Measure};

/// The answer to an aggregation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Table {
    /// First the dimensions, then the measures, in the order asked for.
    columns: Vec<Column>,
    /// One row for each combination of dimension values.
    rows: Vec<Vec<Value>>,
    /// Whether rows beyond the limit were left out.
    more: bool,
    /// Whether figures are estimates beyond what their measure says.
    approximate: bool,
    /// How long it took, in milliseconds.
    took_ms: f64,
}

/// A column of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Column {
    /// `time`, or the field or measure as the question wrote it.
    name: String,
    /// `time`, `keyword`, `integer`, `bytes`, `duration` (milliseconds), `bool`, `number`, `ratio`, `count`, `band` or `any`.
    #[serde(rename = "type")]
    kind: &'static str,
}

impl Table {
    /// `names` are those of the columns, as the question wrote them.
    pub(crate) fn new(asked: &Aggregation, names: Vec<String>, figures: &Figures, took_ms: f64) -> Self {
        let kinds: Vec<&'static str> = asked
            .dimensions
            .iter()
            .map(dimension_kind)
            .chain(asked.measures.iter().map(measure_kind))
            .collect();
        let columns = names.into_iter().zip(&kinds);
        let row =
            |cells: &Vec<Cell>| cells.iter().zip(&kinds).map(|(cell, kind)| cell_value(cell, kind)).collect();
        Self {
            columns: columns.map(|(name, kind)| Column { name, kind }).collect(),
            rows: figures.rows.iter().map(row).collect(),
            more: figures.more,
            approximate: figures.approximate,
            took_ms,
        }
    }
}

fn field_kind(field: &Field) -> &'static str {
    field.field_type().map_or("any", FieldType::name)
}

fn dimension_kind(dimension: &Dimension) -> &'static str {
    match dimension {
        Dimension::Time(_) => "time",
        Dimension::Field(field) => field_kind(field),
        Dimension::Bands { .. } => "band",
    }
}

fn measure_kind(measure: &Measure) -> &'static str {
    match measure {
        Measure::Count | Measure::Distinct(_) => "count",
        Measure::ErrorRatio => "ratio",
        Measure::Sum(field)
        | Measure::Mean(field)
        | Measure::Min(field)
        | Measure::Max(field)
        | Measure::Quantile(field, _) => match field.field_type() {
            None => "number",
            Some(kind) => kind.name(),
        },
    }
}

/// A cell as JSON; durations become milliseconds.
pub(crate) fn cell_value(cell: &Cell, kind: &str) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Text(text) => text.clone().into(),
        Cell::Integer(micros) if kind == "duration" => (*micros as f64 / 1e3).into(),
        Cell::Float(micros) if kind == "duration" => (micros / 1e3).into(),
        Cell::Integer(number) => (*number).into(),
        Cell::Float(number) => (*number).into(),
        Cell::Time(instant) => instant.to_string().into(),
        Cell::Bool(flag) => (*flag).into(),
    }
}
