//! The Messages API (kong-runscope, B).

use std::borrow::Cow;
use std::collections::HashMap;

use async_trait::async_trait;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_kit::Timestamp;
use weir_model::{ExchangeId, ProjectId};
use weir_pipeline::{
    Call, Credential, Decoded, Desk, DeskError, Malformed, Mount, Outcome, Question, Receiver, Reply,
};

use super::decode::{self, BUCKET_KEY, Context};
use super::{search, view};
use crate::parts::lenient::Text;
use crate::parts::url;

/// Largest body of a call, as sent and inflated.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Largest body of a call that is no report.
const MAX_QUESTION_BYTES: usize = 64 * 1024;

/// Messages in a list, when nobody says how many.
const DEFAULT_COUNT: usize = 50;
/// Most messages in a list.
const MAX_COUNT: usize = 1_000;

/// So many of the newest messages are looked at to see which buckets there are.
const BUCKETS_SEEN_IN: usize = 200;

const fn report(path: &'static str) -> Mount {
    Mount::report("POST", path, MAX_BODY_BYTES)
}

const fn desk(method: &'static str, path: &'static str) -> Mount {
    Mount::desk(method, path, MAX_QUESTION_BYTES)
}

const ACCOUNT: &str = "/account";
const BUCKETS: &str = "/buckets";
const BUCKET: &str = "/buckets/{bucket_key}";
const MESSAGES: &str = "/buckets/{bucket_key}/messages";
const STREAM: &str = "/buckets/{bucket_key}/stream";
const ERRORS: &str = "/buckets/{bucket_key}/errors";
const CAPTURES: &str = "/buckets/{bucket_key}/captures";
const SHARED: &str = "/buckets/{bucket_key}/shared";
const COLLECTIONS: &str = "/buckets/{bucket_key}/collections";
const MESSAGE: &str = "/buckets/{bucket_key}/messages/{uuid}";

static MOUNTS: [Mount; 16] = [
    report(MESSAGES),
    report(STREAM),
    // The plugin writes two slashes when its endpoint ends with one.
    report("//buckets/{bucket_key}/messages"),
    desk("GET", MESSAGES),
    desk("GET", STREAM),
    desk("GET", ERRORS),
    desk("GET", CAPTURES),
    desk("GET", SHARED),
    desk("GET", COLLECTIONS),
    desk("GET", MESSAGE),
    desk("DELETE", MESSAGES),
    desk("GET", BUCKETS),
    desk("POST", BUCKETS),
    desk("GET", BUCKET),
    desk("DELETE", BUCKET),
    desk("GET", ACCOUNT),
];

/// Takes messages and hands them out again.
#[derive(Debug, Clone, Copy)]
pub struct Runscope;

#[async_trait]
impl Receiver for Runscope {
    fn mounts(&self) -> &'static [Mount] {
        &MOUNTS
    }

    fn decode(&self, call: &Call<'_>) -> Result<Decoded, Malformed> {
        let token = token(call).ok_or_else(no_token)?;
        let seed = seed(call);
        decode::call(
            call.body,
            &Context { bucket: bucket(call), token: &token, received_at: call.received_at, seed: &seed },
        )
    }

    fn reply(&self, call: &Call<'_>, outcome: &Outcome) -> Reply {
        if outcome.busy {
            return later("there is no room at the moment, try again later");
        }
        if outcome.unknown_credential && outcome.saved == 0 {
            return failure(StatusCode::UNAUTHORIZED, AUTHENTICATE);
        }
        fates(call.body, outcome)
    }

    async fn answer(&self, call: &Call<'_>, desk: &dyn Desk) -> Reply {
        let Some(token) = token(call) else { return self.refuse(call, &no_token()) };
        let environment = Some(bucket(call).to_owned()).filter(|bucket| !bucket.is_empty());
        let credential = Credential { token: token.into_owned(), environment };
        let Some(project) = desk.project(&credential) else {
            return failure(StatusCode::UNAUTHORIZED, AUTHENTICATE);
        };
        let asked = Asked { call, desk, project };
        asked.answer().await.unwrap_or_else(|refused| refused.reply())
    }

    fn refuse(&self, _call: &Call<'_>, malformed: &Malformed) -> Reply {
        match malformed.status {
            StatusCode::SERVICE_UNAVAILABLE => later(&malformed.reason),
            status => failure(status, &malformed.reason),
        }
    }
}

