//! Which exchanges a target is fed.

use weir_model::{Exchange, ProjectId};

use crate::record::{BadRecord, Owner, any_owner};

/// Which exchanges a target is fed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// Every exchange.
    #[default]
    All,
    /// Those that one of these plugin configurations asked for.
    Plugins(Vec<String>),
    /// Those of one project.
    Project(ProjectId),
}

impl Filter {
    /// Those that this plugin configuration asked for.
    pub fn plugin(id: impl Into<String>) -> Self {
        Self::Plugins(vec![id.into()])
    }

    /// Whether the target is fed this exchange.
    pub fn matches(&self, exchange: &Exchange) -> bool {
        match self {
            Self::All => true,
            Self::Plugins(ids) => exchange.plugins.iter().any(|plugin| ids.contains(plugin)),
            Self::Project(project) => exchange.project == *project,
        }
    }

    /// The same from a record, without decoding it.
    pub(crate) fn matches_record(&self, record: &[u8]) -> Result<bool, BadRecord> {
        match self {
            Self::All => Ok(true),
            Self::Plugins(ids) => any_owner(record, |owner| match owner {
                Owner::Plugin(id) => ids.iter().any(|wanted| wanted.as_bytes() == id),
                Owner::Project(_) => false,
            }),
            Self::Project(project) => any_owner(
                record,
                |owner| matches!(owner, Owner::Project(name) if name == project.as_str().as_bytes()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::record;
    use crate::testing::random_exchange;

    #[test]
    fn an_exchange_and_its_record_match_alike() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut matched = 0;
        for _ in 0..300 {
            let exchange = random_exchange(&mut rng);
            let mut bytes = Vec::new();
            record::encode(&exchange, &mut bytes);
            let mut filters = vec![Filter::All, Filter::plugin("nobody"), Filter::Project("default".into())];
            filters.push(Filter::Project(exchange.project.clone()));
            filters.extend(exchange.plugins.last().map(|id| Filter::plugin(id.as_str())));
            for filter in filters {
                let matches = filter.matches(&exchange);
                assert_eq!(filter.matches_record(&bytes), Ok(matches), "{filter:?}");
                matched += usize::from(matches);
            }
        }
        assert!(matched > 600);
    }
}
