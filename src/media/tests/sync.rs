//! Sound and video of one camera, on clocks that are nearly the same.

use super::*;
use crate::media::FrameKind;

const RATE: u32 = 16_000;
const TICKS: u32 = 1024;
const FRAME: i64 = TICKS as i64;

/// A camera whose clocks run at their own rates, in parts of a million too fast.
struct Camera {
    video: Timeline,
    audio: AudioTimeline,
    video_ppm: f64,
    audio_ppm: f64,
    /// Sound that was sampled with a video frame comes so much later, in seconds.
    delay: f64,
    reports: bool,
    /// What the camera's wall clock says at the beginning.
    wall: f64,
    next_frame: u64,
    next_sound: u64,
    /// When a frame of sound was sampled, in seconds of the video's clock, and where it was put.
    spans: Vec<(f64, AudioSpan)>,
    dropped: u64,
    /// Added to the stamps of the sound.
    jump: u32,
}

impl Camera {
    fn new() -> Camera {
        Camera {
            video: Timeline::new(),
            audio: AudioTimeline::new(RATE),
            video_ppm: 0.0,
            audio_ppm: 0.0,
            delay: 0.0,
            reports: true,
            wall: 3.9e9,
            next_frame: 0,
            next_sound: 0,
            spans: Vec::new(),
            dropped: 0,
            jump: 0,
        }
    }

    fn video_rate(&self) -> f64 {
        90_000.0 * (1.0 + self.video_ppm / 1e6)
    }

    fn audio_rate(&self) -> f64 {
        f64::from(RATE) * (1.0 + self.audio_ppm / 1e6)
    }

    fn video_stamp(&self, second: f64) -> RtpTime {
        RtpTime(4_000_000_000u32.wrapping_add((second * self.video_rate()).round() as i64 as u32))
    }

    fn sound_stamp(&self, second: f64) -> RtpTime {
        let ticks = (second * self.audio_rate()).round() as i64 as u32;
        RtpTime(4_294_000_000u32.wrapping_add(self.jump).wrapping_add(ticks))
    }

    /// Sends what there is up to that second; sound that `is_lost` does not come.
    fn run_until(&mut self, end: f64, is_lost: impl Fn(u64) -> bool) {
        loop {
            let frame_at = self.next_frame as f64 * 3600.0 / self.video_rate();
            let sampled = self.next_sound as f64 * f64::from(TICKS) / self.audio_rate();
            if frame_at.min(sampled + self.delay) >= end {
                return;
            }
            if frame_at <= sampled + self.delay {
                if self.reports && self.next_frame.is_multiple_of(125) {
                    self.report(TrackClock::Video, frame_at);
                }
                self.video.stamp(self.video_stamp(frame_at), FrameKind::Key, None);
                self.next_frame += 1;
                continue;
            }
            if self.reports && self.next_sound % 78 == 30 {
                self.report(TrackClock::Audio, sampled + self.delay);
            }
            if !is_lost(self.next_sound) {
                let stamp = self.sound_stamp(sampled);
                match self.audio.stamp(stamp, TICKS, &self.video) {
                    Some(span) => {
                        let truth = sampled * (1.0 + self.video_ppm / 1e6);
                        self.spans.push((truth, span));
                    }
                    None => self.dropped += 1,
                }
            }
            self.next_sound += 1;
        }
    }

    fn report(&mut self, clock: TrackClock, second: f64) {
        let rtp_time = match clock {
            TrackClock::Video => self.video_stamp(second),
            TrackClock::Audio => self.sound_stamp(second),
        };
        let ntp = ((self.wall + second) * 4_294_967_296.0) as u64;
        let report = SenderReport { ssrc: 1, ntp, rtp_time, packets: 0, octets: 0 };
        self.audio.report(clock, &report, &self.video);
    }

    /// How far from the truth, in ticks, the furthest frame from `first` on lies.
    fn error(&self, first: usize) -> i64 {
        let error = |(truth, span): &(f64, AudioSpan)| {
            (span.time - (truth * f64::from(RATE)).round() as i64).abs()
        };
        self.spans[first..].iter().map(error).max().unwrap()
    }

    /// Gaps between frames, in ticks; none is an overlap.
    fn gaps(&self) -> Vec<i64> {
        let pairs = self.spans.windows(2);
        let gaps =
            pairs.map(|pair| pair[1].1.time - pair[0].1.time - i64::from(pair[0].1.duration));
        gaps.inspect(|gap| assert!(*gap >= 0, "overlap of {gap}")).filter(|gap| *gap > 0).collect()
    }
}

#[test]
fn a_day_of_drifting_clocks_stays_within_one_frame_and_has_no_seam() {
    for (video_ppm, audio_ppm) in [(0.0, 50.0), (50.0, 0.0), (25.0, -25.0)] {
        let mut camera = Camera { video_ppm, audio_ppm, delay: 0.2, ..Camera::new() };
        camera.run_until(24.0 * 3600.0, |_| false);
        assert!(camera.spans.len() as u64 >= 24 * 3600 * u64::from(RATE) / u64::from(TICKS) - 100);
        // The reports of the first seconds tell what came late.
        assert!(camera.error(200) < FRAME, "{video_ppm} {audio_ppm}: {}", camera.error(200));
        assert!(camera.gaps().is_empty() && camera.dropped <= 4, "{:?}", camera.gaps());
        let durations = camera.spans.iter().map(|(_, span)| i64::from(span.duration) - FRAME);
        assert!(durations.clone().all(|it| it.abs() <= FRAME / 64));
        // 4.32 s of difference, a few ticks at a time.
        assert!(durations.sum::<i64>().abs() >= 4 * i64::from(RATE));
    }
}