const AUTHENTICATE: &str = "Authentication required";

fn no_token() -> Malformed {
    Malformed { status: StatusCode::UNAUTHORIZED, reason: AUTHENTICATE.to_owned() }
}

/// The access token, from the header or the query.
fn token<'c>(call: &Call<'c>) -> Option<Cow<'c, str>> {
    let header = call.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Cow::Borrowed(token.trim()))
    });
    bearer.or_else(|| argument(call, "access_token")).filter(|token| !token.is_empty())
}

fn argument<'c>(call: &Call<'c>, name: &str) -> Option<Cow<'c, str>> {
    let mut arguments = url::arguments(call.query.unwrap_or_default());
    arguments.find(|(known, _)| known == name).and_then(|(_, value)| value)
}

fn parameter<'c>(call: &Call<'c>, name: &str) -> &'c str {
    let found = call.parameters.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value.as_str())
}

fn bucket<'c>(call: &Call<'c>) -> &'c str {
    parameter(call, "bucket_key")
}

/// What no other call has: nobody sends two calls from one port at one instant.
fn seed(call: &Call<'_>) -> Vec<u8> {
    format!("{} {:?}", call.received_at.micros(), call.peer).into_bytes()
}

fn answer(status: StatusCode, body: &Value) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply { status, headers, body: body.to_string().into_bytes() }
}

fn success(status: StatusCode, data: Value) -> Reply {
    answer(status, &json!({"data": data, "meta": {"status": "success"}, "error": null}))
}

fn failure(status: StatusCode, message: &str) -> Reply {
    let error = json!({"message": message, "status": status.as_u16()});
    answer(status, &json!({"data": {}, "meta": {"status": "error"}, "error": error}))
}

fn later(message: &str) -> Reply {
    let mut reply = failure(StatusCode::SERVICE_UNAVAILABLE, message);
    reply.headers.push(("retry-after", "1".to_owned()));
    reply
}

/// What became of each message, in the order in which they were sent.
fn fates(body: &[u8], outcome: &Outcome) -> Reply {
    let ids: HashMap<usize, ExchangeId> = outcome.ids.iter().copied().collect();
    let reasons: HashMap<usize, &str> =
        outcome.rejected.iter().map(|rejected| (rejected.index, rejected.reason.as_str())).collect();
    let identifiers = identifiers(body);
    let fate = |index: usize| {
        let reason = reasons.get(&index);
        json!({
            "status": if reason.is_some() { "error" } else { "success" },
            "unique_identifier": identifiers.get(index).and_then(Option::as_deref),
            "uuid": ids.get(&index).map(ToString::to_string),
            "warning": null,
            "error": reason.map(|reason| json!({"code": 400, "message": reason, "more_info": null})),
        })
    };
    let data: Vec<Value> = (0..outcome.offered).map(fate).collect();
    let errors = reasons.len();
    let meta = json!({
        "status": if errors > 0 && errors == outcome.offered { "error" } else { "success" },
        "success_count": outcome.offered - errors.min(outcome.offered),
        "warning_count": 0,
        "error_count": errors,
    });
    answer(StatusCode::OK, &json!({"data": data, "meta": meta, "error": null}))
}

