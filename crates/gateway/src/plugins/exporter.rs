//! Plugins that send exchanges elsewhere: "capture here, deliver to that target".
//!
//! The record of a call carries the ids of the configurations that asked for it, and the pipeline delivers it to their
//! targets. On the call itself they do nothing, unless the exporter has a [`Policy`].

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, response};
use weir_model::Identity;
use weir_pipeline::{CaptureWish, Policy, PolicyAnswer, PolicyCall};

use super::{Call, Phases, Plugin};
use crate::answer::Answer;
use crate::capture::host_of;

/// What an exporter's settings ask of the gateway.
#[derive(Clone, Default)]
pub struct Asked {
    /// What is to be captured.
    pub wish: CaptureWish,
    /// Who decides on calls.
    pub policy: Option<Arc<dyn Policy>>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.policy.is_some();
        f.debug_struct("Asked").field("wish", &self.wish).field("policy", &policy).finish()
    }
}

struct ExporterPlugin {
    id: Arc<str>,
    asked: Asked,
}

/// The plugin for one configuration of an exporter.
pub(super) fn plugin(id: Arc<str>, asked: Asked) -> Arc<dyn Plugin> {
    Arc::new(ExporterPlugin { id, asked })
}

#[async_trait(?Send)]
impl Plugin for ExporterPlugin {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        match &self.asked.policy {
            None => Phases::NONE,
            Some(policy) if policy.reads_responses() => Phases::ACCESS.and(Phases::HEADER_FILTER),
            Some(_) => Phases::ACCESS,
        }
    }

    fn capture(&self) -> Option<CaptureWish> {
        Some(self.asked.wish)
    }

    fn body_wanted(&self, call: &Call) -> usize {
        self.asked.policy.as_ref().map_or(0, |policy| policy.body_wanted(&shown(call)))
    }

    async fn access(&self, call: &mut Call) -> Option<Answer> {
        let policy = self.asked.policy.as_ref()?;
        let verdict = policy.request(&shown(call));
        learn(&mut call.identity, verdict.identity);
        for (name, value) in verdict.attributes {
            call.attributes.set(name, value);
        }
        set(&mut call.request.headers, verdict.request_headers);
        set(&mut call.response_headers, verdict.response_headers);
        verdict.answer.map(answer)
    }

    fn header_filter(&self, call: &mut Call, response: &mut response::Parts) {
        if let Some(policy) = &self.asked.policy {
            learn(&mut call.identity, policy.response(&response.headers));
        }
    }
}

fn shown(call: &Call) -> PolicyCall<'_> {
    let caller = call.consumer.as_deref();
    PolicyCall {
        id: call.id,
        method: &call.request.method,
        uri: &call.request.uri,
        host: host_of(&call.request),
        route_hosts: call.route().map_or(&[], |route| &route.hosts),
        tls: call.tls,
        headers: &call.request.headers,
        client: call.client,
        credential: caller.and_then(|caller| caller.credential.as_deref()),
        key: caller.and_then(|caller| caller.key.as_deref()),
        body: call.body.as_deref(),
    }
}

/// Adds what was not known.
fn learn(known: &mut Identity, told: Identity) {
    let Identity { user, company, subscription, session } = told;
    for (known, told) in [
        (&mut known.user, user),
        (&mut known.company, company),
        (&mut known.subscription, subscription),
        (&mut known.session, session),
    ] {
        if known.is_none() {
            *known = told;
        }
    }
}

/// Sets headers, but for those that say how a message is framed or where it goes.
fn set(headers: &mut HeaderMap, told: Vec<(HeaderName, HeaderValue)>) {
    let ours = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE];
    for (name, value) in told {
        if !ours.contains(&name) {
            headers.insert(name, value);
        }
    }
}

fn answer(told: PolicyAnswer) -> Answer {
    Answer { body: told.body, ..Answer::empty(told.status).with_header(CONTENT_TYPE, told.content_type) }
}
