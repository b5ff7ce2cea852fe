//! The commands: arguments in, text or JSON and an exit status out.

mod arguments;
mod check;
mod client;
mod export;
mod find;
mod help;
mod keep;
mod list;
mod marks;
mod moment;
mod passwd;
#[cfg(feature = "pictures")]
mod picture;
mod probe;
mod record;
mod run;
mod status;
mod supervise;
mod verify;

use self::arguments::{Arguments, Usage};
use crate::{
    process,
    storage::{
        disk::{Disk as _, Kind, linux::LinuxDisk},
        layout::Name,
    },
    sys,
};
use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::Path,
    process::{ExitCode, exit},
};

/// Runs one command.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    sys::free_at_once();
    let arguments: Vec<_> = arguments.into_iter().collect();
    if let Some(ended) = process::launch(&arguments).or_else(|| supervise::supervise(&arguments)) {
        return ended;
    }
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(wrong) => return refuse(&wrong),
    };
    if arguments.help {
        print(arguments.command.map_or(help::PROGRAM, |command| command.help));
        return ExitCode::SUCCESS;
    }
    if arguments.version {
        print(concat!("smolnvr ", env!("CARGO_PKG_VERSION"), "\n"));
        return ExitCode::SUCCESS;
    }
    match arguments.command {
        Some(command) => (command.run)(&arguments).unwrap_or_else(|wrong| refuse(&wrong)),
        None => refuse(&Usage("which command?".into())),
    }
}

/// A command and its options.
struct Command {
    name: &'static str,
    /// Long names of its options, besides `--help`.
    options: &'static [&'static str],
    help: &'static str,
    run: fn(&Arguments) -> Result<ExitCode, Usage>,
}

static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        options: &["config", "no-record", "socket"],
        help: help::RUN,
        run: run::run,
    },
    Command { name: "check", options: &["config"], help: help::CHECK, run: check::run },
    Command { name: "status", options: &["json", "socket"], help: help::STATUS, run: status::run },
    Command { name: "record", options: &["socket"], help: help::RECORD, run: record::run },
    Command {
        name: "shutdown",
        options: &["socket"],
        help: help::SHUTDOWN,
        run: record::shut_down,
    },
    Command {
        name: "passwd",
        options: &["config", "socket"],
        help: help::PASSWD,
        run: passwd::run,
    },
    Command { name: "find", options: &["user", "json"], help: help::FIND, run: find::run },
    Command { name: "probe", options: &["json"], help: help::PROBE, run: probe::run },
    Command {
        name: "list",
        options: &["from", "to", "last", "config", "socket", "json"],
        help: help::LIST,
        run: list::run,
    },
    Command {
        name: "export",
        options: &["output", "key-frames", "config", "socket"],
        help: help::EXPORT,
        run: export::run,
    },
    Command { name: "keep", options: &["off", "socket"], help: help::KEEP, run: keep::run },
    Command {
        name: "mark",
        options: &["on", "off", "from", "to", "json", "socket"],
        help: help::MARK,
        run: marks::mark,
    },
    Command {
        name: "events",
        options: &["from", "to", "last", "follow", "json", "socket"],
        help: help::EVENTS,
        run: marks::events,
    },
    Command {
        name: "verify",
        options: &["repair", "socket", "json"],
        help: help::VERIFY,
        run: verify::run,
    },
    #[cfg(feature = "pictures")]
    Command { name: "picture", options: &[], help: help::PICTURE, run: picture::run },
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Text,
    Json,
}

/// Reports wrong usage and where to read more.
fn refuse(Usage(wrong): &Usage) -> ExitCode {
    complain(format_args!("{wrong}; try `smolnvr --help`"));
    wrong_usage()
}

/// Wrong usage or configuration.
fn wrong_usage() -> ExitCode {
    ExitCode::from(2)
}

/// Writes to standard output. If its reader is gone (`| head`), there is nothing left to do.
fn print(text: &str) {
    print_bytes(text.as_bytes());
}

fn print_bytes(bytes: &[u8]) {
    if let Err(error) = io::stdout().write_all(bytes) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            exit(0);
        }
        complain(format_args!("standard output: {error}"));
        exit(1);
    }
}

fn print_json(value: &impl serde::Serialize) {
    // Numbers, text and lists cannot fail.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    print(&text);
}

fn complain(message: impl std::fmt::Display) {
    // If standard error is closed, nobody can be told.
    let _ = writeln!(io::stderr(), "smolnvr: {message}");
}

/// Lists the recordings in a folder by number, from their names only.
fn names_in(folder: &Path) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    LinuxDisk.list(folder, &mut |file, kind| {
        names.extend(Name::parse(file).filter(|_| kind == Kind::RegularFile));
    })?;
    names.sort_unstable();
    Ok(names)
}

/// Formats seconds with one decimal, as in every table.
fn seconds(millis: i64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}
