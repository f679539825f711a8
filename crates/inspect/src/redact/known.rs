//! What rules said of names that are part of the program.

use std::sync::atomic::{AtomicU64, Ordering};

use super::names::spread;

/// 256 names are remembered, at most; formats know fewer.
const PLACE_BITS: u32 = 8;

/// Remembers answers: nearly all names of attributes are part of the program, they are asked for with every exchange, and
/// where such a name lies it never changes.
#[derive(Debug)]
pub(super) struct KnownNames {
    /// Where a name lies, its length, and the answer, in one number; 0 where none is remembered.
    answers: [AtomicU64; 1 << PLACE_BITS],
}

impl Default for KnownNames {
    fn default() -> Self {
        Self { answers: [const { AtomicU64::new(0) }; 1 << PLACE_BITS] }
    }
}

impl KnownNames {
    /// What `ask` says of the name, or said when it was asked before.
    pub(super) fn answer(&self, name: &'static str, ask: impl FnOnce(&str) -> bool) -> bool {
        let Some(key) = key(name) else { return ask(name) };
        let place = &self.answers[spread(key, PLACE_BITS)];
        let remembered = place.load(Ordering::Relaxed);
        if remembered >> 1 == key {
            return remembered & 1 == 1;
        }
        let answer = ask(name);
        place.store(key << 1 | u64::from(answer), Ordering::Relaxed);
        answer
    }
}

/// Which text of the program this is, in 63 bits: one may be the beginning of another in memory.
fn key(name: &'static str) -> Option<u64> {
    let address = name.as_ptr().addr() as u64;
    (address >> 48 == 0 && name.len() < 1 << 15).then_some(address << 15 | name.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::names::Names;
    use super::*;

    #[test]
    fn what_is_remembered_is_what_the_rules_say() {
        let (rules, known) = (Names::new(["*password*", "token"]), KnownNames::default());
        let ask = |name: &str| rules.matches(name.as_bytes());
        // Texts within one another, and far more than are remembered.
        let text: &'static str = "tyk.password.token.tyk.api_key.token_password_tokens".repeat(20).leak();
        let names = |length| (0..text.len()).filter_map(move |start| text.get(start..start + length));
        for name in [1, 5, 12, 5].into_iter().flat_map(names) {
            assert_eq!(known.answer(name, ask), ask(name), "{name}");
            assert_eq!(known.answer(name, ask), ask(name), "{name} again");
        }
    }

    #[test]
    fn a_name_is_asked_for_once() {
        let (known, name) = (KnownNames::default(), "tyk.api_key");
        assert!(known.answer(name, |_| true));
        assert!(known.answer(name, |_| unreachable!()));
    }
}
