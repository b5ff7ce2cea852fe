//! Parses the command line. Options a command does not take, and repeated options, are errors.

use super::{
    COMMANDS, Command, Format, client, complain, keep::Keep, moment, verify::Repair, wrong_usage,
};
use crate::{
    clip::Selection, clock, config::Config, daemon::InitialRecording, units::WallTime, zone::Zone,
};
use lexopt::{Arg, Parser, ValueExt as _};
use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::ExitCode,
};

#[derive(Default)]
pub(super) struct Arguments {
    pub command: Option<&'static Command>,
    /// Operands after the command.
    pub operands: Vec<OsString>,
    pub config: Option<PathBuf>,
    pub socket: Option<PathBuf>,
    pub recording: Option<InitialRecording>,
    pub format: Option<Format>,
    pub repair: Option<Repair>,
    pub output: Option<PathBuf>,
    pub selection: Option<Selection>,
    pub keep: Option<Keep>,
    /// As typed.
    pub from: Option<String>,
    pub to: Option<String>,
    pub last: Option<usize>,
    pub follow: bool,
    pub user: Option<String>,
    pub help: bool,
    pub version: bool,
}

/// Why the arguments are invalid.
#[derive(Debug)]
pub(super) struct Usage(pub String);

impl Arguments {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Usage> {
        let mut parser = Parser::from_args(arguments);
        let mut parsed = Arguments::default();
        let mut given = Vec::new();
        loop {
            // `-10m` is a time, not an option.
            if let Some(mut raw) = parser.try_raw_args()
                && raw.peek().is_some_and(is_negative)
            {
                parsed.operands.extend(raw.next());
                continue;
            }
            let Some(argument) = parser.next()? else { break };
            let option = match argument {
                Arg::Short('h') | Arg::Long("help") => {
                    parsed.help = true;
                    continue;
                }
                Arg::Short('V') | Arg::Long("version") => {
                    parsed.version = true;
                    continue;
                }
                Arg::Value(value) if parsed.command.is_none() => {
                    parsed.command = Some(command(&value)?);
                    continue;
                }
                Arg::Value(value) => {
                    parsed.operands.push(value);
                    continue;
                }
                Arg::Short('c') => "config",
                Arg::Short('o') => "output",
                Arg::Long(name) => long_option(name).ok_or_else(|| argument.unexpected())?,
                Arg::Short(_) => return Err(argument.unexpected().into()),
            };
            if given.contains(&option) {
                return Err(Usage(format!("--{option} is given twice")));
            }
            given.push(option);
            match option {
                "config" => parsed.config = Some(parser.value()?.into()),
                "socket" => parsed.socket = Some(parser.value()?.into()),
                "no-record" => parsed.recording = Some(InitialRecording::Off),
                "json" => parsed.format = Some(Format::Json),
                "repair" => parsed.repair = Some(Repair::Yes),
                "output" => parsed.output = Some(parser.value()?.into()),
                "key-frames" => parsed.selection = Some(Selection::KeyFrames),
                "from" => parsed.from = Some(parser.value()?.string()?),
                "to" => parsed.to = Some(parser.value()?.string()?),
                "user" => parsed.user = Some(parser.value()?.string()?),
                "last" => parsed.last = Some(parser.value()?.parse()?),
                "follow" => parsed.follow = true,
                "on" => parsed.keep = Some(Keep::On),
                _ => parsed.keep = Some(Keep::Off),
            }
        }
        parsed.check_options(&given)?;
        Ok(parsed)
    }

    fn check_options(&self, given: &[&str]) -> Result<(), Usage> {
        let Some(command) = self.command else { return Ok(()) };
        match given.iter().find(|option| !command.options.contains(option)) {
            Some(option) => Err(Usage(format!("`{}` has no option --{option}", command.name))),
            None => Ok(()),
        }
    }

    /// Checks that there are no operands.
    pub fn no_operand(&self) -> Result<(), Usage> {
        self.operand().and_then(|operand| match operand {
            None => Ok(()),
            Some(operand) => Err(Usage(format!("unexpected argument {operand:?}"))),
        })
    }

