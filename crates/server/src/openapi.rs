//! The description of the API: `GET /api/openapi.json`, `weir openapi`.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};
use utoipa::OpenApi;

use crate::api::{
    bodies, exchanges, export, fields, figures, governance, has_already, import, ledger, live, profiles,
    session, setup, tag,
};
use crate::views::ExchangeRow;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "weir",
        description = "API traffic analytics: search, aggregate, watch and export captured HTTP exchanges.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        exchanges::list, exchanges::erase, exchanges::one, exchanges::har, bodies::body, figures::explore, figures::aggregate,
        fields::list, fields::values, live::live, ledger::ledger, setup::setup, import::import, export::export,
        session::sign_in, session::sign_out,
        profiles::users, profiles::user, profiles::delete_user,
        profiles::companies, profiles::company, profiles::delete_company,
        profiles::subscriptions, profiles::subscription, profiles::delete_subscription,
        governance::rules, governance::add_rule, governance::rule, governance::replace_rule,
        governance::delete_rule, governance::sampling, governance::replace_sampling,
    ),
    components(schemas(ExchangeRow)),
    modifiers(&Token),
    tags(
        (name = "exchanges", description = "captured exchanges, one by one and live"),
        (name = "questions", description = "figures over many exchanges"),
        (name = "files", description = "reading and writing files"),
        (name = "profiles", description = "users, companies and subscriptions, as reporters described them"),
        (name = "governance", description = "rules and rates for reporters that can apply them"),
        (name = "operations", description = "the installation itself"),
    )
)]
struct Document;

/// The token is asked for when the setting `server.token` is set.
struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        }
        let open = SecurityRequirement::default();
        document.security = Some(vec![open, SecurityRequirement::new("token", [""; 0])]);
    }
}

/// The OpenAPI 3.1 document as JSON.
pub fn json() -> String {
    Document::openapi().to_pretty_json().unwrap_or_default()
}

/// `GET /api/openapi.json`
pub(crate) async fn document(headers: HeaderMap) -> Response {
    static WRITTEN: OnceLock<(String, String)> = OnceLock::new();
    let (text, hash) = WRITTEN.get_or_init(|| {
        let text = json();
        let hash = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        (text, hash)
    });
    let tag = tag(hash);
    if has_already(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let mut response =
        ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], text.as_str())
            .into_response();
    response.headers_mut().insert(header::ETAG, tag);
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_stored_document_is_fresh() {
        expect_test::expect_file!["../openapi.json"].assert_eq(&format!("{}\n", json()));
    }

    #[test]
    fn every_route_is_described_and_every_description_has_its_route() {
        let document: serde_json::Value = serde_json::from_str(&json()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let described: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
            })
            .collect();
        let served: BTreeSet<String> =
            crate::router::routes().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_reference_has_its_schema() {
        let text = json();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
