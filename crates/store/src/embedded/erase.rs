//! Removing the exchanges that a filter means.
//!
//! The index marks them in a commit of its own; from then on no question sees them. Their bytes leave the disk when
//! segments are merged or the partition goes. The work is done by the thread that writes, between two of its commits,
//! after everything appended before was committed: so a replay of the input never brings an erased exchange back.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SegmentReader, TERMINATED};
use weir_model::ProjectId;
use weir_query::evaluate::Subject;
use weir_query::{Filter, TimeRange};

use super::EmbeddedSettings;
use super::layout::Layout;
use super::partition::{Segment, View, trouble};
use super::question::{Cancelled, Snapshot, check};
use super::select::select;
use crate::StoreError;
use crate::memory::is_meant;

/// Which exchanges are to go.
#[derive(Debug, Clone)]
pub(super) struct Doomed {
    pub(super) project: ProjectId,
    pub(super) filter: Filter,
}

/// An erasure that was asked for, on its way through the writer.
#[derive(Debug)]
pub(super) struct Erasure {
    pub(super) doomed: Doomed,
    /// Sealed partitions in which nothing matches.
    pub(super) spared: HashSet<String>,
    /// It begins when so many batches are committed.
    pub(super) after: u64,
    outcome: Mutex<Option<Result<u64, String>>>,
}

impl Erasure {
    pub(super) fn new(doomed: Doomed, spared: HashSet<String>, after: u64) -> Arc<Self> {
        Arc::new(Self { doomed, spared, after, outcome: Mutex::default() })
    }

    /// Says how many exchanges went, or why none may have.
    pub(super) fn end(&self, outcome: Result<u64, String>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// How it ended, if it did.
    pub(super) fn outcome(&self) -> Option<Result<u64, StoreError>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone();
        outcome.map(|outcome| outcome.map_err(trouble))
    }
}

/// Where an erasure has something to do, found without changing anything.
pub(super) struct Plan {
    /// Whether anything may match.
    pub(super) any: bool,
    /// Sealed partitions in which nothing matches.
    pub(super) spared: HashSet<String>,
}

/// Looks where exchanges may match, and refuses when too many stored ones would have to be read.
pub(super) fn plan(
    snapshot: &Snapshot,
    settings: &EmbeddedSettings,
    doomed: &Doomed,
    cancelled: &Cancelled,
) -> Result<Plan, StoreError> {
    let Doomed { project, filter } = doomed;
    let mut plan = Plan { any: false, spared: HashSet::new() };
    plan.any = snapshot.tail().any(|it| is_meant(&Subject::new(it), project, TimeRange::ALL, filter));
    let mut reads = 0;
    let mut candidates = |view: &View| {
        let mut possible = false;
        for segment in &view.segments {
            check(cancelled)?;
            let selection = select(segment, project, TimeRange::ALL, filter).map_err(trouble)?;
            possible |= !selection.possible().is_empty();
            reads += selection.doubtful().len();
        }
        Ok::<bool, StoreError>(possible)
    };
    plan.any |= candidates(&snapshot.open)?;
    for partition in &snapshot.sealed {
        if candidates(&*partition.view()?)? {
            plan.any = true;
        } else {
            plan.spared.insert(partition.name.clone());
        }
    }
    if reads > settings.source_reads {
        return Err(StoreError::TooLarge(format!(
            "{reads} stored exchanges would have to be read to see which match, more than {}; add a word or a field that \
             is indexed",
            settings.source_reads
        )));
    }
    Ok(plan)
}

/// The doomed as a query of the index.
#[derive(Clone)]
pub(super) struct DoomedQuery(pub(super) Doomed, pub(super) Layout);

impl std::fmt::Debug for DoomedQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Query for DoomedQuery {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl DoomedQuery {
    /// Exactly the documents that match: what the index cannot tell is read.
    fn matching(&self, reader: &SegmentReader) -> tantivy::Result<Vec<DocId>> {
        let Self(Doomed { project, filter }, layout) = self;
        let segment = Segment::of(reader, layout)?;
        let mut selection = select(&segment, project, TimeRange::ALL, filter)?;
        let doubtful = selection.doubtful();
        if !doubtful.is_empty() {
            let internal = |error: StoreError| tantivy::TantivyError::InternalError(error.to_string());
            let store = segment.store().map_err(internal)?;
            for doc in doubtful.iter() {
                let exchange = segment.exchange(&store, doc).map_err(internal)?;
                if Subject::new(&exchange).matches(filter) {
                    selection.sure.insert(doc);
                }
            }
        }
        Ok(selection.sure.iter().collect())
    }
}

impl Weight for DoomedQuery {
    fn scorer(&self, reader: &SegmentReader, _boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        Ok(Box::new(Matching { docs: self.matching(reader)?, at: 0 }))
    }

    fn explain(&self, _reader: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("matches the filter", 1.0))
    }
}

/// Documents in ascending order.
struct Matching {
    docs: Vec<DocId>,
    at: usize,
}

impl DocSet for Matching {
    fn advance(&mut self) -> DocId {
        self.at += 1;
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.docs.get(self.at).copied().unwrap_or(TERMINATED)
    }

    fn size_hint(&self) -> u32 {
        self.docs.len() as u32
    }
}

impl Scorer for Matching {
    fn score(&mut self) -> Score {
        1.0
    }
}
