//! Keeps what the service says at hand: fetched at the start, every minute, and at once when an answer names another tag
//! (moesif-plugin, section 9). Whatever goes wrong, what was known before goes on to hold.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, Method, StatusCode};
use tokio::sync::{Notify, watch};
use weir_kit::{Backoff, ConfigError, Secret};

use super::config::Config;
use super::rules::Rules;
use super::served::{self, Rule, ServedConfig};
use super::{APPLICATION_ID, CONFIG_ETAG, RULES_TAGS};
use crate::parts::http::{Answer, Caller, Options};
use crate::parts::shortened;

/// How often everything is fetched again when nothing else calls for it.
const INTERVAL: Duration = Duration::from_secs(60);

/// Waits after fetches that failed.
const AFTER_FAILURE: Backoff = Backoff { initial: Duration::from_secs(2), max: INTERVAL };

/// Largest configuration and largest list of rules that are read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Rules that cannot be used are named in the log, so many of them.
const MAX_PROBLEMS_TOLD: usize = 20;

/// What the service said last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Served {
    /// Rates and cohorts; `None` while nothing was heard.
    pub config: Option<Arc<ServedConfig>>,
    /// Governance rules.
    pub rules: Arc<Vec<Rule>>,
    /// Tag of the configuration.
    pub config_tag: Option<String>,
    /// Tag of the rules.
    pub rules_tag: Option<String>,
}

/// One service as one account sees it. The exporter and the governance policy of the same account share it.
pub struct Remote {
    endpoint: String,
    application_id: Secret,
    timeout: Duration,
    caller: Caller,
    served: watch::Sender<Arc<Served>>,
    /// The rules of what was served, ready to be asked.
    rules: ArcSwap<Rules>,
    /// How many fetches ended, well or not.
    attempts: watch::Sender<u64>,
    entity_tags: Mutex<EntityTags>,
    asked: Mutex<Tags>,
    wake: Arc<Notify>,
    is_running: AtomicBool,
}

/// Tags as an answer names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tags {
    config: Option<String>,
    rules: Option<String>,
}

/// HTTP validators of what was fetched.
#[derive(Debug, Default)]
struct EntityTags {
    config: Option<String>,
    rules: Option<String>,
}

/// Endpoint, application id, and whether certificates are checked.
type Key = (String, String, bool);

static REMOTES: LazyLock<Mutex<HashMap<Key, Weak<Remote>>>> = LazyLock::new(Mutex::default);

