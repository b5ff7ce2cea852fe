//! Old recordings reduced to their key frames, as players see them.

use crate::support::{
    Nvr, assert_all_whole, assert_ffmpeg_is_silent, config, http::ask, mp4, step_the_clock,
    unix_time, wait_for,
};
use camera::{Camera, Clip};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

const CLIPS: [(&str, &str); 3] =
    [("camera", "bframes.h264"), ("yard", "bframes.h265"), ("gate", "opengop.h265")];
const STORAGE: &str = "segment_seconds = 4\nsync_seconds = 1\nkeep_free_percent = 0";
/// Of each camera; the last one as recent as it is.
const RECORDINGS: usize = 3;

fn list(address: &str, camera: &str) -> Vec<Value> {
    let list = ask(address, "GET", &format!("/api/recordings?camera={camera}"), &[], "").json();
    let mut entries = list["recordings"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

fn folder(nvr: &Nvr, camera: &str) -> PathBuf {
    if camera == "camera" { nvr.recordings() } else { nvr.recordings().join(camera) }
}

/// Moves the begin of a recording into the past, by a clock that is trusted.
fn age(file: &Path, days: i64) {
    let mut bytes = fs::read(file).unwrap();
    let mark = bytes.windows(6).position(|it| it == b"smolnv").unwrap() + 6;
    bytes[mark + 1] |= 1;
    let wall = mark + 1 + 1 + 4 + 8 + 16;
    let now = i64::try_from(unix_time().as_millis()).unwrap();
    bytes[wall..wall + 8].copy_from_slice(&(now - days * 86_400_000).to_be_bytes());
    fs::write(file, bytes).unwrap();
}

#[test]
fn thinned_recordings_play_as_long_as_before_and_without_errors() {
    let cameras = CLIPS.map(|(_, clip)| {
        Camera::builder().stream("cam", Clip::committed(clip).unwrap()).start().unwrap()
    });
    let urls: Vec<_> = cameras.iter().map(|camera| camera.url("cam")).collect();
    let urls: Vec<_> =
        CLIPS.iter().zip(&urls).map(|((name, _), url)| (*name, url.as_str())).collect();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), STORAGE, &urls);
    step_the_clock(directory.path());
    let mut nvr = Nvr::start_with(directory, &text, &[]);
    let address = nvr.web_address();
    for (name, _) in CLIPS {
        wait_for("some recordings", || list(&address, name).len() > RECORDINGS);
    }
    assert_eq!(ask(&address, "POST", "/api/record/stop", &[], "").status, 200);
    assert!(nvr.terminate().0.success());
    let mut before = Vec::new();
    for (name, _) in CLIPS {
        for nth in 0..RECORDINGS {
            let file = folder(&nvr, name).join(format!("{nth:03}.mp4"));
            age(&file, 2 * (RECORDINGS - nth) as i64);
            before.push((name, nth, mp4::read(&file).unwrap()));
        }
    }
    nvr.set_config(|text| text.replace("sync_seconds", "thin_after_days = 3\nsync_seconds"));
    nvr.restart();
    let address = nvr.web_address();
    let is_thinned = |name: &str, nth: usize| list(&address, name)[nth]["thinned"] == true;
    // Six and four days old; the third is of two.
    wait_for("thinning", || {
        CLIPS.iter().all(|(name, _)| is_thinned(name, 0) && is_thinned(name, 1))
    });
    for (name, nth, before) in &before {
        if nth + 1 == RECORDINGS {
            assert!(!is_thinned(name, *nth));
            continue;
        }
        let file = folder(&nvr, name).join(format!("{nth:04}.mp4"));
        assert_ffmpeg_is_silent(std::slice::from_ref(&file));
        let after = mp4::read(&file).unwrap();
        assert_eq!(after.duration, before.duration, "{name} {nth}");
        let keys: Vec<_> = before.samples.iter().filter(|sample| sample.key).collect();
        assert!(keys.len() > 2, "{name} {nth}: {}", keys.len());
        assert_eq!(after.samples.len(), keys.len());
        for (sample, key) in after.samples.iter().zip(keys) {
            assert!(sample.key && sample.nals == key.nals);
            assert_eq!(sample.presentation, key.presentation);
        }
        let entry = &list(&address, name)[*nth];
        assert_eq!(
            (&entry["number"], &entry["state"]),
            (&Value::from(*nth), &Value::from("whole"))
        );
        let begin = entry["start_ms"].as_i64().unwrap();
        let clip = format!("/clip/{name}.mp4?from={begin}&to={}", begin + 3000);
        assert_eq!(ask(&address, "GET", &clip, &[], "").status, 200);
        let whole = ask(&address, "GET", &format!("/recordings/{name}/{nth:03}.mp4"), &[], "");
        assert!((whole.status, &whole.body) == (200, &fs::read(&file).unwrap()));
    }
    for camera in nvr.status()["cameras"].as_array().unwrap() {
        assert!(camera["thinned_bytes"].as_u64().unwrap() > 0, "{camera}");
    }
    assert_all_whole(&nvr.recordings());
}
