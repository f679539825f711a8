//! Documented behaviours of the Admin API, one file each in `tests/admin`, against a listening API.
//!
//! A file is a conversation:
//!
//! ```text
//! # what is shown
//! mode: declarative                      the gateway is configured by a file
//! POST /services -d name=a -d url=http://u -H 'X: y'     as with curl; -F multipart, -j JSON, --raw TYPE TEXT
//! = 201 {"name": "a", "id": "*"}         status, and what the body has at least: "*" anything, "-" absent
//! ~ Content-Type: application/json       a header of the answer
//! let id = id                            keeps a member of the answer; {{id}} stands for it later
//! ```
//!
//! Lines that begin with two spaces continue the line before.

#![allow(clippy::unwrap_used)]

mod admin_support;

use std::collections::HashMap;
use std::path::Path;

use admin_support::{Running, multipart};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_behaviours() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/admin");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 15, "the conversations are missing");
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        if let Err(failure) = converse(&text).await {
            failures.push(format!("{}: {failure}", file.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

struct Heard {
    request: String,
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

async fn converse(text: &str) -> Result<(), String> {
    let text = text.replace("\n  ", " ");
    let running = Running::start(text.contains("mode: declarative")).await;
    let mut kept: HashMap<String, String> = HashMap::new();
    let mut heard: Option<Heard> = None;
    let mut checks = 0;
    for line in text.lines() {
        let mut line = line.trim().to_owned();
        for (name, value) in &kept {
            line = line.replace(&format!("{{{{{name}}}}}"), value);
        }
        let last = || heard.as_ref().ok_or("nothing was asked yet");
        match line.split_once(' ') {
            None if line.is_empty() => {}
            Some(("#" | "mode:", _)) => {}
            Some(("=", expected)) => {
                check(last()?, expected)?;
                checks += 1;
            }
            Some(("~", header)) => check_header(last()?, header)?,
            Some(("let", binding)) => {
                let (name, member) = binding.split_once(" = ").ok_or("let NAME = MEMBER")?;
                let value =
                    member.split('.').fold(&last()?.body, |value, step| match step.parse::<usize>() {
                        Ok(index) => &value[index],
                        Err(_) => &value[step],
                    });
                let value = value.as_str().ok_or_else(|| format!("no text at {member}"))?;
                kept.insert(name.to_owned(), value.to_owned());
            }
            _ => heard = Some(ask(&running, &line).await?),
        }
    }
    if checks == 0 { Err("it expects nothing".to_owned()) } else { Ok(()) }
}

/// Words as a shell would see them, with single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

async fn ask(running: &Running, line: &str) -> Result<Heard, String> {
    let words = words(line);
    let [method, path, options @ ..] = words.as_slice() else { return Err(format!("no request: {line}")) };
    let mut request = running.request(method, path);
    let mut data: Vec<String> = Vec::new();
    let mut parts: Vec<(String, String)> = Vec::new();
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut next = || options.next().ok_or_else(|| format!("{option} without value"));
        match option.as_str() {
            "-d" => data.push(next()?.clone()),
            "-F" => {
                let (name, value) = next()?.split_once('=').ok_or("-F NAME=VALUE")?;
                parts.push((name.to_owned(), value.to_owned()));
            }
            "-j" => request = request.header("content-type", "application/json").body(next()?.clone()),
            "-H" => {
                let (name, value) = next()?.split_once(": ").ok_or("-H 'NAME: VALUE'")?;
                request = request.header(name, value);
            }
            "--raw" => {
                let media_type = next()?.clone();
                request = request.header("content-type", media_type).body(next()?.replace("\\n", "\n"));
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    if !data.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded").body(data.join("&"));
    }
    if !parts.is_empty() {
        let (content_type, body) = multipart(&parts);
        request = request.header("content-type", content_type).body(body);
    }
    let response = request.send().await.map_err(|error| error.to_string())?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.map_err(|error| error.to_string())?;
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).map_err(|error| format!("{line}: {error}: {text}"))?,
    };
    Ok(Heard { request: line.to_owned(), status, headers, body })
}

fn check(heard: &Heard, expected: &str) -> Result<(), String> {
    let (status, body) = expected.split_once(' ').unwrap_or((expected, ""));
    let told =
        |what: String| format!("{}\n    {what}\n    got {} {}", heard.request, heard.status, heard.body);
    if heard.status.to_string() != status {
        return Err(told(format!("expected status {status}")));
    }
    let body = body.trim();
    if body.is_empty() {
        return Ok(());
    }
    let wanted: Value = serde_json::from_str(body).map_err(|error| format!("{body}: {error}"))?;
    compare(&wanted, &heard.body, "body").map_err(told)
}

/// Whether `found` has what `wanted` says.
fn compare(wanted: &Value, found: &Value, place: &str) -> Result<(), String> {
    let differs = || Err(format!("{place}: expected {wanted}, found {found}"));
    match (wanted, found) {
        (Value::String(any), found) if any == "*" => {
            if found.is_null() {
                differs()
            } else {
                Ok(())
            }
        }
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let place = format!("{place}.{name}");
                match (wanted.as_str(), found.get(name)) {
                    (Some("-"), None) => {}
                    (Some("-"), Some(there)) => {
                        return Err(format!("{place}: expected nothing, found {there}"));
                    }
                    (_, None) => return Err(format!("{place}: missing")),
                    (_, Some(found)) => compare(wanted, found, &place)?,
                }
            }
            Ok(())
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(wanted, found, &format!("{place}[{index}]"))?;
            }
            Ok(())
        }
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => Ok(()),
        (wanted, found) if wanted == found => Ok(()),
        _ => differs(),
    }
}

fn check_header(heard: &Heard, expected: &str) -> Result<(), String> {
    let (name, wanted) = expected.split_once(": ").ok_or("~ NAME: VALUE")?;
    let found = heard.headers.get(name).and_then(|value| value.to_str().ok());
    match found {
        Some(found) if found == wanted || wanted == "*" => Ok(()),
        _ => Err(format!("{}\n    {name}: expected {wanted}, found {found:?}", heard.request)),
    }
}
