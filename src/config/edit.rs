//! A change of settings, made in the text of the file: text and change in, text out.
//!
//! What a change does not touch stays as it is written, to the byte. The new text is read again and
//! must say what was meant; where the file is written in a way that is not understood here, the
//! change is refused. Knows nothing of: files.

mod cameras;
mod text;

use self::text::{Splices, key_literal, line_end, literal};
use super::{
    Config,
    toml::{self, Node, Origin, Wrong},
};
use crate::limits;
use serde::Deserialize as _;
use serde_json::{Map, Value as Json};

/// Makes a change that has the shape of the file: keys that are left out stay, `camera` is the whole
/// list, `***` in an address keeps the password that is there.
///
/// # Errors
/// Why not, by its key; nothing is to be done then.
pub(super) fn edit(text: &str, change: &Json) -> Result<String, Wrong> {
    let change = object(change, "the change")?;
    let mut draft = Draft::new(text)?;
    // Cameras first come into their order, then everything is set where it stands.
    if let Some(list) = change.get(CAMERA) {
        draft.set_cameras(list)?;
    }
    let sections = change.iter().filter(|(section, _)| *section != CAMERA);
    // New sections come last: what is added to an old one at the end of the text is before them.
    let (old, new): (Vec<_>, Vec<_>) =
        sections.partition(|(section, _)| draft.root.get(section).is_some());
    for (section, keys) in old.into_iter().chain(new) {
        draft.set_section(section, object(keys, section)?)?;
    }
    draft.finish()
}

/// A text, and what is to become of it.
struct Draft {
    text: String,
    /// The text, read.
    root: Node,
    /// The settings as they are shown.
    shown: Json,
    splices: Splices,
    /// What the new text must say.
    wanted: Json,
}

impl Draft {
    fn new(text: &str) -> Result<Self, Wrong> {
        let root = toml::parse(text)?;
        let shown = Config::deserialize(&root)?.to_json();
        let wanted = root.to_json();
        Ok(Draft { text: text.to_owned(), root, shown, splices: Splices::default(), wanted })
    }

    fn set_section(&mut self, section: &str, keys: &Map<String, Json>) -> Result<(), Wrong> {
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

    fn finish(self) -> Result<String, Wrong> {
        let text = self.splices.apply(&self.text).ok_or_else(not_understood)?;
        if text.len() > limits::CONFIG_BYTES_MAX {
            let most = limits::CONFIG_BYTES_MAX;
            return Err(refused("", format!("the file would be longer than {most} bytes")));
        }
        let root = toml::parse(&text).map_err(|_| not_understood())?;
        // What is wrong with a value is said before what is wrong with the way it is written.
        Config::deserialize(&root).map_err(|wrong| cameras::named(wrong, &root))?;
        if root.to_json() == self.wanted { Ok(text) } else { Err(not_understood()) }
    }
}

/// Those of `keys` that are neither as they are shown nor as they are written.
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

/// Sets keys of a section: in their places, or in lines behind its last.
fn set(
    text: &str,
    splices: &mut Splices,
    node: &Node,
    section: &str,
    new: &Map<String, Json>,
) -> Result<(), Wrong> {
    let indent = node.entries().last().map_or("", |last| text::indent(text, last.start));
    let mut lines = Vec::new();
    for (key, value) in new {
        match node.get(key) {
            Some(old) => splices.replace(old.span.clone(), literal(value, section, key)?),
            None if node.is(Origin::Header) => {
                lines.push([indent, &assignment(section, key, value)?].concat());
            }
            None => {
                let message = "is not in the file, whose section is written in a way to which nothing can be added from here: add the key by hand";
                return Err(refused(&[section, ".", key].concat(), message));
            }
        }
    }
    splices.insert_lines(text, line_end(text, node.span.end), &lines);
    Ok(())
}

/// `key = value`
fn assignment(section: &str, key: &str, value: &Json) -> Result<String, Wrong> {
    Ok([&key_literal(key), " = ", &literal(value, section, key)?].concat())
}

fn object<'a>(value: &'a Json, key: &str) -> Result<&'a Map<String, Json>, Wrong> {
    value.as_object().ok_or_else(|| refused(key, "expected an object"))
}

fn refused(key: &str, message: impl Into<String>) -> Wrong {
    Wrong { at: None, key: key.to_owned(), message: message.into() }
}

fn not_understood() -> Wrong {
    refused("", "the file is written in a way that can not be changed from here: change it by hand")
}

const CAMERA: &str = "camera";

#[cfg(test)]
mod tests;
