//! Clips: many recordings in one file, as seen by FFmpeg and by a browser that seeks.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_ffmpeg_is_silent, config,
    http::{Answer, ask},
    wait_for,
};
use camera::{Camera, Clip, Options};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const FRAMES: u64 = 180;

/// Several recordings of 2 s in their own time, the last one closed.
pub fn recorded() -> (Nvr, String, Camera) {
    let clip = Clip::committed("bframes.h264").unwrap();
    let options = Options { frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    wait_for("the recordings", || crate::support::frames_in(&nvr.files()) as u64 >= FRAMES - 25);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    (nvr, address, camera)
}

/// Begin and end of all recordings, UTC in ms.
pub fn span(address: &str) -> (i64, i64) {
    let list = ask(address, "GET", "/api/recordings", &[], "").json();
    let recordings = list["recordings"].as_array().unwrap();
    let number = |entry: &Value, name: &str| entry[name].as_i64().unwrap();
    let begin = recordings.iter().map(|it| number(it, "start_ms")).min().unwrap();
    let ends = recordings.iter().map(|it| number(it, "start_ms") + number(it, "duration_ms"));
    (begin, ends.max().unwrap())
}

fn clip(address: &str, from: i64, to: i64, fields: &[&str]) -> Answer {
    ask(address, "GET", &format!("/clip/camera.mp4?from={from}&to={to}"), fields, "")
}

/// The hash of each packet, in decode order.
pub fn packets(file: &Path) -> Vec<String> {
    probe(&["-show_packets", "-show_data_hash", "md5", "-show_entries", "packet=data_hash"], file)
}

/// Presentation times of decoded pictures, in ms.
fn shown(file: &Path) -> Vec<String> {
    probe(&["-select_streams", "v", "-show_entries", "frame=pts_time"], file)
}

/// The hash of each picture shown.
fn pictures(file: &Path) -> Vec<String> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit(',').next().unwrap().trim().to_owned()).collect()
}

