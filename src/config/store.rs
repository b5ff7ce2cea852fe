//! The file itself: read with a bound, changed as a whole or not at all.
//!
//! A new text is written beside the file, made durable, and takes its name. On FAT that may lose
//! both when the power goes, so there the text before stays as `.old`, and is read where the file is
//! gone.

use super::{Config, edit};
use crate::limits;
use rustix::fs::statfs;
use serde_json::Value as Json;
use std::{
    ffi::OsString,
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Why the configuration stays as it is; `Display` is for the user.
#[derive(Debug)]
pub enum ChangeError {
    /// What was asked for is not possible: `section.key: expected …`.
    Refused(String),
    /// Not for whoever asks; the key.
    NotByNetwork(String),
    /// The file says something else than what runs.
    Outdated(String),
    Unwritable {
        file: PathBuf,
        source: io::Error,
    },
}

/// Who changes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Somebody on this machine, who may change all of them.
    Machine,
    /// Somebody who has the page's password, which is for cameras and recordings. What names programs,
    /// folders, listeners or the way in would make him the machine's owner.
    Network,
}

/// Changes the file; answers what it says then. Blocks; one at
/// a time. `running` is what it said when it was read.
///
/// *Shape*: `change` is that of the file, as JSON: keys that are left out stay, `camera` is the whole
/// list, `***` in an address keeps the password that is stored.
///
/// # Errors
/// Nothing is changed then.
pub fn change(
    file: &Path,
    running: &Config,
    change: &Json,
    reach: Reach,
) -> Result<Config, ChangeError> {
    // The draft has one name. A change that panicked left the file as whole as any other.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let unwritable = |source| ChangeError::Unwritable { file: file.to_owned(), source };
    let text = read(file).map_err(unwritable)?;
    match Config::parse(&text, file) {
        Ok(config) if config == *running => {}
        Ok(_) => return Err(outdated(file)),
        Err(error) => return Err(ChangeError::Outdated(error.to_string())),
    }
    let new = edited(&text, change)?;
    let config = Config::parse(&new, file);
    let config = config.map_err(|error| ChangeError::Refused(error.to_string()))?;
    if let (Reach::Network, Some(key)) = (reach, guarded_change(running, &config)) {
        return Err(ChangeError::NotByNetwork(key));
    }
    if new != text {
        replace(file, &text, &new)?;
    }
    Ok(config)
}

/// The first setting that differs and is not for the network to change. Sections to come are guarded
/// until they are named here.
fn guarded_change(old: &Config, new: &Config) -> Option<String> {
    let (old, new) = (old.to_json(), new.to_json());
    let section = |of: &Json, name: &str| of.get(name).and_then(Json::as_object).cloned();
    let mut names = new.as_object()?.keys().filter(|name| *name != "camera");
    names.find_map(|name| {
        let (old, new) = (section(&old, name).unwrap_or_default(), section(&new, name)?);
        let is_open = |key: &str| name == "storage" && OPEN_STORAGE_KEYS.contains(&key);
        let mut keys = new.iter().filter(|(key, _)| !is_open(key));
        keys.find(|(key, value)| old.get(*key) != Some(value))
            .map(|(key, _)| format!("{name}.{key}"))
    })
}

/// How much is kept, and how it is cut.
const OPEN_STORAGE_KEYS: [&str; 4] =
    ["segment_seconds", "keep_free_percent", "keep_days", "sync_seconds"];

/// What a text says after a change of the same shape; what the change does not touch stays, to the byte.
///
/// # Errors
/// `Refused`, with the reason.
pub fn edited(text: &str, change: &Json) -> Result<String, ChangeError> {
    edit::edit(text, change).map_err(|wrong| ChangeError::Refused(wrong.to_string()))
}

/// The whole file, or what is left over of it.
pub(super) fn read(file: &Path) -> io::Result<String> {
    let left_over = left_over(file);
    let mut text = String::new();
    let room = limits::CONFIG_BYTES_MAX as u64 + 1;
    File::open(left_over.as_deref().unwrap_or(file))?.take(room).read_to_string(&mut text)?;
    if text.len() as u64 == room {
        let reason = format!("is longer than {} bytes", limits::CONFIG_BYTES_MAX);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    Ok(text)
}

/// What is read in place of a file that a power cut took while it was replaced.
pub fn left_over(file: &Path) -> Option<PathBuf> {
    let old = beside(file, ".old");
    let is_gone =
        matches!(file.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    (is_gone && old.is_file()).then_some(old)
}

fn replace(file: &Path, text: &str, new: &str) -> Result<(), ChangeError> {
    // Where the name is a link, the file that it means is replaced.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let unwritable = |source| ChangeError::Unwritable { file: file.clone(), source };
    let folder = file.parent().unwrap_or(Path::new("/"));
    let renaming =
        statfs(folder).map_or(Renaming::Replaces, |system| Renaming::on(system.f_type as u64));
    let draft = beside(&file, ".new");
    let result = write_draft(&draft, new).map_err(unwritable).and_then(|()| {
        if read(&file).map_err(unwritable)? != text {
            return Err(outdated(&file));
        }
        rename(&draft, &file, renaming).map_err(unwritable)
    });
    if result.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&draft);
    }
    result
}

/// Its bytes are on the disk when this returns.
fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    // One that is left over may be readable by others.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = File::options().write(true).create_new(true).mode(0o600).open(draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

/// What becomes of a file that another is renamed over when the power goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Renaming {
    /// One of the two is there.
    Replaces,
    /// Perhaps neither.
    MayLoseBoth,
}

impl Renaming {
    /// On a file system of that magic number (statfs(2)).
    fn on(system: u64) -> Renaming {
        if matches!(system, MSDOS_SUPER_MAGIC | EXFAT_SUPER_MAGIC) {
            return Renaming::MayLoseBoth;
        }
        Renaming::Replaces
    }
}

fn rename(draft: &Path, file: &Path, renaming: Renaming) -> io::Result<()> {
    if renaming == Renaming::MayLoseBoth {
        match fs::rename(file, beside(file, ".old")) {
            // It is there already, and the file is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        sync_folder(file);
    }
    fs::rename(draft, file)?;
    sync_folder(file);
    Ok(())
}

/// Makes names durable. Not every file system can, and what was renamed is in force anyhow.
fn sync_folder(file: &Path) {
    let folder = file.parent().unwrap_or(Path::new("/"));
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        log::warn!("{}: {error}", folder.display());
    }
}

/// `smolnvr.toml` → `smolnvr.toml.old`
fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(end);
    PathBuf::from(name)
}

fn outdated(file: &Path) -> ChangeError {
    let file = file.display();
    ChangeError::Outdated(format!(
        "{file} was changed meanwhile: have it read again first (SIGHUP)"
    ))
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Refused(words) | ChangeError::Outdated(words) => f.write_str(words),
            ChangeError::NotByNetwork(key) => {
                write!(f, "{key}: changed only in the file or over the control socket")
            }
            ChangeError::Unwritable { file, source } => write!(f, "{}: {source}", file.display()),
        }
    }
}

impl std::error::Error for ChangeError {}

/// Held by the one change that is made.
static TURN: Mutex<()> = Mutex::new(());
/// Of `<linux/magic.h>`.
const MSDOS_SUPER_MAGIC: u64 = 0x4d44;
const EXFAT_SUPER_MAGIC: u64 = 0x2011_bab0;

#[cfg(test)]
mod tests;
