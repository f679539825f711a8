//! Which configuration of each plugin runs for a call: one per name, the first by Kong's precedence
//! (`kong-admin-api`, section 8); of plugins that add up, every one that fits.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::plugins::{Chain, Plugin, Slot};

/// One enabled configuration.
pub(super) struct Scoped {
    pub(super) name: String,
    pub(super) priority: i32,
    /// Whether it runs beside other configurations of its name, not in place of them.
    pub(super) adds_up: bool,
    pub(super) service: Option<String>,
    pub(super) route: Option<String>,
    pub(super) consumer: Option<String>,
    pub(super) api: Option<String>,
    pub(super) plugin: Arc<dyn Plugin>,
}

/// What a call runs on.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place<'a> {
    pub(super) service: Option<&'a str>,
    pub(super) route: Option<&'a str>,
    pub(super) api: Option<&'a str>,
}

impl Scoped {
    /// Where this configuration stands for calls at a place (lower wins); `None` when it is for others.
    ///
    /// The consumer counts as one that fits, where the configuration has one.
    fn rank(&self, place: Place<'_>) -> Option<u8> {
        let fits = |own: &Option<String>, there: Option<&str>| own.is_none() || own.as_deref() == there;
        if !fits(&self.service, place.service)
            || !fits(&self.route, place.route)
            || !fits(&self.api, place.api)
        {
            return None;
        }
        let has_service = self.service.is_some();
        Some(match (self.route.is_some(), has_service || self.api.is_some(), self.consumer.is_some()) {
            (true, true, true) => 1,
            (true, false, true) => 2,
            (false, true, true) => 3,
            (true, true, false) => 4,
            (false, false, true) => 5,
            (true, false, false) => 6,
            (false, true, false) => 7,
            (false, false, false) => 8,
        })
    }
}

/// The plugins of calls at a place, in the order they run; of those that add up, the widest scope first.
pub(super) fn chain(plugins: &[Scoped], place: Place<'_>) -> Chain {
    let mut by_name: HashMap<(&str, &str), Vec<(u8, &Scoped)>> = HashMap::new();
    for plugin in plugins {
        if let Some(rank) = plugin.rank(place) {
            let alone = if plugin.adds_up { &**plugin.plugin.id() } else { "" };
            by_name.entry((&plugin.name, alone)).or_default().push((rank, plugin));
        }
    }
    let mut groups: Vec<_> = by_name.into_iter().collect();
    groups.sort_by_key(|((name, id), candidates)| {
        let (rank, first) = candidates.first().map_or((0, 0), |(rank, plugin)| (*rank, plugin.priority));
        (Reverse(first), *name, Reverse(rank), *id)
    });
    Chain::new(groups.iter().map(|(_, candidates)| slot(candidates)).collect())
}

fn slot(candidates: &[(u8, &Scoped)]) -> Slot {
    let best = |consumer: Option<&str>| {
        let fitting = candidates
            .iter()
            .filter(|(_, plugin)| plugin.consumer.is_none() || plugin.consumer.as_deref() == consumer);
        fitting.min_by_key(|(rank, _)| *rank).map(|(_, plugin)| plugin.plugin.clone())
    };
    let consumers: BTreeSet<&str> =
        candidates.iter().filter_map(|(_, plugin)| plugin.consumer.as_deref()).collect();
    let by_consumer = consumers.into_iter().filter_map(|id| Some((Arc::from(id), best(Some(id))?)));
    Slot { anyone: best(None), by_consumer: by_consumer.collect() }
}
