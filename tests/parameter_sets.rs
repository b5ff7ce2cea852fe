//! Parameter sets that keep changing: every frame is stored, and FFmpeg decodes each of them.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, mp4, record_to_the_end,
};
use camera::{Camera, Clip, Codec, Options};
use std::{fmt::Write as _, process::Command};

const FRAMES: usize = 100;
const GROUP: usize = 25;

/// One way of entropy coding, which is a matter of the picture parameter set.
struct Coding {
    sets: [Vec<u8>; 2],
    slices: Vec<Vec<u8>>,
}

impl Coding {
    fn new(cabac: u8) -> Coding {
        let parameters = format!(
            "keyint={GROUP}:min-keyint={GROUP}:scenecut=0:bframes=0:ref=1:weightp=0:threads=1:\
             cabac={cabac}"
        );
        let source = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "4"];
        let encoder = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-x264-params", &parameters];
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error"])
            .args(source)
            .args(["-profile:v", "main", "-threads", "1"])
            .args(encoder)
            .args(["-f", "h264", "-"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let nals = nal_units(&output.stdout);
        let first = |kind| nals.iter().find(|nal| nal[0] & 0x1f == kind).unwrap().clone();
        let slices: Vec<_> = nals.iter().filter(|nal| Codec::H264.is_vcl(nal)).cloned().collect();
        assert_eq!(slices.len(), FRAMES, "one slice a picture");
        Coding { sets: [first(7), first(8)], slices }
    }
}

fn nal_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, it)| *it == [0, 0, 1]).map(|it| it.0).collect();
    starts.push(stream.len());
    let bodies = starts.windows(2).map(|pair| &stream[pair[0] + 3..pair[1]]);
    bodies.map(|body| body[..=body.iter().rposition(|byte| *byte != 0).unwrap()].to_vec()).collect()
}

/// Pictures of both codings, each preceded by the set it needs if that has changed: with the wrong
/// one there is no picture.
fn mixed(is_second: impl Fn(usize) -> bool) -> Clip {
    let codings = [Coding::new(1), Coding::new(0)];
    let (mut stream, mut times, mut current) = (Vec::new(), String::new(), None);
    for frame in 0..FRAMES {
        let choice = usize::from(is_second(frame));
        let mut nals = Vec::new();
        if frame % GROUP == 0 {
            nals.push(&codings[0].sets[0]);
        }
        if current.replace(choice) != Some(choice) || frame % GROUP == 0 {
            nals.push(&codings[choice].sets[1]);
        }
        nals.push(&codings[choice].slices[frame]);
        nals.iter().for_each(|nal| stream.extend([&[0, 0, 0, 1], &nal[..]].concat()));
        writeln!(times, "{}", frame * 3600).unwrap();
    }
    Clip::new(Codec::H264, &stream, &times).unwrap()
}

/// Records a clip to its end; answers in how many files.
fn record(clip: &Clip) -> usize {
    let frames = FRAMES as u64;
    let options = Options { frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, frames);
    let files = nvr.files();
    assert_exact(&files, clip, 0, frames);
    assert_ffmpeg_is_silent(&files);
    files.len()
}

/// This many files, each of the configured length.
fn plain_files() -> usize {
    record(&mixed(|_| false))
}

#[test]
fn a_set_that_changes_in_mid_group_costs_no_frame_and_no_file() {
    assert_eq!(record(&mixed(|frame| frame % 3 == 1)), plain_files());
}

#[test]
fn two_sets_by_turns_make_no_file_a_group() {
    assert_eq!(record(&mixed(|frame| frame / GROUP % 2 == 1)), plain_files());
}

#[test]
fn sets_that_keep_still_lie_in_the_sample_entry_alone() {
    let clip = mixed(|_| true);
    let options = Options { frames: Some(FRAMES as u64), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip, options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES as u64);
    for file in nvr.files() {
        let samples = mp4::read(&file).unwrap().samples;
        let mut nals = samples.iter().flat_map(|sample| &sample.nals);
        assert!(!nals.any(|nal| Codec::H264.is_parameter_set(nal)), "{}", file.display());
    }
}
