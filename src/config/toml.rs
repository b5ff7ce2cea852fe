//! TOML: text in, a tree out in which everything knows where it is written.
//!
//! Spec: TOML 1.0.0 but for dates, which no setting is. Knows nothing of: settings, files.

mod plain;
mod reader;
mod settings;

use std::{fmt, ops::Range};

/// A value, and the bytes of the text that it stands in.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub value: Value,
    /// Of a section: from its `[` to the end of its last value.
    pub span: Range<usize>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// As it is written: no setting is one, and reading it takes 14 KB of code.
    Fraction(String),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

#[derive(Debug, PartialEq)]
pub(super) struct Table {
    pub origin: Origin,
    /// In the order of the file.
    pub entries: Vec<Entry>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// Where the key stands; where it is a section, its `[`.
    pub start: usize,
    pub node: Node,
}

/// How a table came to be; it says what may still be added to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// `[name]` or `[[name]]`, and the whole file.
    Header,
    /// `[name.further]` alone.
    Implied,
    /// `name.key = …`
    Dotted,
    /// `{ … }`
    Inline,
}

/// What is wrong, and where.
#[derive(Debug, Default)]
pub(super) struct Wrong {
    /// Byte of the text; `None` until somebody knows.
    pub at: Option<usize>,
    /// `section.key`; empty where there is none.
    pub key: String,
    pub message: String,
}

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node, Wrong> {
    reader::Reader::new(text).document()
}

impl Node {
    /// The value of a key; `None` where there is none, or this is no table.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Of a table; else empty.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(table) => &table.entries,
            _ => &[],
        }
    }

    /// A table of that origin?
    pub fn is(&self, origin: Origin) -> bool {
        matches!(&self.value, Value::Table(table) if table.origin == origin)
    }

    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) | Value::Fraction(text) => text.as_str().into(),
            Value::Integer(number) => (*number).into(),
            Value::Boolean(is_so) => (*is_so).into(),
            Value::List(list) => list.iter().map(Node::to_json).collect(),
            Value::Table(table) => table
                .entries
                .iter()
                .map(|entry| (entry.key.as_str(), entry.node.to_json()))
                .collect(),
        }
    }
}

impl Wrong {
    pub fn at(at: usize, message: impl Into<String>) -> Wrong {
        Wrong { at: Some(at), message: message.into(), ..Wrong::default() }
    }

    /// The line of `text`, counted from 1.
    pub fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().iter().take(self.at.unwrap_or(0));
        before.filter(|byte| **byte == b'\n').count() + 1
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

#[cfg(test)]
mod tests;
