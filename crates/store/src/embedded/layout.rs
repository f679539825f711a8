//! What of an exchange is in the index, and how it is written there.
//!
//! | part | kept as | answers |
//! |---|---|---|
//! | rows of the field table | columns; keywords indexed too | tests, groups, measures |
//! | words of all searchable text | terms without positions | words exactly, phrases as candidates |
//! | facts: JSON members, attributes and header names | terms | tests of body members and attributes, existence of headers |
//! | the exchange itself | stored, compressed | everything else |
//!
//! Long words and long values are kept as 16 bits of hash: few terms instead of one for every random id. What
//! they find is verified on the stored exchange.

use std::ops::ControlFlow;

use tantivy::TantivyDocument;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};
use weir_model::field::FIELDS;
use weir_model::{Attributes, Exchange, FieldRow, FieldType, FieldValue, Headers};
use weir_query::body::{MemberPath, each_member};
use weir_query::evaluate::{Subject, cut, each_attribute_value, failed};
use weir_query::text::each_word;

use super::source;

/// Longer words and member values are kept as a hash, in bytes.
pub(super) const MAX_TERM_BYTES: usize = 24;

/// Longer values of attributes are kept as a hash, in bytes: ids of clients and hashes of keys are grouped by.
pub(super) const MAX_ATTRIBUTE_BYTES: usize = 64;

/// Members whose names have more bytes together are not indexed.
const MAX_PATH_BYTES: usize = 200;

/// More members of one body are not indexed; such an exchange is a candidate for every test of a member.
const MAX_FACTS: usize = 1_000;

/// Keyword rows whose values are too various for terms: columns only.
const WITHOUT_TERMS: &[&str] = &["url.path", "user_agent.original"];

/// Rows that are nearly as various as the exchanges and rarely grouped by: answered from words and source.
const WITHOUT_COLUMN: &[&str] = &["url.query"];

const WORDS: &str = "words";
const FACTS: &str = "facts";
const PROJECT: &str = "project";
const ID: &str = "id";
pub(super) const ID_HIGH: &str = "id_high";
pub(super) const ID_LOW: &str = "id_low";
pub(super) const FAILED: &str = "failed";
pub(super) const WEIGHT: &str = "weight";
const SOURCE: &str = "source";

/// Separates facts of one exchange.
const FACT_END: char = '\0';
/// Stands after each name that leads to a member.
const NAME_END: char = '\u{1}';
/// Begins words kept as a hash; no word of a text begins so.
const HASHED: char = '\u{2}';

/// The fields of an index.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) words: Field,
    pub(super) facts: Field,
    pub(super) project: Field,
    pub(super) id: Field,
    id_high: Field,
    id_low: Field,
    failed: Field,
    weight: Field,
    pub(super) source: Field,
    rows: Vec<RowColumn>,
}

#[derive(Debug, Clone)]
struct RowColumn {
    row: &'static FieldRow,
    field: Field,
}

/// The name of the column of a row.
pub(super) fn column_name(row: &FieldRow) -> String {
    row.name.replace('.', "_")
}

/// Whether the values of a keyword row are terms too.
pub(super) fn has_terms(row: &FieldRow) -> bool {
    row.field_type == FieldType::Keyword && !WITHOUT_TERMS.contains(&row.name)
}

/// Whether a row has no column because its values are among the words.
pub(super) fn is_searchable_text(row: &FieldRow) -> bool {
    WITHOUT_COLUMN.contains(&row.name)
}

/// The schema of a new partition.
pub(super) fn schema() -> Schema {
    let mut schema = Schema::builder();
    let terms = |tokenizer: &str| {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(tokenizer)
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        TextOptions::default().set_indexing_options(indexing)
    };
    schema.add_text_field(WORDS, terms(WORDS));
    schema.add_text_field(FACTS, terms(FACTS));
    schema.add_text_field(PROJECT, terms("raw"));
    schema.add_u64_field(ID, NumericOptions::default().set_indexed());
    for column in [ID_HIGH, ID_LOW, WEIGHT] {
        schema.add_u64_field(column, NumericOptions::default().set_fast());
    }
    schema.add_bool_field(FAILED, NumericOptions::default().set_fast());
    schema.add_bytes_field(SOURCE, BytesOptions::default().set_stored());
    for row in FIELDS.iter().filter(|row| !WITHOUT_COLUMN.contains(&row.name)) {
        let name = column_name(row);
        match row.field_type {
            FieldType::Keyword if has_terms(row) => {
                schema.add_text_field(&name, terms("raw").set_fast("raw"))
            }
            FieldType::Keyword => schema.add_text_field(&name, TextOptions::default().set_fast("raw")),
            _ => schema.add_i64_field(&name, NumericOptions::default().set_fast()),
        };
    }
    schema.build()
}

