//! Dimensions and measures read from the columns of one segment.

use std::collections::HashMap;

use tantivy::columnar::{Column, StrColumn};
use weir_kit::Timestamp;
use weir_model::{Field, FieldRow, FieldType};
use weir_query::evaluate::{Key, Number, band};
use weir_query::{Aggregation, Dimension, Measure};

use super::bits::{Bits, Selection};
use super::facts::FactColumn;
use super::layout;
use super::partition::Segment;
use super::select::typed;
use crate::figures::Figure;
use crate::sketch::hash_of;

/// A value of a dimension within one segment: an ordinal, or a number's bits; `None` for no value.
pub(super) type Code = Option<u64>;

/// Where fewer than one document of so many is meant, they are read sooner than the terms of an attribute.
const FEW_OF: u64 = 100;

/// A dimension as columns have it.
pub(super) enum DimensionColumn {
    Time(Column<i64>, std::time::Duration),
    Text(StrColumn),
    Number(Column<i64>, FieldType),
    Bands(Column<i64>, Vec<f64>),
    Facts(Box<FactColumn>),
    /// No exchange of the segment has a value.
    Empty,
}

/// A measure as columns have it.
pub(super) enum MeasureColumn {
    Calls,
    Numbers(Column<i64>, FieldType),
    DistinctNumbers(Column<i64>, FieldType),
    DistinctTexts(TextHashes),
    /// No exchange of the segment has a value.
    Empty,
}

/// The columns of an aggregation.
pub(super) struct Columns {
    pub(super) dimensions: Vec<DimensionColumn>,
    pub(super) measures: Vec<MeasureColumn>,
    pub(super) failed: Column<bool>,
    pub(super) weight: Column<u64>,
    /// Documents whose values only their source tells; `None` when there are none.
    pub(super) unknown: Option<Bits>,
}

impl Columns {
    /// The columns, or `None` when a field has none and the stored exchanges of the selection must be read.
    pub(super) fn of(
        segment: &Segment,
        aggregation: &Aggregation,
        selection: &Selection,
    ) -> tantivy::Result<Option<Self>> {
        let mut measures = Vec::new();
        for measure in &aggregation.measures {
            let Some(column) = MeasureColumn::of(segment, measure)? else { return Ok(None) };
            measures.push(column);
        }
        let is_few = selection.possible().len() * FEW_OF < u64::from(segment.reader.max_doc());
        let (mut dimensions, mut unknown) = (Vec::new(), None::<Bits>);
        for dimension in &aggregation.dimensions {
            let Some(column) = DimensionColumn::of(segment, dimension, is_few)? else { return Ok(None) };
            if let DimensionColumn::Facts(facts) = &column {
                unknown.get_or_insert_with(|| Bits::none(segment.reader.max_doc())).unite(&facts.unknown);
            }
            dimensions.push(column);
        }
        let columns = segment.reader.fast_fields();
        let (failed, weight) = (columns.bool(layout::FAILED)?, columns.u64(layout::WEIGHT)?);
        Ok(Some(Self { dimensions, measures, failed, weight, unknown }))
    }
}

fn row_of<'f>(segment: &Segment, field: &'f Field) -> Option<&'f FieldRow> {
    match field {
        Field::Row(row) if segment.layout.row(row).is_some() => Some(row),
        _ => None,
    }
}

fn numbers(segment: &Segment, row: &FieldRow) -> tantivy::Result<Option<Column<i64>>> {
    segment.reader.fast_fields().column_opt(&layout::column_name(row))
}

fn texts(segment: &Segment, row: &FieldRow) -> tantivy::Result<Option<StrColumn>> {
    segment.reader.fast_fields().str(&layout::column_name(row))
}

impl DimensionColumn {
    fn of(segment: &Segment, dimension: &Dimension, is_few: bool) -> tantivy::Result<Option<Self>> {
        let field = match dimension {
            Dimension::Time(width) => return Ok(Some(Self::Time(segment.started_at.clone(), *width))),
            Dimension::Field(Field::Attribute(name)) if !is_few => {
                return Ok(FactColumn::of(segment, name)?.map(|facts| Self::Facts(Box::new(facts))));
            }
            Dimension::Field(field) | Dimension::Bands { field, .. } => field,
        };
        let Some(row) = row_of(segment, field) else { return Ok(None) };
        let column = match dimension {
            Dimension::Bands { .. } if !row.field_type.is_number() => None,
            Dimension::Bands { bounds, .. } => {
                numbers(segment, row)?.map(|column| Self::Bands(column, bounds.clone()))
            }
            _ if row.field_type == FieldType::Keyword => texts(segment, row)?.map(Self::Text),
            _ => numbers(segment, row)?.map(|column| Self::Number(column, row.field_type)),
        };
        Ok(Some(column.unwrap_or(Self::Empty)))
    }

    /// The different values of a document; one `None` without any.
    pub(super) fn codes(&self, doc: u32, codes: &mut Vec<Code>) {
        codes.clear();
        match self {
            Self::Time(column, width) => codes.extend(
                column
                    .first(doc)
                    .map(|micros| Some(Timestamp::from_micros(micros).floor(*width).micros() as u64)),
            ),
            Self::Text(column) => codes.extend(column.term_ords(doc).map(Some)),
            Self::Number(column, _) => {
                codes.extend(column.values_for_doc(doc).map(|number| Some(number as u64)))
            }
            Self::Bands(column, bounds) => {
                codes.extend(
                    column.values_for_doc(doc).map(|number| Some(band(number as f64, bounds) as u64)),
                );
            }
            Self::Facts(facts) => codes.extend(facts.codes(doc).map(Some)),
            Self::Empty => {}
        }
        if codes.len() > 1 {
            codes.sort_unstable();
            codes.dedup();
        } else if codes.is_empty() {
            codes.push(None);
        }
    }

