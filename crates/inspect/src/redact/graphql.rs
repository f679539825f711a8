//! GraphQL documents: literal arguments and object fields by name (`login(password: "…")`). Variables are JSON.

use super::{MASK, Redactor};
use crate::operation::{Lexeme, Lexer};
use crate::splice::Splicer;

impl Redactor {
    /// The document with its secrets masked; `None` when there are none.
    pub(super) fn mask_graphql(&self, text: &str) -> Option<String> {
        let mut splicer = Splicer::new(text.as_bytes());
        let mut name = None;
        let mut masked = false;
        for lexeme in Lexer::new(text) {
            match lexeme {
                Lexeme::Name(span) => {
                    masked = false;
                    name = Some(span);
                }
                Lexeme::Punctuator(':') => {
                    masked = name.take().is_some_and(|name| self.fields.matches(text[name].as_bytes()));
                }
                // A default value or a list still belongs to the name before it.
                Lexeme::Punctuator('[' | ']' | '=') => {}
                Lexeme::Punctuator(_) => {
                    masked = false;
                    name = None;
                }
                Lexeme::Text(span) | Lexeme::Other(span) => {
                    if masked {
                        splicer.replace(span, format!("\"{MASK}\"").as_bytes());
                    }
                }
            }
        }
        splicer.finish().map(super::value::lossy)
    }
}