/// The tokenizers that the schema names.
pub(super) fn tokenizers() -> TokenizerManager {
    // tantivy asks for its own default tokenizer even for fields of numbers.
    let manager = TokenizerManager::default();
    manager.register(WORDS, TextAnalyzer::from(Listed));
    manager.register(FACTS, TextAnalyzer::from(Listed));
    manager
}

impl Layout {
    /// The fields of an index that [`schema`] of this or an earlier release made. `None` when one is missing that every
    /// release has.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let field = |name: &str| schema.get_field(name).ok();
        let rows = FIELDS.iter().filter_map(|row| Some(RowColumn { row, field: field(&column_name(row))? }));
        Some(Self {
            words: field(WORDS)?,
            facts: field(FACTS)?,
            project: field(PROJECT)?,
            id: field(ID)?,
            id_high: field(ID_HIGH)?,
            id_low: field(ID_LOW)?,
            failed: field(FAILED)?,
            weight: field(WEIGHT)?,
            source: field(SOURCE)?,
            rows: rows.collect(),
        })
    }

    /// The field of a row that has a column.
    pub(super) fn row(&self, row: &FieldRow) -> Option<Field> {
        self.rows.iter().find(|column| column.row == row).map(|column| column.field)
    }

    /// An exchange as the index takes it.
    pub(super) fn document(&self, exchange: &Exchange) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        let subject = Subject::new(exchange);
        let (high, low) = id_halves(exchange.id);
        document.add_u64(self.id, low);
        document.add_u64(self.id_high, high);
        document.add_u64(self.id_low, low);
        document.add_text(self.project, exchange.project.as_str());
        document.add_bool(self.failed, failed(exchange));
        document.add_u64(self.weight, exchange.weight.into());
        for RowColumn { row, field } in &self.rows {
            (row.get)(exchange, &mut |value| match value {
                FieldValue::Text(text) => document.add_text(*field, cut(&text)),
                FieldValue::Integer(number) => document.add_i64(*field, number),
                FieldValue::Time(instant) => document.add_i64(*field, instant.micros()),
                FieldValue::Bool(flag) => document.add_i64(*field, flag.into()),
                FieldValue::Float(_) => {}
            });
        }
        document.add_text(self.words, words(&subject));
        document.add_text(self.facts, facts(&subject));
        document.add_bytes(self.source, &source::encode(exchange));
        document
    }
}

/// The halves of an id; their order is that of ids.
pub(super) fn id_halves(id: weir_model::ExchangeId) -> (u64, u64) {
    let number = u128::from_be_bytes(id.to_bytes());
    ((number >> 64) as u64, number as u64)
}

/// All words, one after the other, as terms.
fn words(subject: &Subject<'_>) -> String {
    let mut out = String::new();
    let _whole = subject.each_text(|text| {
        each_word(text, |word| {
            push_word_term(word, &mut out);
            out.push(FACT_END);
            ControlFlow::Continue(())
        })
    });
    out
}

fn push_word_term(word: &str, out: &mut String) {
    if word.len() <= MAX_TERM_BYTES {
        out.push_str(word);
    } else {
        out.push(HASHED);
        push_hash(word, out);
    }
}

/// The term of a word, and whether only this word has it.
pub(super) fn word_term(word: &str) -> (String, bool) {
    let mut term = String::new();
    push_word_term(word, &mut term);
    (term, word.len() <= MAX_TERM_BYTES)
}

/// Which message a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

impl Side {
    fn member(self) -> char {
        match self {
            Self::Request => 'q',
            Self::Response => 's',
        }
    }

    fn header(self) -> char {
        match self {
            Self::Request => 'Q',
            Self::Response => 'S',
        }
    }
}

