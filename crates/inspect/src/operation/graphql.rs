//! GraphQL over HTTP: a POST of JSON (also in batches) or of a document, or a GET with the document in the query.

use std::borrow::Cow;
use std::ops::Range;

use percent_encoding::percent_decode_str;
use weir_model::{Request, Response};

use super::{Named, answer_documents, batch, decoded, joined};
use crate::json;

/// Most root fields that stand for an operation without a name.
const MAX_ROOT_FIELDS: usize = 3;

/// A recognised call: one or several operations.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    operations: Vec<(Option<String>, &'static str)>,
}

impl Call {
    pub(super) fn named(self, response: Option<&Response>) -> Named {
        Named {
            kind: self.operations.first().map(|(_, kind)| *kind),
            name: joined(self.operations.into_iter().filter_map(|(name, _)| name)),
            error: response.and_then(error),
        }
    }
}

/// `?query={…}&operationName=…`, or a persisted query.
pub(super) fn in_query(request: &Request) -> Option<Call> {
    let query = request.query.as_deref()?;
    let parameter = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    };
    let persisted = parameter("extensions").is_some_and(|text| text.contains("persistedQuery"));
    one(parameter("query").as_deref(), parameter("operationName"), persisted)
}

/// A JSON body.
pub(super) fn in_json(body: &[u8]) -> Option<Call> {
    let mut operations = Vec::new();
    for document in batch(body) {
        let (mut query, mut name, mut persisted) = (None, None, false);
        json::members(document, |member, value| match member {
            "query" => query = json::text(value).map(Cow::into_owned),
            "operationName" => name = json::text(value).map(Cow::into_owned),
            "extensions" => persisted = memchr::memmem::find(value, b"\"persistedQuery\"").is_some(),
            _ => {}
        });
        operations.extend(one(query.as_deref(), name, persisted)?.operations);
    }
    (!operations.is_empty()).then_some(Call { operations })
}

/// A body of type `application/graphql`.
pub(super) fn in_document(body: &[u8]) -> Option<Call> {
    one(Some(&String::from_utf8_lossy(body)), None, false)
}

fn one(text: Option<&str>, name: Option<String>, persisted: bool) -> Option<Call> {
    let name = name.filter(|name| !name.is_empty());
    let Some(text) = text else { return persisted.then(|| Call { operations: vec![(name, "query")] }) };
    let document = Document::parse(text)?;
    let operation = document.operation(name.as_deref())?;
    let own = operation.name.map(str::to_owned);
    let fields = || joined(operation.root_fields.iter().map(|field| (*field).to_owned()));
    Some(Call { operations: vec![(name.or(own).or_else(fields), operation.kind)] })
}

/// The error of an answer: the code of the first one, `error` when it has none. Messages may hold values and are not kept.
fn error(response: &Response) -> Option<String> {
    let body = decoded(&response.body)?;
    answer_documents(response, &body).iter().flat_map(|document| batch(document)).find_map(error_of)
}

fn error_of(document: &[u8]) -> Option<String> {
    let mut code = None;
    json::members(document, |member, errors| {
        if member == "errors" {
            json::elements(errors, 1, |error| {
                code = Some("error".to_owned());
                json::members(error, |member, extensions| {
                    if member == "extensions" {
                        json::members(extensions, |member, value| {
                            if member == "code" {
                                code = json::text(value).map(Cow::into_owned).or(code.take());
                            }
                        });
                    }
                });
            });
        }
    });
    code
}

/// The operations of an executable document.
#[derive(Debug)]
struct Document<'a> {
    operations: Vec<Operation<'a>>,
}

#[derive(Debug)]
struct Operation<'a> {
    kind: &'static str,
    name: Option<&'a str>,
    root_fields: Vec<&'a str>,
}

impl<'a> Document<'a> {
    /// Reads as far as needed to know the operations; `None` when the text begins like no executable document. It is no
    /// validation, and a document that was cut still counts.
    fn parse(text: &'a str) -> Option<Self> {
        let mut lexer = Lexer::new(text);
        let mut operations = Vec::new();
        while let Some(lexeme) = lexer.next() {
            let kind = match lexeme {
                Lexeme::Punctuator('{') => {
                    let root_fields = selection(&mut lexer);
                    operations.push(Operation { kind: "query", name: None, root_fields });
                    continue;
                }
                Lexeme::Name(span) => match &text[span] {
                    "query" => "query",
                    "mutation" => "mutation",
                    "subscription" => "subscription",
                    "fragment" => "fragment",
                    _ => break,
                },
                _ => break,
            };
            let Some(name) = head(&mut lexer, kind == "fragment") else { break };
            let root_fields = selection(&mut lexer);
            if kind != "fragment" {
                operations.push(Operation { kind, name: name.map(|span| &text[span]), root_fields });
            }
        }
        (!operations.is_empty()).then_some(Self { operations })
    }