/// What the sender calls its messages, in order.
fn identifiers(body: &[u8]) -> Vec<Option<String>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        unique_identifier: Text<'a>,
    }
    let text = String::from_utf8_lossy(body);
    let name = |raw: &RawValue| {
        let named = serde_json::from_str::<Named<'_>>(raw.get()).ok()?;
        named.unique_identifier.non_empty().map(ToOwned::to_owned)
    };
    decode::messages(&text).map(|messages| messages.into_iter().map(name).collect()).unwrap_or_default()
}

/// A question, and whose it is.
struct Asked<'a> {
    call: &'a Call<'a>,
    desk: &'a dyn Desk,
    project: ProjectId,
}

/// Why a question is not answered.
enum Refused {
    Status(StatusCode, String),
    Desk(DeskError),
}

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl Refused {
    fn reply(self) -> Reply {
        match self {
            Self::Status(status, reason) => failure(status, &reason),
            Self::Desk(DeskError::Question(reason)) => failure(StatusCode::BAD_REQUEST, &reason),
            Self::Desk(DeskError::Busy(reason)) => later(&reason),
            Self::Desk(DeskError::Failed(reason)) => failure(StatusCode::INTERNAL_SERVER_ERROR, &reason),
        }
    }
}

impl Asked<'_> {
    async fn answer(&self) -> Result<Reply, Refused> {
        let bucket = bucket(self.call);
        match (self.call.method.as_str(), self.call.mount) {
            ("GET", ACCOUNT) => Ok(success(StatusCode::OK, self.account())),
            ("GET", BUCKETS) => self.buckets().await,
            ("POST", BUCKETS) => self.make_bucket(),
            ("GET", BUCKET) => Ok(success(StatusCode::OK, self.bucket(bucket, bucket))),
            ("GET", MESSAGES | STREAM) => self.list("").await,
            ("GET", ERRORS) => self.list("(status:>=400 OR error:*)").await,
            // Messages without an answer that do not say that one was missing.
            ("GET", CAPTURES) => self.list("-status:* -error:*").await,
            // Nothing can be shared or collected here.
            ("GET", SHARED | COLLECTIONS) => Ok(success(StatusCode::OK, json!([]))),
            ("GET", MESSAGE) => self.message().await,
            ("DELETE", MESSAGES | BUCKET) => {
                self.desk.erase(&self.project, &search::all_of(bucket)).await?;
                Ok(Reply { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Vec::new() })
            }
            _ => Err(not_found("there is no such resource")),
        }
    }

    /// The messages of the bucket that match, newest first, without bodies.
    async fn list(&self, condition: &str) -> Result<Reply, Refused> {
        let call = self.call;
        let words = argument(call, "q").unwrap_or_default();
        let mut text = search::of_bucket(bucket(call), &words).map_err(bad)?;
        if !condition.is_empty() {
            text = format!("{text} {condition}");
        }
        let after = |micros: i64| Timestamp::from_micros(micros.saturating_add(1));
        let question = Question {
            text: &text,
            since: instant(call, "since", f64::floor)?.map(after),
            before: instant(call, "before", f64::ceil)?.map(Timestamp::from_micros),
            limit: count(call)?,
        };
        let found = self.desk.list(&self.project, &question).await?;
        let data: Vec<Value> = found.iter().map(|exchange| view::message(exchange, false)).collect();
        Ok(success(StatusCode::OK, data.into()))
    }

    async fn message(&self) -> Result<Reply, Refused> {
        let (bucket, uuid) = (bucket(self.call), parameter(self.call, "uuid"));
        let missing = || not_found(&format!("there is no message {uuid:?} in bucket {bucket:?}"));
        let id: ExchangeId = uuid.parse().map_err(|_| missing())?;
        let found = self.desk.get(&self.project, id).await?;
        let found = found.filter(|exchange| exchange.attributes.text(BUCKET_KEY) == Some(bucket));
        Ok(success(StatusCode::OK, view::message(&found.ok_or_else(missing)?, true)))
    }

    /// Buckets exist by having messages.
    async fn buckets(&self) -> Result<Reply, Refused> {
        let text = format!("attribute.{BUCKET_KEY}:*");
        let question = Question { text: &text, since: None, before: None, limit: BUCKETS_SEEN_IN };
        let found = self.desk.list(&self.project, &question).await?;
        let mut keys: Vec<&str> =
            found.iter().filter_map(|exchange| exchange.attributes.text(BUCKET_KEY)).collect();
        keys.sort_unstable();
        keys.dedup();
        let buckets: Vec<Value> = keys.into_iter().map(|key| self.bucket(key, key)).collect();
        Ok(success(StatusCode::OK, buckets.into()))
    }

    /// Any key will do for a bucket; a new one gets a key that nobody has.
    fn make_bucket(&self) -> Result<Reply, Refused> {
        #[derive(Deserialize)]
        struct Wanted<'a> {
            #[serde(borrow, default)]
            name: Text<'a>,
        }
        let named = serde_json::from_slice::<Wanted<'_>>(self.call.body);
        let named = named.map_err(|error| bad(format!("not JSON: {error}")))?;
        let name = named.name.non_empty().ok_or_else(|| bad("name is missing".to_owned()))?;
        let hash = Sha256::new().chain_update(seed(self.call)).chain_update(name).finalize();
        let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let key: String = hash
            .iter()
            .take(12)
            .map(|byte| char::from(letters[usize::from(*byte) % letters.len()]))
            .collect();
        Ok(success(StatusCode::CREATED, self.bucket(&key, name)))
    }

    fn bucket(&self, key: &str, name: &str) -> Value {
        let base = format!("{}/buckets/{}", self.base(), url::join([(key, "")]).trim_end_matches('='));
        json!({
            "name": name,
            "key": key,
            "default": false,
            "auth_token": null,
            "verify_ssl": true,
            "team": {"name": self.project.as_str(), "id": self.project.as_str()},
            "collections_url": format!("{base}/collections"),
            "messages_url": format!("{base}/messages"),
            "tests_url": format!("{base}/tests"),
            "trigger_url": null,
        })
    }

    fn account(&self) -> Value {
        let name = self.project.as_str();
        json!({"name": name, "id": name, "email": null, "teams": [{"name": name, "id": name}]})
    }

    /// Where the caller found this service.
    fn base(&self) -> String {
        let text = |name: &str| self.call.headers.get(name).and_then(|value| value.to_str().ok());
        let scheme = text("x-forwarded-proto").filter(|scheme| *scheme == "https").unwrap_or("http");
        format!("{scheme}://{}", text("host").unwrap_or("localhost"))
    }
}

