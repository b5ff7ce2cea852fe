//! Pieces of TOML text, and merging them into a text.

use super::{Json, TomlError, refused};
use std::ops::Range;

/// Replacements in a text; those at the same place are applied in the order they were made.
#[derive(Default)]
pub(super) struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    pub fn replace(&mut self, range: Range<usize>, new: String) {
        self.0.push((range, new));
    }

    /// Inserts lines at the start of a line or the end of the text.
    pub fn insert_lines(&mut self, text: &str, at: usize, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let before = text.get(..at).unwrap_or_default();
        if !(before.is_empty() || before.ends_with('\n') || self.has_inserted(at)) {
            self.replace(at..at, line_break(text).to_owned());
        }
        self.replace(at..at, in_lines(text, lines));
    }

    /// Inserts lines preceded by an empty one.
    pub fn insert_paragraph(&mut self, text: &str, at: usize, lines: &[String]) {
        let before = text.get(..at).unwrap_or_default();
        if !before.trim().is_empty() || self.has_inserted(at) {
            self.insert_lines(text, at, &[String::new()]);
        }
        self.insert_lines(text, at, lines);
    }

    fn has_inserted(&self, at: usize) -> bool {
        self.0.iter().any(|(range, _)| *range == (at..at))
    }

    /// Applies all replacements; `None` if two overlap.
    pub fn apply(mut self, text: &str) -> Option<String> {
        // Stable, so that insertions at one place keep their order.
        self.0.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (range, new) in &self.0 {
            out.push_str(text.get(at..range.start)?);
            out.push_str(new);
            at = range.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }
}

/// Joins lines with the line break used in `text`.
pub(super) fn in_lines(text: &str, lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, line_break(text)]).collect()
}

/// Formats a value as TOML.
pub(super) fn literal(value: &Json, section: &str, key: &str) -> Result<String, TomlError> {
    Ok(match value {
        Json::Bool(is_so) => is_so.to_string(),
        // A whole number beyond i64 is not valid TOML; a fraction is, and no setting accepts it.
        Json::Number(number) if number.is_u64() && !number.is_i64() => format!("{number}e0"),
        Json::Number(number) => number.to_string(),
        Json::String(text) => quoted(text),
        Json::Array(list) => {
            let list: Result<Vec<_>, _> =
                list.iter().map(|value| literal(value, section, key)).collect();
            format!("[{}]", list?.join(", "))
        }
        Json::Null | Json::Object(_) => {
            let key = [section, ".", key].concat();
            return Err(refused(&key, "expected text, a number, true, false or a list"));
        }
    })
}

pub(super) fn key_literal(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' || c == '\u{7f}' => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The start of the line that contains `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// The start of the next line, or the end of the text.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end + 1)
}

/// The blanks before `at` if there is nothing else on the line.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let before = text.get(line_start(text, at)..at).unwrap_or_default();
    if before.bytes().all(|byte| matches!(byte, b' ' | b'\t')) { before } else { "" }
}

fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
