//! Cameras whose clocks go wrong, in real time: files whose times are right all the same.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_exact, assert_ffmpeg_is_silent, frames_in, mp4, record_to_the_end,
    vcl, wait_for,
};
use camera::{Camera, Clip, Clock, Faults, Options, SessionState, Speed, TimestampJump};
use std::time::Duration;

/// Records this many frames of a camera with that clock; the samples' presentation steps by file.
fn recorded(clock: Clock, frames: u64, said: &str) -> Vec<Vec<i64>> {
    let clip = Clip::built_in();
    let faults = Faults { clock, ..Faults::default() };
    let options = Options { frames: Some(frames), faults, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let finished = camera.wait(Duration::from_secs(90), |sessions| {
        sessions.first().is_some_and(|session| session.state == SessionState::Finished)
    });
    assert!(finished, "{}", nvr.log());
    wait_for("most frames", || frames_in(&nvr.files()) as u64 + 30 > frames);
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert!(nvr.log().contains(said), "{}", nvr.log());
    let files = nvr.files();
    assert_ffmpeg_is_silent(&files);
    let mut number = 0;
    let steps = files.iter().map(|file| {
        let movie = mp4::read(file).unwrap();
        for sample in &movie.samples {
            let sent = vcl(clip.codec(), &clip.frame(number).unit.nals);
            assert!(sent == vcl(clip.codec(), &sample.nals), "frame {number}");
            number += 1;
        }
        let pairs = movie.samples.windows(2);
        pairs.map(|two| two[1].presentation - two[0].presentation).collect()
    });
    let steps = steps.collect();
    assert_eq!(number, frames, "every frame once, in order");
    steps
}

/// Ten times faster than real time: arrival times are not used.
fn jumps(ticks: i32, said: &str) {
    const FRAMES: u64 = 300;
    let clip = Clip::built_in();
    let jump = TimestampJump { after: 110, ticks };
    let faults = Faults { timestamp_jump: Some(jump), ..Faults::default() };
    let speed = Speed::Times(10.0);
    let options = Options { speed, frames: Some(FRAMES), faults, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), "segment_seconds = 60\nsync_seconds = 1");
    record_to_the_end(&mut nvr, &camera, FRAMES);
    assert_eq!(camera.sessions().len(), 1);
    assert!(nvr.log().contains(said), "{}", nvr.log());
    let files = nvr.files();
    assert_ffmpeg_is_silent(&files);
    // Time goes on by a frame, as if there was none.
    assert_eq!(files.len(), 1, "{files:?}");
    assert_exact(&files, &clip, 0, FRAMES);
}

#[test]
fn a_clock_that_jumps_forward_by_an_hour_in_mid_group_has_no_seam() {
    jumps(3600 * 90_000, "camera=camera the camera's clock jumped");
}

#[test]
fn a_clock_that_jumps_backward_by_a_minute_in_mid_group_has_no_seam() {
    jumps(-60 * 90_000, "the camera's clock jumped");
}

#[test]
fn a_camera_that_counts_milliseconds() {
    let files = recorded(Clock::Millis, 300, "time stamps count milliseconds: taken so");
    let right = files.iter().rev().take_while(|steps| steps.iter().all(|step| *step == 3600));
    assert!(right.count() >= 3, "12 s, of which 5 to find out: {files:?}");
}

#[test]
fn a_camera_whose_clock_stands_still() {
    let files = recorded(Clock::Still, 300, "time stamps stand still or run at a wrong rate");
    let is_right = |steps: &&Vec<i64>| {
        let mean = steps.iter().sum::<i64>() / steps.len() as i64;
        (3300..3900).contains(&mean) && steps.iter().all(|step| (900..9000).contains(step))
    };
    assert!(files.iter().rev().take_while(is_right).count() >= 3, "{files:?}");
}

#[test]
fn a_camera_whose_clock_runs_at_half_speed() {
    let said = "time stamps stand still or run at a wrong rate";
    let files = recorded(Clock::Percent(50), 625, said);
    let mean = |steps: &Vec<i64>| steps.iter().sum::<i64>() / steps.len() as i64;
    assert_eq!(mean(&files[0]), 1800, "believed at first");
    let last: Vec<i64> = files.iter().rev().take(2).map(mean).collect();
    assert!(last.iter().all(|mean| (3300..3900).contains(mean)), "{last:?}");
}
