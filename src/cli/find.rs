//! `smolnvr find`: cameras nearby, or the streams of one.

use super::{Arguments, Format, Usage, complain, passwd, print, print_json};
use crate::{
    find::{self, Camera},
    http::url::Credentials,
};
use std::{
    fmt::Write as _,
    io::{self, IsTerminal as _},
    process::ExitCode,
};

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Usage> {
    let address = arguments.operand()?.map(|address| address.to_string_lossy().into_owned());
    let credentials = match (&arguments.user, &address) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Usage("--user is for one camera: expected its address".into()));
        }
        (Some(user), Some(_)) => match password() {
            Ok(password) => Some(Credentials { user: user.clone(), password }),
            Err(why) => {
                complain(why);
                return Ok(ExitCode::FAILURE);
            }
        },
    };
    let found = match &address {
        None => find::nearby(),
        Some(address) => find::at(address, credentials).map(|camera| vec![camera]),
    };
    let cameras = match found {
        Ok(cameras) => cameras,
        Err(why) => {
            complain(why);
            return Ok(ExitCode::FAILURE);
        }
    };
    let is_found = match address {
        None => !cameras.is_empty(),
        Some(_) => cameras.iter().any(|camera| !camera.streams.is_empty()),
    };
    match arguments.format() {
        Format::Json => print_json(&cameras),
        Format::Text => print(&cameras.iter().map(text).collect::<String>()),
    }
    if cameras.is_empty() {
        complain("no camera answered: name its address, if you know it");
    }
    Ok(if is_found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn password() -> Result<String, String> {
    if io::stdin().is_terminal() {
        return passwd::ask("Password: ");
    }
    passwd::line().map_err(|error| format!("standard input: {error}"))
}

fn text(camera: &Camera) -> String {
    let mut text = camera.address.clone();
    for word in [&camera.maker, &camera.model, &camera.name] {
        // Often one repeats the other.
        if !word.is_empty() && !text.contains(word.as_str()) {
            text += "  ";
            text += word;
        }
    }
    text.push('\n');
    // Writing to a String cannot fail.
    for stream in &camera.streams {
        let _ = write!(text, "  {}  {}", stream.url, stream.codec);
        if stream.width > 0 {
            let _ = write!(text, " {}x{}", stream.width, stream.height);
        }
        if stream.fps > 0 {
            let _ = write!(text, " {} per second", stream.fps);
        }
        if stream.kbit_s > 0 {
            let _ = write!(text, " {} kbit/s", stream.kbit_s);
        }
        text.push('\n');
    }
    if let Some(snapshot) = &camera.snapshot {
        let _ = writeln!(text, "  {snapshot}  JPEG");
    }
    match &camera.error {
        Some(why) => text = format!("{text}  {why}\n"),
        None if camera.streams.is_empty() => {
            let _ = writeln!(text, "  its streams: smolnvr find {} --user NAME", camera.address);
        }
        None => {}
    }
    text
}