impl Remote {
    /// The one for these settings: the same for everybody as long as somebody holds it. Does no IO.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn shared(config: &Config) -> Result<Arc<Self>, ConfigError> {
        let key =
            (config.endpoint.clone(), config.application_id.expose().to_owned(), config.verify_certificate);
        let mut remotes = lock(&REMOTES);
        if let Some(known) = remotes.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        remotes.retain(|_, remote| remote.strong_count() > 0);
        let remote = Arc::new(Self::new(config)?);
        remotes.insert(key, Arc::downgrade(&remote));
        Ok(remote)
    }

    /// One that nobody else shares.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let caller = Caller::new(&Options {
            timeout: config.connect_timeout,
            keep_alive: config.keep_alive,
            verify_certificate: config.verify_certificate,
            max_answer_bytes: MAX_ANSWER_BYTES,
            ..Options::default()
        })?;
        Ok(Self {
            endpoint: config.endpoint.clone(),
            application_id: config.application_id.clone(),
            timeout: config.connect_timeout,
            caller,
            served: watch::Sender::default(),
            rules: ArcSwap::default(),
            attempts: watch::Sender::default(),
            entity_tags: Mutex::default(),
            asked: Mutex::default(),
            wake: Arc::new(Notify::new()),
            is_running: AtomicBool::new(false),
        })
    }

    /// Begins to fetch, on the runtime that this is called from; as long as that goes on, nothing happens at any later call.
    /// Fetching ends when nobody holds this any more.
    pub fn start(self: &Arc<Self>) {
        if !self.is_running.swap(true, Ordering::AcqRel) {
            tokio::spawn(keep_fresh(Fetching(Arc::downgrade(self)), self.wake.clone()));
        }
    }

    /// What the service said last.
    pub fn served(&self) -> Arc<Served> {
        self.served.borrow().clone()
    }

    /// The governance rules in force. Never waits.
    pub fn rules(&self) -> Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Tells whenever the service says something new.
    pub fn changes(&self) -> watch::Receiver<Arc<Served>> {
        self.served.subscribe()
    }

    /// Waits until one fetch has ended, well or not. [`Remote::start`] must have been called.
    pub async fn first_attempt(&self) {
        let mut attempts = self.attempts.subscribe();
        // Fails only when the sender is gone, and that is this.
        let _ended = attempts.wait_for(|attempts| *attempts > 0).await;
    }

    /// Looks at the tags in the answer to a call with events; when they are not those of what is known, everything is
    /// fetched at once. A tag that nothing comes of is asked for once.
    pub fn heard(&self, headers: &HeaderMap) {
        let said = tags(headers);
        let news = {
            let served = self.served.borrow();
            let known = Tags { config: served.config_tag.clone(), rules: served.rules_tag.clone() };
            let mut asked = lock(&self.asked);
            let news = is_news(&said, &known, &asked);
            if news {
                *asked = said;
            }
            news
        };
        if news {
            self.wake.notify_one();
        }
    }

    /// Fetches everything that may have changed. What could be had is in force afterwards, even when the rest failed.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub async fn refresh(&self) -> Result<(), String> {
        let mut served = (*self.served()).clone();
        let outcome = self.fetch(&mut served).await;
        let served = self.enforced(served).await;
        self.served.send_if_modified(|known| {
            let is_new = *known != served;
            if is_new {
                *known = served;
            }
            is_new
        });
        self.attempts.send_modify(|attempts| *attempts += 1);
        outcome
    }

    /// The same, with its rules in force. Many expressions take a while to compile.
    async fn enforced(&self, served: Served) -> Arc<Served> {
        let served = Arc::new(served);
        if self.served() != served {
            let made = served.clone();
            match tokio::task::spawn_blocking(move || Rules::of(&made)).await {
                Ok(rules) => self.enforce(rules),
                Err(error) => tracing::error!(%error, "governance rules were not put in force"),
            }
        }
        served
    }

    /// Puts rules in force.
    pub(super) fn enforce(&self, rules: Rules) {
        for problem in rules.problems.iter().take(MAX_PROBLEMS_TOLD) {
            tracing::warn!(endpoint = %self.endpoint, problem, "a governance rule does not apply");
        }
        self.rules.store(Arc::new(rules));
    }

    async fn fetch(&self, served: &mut Served) -> Result<(), String> {
        let validator = lock(&self.entity_tags).config.clone();
        let answer = self.get("/v1/config", validator.as_deref()).await?;
        let said = tags(&answer.headers);
        if answer.status != StatusCode::NOT_MODIFIED {
            served.config = Some(Arc::new(served::config(&answer.body)?));
            lock(&self.entity_tags).config = validator_of(&answer.headers, said.config.as_deref());
        }
        served.config_tag = said.config.or(served.config_tag.take());
        let same_rules = said.rules.is_some() && said.rules == served.rules_tag;
        if same_rules { Ok(()) } else { self.fetch_rules(served).await }
    }

    async fn fetch_rules(&self, served: &mut Served) -> Result<(), String> {
        let validator = lock(&self.entity_tags).rules.clone();
        let answer = self.get("/v1/rules", validator.as_deref()).await?;
        let said = tags(&answer.headers);
        if answer.status != StatusCode::NOT_MODIFIED {
            let (rules, bad) = served::rules(&answer.body)?;
            for problem in bad {
                let problem = shortened(&problem, 300);
                tracing::warn!(endpoint = %self.endpoint, problem, "a governance rule is left out");
            }
            served.rules = Arc::new(rules);
            lock(&self.entity_tags).rules = validator_of(&answer.headers, said.rules.as_deref());
        }
        served.rules_tag = said.rules.or(served.rules_tag.take());
        Ok(())
    }

    async fn get(&self, path: &str, validator: Option<&str>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.endpoint);
        let mut request = self.caller.request(Method::GET, &url).timeout(self.timeout);
        request = request.header(APPLICATION_ID, self.application_id.expose());
        if let Some(validator) = validator {
            request = request.header(IF_NONE_MATCH, validator);
        }
        let answer = self.caller.send(request).await.map_err(|error| format!("{path}: {error}"))?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_MODIFIED if validator.is_some() => Ok(answer),
            _ => Err(format!("{path}: {}", answer.words())),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The task that waits for the next fetch ends at once.
        self.wake.notify_one();
    }
}