    /// Returns the operand of a command that takes at most one.
    pub fn operand(&self) -> Result<Option<&OsString>, Usage> {
        match self.operands.as_slice() {
            [] => Ok(None),
            [operand] => Ok(Some(operand)),
            [_, second, ..] => Err(Usage(format!("unexpected argument {second:?}"))),
        }
    }

    /// Returns the operands of a command that takes a camera and a time: `CAMERA FROM TO`.
    pub fn camera_and_span(&self, zone: &Zone) -> Result<(&str, WallTime, WallTime), Usage> {
        let [camera, from, to] = self.operands.as_slice() else {
            return Err(Usage("expected CAMERA FROM TO".into()));
        };
        let name = camera.to_str().filter(|name| client::is_camera_name(name));
        let name = name.ok_or_else(|| Usage(format!("{camera:?} is not a valid camera name")))?;
        let [from, to] = [from, to].map(|operand| operand.to_string_lossy());
        let (from, to) = moment::span(&from, &to, clock::now(), zone)?;
        Ok((name, from, to))
    }

    /// Returns true if the running daemon may be asked; an explicit configuration takes precedence
    /// over it.
    pub fn asks_daemon(&self) -> bool {
        self.config.is_none() || self.socket.is_some()
    }

    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::Text)
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from("/etc/smolnvr.toml"))
    }

    /// Reads the configuration; on failure reports the error and returns the exit status.
    pub fn read_config(&self) -> Result<Config, ExitCode> {
        Config::read(&self.config_file()).map_err(|error| {
            complain(error);
            wrong_usage()
        })
    }
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Usage {
        Usage(error.to_string())
    }
}

fn command(name: &OsString) -> Result<&'static Command, Usage> {
    let found = COMMANDS.iter().find(|command| command.name == name.as_os_str());
    found.ok_or_else(|| Usage(format!("there is no command {name:?}")))
}

fn long_option(name: &str) -> Option<&'static str> {
    OPTIONS.into_iter().find(|option| *option == name)
}

fn is_negative(argument: &OsStr) -> bool {
    matches!(argument.as_encoded_bytes(), [b'-', digit, ..] if digit.is_ascii_digit())
}

const OPTIONS: [&str; 14] = [
    "config",
    "socket",
    "no-record",
    "json",
    "repair",
    "output",
    "key-frames",
    "from",
    "to",
    "last",
    "follow",
    "on",
    "user",
    "off",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(OsString::from)).map_err(|Usage(wrong)| wrong)
    }

    #[test]
    fn options_may_stand_before_and_behind_the_command() {
        for line in ["-c x.toml run", "run -cx.toml", "run --config=x.toml"] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.command.unwrap().name, "run");
            assert_eq!(arguments.config_file(), PathBuf::from("x.toml"));
        }
        assert_eq!(parse("verify -- --json").unwrap().operands, ["--json"]);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (line, words) in [
            ("check --repair", "`check` has no option --repair"),
            ("verify --no-record a.mp4", "`verify` has no option --no-record"),
            ("probe -c x rtsp://a/", "`probe` has no option --config"),
            ("run -c a -c b", "--config is given twice"),
            ("run --json=x", "--json"),
            ("run -c", "missing argument"),
            ("run --recrod", "--recrod"),
            ("run -x", "-x"),
            ("rnu", "there is no command \"rnu\""),
        ] {
            let wrong = parse(line).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert!(wrong.contains(words), "{line}: {wrong}");
        }
    }

    #[test]
    fn every_option_of_a_command_is_known_and_stands_in_its_help() {
        for command in COMMANDS {
            for option in command.options {
                assert!(long_option(option).is_some(), "{option}");
                assert!(command.help.contains(&format!("--{option}")), "{} {option}", command.name);
            }
            assert!(command.help.contains("EXIT STATUS"), "{}", command.name);
            assert!(
                command.help.lines().all(|line| line.chars().count() <= 80),
                "{}",
                command.name
            );
        }
    }
}
