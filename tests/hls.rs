//! Playlists: many recordings as HLS, as FFmpeg, VLC, GStreamer and a browser see them.

use crate::{
    clip::span,
    support::{
        Nvr, config, frames_in,
        http::{Answer, ask},
        numbered_clip, wait_for_within,
    },
};
use camera::{Camera, Encoding, Options, Sound};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
    time::Duration,
};

/// Two recordings of 9 s in their own time, with a key frame and a fragment a second, and sound.
const FRAMES: u64 = 450;

fn recorded() -> (Nvr, String, Camera) {
    let sound = Some(Sound::new(Encoding::Aac));
    let options = Options { frames: Some(FRAMES), sound, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let storage = "segment_seconds = 9\nsync_seconds = 1\nkeep_free_percent = 0";
    let text = config(directory.path(), storage, &[("camera", &camera.url("cam"))]);
    let text = text.replace("buffer_kb", "audio = true\nbuffer_kb");
    let nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    wait_for_within(Duration::from_secs(60), "the recordings", || {
        frames_in(&nvr.files()) as u64 >= FRAMES - 25
    });
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    (nvr, address, camera)
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// Decode time and hash of each packet.
fn packets(of: &str, track: &str) -> Vec<(i64, String)> {
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "csv=p=0", "-select_streams", track, "-show_packets"])
        .args(["-show_data_hash", "md5", "-show_entries", "packet=dts,data_hash", of])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let packet = |line: &str| {
        let (time, hash) = line.split_once(',').unwrap();
        (time.parse().unwrap(), hash.trim_end_matches(',').to_owned())
    };
    lines.lines().filter(|line| !line.is_empty()).map(packet).collect()
}

