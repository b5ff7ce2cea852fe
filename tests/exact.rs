//! The files contain exactly what the camera sent, codec by codec.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, mp4, record_to_the_end,
};
use camera::{Camera, Clip, Options, ParameterSets, Speed};

const FRAMES: u64 = 400;

fn records_exactly(name: &str, options: Options) {
    let clip = Clip::committed(name).unwrap();
    let options = Options { speed: Speed::Times(10.0), frames: Some(FRAMES), ..options };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, FRAMES);
    let files = nvr.files();
    // 16 s make 8 files of 2 s, or 7 where uneven times put a key frame just before its second.
    assert!((7..=8).contains(&files.len()), "{files:?}");
    assert_exact(&files, &clip, 0, FRAMES);
    assert_ffmpeg_is_silent(&files);
    for file in &files {
        assert_index_is_true(&mp4::read(file).unwrap());
    }
}

fn assert_index_is_true(movie: &mp4::Movie) {
    let (sizes, end) = movie.index.as_ref().expect("a closed file has an index");
    assert_eq!(*end, movie.first_moof, "the index ends where the media begins");
    let sum: u32 = sizes.iter().sum();
    assert_eq!(movie.first_moof + sum as usize, movie.bytes, "its sizes reach the end of the file");
    let keys = movie.samples.iter().filter(|sample| sample.key).count();
    assert_eq!(sizes.len(), keys, "one entry a key frame");
}

#[test]
fn h264_without_b_frames() {
    records_exactly("plain.h264", Options::default());
}

#[test]
fn h264_with_b_frames() {
    records_exactly("bframes.h264", Options::default());
}

#[test]
fn h264_with_several_slices_a_frame() {
    records_exactly("slices.h264", Options::default());
}

#[test]
fn h265_without_b_frames() {
    records_exactly("plain.h265", Options::default());
}

#[test]
fn h265_with_b_frames() {
    records_exactly("bframes.h265", Options::default());
}

#[test]
fn h265_with_open_picture_groups() {
    records_exactly("opengop.h265", Options::default());
}

#[test]
fn parameter_sets_in_the_sdp_alone() {
    let options = Options { parameter_sets: ParameterSets::Sdp, ..Options::default() };
    records_exactly("plain.h264", options.clone());
    records_exactly("plain.h265", options);
}

#[test]
fn parameter_sets_in_band_alone() {
    let options = Options { parameter_sets: ParameterSets::InBand, ..Options::default() };
    records_exactly("bframes.h264", options.clone());
    records_exactly("bframes.h265", options);
}

#[test]
fn time_stamps_and_sequence_numbers_that_wrap() {
    let options = Options {
        start_timestamp: Some(u32::MAX - 200_000),
        start_sequence: Some(u16::MAX - 100),
        ..Options::default()
    };
    records_exactly("bframes.h264", options);
}

/// The first frame of a run waits for proof that the camera's marker bits can be trusted.
#[test]
fn a_run_of_a_single_frame() {
    let clip = Clip::committed("plain.h264").unwrap();
    let options = Options { frames: Some(1), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    record_to_the_end(&mut nvr, &camera, 1);
    assert_exact(&nvr.files(), &clip, 0, 1);
}
