//! SIGHUP: what a new configuration does not change continues, and nothing of the old one remains.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config, frames_in, recordings_in, wait_for,
};
use camera::{Camera, Clip, Options, SessionState, Speed};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Streams `a`, `b` and `c` of one camera.
fn three() -> Camera {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { speed: Speed::Times(4.0), ..Options::default() };
    let builder = Camera::builder().options(options);
    ["a", "b", "c"].iter().fold(builder, |it, name| it.stream(name, clip.clone())).start().unwrap()
}

fn frames(folder: &Path) -> usize {
    if folder.is_dir() { frames_in(&recordings_in(folder)) } else { 0 }
}

/// Waits until each folder got half a second more.
fn wait_for_more_in(folders: &[PathBuf]) {
    for folder in folders {
        let before = frames(folder);
        wait_for(&format!("more in {}", folder.display()), || frames(folder) > before + 12);
    }
}

fn sessions_of(camera: &Camera, stream: &str) -> usize {
    camera.sessions().iter().filter(|session| session.stream == stream).count()
}

#[test]
fn a_camera_that_did_not_change_keeps_its_connection() {
    let camera = three();
    let mut nvr = Nvr::start(&camera.url("a"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let text = |second: &str| {
        let cameras = [("camera", &*camera.url("a")), ("yard", &*camera.url(second))];
        config(nvr.directory.path(), SHORT_SEGMENTS, &cameras)
    };
    let (first, second) = (text("b"), text("c"));
    let folders = [nvr.recordings(), nvr.recordings().join("yard")];
    nvr.reconfigure(&first);
    wait_for_more_in(&folders);
    let before = sessions_of(&camera, "a");
    nvr.reconfigure(&second);
    wait_for("the other stream", || sessions_of(&camera, "c") == 1);
    wait_for_more_in(&folders);
    assert_eq!((sessions_of(&camera, "a"), sessions_of(&camera, "b")), (before, 1));
    assert!(nvr.terminate().0.success());
    folders.iter().for_each(|folder| assert_all_whole(folder));
}

#[test]
fn cameras_that_change_places_again_and_again_go_on_recording() {
    let camera = three();
    let mut nvr = Nvr::start(&camera.url("a"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let (a, b) = (camera.url("a"), camera.url("b"));
    let folders = [nvr.recordings(), nvr.recordings().join("two")];
    for round in 0..6 {
        let mut cameras = [("one", &*a), ("two", &*b)];
        if round % 2 == 1 {
            cameras.reverse();
        }
        nvr.reconfigure(&config(nvr.directory.path(), SHORT_SEGMENTS, &cameras));
        wait_for_more_in(&folders);
    }
    // Their places are no matter of theirs: neither was asked again.
    assert_eq!((sessions_of(&camera, "a"), sessions_of(&camera, "b")), (2, 1));
    assert!(nvr.terminate().0.success());
    folders.iter().for_each(|folder| assert_all_whole(folder));
    let torn_down = |state| state == SessionState::TornDown;
    assert!(camera.sessions().iter().all(|session| torn_down(session.state)));
    assert_eq!(nvr.complaints(), [""; 0]);
}

#[test]
fn a_storm_of_sighups_and_a_sigterm_in_it_end_in_order() {
    let camera = three();
    let mut nvr = Nvr::start(&camera.url("a"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let (a, b) = (camera.url("a"), camera.url("b"));
    for round in 0..20 {
        let url = if round % 2 == 0 { &b } else { &a };
        nvr.reconfigure(&config(nvr.directory.path(), SHORT_SEGMENTS, &[("camera", url)]));
    }
    let (status, elapsed) = nvr.terminate();
    assert!(status.success());
    assert!(elapsed < Duration::from_secs(2), "took {elapsed:?} to end");
    assert_all_whole(&nvr.recordings());
}
