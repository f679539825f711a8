//! Takes the entries of a HAR out of a stream of bytes, one by one, without holding more than one.
//!
//! It knows just enough JSON for that: strings, nesting, and the names `log`, `entries` and `creator` at their places.

/// What the stream holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The text of `log.creator`.
    Creator(&'a [u8]),
    /// The text of one item of `log.entries`.
    Entry(&'a [u8]),
    /// An item that is larger than the limit.
    TooLong,
}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// Within an entry.
    InEntry,
    /// Between entries, before the file was complete.
    Early,
    /// Without any `log.entries`.
    NoEntries,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Section {
    #[default]
    Other,
    Creator,
    Entries,
}

/// The position in the stream, and the value being copied.
#[derive(Debug)]
pub(super) struct Splitter {
    max_bytes: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The beginning of the last string, to compare with names.
    text: Vec<u8>,
    /// Whether the current member of the root is `log`.
    in_log: bool,
    /// The current member of `log`.
    section: Section,
    seen_entries: bool,
    /// The value being copied, if any: an entry or the creator.
    copying: Option<Section>,
    copied: Vec<u8>,
    too_long: bool,
}

const LOG: usize = 1;
const SECTION: usize = 2;
const ITEM: usize = 3;
const MAX_NAME: usize = 16;

impl Splitter {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            depth: 0,
            in_string: false,
            escaped: false,
            text: Vec::new(),
            in_log: false,
            section: Section::Other,
            seen_entries: false,
            copying: None,
            copied: Vec::new(),
            too_long: false,
        }
    }

    /// Takes the next bytes; gives `found` the parts that end in them.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut dyn FnMut(Part<'_>)) {
        let (mut at, mut copy_from) = (0, 0);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.in_string {
                at += self.skip_string(rest);
                continue;
            }
            let byte = bytes[at];
            let closes = matches!(byte, b'}' | b']');
            if self.copying.is_some() && self.at_value_level() && (byte == b',' || closes) {
                self.copy(&bytes[copy_from..at]);
                self.end_value(found);
            }
            if self.copying.is_none() && self.starts_value(byte) {
                self.copying = Some(self.section);
                copy_from = at;
            }
            self.step(byte);
            at += 1;
        }
        if self.copying.is_some() {
            self.copy(&bytes[copy_from..]);
        }
    }

    /// Says how the stream ended.
    pub(super) fn end(&self) -> End {
        match () {
            () if self.copying == Some(Section::Entries) => End::InEntry,
            () if !self.seen_entries => End::NoEntries,
            () if self.depth > 0 => End::Early,
            () => End::Whole,
        }
    }

    /// Advances over one byte outside of strings.
    fn step(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                self.text.clear();
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.seen_entries |= byte == b'[' && self.depth == ITEM && self.section == Section::Entries;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == LOG => self.in_log = self.text == b"log",
            b':' if self.depth == SECTION && self.in_log => {
                self.section = match self.text.as_slice() {
                    b"entries" => Section::Entries,
                    b"creator" => Section::Creator,
                    _ => Section::Other,
                };
            }
            b',' if self.depth == LOG => self.in_log = false,
            b',' if self.depth == SECTION => self.section = Section::Other,
            _ => {}
        }
    }

    /// Advances over the inside of a string; returns how many bytes that took.
    fn skip_string(&mut self, rest: &[u8]) -> usize {
        if self.escaped {
            self.escaped = false;
            return 1;
        }
        let length = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        if self.depth <= SECTION {
            let room = MAX_NAME.saturating_sub(self.text.len());
            self.text.extend_from_slice(&rest[..length.min(room)]);
        }
        match rest.get(length) {
            Some(b'"') => self.in_string = false,
            Some(_) => self.escaped = true,
            None => return length,
        }
        length + 1
    }

    /// The depth at which the values to copy lie.
    fn at_value_level(&self) -> bool {
        self.depth == if self.copying == Some(Section::Entries) { ITEM } else { SECTION }
    }

    fn starts_value(&self, byte: u8) -> bool {
        let place = match self.section {
            Section::Entries => self.depth == ITEM && self.seen_entries,
            Section::Creator => self.depth == SECTION,
            Section::Other => false,
        };
        place && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'}' | b']')
    }

    fn copy(&mut self, bytes: &[u8]) {
        if self.too_long || self.copied.len() + bytes.len() > self.max_bytes {
            self.too_long = true;
            self.copied = Vec::new();
        } else {
            self.copied.extend_from_slice(bytes);
        }
    }

    fn end_value(&mut self, found: &mut dyn FnMut(Part<'_>)) {
        match self.copying.take() {
            Some(Section::Entries) if self.too_long => found(Part::TooLong),
            Some(Section::Entries) => found(Part::Entry(&self.copied)),
            Some(Section::Creator) if !self.too_long => found(Part::Creator(&self.copied)),
            _ => {}
        }
        self.copied.clear();
        self.too_long = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(pieces: &[&[u8]]) -> (Vec<String>, End) {
        let mut splitter = Splitter::new(40);
        let mut seen = Vec::new();
        for piece in pieces {
            splitter.feed(piece, &mut |part| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
                seen.push(match part {
                    Part::Creator(bytes) => format!("creator {}", text(bytes)),
                    Part::Entry(bytes) => text(bytes),
                    Part::TooLong => "too long".to_owned(),
                });
            });
        }
        (seen, splitter.end())
    }

    const FILE: &str = r#" {"x":{"entries":[1]},"log" : {"version":"1.2","pages":[{"entries":[2]}],"creator":{"a":"}"},
        "entries" : [ {"a":[1,{"b":"]},\"{"}]} , 7 ,{}, "s",{"long":"0123456789012345678901234567890123456789"}, [ ] ],
        "comment":"entries"} , "entries":[3] } "#;

    #[test]
    fn entries_and_creator_are_found_at_their_places() {
        let (seen, end) = parts(&[FILE.as_bytes()]);
        let entry = r#"{"a":[1,{"b":"]},\"{"}]}"#;
        assert_eq!(seen, [r#"creator {"a":"}"}"#, entry, "7", "{}", "\"s\"", "too long", "[ ]"]);
        assert_eq!(end, End::Whole);
    }

    #[test]
    fn broken_files_say_where_they_end() {
        for (file, end) in [
            (r#"{"log":{"entries":[{"a":"#, End::InEntry),
            (r#"{"log":{"entries":[{}"#, End::InEntry),
            (r#"{"log":{"entries":[{},"#, End::Early),
            (r#"{"log":{"entries":{}}}"#, End::NoEntries),
            ("", End::NoEntries),
            ("[[[[[[", End::NoEntries),
            ("]]]]}}}}", End::NoEntries),
        ] {
            assert_eq!(parts(&[file.as_bytes()]).1, end, "{file}");
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts: Vec<prop::sample::Index>) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(FILE.len())).collect();
            cuts.sort_unstable();
            cuts.push(FILE.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|cut| {
                let piece = &FILE.as_bytes()[from..*cut];
                from = *cut;
                piece
            }).collect();
            prop_assert_eq!(parts(&pieces), parts(&[FILE.as_bytes()]));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _end = parts(&[&bytes]);
        }
    }
}
