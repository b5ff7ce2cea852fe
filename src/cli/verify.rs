//! `smolnvr verify`: reads files completely, and repairs files cut short with `--repair`.

use super::{Arguments, Format, Usage, client, complain, names_in, print, print_json, seconds};
use crate::{
    daemon::{self, Lock},
    mp4::scan::{self, Depth, FileState, Scan},
    storage::{
        disk::{
            Access, Disk as _,
            linux::{self, LinuxDisk},
        },
        layout::Name,
        segment::{self, Reach, Repaired},
    },
};
use serde::Serialize;
use serde_json::Value;
use std::{
    fs, io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    Yes,
    No,
}

#[derive(Serialize)]
struct Verdict {
    file: String,
    state: &'static str,
    bytes: u64,
    /// It is playable up to here.
    whole_bytes: u64,
    duration_ms: i64,
    fragments: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The camera named in the file.
    #[serde(skip)]
    camera: Option<String>,
    repaired: bool,
    /// Bytes removed by the repair.
    removed_bytes: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    if arguments.operands.is_empty() {
        return Err(Usage("verify what?".into()));
    }
    let repair = arguments.repair.unwrap_or(Repair::No);
    let _lock = match repair {
        Repair::No => None,
        Repair::Yes => match lock_out_daemon(arguments) {
            Ok(lock) => lock,
            Err(status) => return Ok(status),
        },
    };
    let written = match repair {
        Repair::No => Written::ask(arguments),
        Repair::Yes => Written::default(),
    };
    let mut verdicts = Vec::new();
    let mut all_whole = true;
    for operand in &arguments.operands {
        let path = Path::new(operand);
        let listed = match repair {
            Repair::No => files(path).map(|files| (None, files)),
            Repair::Yes => hold(path).and_then(|held| Ok((Some(held), files(path)?))),
        };
        let (_held, files) = match listed {
            Ok(files) => files,
            Err(error) => {
                complain(format_args!("{}: {error}", operand.display()));
                all_whole = false;
                continue;
            }
        };
        for file in files {
            let mut verdict = verify(&file, repair);
            if verdict.state == "cut" && written.holds(&file, &verdict) {
                verdict.state = "recording";
            }
            all_whole &= matches!(verdict.state, "whole" | "recording");
            match arguments.format() {
                Format::Text => print(&line(&verdict)),
                Format::Json => verdicts.push(verdict),
            }
        }
    }
    if arguments.format() == Format::Json {
        print_json(&verdicts);
    }
    Ok(if all_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A file being written looks like one cut short, so the daemon must not be running.
fn lock_out_daemon(arguments: &Arguments) -> Result<Option<Lock>, ExitCode> {
    let socket = arguments.socket.clone().unwrap_or_else(daemon::runtime_path);
    match Lock::share(&socket) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            complain("smolnvr is running and may be writing these files: stop it first");
            Err(ExitCode::FAILURE)
        }
        // If no lock file can be created, no daemon of this user is running either.
        lock => Ok(lock.ok()),
    }
}

/// Locks the folder of a file, or a folder, against every other recorder: also against a daemon
/// with another socket, or on a machine that shares the files.
fn hold(path: &Path) -> io::Result<linux::OpenFolder> {
    let is_folder = fs::metadata(path)?.is_dir();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = if is_folder { path } else { parent.unwrap_or(Path::new(".")) };
    LinuxDisk.hold(folder, None).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::other("smolnvr is recording into this folder: stop it first")
        }
        _ => error,
    })
}

/// What the running daemon is writing.
#[derive(Default)]
struct Written {
    /// The storage path.
    root: Option<PathBuf>,
    /// Cameras and the numbers of their open files.
    files: Vec<(String, u32)>,
}

impl Written {
    /// Empty if no daemon is running.
    fn ask(arguments: &Arguments) -> Written {
        let reply = client::request(&client::socket(arguments), "GET", "/api/status", None);
        let status = reply.map_or(Value::Null, |reply| reply.json());
        let root = status["storage"]["path"].as_str();
        let files = status["cameras"].as_array().into_iter().flatten().filter_map(|camera| {
            let number = u32::try_from(camera["segment"].as_u64()?).ok()?;
            Some((camera["name"].as_str()?.to_owned(), number))
        });
        let root = root.and_then(|root| fs::canonicalize(root).ok());
        Written { root, files: files.collect() }
    }

