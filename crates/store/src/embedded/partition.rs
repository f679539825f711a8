//! One directory with one index: what arrived in one stretch of time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tantivy::columnar::Column;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::IndexWriterOptions;
use tantivy::merge_policy::LogMergePolicy;
use tantivy::schema::Value;
use tantivy::store::{Compressor, StoreReader, ZstdCompressor};
use tantivy::{Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, SegmentReader, TantivyDocument};
use weir_kit::Timestamp;
use weir_model::{Exchange, ExchangeId};

use super::bits::Bits;
use super::catalogue::Sealed;
use super::layout::{self, Layout, id_halves};
use super::select::with_id_low;
use super::source;
use crate::{Position, StoreError, StoreStatus};

/// The format of the files in a partition; written into each, and anything else is refused.
const FORMAT: &str = "weir 1";
const FORMAT_FILE: &str = "format";

/// Blocks of stored exchanges are compressed together, in bytes before compression.
const STORE_BLOCK_BYTES: usize = 32 << 10;

/// How many uncompressed blocks one question keeps for each segment.
const CACHED_BLOCKS: usize = 16;

/// Segments below this size count as alike, in exchanges. Above it a segment is merged only with others of at most four times
/// its size: merging small ones into a large one again and again costs more than indexing did.
const MERGED_AT_ONCE: u32 = 250;

/// Larger segments are not merged further, in exchanges.
const MAX_MERGED: usize = 1_000_000;

/// A partition whose index is opened when it is first needed.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: String,
    directory: PathBuf,
    /// What the catalogue says of a partition that is no longer written.
    pub(super) sealed: Option<Sealed>,
    opened: OnceLock<Arc<View>>,
}

/// What a question sees of a partition: the segments of one commit.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) segments: Vec<Segment>,
    pub(super) position: Position,
}

/// One segment.
pub(super) struct Segment {
    pub(super) reader: SegmentReader,
    pub(super) layout: Layout,
    pub(super) started_at: Column<i64>,
    pub(super) id_high: Column<u64>,
    pub(super) id_low: Column<u64>,
    /// The first and the last start.
    pub(super) starts: (Timestamp, Timestamp),
    /// The documents that were not erased; `None` when none was.
    pub(super) left: Option<Bits>,
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({} exchanges)", self.reader.num_docs())
    }
}

/// Wraps trouble of the index or the disk.
pub(super) fn trouble(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed(error.into())
}

impl Partition {
    /// The partition in this directory.
    pub(super) fn at(parent: &Path, name: &str, sealed: Option<Sealed>) -> Self {
        Self { name: name.to_owned(), directory: parent.join(name), sealed, opened: OnceLock::new() }
    }

    /// The index, made if the directory is new.
    pub(super) fn index(&self) -> Result<Index, StoreError> {
        let format = self.directory.join(FORMAT_FILE);
        if !self.directory.exists() {
            fs::create_dir_all(&self.directory).map_err(trouble)?;
            fs::write(&format, FORMAT).map_err(trouble)?;
        }
        let written = fs::read_to_string(&format).map_err(trouble)?;
        if written != FORMAT {
            return Err(trouble(format!(
                "{} is of format {written:?}; this release reads {FORMAT:?} only",
                self.directory.display()
            )));
        }
        let directory = MmapDirectory::open(&self.directory).map_err(trouble)?;
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
            docstore_blocksize: STORE_BLOCK_BYTES,
            ..IndexSettings::default()
        };
        let builder =
            Index::builder().schema(layout::schema()).settings(settings).tokenizers(layout::tokenizers());
        // An index that exists keeps the schema it was made with.
        let mut index = if Index::exists(&directory).map_err(trouble)? {
            Index::open(directory).map_err(trouble)?
        } else {
            builder.open_or_create(directory).map_err(trouble)?
        };
        index.set_tokenizers(layout::tokenizers());
        Ok(index)
    }

    /// What is committed.
    pub(super) fn view(&self) -> Result<Arc<View>, StoreError> {
        if let Some(view) = self.opened.get() {
            return Ok(view.clone());
        }
        let view = Arc::new(View::of(&reader(&self.index()?)?)?);
        Ok(self.opened.get_or_init(|| view).clone())
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        // Files that go away meanwhile count nothing.
        entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Removes the directory. Open views keep reading: their files are mapped.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        fs::remove_dir_all(&self.directory).map_err(trouble)
    }
}

/// Reads the last commit, whenever asked to reload.
pub(super) fn reader(index: &Index) -> Result<IndexReader, StoreError> {
    index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(0)
        .try_into()
        .map_err(trouble)
}

/// Writes to a partition: one thread, so that documents keep their order, and two that merge, so that small segments need not
/// wait for large ones and merging never takes a whole machine.
pub(super) fn writer(index: &Index, budget_bytes: usize) -> Result<IndexWriter, StoreError> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .memory_budget_per_thread(budget_bytes)
        .num_merge_threads(2)
        .build();
    let writer = index.writer_with_options(options).map_err(trouble)?;
    let mut policy = LogMergePolicy::default();
    policy.set_max_docs_before_merge(MAX_MERGED);
    policy.set_min_layer_size(MERGED_AT_ONCE);
    policy.set_level_log_size(2.0);
    writer.set_merge_policy(Box::new(policy));
    Ok(writer)
}

