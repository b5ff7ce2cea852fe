//! Our own decoder, where no FFmpeg is.

use super::*;
use crate::support::bench_clip;
use std::{
    io::Write as _,
    os::unix::process::ExitStatusExt as _,
    process::{Output, Stdio},
};

/// The child as the daemon runs it, with so many bytes of memory. It is killed after 10 s of
/// processor time.
fn decoded(codec: Codec, stream: &[u8], memory: u64) -> Output {
    let name = if codec == Codec::H264 { "h264" } else { "h265" };
    let mut child = Command::new("prlimit")
        .args([
            "--cpu=10",
            &format!("--data={memory}"),
            env!("CARGO_BIN_EXE_smolnvr"),
            "picture",
            name,
        ])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that ends before it has read all has its reason.
    let _ = child.stdin.take().unwrap().write_all(stream);
    child.wait_with_output().unwrap()
}

fn stream(clip: &Clip) -> Vec<u8> {
    let nals = clip.access_units()[0].nals.iter();
    nals.flat_map(|nal| [b"\0\0\0\x01", &nal[..]].concat()).collect()
}

/// Numbers that look random, the same each time (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

const MEGABYTE: u64 = 1 << 20;

#[test]
fn a_broken_key_frame_costs_a_picture_at_most() {
    for (codec, seed) in [(Codec::H264, 1), (Codec::H265, 2)] {
        let whole = stream(&clip(codec, "640x360"));
        let mut random = Random(seed);
        let (mut made, mut refused, mut died) = (0, 0, 0);
        for round in 0..40 {
            let mut broken = whole.clone();
            if round % 4 == 0 {
                broken.truncate(random.below(whole.len()));
            } else {
                for _ in 0..=random.below(12) {
                    let at = random.below(broken.len());
                    broken[at] ^= 1 << random.below(8);
                }
            }
            // What the daemon gives to a picture of this size.
            let output = decoded(codec, &broken, 6 * MEGABYTE);
            match (output.status.code(), output.status.signal()) {
                (Some(0), None) => {
                    assert!(
                        output.stdout.starts_with(&[0xff, 0xd8])
                            && !size_of_is_zero(&output.stdout)
                    );
                    made += 1;
                }
                (Some(1), None) => {
                    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
                    refused += 1;
                }
                // A panic of the decoder, or memory that it did not get.
                (Some(101), None) | (None, Some(6)) => died += 1,
                _ => panic!("{output:?}"),
            }
        }
        println!("{codec:?}: {made} made, {refused} refused, {died} died");
        assert!(made + refused > died, "{made} made, {refused} refused, {died} died");
    }
}

fn size_of_is_zero(jpeg: &[u8]) -> bool {
    let (width, height) = size_of(jpeg);
    width == 0 || height == 0
}

#[test]
fn a_decoder_that_wants_more_than_its_memory_ends_alone() {
    let output = decoded(Codec::H264, &stream(&bench_clip()), 10 * MEGABYTE);
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("memory allocation"), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn bytes_that_are_no_key_frame_are_refused_with_a_reason() {
    for (stream, words) in
        [(&b""[..], "no parameter sets"), (b"\0\0\0\x01garbage", "no parameter sets")]
    {
        let output = decoded(Codec::H264, stream, 32 * MEGABYTE);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains(words), "{said}");
    }
}

#[test]
fn a_picture_too_large_for_our_own_decoder_is_refused_before_it_starts() {
    let clip = clip(Codec::H264, "2560x1440");
    let camera = Camera::builder().stream("cam", clip).start().unwrap();
    let nvr = start(&camera.url("cam"), NOWHERE, "");
    let reason = reason(&snapshot(&nvr));
    let words =
        "decoding this picture takes 38 MB, but 24 MB are free: set live_url to a smaller stream";
    assert!(reason.contains(words), "{reason}");
    // Where FFmpeg is, it makes it.
    let nvr = start(&camera.url("cam"), "ffmpeg", "");
    assert_eq!(size_of(&picture(&nvr).body), (640, 360));
}

