//! `camera`: the test camera as a program.

#![expect(clippy::disallowed_methods, reason = "it looks at the sessions a few times a second")]

mod arguments;

use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use arguments::{Arguments, help};
use camera::{Camera, Control, SessionState};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(lexopt::Parser::from_env()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("camera: {error}; camera --help says what is allowed");
            return ExitCode::from(2);
        }
    };
    let camera = match arguments.builder.start() {
        Ok(camera) => camera,
        Err(error) => {
            eprintln!("camera: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(path) = arguments.control else { return report(&camera) };
    match Control::bind(&path) {
        Ok(control) => thread::scope(|scope| {
            scope.spawn(|| control.serve(&camera));
            report(&camera)
        }),
        Err(error) => {
            eprintln!("camera: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Prints addresses, then each change of a session, until the program is killed.
fn report(camera: &Camera) -> ExitCode {
    for url in camera.urls() {
        println!("listening on {url}");
    }
    if let Some(url) = camera.picture_url() {
        println!("pictures at {url}");
    }
    let mut known: Vec<(u64, SessionState)> = Vec::new();
    loop {
        let sessions = camera.sessions();
        for session in &sessions {
            if !known.contains(&(session.number, session.state)) {
                println!(
                    "session {} stream={} transport={:?} state={:?} frames={} packets={} bytes={}",
                    session.number,
                    session.stream,
                    session.transport,
                    session.state,
                    session.frames,
                    session.packets,
                    session.bytes
                );
            }
        }
        known = sessions.iter().map(|session| (session.number, session.state)).collect();
        if std::io::stdout().flush().is_err() {
            return ExitCode::FAILURE;
        }
        thread::sleep(REPORT_INTERVAL);
    }
}

const REPORT_INTERVAL: Duration = Duration::from_millis(100);
