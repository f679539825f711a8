//! From exchanges to ALF 1.0.0. Pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_model::{Body, Exchange, Headers, Request, Response};

use super::format;
use crate::galileo::encode::{
    DEFAULT_MIME_TYPE, OpenCall, Plan, Profile, absolute_url, http_version, lower_case, sendable, too_large,
    whole_micros,
};
use crate::parts::{last, url};

/// One exchange as an ALF of its own.
pub fn alf<'a>(
    exchange: &'a Exchange,
    token: &'a str,
    environment: Option<&'a str>,
    profile: &Profile,
) -> format::Alf<'a> {
    let environment = environment.or(exchange.origin.environment.as_deref());
    format::Alf {
        version: "1.0.0",
        service_token: token,
        environment: environment.filter(|name| !name.is_empty()),
        client_ip_address: exchange.client.address,
        har: format::Har {
            log: format::Log {
                version: "1.2",
                creator: format::Creator { name: "galileo-agent-kong", version: "1.1.0" },
                entries: [entry(exchange, profile)],
            },
        },
    }
}

fn entry<'a>(exchange: &'a Exchange, profile: &Profile) -> format::Entry<'a> {
    let parts = [exchange.timings.send, exchange.timings.wait, exchange.timings.receive];
    // As in version 1.1.0: when only the whole is known, it is the wait.
    let whole = exchange.timings.total.filter(|_| parts.iter().all(Option::is_none));
    let [send, wait, receive] = [parts[0], parts[1].or(whole), parts[2]];
    let sum: Duration = [send, wait, receive].into_iter().flatten().map(whole_micros).sum();
    format::Entry {
        started_date_time: exchange.started_at.floor(Duration::from_secs(1)).to_string(),
        time: millis(sum),
        request: request(&exchange.request, profile),
        response: response(exchange.response.as_ref(), profile),
        cache: format::Empty {},
        timings: format::Timings {
            blocked: -1,
            connect: -1,
            dns: -1,
            ssl: -1,
            send: send.map_or(-1.0, millis),
            wait: wait.map_or(-1.0, millis),
            receive: receive.map_or(-1.0, millis),
        },
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 285 years of microseconds")]
fn millis(part: Duration) -> f64 {
    part.as_micros() as f64 / 1_000.0
}

fn request<'a>(request: &'a Request, profile: &Profile) -> format::Request<'a> {
    let query = request.query.as_deref().unwrap_or_default();
    let argument = |(name, value): url::Argument<'a>| format::Pair {
        name,
        value: value.unwrap_or(Cow::Borrowed("true")),
    };
    let body = sendable(&request.body, profile);
    format::Request {
        method: &request.method,
        url: absolute_url(request, &request.target()),
        http_version: http_version(&request.version),
        cookies: [],
        query_string: url::arguments(query).take(profile.max_fields).map(argument).collect(),
        headers: headers(&request.headers, profile.max_fields),
        headers_size: head_size(&request.headers),
        body_size: body.map_or(0, |bytes| bytes.len()),
        post_data: format::PostData {
            mime_type: mime_type(&request.headers),
            params: params(request, profile),
            text: text(&request.body, profile),
        },
    }
}

fn headers(headers: &Headers, max: usize) -> Vec<format::Pair<'_>> {
    let pair = |(name, value)| format::Pair { name: lower_case(name), value: String::from_utf8_lossy(value) };
    headers.iter().take(max).map(|(name, value)| pair((name, value.as_ref()))).collect()
}

fn head_size(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| name.len() + value.len()).sum()
}

fn mime_type(headers: &Headers) -> Cow<'_, str> {
    last(headers, "content-type").map_or(Cow::Borrowed(DEFAULT_MIME_TYPE), String::from_utf8_lossy)
}

/// The fields of a form, when bodies are sent.
fn params<'a>(request: &Request, profile: &Profile) -> Vec<format::Pair<'a>> {
    let is_form = mime_type(&request.headers).starts_with("application/x-www-form-urlencoded");
    let Some(bytes) = sendable(&request.body, profile).filter(|_| is_form) else { return Vec::new() };
    let form = String::from_utf8_lossy(bytes);
    let pair = |(name, value): url::Argument<'_>| format::Pair {
        name: Cow::Owned(name.into_owned()),
        value: Cow::Owned(value.unwrap_or(Cow::Borrowed("true")).into_owned()),
    };
    url::arguments(&form).take(profile.max_fields).map(pair).collect()
}

fn text(body: &Body, profile: &Profile) -> String {
    sendable(body, profile).map(|bytes| STANDARD.encode(bytes)).unwrap_or_default()
}

fn response<'a>(response: Option<&'a Response>, profile: &Profile) -> format::Response<'a> {
    let kept = response.and_then(|answer| answer.body.bytes()).map(|bytes| bytes.len() as u64);
    let size = response.and_then(|answer| answer.body.size).or(kept).unwrap_or(0);
    format::Response {
        status: response.map_or(0, |answer| answer.status),
        status_text: "",
        http_version: "",
        cookies: [],
        headers: response.map(|answer| headers(&answer.headers, profile.max_fields)).unwrap_or_default(),
        headers_size: response.map_or(0, |answer| head_size(&answer.headers)),
        body_size: size,
        content: format::Content {
            size,
            mime_type: response.map_or(Cow::Borrowed(DEFAULT_MIME_TYPE), |answer| mime_type(&answer.headers)),
            text: response.map(|answer| text(&answer.body, profile)).unwrap_or_default(),
        },
        redirect_url: "",
    }
}

/// Splits a batch into calls: arrays of ALFs, in order, none larger than a collector takes.
pub fn plan(batch: &[Arc<Exchange>], token: &str, environment: Option<&str>, profile: &Profile) -> Plan {
    let mut plan = Plan::default();
    let mut open: Option<OpenCall> = None;
    for (index, exchange) in batch.iter().enumerate() {
        let text = serde_json::to_vec(&alf(exchange, token, environment, profile))
            .expect("strings and numbers always serialise");
        if let Some(reason) = too_large(text.len(), || "[]".len()) {
            plan.too_large.push((index, reason));
            continue;
        }
        if let Some(full) = open.take_if(|call| !call.has_room(&text)) {
            plan.calls.push(full.close(b"]"));
        }
        open.get_or_insert_with(|| OpenCall::new(b"[".to_vec())).push(index, exchange.id, &text);
    }
    plan.calls.extend(open.map(|call| call.close(b"]")));
    plan
}
