//! Cameras whose clocks go wrong, in real time: files whose times are right all the same.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod support;

use camera::{Camera, Clip, Clock, Faults, Options, SessionState};
use std::time::Duration;
use support::{Nvr, SHORT_SEGMENTS, assert_ffmpeg_is_silent, frames_in, mp4, vcl, wait_for};

/// Records so many frames of a camera with that clock; the samples' presentation steps by file.
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

#[test]
fn a_camera_that_counts_milliseconds() {
    let files =
        recorded(Clock::Millis, 300, "time stamps count milliseconds: taken so; a new segment");
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
