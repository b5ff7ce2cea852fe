//! What the tests of this layer share, and those that go through all of it.

use super::*;
use crate::{
    codec::{AudioFormat, Codec, ParameterSets},
    rtp::{AccessUnit, AudioSink as _, AudioUnit, DropCause, Leading, RandomAccess, Sink as _},
    units::RtpTime,
};
use std::sync::OnceLock;

/// Parameter sets of a small H.264 stream without B-frames.
pub(crate) fn parameter_sets() -> Arc<ParameterSets> {
    static SETS: OnceLock<Arc<ParameterSets>> = OnceLock::new();
    Arc::clone(SETS.get_or_init(|| made_of(&[SPS, PPS])))
}

/// The same with a picture of another size.
pub(crate) fn other_parameter_sets() -> Arc<ParameterSets> {
    static SETS: OnceLock<Arc<ParameterSets>> = OnceLock::new();
    Arc::clone(SETS.get_or_init(|| made_of(&[OTHER_SPS, PPS])))
}

pub(crate) fn made_of(nals: &[&[u8]]) -> Arc<ParameterSets> {
    let mut collector = crate::codec::Collector::new(Codec::H264);
    for nal in nals {
        collector.offer(nal);
    }
    collector.current().expect("both sets are valid")
}

/// Main profile, level 1, 16x16: 1 macroblock each way, no VUI.
const SPS: &[u8] = &[0x67, 77, 0, 10, 0xf4, 0xf2];
/// Main profile, level 1, 32x16.
const OTHER_SPS: &[u8] = &[0x67, 77, 0, 10, 0xf4, 0x5c, 0x80];
const PPS: &[u8] = &[0x68, 0xce, 0x38, 0x80];

pub(super) fn unit(place: i64, access: RandomAccess) -> AccessUnit {
    AccessUnit {
        timestamp: RtpTime((place * 3600) as u32),
        access,
        leading: Leading::None,
        reference: true,
        parameter_sets: parameter_sets(),
    }
}

pub(super) fn send(intake: &mut Intake, unit: AccessUnit) {
    intake.nal_begin();
    intake.nal_append(&unit.timestamp.0.to_be_bytes());
    intake.nal_end();
    intake.access_unit_end(unit);
}

fn started() -> Intake {
    let mut intake = Intake::new(64 * 1024);
    intake.begin_run();
    intake
}

/// Presentation times in frames, and which of them are key frames.
fn stored(intake: &Intake) -> Vec<(i64, bool)> {
    let ring = &intake.ring;
    let frames = ring.numbers().map(|number| ring.get(number).unwrap().0);
    frames.map(|frame| (frame.presentation.0 / 3600, frame.is_key())).collect()
}

#[test]
fn a_run_starts_at_its_first_key_frame() {
    let mut intake = started();
    for (place, access) in [
        (0, RandomAccess::None),
        (1, RandomAccess::None),
        (2, RandomAccess::Idr),
        (3, RandomAccess::None),
    ] {
        send(&mut intake, unit(place, access));
    }
    assert_eq!(stored(&intake), [(0, true), (1, false)]);
    assert_eq!(intake.losses().undecodable, 2);
}

#[test]
fn after_a_loss_nothing_is_kept_up_to_the_next_key_frame() {
    let mut intake = started();
    send(&mut intake, unit(0, RandomAccess::Idr));
    send(&mut intake, unit(1, RandomAccess::None));
    intake.nal_begin();
    intake.nal_append(b"half a fra");
    intake.nal_end();
    intake.access_unit_drop(DropCause::Loss { packets: 3 });
    send(&mut intake, unit(3, RandomAccess::None));
    send(&mut intake, unit(4, RandomAccess::Idr));
    assert_eq!(stored(&intake), [(0, true), (1, false), (4, true)]);
    let losses = Losses { packets: 3, broken: 1, undecodable: 1, ..Losses::default() };
    assert_eq!(intake.losses(), losses);
}

