//! Streams that use more of H.264 than cameras mostly do, after the circumstances of the JVT's
//! conformance streams: every NAL unit is stored, and FFmpeg makes the same pictures of recording
//! and source. `ci/conformance.py` does the same with such streams themselves, through GStreamer.

use crate::support::{assert_exact, record_to_the_end, server::recorder};
use camera::{Camera, Clip, Options, Speed};
use std::{fmt::Write as _, fs, path::Path, process::Command};

const FRAMES: u64 = 100;

/// Records what x264 makes of pictures of that size with these parameters, over both transports.
fn stays_the_same(source: &str, parameters: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (video, stream) = (folder.path().join("video.mp4"), folder.path().join("clip.h264"));
    let common = "keyint=25:min-keyint=25:scenecut=0:threads=1";
    run(Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", source, "-t", "4"])
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p", "-threads", "1"])
        .args(["-x264-params", &format!("{common}:{parameters}")])
        .args(["-video_track_timescale", "90000"])
        .arg(&video));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    run(Command::new("sh").arg(root.join("ci/clips.sh")).args([&video, &stream]));
    is_recorded(&stream);
}

fn is_recorded(stream: &Path) {
    let clip = Clip::load(stream).unwrap();
    let sent = pictures(stream);
    assert_eq!(sent.len() as u64, FRAMES);
    for transport in ["tcp", "udp"] {
        let options =
            Options { frames: Some(FRAMES), speed: Speed::Times(2.0), ..Options::default() };
        let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
        let mut nvr = recorder(&camera.url("cam"), transport);
        record_to_the_end(&mut nvr, &camera, FRAMES);
        let files = nvr.files();
        assert_exact(&files, &clip, 0, FRAMES);
        let stored: Vec<String> = files.iter().flat_map(|file| pictures(file)).collect();
        assert!(stored == sent, "other pictures over {transport}");
    }
}

/// The checksums of the pictures that FFmpeg makes of a file.
fn pictures(file: &Path) -> Vec<String> {
    let output = run(Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-fps_mode", "passthrough", "-f", "framemd5", "-"]));
    let lines = output.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(',').next()).map(|sum| sum.trim().to_owned()).collect()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn frames_of_macroblock_pairs_from_two_fields_in_several_slices() {
    stays_the_same("testsrc2=size=480x288:rate=25", "interlaced=1:bframes=2:slices=3");
}

#[test]
fn many_references_of_which_b_pictures_are_some() {
    let parameters = "ref=8:bframes=6:b-adapt=0:b-pyramid=normal:weightp=2:direct=auto:aud=1";
    stays_the_same("testsrc2=size=320x240:rate=25", parameters);
}

#[test]
fn a_recovery_point_in_open_groups_and_b_pictures_that_lead_it() {
    let parameters = "open-gop=1:bframes=3:b-adapt=0:b-pyramid=normal";
    stays_the_same("testsrc2=size=320x240:rate=25", parameters);
}

/// No encoder at hand makes them: of a picture of 4 by 4 macroblocks, all samples as they are
/// (H.264 §7.3.5, mb_type I_PCM).
#[test]
fn macroblocks_that_are_not_coded_but_copied() {
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("clip.h264");
    let (mut bytes, mut times) = (Vec::new(), String::new());
    for frame in 0..FRAMES {
        // Baseline, level 1.1, order by decoding; one slice group, a deblocking filter that is off.
        for nal in ["67 42 00 0b dc 42 64", "68 ce 3c 80"] {
            bytes.extend([0, 0, 0, 1]);
            bytes.extend(nal.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
        // An I slice of all; idr_pic_id is 0 and 1 by turns.
        let head = if frame % 2 == 0 { "88 84 a0 d0" } else { "88 82 28 34" };
        bytes.extend([0, 0, 0, 1, 0x65]);
        bytes.extend(head.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        for block in 0..16_u64 {
            if block > 0 {
                bytes.extend([0x0d, 0]);
            }
            bytes.extend((0..384).map(|at| 16 + ((frame * 5 + block * 7 + at) % 200) as u8));
        }
        bytes.push(0x80);
        writeln!(times, "{}", frame * 3600).unwrap();
    }
    fs::write(&stream, bytes).unwrap();
    fs::write(folder.path().join("clip.h264.pts"), times).unwrap();
    is_recorded(&stream);
}

#[test]
fn pictures_that_are_cropped_to_an_odd_size_in_a_hundred_slices() {
    stays_the_same("testsrc2=size=322x246:rate=25", "slice-max-mbs=3:bframes=1:b-adapt=0");
}
