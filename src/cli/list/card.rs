//! The recordings on the card, read from the files.

use super::ListEntry;
use crate::{
    cli::{Arguments, complain, names_in},
    config::Config,
    daemon,
    mp4::{
        identity::ClockTrust,
        scan::{self, FileState},
    },
    storage::{
        disk::{Access, Disk as _, Mount, is_foreign, linux::LinuxDisk},
        layout::{self, Name},
    },
};
use smol::{future::block_on, stream::StreamExt as _};
use std::{
    ffi::OsString,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::UNIX_EPOCH,
};

/// Lists the recordings of all cameras, or of one: configured cameras first, then former ones, each
/// by number.
///
/// *Cost*: reads the head of every file on the card.
///
/// # Errors
/// The exit status, after the error has been reported.
pub(in crate::cli) fn read(
    arguments: &Arguments,
    wanted: Option<&str>,
) -> Result<Vec<ListEntry>, ExitCode> {
    let config = arguments.read_config()?;
    let failed = |reason: String| {
        complain(reason);
        ExitCode::FAILURE
    };
    let root = storage_path(&config).map_err(failed)?;
    let mut entries = Vec::new();
    for folder in folders(&config, &root) {
        let path = layout::folder(&root, &folder.name);
        // A link would lead off the card.
        if path != root && path.is_symlink() {
            continue;
        }
        if let Err(error) = read_folder(&folder, &path, &mut entries)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(format!("{}: {error}", path.display())));
        }
    }
    if let Some(name) = wanted {
        entries.retain(|entry| entry.camera == name);
        if entries.is_empty() && !config.camera.iter().any(|it| it.name.as_str() == name) {
            return Err(failed(format!("there is no camera named {name:?}")));
        }
    }
    let place = |name: &str| config.camera.iter().position(|it| it.name.as_str() == name);
    entries.sort_by_cached_key(|entry| {
        (place(&entry.camera).unwrap_or(usize::MAX), entry.camera.clone(), entry.number)
    });
    Ok(entries)
}

/// The path the daemon would use: the first mounted one; otherwise why the first is not.
fn storage_path(config: &Config) -> Result<PathBuf, String> {
    let settings = daemon::settings(config, &[]);
    let mut absent = None;
    for path in settings.paths {
        match LinuxDisk.mount(&path, settings.require_mount) {
            Mount::Absent(reason) => drop(absent.get_or_insert(reason)),
            _ => return Ok(path),
        }
    }
    Err(absent.unwrap_or_default())
}

/// A folder on the card.
struct Folder {
    /// Relative to the storage path.
    name: String,
    /// The camera that records there, if there is one.
    camera: Option<String>,
}

/// The folders of cameras, the storage path itself, and possible folders of former cameras.
fn folders(config: &Config, root: &Path) -> Vec<Folder> {
    let mut folders: Vec<_> = config
        .camera
        .iter()
        .map(|it| Folder {
            name: it.folder().to_owned(),
            camera: Some(it.name.as_str().to_owned()),
        })
        .collect();
    let below = entries_of(root).into_iter().filter(|it| layout::may_be_folder(it));
    let mut others: Vec<_> = below.filter_map(|name| name.into_string().ok()).collect();
    others.sort();
    for name in std::iter::once(".".to_owned()).chain(others) {
        if !folders.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            folders.push(Folder { name, camera: None });
        }
    }
    folders
}

/// Assigns recordings to cameras by the rules of [`crate::storage::catalog`].
fn read_folder(folder: &Folder, path: &Path, entries: &mut Vec<ListEntry>) -> io::Result<()> {
    let names = match names_in(path) {
        Err(error) if folder.camera.is_none() && error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(());
        }
        names => names?,
    };
    let begin = entries.len();
    for name in names {
        let path = path.join(name.file_name());
        match read_file(name, &path) {
            Ok(entry) => entries.extend(entry),
            Err(error) => complain(format_args!("{}: {error}", path.display())),
        }
    }
    let own = entries.get_mut(begin..).unwrap_or_default();
    let last = own.iter().rev().find(|entry| !entry.camera.is_empty());
    let last = last.map(|entry| entry.camera.clone());
    let is_ours = folder.name == "." || folder.camera.is_some();
    if !is_ours && last.as_deref() != Some(&*folder.name) && !is_marked(path) {
        entries.truncate(begin); // copies made by a user
        return Ok(());
    }
    let root_of = if folder.name == "." { layout::NAMELESS } else { &*folder.name };
    let mut next = folder.camera.clone().or(last).unwrap_or_else(|| root_of.to_owned());
    for entry in own.iter_mut().rev() {
        if entry.camera.is_empty() {
            entry.camera.clone_from(&next);
        } else {
            next.clone_from(&entry.camera);
        }
    }
    Ok(())
}

