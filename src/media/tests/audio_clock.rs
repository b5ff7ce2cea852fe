//! Cameras whose sound has a wrong clock, through a whole intake, for an hour.

use super::*;
use crate::{
    codec::{AudioCodec, AudioFormat},
    media::{
        Intake, TrackClock,
        tests::{send, unit},
    },
    rtp::{AudioSink as _, AudioUnit, RandomAccess, rtcp::SenderReport},
    runtime,
    units::Ticks,
};
use std::{sync::Arc, time::Duration};

/// Frames of sound come every 64 ms, of video every 40, for so many seconds.
struct Camera {
    seconds: u64,
    /// How the rate is announced, and how long a frame is by it.
    rate: u32,
    ticks: u32,
    /// The stamp of a frame of sound.
    stamp: Stamp,
    /// Sound is sampled faster, in thousandths.
    faster: u64,
    /// When something is read that was sent then, in ms.
    arrival: Arrives,
    is_lost: fn(u64) -> bool,
    /// By a clock that is right.
    reports: bool,
}

type Stamp = fn(u64) -> u32;
type Arrives = fn(u64) -> u64;

/// What came of it.
struct Outcome {
    /// How far sound is from the video, in ms, at its worst after a minute, without what no file
    /// has.
    error: i64,
    stored: u64,
    /// How much of it is heard.
    length: f64,
    told: Vec<AudioStamps>,
    /// All went through as it came.
    is_untouched: bool,
}

impl Default for Camera {
    fn default() -> Camera {
        Camera {
            seconds: 3600,
            rate: 16_000,
            ticks: 1024,
            stamp: |number| number as u32 * 1024,
            faster: 0,
            arrival: |sent| sent,
            is_lost: |_| false,
            reports: false,
        }
    }
}

impl Camera {
    fn run(&self) -> Outcome {
        let format = Arc::new(AudioFormat::g711(AudioCodec::Pcma, self.rate, 1));
        let mut intake = Intake::with_audio(64 * 1024);
        intake.begin_run();
        intake.begin_audio(self.rate);
        let start = runtime::now();
        let (mut frame, mut sound) = (0u64, 0u64);
        let sampled = |sound: u64| sound * 64 * 1000 / (1000 + self.faster);
        let mut out =
            Outcome { error: 0, stored: 0, length: 0.0, told: Vec::new(), is_untouched: true };
        let mut zero = None;
        while frame < self.seconds * 25 {
            let is_video = frame * 40 <= sampled(sound);
            let sent = if is_video { frame * 40 } else { sampled(sound) };
            intake.arrived(start + Duration::from_millis((self.arrival)(sent)));
            if is_video {
                if self.reports && frame % 125 == 0 {
                    report(&mut intake, TrackClock::Video, sent, frame as u32 * 3600);
                }
                send(&mut intake, unit(frame as i64, RandomAccess::Idr));
                frame += 1;
                continue;
            }
            let number = sound;
            sound += 1;
            if (self.is_lost)(number) {
                intake.audio_drop(crate::rtp::DropCause::Loss { packets: 1 });
                continue;
            }
            if self.reports && number % 78 == 0 {
                report(&mut intake, TrackClock::Audio, sent, (self.stamp)(number));
            }
            let before = intake.ring.audio.as_ref().unwrap().numbers().end;
            let timestamp = RtpTime((self.stamp)(number));
            let said = intake.audio_clock.said;
            intake.audio_frame(AudioUnit {
                timestamp,
                ticks: self.ticks,
                format: &format,
                bytes: b"sound",
            });
            if said != intake.audio_clock.said {
                out.told.push(intake.audio_clock.said);
            }
            let ring = intake.ring.audio.as_ref().unwrap();
            if ring.numbers().end == before {
                continue;
            }
            let newest = ring.newest(1).unwrap();
            out.stored += 1;
            out.length = newest.end() as f64 / f64::from(self.rate);
            let zero = *zero.get_or_insert((timestamp, newest.time));
            out.is_untouched &=
                newest.time - zero.1 == timestamp.since(zero.0).0 && newest.duration == self.ticks;
            if sent > 60_000 {
                let time = newest.time * 1000 / i64::from(self.rate);
                out.error = out.error.max((time - sent as i64).abs());
            }
        }
        assert!(intake.ring.numbers().end == frame && out.told.len() <= 1, "{:?}", out.told);
        let (newest, _) = intake.ring.get(frame - 1).unwrap();
        assert_eq!(newest.presentation, Ticks((frame as i64 - 1) * 3600));
        out
    }
}

fn report(intake: &mut Intake, clock: TrackClock, sent: u64, stamp: u32) {
    let ntp = (3_900_000_000 << 32) + (sent << 32) / 1000;
    let rtp_time = RtpTime(stamp);
    intake.sender_report(clock, &SenderReport { ssrc: 1, ntp, rtp_time, packets: 0, octets: 0 });
}

