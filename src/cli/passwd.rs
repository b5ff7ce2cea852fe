//! `smolnvr passwd`: sets the password of the page.
//!
//! A running daemon sets it itself, or notices that its file has changed: it takes effect at once
//! and ends all sessions.

use super::{
    Arguments, Usage,
    client::{self, ClientError},
    complain, print,
};
use crate::{
    limits,
    web::access::{
        password::{self, LENGTH, PasswordHash},
        secret,
    },
};
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use serde_json::json;
use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    process::ExitCode,
};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    arguments.no_operand()?;
    let result = new_password().and_then(|password| set(arguments, &password));
    Ok(match result {
        Ok(done) => {
            print(done);
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(why);
            ExitCode::FAILURE
        }
    })
}

/// Sets the password and returns the effect, or why it failed.
fn set(arguments: &Arguments, password: &str) -> Result<&'static str, String> {
    // An explicit file takes precedence over the daemon's.
    if arguments.config.is_some() {
        write(arguments, password)?;
        return Ok("the password is set, also for a daemon running with this file\n");
    }
    let body = json!({"password": password});
    match client::request(&client::socket(arguments), "PUT", "/api/password", Some(&body)) {
        Ok(reply) if reply.status == 200 => Ok("the password is set, all sessions have ended\n"),
        Ok(reply) => {
            let reason = reply.json();
            let reason = reason.get("error").and_then(serde_json::Value::as_str);
            Err(reason.unwrap_or("the daemon refused the password").to_owned())
        }
        Err(ClientError::NoDaemon(_)) => {
            write(arguments, password)?;
            Ok("the password is set\n")
        }
        Err(failure) => Err(failure.to_string()),
    }
}

fn write(arguments: &Arguments, password: &str) -> Result<(), String> {
    let random = secret::random().ok_or("the system provides no random bytes")?;
    let salt = random.first_chunk().ok_or("the system provides too few random bytes")?;
    let file = password::path(&arguments.config_file());
    let hash = PasswordHash::new(password.as_bytes(), *salt);
    password::write(&file, &hash).map_err(|error| format!("{}: {error}", file.display()))
}

/// Asks twice on a terminal; otherwise reads the first line.
fn new_password() -> Result<String, String> {
    if !io::stdin().is_terminal() {
        let line = line().map_err(|error| format!("standard input: {error}"))?;
        return checked(&line);
    }
    let first = checked(&ask("New password: ")?)?;
    if ask("Repeat the password: ")? != first {
        return Err("the passwords differ: nothing was changed".into());
    }
    Ok(first)
}

fn checked(password: &str) -> Result<String, String> {
    if password.contains(char::is_control) {
        return Err("a password has no control characters: nothing was changed".into());
    }
    if !LENGTH.contains(&password.chars().count()) {
        let (least, most) = (LENGTH.start(), LENGTH.end());
        return Err(format!("a password has {least} to {most} characters: nothing was changed"));
    }
    Ok(password.to_owned())
}

/// Asks on the terminal, without showing what is typed.
pub(super) fn ask(prompt: &str) -> Result<String, String> {
    let failed = |error: io::Error| format!("terminal: {error}");
    let silence = Silence::begin().map_err(failed)?;
    io::stderr().write_all(prompt.as_bytes()).map_err(failed)?;
    let line = line().map_err(failed)?;
    drop(silence);
    if line.ends_with(CONTROL_C) {
        // The interrupted line has not been ended.
        let _ = io::stderr().write_all(b"\n");
        return Err("nothing was changed".into());
    }
    Ok(line)
}

/// Reads one line without its end.
pub(super) fn line() -> io::Result<String> {
    let mut line = Vec::new();
    let mut input = io::stdin().lock().take(limits::PASSWORD_LINE_BYTES_MAX as u64);
    // Byte by byte, because an interrupt can end a line without a line feed.
    loop {
        let byte = match input.fill_buf()? {
            [] => break,
            [byte, ..] => *byte,
        };
        input.consume(1);
        match byte {
            b'\n' => break,
            byte => line.push(byte),
        }
        if byte == CONTROL_C as u8 {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no UTF-8"))
}

/// Hides what is typed on the terminal while it lives.
struct Silence(Termios);

impl Silence {
    fn begin() -> io::Result<Silence> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        // Ctrl-C ends the line instead of the process, which would leave echo off.
        modes.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        modes.local_modes |= LocalModes::ECHONL | LocalModes::ICANON;
        modes.special_codes[SpecialCodeIndex::VEOL] = CONTROL_C as u8;
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &modes)?;
        Ok(Silence(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

const CONTROL_C: char = '\u{3}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_cannot_be_typed_again_is_refused() {
        assert_eq!(checked("eight888").unwrap(), "eight888");
        assert_eq!(checked("acht Zeichen äöü").unwrap(), "acht Zeichen äöü");
        for (password, words) in [
            ("seven77", "8 to 128 characters"),
            ("", "8 to 128 characters"),
            (&*"x".repeat(129), "8 to 128 characters"),
            ("tab\tinside", "no control characters"),
        ] {
            assert!(checked(password).unwrap_err().contains(words), "{password}");
        }
    }
}