#[test]
fn a_playlist_is_its_recordings_in_one_time_and_players_play_it() {
    let (nvr, address, _camera) = recorded();
    let (begin, end) = span(&address);
    let target = format!("/hls/camera.m3u8?from={begin}&to={}", end - 1000);
    let url = format!("http://{address}{target}");
    let answer = ask(&address, "GET", &target, &[], "");
    assert_eq!((answer.status, answer.field("Content-Type")), (200, Some(MPEGURL)));
    let text = text(&answer);
    assert!(text.starts_with("#EXTM3U\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    assert_eq!(text.matches("#EXT-X-MAP").count(), 1, "{text}");
    assert_eq!(text.matches("#EXT-X-BYTERANGE").count(), 3, "6 s and 3 s of the first: {text}");
    assert_eq!(text.matches("#EXTINF").count(), 3, "{text}");

    let files = nvr.files();
    assert_eq!(files.len(), 2);
    for track in ["v", "a"] {
        let played = packets(&url, track);
        let recorded = files.iter().flat_map(|it| packets(it.to_str().unwrap(), track));
        let recorded: Vec<_> = recorded.map(|(_, hash)| hash).collect();
        let hashes: Vec<_> = played.iter().map(|(_, hash)| hash.clone()).collect();
        assert!(hashes == recorded, "{} of {}", hashes.len(), recorded.len());
        assert!(played.is_sorted_by(|one, next| one.0 < next.0));
    }

    assert_eq!(frames_of_gstreamer(&url), frames_in(&files));
    let film = play_with_vlc(&url);
    // Its muxer leaves the last frames out.
    let frames = packets(&film.1, "v").len();
    assert!((frames_in(&files) - 10..=frames_in(&files)).contains(&frames), "{frames}");

    let port = address.rsplit(':').next().unwrap();
    let seen = in_chromium(port, &target, 5);
    let duration = seen["duration"].as_f64().unwrap();
    assert!((duration - frames_in(&files) as f64 / 25.0).abs() < 0.2, "{seen}");
    for shown in seen["seen"].as_array().unwrap() {
        let (time, number) = (shown[0].as_f64().unwrap(), shown[1].as_i64().unwrap());
        let wanted = (time * 25.0) as i64 % 250;
        assert!((number - wanted).abs() <= 1, "{seen}");
    }
}

/// Pictures that it decodes.
fn frames_of_gstreamer(url: &str) -> usize {
    let sink = "fakesink sync=false silent=false";
    let output = Command::new("gst-launch-1.0")
        .args(["-v", "playbin3"])
        .arg(format!("uri={url}"))
        .args([format!("video-sink={sink}"), "audio-sink=fakesink sync=false".to_owned()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !said.contains("ERROR"), "{said}");
    said.matches("chain   ***").count()
}

/// What it received, in a file that is deleted with the folder.
fn play_with_vlc(url: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let film = folder.path().join("film.mp4").to_str().unwrap().to_owned();
    // It refuses to run as root.
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "vlc"];
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let command: &[&str] = if is_root { &nobody } else { &["vlc"] };
    let output = Command::new(command[0])
        .args(&command[1..])
        .args(["--intf", "dummy", "--quiet", "--sout"])
        .arg(format!("#std{{access=file,mux=mp4,dst={film}}}"))
        .args([url, "vlc://quit"])
        .env("HOME", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (folder, film)
}

/// How many seconds before its end it is played from.
fn in_chromium(port: &str, target: &str, last: u32) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("sh")
        .arg(root.join("ci/python.sh"))
        .arg(root.join("ci/page/playlist.py"))
        .args([port, target, &last.to_string()])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sound_goes_on_over_a_gap_without_a_step_back_or_a_hole() {
    let options = Options { sound: Some(Sound::new(Encoding::Aac)), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let storage = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";
    let text = config(directory.path(), storage, &[("camera", &camera.url("cam"))]);
    let nvr =
        Nvr::start_with(directory, &text.replace("buffer_kb", "audio = true\nbuffer_kb"), &[]);
    let address = nvr.web_address();
    let arrive = |count: u64| {
        let status = || ask(&address, "GET", "/api/status", &[], "").json();
        let frames = || status()["cameras"][0]["frames"].as_u64().unwrap();
        let wanted = frames() + count;
        wait_for_within(Duration::from_secs(60), "frames", || frames() >= wanted);
    };
    arrive(270);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    arrive(25);
    assert_eq!(ask(&address, "POST", "/api/record/start", &[], "").status, 200);
    arrive(150);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(nvr.files().len(), 2);

    let (begin, end) = span(&address);
    let target = format!("/hls/camera.m3u8?from={begin}&to={}", end - 1000);
    for track in ["v", "a"] {
        let played = packets(&format!("http://{address}{target}"), track);
        assert!(played.is_sorted_by(|one, next| one.0 < next.0), "{track}: {played:?}");
    }
    // It plays over the gap to the end.
    let seen = in_chromium(address.rsplit(':').next().unwrap(), &target, 5);
    let duration = seen["duration"].as_f64().unwrap();
    assert!((duration - frames_in(&nvr.files()) as f64 / 25.0).abs() < 0.2, "{seen}");
}

/// hls.js and Chromium wait for ever where a recording has no sound for a while.
#[test]
fn a_recording_whose_sound_was_off_for_a_while_plays_on() {
    // A frame lasts 64 ms: from 8 s to 28 s.
    let sound = Some(Sound { muted: 125..438, ..Sound::new(Encoding::Aac) });
    let options = Options { sound, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", numbered_clip(), options).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let storage = "segment_seconds = 120\nsync_seconds = 1\nkeep_free_percent = 0";
    let text = config(directory.path(), storage, &[("camera", &camera.url("cam"))]);
    let nvr =
        Nvr::start_with(directory, &text.replace("buffer_kb", "audio = true\nbuffer_kb"), &[]);
    let address = nvr.web_address();
    wait_for_within(Duration::from_secs(120), "the recording", || frames_in(&nvr.files()) >= 875);
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert_eq!(nvr.files().len(), 1);
    let (begin, end) = span(&address);
    let target = format!("/hls/camera.m3u8?from={begin}&to={}", end - 1000);
    for track in ["v", "a"] {
        let played = packets(&format!("http://{address}{target}"), track);
        let recorded = packets(nvr.files()[0].to_str().unwrap(), track);
        let hashes = |packets: &[(i64, String)]| -> Vec<String> {
            packets.iter().map(|(_, hash)| hash.clone()).collect()
        };
        assert!(hashes(&played) == hashes(&recorded), "{track}");
        assert!(played.is_sorted_by(|one, next| one.0 < next.0), "{track}: {played:?}");
    }
    let seen = in_chromium(address.rsplit(':').next().unwrap(), &target, 60);
    let duration = seen["duration"].as_f64().unwrap();
    assert!((duration - frames_in(&nvr.files()) as f64 / 25.0).abs() < 0.2, "{seen}");
}

#[test]
fn pieces_are_had_by_ranges_until_their_recording_goes() {
    let (_nvr, address, _camera) = crate::clip::recorded();
    let (begin, end) = span(&address);
    let target = format!("/hls/camera.m3u8?from={begin}");
    let growing = text(&ask(&address, "GET", &target, &[], ""));
    assert!(growing.contains("PLAYLIST-TYPE:EVENT") && !growing.contains("ENDLIST"), "{growing}");
    let head = ask(&address, "HEAD", &target, &[], "");
    assert_eq!(head.field("Content-Length"), Some(&*growing.len().to_string()));
    // A part of the span begins at time 0 as well.
    let later = format!("/hls/camera.m3u8?from={}&to={}", begin + 2500, end);
    let later = text(&ask(&address, "GET", &later, &[], ""));
    assert!(later.contains("camera/1.m4s?t=0\n") && !later.contains("camera/0."), "{later}");

    let line = growing.lines().find(|line| line.starts_with("camera/1.m4s?t="));
    let piece = &*format!("/hls/{}", line.unwrap_or_else(|| panic!("{growing}")));
    let whole = ask(&address, "GET", piece, &[], "");
    assert_eq!((whole.status, &whole.body[4..8]), (200, &b"moof"[..]));
    let (length, tag) = (whole.body.len(), whole.field("ETag").unwrap());
    for (from, to) in [(0, 1), (20, 90), (length / 2, length)] {
        let range = format!("Range: bytes={from}-{}", to - 1);
        let part = ask(&address, "GET", piece, &[&range, &format!("If-Range: {tag}")], "");
        let content = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!((part.status, part.field("Content-Range")), (206, Some(&*content)));
        assert!(part.body == whole.body[from..to]);
    }
    assert_eq!(ask(&address, "GET", piece, &[&format!("If-None-Match: {tag}")], "").status, 304);
    assert_eq!(ask(&address, "GET", piece, &["Range: bytes=999999999-"], "").status, 416);
    assert_ne!(ask(&address, "GET", "/hls/camera/1.m4s?t=1", &[], "").field("ETag"), Some(tag));
    let head = ask(&address, "HEAD", piece, &[], "");
    assert_eq!(head.field("Content-Length"), Some(&*length.to_string()));

    assert_eq!(ask(&address, "DELETE", "/api/recordings/camera/1", &[], "").status, 200);
    for (target, status) in [
        (piece, 404),
        ("/hls/camera/1.mp4", 404),
        ("/hls/camera/0.mp4", 200),
        ("/hls/camera/0.m4s", 400),
        ("/hls/camera/0.m4s?t=soon", 400),
        ("/hls/nobody/0.m4s?t=0", 404),
        ("/hls/camera.m3u8", 400),
        ("/hls/camera.m3u8?from=5", 400),
        ("/hls/camera.m3u8?from=6&to=5", 400),
        ("/hls/camera.m3u8?from=5&to=6", 404),
        ("/hls/nobody.m3u8?from=5&to=6", 404),
    ] {
        let answer = ask(&address, "GET", target, &[], "");
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
    }
    let after = text(&ask(&address, "GET", &target, &[], ""));
    assert!(after.contains("camera/0.m4s") && !after.contains("camera/1.m4s"), "{after}");
}

const MPEGURL: &str = "application/vnd.apple.mpegurl";
