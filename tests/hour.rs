//! An hour of recording, from a camera that sends faster than real time: a tenth of it by default,
//! all of it with `SMOLNVR_SOAK=1` (`make soak`).

use crate::support::{Nvr, assert_exact, assert_ffmpeg_is_silent, record_to_the_end, smolnvr};
use camera::{Camera, Clip, Options, Speed};

#[test]
fn an_hour_is_recorded_whole_and_decodes_silently() {
    let minutes = if std::env::var_os("SMOLNVR_SOAK").is_some() { 60 } else { 6 };
    let frames = minutes * 60 * 25;
    let clip = Clip::committed("bframes.h264").unwrap();
    let options = Options { speed: Speed::Times(60.0), frames: Some(frames), ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), "keep_free_percent = 0");
    record_to_the_end(&mut nvr, &camera, frames);
    let files = nvr.files();
    assert_eq!(files.len() as u64, minutes, "one file a minute");
    assert_exact(&files, &clip, 0, frames);
    assert_ffmpeg_is_silent(&files);
    let (status, said, _) = smolnvr(&["verify", nvr.recordings().to_str().unwrap()]);
    assert_eq!(status, Some(0), "{said}");
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    println!(
        "{minutes} min: {} files, {frames} frames, {} KB, all exact",
        files.len(),
        bytes / 1024
    );
}
