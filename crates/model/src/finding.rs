//! What a detector saw in one exchange.

use compact_str::CompactString;

/// How bad it would be if it is what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking at.
    Warning,
    /// Worth acting on.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The public name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing a detector saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The detector's name.
    pub kind: CompactString,
    /// How bad.
    pub severity: Severity,
    /// Where: the public name of a field, such as `url.query` or `request.body.user.name`.
    pub location: CompactString,
    /// What was seen, shortened and already redacted.
    pub evidence: CompactString,
}
