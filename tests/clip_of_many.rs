//! Clips of many recordings: gaps, a clock that was set, other parameters; the memory they need,
//! and recordings deleted meanwhile to make room.

use crate::{
    clip::packets,
    support::{
        Nvr, SHORT_SEGMENTS, assert_ffmpeg_is_silent, bench_clip,
        card::Card,
        config, frames_in,
        http::{Answer, Client, ask},
        wait_for, wait_for_within,
    },
};
use camera::{Camera, Clip, Options, Speed};
use std::{fs, path::PathBuf, time::Duration};

const SEGMENTS: usize = 60;

/// Twenty times as fast as it was.
fn fast() -> Options {
    Options { speed: Speed::Times(20.0), ..Options::default() }
}

fn committed(name: &str) -> Clip {
    Clip::committed(name).unwrap()
}

/// Waits until there are this many recordings.
fn wait_for_files(nvr: &Nvr, count: usize) {
    wait_for_within(Duration::from_secs(120), "recordings", || nvr.files().len() > count);
}

/// 60 recordings of one camera with two gaps (somebody stops; the process is killed) and a clock
/// that was set three hours forward, and a few more with other parameters. Nothing is recorded any
/// more.
fn recorded() -> (Nvr, Camera) {
    let camera = Camera::builder().stream_with("a", committed("bframes.h264"), fast());
    let camera = camera.stream_with("b", committed("slices.h264"), fast()).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("a"))]);
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    wait_for_files(&nvr, 20);
    assert_eq!(ask(&nvr.web_address(), "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(ask(&nvr.web_address(), "POST", "/api/record/start", &[], "").status, 200);
    wait_for_files(&nvr, 35);
    nvr.kill();
    nvr.restart();
    wait_for_files(&nvr, SEGMENTS);
    nvr.reconfigure(&text.replace(&camera.url("a"), &camera.url("b")));
    assert!(camera.wait(Duration::from_secs(30), |all| {
        all.iter().any(|it| it.stream == "b" && it.frames > 0)
    }));
    wait_for_files(&nvr, nvr.files().len() + 2);
    assert!(nvr.terminate().0.success());
    for file in &nvr.files()[45..] {
        let mut bytes = fs::read(file).unwrap();
        let identity = bytes.windows(4).position(|kind| kind == b"uuid").unwrap() - 4;
        let wall = &mut bytes[identity + 54..identity + 62];
        let set = i64::from_be_bytes(wall.try_into().unwrap()) + 3 * 3600 * 1000;
        wall.copy_from_slice(&set.to_be_bytes());
        fs::write(file, bytes).unwrap();
    }
    // It would be corrected by and by, and the clip with it.
    fs::remove_file(nvr.recordings().join("000.idx")).unwrap();
    nvr.set_config(|text| text.replace("[[camera]]", "[[camera]]\nrecord = false"));
    nvr.restart();
    wait_for("the list", || nvr.status()["storage"]["list_complete"] == true);
    (nvr, camera)
}

fn clip(nvr: &Nvr, (from, to): (i64, i64), fields: &[&str]) -> Answer {
    let target = format!("/clip/camera.mp4?from={from}&to={to}");
    ask(&nvr.web_address(), "GET", &target, fields, "")
}

/// Of the process, at its highest, in KB.
fn peak_kb(nvr: &Nvr) -> i64 {
    nvr.status()["memory"]["peak_kb"].as_i64().unwrap()
}

#[test]
fn three_hours_with_gaps_are_one_file_and_take_no_memory() {
    let (nvr, _camera) = recorded();
    let files = nvr.files();
    let all = span_of_all(&nvr);
    // The ring is full, and what every clip takes is taken: only what this one takes is left.
    wait_for_within(Duration::from_secs(60), "a full ring", || {
        nvr.status()["cameras"][0]["frames"].as_u64() > Some(5000)
    });
    assert_eq!(clip(&nvr, (all.0, all.0 + 50), &[]).status, 200);
    let before = peak_kb(&nvr);
    let whole = clip(&nvr, all, &[]);
    let grown = peak_kb(&nvr) - before;
    assert_eq!((whole.status, whole.field("Clip-Ends")), (200, Some("parameters")));
    println!("{} recordings, {} bytes, {grown} KB", files.len(), whole.body.len());
    assert!(whole.body.len() > 6_000_000);
    // Buffers, which a client that other programs hold up fills; not the clip.
    assert!(grown < 1000, "the peak grew by {grown} KB");

    // An answer that broke off is gone on with, at any place.
    let (length, tag) = (whole.body.len(), whole.field("ETag").unwrap());
    for from in [1, 50_000, length / 3, length - 7] {
        let fields = [&*format!("Range: bytes={from}-"), &format!("If-Range: {tag}")];
        let rest = clip(&nvr, all, &fields);
        assert!(rest.status == 206 && rest.body == whole.body[from..], "{from}");
    }

    let film = nvr.recordings().join("film.part");
    fs::write(&film, &whole.body).unwrap();
    let wanted: Vec<String> = files.iter().flat_map(|file| packets(file)).collect();
    let got = packets(&film);
    assert!(got.len() > SEGMENTS * 40 && got == wanted[..got.len()], "{}", got.len());
    // It contains everything except recordings with other parameters.
    let others = wanted.len() - got.len();
    let last = |count: usize| files[files.len() - count..].to_vec();
    let left = (2..=files.len() - SEGMENTS).find(|count| frames_in(&last(*count)) == others);
    assert!(left.is_some(), "{others} frames of {} are missing", files.len());
    assert_ffmpeg_is_silent(&[film]);
}

/// Begin and end of all that is listed, UTC in ms.
fn span_of_all(nvr: &Nvr) -> (i64, i64) {
    let target = "/api/recordings?limit=500";
    let list = ask(&nvr.web_address(), "GET", target, &[], "").json();
    let list = list["recordings"].as_array().unwrap();
    let starts = list.iter().map(|it| it["start_ms"].as_i64().unwrap());
    let ends = list
        .iter()
        .map(|it| it["start_ms"].as_i64().unwrap() + it["duration_ms"].as_i64().unwrap());
    (starts.min().unwrap(), ends.max().unwrap())
}

/// One clip was sent at a time: whoever read theirs slowly kept all others from theirs.
#[test]
fn clients_that_read_their_clips_slowly_keep_nobody_from_theirs() {
    let camera = Camera::builder().stream_with("cam", bench_clip(), fast());
    let camera = camera.start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("camera", &camera.url("cam"))]);
    let nvr = Nvr::start_with(directory, &text, &[]);
    wait_for_files(&nvr, 6);
    assert_eq!(ask(&nvr.web_address(), "POST", "/api/record/stop", &[], "").status, 200);
    let all = span_of_all(&nvr);
    let target = format!("/clip/camera.mp4?from={}&to={}", all.0, all.1);
    let mut slow: Vec<_> = (0..3).map(|_| Client::narrow(&nvr.web_address())).collect();
    for client in &mut slow {
        client.begin("GET", &target, &[], "");
        assert_eq!(client.head().status, 200);
    }
    let wanted = clip(&nvr, all, &[]);
    assert_eq!((wanted.status, wanted.field("Clip-Ends")), (200, Some("complete")));
    for client in &mut slow {
        assert!(client.bytes(wanted.body.len()) == wanted.body);
    }
}

