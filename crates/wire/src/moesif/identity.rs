//! Who calls: from headers that name the caller, else from the claims of a token (moesif-plugin, section 7).
//!
//! Nothing here checks a signature: whoever sends the token was let in, or not, by somebody else.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use serde_json::{Map, Value};
use weir_model::{CompactString, Headers};

use super::config::IdentityConfig;

/// Where the gateway's consumer is told to services, in the order of preference.
const CONSUMER_HEADERS: [&str; 3] = ["x-consumer-custom-id", "x-consumer-username", "x-consumer-id"];

/// Padding may be missing, and the last character may have bits to spare.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Headers, of a call under way or of a record.
pub trait Fields {
    /// The first value of this name, as text.
    fn first(&self, name: &str) -> Option<Cow<'_, str>>;
}

impl Fields for Headers {
    fn first(&self, name: &str) -> Option<Cow<'_, str>> {
        self.text(name)
    }
}

impl Fields for HeaderMap {
    fn first(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }
}

/// User and company, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: Option<CompactString>,
    /// The company.
    pub company: Option<CompactString>,
}

/// The caller as the request tells. A header that names the company wins over the token's claim.
pub fn of_request(config: &IdentityConfig, headers: &impl Fields) -> Caller {
    let mut caller = of_headers(config, headers);
    if caller.user.is_none() {
        caller.user = CONSUMER_HEADERS.iter().find_map(|name| named(headers, name));
    }
    if caller.user.is_none() {
        let token = config.authorization_headers.iter().find_map(|name| headers.first(name));
        let shown = token.map(|token| of_authorization(config, &token)).unwrap_or_default();
        caller.user = shown.user;
        caller.company = caller.company.or(shown.company);
    }
    caller
}

/// The caller as the service's answer tells, for what the request did not.
pub fn of_response(config: &IdentityConfig, headers: &impl Fields) -> Caller {
    of_headers(config, headers)
}

fn of_headers(config: &IdentityConfig, headers: &impl Fields) -> Caller {
    let of = |name: &Option<String>| name.as_deref().and_then(|name| named(headers, name));
    Caller { user: of(&config.user_id_header), company: of(&config.company_id_header) }
}

/// The value of a header; an empty one names nobody.
fn named(headers: &impl Fields, name: &str) -> Option<CompactString> {
    let value = headers.first(name)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.into())
}

/// The caller as a token tells: claims of a JWT, with or without its scheme, or the name of `Basic`.
fn of_authorization(config: &IdentityConfig, value: &str) -> Caller {
    let value = value.trim();
    let (scheme, rest) = value.split_once(char::is_whitespace).unwrap_or(("", value));
    if scheme.eq_ignore_ascii_case("basic") {
        return Caller { user: basic_user(rest.trim()), company: None };
    }
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let token = if is_bearer { rest.trim() } else { value };
    let payload = match token.split('.').nth(1) {
        Some(payload) => payload,
        None if is_bearer => return Caller::default(),
        None => token,
    };
    claims_of(config, payload).unwrap_or_default()
}

fn basic_user(credentials: &str) -> Option<CompactString> {
    let bytes = decode(credentials)?;
    let text = String::from_utf8_lossy(&bytes);
    let user = text.split(':').next()?;
    (!user.is_empty()).then(|| user.into())
}

fn claims_of(config: &IdentityConfig, payload: &str) -> Option<Caller> {
    let claims: Map<String, Value> = serde_json::from_slice(&decode(payload)?).ok()?;
    let claim = |name: &str| {
        let folded = || claims.iter().find(|(known, _)| known.to_lowercase() == name).map(|(_, value)| value);
        claims.get(name).or_else(folded).and_then(plain)
    };
    Some(Caller { user: claim(&config.user_claim), company: config.company_claim.as_deref().and_then(claim) })
}

