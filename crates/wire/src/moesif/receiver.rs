//! The Collection API (moesif-api, sections 1 to 7), under both of its prefixes.

use async_trait::async_trait;
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, StatusCode};
use serde_json::json;
use weir_model::ProjectId;
use weir_pipeline::{Call, Credential, Decoded, Desk, Malformed, Mount, Outcome, Receiver, Reply};

use super::decode::Reporter;
use super::documents::{Dialect, Service};
use super::entities::{self, Entity};
use super::{APPLICATION_ID, actions, decode};

/// Largest batch of events, as sent and inflated.
const BATCH_BYTES: usize = 50_000_000;
/// Largest batch of anything else.
const SMALL_BATCH_BYTES: usize = 15_000_000;
/// Largest single event: its bodies may be large, in Base64.
const ONE_BYTES: usize = 15_000_000;
/// Largest call that has no body to speak of.
const QUESTION_BYTES: usize = 64 * 1024;

/// The tags of what is in force, on every answer. The oldest plugin compares with case, and knows the first in this case.
const TAGS: [&str; 3] = ["X-Moesif-Config-ETag", "X-Moesif-Rules-Tag", "X-Moesif-Rules-Etag"];

static MOUNTS: [Mount; 29] = [
    Mount::report("POST", "/v1/events", ONE_BYTES),
    Mount::report("POST", "/v1/events/batch", BATCH_BYTES),
    Mount::report("POST", "/v1/actions", ONE_BYTES),
    Mount::report("POST", "/v1/actions/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/v1/users", ONE_BYTES),
    Mount::desk("POST", "/v1/users/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/v1/companies", ONE_BYTES),
    Mount::desk("POST", "/v1/companies/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/v1/subscriptions", ONE_BYTES),
    Mount::desk("POST", "/v1/subscriptions/batch", SMALL_BATCH_BYTES),
    Mount::desk("GET", "/v1/config", QUESTION_BYTES),
    Mount::desk("GET", "/v1/rules", QUESTION_BYTES),
    Mount::desk("POST", "/v1/traces", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/v1/logs", SMALL_BATCH_BYTES),
    Mount::report("POST", "/collector/v1/events", ONE_BYTES),
    Mount::report("POST", "/collector/v1/events/batch", BATCH_BYTES),
    Mount::report("POST", "/collector/v1/actions", ONE_BYTES),
    Mount::report("POST", "/collector/v1/actions/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/collector/v1/users", ONE_BYTES),
    Mount::desk("POST", "/collector/v1/users/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/collector/v1/companies", ONE_BYTES),
    Mount::desk("POST", "/collector/v1/companies/batch", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/collector/v1/subscriptions", ONE_BYTES),
    Mount::desk("POST", "/collector/v1/subscriptions/batch", SMALL_BATCH_BYTES),
    Mount::desk("GET", "/collector/v1/config", QUESTION_BYTES),
    Mount::desk("GET", "/collector/v1/rules", QUESTION_BYTES),
    Mount::desk("POST", "/collector/v1/traces", SMALL_BATCH_BYTES),
    Mount::desk("POST", "/collector/v1/logs", SMALL_BATCH_BYTES),
    Mount::desk("GET", "/health/probe", QUESTION_BYTES),
];

/// Accepts what Moesif's SDKs and plugins send.
#[derive(Debug, Clone, Copy)]
pub struct Moesif;

#[async_trait]
impl Receiver for Moesif {
    fn mounts(&self) -> &'static [Mount] {
        &MOUNTS
    }

    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed> {
        let application_id = application_id(call.headers).ok_or_else(nameless)?;
        let reporter =
            Reporter { application_id, user_agent: text(call.headers, "user-agent"), peer: call.peer };
        match path(call) {
            "/v1/events" => decode::one(call.body, &reporter),
            "/v1/events/batch" => decode::batch(call.body, &reporter),
            "/v1/actions" => actions::one(call.body, &reporter, call.received_at),
            _ => actions::batch(call.body, &reporter, call.received_at),
        }
    }

    fn reply(&self, _: &Call<'_>, outcome: &Outcome) -> Reply {
        let reason = || outcome.rejected.first().map_or("", |first| first.reason.as_str());
        let mut reply = match outcome.saved {
            _ if outcome.busy => busy(),
            0 if outcome.unknown_credential => error(StatusCode::UNAUTHORIZED, reason()),
            0 if outcome.offered > 0 => error(StatusCode::BAD_REQUEST, reason()),
            // A sender that repeats what it gets no 201 for would repeat the bad ones, too.
            _ => accepted(),
        };
        if let Some(tag) = &outcome.governance {
            say(tag, &mut reply);
        }
        reply
    }

    fn refuse(&self, _: &Call<'_>, malformed: &Malformed) -> Reply {
        error(malformed.status, &malformed.reason)
    }

    async fn answer(&self, call: &Call<'_>, desk: &dyn Desk) -> Reply {
        let path = path(call);
        if path == "/health/probe" {
            return json_reply(StatusCode::OK, json!({"status": true, "region": "weir"}).to_string());
        }
        let Some(application_id) = application_id(call.headers) else {
            return self.refuse(call, &nameless());
        };
        let credential = Credential { token: application_id.to_owned(), environment: None };
        let Some(project) = desk.project(&credential) else {
            return error(StatusCode::UNAUTHORIZED, "the application id is not known");
        };
        let governance = desk.governance(&project);
        let service = Service {
            organisation: project.as_str(),
            application_id,
            dialect: Dialect::of(text(call.headers, "user-agent").unwrap_or_default()),
        };
        let mut reply = match path {
            "/v1/config" => unless_known(call, &governance.tag, || service.config(&governance)),
            "/v1/rules" => unless_known(call, &governance.tag, || service.rules(&governance)),
            "/v1/traces" | "/v1/logs" => {
                error(StatusCode::NOT_IMPLEMENTED, "OpenTelemetry data is not taken here")
            }
            _ => match Entity::of(path) {
                Some((entity, is_batch)) => keep(call, desk, &project, entity, is_batch).await,
                None => error(StatusCode::NOT_FOUND, "there is no such endpoint"),
            },
        };
        say(&governance.tag, &mut reply);
        reply
    }
}

/// The path without the prefix of the secure proxy.
fn path(call: &Call<'_>) -> &'static str {
    call.mount.strip_prefix("/collector").unwrap_or(call.mount)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn application_id(headers: &HeaderMap) -> Option<&str> {
    text(headers, APPLICATION_ID).map(str::trim).filter(|id| !id.is_empty())
}

fn nameless() -> Malformed {
    let reason = "the header X-Moesif-Application-Id is missing".to_owned();
    Malformed { status: StatusCode::UNAUTHORIZED, reason }
}

/// Merges users, companies or subscriptions into what is known of them.
async fn keep(
    call: &Call<'_>,
    desk: &dyn Desk,
    project: &ProjectId,
    entity: Entity,
    is_batch: bool,
) -> Reply {
    let read = match entities::read(call.body, entity, is_batch, application_id(call.headers).unwrap_or("")) {
        Ok(read) => read,
        Err(malformed) => return error(malformed.status, &malformed.reason),
    };
    let offered = read.updates.len() + read.rejected.len();
    let first_reason = read.rejected.first().cloned();
    let kept = match desk.upsert(project, read.updates).await {
        Ok(refused) => {
            let left_out = read.rejected.len() + refused.len();
            let reason = first_reason.or_else(|| refused.into_iter().next().map(|(_, reason)| reason));
            if left_out < offered || offered == 0 { Ok(()) } else { Err(reason.unwrap_or_default()) }
        }
        Err(trouble) => {
            tracing::error!(%trouble, "profiles could not be kept");
            return busy();
        }
    };
    match kept {
        Ok(()) => accepted(),
        Err(reason) => error(StatusCode::BAD_REQUEST, &reason),
    }
}

/// A document, unless the client has it already.
fn unless_known(call: &Call<'_>, tag: &str, document: impl FnOnce() -> String) -> Reply {
    let etag = format!("\"{tag}\"");
    let known = call.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == etag);
    let mut reply = match is_known {
        true => Reply { status: StatusCode::NOT_MODIFIED, headers: Vec::new(), body: Vec::new() },
        false => json_reply(StatusCode::OK, document()),
    };
    reply.headers.push(("etag", etag));
    reply
}

/// Names what is in force.
fn say(tag: &str, reply: &mut Reply) {
    reply.headers.extend(TAGS.map(|name| (name, tag.to_owned())));
    // Or pages of other origins could not read them.
    reply.headers.push(("access-control-expose-headers", TAGS.join(", ")));
}

fn accepted() -> Reply {
    json_reply(StatusCode::CREATED, "{}".to_owned())
}

/// Senders that repeat nothing lose what they sent, but are told; those that do repeat lose nothing.
fn busy() -> Reply {
    let mut reply = error(StatusCode::SERVICE_UNAVAILABLE, "there is no room at the moment, try again later");
    reply.headers.push(("retry-after", "1".to_owned()));
    reply
}

fn error(status: StatusCode, message: &str) -> Reply {
    let code = status.canonical_reason().unwrap_or("error").to_ascii_lowercase().replace([' ', '-'], "_");
    json_reply(status, json!({"error": {"code": code, "message": message}}).to_string())
}

fn json_reply(status: StatusCode, body: String) -> Reply {
    let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
    Reply { status, headers, body: body.into_bytes() }
}
