//! TOML: text in, a tree out in which every value knows its position.
//!
//! Spec: TOML 1.0.0 without dates, which no setting uses.

mod plain;
mod reader;

use std::{fmt, ops::Range};

/// A value and its range in the text.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub value: TomlValue,
    /// For a section: from its `[` to the end of its last value.
    pub span: Range<usize>,
}

#[derive(Debug, PartialEq)]
pub(super) enum TomlValue {
    Text(String),
    Integer(i64),
    /// Kept as text: no setting is a fraction, and parsing one takes 14 KB of code.
    Fraction(String),
    Boolean(bool),
    List(Vec<Node>),
    Table(TomlTable),
}

#[derive(Debug, PartialEq)]
pub(super) struct TomlTable {
    pub origin: TableOrigin,
    /// In file order.
    pub entries: Vec<TomlEntry>,
}

#[derive(Debug, PartialEq)]
pub(super) struct TomlEntry {
    pub key: String,
    /// The position of the key, or of a section's `[`.
    pub start: usize,
    pub node: Node,
}

/// How a table was defined, which decides what may be added to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TableOrigin {
    /// `[name]` or `[[name]]`, and the whole file.
    Header,
    /// Only implied by `[name.further]`.
    Implied,
    /// `name.key = …`
    Dotted,
    /// `{ … }`
    Inline,
}

/// An error and its position.
#[derive(Debug, Default)]
pub(super) struct TomlError {
    /// Offset in the text; `None` until it is known.
    pub at: Option<usize>,
    /// `section.key`; empty if there is none.
    pub key: String,
    pub message: String,
}

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Node, TomlError> {
    reader::Reader::new(text).document()
}

impl Node {
    /// Returns the value of a key; `None` if there is none, or this is not a table.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The entries of a table; empty for other values.
    pub fn entries(&self) -> &[TomlEntry] {
        match &self.value {
            TomlValue::Table(table) => &table.entries,
            _ => &[],
        }
    }

    /// Returns true for a table of that origin.
    pub fn is(&self, origin: TableOrigin) -> bool {
        matches!(&self.value, TomlValue::Table(table) if table.origin == origin)
    }

    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            TomlValue::Text(text) | TomlValue::Fraction(text) => text.as_str().into(),
            TomlValue::Integer(number) => (*number).into(),
            TomlValue::Boolean(is_so) => (*is_so).into(),
            TomlValue::List(list) => list.iter().map(Node::to_json).collect(),
            TomlValue::Table(table) => table
                .entries
                .iter()
                .map(|entry| (entry.key.as_str(), entry.node.to_json()))
                .collect(),
        }
    }
}

impl TomlError {
    pub fn at(at: usize, message: impl Into<String>) -> TomlError {
        TomlError { at: Some(at), message: message.into(), ..TomlError::default() }
    }

    /// The line in `text`, counted from 1.
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.at.unwrap_or(0));
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

impl fmt::Display for TomlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for TomlError {}

#[cfg(test)]
mod tests;
