//! What was typed → what it means. An option that a command does not take is an error, and so is one
//! that is given twice.

use super::{COMMANDS, Command, Format, complain, verify::Repair, wrong_usage};
use crate::{config::Config, daemon::Recording};
use lexopt::{Arg, Parser};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

#[derive(Default)]
pub(super) struct Arguments {
    pub command: Option<&'static Command>,
    /// What follows the command and is no option.
    pub operands: Vec<OsString>,
    pub config: Option<PathBuf>,
    pub socket: Option<PathBuf>,
    pub recording: Option<Recording>,
    pub format: Option<Format>,
    pub repair: Option<Repair>,
    pub help: bool,
    pub version: bool,
}

/// What is wrong with the arguments, in words.
#[derive(Debug)]
pub(super) struct Usage(pub String);

impl Arguments {
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, Usage> {
        let mut parser = Parser::from_args(arguments);
        let mut parsed = Arguments::default();
        let mut given = Vec::new();
        while let Some(argument) = parser.next()? {
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
                "no-record" => parsed.recording = Some(Recording::Off),
                "json" => parsed.format = Some(Format::Json),
                _ => parsed.repair = Some(Repair::Yes),
            }
        }
        parsed.check_options(&given)?;
        Ok(parsed)
    }

    fn check_options(&self, given: &[&str]) -> Result<(), Usage> {
        let Some(command) = self.command else { return Ok(()) };
        match given.iter().find(|option| !command.options.contains(option)) {
            Some(option) => Err(Usage(format!("`{}` takes no --{option}", command.name))),
            None => Ok(()),
        }
    }

    /// For commands without operands.
    pub fn no_operand(&self) -> Result<(), Usage> {
        self.operand().and_then(|operand| match operand {
            None => Ok(()),
            Some(operand) => Err(Usage(format!("{operand:?} is one word too many"))),
        })
    }

    /// For commands with one operand at most.
    pub fn operand(&self) -> Result<Option<&OsString>, Usage> {
        match self.operands.as_slice() {
            [] => Ok(None),
            [operand] => Ok(Some(operand)),
            [_, second, ..] => Err(Usage(format!("{second:?} is one word too many"))),
        }
    }

    pub fn format(&self) -> Format {
        self.format.unwrap_or(Format::Text)
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| PathBuf::from("/etc/smolnvr.toml"))
    }

    /// The configuration, or the exit status once it was said what is wrong with it.
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
    found.ok_or_else(|| Usage(format!("no command is called {name:?}")))
}

fn long_option(name: &str) -> Option<&'static str> {
    ["config", "socket", "no-record", "json", "repair"].into_iter().find(|option| *option == name)
}

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
    fn what_makes_no_sense_is_refused_by_name() {
        for (line, words) in [
            ("check --repair", "`check` takes no --repair"),
            ("verify --no-record a.mp4", "`verify` takes no --no-record"),
            ("probe -c x rtsp://a/", "`probe` takes no --config"),
            ("run -c a -c b", "--config is given twice"),
            ("run --json=x", "--json"),
            ("run -c", "missing argument"),
            ("run --recrod", "--recrod"),
            ("run -x", "-x"),
            ("rnu", "no command is called \"rnu\""),
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
