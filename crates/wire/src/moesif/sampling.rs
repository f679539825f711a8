//! Which events are sent, by what the service says (moesif-plugin, section 8). Pure.

use std::net::IpAddr;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use weir_model::{Exchange, ExchangeId};

use super::served::{Condition, ServedConfig};

/// Largest compiled expression, in bytes.
const MAX_REGEX_BYTES: usize = 1024 * 1024;

/// Most expressions that are compiled; entries beyond never match.
const MAX_REGEXES: usize = 1_000;

/// What a rate can depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Who called.
    pub user: Option<&'a str>,
    /// For which company.
    pub company: Option<&'a str>,
    /// The client as reported.
    pub ip_address: Option<IpAddr>,
}

/// Rates, ready to be asked for.
#[derive(Debug, Default)]
pub struct Sampler {
    config: Option<Arc<ServedConfig>>,
    /// Conditions, all of which must hold, with their rate; the first that holds counts.
    by_looks: Vec<(Vec<Looks>, f64)>,
    /// While the service has named none.
    otherwise: f64,
}

/// A part of a call and what it must look like; `None` is a condition that never holds.
type Looks = Option<(Part, Regex)>;

/// A part of a call that conditions name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Verb,
    Route,
    IpAddress,
    Status,
}

impl Part {
    fn named(path: &str) -> Option<Self> {
        Some(match path {
            "request.verb" => Self::Verb,
            "request.route" => Self::Route,
            "request.ip_address" | "request.ip" => Self::IpAddress,
            "response.status" => Self::Status,
            _ => return None,
        })
    }
}

impl Sampler {
    /// The rates of a configuration; `otherwise` is the percentage that holds while there is none.
    pub fn new(config: Option<Arc<ServedConfig>>, otherwise: f64) -> Self {
        let entries = config.as_ref().map(|config| config.regex_config.as_slice()).unwrap_or_default();
        let mut budget = MAX_REGEXES;
        let by_looks = entries
            .iter()
            .filter_map(|entry| Some((conditions(&entry.conditions, &mut budget), entry.sample_rate?)))
            .collect();
        Self { config, by_looks, otherwise }
    }

    /// The percentage of calls like this one that are sent: the smallest of those for its user, its company and its looks,
    /// and the general one when there is none of them.
    pub fn rate(&self, exchange: &Exchange, facts: Facts<'_>) -> f64 {
        let Some(config) = &self.config else { return self.otherwise };
        let user = facts.user.and_then(|user| config.user_sample_rate.get(user)).copied();
        let company = facts.company.and_then(|company| config.company_sample_rate.get(company)).copied();
        let looks = self.by_looks.iter().find(|(conditions, _)| hold(conditions, exchange, facts));
        let special = [user, company, looks.map(|(_, rate)| *rate)].into_iter().flatten().reduce(f64::min);
        special.or(config.sample_rate).unwrap_or(self.otherwise)
    }
}

fn conditions(given: &[Condition], budget: &mut usize) -> Vec<Looks> {
    // Of two about the same part the original knows only the last.
    let is_last = |index: usize, path: &str| !given.iter().skip(index + 1).any(|other| other.path == path);
    let given = given.iter().enumerate().filter(|(index, condition)| is_last(*index, &condition.path));
    given.map(|(_, condition)| looks(condition, budget)).collect()
}

fn looks(condition: &Condition, budget: &mut usize) -> Looks {
    *budget = budget.checked_sub(1)?;
    let part = Part::named(&condition.path)?;
    match RegexBuilder::new(&condition.value).size_limit(MAX_REGEX_BYTES).build() {
        Ok(regex) => Some((part, regex)),
        Err(error) => {
            let expression = crate::parts::shortened(&condition.value, 200);
            tracing::warn!(expression, %error, "an expression for sampling is not one and never matches");
            None
        }
    }
}

fn hold(conditions: &[Looks], exchange: &Exchange, facts: Facts<'_>) -> bool {
    conditions.iter().all(|looks| {
        let Some((part, regex)) = looks else { return false };
        match part {
            Part::Verb => regex.is_match(&exchange.request.method),
            Part::Route if exchange.request.path.is_empty() => regex.is_match("/"),
            Part::Route => regex.is_match(&exchange.request.path),
            Part::IpAddress => facts.ip_address.is_some_and(|address| regex.is_match(&address.to_string())),
            Part::Status => exchange.status().is_some_and(|status| regex.is_match(&status.to_string())),
        }
    })
}

