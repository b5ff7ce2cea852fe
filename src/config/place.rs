//! A camera's label and the folder it records into.

use super::{
    setting::Setting,
    toml::{Node, TomlError},
};
use crate::{limits, storage::layout};
use serde_json::Value as Json;

/// The name of a camera shown to users: one line, in any script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Empty if the camera's name is to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Label {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let label = node.text()?;
        let most = limits::LABEL_CHARS_MAX;
        if label.chars().count() > most || label.chars().any(hides) {
            let allowed = format!("at most {most} characters, none of them invisible");
            return Err(node.instead_of(&allowed));
        }
        label.clone_into(&mut self.0);
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_str().into()
    }
}

/// Control characters, and those that change the direction of the surrounding text (Unicode UAX
/// #9).
fn hides(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A folder below the storage path, or `.` for the path itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderName(String);

impl FolderName {
    pub(super) fn is_path_itself(&self) -> bool {
        self.0 == PATH_ITSELF
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Option<FolderName> {
    fn read(&mut self, node: &Node) -> Result<(), TomlError> {
        let folder = node.text()?;
        if folder != PATH_ITSELF && (!layout::is_folder(folder) || is_device(folder)) {
            return Err(node.instead_of(
                "\".\", or 1 to 32 characters of a-z, A-Z, 0-9, - and _ (but not a DOS device name)",
            ));
        }
        *self = Some(FolderName(folder.to_owned()));
        Ok(())
    }

    fn shown(&self) -> Json {
        self.as_ref().map(FolderName::as_str).into()
    }
}

/// Returns true for names that Windows cannot open.
fn is_device(folder: &str) -> bool {
    let name = folder.to_ascii_lowercase();
    let numbered =
        |port| name.strip_prefix(port).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    matches!(&*name, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// The storage path itself.
pub(super) const PATH_ITSELF: &str = ".";
