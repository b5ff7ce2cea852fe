//! A recording in a browser: opened, and shown from three quarters on, with few requests.

use crate::support::{
    Nvr, assert_all_whole, bench_clip, config, record_to_the_end, refreshing_clip,
};
use camera::{Camera, Clip, Encoding, Options, Sound, Speed};
use serde_json::Value;
use std::{path::Path, process::Command};

/// A minute at 25 frames a second, 30 MB of 1080p.
const FRAMES: u64 = 1500;
const LONG_SEGMENTS: &str = "segment_seconds = 60\nkeep_free_percent = 0";
/// The contract.
const REQUESTS_MAX: u64 = 4;

#[test]
fn a_whole_segment_shows_the_picture_at_three_quarters_with_four_requests() {
    let seen = seen_at_three_quarters(bench_clip(), None);
    assert_eq!((seen["width"].as_u64(), seen["height"].as_u64()), (Some(1920), Some(1080)));
    assert_eq!(seen["duration"].as_f64(), Some(60.0));
    assert_eq!(seen["sound"].as_u64(), Some(0));
}

#[test]
fn a_segment_of_recovery_points_is_shown_there_as_well() {
    let seen = seen_at_three_quarters(refreshing_clip(), None);
    assert_eq!(seen["duration"].as_f64(), Some(60.0));
}

#[test]
fn a_segment_with_sound_is_opened_as_fast_and_heard() {
    for encoding in [Encoding::Aac, Encoding::Pcmu] {
        let seen = seen_at_three_quarters(bench_clip(), Some(Sound::new(encoding)));
        assert!(seen["sound"].as_u64().unwrap() > 0, "{encoding:?}: {seen}");
        let duration = seen["duration"].as_f64().unwrap();
        assert!((60.0..60.1).contains(&duration), "{encoding:?}: {seen}");
    }
}

fn seen_at_three_quarters(clip: Clip, sound: Option<Sound>) -> Value {
    // Sound comes in small packets, of which a socket takes fewer a second.
    let speed = Speed::Times(if sound.is_some() { 5.0 } else { 10.0 });
    let options = Options { speed, sound, frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), LONG_SEGMENTS, &[("camera", &camera.url("cam"))]);
    // All of the minute fits, however long a busy machine's disk takes.
    let text = text.replace("buffer_kb = 8192", "audio = true\nbuffer_kb = 40960");
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    assert_all_whole(&nvr.recordings());
    let files = nvr.files();
    assert_eq!(files.len(), 1, "{files:?}");

    let output = Command::new("/usr/bin/python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/chromium_seek.py"))
        .arg(&files[0])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let bytes = files[0].metadata().unwrap().len();
    println!("chromium: {seen} of a file of {bytes} bytes");
    let time = seen["time"].as_f64().unwrap();
    assert!((time - seen["duration"].as_f64().unwrap() * 0.75).abs() < 0.001, "{seen}");
    assert!(seen["colours"].as_u64().unwrap() > 1000, "a blank picture: {seen}");
    assert!(seen["requests"].as_u64().unwrap() <= REQUESTS_MAX, "{seen}");
    seen
}