fn plain(claim: &Value) -> Option<CompactString> {
    match claim {
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.into()),
        Value::Number(_) | Value::Bool(_) => Some(claim.to_string().into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Base64 in either alphabet.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) {
        return BASE64.decode(text.replace('-', "+").replace('_', "/")).ok();
    }
    BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moesif::session::SessionToken;

    fn config() -> IdentityConfig {
        IdentityConfig {
            user_id_header: Some("x-user".to_owned()),
            company_id_header: Some("x-org".to_owned()),
            authorization_headers: vec!["x-token".to_owned(), "authorization".to_owned()],
            user_claim: "userid".to_owned(),
            company_claim: Some("org".to_owned()),
            session_token: SessionToken::Hashed,
        }
    }

    /// `user/company` with `-` for nobody.
    fn found(config: &IdentityConfig, headers: &[(&str, &str)]) -> String {
        let model = Headers::from_iter(headers.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let caller = of_request(config, &model);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        assert_eq!(of_request(config, &map), caller, "records and live calls agree");
        shown(&caller)
    }

    fn shown(caller: &Caller) -> String {
        let text = |part: &Option<CompactString>| part.as_deref().unwrap_or("-").to_owned();
        format!("{}/{}", text(&caller.user), text(&caller.company))
    }

    fn jwt(payload: &str) -> String {
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode(r#"{"alg":"HS256"}"#), encode(payload))
    }

    #[test]
    fn headers_name_the_caller_in_their_order() {
        let all = [
            ("X-User", "u"),
            ("x-consumer-custom-id", "custom"),
            ("x-consumer-username", "name"),
            ("x-consumer-id", "id"),
            ("authorization", "Basic YWxpY2U6cHc="),
        ];
        for (from, user) in [(0, "u"), (1, "custom"), (2, "name"), (3, "id"), (4, "alice"), (5, "-")] {
            assert_eq!(found(&config(), &all[from..]), format!("{user}/-"));
        }
        assert_eq!(found(&config(), &[("x-user", " "), ("x-consumer-id", "id"), ("x-org", "o")]), "id/o");
        let none = IdentityConfig { user_id_header: None, company_id_header: None, ..config() };
        assert_eq!(found(&none, &[("x-user", "u"), ("x-org", "o")]), "-/-");
    }

    #[test]
    fn tokens_name_the_caller_when_no_header_does() {
        let claims = jwt(r#"{"UserId":"u1","ORG":42,"sub":"s"}"#);
        for (value, caller) in [
            (format!("Bearer {claims}"), "u1/42"),
            (format!("bearer   {claims}"), "u1/42"),
            (claims.clone(), "u1/42"),
            (
                format!("Bearer {}", jwt(r#"{"userid":1234567890123456789,"org":true}"#)),
                "1234567890123456789/true",
            ),
            (format!("Bearer {}", jwt(r#"{"userid":{"a":1},"org":null}"#)), "-/-"),
            (format!("Bearer {}", jwt(r#"{"userid":"","org":[]}"#)), "-/-"),
            (format!("Bearer {}", jwt(r#"{"USERID":"folded","userid":"exact"}"#)), "exact/-"),
            // No JWT: the whole of it is decoded.
            ("eyJ1c2VyaWQiOiJ3aG9sZSJ9".to_owned(), "whole/-"),
            // `?` and `>` make `_` and `-` in one alphabet, `/` and `+` in the other; padding may be there.
            ("Bearer h.eyJ1c2VyaWQiOiI_Pz4-fn4ifQ.s".to_owned(), "??>>~~/-"),
            ("Bearer h.eyJ1c2VyaWQiOiI/Pz4+fn4ifQ==.s".to_owned(), "??>>~~/-"),
            ("Basic YWxpY2U6cDp3".to_owned(), "alice/-"),
            ("BASIC YWxpY2U".to_owned(), "alice/-"),
            ("Basic OnB3".to_owned(), "-/-"),
            ("Basic %%%".to_owned(), "-/-"),
            ("Bearer abcdef".to_owned(), "-/-"),
            ("Bearer a.b.c".to_owned(), "-/-"),
            ("Bearer".to_owned(), "-/-"),
            ("[redacted]".to_owned(), "-/-"),
            (format!("Bearer {}", jwt("[1]")), "-/-"),
            (format!("Bearer {}", jwt(&"[".repeat(10_000))), "-/-"),
        ] {
            assert_eq!(found(&config(), &[("authorization", &value)]), caller, "{value:.60}");
        }
    }

    #[test]
    fn the_first_token_header_that_is_there_counts() {
        let (first, second) =
            (jwt(r#"{"userid":"first","org":"o1"}"#), format!("Bearer {}", jwt(r#"{"userid":"2"}"#)));
        assert_eq!(found(&config(), &[("authorization", &second), ("x-token", &first)]), "first/o1");
        assert_eq!(found(&config(), &[("authorization", &second), ("x-token", "opaque")]), "-/-");
        let repeated = [("authorization", second.as_str()), ("authorization", &first)];
        assert_eq!(found(&config(), &repeated), "2/-");
        assert_eq!(found(&config(), &[("x-org", "header"), ("x-token", &first)]), "first/header");
        assert_eq!(
            found(&config(), &[("x-user", "u"), ("x-token", &first)]),
            "u/-",
            "the token is not looked at"
        );
    }

    #[test]
    fn answers_name_the_caller_by_the_configured_headers_only() {
        let headers = Headers::from_iter([("X-User", "u"), ("X-Org", "o"), ("x-consumer-id", "id")]);
        assert_eq!(shown(&of_response(&config(), &headers)), "u/o");
        let none = IdentityConfig { user_id_header: None, ..config() };
        assert_eq!(shown(&of_response(&none, &headers)), "-/o");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(value: Vec<u8>, scheme in "(Bearer |Basic |)") {
            let value = [scheme.as_bytes(), &value].concat();
            of_request(&config(), &Headers::from_iter([("authorization", value)]));
        }
    }
}
