//! The text form of a question.
//!
//! ```text
//! query   = [ either ]
//! either  = all { "OR" all }
//! all     = unary { [ "AND" ] unary }
//! unary   = ( "-" | "NOT" ) unary | "(" either ")" | name ":" matcher | value
//! matcher = ( ">" | ">=" | "<" | "<=" ) value | range | "(" value { [ "OR" ] value } ")" | value
//! range   = ( "[" | "{" ) value "TO" value ( "]" | "}" )
//! value   = word | '"' text '"'
//! ```
//!
//! A word ends at white space or a parenthesis; `*` in it stands for any run of characters; a backslash takes the next
//! character as it is. Operators are upper case.

use crate::mistake::{Mistake, Place, quoted};
use crate::syntax::{Expression, Given, Literal, Matcher};

/// Longest query text, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// How deep parentheses and negations may nest.
pub const MAX_DEPTH: usize = 32;
/// How many tests and words one question may have.
pub const MAX_TERMS: usize = 256;

/// Reads a query text; white space alone asks for every exchange.
pub fn parse(text: &str) -> Result<Expression, Vec<Mistake>> {
    if text.len() > MAX_BYTES {
        let detail = format!("the query has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(vec![Place::text(0, text.len()).mistake(detail)]);
    }
    let mut parser = Parser { text, at: 0, terms: 0, mistakes: Vec::new() };
    let expression = parser.whole();
    match expression {
        Ok(expression) if parser.mistakes.is_empty() => Ok(expression),
        Ok(_) => Err(parser.mistakes),
        Err(mistake) => {
            parser.mistakes.push(mistake);
            Err(parser.mistakes)
        }
    }
}

/// `mistakes` are those after which reading can go on; one that cannot be passed is returned.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
    mistakes: Vec<Mistake>,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Expression, Mistake> {
        self.skip_space();
        if self.rest().is_empty() {
            return Ok(Expression::And(Vec::new()));
        }
        let expression = self.either(0)?;
        if self.rest().starts_with(')') {
            return Err(self
                .here(1)
                .mistake("\")\" closes nothing; remove it, or put the text it belongs to in quotes"));
        }
        Ok(expression)
    }

    fn either(&mut self, depth: usize) -> Result<Expression, Mistake> {
        let mut branches = vec![self.all(depth)?];
        while self.take_operator("OR") {
            branches.push(self.all(depth)?);
        }
        Ok(one_or(branches, Expression::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, Mistake> {
        let mut parts = Vec::new();
        loop {
            self.skip_space();
            let wanted = !parts.is_empty() && self.take_operator("AND");
            self.skip_space();
            let ended = self.rest().is_empty() || self.rest().starts_with(')') || self.operator_is("OR");
            if ended && (wanted || parts.is_empty()) {
                return Err(self.nothing_here());
            }
            if ended {
                return Ok(one_or(parts, Expression::And));
            }
            parts.push(self.unary(depth)?);
        }
    }

    fn nothing_here(&self) -> Mistake {
        match self.rest().chars().next() {
            None => self.here(0).mistake("the query ends where a condition should follow"),
            Some(')') => self.here(1).mistake("there is no condition before \")\""),
            Some(_) => {
                let place = self.here(2);
                place.mistake(
                    "\"OR\" needs a condition on both sides; to search for the word, quote it: \"OR\"",
                )
            }
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expression, Mistake> {
        if depth > MAX_DEPTH {
            let detail = format!("conditions are nested more than {MAX_DEPTH} deep; write them flatter");
            return Err(self.here(1).mistake(detail));
        }
        let start = self.at;
        let dash = self.take("-");
        if dash && self.rest().chars().next().is_none_or(|next| next.is_whitespace() || next == ')') {
            return Err(Place::text(start, self.at).mistake(
                "\"-\" excludes the condition right after it; to search for a dash, put the phrase in quotes",
            ));
        }
        if dash || self.take_operator("NOT") {
            self.skip_space();
            if self.rest().is_empty() || self.rest().starts_with(')') {
                return Err(self.nothing_here());
            }
            return Ok(Expression::Not(Box::new(self.unary(depth + 1)?)));
        }
        if self.take("(") {
            return self.group(start, depth);
        }
        if let Some(word) = ["AND", "OR"].into_iter().find(|word| self.operator_is(word)) {
            let detail =
                format!("{word:?} needs a condition on both sides; to search for the word, quote it");
            return Err(self.here(word.len()).mistake(detail));
        }
        self.term()
    }

    fn group(&mut self, start: usize, depth: usize) -> Result<Expression, Mistake> {
        let inner = self.either(depth + 1)?;
        self.skip_space();
        if !self.take(")") {
            return Err(Place::text(start, start + 1).mistake("\"(\" is never closed; add \")\""));
        }
        self.ends_here()?;
        Ok(inner)
    }

    /// `name:matcher`, a word or a phrase.
    fn term(&mut self) -> Result<Expression, Mistake> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            let detail = format!("the query has more than {MAX_TERMS} conditions");
            return Err(self.here(1).mistake(detail));
        }
        let start = self.at;
        let Some(field) = self.take_name() else {
            return Ok(Expression::Words(self.value()?));
        };
        let place = Place::text(start, self.at - 1);
        let next = self.rest().chars().next();
        if next.is_none_or(|next| next.is_whitespace() || next == ')') {
            let detail = format!(
                "{}: has no value; write it right after the colon, or {field}:* for any value",
                quoted(&field)
            );
            self.mistakes.push(Place::text(start, self.at).mistake(detail));
            return Ok(Expression::And(Vec::new()));
        }
        Ok(Expression::Test { field, place, matcher: self.matcher()? })
    }

    /// Takes a name and its colon; takes nothing when what comes is not a name.
    fn take_name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                ':' if name.is_empty() => return None,
                ':' => {
                    self.at += index + 1;
                    return Some(name);
                }
                '\\' => match characters.next() {
                    Some((_, next @ ('.' | '\\'))) => name.extend(['\\', next]),
                    Some((_, next)) => name.push(next),
                    None => return None,
                },
                '(' | ')' | '"' => return None,
                _ if character.is_whitespace() => return None,
                _ => name.push(character),
            }
        }
        None
    }

    fn matcher(&mut self) -> Result<Matcher, Mistake> {
        if self.take(">") {
            let inclusive = self.take("=");
            return Ok(Matcher::Range(Some((self.value()?, inclusive)), None));
        }
        if self.take("<") {
            let inclusive = self.take("=");
            return Ok(Matcher::Range(None, Some((self.value()?, inclusive))));
        }
        if self.rest().starts_with('[') || self.starts_exclusive_range() {
            return self.range();
        }
        if self.take("(") {
            return self.values();
        }
        Ok(Matcher::Values(vec![self.value()?]))
    }

    /// Whether a `{` opens a range and not a text such as `{id}`.
    fn starts_exclusive_range(&self) -> bool {
        let inside = self.rest().strip_prefix('{').and_then(|rest| rest.split([']', '}']).next());
        inside.is_some_and(|inside| inside.contains(" TO "))
    }

    /// `[a TO b]`, with a brace for an end that does not belong to the range.
    fn range(&mut self) -> Result<Matcher, Mistake> {
        let start = self.at;
        let from_inclusive = self.take("[") || !self.take("{");
        let from = self.range_end()?;
        self.skip_space();
        if !self.take_operator("TO") {
            let place = Place::text(start, self.at);
            return Err(place.mistake("a range is written [from TO to], with * for an open end"));
        }
        let to = self.range_end()?;
        self.skip_space();
        let to_inclusive = self.take("]");
        if !to_inclusive && !self.take("}") {
            return Err(Place::text(start, self.at).mistake("\"[\" is never closed; write [from TO to]"));
        }
        self.ends_here()?;
        Ok(Matcher::Range(from.map(|from| (from, from_inclusive)), to.map(|to| (to, to_inclusive))))
    }

    fn range_end(&mut self) -> Result<Option<Literal>, Mistake> {
        self.skip_space();
        if self.rest().starts_with([']', '}']) || self.operator_is("TO") {
            return Err(self.here(1).mistake("this end of the range is missing; write * to leave it open"));
        }
        let end = self.literal(true)?;
        let open = Given::Pattern(vec![String::new(), String::new()]);
        Ok(Some(end).filter(|end| end.given != open))
    }

    /// `a b c)`
    fn values(&mut self) -> Result<Matcher, Mistake> {
        let start = self.at - 1;
        let mut values = Vec::new();
        loop {
            self.skip_space();
            if !values.is_empty() && self.take_operator("OR") {
                self.skip_space();
            }
            if self.take(")") {
                break;
            }
            if self.rest().is_empty() {
                return Err(Place::text(start, start + 1).mistake("\"(\" is never closed; add \")\""));
            }
            self.terms += 1;
            if self.terms > MAX_TERMS {
                return Err(self.here(1).mistake(format!("the query has more than {MAX_TERMS} values")));
            }
            values.push(self.value_in_list()?);
        }
        self.ends_here()?;
        if values.is_empty() {
            return Err(Place::text(start, self.at).mistake("the list of values is empty; write field:(a b)"));
        }
        Ok(Matcher::Values(values))
    }

    fn value_in_list(&mut self) -> Result<Literal, Mistake> {
        let is_nested = self.rest().starts_with('(') || self.operator_is("AND") || self.operator_is("NOT");
        if is_nested {
            return Err(self.here(1).mistake(
                "a list of values takes values only, any of which may match; put conditions outside: a:b AND a:c",
            ));
        }
        self.value()
    }

    fn value(&mut self) -> Result<Literal, Mistake> {
        let literal = self.literal(false)?;
        self.ends_here()?;
        Ok(literal)
    }

    fn literal(&mut self, in_range: bool) -> Result<Literal, Mistake> {
        let start = self.at;
        let given = if self.take("\"") { self.quoted(start)? } else { self.word(in_range)? };
        Ok(Literal { given, place: Place::text(start, self.at) })
    }

    fn quoted(&mut self, start: usize) -> Result<Given, Mistake> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += index + 1;
                    return Ok(Given::Quoted(text));
                }
                '\\' => text.extend(characters.next().map(|(_, next)| next)),
                _ => text.push(character),
            }
        }
        Err(Place::text(start, start + 1).mistake("the quote is never closed; add \""))
    }

    fn word(&mut self, in_range: bool) -> Result<Given, Mistake> {
        let start = self.at;
        let mut parts = vec![String::new()];
        let mut characters = self.rest().char_indices();
        let mut end = self.rest().len();
        while let Some((index, character)) = characters.next() {
            let ends = matches!(character, '(' | ')' | '"') || (in_range && matches!(character, ']' | '}'));
            if ends || character.is_whitespace() {
                end = index;
                break;
            }
            match (character, parts.last_mut()) {
                ('*', _) => parts.push(String::new()),
                ('\\', Some(part)) => match characters.next() {
                    Some((_, next)) => part.push(next),
                    None => {
                        let place = Place::text(start + index, self.text.len());
                        return Err(
                            place.mistake("\"\\\" takes the next character as it is; write \\\\ for one")
                        );
                    }
                },
                (_, Some(part)) => part.push(character),
                (_, None) => {}
            }
        }
        self.at += end;
        if self.at == start {
            return Err(self.here(1).mistake("a value is missing here"));
        }
        Ok(if parts.len() == 1 { Given::Word(parts.concat()) } else { Given::Pattern(parts) })
    }

    /// A value or a group is followed by white space, `)` or the end.
    fn ends_here(&self) -> Result<(), Mistake> {
        match self.rest().chars().next() {
            Some(next @ ('(' | '"')) => {
                let detail =
                    format!("{next:?} inside a word; put the whole value in quotes, or a space before it");
                Err(self.here(1).mistake(detail))
            }
            Some(next) if next != ')' && !next.is_whitespace() => {
                Err(self.here(next.len_utf8()).mistake("a space is missing before this"))
            }
            _ => Ok(()),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The next `length` bytes, or less where the text ends or a character would be cut.
    fn here(&self, length: usize) -> Place {
        let first = self.rest().chars().next().map_or(0, char::len_utf8);
        let length = if length <= 1 { length * first } else { length.min(self.rest().len()) };
        Place::Text { offset: self.at, length }
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest().starts_with(token);
        if taken {
            self.at += token.len();
        }
        taken
    }

    /// Whether this operator word comes next, as a whole word.
    fn operator_is(&self, word: &str) -> bool {
        self.rest().strip_prefix(word).is_some_and(|after| {
            after.chars().next().is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')'))
        })
    }

    fn take_operator(&mut self, word: &str) -> bool {
        self.skip_space();
        self.operator_is(word) && self.take(word)
    }
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(expression) => expression.to_string(),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn texts_are_read_and_written() {
        for (text, expected) in [
            ("", ""),
            ("  \t ", ""),
            ("status:500", "status:500"),
            ("status:>=500 -path:/health", "status:>=500 -path:/health"),
            ("NOT path:/health", "-path:/health"),
            ("a AND b OR c d", "(a b) OR (c d)"),
            ("a (b OR c)", "a (b OR c)"),
            ("-(a OR b)", "-(a OR b)"),
            ("--a", "--a"),
            ("path:/a*b*", "path:/a*b*"),
            (r"path:\*", r"path:\*"),
            ("path:*", "path:*"),
            ("status:[400 TO 499]", "status:[400 TO 499]"),
            ("status:[* TO 499]", "status:<=499"),
            ("status:[400 TO 500}", "status:[400 TO 500}"),
            ("status:{400 TO *]", "status:>400"),
            ("endpoint:{id}", r"endpoint:\{id}"),
            ("status:(500 502 OR 503)", "status:(500 502 503)"),
            ("\"card declined\"", "\"card declined\""),
            (r#"user:"a \"b\" \\""#, r#"user:"a \"b\" \\""#),
            ("url.path:../../etc/passwd", "url.path:../../etc/passwd"),
            (r"request.body.a\.b:1", r"request.body.a\.b:1"),
            ("time:2026-11-03T12:04", r"time:2026-11-03T12\:04"),
            ("ORDER and or not", "ORDER and or not"),
            (r"\OR \-1", r"\OR \-1"),
            ("status:-5", r"status:\-5"),
            ("endpoint:/users/{id}", "endpoint:/users/{id}"),
            ("a-b", "a-b"),
            ("größe:é*", "größe:é*"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_token_and_the_remedy() {
        for (text, expected) in [
            ("(a b", "at 0: \"(\" is never closed; add \")\""),
            ("a b)", "at 3: \")\" closes nothing; remove it, or put the text it belongs to in quotes"),
            ("a OR", "at 4: the query ends where a condition should follow"),
            (
                "OR a",
                "at 0: \"OR\" needs a condition on both sides; to search for the word, quote it: \"OR\"",
            ),
            ("()", "at 1: there is no condition before \")\""),
            ("\"abc", "at 0: the quote is never closed; add \""),
            (
                "- a",
                "at 0: \"-\" excludes the condition right after it; to search for a dash, put the phrase in quotes",
            ),
            ("path:/a(b)", "at 7: '(' inside a word; put the whole value in quotes, or a space before it"),
            ("status:[1 2]", "at 7: a range is written [from TO to], with * for an open end"),
            ("status:()", "at 7: the list of values is empty; write field:(a b)"),
            ("a\\", "at 1: \"\\\" takes the next character as it is; write \\\\ for one"),
            (
                "status: 500 user: (a",
                "at 0: \"status\": has no value; write it right after the colon, or status:* for any value\n\
                 at 12: \"user\": has no value; write it right after the colon, or user:* for any value\n\
                 at 18: \"(\" is never closed; add \")\"",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn limits_hold() {
        assert!(parse(&"(".repeat(5_000)).is_err());
        assert!(parse(&"-".repeat(5_000)).is_err());
        assert!(parse(&"NOT ".repeat(4_000)).is_err());
        assert!(parse(&"a ".repeat(MAX_TERMS)).is_ok());
        assert!(parse(&"a ".repeat(MAX_TERMS + 1)).is_err());
        assert!(parse(&format!("a:({})", "b ".repeat(MAX_TERMS + 1))).is_err());
        assert!(parse(&"a".repeat(MAX_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics_and_mistakes_lie_inside(text in any::<String>()) {
            inside(&text)?;
        }

        #[test]
        fn tokens_in_any_order_never_panic_and_are_stable(
            tokens in prop::collection::vec(
                prop_oneof![
                    Just("("), Just(")"), Just(" "), Just("-"), Just(":"), Just("\""), Just("\\"), Just("*"),
                    Just("["), Just("]"), Just(" TO "), Just(" OR "), Just(" AND "), Just("NOT "), Just(">="),
                    Just("<"), Just("status"), Just("é"), Just("500"), Just(".."), Just("\u{3000}"), Just("a.b"),
                ],
                0..24,
            ),
        ) {
            inside(&tokens.concat())?;
        }

        #[test]
        fn what_is_written_reads_back(expression in expression()) {
            let text = expression.to_string();
            let back = parse(&text).map_err(|mistakes| TestCaseError::fail(format!("{text}: {mistakes:?}")))?;
            prop_assert_eq!(back.to_string(), text);
        }
    }

    fn inside(text: &str) -> Result<(), TestCaseError> {
        match parse(text) {
            Ok(expression) => {
                let written = expression.to_string();
                let back = parse(&written).map_err(|mistakes| {
                    TestCaseError::fail(format!("{text:?} became {written:?}: {mistakes:?}"))
                })?;
                prop_assert_eq!(back.to_string(), written);
            }
            Err(mistakes) => {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    let Place::Text { offset, length } = mistake.place else {
                        return Err(TestCaseError::fail("not a place in the text"));
                    };
                    prop_assert!(text.get(offset..offset + length).is_some(), "{:?} in {:?}", mistake, text);
                }
            }
        }
        Ok(())
    }

    fn literal() -> impl Strategy<Value = Literal> {
        let place = Place::text(0, 0);
        prop_oneof![
            "[a-z\\-\\*:()\" é]{1,6}".prop_map(Given::Word),
            "[a-z\\\\\"* ]{0,6}".prop_map(Given::Quoted),
            ("[a-z:]{1,3}", prop::collection::vec("[a-z\\-:]{0,3}", 1..3))
                .prop_map(|(first, rest)| Given::Pattern(std::iter::once(first).chain(rest).collect())),
            Just(Given::Word("OR".into())),
        ]
        .prop_map(move |given| Literal { given, place: place.clone() })
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let matcher = prop_oneof![
            prop::collection::vec(literal(), 1..3).prop_map(Matcher::Values),
            (prop::option::of((literal(), any::<bool>())), prop::option::of((literal(), any::<bool>())))
                .prop_map(|(from, to)| Matcher::Range(from, to)),
        ];
        let leaf = prop_oneof![
            literal().prop_map(Expression::Words),
            ("[a-z][a-z. (:-]{0,5}", matcher).prop_map(|(field, matcher)| Expression::Test {
                field,
                place: Place::text(0, 0),
                matcher
            }),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
                inner.prop_map(|inner| Expression::Not(Box::new(inner))),
            ]
        })
    }
}
