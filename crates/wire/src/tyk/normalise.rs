//! Values in paths replaced by names, in the gateway's order: UUID, ULID, number, own patterns (section 5.1).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
        .expect("is valid")
});
static ULID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("(?i)[0-7][0-9A-HJKMNP-TV-Z]{25}").expect("is valid"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new("/[0-9]+").expect("is valid"));

/// The settings, by their documented names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormaliseSettings {
    /// Switch for all that follow.
    pub enabled: bool,
    /// UUIDs become `{uuid}`.
    pub normalise_uuids: bool,
    /// ULIDs become `{ulid}`.
    pub normalise_ulids: bool,
    /// Numbers become `{id}`.
    pub normalise_numbers: bool,
    /// What matches one of these becomes `{var}`.
    pub custom_patterns: Vec<String>,
}

/// Replaces values in paths.
#[derive(Debug, Clone, Default)]
pub struct Normaliser(Vec<(Regex, &'static str)>);

impl Normaliser {
    /// From settings; with the patterns that are not regular expressions, which are left out.
    pub fn new(settings: &NormaliseSettings) -> (Self, Vec<String>) {
        let mut rules = Vec::new();
        let mut bad = Vec::new();
        if settings.enabled {
            let wanted = |on: bool, rule: &LazyLock<Regex>| on.then(|| (**rule).clone());
            rules.extend(wanted(settings.normalise_uuids, &UUID).map(|rule| (rule, "{uuid}")));
            rules.extend(wanted(settings.normalise_ulids, &ULID).map(|rule| (rule, "{ulid}")));
            rules.extend(wanted(settings.normalise_numbers, &NUMBER).map(|rule| (rule, "/{id}")));
            for pattern in &settings.custom_patterns {
                match Regex::new(pattern) {
                    Ok(rule) => rules.push((rule, "{var}")),
                    Err(_) => bad.push(pattern.clone()),
                }
            }
        }
        (Self(rules), bad)
    }

    /// The path with its values replaced.
    pub fn apply<'a>(&self, path: Cow<'a, str>) -> Cow<'a, str> {
        self.0.iter().fold(path, |path, (rule, name)| match rule.replace_all(&path, regex::NoExpand(name)) {
            Cow::Borrowed(_) => path,
            Cow::Owned(replaced) => Cow::Owned(replaced),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_names() {
        let settings = NormaliseSettings {
            enabled: true,
            normalise_uuids: true,
            normalise_ulids: true,
            normalise_numbers: true,
            custom_patterns: vec!["v[0-9]+x".to_owned(), "(".to_owned()],
        };
        let (normaliser, bad) = Normaliser::new(&settings);
        assert_eq!(bad, ["("]);
        for (path, expected) in [
            // Seen from a running gateway.
            ("/users/123/items/550e8400-e29b-41d4-a716-446655440000", "/users/{id}/items/{uuid}"),
            ("/a/550e8400e29b41d4a716446655440000", "/a/{uuid}"),
            ("/a/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/a/{ulid}"),
            ("/123abc", "/{id}abc"),
            ("/v1/v12x", "/v1/{var}"),
            ("/plain", "/plain"),
        ] {
            assert_eq!(normaliser.apply(path.into()), expected, "{path}");
        }
        let off = NormaliseSettings { enabled: false, ..settings };
        assert_eq!(Normaliser::new(&off).0.apply("/1".into()), "/1");
    }
}
