//! The GraphQL part: answers by the fields that a document mentions, with errors inside a 200 as GraphQL servers give them.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::reply::json;

pub(super) async fn answer(headers: HeaderMap, body: Bytes) -> Response<Body> {
    let call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = call["query"].as_str().unwrap_or_default();
    json(&headers, StatusCode::OK, &outcome(query, &call["variables"]))
}

fn outcome(query: &str, variables: &Value) -> Value {
    let mentions = |field: &str| query.contains(field);
    match () {
        () if mentions("signIn") => json!({ "data": { "signIn": { "token": "token-s3cr3t" } } }),
        () if mentions("cancelOrder") => json!({
            "data": { "cancelOrder": null },
            "errors": [{ "message": "the order has been shipped", "path": ["cancelOrder"], "extensions": { "code": "CONFLICT" } }],
        }),
        () if mentions("product(") => {
            let reviews: Vec<Value> = (1..=20)
                .map(|stars| json!({ "stars": stars % 5 + 1, "text": "As described, well packed." }))
                .collect();
            json!({ "data": { "product": { "name": variables["slug"], "price": 4_990, "reviews": reviews } } })
        }
        () if mentions("order(") => json!({ "data": { "order": { "status": "packed", "total": 12_990 } } }),
        () if mentions("viewer") => {
            json!({ "data": { "viewer": { "name": "Ann", "cart": { "total": 0 } } } })
        }
        () => {
            json!({ "errors": [{ "message": "cannot query field \"nothingHere\" on type \"Query\"", "extensions": { "code": "GRAPHQL_VALIDATION_FAILED" } }] })
        }
    }
}
