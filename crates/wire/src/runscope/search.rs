//! The search of a bucket (kong-runscope, B5) in weir's own query text.
//!
//! Words match headers and bodies; `status:`, `method:`, `host:`, `path:`, `size:` (bytes of the answer), `time:` (seconds) and
//! `header.name:` match what they name; everything must hold. In hosts and paths `*` stands for anything. Numbers take `>`,
//! `>=`, `<` and `<=`.

use super::decode::BUCKET_KEY;

/// The messages of a bucket that a search means.
///
/// # Errors
/// When a value is not of the type of its name; says which.
pub(super) fn of_bucket(bucket: &str, search: &str) -> Result<String, String> {
    let mut conditions = vec![all_of(bucket)];
    for term in terms(search) {
        conditions.push(condition(&term)?);
    }
    Ok(conditions.join(" "))
}

/// All messages of a bucket.
pub(super) fn all_of(bucket: &str) -> String {
    format!("attribute.{BUCKET_KEY}:{}", quoted(bucket))
}

/// The parts between spaces; quotes hold spaces together.
fn terms(search: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut open = false;
    for character in search.chars() {
        match character {
            '"' => open = !open,
            space if space.is_whitespace() && !open => terms.push(String::new()),
            other => terms.last_mut().into_iter().for_each(|term| term.push(other)),
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}

fn condition(term: &str) -> Result<String, String> {
    let Some((name, value)) = term.split_once(':').filter(|(_, value)| !value.is_empty()) else {
        return Ok(quoted(term));
    };
    if let Some(header) = name.strip_prefix("header.").filter(|header| is_token(header)) {
        let (header, value) = (header.to_ascii_lowercase(), quoted(value));
        return Ok(format!("(request.header.{header}:{value} OR response.header.{header}:{value})"));
    }
    match name {
        "status" | "size" => {
            let (comparison, number) = comparison(value);
            let number: u64 =
                number.parse().map_err(|_| format!("{name}: {number:?} is not a whole number"))?;
            Ok(format!("{name}:{comparison}{number}"))
        }
        "time" => {
            let (comparison, seconds) = comparison(value);
            let time =
                seconds.parse().ok().and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
            let time = time.ok_or_else(|| format!("time: {seconds:?} is not a number of seconds"))?;
            Ok(format!("latency:{comparison}{}us", time.as_micros()))
        }
        "method" => Ok(format!("method:{}", quoted(&value.to_ascii_uppercase()))),
        "host" => {
            let host = crate::parts::url::without_port(value).to_ascii_lowercase();
            Ok(format!("host:{}", pattern(&host)))
        }
        "path" => Ok(format!("path:{}", pattern(value))),
        _ => Ok(quoted(term)),
    }
}

fn comparison(value: &str) -> (&str, &str) {
    let end = value.find(|character| !matches!(character, '<' | '>' | '=')).unwrap_or(value.len());
    let (sign, rest) = value.split_at(end);
    (sign.strip_prefix("==").or(sign.strip_prefix('=')).unwrap_or(sign), rest)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A value in which `*` stands for anything.
fn pattern(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*/._~%-".contains(&byte);
    if value.contains('*') && value.bytes().all(is_plain) { value.to_owned() } else { quoted(value) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_become_questions() {
        for (search, conditions) in [
            ("", ""),
            ("  declined ", " \"declined\""),
            ("\"card declined\" x", " \"card declined\" \"x\""),
            ("status:500", " status:500"),
            ("status:>=500 method:post", " status:>=500 method:\"POST\""),
            ("size:>1000", " size:>1000"),
            ("time:>0.5", " latency:>500000us"),
            ("host:Shop.test:8000 path:/items", " host:\"shop.test\" path:\"/items\""),
            ("path:/items/* path:(*)", " path:/items/* path:\"(*)\""),
            ("header.X-Id:7", " (request.header.x-id:\"7\" OR response.header.x-id:\"7\")"),
            ("http://a.test/", " \"http://a.test/\""),
            ("a:b OR -c", " \"a:b\" \"OR\" \"-c\""),
            ("status:", " \"status:\""),
        ] {
            let expected = format!("attribute.runscope.bucket_key:\"b1\"{conditions}");
            assert_eq!(of_bucket("b1", search).unwrap(), expected, "{search}");
        }
        assert_eq!(all_of("a\"\\b"), "attribute.runscope.bucket_key:\"a\\\"\\\\b\"");
        assert_eq!(of_bucket("b", "status:x").unwrap_err(), "status: \"x\" is not a whole number");
        assert_eq!(of_bucket("b", "time:>-1").unwrap_err(), "time: \"-1\" is not a number of seconds");
    }
}
