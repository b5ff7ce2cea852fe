//! Settings: take their values from the tree of the file, and are shown as JSON.

use super::toml::{Node, TomlError, TomlValue};
use serde_json::Value as Json;
use std::{fmt, net::SocketAddr, path::PathBuf};

pub(super) trait Setting {
    /// Takes the value that the file gives.
    ///
    /// # Errors
    /// A value of another kind, or one that is not allowed. The section adds key and position.
    fn read(&mut self, node: &Node) -> Result<(), TomlError>;

    fn shown(&self) -> Json;
}

/// Settings under one name. A key that the file does not have keeps its value.
pub(super) trait Section: Clone {
    /// Hands out every key with its setting: the only list of a section's keys.
    fn each(&mut self, take: Take<'_>);
}

pub(super) type Take<'a> = &'a mut dyn FnMut(&'static str, &mut dyn Setting);

impl<S: Section> Setting for S {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let TomlValue::Table(table) = &node.value else { return Err(node.instead_of("a section")) };
        let mut keys = Vec::new();
        self.each(&mut |key, _| keys.push(key));
        if let Some(entry) = table.entries.iter().find(|entry| !keys.contains(&&*entry.key)) {
            let message = format!("unknown key, {}", one_of(&keys));
            return Err(TomlError::at(entry.start, message).within(&entry.key));
        }
        let mut result = Ok(());
        self.each(&mut |key, setting| {
            if let Some(node) = node.get(key).filter(|_| result.is_ok()) {
                let read = setting.read(node);
                result = read.map_err(|wrong| wrong.or_at(node.span.start).within(key));
            }
        });
        result
    }

    fn shown(&self) -> Json {
        let mut all = serde_json::Map::new();
        self.clone().each(&mut |key, setting| {
            all.insert(key.to_owned(), setting.shown());
        });
        Json::Object(all)
    }
}

impl Setting for bool {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let TomlValue::Boolean(is_so) = node.value else {
            return Err(node.instead_of("true or false"));
        };
        *self = is_so;
        Ok(())
    }

    fn shown(&self) -> Json {
        (*self).into()
    }
}

impl Setting for String {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        node.text()?.clone_into(self);
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_str().into()
    }
}

impl Setting for Vec<String> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let TomlValue::List(list) = &node.value else {
            return Err(node.instead_of("a list: [\"…\", \"…\"]"));
        };
        let text = |node: &Node| node.text().map(str::to_owned);
        *self = list.iter().map(text).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_slice().into()
    }
}

impl Setting for PathBuf {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        *self = node.text()?.into();
        Ok(())
    }

    fn shown(&self) -> Json {
        self.to_string_lossy().into()
    }
}

impl Setting for SocketAddr {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let address = node.text()?.parse();
        *self = address.map_err(|_| node.instead_of(ADDRESS))?;
        Ok(())
    }

    fn shown(&self) -> Json {
        self.to_string().into()
    }
}

/// `""` is no address.
impl Setting for Option<SocketAddr> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let text = node.text()?;
        let address = (!text.is_empty()).then(|| text.parse()).transpose();
        *self = address.map_err(|_| node.instead_of(ADDRESS))?;
        Ok(())
    }

    fn shown(&self) -> Json {
        self.map_or_else(String::new, |address| address.to_string()).into()
    }
}

const ADDRESS: &str = "an address with a port, such as \"0.0.0.0:8554\"";

impl Node {
    pub(super) fn text(&self) -> Result<&str, TomlError> {
        match &self.value {
            TomlValue::Text(text) => Ok(text),
            _ => Err(self.instead_of("text in quotes")),
        }
    }

    /// The value that is written so in `words`.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, TomlError> {
        let text = self.text().unwrap_or_default();
        let choice = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        choice.ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            TomlError::at(self.span.start, one_of(&words))
        })
    }

    pub(super) fn instead_of(&self, expected: &str) -> TomlError {
        TomlError::at(self.span.start, format!("expected {expected}, not {self}"))
    }
}

/// As a message names it.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            TomlValue::Text(text) => write!(f, "{text:?}"),
            TomlValue::Integer(number) => write!(f, "{number}"),
            TomlValue::Fraction(text) => f.write_str(text),
            TomlValue::Boolean(is_so) => write!(f, "{is_so}"),
            TomlValue::List(_) => f.write_str("a list"),
            TomlValue::Table(_) => f.write_str("a section"),
        }
    }
}

/// The word that stands for `value` in `words`.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Json {
    words.iter().find(|(_, it)| it == value).map_or("", |(word, _)| *word).into()
}

fn one_of(words: &[&str]) -> String {
    let start = if words.len() > 1 { "expected one of" } else { "expected" };
    format!("{start} `{}`", words.join("`, `"))
}

impl TomlError {
    /// Sets the position unless a more precise one is known.
    fn or_at(self, at: usize) -> TomlError {
        TomlError { at: self.at.or(Some(at)), ..self }
    }

    fn within(self, key: &str) -> TomlError {
        let dot = if self.key.is_empty() { "" } else { "." };
        TomlError { key: [key, dot, &self.key].concat(), ..self }
    }
}
