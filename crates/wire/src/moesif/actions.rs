//! Actions of users, such as a click in a page (moesif-api, section 4). Each becomes an exchange with the method `ACTION`
//! and no answer, so that it stands in the list of its user's calls, where people look for it.

use http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use weir_kit::Timestamp;
use weir_model::Exchange;
use weir_pipeline::{Credential, Decoded, Malformed, Rejected};

use super::decode::{self, MAX_EVENTS, Reporter};
use crate::parts;
use crate::parts::lenient::Unread;

/// What stands in the place of a method.
pub const METHOD: &str = "ACTION";

/// Longest reason for a rejected action, in characters; it may quote the action.
const MAX_REASON: usize = 300;

/// Reads the body of a call with one action.
pub(super) fn one(body: &[u8], reporter: &Reporter<'_>, now: Timestamp) -> Result<Decoded, Malformed> {
    let text = text(body);
    let raw: &RawValue = serde_json::from_str(&text).map_err(|error| not_json(&error))?;
    if !raw.get().starts_with('{') {
        return Err(malformed("an action must be an object", raw.get()));
    }
    Ok(actions(&[raw], reporter, now))
}

/// Reads the body of a call with an array of actions.
pub(super) fn batch(body: &[u8], reporter: &Reporter<'_>, now: Timestamp) -> Result<Decoded, Malformed> {
    let text = text(body);
    if !text.starts_with('[') {
        return Err(malformed("a batch must be an array of actions", &text));
    }
    let list: Unread<'_, { MAX_EVENTS + 1 }> =
        serde_json::from_str(&text).map_err(|error| not_json(&error))?;
    if list.count > MAX_EVENTS {
        let reason = format!("{} actions in one call, more than {MAX_EVENTS}", list.count);
        return Err(Malformed { status: StatusCode::PAYLOAD_TOO_LARGE, reason });
    }
    Ok(actions(&list.items, reporter, now))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim_start_matches('\u{FEFF}').trim_ascii().to_owned()
}

fn not_json(error: &serde_json::Error) -> Malformed {
    Malformed { status: StatusCode::BAD_REQUEST, reason: format!("not JSON: {error}") }
}

fn malformed(what: &str, text: &str) -> Malformed {
    let reason = format!("{what}, not {:?}", parts::shortened(text, 40));
    Malformed { status: StatusCode::BAD_REQUEST, reason }
}

fn actions(items: &[&RawValue], reporter: &Reporter<'_>, now: Timestamp) -> Decoded {
    let mut decoded = Decoded { offered: items.len(), ..Decoded::default() };
    let credential = Credential { token: reporter.application_id.to_owned(), environment: None };
    for (index, raw) in items.iter().enumerate() {
        match action(raw.get(), reporter, now) {
            Ok(exchange) => decoded.accepted.push((credential.clone(), exchange)),
            Err(reason) => {
                let reason = parts::shortened(&reason, MAX_REASON);
                decoded.rejected.push(Rejected { index, reason: format!("action[{index}]: {reason}") });
            }
        }
    }
    decoded
}

/// An action is an event that lacks what no page has: a method, headers, an answer.
fn action(json: &str, reporter: &Reporter<'_>, now: Timestamp) -> Result<Exchange, String> {
    let mut action: Map<String, Value> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if action.get("action_name").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("action_name is missing".to_owned());
    }
    action.remove("response");
    let request = action.get_mut("request").and_then(Value::as_object_mut).ok_or("request is missing")?;
    let agent = request.remove("user_agent_string").filter(Value::is_string);
    let headers = agent.map(|agent| Map::from_iter([("User-Agent".to_owned(), agent)])).unwrap_or_default();
    request.insert("headers".to_owned(), Value::Object(headers));
    request.insert("verb".to_owned(), METHOD.into());
    request.remove("body");
    if request.get("time").is_none_or(|time| time.is_null() || time == "") {
        request.insert("time".to_owned(), now.to_string().into());
    }
    decode::event(&Value::Object(action).to_string(), reporter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::moesif::attribute;

    fn reporter() -> Reporter<'static> {
        Reporter { application_id: "app", ..Reporter::default() }
    }

    #[test]
    fn an_action_stands_among_the_calls_of_its_user() {
        let body = json!({
            "action_name": "Clicked Sign Up", "user_id": "ann", "company_id": "acme",
            "transaction_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "request": {
                "time": "2026-11-20T12:00:00.123Z", "uri": "https://acme.example/pricing?plan=pro",
                "ip_address": "203.0.113.7", "user_agent_string": "Mozilla/5.0"
            },
            "metadata": {"button": "blue"}
        });
        let body = body.to_string();
        let now = Timestamp::from_seconds(1);
        let decoded = one(body.as_bytes(), &reporter(), now).unwrap();
        let (_, exchange) = &decoded.accepted[0];
        assert_eq!(
            (exchange.request.method.as_str(), exchange.request.path.as_str()),
            ("ACTION", "/pricing")
        );
        assert_eq!(exchange.identity.user.as_deref(), Some("ann"));
        assert_eq!(exchange.attributes.text(attribute::ACTION_NAME), Some("Clicked Sign Up"));
        assert_eq!(exchange.request.headers.text("user-agent").as_deref(), Some("Mozilla/5.0"));
        assert_eq!(exchange.response, None);
        let again = one(body.as_bytes(), &reporter(), now).unwrap();
        assert_eq!(again.accepted[0].1.id, exchange.id, "an action sent twice is one");
    }

    #[test]
    fn actions_without_time_happened_now_and_bad_ones_are_named() {
        let body = json!([
            {"action_name": "a", "request": {"uri": "https://acme.example/"}},
            {"request": {"uri": "https://acme.example/"}},
            {"action_name": "b"},
            null
        ]);
        let now = Timestamp::from_seconds(1_700_000_000);
        let decoded = batch(body.to_string().as_bytes(), &reporter(), now).unwrap();
        assert_eq!(decoded.accepted[0].1.started_at, now);
        let reasons: Vec<&str> = decoded.rejected.iter().map(|rejected| rejected.reason.as_str()).collect();
        assert_eq!(reasons[..2], ["action[1]: action_name is missing", "action[2]: request is missing"]);
        assert_eq!((decoded.offered, decoded.rejected.len()), (4, 3));
    }
}
