//! What the writer does to erase.

use std::sync::Arc;

use tantivy::indexer::NoMergePolicy;

use super::{Open, Shared, partitions_directory};
use crate::embedded::catalogue::Sealed;
use crate::embedded::erase::{Doomed, DoomedQuery, Erasure};
use crate::embedded::layout::Layout;
use crate::embedded::partition::{self, Partition, View, trouble};
use crate::{StoreError, StoreStatus};

/// Memory of an index writer that adds nothing, in bytes; the least that there can be.
const ERASER_BYTES: usize = 15 << 20;

/// Removes what is doomed from the open partition, which has no uncommitted exchanges, and from the sealed ones; gives
/// how many exchanges went. A crash in the middle leaves some of them, for whoever asks again.
pub(super) fn erase(shared: &Shared, open: &mut Open, erasure: &Erasure) -> Result<u64, StoreError> {
    let sealed: Vec<Arc<Partition>> = shared.lock().sealed.clone();
    let mut erased = 0;
    for partition in sealed.iter().filter(|partition| !erasure.spared.contains(&partition.name)) {
        erased += erase_sealed(shared, partition, &erasure.doomed)?;
    }
    let (before, position) = {
        let state = shared.lock();
        (state.open.status().exchanges, state.open.position)
    };
    let query = DoomedQuery(erasure.doomed.clone(), open.layout.clone());
    open.writer.delete_query(Box::new(query)).map_err(trouble)?;
    let view = Arc::new(open.commit(position)?);
    let mut state = shared.lock();
    erased += before.saturating_sub(view.status().exchanges);
    state.open = view;
    state.open_bytes = open.partition.bytes();
    state.recent.forget();
    Ok(erased)
}

/// Removes what is doomed from a sealed partition, and the partition when nothing is left of it.
fn erase_sealed(shared: &Shared, partition: &Partition, doomed: &Doomed) -> Result<u64, StoreError> {
    let before = partition.view()?.status().exchanges;
    let view = match erase_in(partition, doomed) {
        Ok(view) => view,
        // Retention may have removed it meanwhile.
        Err(_) if !shared.lock().sealed.iter().any(|known| known.name == partition.name) => return Ok(0),
        Err(trouble) => return Err(trouble),
    };
    let StoreStatus { exchanges, oldest, newest, .. } = view.status();
    let left = oldest.zip(newest).zip(view.id_range()).map(|((oldest, newest), ids)| Sealed {
        exchanges,
        bytes: partition.bytes(),
        oldest,
        newest,
        ids,
    });
    let settings = &shared.settings;
    let mut state = shared.lock();
    let Some(place) = state.sealed.iter().position(|known| known.name == partition.name) else {
        return Ok(0);
    };
    let mut catalogue = state.catalogue.clone();
    match &left {
        Some(_) => catalogue
            .partitions
            .iter_mut()
            .filter(|entry| entry.name == partition.name)
            .for_each(|entry| entry.sealed.clone_from(&left)),
        None => catalogue.partitions.retain(|entry| entry.name != partition.name),
    }
    catalogue.position = state.durable;
    catalogue.save(&settings.directory)?;
    state.catalogue = catalogue;
    if left.is_none() {
        state.sealed.remove(place);
        drop(state);
        partition.remove()?;
    } else {
        let changed = Partition::at(&partitions_directory(settings), &partition.name, left);
        state.sealed[place] = Arc::new(changed);
    }
    Ok(before.saturating_sub(exchanges))
}

/// Commits the erasure in the index of a sealed partition; gives what is left.
fn erase_in(partition: &Partition, doomed: &Doomed) -> Result<View, StoreError> {
    let index = partition.index()?;
    let layout = Layout::of(&index.schema()).ok_or_else(|| trouble("the index lacks a field"))?;
    let reader = partition::reader(&index)?;
    let position = View::of(&reader)?.position;
    let mut writer = partition::writer(&index, ERASER_BYTES)?;
    writer.set_merge_policy(Box::new(NoMergePolicy));
    writer.delete_query(Box::new(DoomedQuery(doomed.clone(), layout))).map_err(trouble)?;
    let mut prepared = writer.prepare_commit().map_err(trouble)?;
    prepared.set_payload(&position.to_string());
    prepared.commit().map_err(trouble)?;
    writer.wait_merging_threads().map_err(trouble)?;
    reader.reload().map_err(trouble)?;
    View::of(&reader)
}
