//! The commands as users and scripts see them: what they print, and how they exit.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, config, frames_in, mp4, port::Port, record_to_the_end,
    smolnvr, wait_for,
};
use camera::{Camera, Clip, Options, Speed};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

const COMMANDS: [&str; 12] = [
    "run", "check", "status", "record", "shutdown", "passwd", "find", "probe", "list", "export",
    "keep", "verify",
];
const FRAMES: u64 = 150;

/// A daemon that has recorded three files of two seconds and ended.
fn recorded() -> (Clip, Nvr) {
    recorded_with(SHORT_SEGMENTS)
}

/// Six seconds, a fragment and a key frame each.
fn recorded_with(storage: &str) -> (Clip, Nvr) {
    let clip = Clip::committed("bframes.h264").unwrap();
    let options = Options { speed: Speed::Times(20.0), frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), storage);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    (clip, nvr)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A daemon's control socket, by which `verify --repair` knows whether it runs.
fn socket(nvr: &Nvr) -> String {
    text(&nvr.directory.path().join("smolnvr.sock")).to_owned()
}

/// Checks that a command answers with a single line of complaint and nothing else.
fn assert_refused(arguments: &[&str], expected: i32, part: &str) {
    let (status, output, complaint) = smolnvr(arguments);
    assert_eq!(status, Some(expected), "{arguments:?}: {complaint}");
    assert_eq!(output, "", "{arguments:?}");
    assert!(complaint.starts_with("smolnvr: ") && complaint.ends_with('\n'), "{complaint:?}");
    assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
    assert!(complaint.contains(part), "{arguments:?}: {part:?} is not in {complaint:?}");
}

/// Runs a command that has to succeed and print only its answer.
fn answer(arguments: &[&str]) -> String {
    let (status, output, complaint) = smolnvr(arguments);
    assert_eq!((status, &*complaint), (Some(0), ""), "{arguments:?}: {output}");
    output
}

fn answer_json(arguments: &[&str]) -> Value {
    let output = answer(&[arguments, &["--json"]].concat());
    assert_eq!(output.lines().count(), 1, "JSON is one line: {output}");
    serde_json::from_str(&output).unwrap()
}