    /// The keys of codes, in their order.
    pub(super) fn keys(&self, segment: &Segment, codes: &[Code]) -> tantivy::Result<Vec<Key>> {
        let texts = match self {
            Self::Text(column) => texts_of(column, codes.iter().flatten().copied())?,
            Self::Facts(facts) => facts.keys(segment, codes.iter().flatten().copied())?,
            _ => HashMap::new(),
        };
        let key = |code: &Code| match (self, code) {
            (_, None) | (Self::Empty, _) => Key::Null,
            (Self::Time(..), Some(bits)) => Key::Time(Timestamp::from_micros(*bits as i64)),
            (Self::Text(_) | Self::Facts(_), Some(ord)) => texts.get(ord).cloned().unwrap_or(Key::Null),
            (Self::Number(_, field_type), Some(bits)) => Key::of(&typed(*field_type, *bits as i64)),
            (Self::Bands(..), Some(bits)) => Key::Integer(*bits as i64),
        };
        Ok(codes.iter().map(key).collect())
    }
}

/// The texts of ordinals.
fn texts_of(column: &StrColumn, ords: impl Iterator<Item = u64>) -> tantivy::Result<HashMap<u64, Key>> {
    let mut ords: Vec<u64> = ords.collect();
    ords.sort_unstable();
    ords.dedup();
    let mut keys = Vec::with_capacity(ords.len());
    column.dictionary().sorted_ords_to_term_cb(&ords, |term| {
        keys.push(Key::from(String::from_utf8_lossy(term).as_ref()));
    })?;
    Ok(ords.into_iter().zip(keys).collect())
}

impl MeasureColumn {
    fn of(segment: &Segment, measure: &Measure) -> tantivy::Result<Option<Self>> {
        let field = match measure {
            Measure::Count | Measure::ErrorRatio => return Ok(Some(Self::Calls)),
            Measure::Sum(field)
            | Measure::Mean(field)
            | Measure::Min(field)
            | Measure::Max(field)
            | Measure::Quantile(field, _)
            | Measure::Distinct(field) => field,
        };
        let Some(row) = row_of(segment, field) else { return Ok(None) };
        let is_distinct = matches!(measure, Measure::Distinct(_));
        let column = match row.field_type {
            FieldType::Keyword if is_distinct => {
                texts(segment, row)?.map(|column| Self::DistinctTexts(TextHashes::of(column)))
            }
            field_type if is_distinct => {
                numbers(segment, row)?.map(|column| Self::DistinctNumbers(column, field_type))
            }
            field_type if field_type.is_number() || field_type == FieldType::Time => {
                numbers(segment, row)?.map(|column| Self::Numbers(column, field_type))
            }
            _ => None,
        };
        Ok(Some(column.unwrap_or(Self::Empty)))
    }

    /// Gets ready for about so many documents.
    pub(super) fn prepare(&mut self, docs: u64) -> tantivy::Result<()> {
        if let Self::DistinctTexts(hashes) = self {
            hashes.prepare(docs)?;
        }
        Ok(())
    }

    /// Counts a document.
    pub(super) fn add(
        &mut self,
        figure: &mut Figure,
        doc: u32,
        call_failed: bool,
        weight: u64,
    ) -> tantivy::Result<()> {
        match self {
            Self::Calls => figure.add_call(call_failed, weight),
            Self::Numbers(column, field_type) => column.values_for_doc(doc).for_each(|number| {
                figure.add_number(Number::of_column(*field_type, number), weight);
            }),
            Self::DistinctNumbers(column, field_type) => {
                for number in column.values_for_doc(doc) {
                    figure.add_hash(hash_of(&Key::of(&typed(*field_type, number))));
                }
            }
            Self::DistinctTexts(hashes) => hashes.add(figure, doc)?,
            Self::Empty => {}
        }
        Ok(())
    }
}

/// Hashes of the texts of a column, by ordinal.
pub(super) struct TextHashes {
    column: StrColumn,
    /// Of all texts, when many are asked for.
    all: Vec<u64>,
    some: HashMap<u64, u64>,
}

impl TextHashes {
    fn of(column: StrColumn) -> Self {
        Self { column, all: Vec::new(), some: HashMap::new() }
    }

    fn prepare(&mut self, docs: u64) -> tantivy::Result<()> {
        // Reading on in the dictionary costs far less than looking up.
        if self.column.num_terms() as u64 / 16 < docs {
            let mut terms = self.column.dictionary().stream()?;
            self.all.reserve(self.column.num_terms());
            while terms.advance() {
                self.all.push(hash_of(&Key::from(String::from_utf8_lossy(terms.key()).as_ref())));
            }
        }
        Ok(())
    }

    fn add(&mut self, figure: &mut Figure, doc: u32) -> tantivy::Result<()> {
        for ord in self.column.term_ords(doc) {
            let known = self.all.get(ord as usize).or_else(|| self.some.get(&ord)).copied();
            let hash = match known {
                Some(hash) => hash,
                None => {
                    let mut text = String::new();
                    self.column.ord_to_str(ord, &mut text)?;
                    let hash = hash_of(&Key::from(text.as_str()));
                    self.some.insert(ord, hash);
                    hash
                }
            };
            figure.add_hash(hash);
        }
        Ok(())
    }
}
