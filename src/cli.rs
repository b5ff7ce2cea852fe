//! The commands: arguments in, text or JSON and an exit status out.
//!
//! 0: done; 1: the thing asked about is not so; 2: wrong usage or configuration.

mod help;
mod list;
mod probe;
mod verify;

use crate::{
    config::Config,
    daemon::{self, Lock, Recording},
    logger,
    storage::disk::{Disk, Mount, linux::LinuxDisk},
};
use lexopt::{Arg, Parser, ValueExt as _};
use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Runs one command.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            complain(&format!("{error}; try `smolnvr --help`"));
            return usage();
        }
    };
    if arguments.help {
        print(help::of(arguments.command.as_deref()));
        return ExitCode::SUCCESS;
    }
    let Some(command) = arguments.command.as_deref() else {
        complain("which command? try `smolnvr --help`");
        return usage();
    };
    match command {
        "version" => {
            print(concat!("smolnvr ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        "run" => arguments.none_left().and_then(|()| run(&arguments)),
        "check" => arguments.none_left().and_then(|()| check(&arguments)),
        "probe" => probe::run(&arguments),
        "list" => list::run(&arguments),
        "verify" => verify::run(&arguments),
        unknown => {
            complain(&format!("no command is called {unknown:?}; try `smolnvr --help`"));
            usage()
        }
    }
}

/// What was typed.
struct Arguments {
    command: Option<String>,
    /// What follows the command and is no option.
    operands: Vec<OsString>,
    config: PathBuf,
    socket: Option<PathBuf>,
    recording: Recording,
    format: Format,
    repair: verify::Repair,
    help: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

impl Arguments {
    fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, lexopt::Error> {
        let mut parser = Parser::from_args(arguments);
        let mut parsed = Arguments {
            command: None,
            operands: Vec::new(),
            config: PathBuf::from("/etc/smolnvr.toml"),
            socket: None,
            recording: Recording::AsConfigured,
            format: Format::Text,
            repair: verify::Repair::No,
            help: false,
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => parsed.help = true,
                Arg::Short('V') | Arg::Long("version") => parsed.command = Some("version".into()),
                Arg::Short('c') | Arg::Long("config") => parsed.config = parser.value()?.into(),
                Arg::Long("socket") => parsed.socket = Some(parser.value()?.into()),
                Arg::Long("no-record") => parsed.recording = Recording::Off,
                Arg::Long("json") => parsed.format = Format::Json,
                Arg::Long("repair") => parsed.repair = verify::Repair::Yes,
                Arg::Value(value) if parsed.command.is_none() => {
                    parsed.command = Some(value.string()?);
                }
                Arg::Value(value) => parsed.operands.push(value),
                other => return Err(other.unexpected()),
            }
        }
        Ok(parsed)
    }

    fn none_left(&self) -> Attempt {
        match self.operands.first() {
            None => Attempt::Go,
            Some(operand) => {
                complain(&format!("{operand:?} is one word too many; try `smolnvr --help`"));
                Attempt::Stop(usage())
            }
        }
    }

    fn read_config(&self) -> Result<Config, ExitCode> {
        Config::read(&self.config).map_err(|error| {
            complain(&error.to_string());
            usage()
        })
    }
}

/// Whether a command goes on.
enum Attempt {
    Go,
    Stop(ExitCode),
}

impl Attempt {
    fn and_then(self, next: impl FnOnce(()) -> ExitCode) -> ExitCode {
        match self {
            Attempt::Go => next(()),
            Attempt::Stop(status) => status,
        }
    }
}

fn run(arguments: &Arguments) -> ExitCode {
    let config = match arguments.read_config() {
        Ok(config) => config,
        Err(status) => return status,
    };
    logger::start(config.log.level.0);
    let socket = arguments.socket.clone().unwrap_or_else(daemon::runtime_path);
    let _lock = match Lock::take(&socket) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            complain("another smolnvr runs already");
            return ExitCode::FAILURE;
        }
        Err(error) => {
            complain(&format!("{}: {error}", socket.with_extension("lock").display()));
            return ExitCode::FAILURE;
        }
    };
    match daemon::run(&arguments.config, config, arguments.recording) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Says what `run` would do.
fn check(arguments: &Arguments) -> ExitCode {
    let config = match arguments.read_config() {
        Ok(config) => config,
        Err(status) => return status,
    };
    let settings = daemon::settings(&config);
    let mut text = format!("{}: ok\n", arguments.config.display());
    for path in &settings.paths {
        let state = match LinuxDisk.mount(path, settings.require_mount) {
            Mount::Writable => "writable".to_owned(),
            Mount::ReadOnly => "read-only".to_owned(),
            Mount::Absent(reason) => reason,
        };
        text += &format!("storage: {}: {state}\n", path.display());
    }
    for camera in config.camera.iter() {
        let record =
            if camera.record { "recorded from start-up on" } else { "not recorded until told to" };
        text += &format!("camera {}: {}, {record}\n", camera.name.as_str(), camera.url.0);
    }
    if config.camera.is_empty() {
        text += "no camera: add a [[camera]] section\n";
    }
    print(&text);
    ExitCode::SUCCESS
}

/// Writes to standard output; a reader that has gone is no error.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

fn print_json(value: &impl serde::Serialize) {
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    print(&text);
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "smolnvr: {message}");
}

/// Seconds with one decimal, as in every table.
fn seconds(millis: i64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Wrong usage or configuration.
fn usage() -> ExitCode {
    ExitCode::from(2)
}
