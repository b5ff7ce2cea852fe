//! A camera's label and the folder it records into.

use crate::{limits, storage::layout};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The name of a camera shown to users: one line, in any script.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Label(String);

impl Label {
    /// Empty if the camera's name is to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        let most = limits::LABEL_CHARS_MAX;
        if label.chars().count() > most || label.chars().any(hides) {
            let allowed = format!("at most {most} characters, none of them invisible");
            return Err(de::Error::invalid_value(de::Unexpected::Str(&label), &&*allowed));
        }
        Ok(Label(label))
    }
}

/// Control characters, and those that change the direction of the surrounding text (Unicode UAX
/// #9).
fn hides(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}

/// A folder below the storage path, or `.` for the path itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Folder(String);

impl Folder {
    pub(super) fn is_path_itself(&self) -> bool {
        self.0 == PATH_ITSELF
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let folder = String::deserialize(deserializer)?;
        if folder == "." || (layout::is_folder(&folder) && !is_device(&folder)) {
            return Ok(Folder(folder));
        }
        Err(de::Error::invalid_value(
            de::Unexpected::Str(&folder),
            &"\".\", or 1 to 32 characters of a-z, A-Z, 0-9, - and _ (but not a DOS device name)",
        ))
    }
}

/// For a key that may be absent.
pub(super) fn some<'de, D: Deserializer<'de>>(folder: D) -> Result<Option<Folder>, D::Error> {
    Folder::deserialize(folder).map(Some)
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
