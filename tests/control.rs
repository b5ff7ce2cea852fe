//! The commands that talk to the running daemon, as a user or a script meets them.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config,
    http::{Client, ORIGIN, ask},
    port::Port,
    smolnvr, wait_for, with_password,
};
use camera::{Camera, Clip};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A daemon that records.
fn recording() -> (Camera, Nvr) {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), "segment_seconds = 60\nkeep_free_percent = 0");
    nvr.wait_for_recording(&[]);
    (camera, nvr)
}

fn socket(directory: &Path) -> String {
    directory.join("smolnvr.sock").to_str().unwrap().to_owned()
}

/// Runs a command against that daemon; it has to succeed and print only its answer.
fn answer(nvr: &Nvr, arguments: &[&str]) -> String {
    let socket = socket(nvr.directory.path());
    let (status, output, complaint) = smolnvr(&[arguments, &["--socket", &socket]].concat());
    assert_eq!((status, &*complaint), (Some(0), ""), "{arguments:?}: {output}");
    output
}

/// One line of complaint, that status, nothing else.
fn assert_refused(arguments: &[&str], expected: i32, part: &str) {
    let (status, output, complaint) = smolnvr(arguments);
    assert_eq!((status, &*output), (Some(expected), ""), "{arguments:?}: {complaint}");
    assert!(complaint.starts_with("smolnvr: ") && complaint.contains(part), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn without_a_daemon_every_command_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let socket = socket(directory.path());
    for command in [&["status"][..], &["status", "--json"], &["record", "start"], &["shutdown"]] {
        let part = format!("no daemon is running: nothing is listening at {socket}");
        assert_refused(&[command, &["--socket", &socket]].concat(), 1, &part);
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    assert_refused(&["record"], 2, "expected `record start` or `record stop`");
    assert_refused(&["record", "pause"], 2, "not \"pause\"");
    assert_refused(&["record", "start", "a", "b"], 2, "unexpected argument \"b\"");
    assert_refused(&["record", "start", "a&b"], 2, "\"a&b\" is not a valid camera name");
    assert_refused(&["status", "camera"], 2, "unexpected argument \"camera\"");
    assert_refused(&["shutdown", "now"], 2, "unexpected argument \"now\"");
    assert_refused(&["record", "start", "--json"], 2, "`record` has no option --json");
    assert_refused(&["passwd", "secret"], 2, "unexpected argument \"secret\"");
}

#[test]
fn status_tells_people_and_programs_how_it_is() {
    let (_camera, nvr) = recording();
    wait_for("a durable frame", || answer(&nvr, &["status"]).contains(" s ago"));
    let words = answer(&nvr, &["status"]);
    for part in ["smolnvr 0", "card: ok, ", " free\n", "h264 ", "000.mp4", "CAMERA "] {
        assert!(words.contains(part), "{part:?} is not in\n{words}");
    }
    let line = words.lines().find(|line| line.starts_with("camera ")).unwrap();
    assert!(line["camera ".len()..].trim_start().starts_with("live "), "{words}");

    let json = answer(&nvr, &["status", "--json"]);
    assert_eq!(json.lines().count(), 1);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["cameras"][0]["name"], &json["cameras"][0]["recording"]),
        (&"camera".into(), &true.into())
    );
}

