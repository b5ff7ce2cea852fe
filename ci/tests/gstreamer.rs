//! A server that is not ours: what GStreamer's sends is what the file holds, codec by codec.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use camera::{Camera, Clip, Codec, Options, Speed};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};
use support::{Nvr, assert_ffmpeg_is_silent, mp4, record_to_the_end, vcl, wait_for};

/// What the server has: one and a half rounds of a clip, 6 s …
const FRAMES: u64 = 150;
/// … and what of it the file must hold.
const ENOUGH: usize = 100;
const LONG_SEGMENTS: &str = "segment_seconds = 60\nsync_seconds = 1\nkeep_free_percent = 0";

/// GStreamer's RTSP server in a process of its own, which ends with this.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(file: &Path, codec: Codec) -> Server {
        let mut child = Command::new("/usr/bin/python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/gst_server.py"))
            .arg(file)
            .arg(if codec == Codec::H264 { "h264" } else { "h265" })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_default().trim().to_owned();
        assert!(!url.is_empty(), "the server does not start: is python3-gi there?");
        Server { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn records_exactly(name: &str) {
    let clip = Clip::committed(name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clip.mp4");
    make_mp4(&clip, &file);
    let server = Server::start(&file, clip.codec());

    let mut nvr = Nvr::start(&server.url, LONG_SEGMENTS);
    wait_for("the clip's frames on disk", || support::frames_in(&nvr.files()) >= ENOUGH);
    let (status, _) = nvr.terminate();
    assert!(status.success(), "{status}");

    let files = nvr.files();
    assert_eq!(files.len(), 1, "one run, one file: {files:?}");
    assert_is_part_of_clip(&mp4::read(&files[0]).unwrap(), &clip);
    assert_ffmpeg_is_silent(&files);
}

/// Puts a clip with its times into an ordinary MP4 file: what smolnvr records of the test camera
/// (`exact.rs` shows that this is the clip), written anew by FFmpeg.
fn make_mp4(clip: &Clip, file: &Path) {
    let options = Options { speed: Speed::Times(20.0), frames: Some(FRAMES), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), LONG_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(&nvr.files()[0])
        .args(["-c", "copy", "-video_track_timescale", "90000"])
        .arg(file)
        .status();
    assert!(status.unwrap().success());
}

/// GStreamer may begin with any key frame, and its clock may start anywhere; from there on every VCL
/// NAL unit is the clip's byte for byte and every presentation time tick for tick.
fn assert_is_part_of_clip(movie: &mp4::Movie, clip: &Clip) {
    let opening = vcl(clip.codec(), &movie.samples[0].nals);
    let units = clip.access_units().iter();
    let first = units.map(|unit| vcl(clip.codec(), &unit.nals)).position(|it| it == opening);
    let first = u64::try_from(first.expect("the first frame is one of the clip")).unwrap();
    assert!(movie.samples.len() >= ENOUGH, "{} frames", movie.samples.len());
    let base = i64::try_from(clip.frame(first).pts).unwrap();
    let mut last_decode = -1;
    for (number, sample) in (first..).zip(&movie.samples) {
        let frame = clip.frame(number);
        let (sent, stored) = (vcl(clip.codec(), &frame.unit.nals), vcl(clip.codec(), &sample.nals));
        assert!(sent == stored, "frame {number} differs");
        let presentation = i64::try_from(frame.pts).unwrap() - base;
        assert_eq!(sample.presentation, presentation, "frame {number}");
        assert!(sample.decode > last_decode, "frame {number}");
        last_decode = sample.decode;
        assert_eq!(sample.key, frame.unit.key, "frame {number}");
    }
}

#[test]
fn h264_without_b_frames() {
    records_exactly("plain.h264");
}

#[test]
fn h264_with_b_frames() {
    records_exactly("bframes.h264");
}

#[test]
fn h265_without_b_frames() {
    records_exactly("plain.h265");
}

#[test]
fn h265_with_b_frames() {
    records_exactly("bframes.h265");
}

#[test]
fn h265_with_open_picture_groups() {
    records_exactly("opengop.h265");
}
