//! Which records an output of the pump is fed, by the filters of its configuration (tyk-pump, section 2.2).

use serde::Deserialize;
use weir_model::{Exchange, Value};
use weir_pipeline::Accepts;

use crate::tyk::NAMES;

/// Allow lists, empty for all, and block lists, which go first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// APIs whose records are taken.
    pub api_ids: Vec<String>,
    /// Organisations whose records are taken.
    #[serde(alias = "orgs_ids")]
    pub org_ids: Vec<String>,
    /// Statuses that are taken.
    pub response_codes: Vec<i64>,
    /// APIs whose records are not taken.
    pub skip_api_ids: Vec<String>,
    /// Organisations whose records are not taken.
    #[serde(alias = "skip_orgs_ids")]
    pub skip_org_ids: Vec<String>,
    /// Statuses that are not taken.
    pub skip_response_codes: Vec<i64>,
}

impl Filters {
    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn takes(&self, api: &str, org: &str, status: i64) -> bool {
        let among = |list: &[String], id: &str| list.iter().any(|known| known == id);
        let blocked = among(&self.skip_api_ids, api)
            || among(&self.skip_org_ids, org)
            || self.skip_response_codes.contains(&status);
        let allowed = (self.api_ids.is_empty() || among(&self.api_ids, api))
            && (self.org_ids.is_empty() || among(&self.org_ids, org))
            && (self.response_codes.is_empty() || self.response_codes.contains(&status));
        allowed && !blocked
    }
}

impl Accepts for Filters {
    fn accepts(&self, exchange: &Exchange) -> bool {
        let text = |name: &str| exchange.attributes.text(name);
        let api = text(NAMES.api_id).or(exchange.service.as_deref()).unwrap_or_default();
        let org = text(NAMES.org_id).unwrap_or(exchange.project.as_str());
        let noted = || match exchange.attributes.get(NAMES.response_code) {
            Some(Value::Integer(status)) => *status,
            _ => 0,
        };
        self.takes(api, org, exchange.status().map_or_else(noted, i64::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lists_go_before_allow_lists() {
        let all = Filters::default();
        assert!(all.is_empty() && all.takes("a", "o", 200));
        let filters = Filters {
            api_ids: vec!["a".into(), "b".into()],
            skip_api_ids: vec!["b".into()],
            response_codes: vec![200, 500],
            skip_response_codes: vec![500],
            skip_org_ids: vec!["evil".into()],
            ..Filters::default()
        };
        for (api, org, status, taken) in [
            ("a", "o", 200, true),
            ("b", "o", 200, false),
            ("c", "o", 200, false),
            ("a", "o", 500, false),
            ("a", "o", 404, false),
            ("a", "evil", 200, false),
        ] {
            assert_eq!(filters.takes(api, org, status), taken, "{api} {org} {status}");
        }
    }
}