#[test]
fn every_command_has_its_help() {
    let program = answer(&["--help"]);
    assert_eq!(program, answer(&["-h"]));
    for part in ["USAGE", "OPTIONS", "EXIT STATUS"] {
        assert!(program.contains(part), "{program}");
    }
    for command in COMMANDS {
        assert!(program.contains(&format!("\n  smolnvr {command} ")), "{command}");
        let help = answer(&[command, "--help"]);
        assert!(help.starts_with(&format!("smolnvr {command} - ")), "{help}");
        assert!(help.contains(&format!("\n  smolnvr {command} ")), "{help}");
        assert_eq!(help, answer(&["--help", command]), "wherever the option stands");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
    let version = format!("smolnvr {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(answer(&["--version"]), version);
}

#[test]
fn wrong_usage_is_one_line_and_status_2() {
    assert_refused(&[], 2, "which command?");
    assert_refused(&["record-everything"], 2, "\"record-everything\"");
    assert_refused(&["--nonsense"], 2, "--nonsense");
    assert_refused(&["run", "-x"], 2, "-x");
    assert_refused(&["check", "-c"], 2, "-c");
    assert_refused(&["check", "now"], 2, "\"now\"");
    assert_refused(&["run", "now"], 2, "\"now\"");
    assert_refused(&["probe"], 2, "expected a URL");
    assert_refused(&["probe", "rtsp://a/", "rtsp://b/"], 2, "unexpected argument \"rtsp://b/\"");
    assert_refused(&["verify"], 2, "verify what?");
    assert_refused(&["list", "-c", "/no/such/file.toml"], 2, "/no/such/file.toml");
    assert_refused(&["list", "a", "b"], 2, "unexpected argument \"b\"");
    assert_refused(&["check", "--repair"], 2, "`check` has no option --repair");
    assert_refused(&["list", "--json", "--json"], 2, "--json is given twice");
}

#[test]
fn check_says_what_would_run_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("smolnvr.toml");
    let cameras = [("camera", "rtsp://127.0.0.1:8554/cam"), ("yard", "rtsp://127.0.0.1/yard")];
    let quiet = "\n[[camera]]\nname = \"gate\"\nurl = \"rtsp://127.0.0.1/\"\nrecord = false\n";
    fs::write(&file, config(directory.path(), "", &cameras) + quiet).unwrap();
    let output = answer(&["check", "-c", text(&file)]);
    let folder = directory.path().display();
    let expected = format!(
        "{folder}/smolnvr.toml: ok\n\
         storage: {folder}/recordings: used\n\
         camera camera: rtsp://127.0.0.1:8554/cam, recorded from the start\n\
         camera yard: rtsp://127.0.0.1/yard, recorded from the start\n\
         camera gate: rtsp://127.0.0.1/, recorded on request\n"
    );
    assert_eq!(output, expected);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    fs::write(&file, "").unwrap();
    let output = answer(&["check", "-c", text(&file)]);
    assert!(output.contains("no camera: add a [[camera]] section\n"), "{output}");
    let wrong = config(directory.path(), "sync_seconds = 61", &cameras);
    fs::write(&file, wrong).unwrap();
    let part = format!("{folder}/smolnvr.toml:4: ");
    assert_refused(&["check", "-c", text(&file)], 2, &part);
    assert_refused(&["run", "-c", text(&file)], 2, "from 1 to 60");
}

#[test]
fn probe_says_what_the_camera_sends() {
    for (name, codec, mime) in [("plain.h264", "h264", "avc1."), ("bframes.h265", "h265", "hvc1.")]
    {
        let clip = Clip::committed(name).unwrap();
        let camera = Camera::builder().stream("cam", clip).start().unwrap();
        let url = camera.url("cam");
        let seen = answer_json(&["probe", &url]);
        let encoding = codec.to_uppercase();
        assert_eq!(seen["tracks"], json!([{"encoding": encoding, "clock_rate": 90_000}]));
        assert_eq!(seen["packets_lost"], 0);
        let video = &seen["video"];
        assert_eq!(video["codec"], codec);
        assert!(video["mime"].as_str().unwrap().starts_with(mime), "{video}");
        assert_eq!((&video["width"], &video["height"]), (&json!(480), &json!(272)));
        assert!((video["fps"].as_f64().unwrap() - 25.0).abs() < 0.2, "{video}");
        assert_eq!(video["key_frame_distance_ms"], 1000);
        assert!(video["kbit_s"].as_u64().unwrap() > 50, "{video}");
    }
}

#[test]
fn probe_in_words() {
    let clip = Clip::committed("bframes.h264").unwrap();
    let camera = Camera::builder().stream("cam", clip).start().unwrap();
    let output = answer(&["probe", &camera.url("cam")]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["track: H264 90000 Hz", "video: h264 480x272"]);
    assert_eq!(lines[2], "frame rate: 25.0 per second");
    assert!(lines[3].starts_with("bit rate: ") && lines[3].ends_with(" kbit/s"), "{output}");
    assert_eq!(lines[4..], ["key frames: one every 1.0 s"]);
}

#[test]
fn probe_without_a_camera_says_why() {
    let port = Port::closed();
    assert_refused(&["probe", &port.url("cam")], 1, "nothing is listening on that port");
    assert_refused(&["probe", "http://127.0.0.1/"], 2, "a camera's URL must begin with rtsp://");
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    assert_refused(&["probe", &camera.url("nope")], 1, "404 Not Found: the camera has no /nope");
    let dead = Port::dead();
    assert_refused(&["probe", &dead.url("cam")], 1, "does not answer within 2 s");
}

#[test]
fn list_shows_every_recording() {
    let (_, nvr) = recorded();
    let file = nvr.directory.path().join("smolnvr.toml");
    let list = answer_json(&["list", "-c", text(&file)]);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 3);
    for (number, entry) in list.iter().enumerate() {
        let name = format!("{number:03}.mp4");
        assert_eq!(entry["camera"], "camera");
        assert_eq!(entry["number"], number);
        assert_eq!(entry["file"], name);
        assert_eq!(entry["state"], "whole");
        let (movie, bytes) =
            (mp4::read(&nvr.files()[number]).unwrap(), nvr.files()[number].metadata());
        assert_eq!(entry["duration_ms"], movie.duration / 90);
        assert_eq!(entry["bytes"], bytes.unwrap().len());
        let age = now_ms() - entry["start_ms"].as_i64().unwrap();
        assert!((0..120_000).contains(&age), "started {age} ms ago");
    }
    let output = answer(&["list", "camera", "-c", text(&file)]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 3);
    for (number, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        assert_eq!(fields[..2], ["camera", &*format!("{number:03}.mp4")], "{line}");
        assert!(fields[3].ends_with(" s") && fields[4].ends_with(" KB"), "{line}");
        assert_eq!(fields[5..], ["h264", "whole"], "{line}");
    }
}

