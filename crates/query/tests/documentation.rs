//! `docs/query.md` says what the code does.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;

use weir_model::field::FIELDS;
use weir_query::{Filter, check};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/query.md");

fn fields() -> String {
    let mut table = "| field | short | type | what it is |\n|---|---|---|---|\n".to_owned();
    for row in FIELDS {
        let aliases: Vec<String> = row.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let aliases = aliases.join(" ");
        writeln!(table, "| `{}` | {aliases} | {} | {} |", row.name, row.field_type.name(), row.about)
            .unwrap();
    }
    table.push_str("\nFields with open names:\n\n| begins with | what it is |\n|---|---|\n");
    for (prefix, about) in check::FAMILIES {
        writeln!(table, "| `{prefix}` | {about} |").unwrap();
    }
    table
}

/// Run with `UPDATE_EXPECT=1` to write the table anew.
#[test]
fn the_table_of_fields_is_fresh() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once("by a test -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let fresh = format!("{before}by a test -->\n{}<!-- end -->{after}", fields());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(PAGE, &fresh).unwrap();
    }
    assert_eq!(fs::read_to_string(PAGE).unwrap(), fresh, "run the tests with UPDATE_EXPECT=1");
}

#[test]
fn every_example_is_a_question() {
    let page = fs::read_to_string(PAGE).unwrap();
    let examples = page.split("## Rules").next().unwrap();
    let mut count = 0;
    for line in examples.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let query = line.split('`').nth(1).unwrap();
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let filter = check::text(query, now).unwrap_or_else(|mistakes| panic!("{query}: {mistakes:?}"));
        assert_ne!(filter, Filter::Any);
        count += 1;
    }
    assert!(count > 20, "{count}");
}
