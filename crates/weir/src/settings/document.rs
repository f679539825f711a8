//! `docs/configuration.md`, written from the table.

use std::fmt::Write;

use weir_kit::{FieldKind, FieldSpec};

use super::spec::SETTINGS;

const HEAD: &str = "\
# Configuration

<!-- Written by `weir check --documentation`; a test keeps it fresh. -->

Without a settings file weir runs every role on local addresses. A file (TOML) is named with `--settings FILE` or
`WEIR_SETTINGS`. Every key can be overridden by an environment variable: `WEIR_`, then the path of the key in upper case with `__`
between the levels, such as `WEIR_GATEWAY__PROXY_LISTEN`. Lists are comma-separated there, groups are JSON. A secret can also be given
as the name of a file that holds it, under the key with `_file` added. `weir check` reports every mistake at once.

Durations carry a unit (`us ms s m h d w`), sizes too (`B KB MB GB TB KiB MiB GiB TiB`).
";

/// The page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    table(&mut page, "", SETTINGS);
    page
}

fn table(page: &mut String, prefix: &str, fields: &'static [FieldSpec]) {
    let (groups, keys): (Vec<&FieldSpec>, Vec<&FieldSpec>) =
        fields.iter().partition(|field| group(field.kind).is_some());
    if !keys.is_empty() {
        *page += "\n| key | type | default | meaning |\n|---|---|---|---|\n";
    }
    for field in keys {
        let default = match field.default {
            Some(default) => format!("`{default}`"),
            None if field.required => "required".to_owned(),
            None => "none".to_owned(),
        };
        let secret = if field.secret { " (secret)" } else { "" };
        let _infallible = writeln!(
            page,
            "| `{prefix}{}` | {}{secret} | {default} | {} |",
            field.name,
            type_name(field.kind),
            field.about
        );
    }
    for field in groups {
        let Some((fields, infix)) = group(field.kind) else { continue };
        let path = format!("{prefix}{}{infix}", field.name);
        let _infallible = write!(page, "\n## `[{path}]`\n\n{}\n", sentence(field.about));
        table(page, &format!("{path}."), fields);
    }
}

fn group(kind: FieldKind) -> Option<(&'static [FieldSpec], &'static str)> {
    match kind {
        FieldKind::Record(fields) => Some((fields, "")),
        FieldKind::Map(FieldKind::Record(fields)) => Some((fields, ".<name>")),
        _ => None,
    }
}

fn sentence(about: &str) -> String {
    let mut characters = about.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn type_name(kind: FieldKind) -> String {
    match kind {
        FieldKind::Text => "text".to_owned(),
        FieldKind::OneOf(choices) => choices.join(", "),
        FieldKind::Number { .. } => "number".to_owned(),
        FieldKind::Integer { min, max } => format!("whole number, {min} to {max}"),
        FieldKind::Boolean => "true or false".to_owned(),
        FieldKind::Url => "URL".to_owned(),
        FieldKind::Duration => "duration".to_owned(),
        FieldKind::Size => "size".to_owned(),
        FieldKind::Listen => "address, or off".to_owned(),
        FieldKind::Any => "group".to_owned(),
        FieldKind::Array(item) | FieldKind::Set(item) => format!("list of {}", type_name(*item)),
        FieldKind::Map(item) => format!("{} by name", type_name(*item)),
        FieldKind::Record(_) => "group".to_owned(),
    }
}