fn now_ms() -> i64 {
    i64::try_from(crate::support::unix_time().as_millis()).unwrap()
}

#[test]
fn list_of_what_is_not_there_fails() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("smolnvr.toml");
    let cameras = [("camera", "rtsp://127.0.0.1/"), ("yard", "rtsp://127.0.0.1/")];
    fs::write(&file, config(directory.path(), "", &cameras)).unwrap();
    assert_refused(&["list", "attic", "-c", text(&file)], 1, "there is no camera named \"attic\"");
    // Before the first recording there is no folder: nothing is listed, and that is no fault.
    assert_eq!(answer(&["list", "-c", text(&file)]), "");
    assert_eq!(answer_json(&["list", "-c", text(&file)]), json!([]));
    fs::write(&file, "[storage]\npath = \"/no-such-folder/recordings\"\n").unwrap();
    assert_refused(&["list", "-c", text(&file)], 1, "no card is mounted for ");
}

#[test]
fn what_is_being_recorded_is_called_that_where_the_daemon_can_be_asked() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), "segment_seconds = 60\nkeep_free_percent = 0");
    nvr.wait_for_recording(&[]);
    let (file, socket) = (nvr.directory.path().join("smolnvr.toml"), socket(&nvr));
    let list = answer_json(&["list", "-c", text(&file)]);
    assert_eq!(list[0]["state"], "cut");
    assert_eq!(list.as_array().unwrap().len(), 1);
    let list = answer_json(&["list", "--socket", &socket]);
    assert_eq!(list[0]["state"], "recording");
    assert_eq!(list.as_array().unwrap().len(), 1);
    let output = answer(&["verify", "--socket", &socket, text(&nvr.recordings())]);
    assert!(output.contains("000.mp4: recording, "), "{output}");
    // A copy remains unchanged.
    let copy = nvr.directory.path().join("000.mp4");
    fs::copy(&nvr.files()[0], &copy).unwrap();
    let (status, output, _) = smolnvr(&["verify", "--socket", &socket, text(&copy)]);
    assert_eq!(status, Some(1));
    assert!(output.contains("000.mp4: cut short, "), "{output}");
}

#[test]
fn verify_tells_whole_from_cut_from_damaged() {
    let (_, nvr) = recorded();
    let [whole, cut, damaged] = &nvr.files()[..] else { panic!("{:?}", nvr.files()) };
    let bytes = fs::read(cut).unwrap();
    fs::write(cut, &bytes[..bytes.len() - 100]).unwrap();
    let mut bytes = fs::read(damaged).unwrap();
    let middle = bytes.windows(4).rposition(|kind| kind == b"moof").unwrap();
    bytes[middle..middle + 4].copy_from_slice(b"m\0\xffx");
    fs::write(damaged, bytes).unwrap();

    let folder = nvr.recordings();
    let (status, output, complaint) = smolnvr(&["verify", text(&folder)]);
    assert_eq!((status, &*complaint), (Some(1), ""));
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!(lines[0], format!("{}: whole, 2.0 s", whole.display()));
    assert!(lines[1].starts_with(&format!("{}: cut short, plays ", cut.display())), "{output}");
    assert!(lines[2].starts_with(&format!("{}: damaged, plays ", damaged.display())), "{output}");

    let (status, output, _) = smolnvr(&["verify", "--json", text(&folder)]);
    assert_eq!(status, Some(1));
    let verdicts: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(verdicts[0]["state"], "whole");
    assert_eq!(verdicts[0]["duration_ms"], 2000);
    assert_eq!(verdicts[0]["whole_bytes"], verdicts[0]["bytes"]);
    assert_eq!(verdicts[1]["state"], "cut");
    assert!(verdicts[1]["whole_bytes"].as_u64() < verdicts[1]["bytes"].as_u64(), "{output}");
    assert_eq!(verdicts[2]["state"], "damaged");
    assert!(verdicts[2]["reason"].is_string(), "{output}");

    assert!(answer(&["verify", text(whole)]).ends_with("000.mp4: whole, 2.0 s\n"));
    assert_refused(&["verify", "/no/such/file.mp4"], 1, "/no/such/file.mp4");
}