/// Returns true if the folder has the marker that a camera leaves.
fn is_marked(folder: &Path) -> bool {
    entries_of(folder).iter().any(|file| layout::parse_highest_marker(file).is_some())
}

/// The readable recordings in a folder.
fn entries_of(folder: &Path) -> Vec<OsString> {
    block_on(async {
        match async_fs::read_dir(folder).await {
            Ok(entries) => entries.filter_map(Result::ok).map(|it| it.file_name()).collect().await,
            Err(_) => Vec::new(),
        }
    })
}

/// `None` for files that are not recordings, whatever their name.
fn read_file(name: Name, path: &Path) -> io::Result<Option<ListEntry>> {
    let file = match LinuxDisk.open(path, Access::Read) {
        Err(error) if is_foreign(&error) => return Ok(None),
        file => file?,
    };
    let metadata = file.metadata()?;
    let bytes = metadata.len();
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut entry = ListEntry {
        camera: String::new(),
        number: name.number(),
        file: name.file_name(),
        path: path.to_owned(),
        start_ms: i64::try_from(modified.as_millis()).unwrap_or(i64::MAX),
        clock_trusted: false,
        duration_ms: None,
        bytes,
        codec: None,
        mime: None,
        state: "damaged".into(),
    };
    let head = match scan::read_head_and_length(&|buffer, at| file.read_at(buffer, at), bytes) {
        Ok(head) => head,
        Err(FileState::Unreadable { error, .. }) => return Err(error),
        Err(_) => {
            let mut first = [0; 8];
            let count = file.read_at(&mut first, 0)?;
            let is_recording = layout::begins_with_ftyp(&first[..count]);
            return Ok(is_recording.then_some(entry));
        }
    };
    entry.duration_ms = head.duration.map(|duration| duration.as_millis());
    match &head.identity {
        Some(identity) => {
            entry.camera.clone_from(&identity.camera);
            entry.start_ms = identity.wall.0;
            entry.clock_trusted = identity.clock == ClockTrust::Trusted;
        }
        None => entry.start_ms -= entry.duration_ms.unwrap_or(0),
    }
    // Only our own files say where they should end.
    let is_cut = head.layout.is_some() && !head.is_closed(bytes);
    entry.state = if is_cut { "cut" } else { "whole" }.into();
    if let Some(video) = &head.video {
        entry.codec = Some(video.codec.name().into());
        entry.mime = Some(format!("video/mp4; codecs=\"{}\"", video.codecs));
    }
    Ok(Some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn listed(name: &str, bytes: &[u8]) -> Option<ListEntry> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), bytes).unwrap();
        let mut entries = Vec::new();
        let folder = Folder { name: ".".into(), camera: Some("yard".into()) };
        read_folder(&folder, directory.path(), &mut entries).unwrap();
        entries.pop()
    }

    #[test]
    fn a_recording_whose_head_is_broken_is_listed_as_damaged() {
        let entry = listed("014.mp4", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x08what").unwrap();
        assert_eq!((entry.number, &*entry.state, entry.duration_ms), (14, "damaged", None));
        assert!(entry.start_ms > 1_600_000_000_000, "the directory knows when it was written");
    }

    #[test]
    fn a_file_that_is_no_recording_is_not_listed_whatever_its_name() {
        assert!(listed("014.mp4", b"not a film").is_none());
        assert!(listed("014.mp4", b"").is_none());
        assert!(listed("14.mp4", b"\0\0\0\x10ftypisom\0\0\0\0").is_none());
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join("014.mp4")).unwrap();
        let mut entries = Vec::new();
        let folder = Folder { name: ".".into(), camera: Some("yard".into()) };
        read_folder(&folder, directory.path(), &mut entries).unwrap();
        assert!(entries.is_empty());
    }
}