    /// The operation of this name, else the first.
    fn operation(&self, name: Option<&str>) -> Option<&Operation<'a>> {
        let named = self.operations.iter().find(|operation| name.is_some() && operation.name == name);
        named.or_else(|| self.operations.first())
    }
}

/// Passes over name, variables and directives up to and with the `{`; gives the name if there was one. `None` when what
/// follows is not the head of an operation: words in a row are prose.
fn head(lexer: &mut Lexer<'_>, fragment: bool) -> Option<Option<Range<usize>>> {
    let mut name = None;
    let mut parentheses = 0_usize;
    let mut directive = false;
    for lexeme in lexer.by_ref() {
        match lexeme {
            Lexeme::Punctuator('{') if parentheses == 0 => return Some(name),
            Lexeme::Punctuator('(') => parentheses += 1,
            Lexeme::Punctuator(')') => parentheses = parentheses.checked_sub(1)?,
            Lexeme::Punctuator('@') if parentheses == 0 => directive = true,
            Lexeme::Name(_) if parentheses > 0 => {}
            Lexeme::Name(_) if directive => directive = false,
            Lexeme::Name(span) if name.is_none() => name = Some(span),
            Lexeme::Name(_) if fragment => {}
            _ if parentheses > 0 => {}
            _ => return None,
        }
    }
    None
}

/// Reads a selection set whose `{` was read, to its end; gives the first fields at its top, aliases resolved.
fn selection<'a>(lexer: &mut Lexer<'a>) -> Vec<&'a str> {
    let mut fields = Vec::new();
    let mut candidate = None;
    let (mut braces, mut parentheses) = (1_usize, 0_usize);
    // Names after `...`, `on` and `@` are of fragments, types and directives.
    let mut foreign = false;
    while braces > 0 {
        let Some(lexeme) = lexer.next() else { break };
        let alias = matches!(lexeme, Lexeme::Punctuator(':'));
        if let Some(field) = candidate.take().filter(|_| !alias && fields.len() < MAX_ROOT_FIELDS) {
            fields.push(field);
        }
        match lexeme {
            Lexeme::Punctuator('{') => {
                braces += 1;
                foreign = false;
            }
            Lexeme::Punctuator('}') => braces -= 1,
            Lexeme::Punctuator('(') => parentheses += 1,
            Lexeme::Punctuator(')') => parentheses = parentheses.saturating_sub(1),
            Lexeme::Punctuator('.' | '@') => foreign = true,
            Lexeme::Name(span) if braces == 1 && parentheses == 0 => {
                let name = &lexer.text[span];
                match foreign {
                    true => foreign = name == "on",
                    false => candidate = Some(name),
                }
            }
            _ => {}
        }
    }
    fields
}

/// A piece of GraphQL text, by its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lexeme {
    /// A name or keyword.
    Name(Range<usize>),
    /// A punctuator; `.` three times for a spread.
    Punctuator(char),
    /// A string or block string, quotes included as far as they are there.
    Text(Range<usize>),
    /// A number, or anything that GraphQL does not know.
    Other(Range<usize>),
}

/// Hands out lexemes; comments, commas and white space are left out. Total: any text ends.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Moves over `length` bytes and whatever follows that satisfies `more`.
    fn run(&mut self, length: usize, more: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start + length..).unwrap_or_default();
        let further = rest.iter().position(|byte| !more(*byte)).unwrap_or(rest.len());
        self.at = (start + length + further).min(self.text.len());
        start..self.at
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let block = bytes[start..].starts_with(b"\"\"\"");
        let quotes: &[u8] = if block { b"\"\"\"" } else { b"\"" };
        let mut at = start + quotes.len();
        while at < bytes.len() && !bytes[at..].starts_with(quotes) {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        self.at = (at + quotes.len()).min(bytes.len());
        // An escape before a character of several bytes, or a cut, may leave the offset inside one.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        start..self.at
    }
}

impl Iterator for Lexer<'_> {
    type Item = Lexeme;

    fn next(&mut self) -> Option<Lexeme> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            return Some(match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                    self.at += 1;
                    continue;
                }
                b'#' => {
                    self.run(1, |byte| byte != b'\n');
                    continue;
                }
                b'"' => Lexeme::Text(self.string()),
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                    Lexeme::Name(self.run(1, |byte| byte == b'_' || byte.is_ascii_alphanumeric()))
                }
                b'!' | b'$' | b'&' | b'(' | b')' | b'.' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|'
                | b'}' => {
                    self.at += 1;
                    Lexeme::Punctuator(char::from(byte))
                }
                b'\xef' if self.text[self.at..].starts_with('\u{feff}') => {
                    self.at += 3;
                    continue;
                }
                _ => {
                    let width = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
                    Lexeme::Other(self.run(width, |byte| byte.is_ascii_alphanumeric() || byte == b'.'))
                }
            });
        }
    }
}
