//! FFmpeg, and what stands in for it.

#![expect(clippy::disallowed_methods, reason = "viewers have clocks")]

use super::*;
use crate::support::let_pass;
use camera::PICTURE;
use std::{
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(1);

/// A folder that everybody may write to: its scripts run as nobody, and note what they did.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// The answer of a daemon whose FFmpeg is this script, once what it records is on the card; the
/// recording goes on without a loss, and nothing of the script stays.
fn answer_of(text: &str) -> Answer {
    let folder = folder();
    let clip = Clip::built_in();
    let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
    let nvr = start(&camera.url("cam"), &script(folder.path(), text), "");
    nvr.wait_for_recording(&[]);
    let answer = snapshot(&nvr);
    assert_eq!(children(nvr.id()), [""; 0], "{text}");
    assert_eq!(camera.sessions().len(), 1);
    assert_nothing_is_lost(nvr, &clip);
    answer
}

#[test]
fn a_program_that_makes_no_picture_is_reported_with_what_it_did() {
    for (text, words) in [
        (
            "cat >/dev/null; echo Invalid data found >&2; exit 1",
            "exit status: 1: Invalid data found",
        ),
        ("exit 0", "FFmpeg's output is not a complete JPEG"),
        ("cat >/dev/null; echo '<html>garbage'", "FFmpeg's output is not a complete JPEG"),
        ("exec cat /dev/zero", "more than 524288 bytes of output"),
        ("kill -SEGV $$", "signal: 11 (SIGSEGV)"),
        ("exec /nonexistent/program", "exit status: 127"),
    ] {
        let reason = reason(&answer_of(text));
        assert!(reason.contains("no picture ") && reason.contains(words), "{text}: {reason}");
    }
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children_after_ten_seconds() {
    let folder = folder();
    let mark = folder.path().join("pids");
    // Neither signals that can be ignored nor a child of its own help it.
    let text = format!("trap '' INT TERM; sleep 1000 & echo $$ $! >{mark:?}; wait");
    let started = Instant::now();
    let reason = reason(&answer_of(&text));
    assert!(reason.contains("not finished after 10 s"), "{reason}");
    assert!(started.elapsed() >= Duration::from_secs(10));
    for id in fs::read_to_string(mark).unwrap().split_whitespace() {
        let process = Path::new("/proc").join(id);
        wait_for("the end of the script's processes", || !process.exists());
    }
}

#[test]
fn an_ffmpeg_that_can_not_be_run_is_named_with_what_to_do() {
    let folder = folder();
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let plain = script(folder.path(), "");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    for (path, words) in
        [(NOWHERE, "no FFmpeg (/nonexistent/ffmpeg, "), (&plain, "is not executable: chmod +x")]
    {
        let nvr = start(&camera.url("cam"), path, "");
        let reason = reason(&snapshot(&nvr));
        assert!(reason.contains(words), "{reason}");
        nvr.wait_for_log(words);
    }
}

#[test]
fn twenty_viewers_are_at_most_one_process_a_second_and_without_viewers_there_is_none() {
    let folder = folder();
    let (log, picture) = (folder.path().join("log"), folder.path().join("picture.jpg"));
    fs::write(&picture, PICTURE).unwrap();
    let program =
        script(folder.path(), &format!("echo >>{log:?}; cat >/dev/null; cat {picture:?}"));
    let processes = || fs::read(&log).map_or(0, |starts| starts.len());
    // A key frame a second.
    let clip = Clip::built_in();
    let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
    let nvr = start(&camera.url("cam"), &program, "");
    nvr.wait_for_recording(&[]);
    let_pass(2 * INTERVAL);
    assert_eq!(processes(), 0, "nobody looks");

    let address = nvr.web_address();
    let started = Instant::now();
    let viewer = || {
        while processes() < 4 {
            let answer = ask(&address, "GET", "/snapshot/yard.jpg", &[], "");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.body == PICTURE);
            thread::sleep(INTERVAL / 5);
        }
    };
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(viewer);
        }
    });
    let intervals = (started.elapsed().as_millis() / INTERVAL.as_millis()) as usize;
    let made = processes();
    assert!(made <= intervals + 1, "{made} in {intervals} s");
    let_pass(2 * INTERVAL);
    assert_eq!(processes(), made, "nobody looks any more");
    assert_eq!(camera.sessions().len(), 1);
    assert_nothing_is_lost(nvr, &clip);
}

#[test]
fn a_key_frame_is_not_decoded_twice() {
    let folder = folder();
    let log = folder.path().join("log");
    let program = script(folder.path(), &format!("echo >>{log:?}; exec /usr/bin/ffmpeg \"$@\""));
    // One picture, and no other for as long as the connection lasts.
    let camera = Camera::builder().stream("cam", Clip::built_in()).frames(10).start().unwrap();
    let nvr = start(&camera.url("cam"), &program, "snapshot_interval_ms = 100");
    picture(&nvr);
    let made = fs::read(&log).unwrap().len();
    let pictures: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let answer = snapshot(&nvr);
            assert_eq!(answer.status, 200, "{answer:?}");
            thread::sleep(Duration::from_millis(150));
            answer.body
        })
        .collect();
    assert!(pictures.iter().all(|picture| *picture == pictures[0]));
    assert_eq!(fs::read(&log).unwrap().len(), made);
}

#[test]
fn a_build_without_pictures_says_so_and_its_page_asks_for_none() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let nvr = start(&camera.url("cam"), NOWHERE, "");
    nvr.wait_for_recording(&[]);
    assert_eq!(nvr.status()["pictures"], false);
    let answer = ask(&nvr.web_address(), "GET", "/recordings/yard/000.jpg", &[], "");
    assert_eq!(answer.status, 404);
    assert!(answer.json()["error"].as_str().unwrap().contains("makes no pictures"));
}

#[test]
fn while_ffmpeg_records_there_are_no_previews_and_afterwards_there_are() {
    let clip = Clip::built_in();
    let camera =
        Camera::builder().stream("cam", clip.clone()).stream("door", clip).start().unwrap();
    let directory = folder();
    let cameras = [("yard", &*camera.url("cam")), ("door", &*camera.url("door"))];
    let text = config(directory.path(), "segment_seconds = 60\nkeep_free_percent = 0", &cameras);
    let text = text.replacen("buffer_kb", "engine = \"ffmpeg\"\nrecord = false\nbuffer_kb", 1);
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    let picture = |name: &str| ask(&address, "GET", &format!("/snapshot/{name}.jpg"), &[], "");
    let record = |what: &str| {
        // 409: not within 5 s, but it is noted.
        let answer = ask(&address, "POST", &format!("/api/record/{what}?camera=yard"), &[], "");
        assert!([200, 409].contains(&answer.status), "{answer:?}");
    };
    for _ in 0..2 {
        // That camera is only FFmpeg's to understand, and so is its picture.
        for name in ["yard", "door"] {
            wait_for_within(Duration::from_secs(120), name, || {
                let answer = picture(name);
                answer.status == 200 && size_of(&answer.body) == (480, 272)
            });
        }
        record("start");
        let paused = |name: &str| {
            let answer = picture(name);
            answer.status == 503
                && answer
                    .text()
                    .contains("paused while FFmpeg records: only one FFmpeg runs at a time")
        };
        wait_for("both pauses", || paused("yard") && paused("door"));
        record("stop");
    }
}
