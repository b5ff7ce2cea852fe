//! The page in a real browser: everything that a person does with it, and what appears.
//!
//! `ci/page/*.py` drive Chromium and tell each step in a line of JSON; what only this side knows is
//! checked here: the frames sent by the camera, the exit of the process, the content of the files.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, bench_clip, config, frames_in, numbered_clip,
    record_to_the_end, refreshing_clip, unix_time, wait_for, with_password,
};
use camera::{Auth, Camera, Clip, Encoding, Options, Scheme, Sound, Speed};
use serde_json::Value;
use std::{
    io::{BufRead as _, BufReader},
    iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Frames that the live picture may be behind what the camera has sent: a second.
const LATENCY_FRAMES_MAX: u64 = 25;
/// More than the list holds at first.
const MANY: usize = 400;
/// The contract.
const REQUESTS_MAX: u64 = 4;

#[test]
fn the_axis_counts_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/page");
    let output = Command::new("node").arg("--test").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_person_walks_through_the_whole_page() {
    let clip = numbered_clip();
    let length = clip.access_units().len() as u64;
    let camera = Camera::builder().stream("cam", clip).start().unwrap();
    let mut nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, with_password);
    let port = port_of(&nvr);
    let screenshots = target().join("page");
    let mut browser = Browser::start(
        "walk.py",
        &[&port, nvr.recordings().to_str().unwrap(), screenshots.to_str().unwrap()],
    );
    let mut latencies = Vec::new();
    while let Some(step) = browser.next_step() {
        if step["step"] == "shown" {
            let sent = camera.sessions().last().unwrap().frames;
            let shown = step["frame"].as_u64().unwrap();
            latencies.push((sent + length - 1 - shown) % length);
        } else {
            println!("{step}");
        }
    }
    browser.assert_success();
    // It begins behind, at a key frame, and comes near; where the browser has to wait for a
    // processor, again.
    println!("frames behind the camera: {latencies:?}");
    assert!(latencies.iter().min() < Some(&LATENCY_FRAMES_MAX));
    wait_for("the process to end", || nvr.try_wait().is_some());
    assert!(nvr.try_wait().unwrap().success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn a_whole_minute_is_opened_at_three_quarters_with_four_requests() {
    let frames = 1500;
    let options = Options { speed: Speed::Times(10.0), frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", bench_clip(), options).start().unwrap();
    // All of the minute fits, however long a busy machine's disk takes.
    let large = |text: &str| with_password(&text.replace("buffer_kb = 8192", "buffer_kb = 40960"));
    let storage = "segment_seconds = 60\nkeep_free_percent = 0";
    let mut nvr = start(&[("camera", &camera.url("cam"))], storage, large);
    record_to_the_end(&mut nvr, &camera, frames);
    drop(camera);
    nvr.restart();

    let mut browser = Browser::start("seek.py", &[&port_of(&nvr), "0"]);
    let seen = iter::from_fn(|| browser.next_step()).last();
    browser.assert_success();
    let seen = seen.unwrap();
    println!("{seen}");
    assert_eq!((seen["width"].as_u64(), seen["duration"].as_f64()), (Some(1920), Some(60.0)));
    // Addresses have whole seconds.
    assert!((44.0..=47.0).contains(&seen["time"].as_f64().unwrap()), "{seen}");
    assert!(seen["requests"].as_u64().unwrap() <= REQUESTS_MAX, "{seen}");
}

#[test]
fn several_cameras_and_snapshots_where_the_browser_knows_no_h265() {
    let h265 = Clip::committed("plain.h265").unwrap();
    let builder = Camera::builder().stream("yard", numbered_clip()).stream("door", h265).http(0);
    let camera = builder.start().unwrap();
    let (yard, door) = (camera.url("yard"), camera.url("door"));
    let snapshot = format!("{:?}", camera.picture_url().unwrap());
    let nvr = start(&[("yard", &yard), ("door", &door), ("roof", &door)], SHORT_SEGMENTS, |text| {
        let door = text.replace("\"door\"\n", &format!("\"door\"\nsnapshot = {snapshot}\n"));
        door.replace("\"roof\"\n", "\"roof\"\nsnapshot = \"off\"\n")
    });
    let mut browser = Browser::start("cameras.py", &[&port_of(&nvr)]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn a_camera_that_sends_no_idr_is_shown_all_the_same() {
    let camera = Camera::builder().stream("cam", refreshing_clip()).start().unwrap();
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    // Only then recovery points count as key frames.
    wait_for("ten seconds without an IDR", || frames_in(&nvr.files()) > 10 * 25);
    let mut browser = Browser::start("refresh.py", &[&port_of(&nvr)]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn the_page_says_that_the_recorder_is_gone_and_finds_it_again() {
    let steps = while_it_goes(&["camera"], &[]);
    assert_eq!(steps, ["live", "looking", "said", "back", "looking", "said", "back"]);
}

#[test]
fn the_past_of_all_cameras_comes_back_with_the_recorder() {
    assert_eq!(while_it_goes(&["camera", "gate"], &["all"]), ["looking", "said", "back"]);
}

/// Ends the recorder and starts it again while the page looks on; the page's steps.
fn while_it_goes(names: &[&str], arguments: &[&str]) -> Vec<String> {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let url = camera.url("cam");
    let cameras: Vec<_> = names.iter().map(|name| (*name, &*url)).collect();
    let mut nvr = start(&cameras, SHORT_SEGMENTS, str::to_owned);
    let port = port_of(&nvr);
    let mut browser = Browser::start("gone.py", &[&[&*port], arguments].concat());
    let mut steps = Vec::new();
    while let Some(step) = browser.next_step() {
        match step["step"].as_str() {
            Some("looking") => {
                nvr.kill();
                nvr.set_config(|text| text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
            }
            Some("said") => nvr.restart(),
            _ => {}
        }
        steps.push(step["step"].as_str().unwrap().to_owned());
    }
    browser.assert_success();
    steps
}

#[test]
fn a_camera_is_tested_saved_and_changed_on_the_page() {
    let auth = Auth::new(Scheme::Digest, "admin", "s/e@c:ret");
    let camera = Camera::builder().stream("cam", numbered_clip()).auth(auth).start().unwrap();
    let address = camera.url("cam").replace("//", "//admin:s%2Fe%40c%3Aret@");
    let nvr = start(&[], SHORT_SEGMENTS, str::to_owned);
    let mut browser = Browser::start("settings.py", &[&port_of(&nvr), &address]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
    let text = nvr.config_text();
    assert!(text.contains("segment_seconds = 3"), "{text}");
    assert!(text.contains(&address) && !text.contains("***"), "{text}");
    assert_eq!(text.matches("[[camera]]").count(), 1, "{text}");
}

#[test]
fn the_first_run_ends_with_the_picture_of_a_camera_that_was_found() {
    let clip = numbered_clip;
    let camera = Camera::builder().stream("stream=0", clip()).stream("stream=1", clip());
    let camera = camera.start().unwrap();
    let nvr = start(&[], SHORT_SEGMENTS, str::to_owned);
    let host = camera.url("");
    let host = host.trim_end_matches('/');
    let mut browser = Browser::start("first.py", &[&port_of(&nvr), host]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
    let text = nvr.config_text();
    assert!(text.contains(&format!("url = \"{host}/stream=0\"")), "{text}");
    assert!(text.contains(&format!("live_url = \"{host}/stream=1\"")), "{text}");
    assert!(text.contains("label = \"Porch\""), "{text}");
}

#[test]
fn live_sound_is_fetched_and_heard_once_somebody_asks_for_it() {
    let sound = Some(Sound::new(Encoding::Aac));
    let options = Options { sound, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let audio = |text: &str| text.replace("buffer_kb", "audio = true\nbuffer_kb");
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, audio);
    let mut browser = Browser::start("sound.py", &[&port_of(&nvr)]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn the_page_speaks_russian_and_chinese_and_fits_a_phone_in_both() {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    let screenshots = target().join("page");
    let arguments = [&*port_of(&nvr), screenshots.to_str().unwrap()];
    let mut browser = Browser::start("languages.py", &arguments);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn a_page_that_is_open_for_a_week_holds_what_it_held_after_a_day() {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    let mut browser = Browser::start("week.py", &[&port_of(&nvr)]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn a_russian_keyboard_a_full_buffer_and_a_spot_that_is_gone_stop_nobody() {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    let mut browser =
        Browser::start("others.py", &[&port_of(&nvr), nvr.recordings().to_str().unwrap()]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn the_first_picture_is_asked_for_once_script_and_status_are_there() {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    wait_for("a picture", || nvr.status()["cameras"][0]["state"] == "live");
    let mut browser = Browser::start("rounds.py", &[&port_of(&nvr)]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn a_list_of_many_goes_on_by_itself_and_keeps_its_rows() {
    let camera = Camera::builder().stream("cam", numbered_clip()).start().unwrap();
    let mut nvr = start(&[("camera", &camera.url("cam"))], SHORT_SEGMENTS, str::to_owned);
    wait_for("a recording", || nvr.files().len() >= 2);
    nvr.terminate();
    let recordings = nvr.recordings();
    for number in 100..100 + MANY {
        let copy = recordings.join(format!("{number:03}.mp4"));
        std::fs::hard_link(recordings.join("000.mp4"), copy).unwrap();
    }
    nvr.restart();
    let mut browser = Browser::start("list.py", &[&port_of(&nvr), &MANY.to_string()]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

#[test]
fn a_moment_of_last_week_is_found_and_handed_on() {
    let frames = 250;
    let options = Options { speed: Speed::Times(10.0), frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let storage = "segment_seconds = 10\nkeep_free_percent = 0";
    let mut nvr = start(&[("camera", &camera.url("cam"))], storage, str::to_owned);
    record_to_the_end(&mut nvr, &camera, frames);
    drop(camera);
    let start = copy_to_last_week(&nvr, 10_000);
    nvr.restart();
    let mut browser = Browser::start("axis.py", &[&port_of(&nvr), &start.to_string()]);
    iter::from_fn(|| browser.next_step()).for_each(|step| println!("{step}"));
    browser.assert_success();
}

/// Copies a recording of `length_ms` to where `ci/page/axis.py` looks for it: 24 times from the
/// answer on, 6 times after an hour's gap, and 12 times lately.
pub fn copy_to_last_week(nvr: &Nvr, length_ms: i64) -> i64 {
    let recordings = nvr.recordings();
    let mut bytes = std::fs::read(recordings.join("000.mp4")).unwrap();
    std::fs::remove_file(recordings.join("000.mp4")).unwrap();
    let hour = 3_600_000;
    let day = 24 * hour;
    let now = i64::try_from(unix_time().as_millis()).unwrap();
    // At noon, so that neither block goes over midnight, in whatever zone.
    let start = (now - 5 * day) / day * day + 11 * hour;
    let mut number = 0;
    for (from, count) in [(start, 24), (start + 24 * length_ms + hour, 6), (now - hour, 12)] {
        for index in 0..count {
            number += 1;
            relabel(&mut bytes, number, from + length_ms * index);
            std::fs::write(recordings.join(format!("{number:03}.mp4")), &bytes).unwrap();
        }
    }
    start
}

/// Changes number, boot and time in the box that names a recording's owner; its clock was right.
fn relabel(recording: &mut [u8], number: u32, start_ms: i64) {
    let uuid = recording.windows(4).position(|kind| kind == b"uuid").unwrap();
    let identity = &mut recording[uuid + 4 + 16..];
    identity[1] = 1;
    identity[2..6].copy_from_slice(&number.to_be_bytes());
    identity[14..30].fill(7);
    identity[30..38].copy_from_slice(&start_ms.to_be_bytes());
}

/// A script of `ci/page` and the browser that it drives; both end with this.
pub struct Browser {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Browser {
    pub fn start(script: &str, arguments: &[&str]) -> Browser {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("sh")
            .arg(root.join("ci/python.sh"))
            .arg(root.join("ci/page").join(script))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Browser { child, lines }
    }

    pub fn next_step(&mut self) -> Option<Value> {
        let line = self.lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    pub fn assert_success(&mut self) {
        assert!(self.child.wait().unwrap().success(), "see above");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its driver and Chromium end when their pipes close.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A recorder that may be called by the name that the scripts use, with a configuration to change.
pub fn start(cameras: &[(&str, &str)], storage: &str, change: impl Fn(&str) -> String) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), storage, cameras);
    let text = text.replace("[web]", "[web]\nhosts = [\"nvr.lan\"]");
    Nvr::start_with(directory, &change(&text), &[])
}

pub fn port_of(nvr: &Nvr) -> String {
    nvr.web_address().rsplit(':').next().unwrap().to_owned()
}

/// The folder of all builds: two levels above the program under test.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_smolnvr")).ancestors().nth(2).unwrap().to_owned()
}
