//! Which exchanges a target is fed.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use weir_model::{Exchange, ProjectId};

use crate::record::{self, BadRecord, Owner, any_owner};

/// A rule of a format's own for what a target is fed. Pure: the same exchange gets the same answer, always.
pub trait Accepts: Debug + Send + Sync {
    /// Whether the target is fed this exchange.
    fn accepts(&self, exchange: &Exchange) -> bool;
}

/// Which exchanges a target is fed.
#[derive(Debug, Clone, Default)]
pub enum Filter {
    /// Every exchange.
    #[default]
    All,
    /// Those that one of these plugin configurations asked for.
    Plugins(Vec<String>),
    /// Those of one project.
    Project(ProjectId),
    /// Those that a rule accepts; dearer than the others, since every record is decoded for it.
    Accepted(Arc<dyn Accepts>),
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Plugins(ids), Self::Plugins(others)) => ids == others,
            (Self::Project(project), Self::Project(other)) => project == other,
            // Rules cannot be compared; each is equal to itself.
            (Self::Accepted(rule), Self::Accepted(other)) => Arc::ptr_eq(rule, other),
            _ => false,
        }
    }
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
            Self::Plugins(ids) => exchange.plugins.iter().any(|plugin| ids.iter().any(|id| plugin == id)),
            Self::Project(project) => exchange.project == *project,
            Self::Accepted(rule) => rule.accepts(exchange),
        }
    }

    /// The same from a record, without decoding it where that can be avoided.
    pub(crate) fn matches_record(&self, record: &Bytes) -> Result<bool, BadRecord> {
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
            Self::Accepted(rule) => record::decode(record.clone()).map(|exchange| rule.accepts(&exchange)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::testing::random_exchange;

    #[derive(Debug)]
    struct Posts;

    impl Accepts for Posts {
        fn accepts(&self, exchange: &Exchange) -> bool {
            exchange.request.method == "POST"
        }
    }

    #[test]
    fn an_exchange_and_its_record_match_alike() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut matched = 0;
        for _ in 0..300 {
            let exchange = random_exchange(&mut rng);
            let mut bytes = Vec::new();
            record::encode(&exchange, &mut bytes);
            let bytes = Bytes::from(bytes);
            let mut filters = vec![Filter::All, Filter::plugin("nobody"), Filter::Project("default".into())];
            filters.push(Filter::Project(exchange.project.clone()));
            filters.push(Filter::Accepted(Arc::new(Posts)));
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
