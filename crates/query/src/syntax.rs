//! A question as it was written: names not yet looked up, values not yet typed. Both the text form ([`crate::parse`]) and
//! the JSON form ([`crate::json`]) become this; [`crate::check`] turns it into a [`crate::Filter`].
//!
//! `Display` writes the text form. Reading back what was written gives the same expression.

use std::fmt::{self, Write as _};

use crate::mistake::Place;

/// Which exchanges, as written.
#[derive(Debug, Clone)]
pub enum Expression {
    /// All of these; every exchange when there are none.
    And(Vec<Expression>),
    /// At least one of these.
    Or(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// `field:value`.
    Test {
        /// The field's name as written, with `\.` and `\\` for a dot and a backslash inside a member name.
        field: String,
        /// Where the name stands.
        place: Place,
        /// What its value must be.
        matcher: Matcher,
    },
    /// A bare word or a quoted phrase.
    Words(Literal),
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// One of these. Never empty.
    Values(Vec<Literal>),
    /// Between these, each with whether it belongs to the range itself; `None` is an open end.
    Range(Option<(Literal, bool)>, Option<(Literal, bool)>),
}

/// A value as written.
#[derive(Debug, Clone)]
pub struct Literal {
    /// What was written.
    pub given: Given,
    /// Where.
    pub place: Place,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A word without quotes: text, or a number where the field may hold one.
    Word(String),
    /// Text in quotes: text and nothing else.
    Quoted(String),
    /// The parts between wildcards; at least two.
    Pattern(Vec<String>),
    /// A JSON number.
    Number(serde_json::Number),
    /// A JSON boolean.
    Bool(bool),
}

impl Given {
    /// As it is shown in a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Word(text) | Self::Quoted(text) => text.clone(),
            Self::Pattern(parts) => parts.join("*"),
            Self::Number(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " "),
            Self::Or(parts) => join(f, parts, " OR "),
            Self::Not(inner) => write!(f, "-{}", Operand(inner)),
            Self::Test { field, matcher, .. } => {
                write_name(f, field)?;
                write!(f, ":{matcher}")
            }
            Self::Words(literal) => write!(f, "{literal}"),
        }
    }
}

/// An expression inside another one.
struct Operand<'a>(&'a Expression);

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            inner @ (Expression::And(_) | Expression::Or(_)) => write!(f, "({inner})"),
            inner => write!(f, "{inner}"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expression], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write!(f, "{}", Operand(part))?;
    }
    Ok(())
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => match values.as_slice() {
                [one] => write!(f, "{one}"),
                many => {
                    f.write_char('(')?;
                    for (index, value) in many.iter().enumerate() {
                        write!(f, "{}{value}", if index > 0 { " " } else { "" })?;
                    }
                    f.write_char(')')
                }
            },
            Self::Range(Some((value, inclusive)), None) => write!(f, ">{}{value}", equals(*inclusive)),
            Self::Range(None, Some((value, inclusive))) => write!(f, "<{}{value}", equals(*inclusive)),
            Self::Range(from, to) => {
                f.write_char(if matches!(from, Some((_, false))) { '{' } else { '[' })?;
                write_end(f, from)?;
                f.write_str(" TO ")?;
                write_end(f, to)?;
                f.write_char(if matches!(to, Some((_, false))) { '}' } else { ']' })
            }
        }
    }
}

fn equals(inclusive: bool) -> &'static str {
    if inclusive { "=" } else { "" }
}

fn write_end(f: &mut fmt::Formatter<'_>, end: &Option<(Literal, bool)>) -> fmt::Result {
    match end {
        None => f.write_char('*'),
        // A brace would end the range.
        Some((literal, _)) => f.write_str(&literal.to_string().replace('}', "\\}")),
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.given {
            Given::Word(text) => write_word(f, text, true),
            Given::Quoted(text) => {
                f.write_char('"')?;
                for character in text.chars() {
                    if matches!(character, '"' | '\\') {
                        f.write_char('\\')?;
                    }
                    f.write_char(character)?;
                }
                f.write_char('"')
            }
            Given::Pattern(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if index > 0 {
                        f.write_char('*')?;
                    }
                    write_word(f, part, index == 0)?;
                }
                Ok(())
            }
            Given::Number(number) => write!(f, "{number}"),
            Given::Bool(flag) => write!(f, "{flag}"),
        }
    }
}

fn write_word(f: &mut fmt::Formatter<'_>, text: &str, first: bool) -> fmt::Result {
    let operator = matches!(text, "AND" | "OR" | "NOT" | "TO");
    for (index, character) in text.chars().enumerate() {
        let leading = first && index == 0 && (operator || matches!(character, '-' | '<' | '>' | '=' | '{'));
        let special = matches!(character, '\\' | '"' | '(' | ')' | '[' | ']' | ':' | '*');
        if leading || special || character.is_whitespace() {
            f.write_char('\\')?;
        }
        f.write_char(character)?;
    }
    Ok(())
}

/// Names hold `\.` and `\\` as pairs, which are written as they are.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let mut characters = name.chars().enumerate();
    while let Some((index, character)) = characters.next() {
        if character == '\\' {
            f.write_char('\\')?;
            if let Some((_, next)) = characters.next() {
                f.write_char(next)?;
            }
            continue;
        }
        let special = matches!(character, '"' | '(' | ')' | '[' | ']' | ':' | '*');
        if special || character.is_whitespace() || (index == 0 && matches!(character, '-' | '<' | '>' | '='))
        {
            f.write_char('\\')?;
        }
        f.write_char(character)?;
    }
    Ok(())
}