fn facts(subject: &Subject<'_>) -> String {
    let mut out = String::new();
    push_header_facts(&subject.exchange().request.headers, Side::Request, &mut out);
    if let Some(response) = &subject.exchange().response {
        push_header_facts(&response.headers, Side::Response, &mut out);
    }
    push_attribute_facts(&subject.exchange().attributes, &mut out);
    let bodies = [(Side::Request, subject.request_body()), (Side::Response, subject.response_body())];
    for (side, body) in bodies.into_iter().filter_map(|(side, body)| Some((side, body?))) {
        let mut count = 0;
        each_member(body, |path, value| {
            count += 1;
            if count > MAX_FACTS {
                out.push_str(&overflow_fact(side));
                out.push(FACT_END);
                return ControlFlow::Break(());
            }
            if path.byte_length() <= MAX_PATH_BYTES && path.names().all(is_plain) {
                push_path(side, path, &mut out);
                push_fact_value(&value, MAX_TERM_BYTES, &mut out);
                out.push(FACT_END);
            }
            ControlFlow::Continue(())
        });
    }
    out
}

/// What facts of attributes begin with.
const ATTRIBUTE: &str = "A";

/// Says that the attributes of an exchange are among its facts, with items of lists and values of up to
/// [`MAX_ATTRIBUTE_BYTES`]. Earlier releases did not write them, or fewer, and said `A` or `A2`.
pub(super) const ATTRIBUTES_LISTED: &str = "A3";

/// No attributes are listed unless all are that can be asked for.
fn push_attribute_facts(attributes: &Attributes, out: &mut String) {
    let before = out.len();
    let mut count = 0;
    for (name, value) in attributes.iter() {
        let Some(path) = attribute_path(name) else { continue };
        let end = each_attribute_value(value, &mut |value| {
            count += 1;
            if count > MAX_FACTS {
                return ControlFlow::Break(());
            }
            out.push_str(&path);
            push_fact_value(&value, MAX_ATTRIBUTE_BYTES, out);
            out.push(FACT_END);
            ControlFlow::Continue(())
        });
        if end.is_break() {
            out.truncate(before);
            return;
        }
    }
    out.push_str(ATTRIBUTES_LISTED);
    out.push(FACT_END);
}

/// What the fact of an attribute begins with; `None` when attributes of such a name are not indexed.
pub(super) fn attribute_path(name: &str) -> Option<String> {
    (name.len() <= MAX_PATH_BYTES && is_plain(name)).then(|| {
        let mut out = String::from(ATTRIBUTE);
        push_name(name, &mut out);
        out
    })
}

fn push_header_facts(headers: &Headers, side: Side, out: &mut String) {
    for (name, _) in headers.iter().filter(|(name, _)| name.len() <= MAX_PATH_BYTES && is_plain(name)) {
        out.push(side.header());
        out.extend(name.chars().map(|character| character.to_ascii_lowercase()));
        out.push(FACT_END);
    }
}

/// The fact that a message has a header; `None` when such names are not indexed.
pub(super) fn header_fact(side: Side, name: &str) -> Option<String> {
    (name.len() <= MAX_PATH_BYTES && is_plain(name))
        .then(|| format!("{}{}", side.header(), name.to_ascii_lowercase()))
}

/// The fact that a body has more members than are indexed.
pub(super) fn overflow_fact(side: Side) -> String {
    format!("{}{NAME_END}{NAME_END}", side.member())
}

/// What all facts of a member begin with; `None` when members of such a path are not indexed.
pub(super) fn fact_path(side: Side, names: &[String]) -> Option<String> {
    let length: usize = names.iter().map(String::len).sum();
    if length > MAX_PATH_BYTES || !names.iter().all(|name| is_plain(name)) {
        return None;
    }
    let mut out = String::from(side.member());
    names.iter().for_each(|name| push_name(name, &mut out));
    out.push(NAME_END);
    Some(out)
}

fn push_path(side: Side, path: &MemberPath, out: &mut String) {
    out.push(side.member());
    path.names().for_each(|name| push_name(name, out));
    out.push(NAME_END);
}

fn push_name(name: &str, out: &mut String) {
    // The letter keeps an empty name apart from the end of the path.
    out.push('.');
    out.push_str(name);
    out.push(NAME_END);
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ')
}

/// Numbers from here on are one float for several whole numbers.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// The value in a fact, after its path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FactValue<'t> {
    /// It is this.
    Known(FieldValue<'t>),
    /// It is one of several.
    Hashed,
}

