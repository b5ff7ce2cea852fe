//! Pictures that are made of the video: by FFmpeg, by programs in its place that fail in every way,
//! and, built with the feature `pictures`, by smolnvr itself.

#[cfg(not(feature = "pictures"))]
mod ffmpeg;
#[cfg(feature = "pictures")]
mod own;

use crate::support::{
    Nvr, config, frames_in,
    http::{Answer, ask},
    mp4, wait_for, wait_for_within,
};
use camera::{Camera, Clip, Codec, SessionState};
use std::{fs, path::Path, process::Command, time::Duration};

/// Where no FFmpeg is.
const NOWHERE: &str = "/nonexistent/ffmpeg";

/// The program that makes pictures in this build.
fn maker() -> &'static str {
    if cfg!(feature = "pictures") { NOWHERE } else { "ffmpeg" }
}

/// A second of moving pictures with a single key frame.
fn clip(codec: Codec, size: &str) -> Clip {
    let (encoder, format) = match codec {
        Codec::H264 => ("libx264", "h264"),
        _ => ("libx265", "hevc"),
    };
    let source = format!("testsrc2=size={size}:rate=25:duration=1");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p"])
        .args(["-c:v", encoder, "-preset", "ultrafast", "-bf", "0", "-g", "25", "-crf", "20"])
        .args(["-x265-params", "log-level=error:bframes=0:keyint=25", "-f", format, "-"])
        .output()
        .unwrap();
    let times: String = (0..25).map(|number| format!("{}\n", number * 3600)).collect();
    Clip::new(codec, &output.stdout, &times).unwrap()
}

/// A daemon whose FFmpeg is `ffmpeg`, and whose camera has these additional keys.
fn start(url: &str, ffmpeg: &str, keys: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let storage = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";
    let text = config(directory.path(), storage, &[("yard", url)]);
    let text = text.replace("buffer_kb", &format!("{keys}\nbuffer_kb"));
    Nvr::start_with(directory, &format!("{text}\n[ffmpeg]\npath = {ffmpeg:?}\n"), &[])
}

fn snapshot(nvr: &Nvr) -> Answer {
    ask(&nvr.web_address(), "GET", "/snapshot/yard.jpg", &[], "")
}

/// A picture, however busy this machine is: one that takes 10 s is tried again half a minute later.
fn picture(nvr: &Nvr) -> Answer {
    let mut answer = Answer::default();
    wait_for_within(Duration::from_secs(120), "a picture", || {
        answer = snapshot(nvr);
        answer.status == 200
    });
    answer
}