#[test]
fn recordings_that_make_room_do_not_tear_a_clip_that_is_on_its_way() {
    let camera = Camera::builder().stream_with("cam", bench_clip(), fast());
    let camera = camera.start().unwrap();
    let card = Card::new(150);
    card.mount("rw");
    let nvr = card.start(&camera.url("cam"), SHORT_SEGMENTS);
    wait_for_within(Duration::from_secs(60), "recordings", || card.files().len() > 24);
    let address = nvr.web_address();
    let list = ask(&address, "GET", "/api/recordings?before=18&limit=18", &[], "").json();
    let oldest = &list["recordings"][17];
    let newest = &list["recordings"][0];
    let (from, to) = (oldest["start_ms"].as_i64().unwrap(), newest["start_ms"].as_i64().unwrap());
    let target = format!("/clip/camera.mp4?from={from}&to={to}");
    let wanted = ask(&address, "GET", &target, &[], "");
    assert_eq!((wanted.status, wanted.field("Clip-Ends")), (200, Some("complete")));

    let mut slow = Client::narrow(&address);
    slow.begin("GET", &target, &[], "");
    let head = slow.head();
    assert_eq!((head.status, head.field("ETag")), (200, wanted.field("ETag")));
    // The card fills, and recordings after the clip's span are deleted first.
    let mut film = Vec::new();
    let is_later = |file: &PathBuf| file.ends_with("recordings/021.mp4");
    wait_for_within(Duration::from_secs(120), "room to be made", || {
        // A client that reads nothing for 20 s is disconnected.
        film.extend(slow.bytes(256));
        !card.files().iter().any(is_later)
    });
    assert!(card.files()[0].ends_with("recordings/000.mp4"), "a part of the clip");
    film.extend(slow.bytes(wanted.body.len() - film.len()));
    assert!(film == wanted.body);
    drop(slow);
    // Then they are the oldest, and go as all do.
    wait_for_within(Duration::from_secs(120), "room to be made", || {
        !card.files()[0].ends_with("recordings/000.mp4")
    });
}
