//! The shape of settings, as data: one table per plug-in serves validation, Kong's schema endpoints, forms and documents.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it must be given (a default satisfies this).
    pub required: bool,
    /// Its default as JSON text; `None` when it has none.
    pub default: Option<&'static str>,
    /// Other spellings that documentation has used.
    pub aliases: &'static [&'static str],
    /// Whether its value must not be shown or logged.
    pub secret: bool,
    /// One line for people, with the unit.
    pub about: &'static str,
}

/// What a setting holds.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text, one of these.
    OneOf(&'static [&'static str]),
    /// Any number within bounds.
    Number {
        /// Smallest allowed.
        min: f64,
        /// Largest allowed.
        max: f64,
    },
    /// A whole number within bounds.
    Integer {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// True or false.
    Boolean,
    /// An absolute http or https URL.
    Url,
    /// Text with a unit, read by [`crate::units::duration`].
    Duration,
    /// Text with a unit or a whole number of bytes, read by [`crate::units::size`].
    Size,
    /// An address to listen on: `host:port`, or `off`.
    Listen,
    /// A list.
    Array(&'static FieldKind),
    /// Like a list, order without meaning and no item twice.
    Set(&'static FieldKind),
    /// Values by free names.
    Map(&'static FieldKind),
    /// Anything; whoever reads it checks it.
    Any,
    /// A group of settings.
    Record(&'static [FieldSpec]),
}

impl FieldSpec {
    /// An optional setting without default; adjust with struct update syntax.
    pub const fn new(name: &'static str, kind: FieldKind, about: &'static str) -> Self {
        Self { name, kind, required: false, default: None, aliases: &[], secret: false, about }
    }
}
