//! Changes to settings: the file's text and a change in, the new text out.
//!
//! Everything the change does not touch stays the same, to the byte. The new text is parsed again
//! and must mean what was intended; if the file is written in a way not supported here, the change
//! is refused.

mod cameras;
mod text;

use self::text::{Splices, key_literal, line_end, literal};
use super::{
    Config,
    toml::{self, Node, TableOrigin, TomlError},
};
use crate::limits;
use serde_json::{Map, Value as Json};

/// Applies a change in the shape of the file: keys left out keep their values, `camera` is the
/// whole list, `***` in a URL keeps its password.
///
/// # Errors
/// The reason, with the key; the file must then stay unchanged.
pub(super) fn edit(text: &str, change: &Json) -> Result<String, TomlError> {
    let change = object(change, "the change")?;
    let mut draft = Draft::new(text)?;
    // Cameras are put in order first; then values are set in place.
    if let Some(list) = change.get(CAMERA) {
        draft.set_cameras(list)?;
    }
    let sections = change.iter().filter(|(section, _)| *section != CAMERA);
    // New sections go last: keys added to an old section at the end of the text must precede them.
    let (old, new): (Vec<_>, Vec<_>) =
        sections.partition(|(section, _)| draft.root.get(section).is_some());
    for (section, keys) in old.into_iter().chain(new) {
        draft.set_section(section, object(keys, section)?)?;
    }
    draft.finish()
}

/// A text and its pending edits.
struct Draft {
    text: String,
    /// The parsed text.
    root: Node,
    /// The settings as shown to users.
    shown: Json,
    splices: Splices,
    /// What the new text must mean.
    wanted: Json,
}

impl Draft {
    fn new(text: &str) -> Result<Self, TomlError> {
        let root = toml::parse(text)?;
        let shown = Config::of(&root)?.to_json();
        let wanted = root.to_json();
        Ok(Draft { text: text.to_owned(), root, shown, splices: Splices::default(), wanted })
    }

    fn set_section(&mut self, section: &str, keys: &Map<String, Json>) -> Result<(), TomlError> {
        let shown = self.shown.get(section);
        let new = changed(keys, shown, self.root.get(section));
        if new.is_empty() {
            return Ok(());
        }
        match self.root.get(section) {
            Some(node) => set(&self.text, &mut self.splices, node, section, &new)?,
            None => {
                let mut lines = vec![format!("[{}]", key_literal(section))];
                for (key, value) in &new {
                    lines.push(assignment(section, key, value)?);
                }
                self.splices.insert_paragraph(&self.text, self.text.len(), &lines);
            }
        }
        if let Json::Object(wanted) = &mut self.wanted {
            let wanted = wanted.entry(section).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(wanted) = wanted {
                wanted.extend(new);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<String, TomlError> {
        let text = self.splices.apply(&self.text).ok_or_else(not_understood)?;
        if text.len() > limits::CONFIG_BYTES_MAX {
            let most = limits::CONFIG_BYTES_MAX;
            return Err(refused("", format!("the file would be longer than {most} bytes")));
        }
        let root = toml::parse(&text).map_err(|_| not_understood())?;
        // Errors in values are reported before unsupported notation.
        Config::of(&root).map_err(|wrong| cameras::named(wrong, &root))?;
        if root.to_json() == self.wanted { Ok(text) } else { Err(not_understood()) }
    }
}

/// Returns those of `keys` that differ both from the shown and from the written value.
fn changed(
    keys: &Map<String, Json>,
    shown: Option<&Json>,
    node: Option<&Node>,
) -> Map<String, Json> {
    let is_new = |(key, value): &(&String, &Json)| {
        let shown = shown.and_then(|shown| shown.get(key));
        let written = node.and_then(|node| node.get(key)).map(Node::to_json);
        shown != Some(value) && written.as_ref() != Some(value)
    };
    let new = keys.iter().filter(is_new);
    new.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Sets keys of a section: in place, or on new lines after its last key.
fn set(
    text: &str,
    splices: &mut Splices,
    node: &Node,
    section: &str,
    new: &Map<String, Json>,
) -> Result<(), TomlError> {
    let indent = node.entries().last().map_or("", |last| text::indent(text, last.start));
    let mut lines = Vec::new();
    for (key, value) in new {
        match node.get(key) {
            Some(old) => splices.replace(old.span.clone(), literal(value, section, key)?),
            None if node.is(TableOrigin::Header) => {
                lines.push([indent, &assignment(section, key, value)?].concat());
            }
            None => {
                let message = "is missing, and a section written this way cannot be extended: add the key by hand";
                return Err(refused(&[section, ".", key].concat(), message));
            }
        }
    }
    splices.insert_lines(text, line_end(text, node.span.end), &lines);
    Ok(())
}

/// `key = value`
fn assignment(section: &str, key: &str, value: &Json) -> Result<String, TomlError> {
    Ok([&key_literal(key), " = ", &literal(value, section, key)?].concat())
}

fn object<'a>(value: &'a Json, key: &str) -> Result<&'a Map<String, Json>, TomlError> {
    value.as_object().ok_or_else(|| refused(key, "expected an object"))
}

fn refused(key: &str, message: impl Into<String>) -> TomlError {
    TomlError { at: None, key: key.to_owned(), message: message.into() }
}

fn not_understood() -> TomlError {
    refused("", "the file is written in a way that cannot be changed from here: edit it by hand")
}

const CAMERA: &str = "camera";

#[cfg(test)]
mod tests;