/// Whether an event is sent; `random` lies in `0.0..100.0`.
pub fn keeps(rate: f64, random: f64) -> bool {
    rate > random
}

/// How many calls an event stands for that was sent at this rate.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
pub fn weight(rate: f64) -> u32 {
    if rate > 0.0 { ((100.0 / rate).floor() as u32).max(1) } else { 1 }
}

/// The random number of an exchange, in `0.0..100.0`: the same whenever a batch is tried again.
pub fn random(id: ExchangeId) -> f64 {
    let bytes = id.to_bytes();
    let mut last = [0; 4];
    last.copy_from_slice(&bytes[12..]);
    f64::from(u32::from_be_bytes(last)) / 4_294_967_296.0 * 100.0
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;
    use weir_model::{Request, Response};

    use super::*;

    fn exchange(path: &str, status: u16) -> Exchange {
        let start = Timestamp::from_seconds(1);
        let request = Request { method: "GET".into(), path: path.into(), ..Request::default() };
        let mut exchange = Exchange::new(ExchangeId::new(start), start, request);
        exchange.response = Some(Response { status, ..Response::default() });
        exchange
    }

    fn sampler(json: &str) -> Sampler {
        Sampler::new(Some(Arc::new(super::super::served::config(json.as_bytes()).unwrap())), 100.0)
    }

    #[test]
    fn weights_are_those_of_the_original() {
        for (rate, expected) in
            [(100.0, 1), (30.0, 3), (7.0, 14), (10.0, 10), (0.0, 1), (0.5, 200), (150.0, 1)]
        {
            assert_eq!(weight(rate), expected, "{rate}");
        }
        assert!(keeps(30.0, 29.9) && !keeps(30.0, 30.0) && !keeps(0.0, 0.0));
    }

    #[test]
    fn the_smallest_special_rate_counts_and_else_the_general() {
        let sampler = sampler(
            r#"{"sample_rate":1,"user_sample_rate":{"u":50},"company_sample_rate":{"c":20},"regex_config":[
                {"conditions":[{"path":"request.route","value":"^/health"},{"path":"response.status","value":"^2"}],"sample_rate":5},
                {"conditions":[{"path":"request.verb","value":"GET"},{"path":"request.verb","value":"PUT"}],"sample_rate":2},
                {"conditions":[{"path":"request.body.query","value":"."}],"sample_rate":3},
                {"conditions":[{"path":"request.ip_address","value":"^10[.]"}],"sample_rate":4},
                {"conditions":[{"path":"request.route","value":"("}],"sample_rate":6}]}"#,
        );
        let rate = |path: &str, status, user, company, ip: Option<[u8; 4]>| {
            let facts = Facts { user, company, ip_address: ip.map(Into::into) };
            sampler.rate(&exchange(path, status), facts)
        };
        assert_eq!(rate("/a", 200, None, None, None), 1.0);
        assert_eq!(rate("/a", 200, Some("v"), Some("d"), None), 1.0);
        assert_eq!(
            rate("/a", 200, Some("u"), None, None),
            50.0,
            "a special rate replaces a lower general one"
        );
        assert_eq!(rate("/a", 200, Some("u"), Some("c"), None), 20.0);
        assert_eq!(rate("/health", 204, Some("u"), Some("c"), None), 5.0);
        assert_eq!(rate("/health", 500, None, None, None), 1.0, "all conditions must hold");
        assert_eq!(rate("/a", 200, None, None, Some([10, 0, 0, 1])), 4.0);
    }

    #[test]
    fn until_the_service_speaks_all_or_what_settings_say_is_sent() {
        let silent = Sampler::new(None, 20.0);
        assert_eq!(silent.rate(&exchange("/", 200), Facts::default()), 20.0);
        assert_eq!(sampler("{}").rate(&exchange("/", 200), Facts::default()), 100.0);
    }

    #[test]
    fn random_numbers_are_spread_and_repeatable() {
        let ids: Vec<ExchangeId> = (0..10_000).map(|_| ExchangeId::new(Timestamp::from_seconds(1))).collect();
        let below = ids.iter().filter(|id| keeps(30.0, random(**id))).count();
        assert!((2_700..3_300).contains(&below), "{below}");
        assert!(ids.iter().all(|id| (0.0..100.0).contains(&random(*id)) && random(*id) == random(*id)));
        let (low, high) = (ExchangeId::from_bytes([0; 16]), ExchangeId::from_bytes([0xFF; 16]));
        assert!(random(low) == 0.0 && random(high) < 100.0);
    }
}
