//! JSON-RPC 2.0, single calls and batches, and the Model Context Protocol on top of it.

use std::borrow::Cow;

use weir_model::Response;

use super::{Named, answer_documents, batch, decoded, joined};
use crate::json;

/// The call in a JSON body, when it is one: every document of a batch names a method and the version.
pub(super) fn named(body: &[u8], response: Option<&Response>) -> Option<Named> {
    let mut names = Vec::new();
    for document in batch(body) {
        names.push(method(document)?);
    }
    let name = joined(names)?;
    Some(Named { name: Some(name), kind: None, error: response.and_then(error) })
}

fn method(document: &[u8]) -> Option<String> {
    let (mut version, mut method, mut params) = (None, None, None);
    json::members(document, |member, value| match member {
        "jsonrpc" => version = json::text(value),
        "method" => method = json::text(value).map(Cow::into_owned),
        "params" => params = Some(value),
        _ => {}
    });
    version.filter(|version| version.starts_with("2."))?;
    let method = method?;
    // In the Model Context Protocol these say too little alone: which tool, which prompt, which resource?
    let detail = match method.as_str() {
        "tools/call" | "prompts/get" => params.and_then(|params| text_member(params, "name")),
        _ => None,
    };
    Some(detail.map_or_else(|| method.clone(), |detail| format!("{method} {detail}")))
}

fn text_member(document: &[u8], name: &str) -> Option<String> {
    let mut found = None;
    json::members(document, |member, value| {
        if member == name {
            found = json::text(value).map(Cow::into_owned);
        }
    });
    found
}

/// The code of the first error in an answer; `tool_error` for a tool that says it failed.
fn error(response: &Response) -> Option<String> {
    let body = decoded(&response.body)?;
    answer_documents(response, &body).iter().flat_map(|document| batch(document)).find_map(error_of)
}

fn error_of(document: &[u8]) -> Option<String> {
    let mut found = None;
    json::members(document, |member, value| match member {
        "error" if value != b"null" => {
            found = Some("error".to_owned());
            json::members(value, |member, code| {
                if member == "code" {
                    found = Some(json::unescape(code).into_owned());
                }
            });
        }
        "result" => json::members(value, |member, flag| {
            if member == "isError" && flag == b"true" {
                found = Some("tool_error".to_owned());
            }
        }),
        _ => {}
    });
    found
}
