//! The configuration file: read up to a limit, replaced as a whole or not at all.
//!
//! A new text is written next to the file, synced, and renamed over it. On FAT a power cut may lose
//! both files, so there the previous text is kept as `.old`, which is read if the file is missing.

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

/// Why the configuration was not changed; `Display` is for the user.
#[derive(Debug)]
pub enum ChangeError {
    /// The change is invalid: `section.key: expected …`.
    Refused(String),
    /// The client may not change this key.
    NotByNetwork(String),
    /// The file differs from the running configuration.
    Outdated(String),
    Unwritable {
        file: PathBuf,
        source: io::Error,
    },
}

/// The rights of whoever changes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditRights {
    /// A user on this machine, who may change everything.
    Machine,
    /// A client with the page's password, which is for cameras and recordings. Settings for
    /// programs, folders, listeners or access would give it control of the machine.
    Network,
}

/// Changes the file and returns the new configuration. Blocks; one change at a time. `running` is
/// the configuration in use.
///
/// *Shape*: `change` is JSON in the shape of the file: keys left out keep their values, `camera` is
/// the whole list, `***` in a URL keeps its password.
///
/// # Errors
/// The file is unchanged.
pub fn change(
    file: &Path,
    running: &Config,
    change: &Json,
    reach: EditRights,
) -> Result<Config, ChangeError> {
    // There is one draft file. A panicked change left the file intact, so poisoning is ignored.
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
    if let (EditRights::Network, Some(key)) = (reach, guarded_change(running, &config)) {
        return Err(ChangeError::NotByNetwork(key));
    }
    if new != text {
        replace(file, &text, &new)?;
    }
    Ok(config)
}

/// Returns the first changed setting that network clients may not change. A section is guarded
/// unless it is listed here.
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

/// How recordings are divided, and how long they are kept.
const OPEN_STORAGE_KEYS: [&str; 5] =
    ["segment_seconds", "keep_free_percent", "keep_days", "thin_after_days", "sync_seconds"];

/// Returns the text after a change of the same shape, everything else unchanged to the byte.
///
/// # Errors
/// `Refused`, with the reason.
pub fn edited(text: &str, change: &Json) -> Result<String, ChangeError> {
    edit::edit(text, change).map_err(|wrong| ChangeError::Refused(wrong.to_string()))
}

/// Reads the whole file, or the copy left of it.
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

/// Returns the copy to read if the file was lost to a power cut during a change.
pub fn left_over(file: &Path) -> Option<PathBuf> {
    let old = beside(file, ".old");
    let is_gone =
        matches!(file.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    (is_gone && old.is_file()).then_some(old)
}

fn replace(file: &Path, text: &str, new: &str) -> Result<(), ChangeError> {
    // If the name is a link, its target is replaced.
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
        // The draft may not exist.
        let _ = fs::remove_file(&draft);
    }
    result
}

/// Writes the draft and syncs it.
fn write_draft(draft: &Path, text: &str) -> io::Result<()> {
    // A draft left over may be readable by others.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = File::options().write(true).create_new(true).mode(0o600).open(draft)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()
}

/// What a power cut may do to a file while another is renamed over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Renaming {
    /// One of the two survives.
    Replaces,
    /// Possibly neither survives.
    MayLoseBoth,
}

impl Renaming {
    /// Determines this from a file system's magic number (statfs(2)).
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
            // A copy exists already, and the file does not.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        sync_folder(file);
    }
    fs::rename(draft, file)?;
    sync_folder(file);
    Ok(())
}

/// Makes renames durable. Not every file system supports that, and the rename is in effect anyway.
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
    ChangeError::Outdated(format!("{file} has changed since it was read: reload it first (SIGHUP)"))
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Refused(words) | ChangeError::Outdated(words) => f.write_str(words),
            ChangeError::NotByNetwork(key) => {
                write!(f, "{key}: can only be changed in the file or over the control socket")
            }
            ChangeError::Unwritable { file, source } => write!(f, "{}: {source}", file.display()),
        }
    }
}

impl std::error::Error for ChangeError {}

/// Held during a change.
static TURN: Mutex<()> = Mutex::new(());
/// From `<linux/magic.h>`.
const MSDOS_SUPER_MAGIC: u64 = 0x4d44;
const EXFAT_SUPER_MAGIC: u64 = 0x2011_bab0;

#[cfg(test)]
mod tests;