#[test]
fn a_camera_that_is_off_is_told_with_its_reason() {
    let port = Port::closed();
    let nvr = Nvr::start(&port.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("state=waiting");
    let words = answer(&nvr, &["status"]);
    let reason =
        format!("\ncamera: 127.0.0.1:{} cannot be reached: nothing is listening", port.number());
    assert!(words.contains("waiting") && words.contains(&reason), "{words}");
    let socket = socket(nvr.directory.path());
    assert_refused(&["record", "start", "--socket", &socket], 1, "smolnvr: ");
}

#[test]
fn recording_stops_and_starts() {
    let (_camera, mut nvr) = recording();
    assert_eq!(answer(&nvr, &["record", "stop"]), "camera camera: not recording\n");
    assert_eq!(nvr.files().len(), 1);
    assert_all_whole(&nvr.recordings());
    assert!(answer(&nvr, &["status"]).contains(" off "));
    assert_eq!(answer(&nvr, &["record", "start", "camera"]), "camera camera: recording\n");
    assert_eq!(nvr.files().len(), 2);
    let socket = socket(nvr.directory.path());
    assert_refused(&["record", "stop", "attic", "--socket", &socket], 1, "no such camera");
    assert!(nvr.terminate().0.success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn shutdown_ends_the_daemon_with_every_file_whole() {
    let (_camera, mut nvr) = recording();
    assert_eq!(answer(&nvr, &["shutdown"]), "all files are closed, smolnvr has stopped\n");
    assert_all_whole(&nvr.recordings());
    let mut status = None;
    wait_for("its end", || {
        status = nvr.try_wait();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{status:?}");
}

/// Runs `passwd` with that on its standard input.
fn passwd(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .arg("passwd")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Where its arguments are wrong it ends without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Whether a log-in with that password is taken.
fn log_in(address: &str, password: &str) -> u16 {
    let body = format!("{{\"password\":\"{password}\"}}");
    ask(address, "POST", "/api/session", &[ORIGIN], &body).status
}

#[test]
fn a_password_counts_at_once_where_a_daemon_runs() {
    let directory = tempfile::tempdir().unwrap();
    let text = with_password(&config(directory.path(), SHORT_SEGMENTS, &[]));
    let nvr = Nvr::start_with(directory, &text, &[]);
    let (address, socket) = (nvr.web_address(), socket(nvr.directory.path()));
    for password in ["correct horse", "battery staple"] {
        let output = passwd(&["--socket", &socket], &format!("{password}\nnot this\n"));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"the password is set, all sessions have ended\n");
        assert_eq!(log_in(&address, password), 200);
    }
    assert_eq!(ask(&address, "GET", "/api/status", &[], "").status, 401);
    let output = passwd(&["--socket", &socket], "seven77\n");
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]));
    assert!(String::from_utf8(output.stderr).unwrap().contains("8 to 128 characters"));
    assert_eq!(log_in(&address, "battery staple"), 200);
}

#[test]
fn a_password_that_is_set_for_a_file_ends_the_sessions_of_the_daemon_that_runs_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = with_password(&config(directory.path(), SHORT_SEGMENTS, &[]));
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let file = nvr.directory.path().join("smolnvr.toml");
    let first = r#"{"password":"correct horse"}"#;
    let answer = ask(&address, "PUT", "/api/password", &[ORIGIN], first);
    let cookie = ["Cookie: ", &answer.cookie()].concat();
    let mut listening = Client::new(&address);
    listening.begin("GET", "/api/events", &[&cookie], "");
    assert_eq!(listening.head().status, 200);
    // The command knows nothing of the daemon's socket.
    let output = passwd(&["-c", file.to_str().unwrap()], "battery staple\n");
    assert!(output.status.success(), "{output:?}");
    listening.rest();
    assert_eq!(ask(&address, "GET", "/api/status", &[&cookie], "").status, 401);
    assert_eq!(log_in(&address, "battery staple"), 200);
}

#[test]
fn a_password_is_kept_for_the_next_daemon_where_none_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("smolnvr.toml");
    let text = with_password(&config(directory.path(), SHORT_SEGMENTS, &[]));
    // With a line end as other systems write it, and without any.
    for input in ["first try 1\r\n", "correct horse"] {
        let output = passwd(&["-c", file.to_str().unwrap()], input);
        assert!(output.status.success(), "{output:?}");
    }
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    assert_eq!(ask(&address, "GET", "/api/status", &[], "").status, 401);
    assert_eq!(log_in(&address, "correct horse"), 200);
}

/// A terminal with `passwd` at it; the answer to each of its questions.
fn at_a_terminal(config: &Path, typed: [&str; 2]) -> (Option<i32>, String, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = PathBuf::from(name.to_str().unwrap());
    let slave = File::options().read(true).write(true).open(slave).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["passwd", "-c", config.to_str().unwrap()])
        .stdin(slave.try_clone().unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut terminal = File::from(master);
    let (mut questions, mut asked) = (child.stderr.take().unwrap(), String::new());
    let mut byte = [0];
    for line in typed {
        let before = asked.len();
        while !asked[before..].ends_with(": ") && questions.read(&mut byte).unwrap() == 1 {
            asked.push(char::from(byte[0]));
        }
        terminal.write_all(line.as_bytes()).unwrap();
    }
    questions.read_to_string(&mut asked).unwrap();
    let status = child.wait().unwrap().code();
    // The other end is closed: buffered output arrives, then the end.
    drop(slave);
    let mut shown = Vec::new();
    let _ = terminal.read_to_end(&mut shown);
    (status, asked, String::from_utf8(shown).unwrap())
}

#[test]
fn at_a_terminal_it_asks_twice_and_shows_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (config, file) =
        (directory.path().join("smolnvr.toml"), directory.path().join("smolnvr.passwd"));
    let (status, asked, shown) = at_a_terminal(&config, ["correct horse\n", "another one\n"]);
    assert_eq!(status, Some(1));
    assert!(asked.ends_with("smolnvr: the passwords differ: nothing was changed\n"), "{asked}");
    assert_eq!(shown.trim(), "");

    let (status, asked, shown) = at_a_terminal(&config, ["correct horse\n", "\u{3}"]);
    assert_eq!(status, Some(1), "{asked}");
    assert!(asked.ends_with("smolnvr: nothing was changed\n"), "{asked}");
    assert_eq!(shown.replace("^C", "").trim(), "");
    assert!(!file.exists());

    let (status, asked, shown) = at_a_terminal(&config, ["correct horse\n", "correct horse\n"]);
    assert_eq!((status, &*asked), (Some(0), "New password: Repeat the password: "));
    assert_eq!(shown.trim(), "");
    assert!(file.exists());
}