fn not_found(reason: &str) -> Refused {
    Refused::Status(StatusCode::NOT_FOUND, reason.to_owned())
}

fn bad(reason: String) -> Refused {
    Refused::Status(StatusCode::BAD_REQUEST, reason)
}

fn count(call: &Call<'_>) -> Result<usize, Refused> {
    let Some(text) = argument(call, "count") else { return Ok(DEFAULT_COUNT) };
    let count: usize = text.parse().map_err(|_| bad(format!("count: {text:?} is not a whole number")))?;
    Ok(count.clamp(1, MAX_COUNT))
}

/// Unix seconds, perhaps with a fraction, as microseconds.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
fn instant(call: &Call<'_>, name: &str, round: fn(f64) -> f64) -> Result<Option<i64>, Refused> {
    let Some(text) = argument(call, name) else { return Ok(None) };
    let seconds: Option<f64> = text.parse().ok();
    let micros = seconds.map(|seconds| seconds * 1e6).filter(|micros| (0.0..2.6e17).contains(micros));
    let micros = micros.ok_or_else(|| bad(format!("{name}: {text:?} is not a time in Unix seconds")))?;
    // A time that was given exactly may come out beside itself.
    let nearest = micros.round();
    let exact = if (nearest - micros).abs() < 0.1 { nearest } else { round(micros) };
    Ok(Some(exact as i64))
}