fn probe(arguments: &[&str], file: &Path) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "csv=p=0"])
        .args(arguments)
        .arg(file)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    // Frames with side data have an empty line more.
    let lines = lines.lines().map(|line| line.trim_end_matches(',').to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

fn keep(nvr: &Nvr, name: &str, answer: &Answer) -> PathBuf {
    let file = nvr.recordings().join(name);
    fs::write(&file, &answer.body).unwrap();
    file
}

#[test]
fn a_clip_is_the_packets_of_its_recordings_in_one_file_that_players_take() {
    let (nvr, address, _camera) = recorded();
    let files = nvr.files();
    assert!(files.len() >= 3, "{files:?}");
    let (begin, end) = span(&address);
    let whole = clip(&address, begin - 1000, end + 1000, &[]);
    assert_eq!((whole.status, whole.field("Clip-Ends")), (200, Some("complete")));
    assert_eq!(whole.field("Content-Length"), Some(&*whole.body.len().to_string()));
    let name = whole.field("Content-Disposition").unwrap();
    assert!(name.contains("filename=\"camera_20") && name.ends_with(".mp4\""), "{name}");
    let file = keep(&nvr, "clip.part", &whole);
    let recorded: Vec<String> = files.iter().flat_map(|it| packets(it)).collect();
    assert_eq!(packets(&file), recorded);
    assert_eq!(shown(&file).len(), recorded.len());
    assert_ffmpeg_is_silent(&[file]);

    // As a player seeks, and as a download is resumed.
    let length = whole.body.len();
    let tag = format!("If-Range: {}", whole.field("ETag").unwrap());
    for (from, to) in [(0, 2), (30, 700), (length / 2, length / 2 + 9999), (length - 5, length)] {
        let range = format!("Range: bytes={from}-{}", to - 1);
        let part = clip(&address, begin - 1000, end + 1000, &[&range, &tag]);
        let content = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!((part.status, part.field("Content-Range")), (206, Some(&*content)));
        assert!(part.body == whole.body[from..to], "{from} to {to}");
    }
}

#[test]
fn a_clip_begins_and_ends_at_the_frames_that_were_asked_for() {
    let (nvr, address, _camera) = recorded();
    let (begin, end) = span(&address);
    let (from, to) = (begin + 1500, end - 1500);
    let answer = clip(&address, from, to, &[]);
    let number = |name: &str| answer.field(name).unwrap().parse::<i64>().unwrap();
    let (first, last) = (number("Clip-From"), number("Clip-To"));
    assert!(
        (0..=40).contains(&(from - first)) && (0..=40).contains(&(last - to)),
        "{first} {last}"
    );
    let file = keep(&nvr, "clip.part", &answer);
    let times = shown(&file);
    let wanted = usize::try_from((last - first + 20) / 40).unwrap();
    assert!(times.len().abs_diff(wanted) <= 1, "{} frames of {wanted}", times.len());
    assert_eq!(times[0].parse::<f64>().unwrap(), 0.0);
    // It has B-frames: the first picture decoded is not the first one shown.
    let (all, some) =
        (pictures(&keep(&nvr, "all.part", &clip(&address, begin, end, &[]))), pictures(&file));
    let at = usize::try_from((first - begin + 20) / 40).unwrap();
    assert!(some[..] == all[at..at + some.len()], "other pictures than those asked for");
    assert_ffmpeg_is_silent(&[file]);

    let lapse = format!("/clip/camera.mp4?from={begin}&to={end}&key_frames");
    let lapse = ask(&address, "GET", &lapse, &[], "");
    let file = keep(&nvr, "lapse.part", &lapse);
    let keys = nvr.files().iter().map(|it| key_frames(it)).sum::<usize>();
    assert_eq!((shown(&file).len(), key_frames(&file)), (keys, keys));
}

fn key_frames(file: &Path) -> usize {
    let flags = probe(&["-select_streams", "v", "-show_entries", "packet=flags"], file);
    flags.iter().filter(|flags| flags.starts_with('K')).count()
}

#[test]
fn what_is_no_clip_is_refused_in_words() {
    let (_nvr, address, _camera) = recorded();
    let (begin, end) = span(&address);
    for (target, status) in [
        ("/clip/camera.mp4", 400),
        ("/clip/camera.mp4?from=a&to=5", 400),
        ("/clip/camera.mp4?from=5&to=5", 400),
        ("/clip/camera.mp4?from=6&to=5", 400),
        ("/clip/camera.mp4?from=5&to=6", 404),
        ("/clip/nobody.mp4?from=5&to=6", 404),
        ("/clip/camera.avi?from=5&to=6", 404),
    ] {
        let answer = ask(&address, "GET", target, &[], "");
        assert_eq!(answer.status, status, "{target}");
        assert!(!answer.json()["error"].as_str().unwrap().is_empty());
    }
    let head = ask(&address, "HEAD", &format!("/clip/camera.mp4?from={begin}&to={end}"), &[], "");
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty() && head.field("Content-Length") != Some("0"));
}

/// Another program's `rm` is noticed as the file is opened.
#[test]
fn a_clip_ends_where_a_recording_was_deleted_behind_our_back() {
    let (nvr, address, _camera) = recorded();
    let (begin, end) = span(&address);
    let files = nvr.files();
    let field = |answer: &Answer, name: &str| answer.field(name).unwrap().to_owned();
    fs::remove_file(files.last().unwrap()).unwrap();
    let answer = clip(&address, begin, end, &[]);
    assert_eq!((answer.status, &*field(&answer, "Clip-Ends")), (200, "damage"));
    assert!(field(&answer, "Clip-To").parse::<i64>().unwrap() < end - 1000);
    fs::remove_file(&files[0]).unwrap();
    let answer = clip(&address, begin, end, &[]);
    assert!(field(&answer, "Clip-From").parse::<i64>().unwrap() > begin + 1000);
}
