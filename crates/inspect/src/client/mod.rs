//! Whose call it was: the user that an exchange belongs to when the gateway's consumer does not say it.

use weir_model::{CompactString, Exchange};

/// Where to look for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRule {
    /// The consumer that the gateway authenticated: its `custom_id`, else its `username`.
    Consumer,
    /// The value of a request header.
    RequestHeader(String),
    /// The value of a response header; upstreams often know best.
    ResponseHeader(String),
}

/// Most characters of a user's name that are kept.
const MAX_USER_CHARS: usize = 256;

/// Fills in [`weir_model::Identity::user`] from the first rule that gives a value; what a reporter said stays.
pub fn identify_user(exchange: &mut Exchange, rules: &[UserRule]) {
    if exchange.identity.user.is_some() {
        return;
    }
    exchange.identity.user = rules.iter().find_map(|rule| match rule {
        UserRule::Consumer => {
            let consumer = exchange.consumer.as_ref()?;
            consumer.custom_id.clone().or_else(|| consumer.username.clone())
        }
        UserRule::RequestHeader(name) => header(exchange.request.headers.text(name)),
        UserRule::ResponseHeader(name) => header(exchange.response.as_ref()?.headers.text(name)),
    });
}

fn header(value: Option<std::borrow::Cow<'_, str>>) -> Option<CompactString> {
    let text: CompactString = value?.trim().chars().take(MAX_USER_CHARS).collect();
    if text.is_empty() { None } else { Some(text) }
}

#[cfg(test)]
mod tests {
    use weir_kit::Timestamp;
    use weir_model::{Consumer, ExchangeId, Request};

    use super::*;

    #[test]
    fn the_first_rule_with_a_value_wins_and_reports_stay() {
        let start = Timestamp::default();
        let mut exchange = Exchange::new(ExchangeId::new(start), start, Request::default());
        exchange.request.headers.push("X-User", " ann ");
        exchange.consumer = Some(Consumer { username: Some("shop".into()), ..Consumer::default() });
        let rules = [
            UserRule::ResponseHeader("x-user".into()),
            UserRule::RequestHeader("x-user".into()),
            UserRule::Consumer,
        ];
        identify_user(&mut exchange, &rules);
        assert_eq!(exchange.identity.user.as_deref(), Some("ann"));
        identify_user(&mut exchange, &rules[2..]);
        assert_eq!(exchange.identity.user.as_deref(), Some("ann"));
        exchange.identity.user = None;
        identify_user(&mut exchange, &rules[2..]);
        assert_eq!(exchange.identity.user.as_deref(), Some("shop"));
    }
}
