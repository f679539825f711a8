//! Exchanges as a Parquet file: a row for each, with columns that have types. Pure.
//!
//! A file has one group of rows, which holds one batch, so the batch bounds the memory: its values are copied one column at
//! a time, and what stays is compressed. The same batch gives the same bytes.

mod columns;

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use columns::{COLUMNS, Cells};
pub use columns::{Row, schema};

/// The file with these rows.
///
/// # Errors
/// What the library says; nothing that rows hold gives it a reason.
pub fn write(rows: &[Row<'_>], compressed: bool) -> Result<Vec<u8>> {
    let compression =
        if compressed { Compression::ZSTD(ZstdLevel::try_new(3)?) } else { Compression::UNCOMPRESSED };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("weir version ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let schema = Arc::new(parse_message_type(&schema())?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for column in COLUMNS {
        write_column(&mut group, &column.cells, rows)?;
    }
    group.close()?;
    file.into_inner()
}

fn write_column<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: &Cells,
    rows: &'a [Row<'a>],
) -> Result<()> {
    match cells {
        Cells::Text(read) => {
            let texts = rows.iter().map(|row| Some(read(row)).filter(|text| !text.is_empty()));
            plain::<ByteArrayType>(group, texts.map(|text| text.map(|text| bytes(&text))))
        }
        Cells::Integer(read) | Cells::Instant(read) => plain::<Int64Type>(group, rows.iter().map(read)),
        Cells::Decimal(read) => plain::<DoubleType>(group, rows.iter().map(read)),
        Cells::Flag(read) => {
            let values: Vec<bool> = rows.iter().map(read).collect();
            finish::<BoolType>(next(group)?, |column| column.write_batch(&values, None, None))
        }
        Cells::Texts(read) => listed(group, rows.iter().map(read)),
        Cells::Pairs(read) => {
            let keys = |pairs: Vec<(&'a str, &'a str)>| pairs.into_iter().map(|(key, _)| key).collect();
            let values = |pairs: Vec<(&'a str, &'a str)>| pairs.into_iter().map(|(_, value)| value).collect();
            listed(group, rows.iter().map(|row| read(row).map(keys)))?;
            listed(group, rows.iter().map(|row| read(row).map(values)))
        }
    }
}

/// A column of values that may be missing.
fn plain<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    finish::<T>(next(group)?, |column| column.write_batch(&values, Some(&levels), None))
}

/// A column of lists. Definition levels: 0 for no list, 1 for an empty one, 2 for an item; repetition levels: 0 for the
/// first of a row, 1 for further ones.
fn listed<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cells: impl Iterator<Item = Option<Vec<&'a str>>>,
) -> Result<()> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let items = cell.as_deref().unwrap_or_default();
        if items.is_empty() {
            definitions.push(i16::from(cell.is_some()));
            repetitions.push(0);
        }
        for (position, item) in items.iter().enumerate() {
            values.push(bytes(item));
            definitions.push(2);
            repetitions.push(i16::from(position > 0));
        }
    }
    finish::<ByteArrayType>(next(group)?, |column| {
        column.write_batch(&values, Some(&definitions), Some(&repetitions))
    })
}

fn bytes(text: &str) -> ByteArray {
    text.as_bytes().to_vec().into()
}

fn next<'g>(group: &'g mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<SerializedColumnWriter<'g>> {
    let column = group.next_column()?;
    column.ok_or_else(|| ParquetError::General("the schema has fewer columns than the table".to_owned()))
}

fn finish<T: DataType>(
    mut column: SerializedColumnWriter<'_>,
    write: impl FnOnce(&mut ColumnWriterImpl<'_, T>) -> Result<usize>,
) -> Result<()> {
    write(column.typed::<T>())?;
    column.close()
}
