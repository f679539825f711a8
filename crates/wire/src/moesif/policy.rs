//! The plugin's say in calls under way: who calls, whether a governance rule answers, what is added (moesif-plugin,
//! sections 1, 7 and 10).
//!
//! It decides on what the service said last. As long as it has said nothing, every call passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use weir_kit::Secret;
use weir_model::{Identity, Value};
use weir_pipeline::{Policy, PolicyAnswer, PolicyCall, Verdict};

use super::client_ip::{Network, client_ip};
use super::config::{Config, IdentityConfig};
use super::identity::{self, Caller};
use super::remote::Remote;
use super::rules::{Asked, Judgement, Members, Rules};
use super::{TRANSACTION_ID, attribute};

/// Most bytes of a request's body that a rule is shown, whatever the settings say.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// One configuration of the plugin, on the path of calls.
pub struct Governor {
    application_id: Secret,
    identity: IdentityConfig,
    trusted: Vec<Network>,
    names_transactions: bool,
    body_bytes: usize,
    remote: Arc<Remote>,
    /// Calls whose body a rule asks for and could not read.
    unread: AtomicU64,
}

impl Governor {
    /// The policy of these settings, with the rules of this service.
    pub fn new(config: &Config, remote: Arc<Remote>) -> Self {
        Self {
            application_id: config.application_id.clone(),
            identity: config.identity.clone(),
            trusted: config.trusted.clone(),
            names_transactions: config.transaction_id,
            body_bytes: config.request.max_body_bytes.min(MAX_BODY_BYTES),
            remote,
            unread: AtomicU64::new(0),
        }
    }

    fn judge(&self, rules: &Rules, call: &PolicyCall<'_>, caller: &Caller) -> Judgement {
        let address = || client_ip(call.headers, call.client, &self.trusted);
        let members: Option<Members<'_>> = call.body.and_then(|body| serde_json::from_slice(body).ok());
        if members.is_none() && rules.reads_bodies() && may_be_json(call.headers) && has_body(call.headers) {
            self.count_unread();
        }
        rules.judge(&Asked {
            verb: call.method.as_str(),
            route: call.uri.path(),
            address: if rules.reads_addresses() { address() } else { None },
            headers: call.headers,
            body: members.as_ref(),
            user: caller.user.as_deref(),
            company: caller.company.as_deref(),
        })
    }

    /// Such calls pass as far as those rules go. Told at the first, and each time their number has doubled.
    fn count_unread(&self) {
        let calls = self.unread.fetch_add(1, Ordering::Relaxed) + 1;
        if calls.is_power_of_two() {
            tracing::warn!(
                calls,
                "governance rules ask for bodies that are no JSON objects, too long or encoded"
            );
        }
    }
}

impl Policy for Governor {
    fn body_wanted(&self, call: &PolicyCall<'_>) -> usize {
        if self.remote.rules().reads_bodies() && may_be_json(call.headers) { self.body_bytes } else { 0 }
    }

    fn request(&self, call: &PolicyCall<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        if self.names_transactions {
            name_transaction(call, &mut verdict);
        }
        if !call.route_hosts.is_empty()
            && let Ok(hosts) = serde_json::to_string(call.route_hosts)
        {
            verdict.attributes.push((attribute::ROUTE_HOSTS, Value::Json(hosts.into())));
        }
        let caller = identity::of_request(&self.identity, call.headers);
        let rules = self.remote.rules();
        if !rules.is_empty() {
            let Judgement { block, headers } = self.judge(&rules, call, &caller);
            verdict.response_headers.extend(headers);
            if let Some(block) = block {
                verdict.attributes.push((attribute::BLOCKED_BY, (&*block.rule).into()));
                verdict.answer = Some(answer(block.status, block.body));
            }
        }
        let key = call.key.map(Secret::expose);
        let session = self.identity.session_token.of(&self.application_id, key, call.credential);
        verdict.identity = Identity {
            user: caller.user,
            company: caller.company,
            session: session.map(Into::into),
            ..Identity::default()
        };
        verdict
    }

    fn reads_responses(&self) -> bool {
        self.identity.user_id_header.is_some() || self.identity.company_id_header.is_some()
    }

    fn response(&self, headers: &HeaderMap) -> Identity {
        let Caller { user, company } = identity::of_response(&self.identity, headers);
        Identity { user, company, ..Identity::default() }
    }
}

fn answer(status: http::StatusCode, body: Bytes) -> PolicyAnswer {
    PolicyAnswer { status, content_type: HeaderValue::from_static("application/json"), body }
}

/// The id that the client gave, else ours, goes to the service and back to the client.
fn name_transaction(call: &PolicyCall<'_>, verdict: &mut Verdict) {
    let name = HeaderName::from_static(TRANSACTION_ID);
    let given = call.headers.get(&name).filter(|value| !value.as_bytes().trim_ascii().is_empty());
    let id = given.cloned().or_else(|| HeaderValue::try_from(call.id.to_string()).ok());
    let Some(id) = id else { return };
    if given.is_none() {
        verdict.request_headers.push((name.clone(), id.clone()));
    }
    verdict.response_headers.push((name, id));
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_LENGTH).map_or(headers.contains_key(TRANSFER_ENCODING), |length| length != "0")
}

/// What says nothing of its kind may be JSON.
fn may_be_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| {
        let kind = kind.as_bytes().to_ascii_lowercase();
        memchr::memmem::find(&kind, b"json").is_some()
    })
}
