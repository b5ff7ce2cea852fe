//! A foreign server: the file holds what GStreamer's sends, codec by codec, over TCP and over UDP.

use crate::support::server::{Server, assert_records_clip, make_mp4, recorder};
use camera::Clip;

/// What the server has: one and a half rounds of a clip, 6 s …
const FRAMES: u64 = 150;
/// … and what of it the file must hold.
const ENOUGH: usize = 100;

/// `tolerance`: GStreamer counts in nanoseconds, which are rounded to ticks where frames are
/// uneven.
fn records_exactly(name: &str, tolerance: i64) {
    let clip = Clip::committed(name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clip.mp4");
    make_mp4(&clip, FRAMES, &file);
    for transport in ["tcp", "udp"] {
        let server = Server::gstreamer(&file, clip.codec());
        let mut nvr = recorder(&server.url, transport);
        assert_records_clip(&mut nvr, &clip, ENOUGH, tolerance);
        assert!(!nvr.log().contains("trying="), "no transport gives way: {}", nvr.log());
    }
}

#[test]
fn h264_without_b_frames() {
    records_exactly("plain.h264", 0);
}

#[test]
fn h264_with_b_frames() {
    records_exactly("bframes.h264", 0);
}

#[test]
fn h264_with_several_slices_a_frame() {
    records_exactly("slices.h264", 1);
}

#[test]
fn h265_without_b_frames() {
    records_exactly("plain.h265", 0);
}

#[test]
fn h265_with_b_frames() {
    records_exactly("bframes.h265", 0);
}

#[test]
fn h265_with_open_picture_groups() {
    records_exactly("opengop.h265", 0);
}