#[test]
fn rasl_pictures_stay_with_their_cra_but_not_after_a_loss() {
    let rasl = |place| AccessUnit { leading: Leading::Skipped, ..unit(place, RandomAccess::None) };
    let mut intake = started();
    send(&mut intake, unit(2, RandomAccess::Cra));
    send(&mut intake, rasl(1));
    send(&mut intake, unit(3, RandomAccess::None));
    send(&mut intake, unit(6, RandomAccess::Cra));
    send(&mut intake, rasl(5));
    intake.access_unit_drop(DropCause::Loss { packets: 1 });
    send(&mut intake, unit(10, RandomAccess::Cra));
    send(&mut intake, rasl(9));
    send(&mut intake, unit(11, RandomAccess::None));
    let places: Vec<i64> = stored(&intake).iter().map(|(place, _)| place + 2).collect();
    assert_eq!(places, [2, 3, 6, 5, 10, 11]);
    assert_eq!(intake.losses().undecodable, 2);
}

#[test]
fn a_recovery_point_is_a_key_frame_where_ten_seconds_pass_without_an_idr() {
    let mut intake = started();
    send(&mut intake, unit(0, RandomAccess::Idr));
    for place in 1..600 {
        let access =
            if place % 100 == 0 { RandomAccess::RecoveryPoint } else { RandomAccess::None };
        send(&mut intake, unit(place, access));
    }
    let keys: Vec<i64> =
        stored(&intake).iter().filter(|(_, key)| *key).map(|(place, _)| *place).collect();
    assert_eq!(keys, [0, 300, 400, 500]);
}

#[test]
fn recovery_points_stay_key_frames_when_no_idr_comes_for_a_day() {
    let mut intake = started();
    send(&mut intake, unit(0, RandomAccess::Idr));
    for seconds in 1..24 * 3600i64 {
        send(&mut intake, unit(25 * seconds, RandomAccess::RecoveryPoint));
        let newest = intake.ring.numbers().end - 1;
        let frame = intake.ring.get(newest).unwrap().0;
        assert_eq!(frame.is_key(), seconds >= 10, "after {seconds} s");
        assert_eq!(frame.presentation, crate::units::Ticks::from_seconds(seconds));
    }
}

#[test]
fn every_access_unit_that_is_dropped_is_counted() {
    let mut intake = started();
    let causes = [
        DropCause::NoParameterSets,
        DropCause::Incomplete,
        DropCause::Malformed,
        DropCause::Loss { packets: 2 }, // between two units: of the next one nothing is known yet
    ];
    for cause in causes {
        intake.access_unit_drop(cause);
    }
    let losses =
        Losses { packets: 2, broken: 1, malformed: 1, undecodable: 1, ..Losses::default() };
    assert_eq!(intake.losses(), losses);
}

#[test]
fn a_camera_without_idr_goes_on_at_a_recovery_point_after_a_loss_and_a_connection() {
    let mut intake = started();
    let send_from = |intake: &mut Intake, first: i64, last: i64| {
        for place in first..last {
            let access =
                if place % 50 == 20 { RandomAccess::RecoveryPoint } else { RandomAccess::None };
            send(intake, unit(place, access));
        }
    };
    send_from(&mut intake, 0, 330);
    assert_eq!(stored(&intake).first(), Some(&(0, true)), "of 270, once 10 s passed");
    assert_eq!((stored(&intake).len(), intake.losses().undecodable), (60, 270));
    intake.access_unit_drop(DropCause::Loss { packets: 1 });
    send_from(&mut intake, 331, 400);
    assert_eq!(intake.losses().undecodable, 270 + 39, "up to 370");
    intake.begin_run();
    send_from(&mut intake, 0, 60);
    assert_eq!(intake.losses().undecodable, 270 + 39 + 20, "it is known by now");
}

#[test]
fn new_parameter_sets_in_mid_group_wait_for_a_key_frame() {
    let other = |place, access| AccessUnit {
        parameter_sets: other_parameter_sets(),
        ..unit(place, access)
    };
    let mut intake = started();
    send(&mut intake, unit(0, RandomAccess::Idr));
    send(&mut intake, other(1, RandomAccess::None));
    send(&mut intake, other(2, RandomAccess::Idr));
    send(&mut intake, other(3, RandomAccess::None));
    assert_eq!(stored(&intake), [(0, true), (2, true), (3, false)]);
    assert_eq!(intake.losses().undecodable, 1);
}

