//! Pieces of TOML text, and putting them into one.

use super::{Json, Wrong, refused};
use std::ops::Range;

/// Replacements in a text; those in one place come in the order in which they were made.
#[derive(Default)]
pub(super) struct Splices(Vec<(Range<usize>, String)>);

impl Splices {
    pub fn replace(&mut self, range: Range<usize>, new: String) {
        self.0.push((range, new));
    }

    /// Lines, where one begins or the text ends.
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

    /// Lines with an empty one before them.
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

    /// `None` where two overlap.
    pub fn apply(mut self, text: &str) -> Option<String> {
        // Stable: what is inserted in one place keeps its order.
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

/// Lines as they end in `text`.
pub(super) fn in_lines(text: &str, lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, line_break(text)]).collect()
}

/// A value as TOML writes it.
pub(super) fn literal(value: &Json, section: &str, key: &str) -> Result<String, Wrong> {
    Ok(match value {
        Json::Bool(is_so) => is_so.to_string(),
        // Beyond i64 a whole number is no TOML, but a fraction is, and no setting.
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

/// Where the line of `at` begins.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

/// Where the line after that of `at` begins, or the text ends.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end + 1)
}

/// The blanks before `at`, where nothing else is.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let before = text.get(line_start(text, at)..at).unwrap_or_default();
    if before.bytes().all(|byte| matches!(byte, b' ' | b'\t')) { before } else { "" }
}

fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
