//! Matching of names without regard to case and separators.

use std::borrow::Cow;
use std::collections::HashSet;

/// Names longer than this are compared by their first bytes only where a rule begins with them; no sane name is longer.
const LONGEST: usize = 128;

/// A set of rules such as `token` and `*password*`.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashSet<Vec<u8>>,
    beginnings: Vec<Vec<u8>>,
    endings: Vec<Vec<u8>>,
    inside: Vec<Vec<u8>>,
    /// Lengths of `exact`, as bits, so that most names are refused before they are hashed.
    lengths: u128,
}

impl Names {
    pub(super) fn new<'a>(rules: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for rule in rules {
            let rule = rule.trim();
            let core = canonical(rule.trim_matches('*').as_bytes()).into_owned();
            if core.is_empty() {
                continue;
            }
            match (rule.starts_with('*'), rule.ends_with('*')) {
                (true, true) => names.inside.push(core),
                (true, false) => names.endings.push(core),
                (false, true) => names.beginnings.push(core),
                (false, false) => {
                    names.lengths |=
                        1_u128.checked_shl(u32::try_from(core.len()).unwrap_or(127)).unwrap_or(0);
                    names.exact.insert(core);
                }
            }
        }
        names
    }

    /// Whether a rule fits the name; of `user[password]`, `user.password` and `wsse:Password` the last part counts.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let name = last_part(name);
        let mut buffer = [0_u8; LONGEST];
        let mut length = 0;
        for byte in name.iter().filter(|byte| !is_separator(**byte)) {
            if length == LONGEST {
                return self.fits(&canonical(name));
            }
            buffer[length] = byte.to_ascii_lowercase();
            length += 1;
        }
        self.fits(&buffer[..length])
    }

    fn fits(&self, name: &[u8]) -> bool {
        let same_length =
            self.lengths.checked_shr(u32::try_from(name.len()).unwrap_or(u32::MAX)).unwrap_or(0) & 1;
        same_length == 1 && self.exact.contains(name)
            || self.endings.iter().any(|ending| name.ends_with(ending))
            || self.beginnings.iter().any(|beginning| name.starts_with(beginning))
            || self.inside.iter().any(|part| name.windows(part.len()).any(|window| window == part.as_slice()))
    }
}

fn last_part(name: &[u8]) -> &[u8] {
    let mut name = name;
    while let [inner @ .., b']' | b'['] = name {
        name = inner;
    }
    match name.iter().rposition(|byte| matches!(byte, b'.' | b'[' | b':' | b'/')) {
        Some(at) if at + 1 < name.len() => &name[at + 1..],
        _ => name,
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b' ')
}

/// The form in which names are compared.
pub(super) fn canonical(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(|byte| is_separator(*byte) || byte.is_ascii_uppercase()) {
        let kept = name.iter().filter(|byte| !is_separator(**byte));
        return Cow::Owned(kept.map(u8::to_ascii_lowercase).collect());
    }
    Cow::Borrowed(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_separators_do_not_matter() {
        let names = Names::new(["access_token", "*password*", "*secret", "x_auth*", "", "*"]);
        for name in [
            "access_token",
            "accessToken",
            "Access-Token",
            "user[access_token]",
            "a.b.accesstoken",
            "newPassword",
            "password_confirmation",
            "client_secret",
            "X-Auth-User",
            "wsse:Password",
            "items[0][password][]",
        ] {
            assert!(names.matches(name.as_bytes()), "{name}");
        }
        let long = format!("{}password", "x".repeat(500));
        assert!(names.matches(long.as_bytes()));
        for name in ["token", "access", "secretary", "pass", "", "[]", "password.length", "xauth-"] {
            assert_eq!(names.matches(name.as_bytes()), name == "xauth-", "{name}");
        }
    }
}