/// Says that nobody fetches any more, also when the runtime that did is gone.
struct Fetching(Weak<Remote>);

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(remote) = self.0.upgrade() {
            remote.is_running.store(false, Ordering::Release);
        }
    }
}

async fn keep_fresh(fetching: Fetching, wake: Arc<Notify>) {
    let mut failures = 0;
    loop {
        let Some(alive) = fetching.0.upgrade() else { return };
        match alive.refresh().await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::warn!(endpoint = %alive.endpoint, error, "what the service says could not be fetched");
            }
        }
        drop(alive);
        let wait = pause(failures, rand::random());
        // Woken or not, it is time.
        let _elapsed = tokio::time::timeout(wait, wake.notified()).await;
    }
}

/// How long to wait for the next fetch; `random` lies in `0.0..1.0`.
fn pause(failures: u32, random: f64) -> Duration {
    if failures == 0 { INTERVAL.mul_f64(0.9 + 0.2 * random) } else { AFTER_FAILURE.delay(failures, random) }
}

/// Whether tags that were said call for a fetch: they are not those known, and not those asked for last.
fn is_news(said: &Tags, known: &Tags, asked: &Tags) -> bool {
    let is_other = |said: &Option<String>, known: &Option<String>| said.is_some() && said != known;
    (is_other(&said.config, &known.config) || is_other(&said.rules, &known.rules)) && said != asked
}

fn tags(headers: &HeaderMap) -> Tags {
    let value = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    Tags { config: value(CONFIG_ETAG), rules: RULES_TAGS.iter().find_map(|name| value(name)) }
}

/// What to send as `If-None-Match` next time: the answer's `ETag`, else its tag as one.
fn validator_of(headers: &HeaderMap, tag: Option<&str>) -> Option<String> {
    let etag = headers.get(ETAG).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let quotable = |tag: &&str| tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    etag.or_else(|| tag.filter(quotable).map(|tag| format!("\"{tag}\"")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(config: &str, rules: &str) -> Tags {
        let tag = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Tags { config: tag(config), rules: tag(rules) }
    }

    #[test]
    fn other_tags_are_news_once() {
        let known = said("c1", "r1");
        let none = Tags::default();
        assert!(!is_news(&none, &known, &none), "answers without tags say nothing");
        assert!(!is_news(&said("c1", "r1"), &known, &none));
        assert!(!is_news(&said("c1", ""), &known, &none));
        assert!(is_news(&said("c2", "r1"), &known, &none));
        assert!(is_news(&said("", "r2"), &known, &none));
        assert!(is_news(&said("c1", ""), &none, &none), "a service that has not been heard");
        assert!(
            !is_news(&said("c2", "r1"), &known, &said("c2", "r1")),
            "asked already, and nothing came of it"
        );
        assert!(is_news(&said("c3", "r1"), &known, &said("c2", "r1")));
    }

    #[test]
    fn fetches_spread_over_the_minute_and_slow_down_after_failures() {
        assert_eq!((pause(0, 0.0).as_secs(), pause(0, 1.0).as_secs()), (54, 66));
        assert_eq!((pause(1, 1.0).as_secs(), pause(2, 1.0).as_secs(), pause(30, 1.0).as_secs()), (2, 4, 60));
    }

    #[test]
    fn validators_are_entity_tags() {
        let mut headers = HeaderMap::new();
        assert_eq!(validator_of(&headers, Some("t 1")), None);
        assert_eq!(validator_of(&headers, Some("t1")).unwrap(), "\"t1\"");
        headers.insert(ETAG, "W/\"e\"".parse().unwrap());
        assert_eq!(validator_of(&headers, Some("t1")).unwrap(), "W/\"e\"");
    }
}
