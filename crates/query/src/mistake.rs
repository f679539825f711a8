//! What is wrong with a question, and where.

use std::fmt;

/// One mistake in a question; a check reports all it finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong and what to write instead; lower case, without a final stop.
    pub detail: String,
}

/// Where in a question something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a query text: bytes from its beginning.
    Text {
        /// First byte.
        offset: usize,
        /// How many bytes; 0 at the end of the text.
        length: usize,
    },
    /// In a JSON document: a JSON pointer (RFC 6901).
    Pointer(String),
    /// A parameter of a URL.
    Parameter(&'static str),
}

impl Place {
    pub(crate) fn text(offset: usize, end: usize) -> Self {
        Self::Text { offset, length: end.saturating_sub(offset) }
    }

    pub(crate) fn mistake(&self, detail: impl Into<String>) -> Mistake {
        Mistake { place: self.clone(), detail: detail.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Text { offset, .. } => write!(f, "at {offset}: {}", self.detail),
            Place::Pointer(pointer) if pointer.is_empty() => f.write_str(&self.detail),
            Place::Pointer(pointer) => write!(f, "{pointer}: {}", self.detail),
            Place::Parameter(name) => write!(f, "{name}: {}", self.detail),
        }
    }
}

/// A foreign word as it is quoted in a message: shortened, with control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or("")),
        None => format!("{text:?}"),
    }
}

/// The known word that is closest to `word`, when it is close enough to be meant.
pub(crate) fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(64).flat_map(char::to_lowercase).collect();
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .map(|name| (distance(&word, &name.chars().collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours count one each.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(from != to);
            let mut best = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *to && right[column - 1] == *from;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_proposed() {
        let known = ["status", "http.request.method", "latency", "path"];
        for (word, expected) in [
            ("staus", Some("status")),
            ("Status", Some("status")),
            ("lateny", Some("latency")),
            ("http.reqest.method", Some("http.request.method")),
            ("paht", Some("path")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known.into_iter()), expected, "{word}");
        }
    }
}