    fn holds(&self, file: &Path, verdict: &Verdict) -> bool {
        let (Some(root), Some(name)) = (&self.root, file.file_name().and_then(Name::parse)) else {
            return false;
        };
        let is_below = fs::canonicalize(file).is_ok_and(|file| file.starts_with(root));
        let is_it = |(camera, number): &(String, u32)| {
            *number == name.number() && verdict.camera.as_ref().is_none_or(|it| it == camera)
        };
        is_below && self.files.iter().any(is_it)
    }
}

/// Returns the file itself, or all recordings in a folder, by number.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    Ok(names_in(path)?.into_iter().map(|name| path.join(name.file_name())).collect())
}

fn verify(path: &Path, repair: Repair) -> Verdict {
    let before = look(path);
    if repair == Repair::No || before.state != "cut" {
        return before;
    }
    match segment::repair(&LinuxDisk, path, Reach::All) {
        Ok(Repaired::Mended { removed_bytes, .. }) => {
            Verdict { repaired: true, removed_bytes, ..look(path) }
        }
        Ok(Repaired::Whole { .. }) => look(path),
        Ok(Repaired::Empty { .. }) => {
            Verdict { reason: Some("it contains no complete fragment".into()), ..before }
        }
        Ok(Repaired::Unreadable { at, error, .. }) => {
            Verdict { reason: Some(format!("it cannot be read at byte {at}: {error}")), ..before }
        }
        Err(error) => Verdict { reason: Some(format!("it cannot be repaired: {error}")), ..before },
    }
}

fn look(path: &Path) -> Verdict {
    let mut verdict = Verdict {
        file: path.display().to_string(),
        state: "damaged",
        bytes: 0,
        whole_bytes: 0,
        duration_ms: 0,
        fragments: 0,
        reason: None,
        camera: None,
        repaired: false,
        removed_bytes: 0,
    };
    let scan = match read(path) {
        Ok((bytes, scan)) => {
            verdict.bytes = bytes;
            scan
        }
        Err(error) => {
            verdict.reason = Some(error.to_string());
            return verdict;
        }
    };
    verdict.whole_bytes = scan.whole_bytes;
    verdict.duration_ms = scan.duration.as_millis();
    verdict.fragments = scan.fragments;
    verdict.camera = scan.head.and_then(|head| head.identity).map(|identity| identity.camera);
    verdict.state = match scan.state {
        FileState::Whole => "whole",
        FileState::Cut => "cut",
        FileState::Damaged(damage) => {
            verdict.reason = Some(damage.to_string());
            "damaged"
        }
        FileState::Unreadable { at, error } => {
            verdict.reason = Some(format!("it cannot be read at byte {at}: {error}"));
            "damaged"
        }
    };
    verdict
}

fn read(path: &Path) -> io::Result<(u64, Scan)> {
    let file = LinuxDisk.open(path, Access::Read)?;
    let bytes = file.metadata()?.len();
    Ok((bytes, scan::scan(&|buffer, at| file.read_at(buffer, at), bytes, Depth::Full)))
}

fn line(verdict: &Verdict) -> String {
    let Verdict { file, state, bytes, whole_bytes, removed_bytes, .. } = verdict;
    let length = seconds(verdict.duration_ms);
    let reason = verdict.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    match *state {
        "whole" if verdict.repaired => {
            format!("{file}: repaired, {removed_bytes} bytes cut off, whole, {length}\n")
        }
        state @ ("whole" | "recording") => format!("{file}: {state}, {length}\n"),
        "cut" => {
            let left = bytes.saturating_sub(*whole_bytes);
            format!(
                "{file}: cut short, plays {length}, followed by {left} of {bytes} bytes{reason}\n"
            )
        }
        _ => format!("{file}: damaged, plays {length}{reason}\n"),
    }
}