impl View {
    /// The segments of the reader's commit. Its position is that of the index's last commit: read it while no other
    /// commit can come between.
    pub(super) fn of(reader: &IndexReader) -> Result<Self, StoreError> {
        let searcher = reader.searcher();
        let metas = searcher.index().load_metas().map_err(trouble)?;
        let position = match metas.payload {
            None => 0,
            Some(payload) => {
                payload.parse().map_err(|_| trouble(format!("commit without a position: {payload:?}")))?
            }
        };
        let layout = Layout::of(searcher.schema()).ok_or_else(|| trouble("the index lacks a field"))?;
        let segments = searcher.segment_readers().iter().filter(|reader| reader.num_docs() > 0);
        let segments =
            segments.map(|reader| Segment::of(reader, &layout)).collect::<Result<_, _>>().map_err(trouble)?;
        Ok(Self { segments, position })
    }

    /// An exchange by its id.
    pub(super) fn get(&self, id: ExchangeId) -> Result<Option<Exchange>, StoreError> {
        for segment in &self.segments {
            if let Some(doc) = segment.find(id)? {
                return segment.exchange(&segment.store()?, doc).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether it has an exchange with this id.
    pub(super) fn has(&self, id: ExchangeId) -> Result<bool, StoreError> {
        for segment in &self.segments {
            if segment.find(id)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many exchanges there are, and their first and last start.
    pub(super) fn status(&self) -> StoreStatus {
        StoreStatus {
            exchanges: self.segments.iter().map(|segment| u64::from(segment.reader.num_docs())).sum(),
            oldest: self.segments.iter().map(|segment| segment.starts.0).min(),
            newest: self.segments.iter().map(|segment| segment.starts.1).max(),
            ..StoreStatus::default()
        }
    }

    /// The least and the largest upper half of an id.
    pub(super) fn id_range(&self) -> Option<(u64, u64)> {
        let least = self.segments.iter().map(|segment| segment.id_high.min_value()).min()?;
        let largest = self.segments.iter().map(|segment| segment.id_high.max_value()).max()?;
        Some((least, largest))
    }
}

impl Segment {
    pub(super) fn of(reader: &SegmentReader, layout: &Layout) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        let started_at = columns.i64("start_time")?;
        let left = reader.alive_bitset().filter(|_| reader.has_deletes()).map(|alive| {
            let mut left = Bits::none(reader.max_doc());
            alive.iter_alive().for_each(|doc| left.insert(doc));
            left
        });
        let range = |starts: &mut dyn Iterator<Item = i64>| {
            starts.fold(None, |range: Option<(i64, i64)>, start| {
                let (first, last) = range.unwrap_or((start, start));
                Some((first.min(start), last.max(start)))
            })
        };
        let (first, last) = left
            .as_ref()
            .and_then(|left| range(&mut left.iter().filter_map(|doc| started_at.first(doc))))
            .unwrap_or((started_at.min_value(), started_at.max_value()));
        Ok(Self {
            reader: reader.clone(),
            layout: layout.clone(),
            starts: (Timestamp::from_micros(first), Timestamp::from_micros(last)),
            left,
            started_at,
            id_high: columns.u64(layout::ID_HIGH)?,
            id_low: columns.u64(layout::ID_LOW)?,
        })
    }

    fn find(&self, id: ExchangeId) -> Result<Option<u32>, StoreError> {
        let (high, low) = id_halves(id);
        if high < self.id_high.min_value() || self.id_high.max_value() < high {
            return Ok(None);
        }
        let found = with_id_low(self, low).map_err(trouble)?;
        let is_left = |doc: u32| self.left.as_ref().is_none_or(|left| left.contains(doc));
        Ok(found.into_iter().find(|doc| self.id_high.first(*doc) == Some(high) && is_left(*doc)))
    }

    /// Reads stored exchanges; keeps a few blocks uncompressed.
    pub(super) fn store(&self) -> Result<StoreReader, StoreError> {
        self.reader.get_store_reader(CACHED_BLOCKS).map_err(trouble)
    }

    /// A stored exchange.
    pub(super) fn exchange(&self, store: &StoreReader, doc: u32) -> Result<Exchange, StoreError> {
        let document: TantivyDocument = store.get(doc).map_err(trouble)?;
        let value = document.get_first(self.layout.source);
        let bytes =
            value.as_ref().and_then(|value| value.as_bytes()).ok_or_else(|| trouble("no stored exchange"))?;
        source::decode(Bytes::copy_from_slice(bytes)).map_err(trouble)
    }

    /// The place of a document in listings.
    pub(super) fn key(&self, doc: u32) -> (Timestamp, ExchangeId) {
        let high = u128::from(self.id_high.first(doc).unwrap_or(0));
        let low = u128::from(self.id_low.first(doc).unwrap_or(0));
        (self.start(doc), ExchangeId::from_bytes((high << 64 | low).to_be_bytes()))
    }

    /// The start of a document.
    pub(super) fn start(&self, doc: u32) -> Timestamp {
        Timestamp::from_micros(self.started_at.first(doc).unwrap_or(0))
    }
}
