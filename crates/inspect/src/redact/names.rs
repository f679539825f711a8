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
    /// With the letters of each.
    inside: Vec<(Letters, Vec<u8>)>,
    /// Signs of `exact` and of `endings`, as bits, so that most names are refused without looking at the rules.
    exact_signs: Bits,
    ending_signs: Bits,
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
            // A single letter at an end is no sign of anything.
            let wild = core.len() > 1;
            match (wild && rule.starts_with('*'), wild && rule.ends_with('*')) {
                (true, true) => names.inside.push((Letters::of(&core), core)),
                (true, false) => {
                    names.ending_signs.set(tail_sign(&core));
                    names.endings.push(core);
                }
                (false, true) => names.beginnings.push(core),
                (false, false) => {
                    names.exact_signs.set(whole_sign(&core));
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
        let letters = Letters::of(name);
        self.exact_signs.get(whole_sign(name)) && self.exact.contains(name)
            || self.ending_signs.get(tail_sign(name))
                && self.endings.iter().any(|ending| name.ends_with(ending))
            || self.beginnings.iter().any(|beginning| name.starts_with(beginning))
            || self.inside.iter().any(|(needed, part)| {
                letters.include(*needed) && name.windows(part.len()).any(|window| window == part.as_slice())
            })
    }
}

/// Which bytes occur in a name, each standing for all that are equal in their lowest six bits.
#[derive(Debug, Clone, Copy)]
struct Letters(u64);

impl Letters {
    fn of(name: &[u8]) -> Self {
        Self(name.iter().fold(0, |letters, byte| letters | 1 << (byte & 63)))
    }

    fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// 256 bits.
#[derive(Debug, Default)]
struct Bits([u64; 4]);

impl Bits {
    fn set(&mut self, sign: u8) {
        self.0[usize::from(sign >> 6)] |= 1 << (sign & 63);
    }

    fn get(&self, sign: u8) -> bool {
        self.0[usize::from(sign >> 6)] >> (sign & 63) & 1 == 1
    }
}

/// Of the first and last byte and the length.
fn whole_sign(name: &[u8]) -> u8 {
    match name {
        [first, .., last] => {
            first.wrapping_mul(31) ^ last.wrapping_mul(7) ^ (name.len() as u8).wrapping_mul(37)
        }
        _ => name.first().copied().unwrap_or(0),
    }
}

/// Of the last two bytes; endings have at least two, see [`Names::new`].
fn tail_sign(name: &[u8]) -> u8 {
    match name {
        [.., before, last] => before.wrapping_mul(31) ^ last.wrapping_mul(7),
        _ => 0,
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
