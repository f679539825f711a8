//! Matching of names without regard to case and separators.

use std::borrow::Cow;
use std::collections::HashSet;

/// Names of up to this many bytes, as nearly all are, are looked at without memory of their own.
const USUAL: usize = 48;

/// A set of rules such as `token` and `*password*`.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: HashSet<Vec<u8>>,
    beginnings: Vec<Vec<u8>>,
    /// The letters that beginnings begin with.
    first_letters: Letters,
    endings: Vec<Vec<u8>>,
    /// With the letters of each.
    inside: Vec<(Letters, Vec<u8>)>,
    /// The [`sign`]s of `exact`, and of the last bytes of `endings`, so that most names are refused without looking at the
    /// rules.
    exact_signs: Signs,
    ending_signs: Signs,
    /// How many last bytes are looked at for that: all endings have as many.
    tail: usize,
}

/// Most last bytes that make the sign of an ending.
const TAIL: usize = 4;

impl Names {
    pub(super) fn new<'a>(rules: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self { tail: TAIL, ..Self::default() };
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
                    names.tail = names.tail.min(core.len());
                    names.endings.push(core);
                }
                (false, true) => {
                    names.first_letters = names.first_letters.and(Letters::of(&core[..1]));
                    names.beginnings.push(core);
                }
                (false, false) => {
                    names.exact_signs.set(sign(&core));
                    names.exact.insert(core);
                }
            }
        }
        for ending in &names.endings {
            names.ending_signs.set(sign(last(ending, names.tail)));
        }
        names
    }

    /// Whether a rule fits the name; of `user[password]`, `user.password` and `wsse:Password` the last part counts.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let name = last_part(name);
        if name.len() > USUAL {
            let name = canonical(name);
            return self.fits(&name, Letters::of(&name));
        }
        let mut buffer = [0_u8; USUAL];
        let (mut length, mut letters) = (0, Letters::default());
        for byte in name.iter().filter(|byte| !is_separator(**byte)) {
            let byte = byte.to_ascii_lowercase();
            buffer[length] = byte;
            length += 1;
            letters = letters.and(Letters::of(&[byte]));
        }
        self.fits(&buffer[..length], letters)
    }

    fn fits(&self, name: &[u8], letters: Letters) -> bool {
        self.exact_signs.get(sign(name)) && self.exact.contains(name)
            || self.ending_signs.get(sign(last(name, self.tail)))
                && self.endings.iter().any(|ending| name.ends_with(ending))
            || self.first_letters.include(Letters::of(name.get(..1).unwrap_or_default()))
                && self.beginnings.iter().any(|beginning| name.starts_with(beginning))
            || self.inside.iter().any(|(needed, part)| {
                letters.include(*needed) && name.windows(part.len()).any(|window| window == part.as_slice())
            })
    }
}

/// Which bytes occur in a name, each standing for all that are equal in their lowest six bits.
#[derive(Debug, Clone, Copy, Default)]
struct Letters(u64);

impl Letters {
    fn of(name: &[u8]) -> Self {
        Self(name.iter().fold(0, |letters, byte| letters | 1 << (byte & 63)))
    }

    fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

/// A bit for each [`sign`].
#[derive(Debug)]
struct Signs([u64; 64]);

impl Default for Signs {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Signs {
    fn set(&mut self, sign: usize) {
        self.0[sign / 64] |= 1 << (sign % 64);
    }

    fn get(&self, sign: usize) -> bool {
        self.0[sign / 64] >> (sign % 64) & 1 == 1
    }
}

/// A number below 4096, mostly different for different names: of the length, the first and the last four bytes.
fn sign(name: &[u8]) -> usize {
    let gathered = last(name, TAIL).iter().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte));
    let first = name.first().copied().unwrap_or_default();
    spread(gathered | u64::from(first) << 32 | (name.len() as u64) << 40, 12)
}

/// A number of so many bits that depend on all of the key's, so that keys which are close to each other are not (Fibonacci
/// hashing).
pub(super) fn spread(key: u64, bits: u32) -> usize {
    (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - bits)) as usize
}

fn last(name: &[u8], count: usize) -> &[u8] {
    &name[name.len().saturating_sub(count)..]
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
    fn endings_of_any_length_are_found() {
        for (rules, found, not_found) in [
            (&["*ab"][..], &["ab", "xab", "x_a_b", "longer.ab"][..], &["b", "abx", ""][..]),
            (&["*ab", "*secret_key"], &["ab", "my-secret-key", "secretKey"], &["key", "secretkeys"]),
            (&["*secret_key"], &["my-secret-key"], &["key", "ey", "retkey"]),
        ] {
            let names = Names::new(rules.iter().copied());
            for (wanted, which) in [(true, found), (false, not_found)] {
                for name in which {
                    assert_eq!(names.matches(name.as_bytes()), wanted, "{name:?} by {rules:?}");
                }
            }
        }
    }

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