fn reason(answer: &Answer) -> String {
    assert_eq!(answer.status, 503, "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

/// The children of a process, including zombies.
fn children(parent: u32) -> Vec<String> {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let is_child = |stat: &String| {
        // pid (name) state ppid …
        let behind = stat.rsplit(") ").next().unwrap();
        behind.split(' ').nth(1) == Some(&parent.to_string())
    };
    stats.filter(is_child).collect()
}

/// The recording contains every frame of the clip from its beginning, whatever else was done.
fn assert_nothing_is_lost(mut nvr: Nvr, clip: &Clip) {
    wait_for("a round of the clip", || frames_in(&nvr.files()) > clip.access_units().len());
    assert!(nvr.terminate().0.success());
    let movie = mp4::read(&nvr.files()[0]).unwrap();
    crate::support::assert_is_part_of(&movie, clip);
}

/// How alike a JPEG and the clip's first picture are, scaled by FFmpeg to `size`, in dB.
fn likeness(jpeg: &[u8], clip: &Clip, size: &str) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let [picture, stream] = ["picture.jpg", "stream"].map(|name| directory.path().join(name));
    fs::write(&picture, jpeg).unwrap();
    let nals = &clip.access_units()[0].nals;
    fs::write(
        &stream,
        nals.iter().flat_map(|nal| [b"\0\0\0\x01", &nal[..]].concat()).collect::<Vec<_>>(),
    )
    .unwrap();
    let format = if clip.codec() == Codec::H264 { "h264" } else { "hevc" };
    let graph = format!("[1:v]scale={size},format=yuvj420p[whole];[0:v][whole]psnr");
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(&picture)
        .args(["-f", format, "-i"])
        .arg(&stream)
        .args(["-lavfi", &graph, "-frames:v", "1", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let figure = said.split("average:").nth(1).unwrap_or_else(|| panic!("{said}"));
    figure.split(' ').next().unwrap().parse().unwrap()
}

/// Width and height.
fn size_of(jpeg: &[u8]) -> (u16, u16) {
    let mut rest = &jpeg[2..];
    loop {
        let (marker, length) = (rest[1], u16::from_be_bytes([rest[2], rest[3]]));
        if (0xc0..=0xc2).contains(&marker) {
            let number = |at| u16::from_be_bytes([rest[at], rest[at + 1]]);
            return (number(7), number(5));
        }
        rest = &rest[2 + usize::from(length)..];
    }
}

#[test]
fn a_key_frame_of_either_codec_becomes_a_picture_without_another_connection() {
    for codec in [Codec::H264, Codec::H265] {
        let clip = clip(codec, "1280x720");
        let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
        let nvr = start(&camera.url("cam"), maker(), "");
        nvr.wait_for_recording(&[]);
        let answer = picture(&nvr);
        assert_eq!(answer.field("Content-Type"), Some("image/jpeg"));
        assert_eq!(size_of(&answer.body), (640, 360));
        let likeness = likeness(&answer.body, &clip, "640:360:flags=area");
        println!("{codec:?}: {likeness} dB, {} bytes", answer.body.len());
        assert!(likeness >= 30.0, "{codec:?}: {likeness} dB");
        let age: u64 = answer.field("Age-Ms").unwrap().parse().unwrap();
        assert!(age < 30_000, "{age}");
        assert_eq!(camera.sessions().len(), 1, "no connection for it");
        assert_eq!(children(nvr.id()), [""; 0], "nothing runs that nobody looks at");
        assert_nothing_is_lost(nvr, &clip);
    }
}

#[test]
fn a_small_picture_is_not_made_larger() {
    let clip = Clip::committed("plain.h265").unwrap();
    let camera = Camera::builder().stream("cam", clip.clone()).frames(20).start().unwrap();
    let nvr = start(&camera.url("cam"), maker(), "");
    let answer = picture(&nvr);
    assert_eq!(size_of(&answer.body), (480, 272));
    let likeness = likeness(&answer.body, &clip, "480:272");
    assert!(likeness >= 30.0, "{likeness} dB");
}

#[test]
fn a_preview_comes_from_the_smaller_stream_which_runs_only_for_viewers() {
    let clip = clip(Codec::H264, "320x180");
    let camera = Camera::builder()
        .stream("cam", Clip::committed("plain.h265").unwrap())
        .stream("small", clip.clone())
        .start()
        .unwrap();
    let nvr = start(&camera.url("cam"), maker(), &format!("live_url = {:?}", camera.url("small")));
    nvr.wait_for_recording(&[]);
    let small =
        || camera.sessions().into_iter().filter(|it| it.stream == "small").collect::<Vec<_>>();
    assert!(small().is_empty(), "nobody looks");
    let answer = picture(&nvr);
    assert_eq!(size_of(&answer.body), (320, 180));
    let likeness = likeness(&answer.body, &clip, "320:180");
    assert!(likeness >= 30.0, "{likeness} dB");
    wait_for_within(Duration::from_secs(15), "the smaller stream's end", || {
        small().iter().all(|it| it.state != SessionState::Playing)
    });
    let recorded = camera.sessions().into_iter().filter(|it| it.stream == "cam");
    assert_eq!(recorded.map(|it| it.state).collect::<Vec<_>>(), [SessionState::Playing]);
}

#[test]
fn the_reason_says_that_the_camera_cannot_be_reached() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).start().unwrap();
    let url = camera.url("cam");
    drop(camera);
    let nvr = start(&url, maker(), "");
    wait_for("the failure", || nvr.status()["cameras"][0]["state"] == "waiting");
    let reason = reason(&snapshot(&nvr));
    assert!(reason.contains("nothing is listening on that port"), "{reason}");
    assert!(!reason.contains("FFmpeg"), "{reason}");
}

/// A program in a folder, for the shell.
#[cfg_attr(
    feature = "pictures",
    expect(dead_code, reason = "nothing stands in for our own decoder")
)]
fn script(folder: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("ffmpeg");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}
