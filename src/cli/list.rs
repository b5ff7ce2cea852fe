//! `smolnvr list`: the recordings on the card, read from the files alone.

use super::{Arguments, Format, complain, print, print_json, seconds, usage};
use crate::{
    mp4::{identity::Clock, scan},
    storage::layout::Name,
};
use serde::Serialize;
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    process::ExitCode,
};

/// One recording, as in `/api/recordings`.
#[derive(Serialize)]
struct Entry<'a> {
    camera: &'a str,
    number: u32,
    file: String,
    start_ms: Option<i64>,
    clock_trusted: bool,
    duration_ms: Option<i64>,
    bytes: u64,
    state: &'static str,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let config = match arguments.read_config() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let wanted = match arguments.operands.as_slice() {
        [] => None,
        [name] => Some(name.to_string_lossy()),
        _ => {
            complain("one camera at most");
            return usage();
        }
    };
    if let Some(name) = &wanted
        && !config.camera.iter().any(|camera| camera.name.as_str() == name)
    {
        complain(&format!("no camera is called {name:?}"));
        return ExitCode::FAILURE;
    }
    let Some(root) = config.storage.path.0.iter().find(|path| path.is_dir()) else {
        complain(&format!("{}: no such folder", config.storage.path.0[0].display()));
        return ExitCode::FAILURE;
    };
    let mut entries = Vec::new();
    for (index, camera) in config.camera.iter().enumerate() {
        let name = camera.name.as_str();
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let folder = if index == 0 { root.clone() } else { root.join(name) };
        if let Err(error) = read_folder(name, &folder, &mut entries)
            && error.kind() != io::ErrorKind::NotFound
        {
            complain(&format!("{}: {error}", folder.display()));
            return ExitCode::FAILURE;
        }
    }
    match arguments.format {
        Format::Json => print_json(&entries),
        Format::Text => entries.iter().for_each(|entry| print(&line(entry))),
    }
    ExitCode::SUCCESS
}

fn read_folder<'a>(camera: &'a str, folder: &Path, entries: &mut Vec<Entry<'a>>) -> io::Result<()> {
    let mut names: Vec<Name> =
        fs::read_dir(folder)?.filter_map(|entry| Name::parse(&entry.ok()?.file_name())).collect();
    names.sort_unstable();
    for name in names {
        let path = folder.join(name.file_name());
        if let Some(entry) = read_file(camera, name, &path) {
            entries.push(entry);
        }
    }
    Ok(())
}

/// `None` for what is no recording, whatever its name.
fn read_file<'a>(camera: &'a str, name: Name, path: &Path) -> Option<Entry<'a>> {
    let file = File::open(path).ok()?;
    let bytes = file.metadata().ok()?.len();
    let head = scan::read_head(&|buffer, at| file.read_at(buffer, at), bytes).ok()?;
    let identity = head.identity.as_ref();
    Some(Entry {
        camera,
        number: name.number(),
        file: name.file_name(),
        start_ms: identity.map(|identity| identity.wall.0),
        clock_trusted: identity.is_some_and(|identity| identity.clock == Clock::Trusted),
        duration_ms: head.duration.map(|duration| duration.as_millis()),
        bytes,
        state: if head.is_closed(bytes) { "whole" } else { "cut" },
    })
}

fn line(entry: &Entry<'_>) -> String {
    let start = match entry.start_ms {
        Some(millis) => crate::units::WallTime(millis).to_string(),
        None => "-".to_owned(),
    };
    let mark = if entry.clock_trusted { ' ' } else { '?' };
    let length = entry.duration_ms.map_or_else(|| "-".to_owned(), seconds);
    let kilobytes = entry.bytes / 1024;
    let Entry { camera, file, state, .. } = entry;
    format!("{camera}\t{file}\t{start}{mark}\t{length:>8}\t{kilobytes:>8} KB\t{state}\n")
}
