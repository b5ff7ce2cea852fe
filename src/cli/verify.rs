//! `smolnvr verify`: reads files to their last byte; with `--repair` mends those that are cut.

use super::{Arguments, Format, complain, print, print_json, seconds, shown, usage};
use crate::{
    mp4::scan::{self, Depth, Scan, State},
    storage::{
        disk::linux::LinuxDisk,
        layout::Name,
        segment::{self, Reach, Repaired},
    },
};
use serde::Serialize;
use std::{
    fs::{self, File},
    io,
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
    /// Up to here it plays.
    whole_bytes: u64,
    duration_ms: i64,
    fragments: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    repaired: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if arguments.operands.is_empty() {
        complain("verify what? `smolnvr verify --help`");
        return usage();
    }
    let mut verdicts = Vec::new();
    let mut all_whole = true;
    for operand in &arguments.operands {
        let files = match files(Path::new(operand)) {
            Ok(files) => files,
            Err(error) => {
                complain(&format!("{}: {error}", operand.display()));
                all_whole = false;
                continue;
            }
        };
        for file in files {
            let verdict = verify(&file, arguments.repair);
            all_whole &= verdict.state == "whole";
            match arguments.format {
                Format::Text => print(&line(&verdict)),
                Format::Json => verdicts.push(verdict),
            }
        }
    }
    if arguments.format == Format::Json {
        print_json(&verdicts);
    }
    if all_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The file itself, or every recording in a folder, by number.
fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut names: Vec<Name> =
        fs::read_dir(path)?.filter_map(|entry| Name::parse(&entry.ok()?.file_name())).collect();
    names.sort_unstable();
    Ok(names.into_iter().map(|name| path.join(name.file_name())).collect())
}

fn verify(path: &Path, repair: Repair) -> Verdict {
    let before = look(path);
    if repair == Repair::No || before.state != "cut" {
        return before;
    }
    match segment::repair(&LinuxDisk, path, Reach::All) {
        Ok(Repaired::Empty { .. }) => {
            Verdict { reason: Some("holds no whole fragment".into()), ..before }
        }
        Ok(_) => Verdict { repaired: true, ..look(path) },
        Err(error) => Verdict { reason: Some(format!("can not be repaired: {error}")), ..before },
    }
}

fn look(path: &Path) -> Verdict {
    let mut verdict = Verdict {
        file: shown(path),
        state: "damaged",
        bytes: 0,
        whole_bytes: 0,
        duration_ms: 0,
        fragments: 0,
        reason: None,
        repaired: false,
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
    verdict.state = match scan.state {
        State::Whole => "whole",
        State::Cut => "cut",
        State::Damaged(damage) => {
            verdict.reason = Some(damage.to_string());
            "damaged"
        }
        State::Unreadable { at, error } => {
            verdict.reason = Some(format!("can not be read at byte {at}: {error}"));
            "damaged"
        }
    };
    verdict
}

fn read(path: &Path) -> io::Result<(u64, Scan)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((bytes, scan::scan(&|buffer, at| file.read_at(buffer, at), bytes, Depth::Full)))
}

fn line(verdict: &Verdict) -> String {
    let Verdict { file, state, bytes, whole_bytes, .. } = verdict;
    let length = seconds(verdict.duration_ms);
    let reason = verdict.reason.as_deref().unwrap_or_default();
    match *state {
        "whole" if verdict.repaired => format!("{file}: repaired, whole, {length}\n"),
        "whole" => format!("{file}: whole, {length}\n"),
        "cut" => format!(
            "{file}: cut short, plays {length} up to byte {whole_bytes} of {bytes} {reason}\n"
        ),
        _ => format!("{file}: damaged, plays {length}: {reason}\n"),
    }
}