#[test]
fn repair_mends_a_file_cut_at_any_place_and_does_it_once() {
    let (clip, nvr) = recorded_with("segment_seconds = 60\nkeep_free_percent = 0");
    let file = &nvr.files()[0];
    let socket = socket(&nvr);
    let repair = ["verify", "--repair", "--socket", &socket, text(file)];
    let original = fs::read(file).unwrap();
    let ends = [original.len() - 1, original.len() * 2 / 3, original.len() / 2];
    for end in ends {
        fs::write(file, &original[..end]).unwrap();
        let kept = frames_in(std::slice::from_ref(file));
        let output = answer(&repair);
        let repaired = fs::read(file).unwrap();
        let removed = end - repaired.len();
        let said = format!("000.mp4: repaired, {removed} bytes cut off, whole, ");
        assert!(output.contains(&said), "{output}");
        let output = answer(&repair);
        assert!(output.contains("000.mp4: whole, "), "once is enough: {output}");
        assert!(fs::read(file).unwrap() == repaired, "a second time changes nothing");
        assert!((25..FRAMES as usize).contains(&kept), "{kept}");
        assert_exact(std::slice::from_ref(file), &clip, 0, kept as u64);
    }
    // A file without a complete fragment cannot be repaired and remains unchanged.
    let stump = &original[..mp4_head(&original) + 50];
    fs::write(file, stump).unwrap();
    let (status, output, _) = smolnvr(&repair);
    assert_eq!(status, Some(1), "{output}");
    assert!(output.contains("contains no complete fragment"), "{output}");
    assert_eq!(fs::read(file).unwrap().len(), stump.len());
}

/// Where the first fragment begins.
fn mp4_head(file: &[u8]) -> usize {
    file.windows(4).position(|kind| kind == b"moof").unwrap() - 4
}

#[test]
fn nothing_is_repaired_while_the_daemon_runs() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), "segment_seconds = 60\nkeep_free_percent = 0");
    nvr.wait_for_recording(&[]);
    let (socket, folder) = (socket(&nvr), nvr.recordings());
    let repair = ["verify", "--repair", "--socket", &socket, text(&folder)];
    assert_refused(&repair, 1, "smolnvr is running and may be writing these files");
    // Nor beside one with another socket.
    let other = tempfile::tempdir().unwrap();
    let other = other.path().join("other.sock");
    let file = nvr.files()[0].clone();
    for path in [&folder, &file] {
        let repair = ["verify", "--repair", "--socket", text(&other), text(path)];
        assert_refused(&repair, 1, "smolnvr is recording into this folder");
    }
}

#[test]
fn a_whole_file_is_not_touched_by_repair() {
    let (_, nvr) = recorded();
    let before: Vec<Vec<u8>> = nvr.files().iter().map(|file| fs::read(file).unwrap()).collect();
    let (socket, folder) = (socket(&nvr), nvr.recordings());
    let output = answer(&["verify", "--repair", "--socket", &socket, text(&folder)]);
    assert!(!output.contains("repaired"), "{output}");
    let after: Vec<Vec<u8>> = nvr.files().iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(before == after);
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let (_, nvr) = recorded();
    let mut child = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["verify", text(&nvr.recordings())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut status = None;
    wait_for("its end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{status:?}");
}