fn push_fact_value(value: &FieldValue<'_>, longest: usize, out: &mut String) {
    match value {
        FieldValue::Text(text) if text.len() <= longest && is_plain(text) => {
            out.push('t');
            out.push_str(text);
        }
        FieldValue::Text(text) => {
            out.push('h');
            push_hash(text, out);
        }
        FieldValue::Integer(number) => push_number(*number as f64, out),
        FieldValue::Float(number) => push_number(*number, out),
        FieldValue::Bool(flag) => out.push_str(if *flag { "b1" } else { "b0" }),
        FieldValue::Time(instant) => push_number(instant.micros() as f64, out),
    }
}

fn push_number(number: f64, out: &mut String) {
    // Adding zero turns -0 into 0, which is equal to it.
    out.push_str(&format!("n{:e}", number + 0.0));
}

/// The fact of a member with this value, where texts of up to `longest` bytes are kept whole, and whether only this value
/// has it.
pub(super) fn fact_value(value: &FieldValue<'_>, longest: usize) -> (String, bool) {
    let mut out = String::new();
    push_fact_value(value, longest, &mut out);
    let exact = !matches!(read_fact_value(&out), None | Some(FactValue::Hashed));
    (out, exact)
}

/// The text of a fact of a member whose value begins with `prefix`, and of all facts of hashed values.
pub(super) fn fact_prefixes(prefix: &str) -> [String; 2] {
    [format!("t{prefix}"), "h".to_owned()]
}

/// Reads what [`fact_value`] wrote.
pub(super) fn read_fact_value(text: &str) -> Option<FactValue<'_>> {
    let (kind, rest) = text.split_at_checked(1)?;
    Some(match kind {
        "t" => FactValue::Known(FieldValue::Text(rest.into())),
        "n" => match rest.parse::<f64>().ok()? {
            number if number.abs() >= EXACT_BELOW => FactValue::Hashed,
            number => FactValue::Known(FieldValue::Float(number)),
        },
        "b" => FactValue::Known(FieldValue::Bool(rest == "1")),
        _ => FactValue::Hashed,
    })
}

/// 16 bits of FNV-1a, as four digits. Kept on disk: never change it without a new format version.
fn push_hash(text: &str, out: &mut String) {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48) as u16;
    out.push_str(&format!("{folded:04x}"));
}

/// Cuts a list of terms at their ends. They are cut and encoded before, so that long texts cost no second pass.
#[derive(Debug, Clone, Default)]
struct Listed;

struct ListedStream<'a> {
    rest: &'a str,
    token: Token,
}

impl Tokenizer for Listed {
    type TokenStream<'a> = ListedStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> ListedStream<'a> {
        ListedStream { rest: text, token: Token::default() }
    }
}

impl TokenStream for ListedStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_once(FACT_END) else { return false };
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_facts_come_back_or_are_hashed() {
        for (value, known) in [
            (FieldValue::Text("pro".into()), Some(FieldValue::Text("pro".into()))),
            (FieldValue::Text("".into()), Some(FieldValue::Text("".into()))),
            (FieldValue::Text("a\0b".into()), None),
            (FieldValue::Text("x".repeat(25).into()), None),
            (FieldValue::Integer(-5), Some(FieldValue::Float(-5.0))),
            (FieldValue::Integer(i64::MAX), None),
            (FieldValue::Float(-0.0), Some(FieldValue::Float(0.0))),
            (FieldValue::Float(2.5e-9), Some(FieldValue::Float(2.5e-9))),
            (FieldValue::Bool(true), Some(FieldValue::Bool(true))),
        ] {
            let (text, exact) = fact_value(&value, MAX_TERM_BYTES);
            assert_eq!(exact, known.is_some(), "{value:?}");
            let expected = known.map_or(FactValue::Hashed, FactValue::Known);
            assert_eq!(read_fact_value(&text), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn paths_are_told_apart() {
        let path = |names: &[&str]| {
            fact_path(Side::Request, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let all = [
            path(&["a", "b"]),
            path(&["a.b"]),
            path(&["a"]),
            path(&["a", ""]),
            path(&["", "a"]),
            path(&["a", ".b"]),
        ];
        for (index, left) in all.iter().enumerate() {
            for right in &all[index + 1..] {
                let (left, right) = (left.as_ref().unwrap(), right.as_ref().unwrap());
                assert!(
                    !left.starts_with(right.as_str()) && !right.starts_with(left.as_str()),
                    "{left:?} {right:?}"
                );
            }
        }
        assert_eq!(path(&["a\u{1}"]), None);
        assert_eq!(path(&["x".repeat(201).as_str()]), None);
    }
}
