//! The parser, from left to right.

use super::{Node, TableOrigin, TomlEntry, TomlError, TomlTable, TomlValue, plain};
use crate::limits;
use std::ops::Range;

/// A position in the text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    pub fn document(mut self) -> Result<Node, TomlError> {
        // Some editors on Windows write a byte order mark.
        self.eat("\u{feff}");
        let mut root = table(TableOrigin::Header, 0..self.text.len());
        let mut section = Vec::new();
        loop {
            self.skip_lines()?;
            match self.peek() {
                None => return Ok(root),
                Some('[') => section = self.header(&mut root)?,
                Some(_) => {
                    let start = self.at;
                    let mut node = &mut root;
                    for name in &section {
                        node = enter(node, name, start)?;
                    }
                    self.assignment(node, 0)?;
                    node.span.end = self.at;
                }
            }
            self.end_of_line()?;
        }
    }

    /// Parses `[a.b]` or `[[a.b]]` and returns the names.
    fn header(&mut self, root: &mut Node) -> Result<Vec<String>, TomlError> {
        let start = self.at;
        let is_element = self.eat("[[");
        if !is_element {
            self.eat("[");
        }
        let names = self.names()?;
        self.expect(if is_element { "]]" } else { "]" })?;
        let Some((last, outer)) = names.split_last() else { return Ok(names) };
        let mut node = root;
        for name in outer {
            node = enter(node, name, start)?;
        }
        let span = start..self.at;
        let new = table(TableOrigin::Header, span.clone());
        match place(node, last, start)? {
            Place::Free(entries) => {
                let value = if is_element { TomlValue::List(vec![new]) } else { new.value };
                entries.push(TomlEntry { key: last.clone(), start, node: Node { value, span } });
            }
            Place::Taken(node) => match &mut node.value {
                TomlValue::List(list) if is_element && is_list_of_sections(list) => list.push(new),
                TomlValue::Table(table) if !is_element && table.origin == TableOrigin::Implied => {
                    table.origin = TableOrigin::Header;
                    node.span = span;
                }
                _ => return Err(TomlError::at(start, format!("duplicate section `{last}`"))),
            },
        }
        Ok(names)
    }

    /// Parses `a.b = value` into the table `node`.
    fn assignment(&mut self, mut node: &mut Node, depth: usize) -> Result<(), TomlError> {
        let start = self.at;
        let names = self.names()?;
        self.expect("=")?;
        self.skip_blanks();
        let value = self.value(depth)?;
        let Some((last, outer)) = names.split_last() else { return Ok(()) };
        for name in outer {
            node = match place(node, name, start)? {
                Place::Free(entries) => pushed(entries, name, start, TableOrigin::Dotted)?,
                Place::Taken(node) if node.is(TableOrigin::Dotted) => node,
                Place::Taken(_) => return Err(duplicate(name, start)),
            };
        }
        match place(node, last, start)? {
            Place::Free(entries) => {
                entries.push(TomlEntry { key: last.clone(), start, node: value })
            }
            Place::Taken(_) => return Err(duplicate(last, start)),
        }
        Ok(())
    }

    /// Parses `a.b."c d"` and the blanks around it.
    fn names(&mut self) -> Result<Vec<String>, TomlError> {
        let mut names = Vec::new();
        loop {
            self.skip_blanks();
            let start = self.at;
            names.push(match self.peek() {
                Some('"' | '\'') if self.quotes() < 3 => self.quoted()?,
                _ => self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).to_owned(),
            });
            if self.at == start {
                return Err(TomlError::at(start, "expected a key"));
            }
            self.skip_blanks();
            if !self.eat(".") {
                return Ok(names);
            }
            if names.len() == limits::TOML_DEPTH_MAX {
                return Err(TomlError::at(start, TOO_DEEP));
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, TomlError> {
        let start = self.at;
        if depth > limits::TOML_DEPTH_MAX {
            return Err(TomlError::at(start, TOO_DEEP));
        }
        let value = match self.peek() {
            Some('"' | '\'') => TomlValue::Text(self.quoted()?),
            Some('[') => self.list(depth)?,
            Some('{') => return self.inline_table(depth),
            _ => {
                let word = self.take(|c| c.is_ascii_alphanumeric() || "+-_.:".contains(c));
                plain::read(word).ok_or_else(|| {
                    TomlError::at(
                        start,
                        "expected a value: text in quotes, a number, true or false",
                    )
                })?
            }
        };
        Ok(Node { value, span: start..self.at })
    }

    fn list(&mut self, depth: usize) -> Result<TomlValue, TomlError> {
        self.eat("[");
        let mut list = Vec::new();
        loop {
            self.skip_lines()?;
            if self.eat("]") {
                return Ok(TomlValue::List(list));
            }
            list.push(self.value(depth + 1)?);
            self.skip_lines()?;
            if !self.eat(",") {
                self.expect("]")?;
                return Ok(TomlValue::List(list));
            }
        }
    }

    fn inline_table(&mut self, depth: usize) -> Result<Node, TomlError> {
        let mut node = table(TableOrigin::Inline, self.at..self.at);
        self.eat("{");
        self.skip_blanks();
        if !self.eat("}") {
            loop {
                self.assignment(&mut node, depth + 1)?;
                self.skip_blanks();
                if !self.eat(",") {
                    break;
                }
            }
            self.expect("}")?;
        }
        node.span.end = self.at;
        Ok(node)
    }

    /// Parses a string of any of the four kinds.
    fn quoted(&mut self) -> Result<String, TomlError> {
        let start = self.at;
        let quote = if self.peek() == Some('"') { '"' } else { '\'' };
        let closing = if self.quotes() == 3 { 3 } else { 1 };
        let is_long = closing == 3;
        self.at += closing;
        if is_long && !self.eat("\n") {
            self.eat("\r\n");
        }
        let mut text = String::new();
        loop {
            match self.peek() {
                Some(c) if c == quote => {
                    // The last three quotes close a long string; up to two before them belong to
                    // it.
                    let most = if is_long { 5 } else { 1 };
                    let count = self.rest().chars().take(most).take_while(|c| *c == quote).count();
                    self.at += count;
                    let is_end = count >= closing;
                    text.extend((0..if is_end { count - closing } else { count }).map(|_| quote));
                    if is_end {
                        return Ok(text);
                    }
                }
                Some('\\') if quote == '"' => self.escape(is_long, &mut text)?,
                Some('\n' | '\r') if is_long && (self.eat("\n") || self.eat("\r\n")) => {
                    text.push('\n');
                }
                Some(c) if !is_control(c) => text.push_str(self.take_exactly(c.len_utf8())),
                None | Some('\n' | '\r') => {
                    return Err(TomlError::at(start, "expected a quote at the end of the text"));
                }
                Some(_) => return Err(TomlError::at(self.at, CONTROL)),
            }
        }
    }

    fn escape(&mut self, is_long: bool, text: &mut String) -> Result<(), TomlError> {
        let start = self.at;
        self.eat("\\");
        let wrong = || {
            TomlError::at(
                start,
                "expected one of \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX",
            )
        };
        let c = self.peek().ok_or_else(wrong)?;
        if is_long && matches!(c, ' ' | '\t' | '\r' | '\n') {
            self.skip_blanks();
            if !self.rest().starts_with('\n') && !self.rest().starts_with("\r\n") {
                return Err(wrong());
            }
            while self.eat("\n") || self.eat("\r\n") {
                self.skip_blanks();
            }
            return Ok(());
        }
        self.at += c.len_utf8();
        text.push(match c {
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            '"' | '\\' => c,
            'u' | 'U' => {
                let digits = self.take_exactly(if c == 'u' { 4 } else { 8 });
                let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex);
                code.and_then(char::from_u32).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        });
        Ok(())
    }

    /// Skips blanks, line breaks and comments.
    fn skip_lines(&mut self) -> Result<(), TomlError> {
        loop {
            self.skip_blanks();
            self.skip_comment()?;
            if !self.eat("\n") && !self.eat("\r\n") {
                return Ok(());
            }
        }
    }

    fn end_of_line(&mut self) -> Result<(), TomlError> {
        self.skip_blanks();
        self.skip_comment()?;
        if self.peek().is_none() || self.eat("\n") || self.eat("\r\n") {
            return Ok(());
        }
        Err(TomlError::at(self.at, "expected the end of the line"))
    }

    fn skip_comment(&mut self) -> Result<(), TomlError> {
        if self.peek() == Some('#') {
            self.take(|c| !is_control(c));
            let rest = self.rest();
            if !(rest.is_empty() || rest.starts_with('\n') || rest.starts_with("\r\n")) {
                return Err(TomlError::at(self.at, CONTROL));
            }
        }
        Ok(())
    }

    fn skip_blanks(&mut self) {
        self.take(|c| matches!(c, ' ' | '\t'));
    }

    /// Counts equal characters at the start, up to three.
    fn quotes(&self) -> usize {
        let first = self.peek();
        self.rest().chars().take(3).take_while(|c| Some(*c) == first).count()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        let is_there = self.rest().starts_with(token);
        if is_there {
            self.at += token.len();
        }
        is_there
    }

    fn expect(&mut self, token: &str) -> Result<(), TomlError> {
        if self.eat(token) {
            return Ok(());
        }
        Err(TomlError::at(self.at, format!("expected `{token}`")))
    }

    fn take(&mut self, is_part: fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        self.take_exactly(rest.find(|c| !is_part(c)).unwrap_or(rest.len()))
    }

    /// Empty if fewer than `count` bytes are left.
    fn take_exactly(&mut self, count: usize) -> &'a str {
        let taken = self.rest().get(..count).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// The entry for a key, or the entries to which it can be added.
enum Place<'a> {
    Taken(&'a mut Node),
    Free(&'a mut Vec<TomlEntry>),
}

fn place<'a>(node: &'a mut Node, key: &str, at: usize) -> Result<Place<'a>, TomlError> {
    let TomlValue::Table(TomlTable { entries, .. }) = &mut node.value else {
        return Err(duplicate(key, at));
    };
    match entries.iter().position(|entry| entry.key == key) {
        Some(index) => match entries.get_mut(index) {
            Some(entry) => Ok(Place::Taken(&mut entry.node)),
            None => Err(duplicate(key, at)),
        },
        None if entries.len() == limits::TOML_KEYS_MAX => {
            let most = limits::TOML_KEYS_MAX;
            Err(TomlError::at(at, format!("more than {most} keys in one section")))
        }
        None => Ok(Place::Free(entries)),
    }
}

/// Returns the table named in a header, created if missing; for a list, its last table.
fn enter<'a>(node: &'a mut Node, name: &str, start: usize) -> Result<&'a mut Node, TomlError> {
    let node = match place(node, name, start)? {
        Place::Taken(node) => node,
        Place::Free(entries) => pushed(entries, name, start, TableOrigin::Implied)?,
    };
    if node.is(TableOrigin::Inline) {
        return Err(duplicate(name, start));
    }
    // Matched twice, because a borrow that may be returned would last for both arms.
    if matches!(node.value, TomlValue::Table(_)) {
        return Ok(node);
    }
    match &mut node.value {
        TomlValue::List(list) if is_list_of_sections(list) => {
            list.last_mut().ok_or_else(|| duplicate(name, start))
        }
        _ => Err(duplicate(name, start)),
    }
}

/// Adds a new table for `key`.
fn pushed<'a>(
    entries: &'a mut Vec<TomlEntry>,
    key: &str,
    start: usize,
    origin: TableOrigin,
) -> Result<&'a mut Node, TomlError> {
    entries.push(TomlEntry { key: key.to_owned(), start, node: table(origin, start..start) });
    entries.last_mut().map(|entry| &mut entry.node).ok_or_else(|| duplicate(key, start))
}

/// Returns true for a list written as `[[name]]`.
fn is_list_of_sections(list: &[Node]) -> bool {
    list.first().is_some_and(|first| first.is(TableOrigin::Header))
}

fn table(origin: TableOrigin, span: Range<usize>) -> Node {
    Node { value: TomlValue::Table(TomlTable { origin, entries: Vec::new() }), span }
}

fn duplicate(key: &str, at: usize) -> TomlError {
    TomlError::at(at, format!("duplicate key `{key}`"))
}

/// Characters that TOML allows nowhere.
fn is_control(c: char) -> bool {
    (c < ' ' && c != '\t') || c == '\u{7f}'
}

const TOO_DEEP: &str = "too deeply nested";
const CONTROL: &str = "a control character, which TOML does not allow";
