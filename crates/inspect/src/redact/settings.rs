//! What is masked unless settings say otherwise.

use serde::{Deserialize, Serialize};

/// Which values are masked before anything is kept.
///
/// A rule is a name: case, `-`, `_` and spaces do not matter, so `access_token` means `accessToken` and `Access-Token` too. A
/// `*` at its beginning or end stands for any characters. A rule for fields may also be a path from the root of a body, such
/// as `payment.card.number`; arrays on the way are looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedactSettings {
    /// Whether anything is masked at all.
    pub enabled: bool,
    /// Header and trailer names to mask beside the shipped ones.
    pub mask_headers: Vec<String>,
    /// Header rules as shipped that shall not apply.
    pub keep_headers: Vec<String>,
    /// Query parameters to mask beside the shipped ones, in the query string and in URLs inside headers and bodies.
    pub mask_parameters: Vec<String>,
    /// Parameter rules as shipped that shall not apply.
    pub keep_parameters: Vec<String>,
    /// Members of JSON, forms, XML and GraphQL bodies to mask beside the shipped ones.
    pub mask_fields: Vec<String>,
    /// Field rules as shipped that shall not apply.
    pub keep_fields: Vec<String>,
    /// Most bytes that a compressed body may have inside to be read and masked; what lies beyond is not kept.
    pub max_inflated_bytes: usize,
}

impl Default for RedactSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            mask_headers: Vec::new(),
            keep_headers: Vec::new(),
            mask_parameters: Vec::new(),
            keep_parameters: Vec::new(),
            mask_fields: Vec::new(),
            keep_fields: Vec::new(),
            max_inflated_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Names that hold secrets wherever they occur.
const EVERYWHERE: &[&str] = &[
    "*password*",
    "*passwd",
    "*passphrase",
    "pwd",
    "*secret",
    "*secret_key",
    "*api_key",
    "*private_key",
    "*access_key",
    "*api_token",
    "*access_token",
    "*auth_token",
    "*authorization",
    "*bearer_token",
    "*csrf_token",
    "*xsrf_token",
    "*id_token",
    "*refresh_token",
    "*security_token",
    "*session_token",
    "*session_id",
    "jwt",
    "token",
    "otp",
    "client_assertion",
    "saml_response",
    "card_number",
    "*credit_card*",
    "cc_number",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "card_security_code",
    "ssn",
    "*social_security*",
];

/// Names that hold secrets in headers only.
const IN_HEADERS: &[&str] = &[
    "cookie",
    "set_cookie",
    "cookie2",
    "set_cookie2",
    "*token",
    "*signature",
    "*client_cert",
    "*credential",
    "x_auth*",
];

/// Names that hold secrets in query strings only.
const IN_PARAMETERS: &[&str] =
    &["auth", "key", "sig", "*signature", "*credential", "*credentials", "hmac", "jsessionid", "phpsessid"];

/// Names that hold secrets in bodies only.
const IN_FIELDS: &[&str] = &["cookie", "set_cookie", "cookies", "credentials", "binary_security_token"];

impl RedactSettings {
    /// Rules for header names in force.
    pub fn header_rules(&self) -> Vec<String> {
        in_force(IN_HEADERS, &self.mask_headers, &self.keep_headers)
    }

    /// Rules for query parameters in force.
    pub fn parameter_rules(&self) -> Vec<String> {
        in_force(IN_PARAMETERS, &self.mask_parameters, &self.keep_parameters)
    }

    /// Rules for body members in force.
    pub fn field_rules(&self) -> Vec<String> {
        in_force(IN_FIELDS, &self.mask_fields, &self.keep_fields)
    }
}

fn in_force(special: &[&str], mask: &[String], keep: &[String]) -> Vec<String> {
    let same =
        |a: &str, b: &str| super::names::canonical(a.as_bytes()) == super::names::canonical(b.as_bytes());
    let shipped = EVERYWHERE.iter().chain(special).filter(|rule| !keep.iter().any(|kept| same(kept, rule)));
    shipped.map(|rule| (*rule).to_owned()).chain(mask.iter().cloned()).collect()
}