#[test]
fn without_drift_every_frame_lasts_as_long_as_its_samples() {
    let mut camera = Camera::new();
    camera.run_until(3600.0, |_| false);
    assert!(camera.spans.iter().all(|(_, span)| span.duration == TICKS));
    assert!(camera.gaps().is_empty() && camera.error(0) <= FRAME / 4, "{}", camera.error(0));
}

#[test]
fn without_reports_what_comes_together_belongs_together() {
    let mut camera = Camera { reports: false, ..Camera::new() };
    camera.run_until(600.0, |_| false);
    assert!(camera.error(0) <= FRAME && camera.gaps().is_empty(), "{}", camera.error(0));
}

#[test]
fn lost_sound_leaves_a_gap_of_its_length() {
    let mut camera = Camera::new();
    camera.run_until(60.0, |number| matches!(number, 100 | 200..210));
    // To the tick to which wall times are rounded.
    let gaps = camera.gaps();
    assert!(gaps.len() == 2 && (gaps[0] - FRAME).abs() <= 1, "{gaps:?}");
    assert!((gaps[1] - 10 * FRAME).abs() <= 1, "{gaps:?}");
    assert!(camera.error(0) <= FRAME / 4 && camera.dropped == 0);
}

#[test]
fn a_wall_clock_that_is_set_between_two_reports_moves_nothing() {
    let mut camera = Camera::new();
    for minute in 1..10 {
        // 5 s are 125 frames: a report of the video, then one of the sound.
        camera.run_until(60.0 * f64::from(minute) + 0.01, |_| false);
        camera.wall += 0.7 * f64::from(minute - 5);
    }
    assert!(camera.gaps().is_empty() && camera.dropped == 0);
    assert!(camera.error(0) <= FRAME / 4, "{}", camera.error(0));
}

#[test]
fn reports_that_no_delay_explains_are_not_believed() {
    let mut camera = Camera { reports: false, ..Camera::new() };
    let wrong = SenderReport { ssrc: 1, ntp: 3 << 60, rtp_time: RtpTime(7), packets: 0, octets: 0 };
    for second in 1..60 {
        camera.run_until(f64::from(second), |_| false);
        camera.report(TrackClock::Video, f64::from(second));
        let ntp = ((camera.wall + f64::from(second) + 20.0) * 4_294_967_296.0) as u64;
        let rtp_time = camera.sound_stamp(f64::from(second));
        let late = SenderReport { ntp, rtp_time, ..wrong };
        camera.audio.report(TrackClock::Audio, &late, &camera.video);
        camera.audio.report(TrackClock::Audio, &wrong, &camera.video);
    }
    assert!(camera.error(0) <= FRAME && camera.gaps().is_empty(), "{}", camera.error(0));
}

#[test]
fn a_clock_that_jumps_goes_on_where_the_video_is() {
    for jump in [1 << 30, 3 << 30, 20 * RATE] {
        let mut camera = Camera { reports: false, ..Camera::new() };
        camera.run_until(10.0, |_| false);
        camera.jump = jump;
        camera.run_until(20.0, |_| false);
        assert!(camera.error(0) <= 2 * FRAME, "{jump}: {}", camera.error(0));
        assert!(camera.dropped <= 1 && camera.gaps().len() <= 1);
    }
}

#[test]
fn there_is_no_sound_before_the_first_video() {
    let mut audio = AudioTimeline::new(RATE);
    assert_eq!(audio.stamp(RtpTime(1), TICKS, &Timeline::new()), None);
}

proptest::proptest! {
    #[test]
    fn no_frame_begins_before_the_end_of_the_one_before(
        steps in proptest::collection::vec(
            (proptest::num::u32::ANY, 1u32..6000, 0u8..6, proptest::num::u64::ANY),
            1..300,
        ),
    ) {
        let (mut video, mut audio) = (Timeline::new(), AudioTimeline::new(RATE));
        let mut end = i64::MIN;
        let mut sound = 0u32;
        for (stamp, ticks, kind, ntp) in steps {
            let report =
                SenderReport { ssrc: 1, ntp, rtp_time: RtpTime(stamp), packets: 0, octets: 0 };
            match kind {
                0 => drop(video.stamp(RtpTime(stamp), FrameKind::Key, None)),
                1 => drop(audio.report(TrackClock::Video, &report, &video)),
                2 => drop(audio.report(TrackClock::Audio, &report, &video)),
                3 => drop(audio.video_jumped(&video)),
                _ => {
                    sound = if kind == 4 { stamp } else { sound.wrapping_add(ticks) };
                    if let Some(span) = audio.stamp(RtpTime(sound), ticks, &video) {
                        proptest::prop_assert!(span.time >= end && span.duration > 0);
                        end = span.time + i64::from(span.duration);
                    }
                }
            }
        }
    }
}
