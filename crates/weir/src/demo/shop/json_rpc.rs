//! The JSON-RPC part: the stock, single calls and batches.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::reply::json;

pub(super) async fn answer(headers: HeaderMap, body: Bytes) -> Response<Body> {
    let outcome = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Array(calls)) => Value::Array(calls.iter().filter_map(call).collect()),
        Ok(single) => call(&single).unwrap_or_default(),
        Err(_) => {
            json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32_700, "message": "Parse error" } })
        }
    };
    json(&headers, StatusCode::OK, &outcome)
}

/// The answer to one call; notifications get none.
fn call(call: &Value) -> Option<Value> {
    let id = call.get("id")?;
    let outcome = match call["method"].as_str() {
        Some("stock.level") => Ok(json!({ "product": call["params"]["product"], "level": 12 })),
        Some("stock.reserve") => Ok(json!({ "reserved": true })),
        Some("stock.release") => Err((3, "nothing was reserved")),
        _ => Err((-32_601, "Method not found")),
    };
    Some(match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err((code, message)) => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
        }
    })
}
