//! Marks: noted by a script, told at once, found on the time line, kept over a power cut.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config,
    http::{Client, ask},
    smolnvr, wait_for,
};
use camera::{Camera, Clip};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

fn recording() -> (Camera, Nvr) {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    (camera, nvr)
}

fn marks(address: &str) -> Vec<Value> {
    ask(address, "GET", "/api/marks", &[], "").json()["marks"].as_array().unwrap().clone()
}

fn note(address: &str, mark: &Value) -> (u16, Value) {
    let answer = ask(address, "POST", "/api/marks", &[], &mark.to_string());
    (answer.status, answer.json())
}

/// Runs a command against that daemon.
fn command(nvr: &Nvr, arguments: &[&str]) -> (Option<i32>, String, String) {
    let socket = nvr.directory.path().join("smolnvr.sock");
    smolnvr(&[arguments, &["--socket", socket.to_str().unwrap()]].concat())
}

#[test]
fn a_scripts_mark_is_listed_shown_counted_and_survives_a_power_cut() {
    let (_camera, mut nvr) = recording();
    let address = nvr.web_address();
    let (status, mark) =
        note(&address, &json!({"kind": "door", "words": "Haustür", "state": "on"}));
    assert_eq!((status, &mark["end_ms"], &mark["source"]), (200, &Value::Null, &json!("script")));
    assert_eq!(nvr.status()["cameras"][0]["marks"]["going_on"], true);
    let (status, mark) = note(&address, &json!({"kind": "door", "state": "off"}));
    assert_eq!((status, &mark["words"]), (200, &json!("Haustür")));
    assert!(mark["end_ms"].is_i64());
    let (status, output, _) = command(&nvr, &["mark", "camera", "motion", "--json"]);
    assert_eq!(status, Some(0));
    let motion: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(marks(&address), [motion.clone(), mark.clone()], "newest first");

    let timeline = ask(&address, "GET", "/api/timeline", &[], "").json();
    let on_line: Vec<_> =
        timeline["marks"].as_array().unwrap().iter().map(|row| row[2].clone()).collect();
    assert_eq!(on_line, ["door", "motion"]);
    assert_eq!(timeline["watched"], json!([]));
    let days = ask(&address, "GET", "/api/days", &[], "").json();
    let count: i64 = days["marks"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap()).sum();
    assert_eq!(count, 2);
    let metrics = ask(&address, "GET", "/metrics", &[], "").text();
    assert!(metrics.contains("smolnvr_camera_marks_total{camera=\"camera\"} 2"), "{metrics}");

    let is_on_card = |nvr: &Nvr| {
        let files = std::fs::read_dir(nvr.recordings()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let mut files = files.filter(|it| it.extension().is_some_and(|it| it == "txt"));
        files.any(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains("motion"))
    };
    wait_for("the line on the card", || is_on_card(&nvr));
    nvr.kill();
    nvr.restart();
    let address = nvr.web_address();
    wait_for("the list", || nvr.status()["storage"]["list_complete"] == true);
    assert_eq!(marks(&address), [motion, mark]);
    let (status, output, _) = command(&nvr, &["events", "camera"]);
    assert_eq!(status, Some(0));
    let kinds: Vec<_> = output.lines().map(|line| line.split('\t').nth(2).unwrap()).collect();
    assert_eq!(kinds, ["door", "motion"], "newest last");
}

#[test]
fn a_mark_that_a_power_cut_left_open_goes_on_no_more() {
    let (_camera, mut nvr) = recording();
    let address = nvr.web_address();
    note(&address, &json!({"kind": "door", "state": "on"}));
    nvr.kill();
    nvr.restart();
    let address = nvr.web_address();
    wait_for("the card", || nvr.status()["storage"]["list_complete"] == true);
    for mark in marks(&address) {
        assert!(mark["end_ms"].is_i64(), "{mark}");
    }
    assert_eq!(nvr.status()["cameras"][0]["marks"]["going_on"], false);
    assert_eq!(note(&address, &json!({"kind": "door", "state": "off"})).0, 409);
}

#[test]
fn listeners_are_told_at_once() {
    let (_camera, nvr) = recording();
    let address = nvr.web_address();
    note(&address, &json!({"kind": "first"}));
    let socket = nvr.directory.path().join("smolnvr.sock");
    let mut following = Command::new(env!("CARGO_BIN_EXE_smolnvr"))
        .args(["events", "--follow", "--json", "--socket"])
        .arg(&socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut told = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    // It listens before it lists.
    assert_eq!(told()["kind"], "first");
    note(&address, &json!({"kind": "door", "state": "on"}));
    note(&address, &json!({"kind": "door", "state": "off"}));
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let mark = told();
        if mark["kind"] == "door" {
            ends.push(mark["end_ms"].is_i64());
        }
    }
    assert_eq!(ends, [false, true]);
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_script_that_floods_marks_is_refused_and_stops_no_recording() {
    let (_camera, nvr) = recording();
    let address = nvr.web_address();
    let mut client = Client::new(&address);
    let (mut taken, mut refused) = (0, 0);
    for nth in 0..2000 {
        let mark = json!({"kind": format!("kind-{nth}"), "words": "x".repeat(80)}).to_string();
        match client.ask("POST", "/api/marks", &[], &mark).status {
            200 => taken += 1,
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!((60..70).contains(&taken) && taken + refused == 2000, "{taken}");
    assert_eq!(nvr.status()["cameras"][0]["marks"]["refused"], refused);
    assert_eq!(nvr.status()["storage"]["marks_lost"], 0);
    let before = nvr.files();
    nvr.wait_for_recording(&before);
    let text = ask(&address, "GET", "/api/timeline", &[], "").body;
    assert!(text.len() <= 2048, "{}", text.len());
    let (status, _, complaint) = command(&nvr, &["mark", "camera", "one-more"]);
    assert!(
        status == Some(1) && complaint.contains("too many marks of this camera"),
        "{complaint}"
    );
}

#[test]
fn an_invalid_mark_is_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let two = [("yard", "rtsp://127.0.0.1:1/"), ("gate", "rtsp://127.0.0.1:1/")];
    let text = config(directory.path(), "", &two);
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let now =
        ask(&address, "GET", "/api/status", &[], "").json()["clock"]["now_ms"].as_i64().unwrap();
    for (status, mark, part) in [
        (400, json!({}), "missing field `kind`"),
        (400, json!({"kind": "door"}), "camera: which one?"),
        (404, json!({"kind": "door", "camera": "none"}), "no such camera"),
        (400, json!({"kind": "Door", "camera": "yard"}), "kind: expected 1 to 16"),
        (
            400,
            json!({"kind": "door", "camera": "yard", "words": "a\nb"}),
            "words: expected one line",
        ),
        (400, json!({"kind": "door", "camera": "yard", "end_ms": now}), "end_ms: needs begin_ms"),
        (400, json!({"kind": "door", "camera": "yard", "begin_ms": now / 1000}), "in milliseconds"),
        (400, json!({"kind": "door", "camera": "yard", "state": "open"}), "unknown variant"),
        (409, json!({"kind": "door", "camera": "yard", "state": "off"}), "nothing of that source"),
    ] {
        let (answered, answer) = note(&address, &mark);
        let words = answer["error"].as_str().unwrap();
        assert!(answered == status && words.contains(part), "{mark} {answered} {words}");
    }
    let (status, ..) = command(&nvr, &["mark"]);
    assert_eq!(status, Some(2));
}

/// A camera of which only what happens is recorded, 2 s before and 1 s after.
fn recording_events() -> (Camera, Nvr) {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let text = text.replace("buffer_kb", "record = \"events\"\nbuffer_kb");
    let text = text + "\n[marks]\nbefore_seconds = 2\nafter_seconds = 1\n";
    let nvr = Nvr::start_with(directory, &text, &[]);
    wait_for("video", || nvr.status()["cameras"][0]["frames"].as_i64() > Some(100));
    (camera, nvr)
}

#[test]
fn only_events_are_recorded_with_the_time_before_and_after() {
    let (_camera, nvr) = recording_events();
    let address = nvr.web_address();
    let state = |name: &str| nvr.status()["cameras"][0][name].clone();
    assert_eq!((state("waits_for_event"), state("recording_wanted")), (json!(true), json!(true)));
    assert!(nvr.files().is_empty(), "{:?}", nvr.files());
    let (_, _, status) = command(&nvr, &["status"]);
    assert_eq!(status, "");
    assert!(command(&nvr, &["status"]).1.contains("no event"));

    let (_, mark) = note(&address, &json!({"kind": "motion"}));
    let happened = mark["begin_ms"].as_i64().unwrap();
    wait_for("the end of it", || !nvr.files().is_empty() && state("waits_for_event") == true);
    wait_for("the file", || state("segment").is_null());
    assert_all_whole(&nvr.recordings());
    let list = ask(&address, "GET", "/api/recordings", &[], "").json();
    let entries = list["recordings"].as_array().unwrap();
    let (oldest, newest) = (&entries[entries.len() - 1], &entries[0]);
    let end = newest["start_ms"].as_i64().unwrap() + newest["duration_ms"].as_i64().unwrap();
    let before = happened - oldest["start_ms"].as_i64().unwrap();
    // Up to a key frame more; a busy machine is late with its frames.
    assert!((1900..5000).contains(&before), "{before} ms before");
    assert!(end - happened > 800, "{} ms after", end - happened);
    let timeline = ask(&address, "GET", "/api/timeline", &[], "").json();
    assert_eq!(timeline["marks"].as_array().unwrap().len(), 1);
    let count = nvr.files().len();

    // One that goes on is recorded until its end.
    note(&address, &json!({"kind": "door", "state": "on"}));
    wait_for("further files", || nvr.files().len() > count + 2);
    note(&address, &json!({"kind": "door", "state": "off"}));
    wait_for("its end", || state("waits_for_event") == true && state("segment").is_null());
    assert_all_whole(&nvr.recordings());

    // Switched off, nothing is recorded whatever happens.
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(state("recording_wanted"), false);
    let files = nvr.files();
    note(&address, &json!({"kind": "alarm"}));
    wait_for("frames", || {
        let frames = state("frames").as_i64().unwrap();
        frames > 400
    });
    assert_eq!(nvr.files(), files);
    assert_eq!(ask(&address, "POST", "/api/record/start", &[], "").status, 200);
    assert_eq!(state("waits_for_event"), true);
}
