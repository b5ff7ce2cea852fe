//! VLC as the camera: UDP only (461 to TCP), and a client joins in the middle of a picture group.
//! The file holds what VLC sends, with times counted in microseconds.

use crate::support::{
    let_pass,
    server::{Server, assert_records_clip, make_mp4, recorder},
};
use camera::{Clip, Codec};
use std::{fs, path::Path, time::Duration};

/// VLC plays it once, in real time: 24 s.
const FRAMES: u64 = 600;
const ENOUGH: usize = 100;
/// A microsecond is a tenth of a tick; the file's times and VLC's are each rounded.
const TOLERANCE: i64 = 1;

fn records_exactly(clip: Clip) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clip.mp4");
    make_mp4(&clip, FRAMES, &file);
    let server = Server::vlc(&file);
    // Into the middle of a picture group, which is 1 s long.
    let_pass(Duration::from_millis(1500));
    let mut nvr = recorder(&server.url, "tcp");
    assert_records_clip(&mut nvr, &clip, ENOUGH, TOLERANCE);
    let said = "trying=udp reason=\"461";
    assert!(nvr.log().contains(said), "{}", nvr.log());
}

fn committed(name: &str) -> Clip {
    Clip::committed(name).unwrap()
}

/// The clip with several slices a frame at an even frame rate: where no picture is shown out of
/// order, VLC does not send a file's times but those that the frame rate would give.
fn even_slices() -> Clip {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/clips/slices.h264");
    let frames = committed("slices.h264").access_units().len();
    let times: String = (0..frames).map(|frame| format!("{}\n", frame * 3600)).collect();
    Clip::new(Codec::H264, &fs::read(path).unwrap(), &times).unwrap()
}

#[test]
fn h264_without_b_frames() {
    records_exactly(committed("plain.h264"));
}

#[test]
fn h264_with_b_frames() {
    records_exactly(committed("bframes.h264"));
}

#[test]
fn h264_with_several_slices_a_frame() {
    records_exactly(even_slices());
}

#[test]
fn h265_with_b_frames() {
    records_exactly(committed("bframes.h265"));
}

#[test]
fn h265_with_open_picture_groups() {
    records_exactly(committed("opengop.h265"));
}