#[test]
fn a_camera_whose_key_frames_are_broken_is_recorded_all_the_same() {
    let whole = clip(Codec::H264, "640x360");
    let mut stream: Vec<u8> = Vec::new();
    let mut random = Random(3);
    for unit in whole.access_units() {
        for nal in &unit.nals {
            let mut nal = nal.clone();
            // The slice's data: its header and the parameter sets stay as they are.
            if unit.key && nal.len() > 1000 {
                for _ in 0..50 {
                    let at = 100 + random.below(nal.len() - 100);
                    nal[at] |= 1 << random.below(8);
                }
            }
            stream.extend_from_slice(b"\0\0\0\x01");
            stream.extend_from_slice(&nal);
        }
    }
    let times: String = (0..25).map(|number| format!("{}\n", number * 3600)).collect();
    let clip = Clip::new(Codec::H264, &stream, &times).unwrap();
    let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
    let nvr = start(&camera.url("cam"), NOWHERE, "");
    nvr.wait_for_recording(&[]);
    let answer = snapshot(&nvr);
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    assert_eq!(children(nvr.id()), [""; 0]);
    assert_nothing_is_lost(nvr, &clip);
}

#[test]
fn a_recording_has_a_picture_of_its_first_frame() {
    for name in ["plain.h264", "plain.h265"] {
        let clip = Clip::committed(name).unwrap();
        let camera = Camera::builder().stream("cam", clip.clone()).start().unwrap();
        let nvr = start(&camera.url("cam"), NOWHERE, "");
        nvr.wait_for_recording(&[]);
        assert_eq!(nvr.status()["pictures"], true);
        let address = nvr.web_address();
        let get = |file: &str, fields: &[&str]| {
            ask(&address, "GET", &format!("/recordings/yard/{file}"), fields, "")
        };
        // While it is written, and no other afterwards.
        let mut answer = get("000.jpg?1", &[]);
        wait_for_within(Duration::from_secs(120), "a picture", || {
            answer = get("000.jpg?1", &[]);
            answer.status == 200
        });
        assert_eq!(
            (answer.status, answer.field("Content-Type")),
            (200, Some("image/jpeg")),
            "{answer:?}"
        );
        let likeness = likeness(&answer.body, &clip, "480:272");
        assert!(likeness >= 30.0, "{name}: {likeness} dB");
        assert!(answer.field("Cache-Control").unwrap().starts_with("private, max-age="));
        let known = format!("If-None-Match: {}", answer.field("ETag").unwrap());
        assert_eq!(get("000.jpg", &[&known]).status, 304);
        for wrong in ["007.jpg", "x.jpg", ".jpg", "000.jpeg"] {
            assert_eq!(get(wrong, &[]).status, 404, "{wrong}");
        }
        // A file of no pictures among the recordings.
        fs::write(nvr.recordings().join("000.mp4"), b"\0\0\0\x08ftyp").unwrap();
        assert!(reason(&get("000.jpg", &[])).contains("does not start with a picture"));
        let pictures = (0..8).map(|_| children(nvr.id()).len());
        assert_eq!(pictures.max(), Some(0), "no process stays");
    }
}

#[test]
fn the_page_shows_pictures_in_its_list() {
    let camera = Camera::builder().stream("cam", Clip::committed("plain.h264").unwrap());
    let camera = camera.start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), "keep_free_percent = 0", &[("yard", &camera.url("cam"))]);
    let text = text.replace("[web]", "[web]\nhosts = [\"nvr.lan\"]");
    let nvr = Nvr::start_with(directory, &text, &[]);
    nvr.wait_for_recording(&[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new("sh")
        .arg(root.join("ci/python.sh"))
        .arg(root.join("ci/page/pictures.py"))
        .arg(nvr.web_address().rsplit(':').next().unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status();
    assert!(status.unwrap().success());
}