/// Everything is in sync to within a frame, and nothing is missing.
fn assert_in_sync(camera: &Camera, told: &[AudioStamps], what: &str) {
    let out = camera.run();
    assert_eq!(out.told, told, "{what}");
    assert!(out.error <= 64, "{what}: {} ms", out.error);
    assert!((out.length - camera.seconds as f64).abs() < 0.1, "{what}: {} s", out.length);
    let sent = camera.seconds * 1000 * (1000 + camera.faster) / 64_000;
    // What comes too fast lies too close for all of it.
    assert!(out.stored + 50 + sent * camera.faster / 2000 > sent, "{what}: {}", out.stored);
}

#[test]
fn a_wrong_clock_does_not_lead_sound_away_from_the_video_in_an_hour() {
    use AudioStamps::Counted;
    let kinds: [(&str, u32, u32, Stamp); 6] = [
        ("rtpmap 8000, stamps and configuration 16000", 8000, 512, |it| it as u32 * 1024),
        ("rtpmap 16000, stamps 8000", 16_000, 1024, |it| it as u32 * 512),
        ("stamps count packets", 8000, 512, |it| it as u32),
        ("stamps stand still", 16_000, 1024, |_| 7),
        ("stamps are milliseconds", 16_000, 1024, |it| it as u32 * 64),
        ("stamps of 90 kHz", 16_000, 1024, |it| (it as u32).wrapping_mul(5760)),
    ];
    for (what, rate, ticks, stamp) in kinds {
        assert_in_sync(&Camera { rate, ticks, stamp, ..Camera::default() }, &[Counted], what);
        let reports = Camera { rate, ticks, stamp, reports: true, ..Camera::default() };
        assert_in_sync(&reports, &[Counted], what);
        // Gulps of 200 ms, and a burst of what a server kept.
        let arrival = |sent: u64| sent.max(2000).next_multiple_of(200);
        assert_in_sync(
            &Camera { rate, ticks, stamp, arrival, ..Camera::default() },
            &[Counted],
            what,
        );
    }
}

#[test]
fn a_clock_that_is_a_little_wrong_is_drawn_to_the_video() {
    for per_mille in [-30i64, -5, 5, 30] {
        let faster = |it: u64| it as u32 * 1024;
        let stamp: Stamp = match per_mille {
            -30 => |it| it as u32 * 993,
            -5 => |it| it as u32 * 1019,
            5 => |it| it as u32 * 1029,
            _ => |it| it as u32 * 1055,
        };
        assert_in_sync(
            &Camera { stamp, ..Camera::default() },
            &[AudioStamps::Drawn],
            &format!("stamps {per_mille}"),
        );
        if per_mille > 0 {
            let camera = Camera { stamp: faster, faster: per_mille as u64, ..Camera::default() };
            assert_in_sync(&camera, &[AudioStamps::Drawn], &format!("samples {per_mille}"));
        }
    }
}

#[test]
fn a_true_clock_goes_through_whatever_the_network_does() {
    let networks: [(&str, Arrives); 5] = [
        ("nothing", |sent| sent),
        ("gulps", |sent| sent.next_multiple_of(300)),
        ("a burst of ten seconds", |sent| sent.max(10_000)),
        ("stalls of 5 s every 20 s", |sent| {
            if sent % 20_000 < 5000 { sent / 20_000 * 20_000 + 5000 } else { sent }
        }),
        ("a second more for a minute of each five", |sent| {
            sent + (sent % 300_000).saturating_sub(240_000).min(1000)
        }),
    ];
    for (what, arrival) in networks {
        for reports in [false, true] {
            let out = Camera { arrival, reports, ..Camera::default() }.run();
            assert!(out.told.is_empty() && out.is_untouched, "{what}: {:?}", out.told);
        }
    }
}

#[test]
fn lost_sound_is_no_wrong_clock_and_its_gaps_are_kept() {
    let is_lost = |number: u64| number % 7 < 2;
    let out = Camera { is_lost, ..Camera::default() }.run();
    assert!(out.told.is_empty() && out.error <= 64, "{:?} {}", out.told, out.error);
    let stamp = |number: u64| number as u32;
    let out = Camera { is_lost, stamp, ..Camera::default() }.run();
    assert_eq!(out.told, [AudioStamps::Counted]);
    assert!(out.error <= 128, "{}", out.error);
}

#[test]
fn sound_of_another_sampling_rate_is_left_out() {
    // G.711 of 8 kHz that is announced as 16 kHz.
    let out = Camera { ticks: 512, stamp: |it| it as u32 * 512, ..Camera::default() }.run();
    assert_eq!(out.told, [AudioStamps::LeftOut]);
    assert!(out.stored < 100, "{}", out.stored);
}