#[test]
fn a_frame_that_does_not_fit_is_dropped_with_what_refers_to_it() {
    let mut intake = Intake::new(1000);
    intake.begin_run();
    send(&mut intake, unit(0, RandomAccess::Idr));
    intake.nal_begin();
    intake.nal_append(&[0; 600]);
    intake.nal_end();
    intake.access_unit_end(unit(1, RandomAccess::None));
    send(&mut intake, unit(2, RandomAccess::None));
    send(&mut intake, unit(3, RandomAccess::Idr));
    assert_eq!(stored(&intake), [(0, true), (3, true)]);
    assert_eq!((intake.losses().too_large, intake.losses().undecodable), (1, 1));
}

#[test]
fn a_jump_of_the_clock_loses_no_frame_and_no_time() {
    let mut intake = started();
    send(&mut intake, unit(1000, RandomAccess::Idr));
    send(&mut intake, unit(1001, RandomAccess::None));
    send(&mut intake, unit(1, RandomAccess::Idr));
    send(&mut intake, unit(2, RandomAccess::None));
    assert_eq!(stored(&intake), [(0, true), (1, false), (2, true), (3, false)]);
}

#[test]
fn sound_lies_beside_the_video_of_its_run() {
    let format = Arc::new(AudioFormat::opus());
    let mut intake = Intake::with_audio(64 * 1024);
    for run in 1..=2 {
        intake.begin_run();
        intake.begin_audio(48_000);
        let sound = |intake: &mut Intake, place: u32| {
            let (timestamp, ticks) = (RtpTime(70_000 * run + 960 * place), 960);
            intake.audio_frame(AudioUnit { timestamp, ticks, format: &format, bytes: b"sound" });
        };
        sound(&mut intake, 0); // before any video: nobody's loss
        send(&mut intake, unit(0, RandomAccess::Idr));
        (1..4).for_each(|place| sound(&mut intake, place));
        let ring = intake.ring.audio.as_ref().unwrap();
        let numbers = ring.first_from(run, Ticks::ZERO)..ring.numbers().end;
        let frames = numbers.map(|number| ring.get(number).unwrap());
        let times: Vec<_> = frames.map(|(frame, bytes)| (frame.run, frame.time, bytes)).collect();
        assert_eq!(times, [0, 960, 1920].map(|time| (run, time, &b"sound"[..])));
    }
    intake.audio_drop(DropCause::Loss { packets: 3 });
    let losses = intake.losses();
    assert_eq!((losses.audio_packets, losses.audio_frames, losses.packets), (3, 0, 0));
}

/// A server that plays the video's clock at another rate until that is noticed, and the sound's
/// right (opensensor/lightNVR#608).
#[test]
fn sound_is_beside_the_video_again_once_the_clock_of_that_is_found_to_be_wrong() {
    let (format, start) = (Arc::new(AudioFormat::opus()), crate::runtime::now());
    for percent in [50, 84, 142] {
        let mut intake = Intake::with_audio(64 * 1024);
        intake.begin_run();
        intake.begin_audio(48_000);
        for step in 0..50_u32 * 120 {
            intake.arrived(start + std::time::Duration::from_millis(u64::from(step) * 20));
            if step % 2 == 0 {
                let frame = i64::from(step / 2);
                let access = if frame % 50 == 0 { RandomAccess::Idr } else { RandomAccess::None };
                let timestamp = RtpTime((frame * 36 * percent) as u32);
                send(&mut intake, AccessUnit { timestamp, ..unit(0, access) });
            }
            let (timestamp, ticks) = (RtpTime(step * 960), 960);
            intake.audio_frame(AudioUnit { timestamp, ticks, format: &format, bytes: b"sound" });
        }
        let (video, _) = intake.ring.get(intake.ring.numbers().end - 1).unwrap();
        let sound = intake.ring.audio.as_ref().unwrap().newest(video.run).unwrap();
        let late = video.presentation.at_rate(48_000) - sound.time;
        assert!(late.abs() < 48_000 / 4, "{percent} %: {late}");
    }
}
