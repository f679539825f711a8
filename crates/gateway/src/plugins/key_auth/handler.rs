//! What `key-auth` does with a call.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;

use super::config::Config;
use crate::answer::Answer;
use crate::plugins::{Authenticated, Call, Directory, Phases, Plugin};

/// The plugin.
pub(super) struct KeyAuth {
    id: Arc<str>,
    config: Config,
    headers: Vec<HeaderName>,
    challenge: HeaderValue,
    directory: Arc<Directory>,
}

const NO_KEY: &str = "No API key found in request";
const DUPLICATE: &str = "Duplicate API key found";
const INVALID: &str = "Invalid authentication credentials";

impl KeyAuth {
    pub(super) fn new(id: Arc<str>, config: Config, directory: Arc<Directory>) -> Self {
        let headers = config.key_names.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok());
        let challenge = HeaderValue::try_from(format!("Key realm=\"{}\"", config.realm));
        Self {
            id,
            headers: headers.collect(),
            challenge: challenge.unwrap_or_else(|_| HeaderValue::from_static("Key realm=\"kong\"")),
            config,
            directory,
        }
    }

    /// The caller, or what to tell him.
    fn authenticate(&self, call: &Call) -> Result<Authenticated, &'static str> {
        let key = self.key(&call.request.headers, call.request.uri.query())?.ok_or(NO_KEY)?;
        self.directory.by_key(&key, call.started_at).ok_or(INVALID)
    }

    /// The one key that the call shows: the first name that has one decides.
    fn key(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<String>, &'static str> {
        for (name, header) in self.config.key_names.iter().zip(&self.headers) {
            if self.config.key_in_header {
                let mut values = headers.get_all(header).iter();
                match (values.next(), values.next()) {
                    (Some(_), Some(_)) => return Err(DUPLICATE),
                    (Some(value), None) => {
                        let text = value.to_str().map_err(|_| INVALID)?;
                        return Ok(Some(text.to_owned()));
                    }
                    _ => {}
                }
            }
            if self.config.key_in_query {
                let mut values = arguments(query).filter(|argument| argument.is_named(name));
                match (values.next(), values.next()) {
                    (Some(_), Some(_)) => return Err(DUPLICATE),
                    (Some(argument), None) => return Ok(Some(argument.value())),
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Takes the key off the request, wherever it may stand.
    fn hide(&self, call: &mut Call) {
        for header in self.headers.iter().filter(|_| self.config.key_in_header) {
            call.request.headers.remove(header);
        }
        let named =
            |argument: &Argument<'_>| self.config.key_names.iter().any(|name| argument.is_named(name));
        if self.config.key_in_query && arguments(call.request.uri.query()).any(|argument| named(&argument)) {
            let kept: Vec<&str> = arguments(call.request.uri.query())
                .filter(|argument| !named(argument))
                .map(|argument| argument.raw)
                .collect();
            if let Some(uri) = with_query(&call.request.uri, &kept.join("&")) {
                call.request.uri = uri;
            }
        }
    }
}

#[async_trait(?Send)]
impl Plugin for KeyAuth {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn phases(&self) -> Phases {
        Phases::ACCESS
    }

    fn credentials(&self) -> &[String] {
        &self.config.key_names
    }

    async fn access(&self, call: &mut Call) -> Option<Answer> {
        if !self.config.run_on_preflight && call.request.method == Method::OPTIONS {
            return None;
        }
        // With `anonymous`, several authentication plugins are alternatives: the first that succeeded decides.
        let already = call.consumer.as_ref().is_some_and(|consumer| !consumer.anonymous);
        if already && self.config.anonymous.is_some() {
            return None;
        }
        let outcome = self.authenticate(call);
        // Only after the look-up: a hidden key is known and gone.
        if self.config.hide_credentials {
            self.hide(call);
        }
        let caller = match (outcome, &self.config.anonymous) {
            (Ok(caller), _) => caller,
            (Err(message), None) => return Some(self.refuse(message)),
            (Err(_), Some(name)) => match self.directory.anonymous(name) {
                Some(caller) => caller,
                None => {
                    let message = "An unexpected error occurred";
                    tracing::warn!(plugin = %self.id, consumer = %name, "the anonymous consumer does not exist");
                    return Some(
                        Answer::message(StatusCode::INTERNAL_SERVER_ERROR, message)
                            .with_error("gateway.anonymous_consumer"),
                    );
                }
            },
        };
        tell_service(&mut call.request.headers, &caller);
        call.consumer = Some(Rc::new(caller));
        None
    }
}

impl KeyAuth {
    fn refuse(&self, message: &str) -> Answer {
        let answer = Answer::message(StatusCode::UNAUTHORIZED, message);
        answer.with_header(WWW_AUTHENTICATE, self.challenge.clone())
    }
}

/// Sets the consumer's headers and removes those a client made up.
fn tell_service(headers: &mut HeaderMap, caller: &Authenticated) {
    let mut set = |name: &'static str, value: Option<&str>| {
        let name = HeaderName::from_static(name);
        match value.and_then(|value| HeaderValue::try_from(value).ok()) {
            Some(value) => {
                headers.insert(name, value);
            }
            None => {
                headers.remove(name);
            }
        }
    };
    set("x-consumer-id", caller.id.as_deref());
    set("x-consumer-username", caller.username.as_deref());
    set("x-consumer-custom-id", caller.custom_id.as_deref());
    set("x-credential-identifier", caller.credential.as_deref());
    set("x-credential-username", None);
    set("x-anonymous-consumer", caller.anonymous.then_some("true"));
}

/// One argument of a query.
struct Argument<'a> {
    raw: &'a str,
}

impl Argument<'_> {
    fn is_named(&self, name: &str) -> bool {
        let raw = self.raw.split_once('=').map_or(self.raw, |(name, _)| name);
        raw == name || (raw.contains(['%', '+']) && decoded(raw) == name)
    }

    fn value(&self) -> String {
        self.raw.split_once('=').map_or_else(String::new, |(_, value)| decoded(value))
    }
}

fn arguments(query: Option<&str>) -> impl Iterator<Item = Argument<'_>> {
    query.into_iter().flat_map(|query| query.split('&')).map(|raw| Argument { raw })
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn with_query(uri: &Uri, query: &str) -> Option<Uri> {
    let target = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}
