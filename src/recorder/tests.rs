//! The recorder's commands in each case; [`bench::Bench`] checks every fragment.

#![expect(clippy::single_range_in_vec_init, reason = "a list of ranges that has one")]

use super::*;
use crate::media::FrameKind;
use std::time::Duration;
mod any;
mod audio;
mod bench;
mod card;

use bench::{Bench, FRAME};

#[test]
fn segments_are_cut_at_the_first_key_frame_after_their_length() {
    let mut bench = Bench::started(1 << 20);
    for _ in 0..20 {
        bench.group(20); // 0.8 s; segments are 2 s
    }
    bench.stop();
    let spans: Vec<_> = (0..7).map(|nth| nth * 60..(nth * 60 + 60).min(400)).collect();
    assert_eq!(bench.spans(), spans);
    assert!(bench.copies().iter().all(|copies| *copies == 1));
    assert_eq!(bench.log, format!("{}OAAC", "OAAA".repeat(6)));
    assert!(!bench.recorder.is_busy());
}

#[test]
fn a_key_frame_at_the_very_length_cuts() {
    let mut bench = Bench::started(1 << 20);
    for _ in 0..4 {
        bench.group(25);
    }
    bench.stop();
    assert_eq!(bench.spans(), [0..50, 50..100]);
}

#[test]
fn a_fragment_ends_after_a_second_where_no_key_frame_comes() {
    let mut bench = Bench::started(1 << 20);
    bench.group(60);
    bench.stop();
    assert_eq!(bench.stored(), [[0..25, 25..50, 50..60]]);
}

#[test]
fn a_fragment_ends_at_256_kb_and_a_larger_frame_is_one_of_its_own() {
    let mut bench = Bench::started(4 << 20);
    for bytes in [1000, 200_000, 50_000, 300_000, 262_144, 12, 20] {
        bench.frame(if bytes == 1000 { FrameKind::Key } else { FrameKind::Delta }, bytes);
    }
    bench.stop();
    assert_eq!(bench.stored(), [[0..3, 3..4, 4..5, 5..7]]);
}

#[test]
fn a_fragment_ends_after_256_frames() {
    let mut bench = Bench::started(1 << 20);
    bench.frame(FrameKind::Key, 50);
    for _ in 0..300 {
        bench.pause(10 - FRAME.0);
        bench.frame(FrameKind::Delta, 50);
    }
    bench.stop();
    assert_eq!(bench.stored(), [[0..256, 256..301]]);
}

#[test]
fn a_fragment_stays_within_its_bounds_while_no_buffer_is_there() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    bench.group(200);
    assert_eq!(bench.recorder.draft.samples.len(), 25);
    assert_eq!(bench.log, "OAA");
    bench.card.stalls = false;
    bench.stop();
    assert_eq!(bench.spans(), [0..200]);
}

#[test]
fn the_last_frame_of_a_run_lasts_as_long_as_the_one_before() {
    let mut bench = Bench::started(1 << 20);
    bench.group(3);
    bench.pause(1000);
    bench.frame(FrameKind::Delta, 100);
    bench.end_run();
    assert_eq!(bench.card.files[0].fragments[0].durations, [3600, 3600, 4600, 4600]);
    assert_eq!(bench.log, "OAC");
}

#[test]
fn the_last_frame_of_a_run_does_not_last_as_long_as_a_gap() {
    let mut bench = Bench::started(1 << 20);
    bench.group(3);
    bench.pause(100 * 90_000);
    bench.frame(FrameKind::Key, 100);
    bench.end_run();
    assert_eq!(bench.card.files[1].fragments[0].durations, [3600]);
}

#[test]
fn a_single_frame_is_a_recording() {
    let mut bench = Bench::started(1 << 20);
    bench.frame(FrameKind::Key, 100);
    bench.stop();
    assert_eq!(bench.card.files[0].fragments[0].durations, [3600]);
    assert!(bench.card.files[0].closed);
}

#[test]
fn a_run_that_ends_without_a_frame_asks_for_nothing() {
    let mut bench = Bench::started(1 << 20);
    bench.end_run();
    bench.begin_run();
    bench.end_run();
    assert_eq!(bench.log, "");
}

#[test]
fn recording_begins_with_the_picture_group_that_is_being_received() {
    let mut bench = Bench::new(1 << 20);
    bench.recorder.card_accepts(true);
    bench.group(10);
    bench.group(5);
    bench.start();
    bench.group(1);
    bench.stop();
    assert_eq!(bench.spans(), [10..16]);
    assert_eq!(bench.recorder.lost(), 0);
}

#[test]
fn frames_before_the_first_key_frame_are_no_losses() {
    let mut bench = Bench::new(10_000);
    bench.recorder.card_accepts(true);
    bench.group(200); // its key frame has left the ring
    bench.start();
    for _ in 0..50 {
        bench.frame(FrameKind::Delta, 100);
    }
    bench.group(3);
    bench.stop();
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![250..253], 0));
}

#[test]
fn a_run_that_is_over_is_not_being_received() {
    let mut bench = Bench::new(1 << 20);
    bench.recorder.card_accepts(true);
    bench.group(10);
    bench.end_run();
    bench.start();
    assert_eq!(bench.log, "");
    bench.begin_run();
    bench.group(3);
    bench.stop();
    assert_eq!(bench.spans(), [10..13]);
}

#[test]
fn a_stop_before_the_first_key_frame_leaves_nothing_behind() {
    let mut bench = Bench::started(10_000);
    bench.frame(FrameKind::Delta, 100);
    bench.stop();
    assert_eq!((bench.log.as_str(), bench.recorder.lost()), ("", 0));
    assert!(!bench.recorder.is_busy());
}

#[test]
fn a_stop_ends_with_the_newest_frame_also_where_the_card_is_late() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    bench.group(120); // more than three fragments, and two buffers
    bench.stop();
    bench.group(60);
    bench.card.stalls = false;
    assert!(bench.recorder.is_busy());
    bench.pump();
    assert_eq!(bench.spans(), [0..120]);
    assert!(bench.card.files[0].closed && !bench.recorder.is_busy());
}

#[test]
fn a_stop_behind_a_cut_records_both_sides_of_it() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    for _ in 0..5 {
        bench.group(20);
    }
    bench.stop();
    bench.card.stalls = false;
    bench.pump();
    assert_eq!(bench.spans(), [0..60, 60..100]);
}

#[test]
fn a_start_takes_back_a_stop_that_has_not_closed_the_file() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    bench.group(120);
    bench.stop();
    bench.frame(FrameKind::Delta, 100);
    bench.start();
    bench.frame(FrameKind::Delta, 100);
    bench.card.stalls = false;
    bench.stop();
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![0..122], 0));
    assert_eq!(bench.log.matches('O').count(), 1);
}

#[test]
fn a_start_behind_a_close_on_its_way_doubles_no_frame() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    bench.group(10);
    bench.stop();
    assert_eq!(bench.log, "OAC");
    bench.frame(FrameKind::Delta, 100);
    bench.start();
    bench.frame(FrameKind::Delta, 100);
    bench.group(10);
    bench.card.stalls = false;
    bench.stop();
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![0..10, 12..22], 0));
}

#[test]
fn a_new_run_and_new_parameter_sets_begin_a_segment() {
    let changes: [fn(&mut Bench); 2] = [Bench::begin_run, Bench::change_parameter_sets];
    for change in changes {
        let mut bench = Bench::started(1 << 20);
        bench.group(5);
        change(&mut bench);
        bench.group(5);
        bench.stop();
        assert_eq!((bench.spans(), bench.log.as_str()), (vec![0..5, 5..10], "OAOAC"));
    }
}

#[test]
fn a_run_that_ends_while_the_card_stalls_keeps_its_frames_apart_from_the_next_one() {
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    for _ in 0..3 {
        bench.group(30);
        bench.end_run();
        bench.begin_run();
    }
    // The next run's first frame is in the ring before the recorder is told.
    bench.put(FrameKind::Key, 100);
    bench.pump();
    bench.card.stalls = false;
    bench.pump();
    bench.frame(FrameKind::Delta, 100);
    bench.stop();
    assert_eq!(bench.spans(), [0..30, 30..60, 60..90, 90..92]);
    assert_eq!((bench.recorder.lost(), bench.buffers.len()), (0, 2));
}

#[test]
fn a_segment_ends_at_its_greatest_size_whatever_comes() {
    let mut bench = Bench::started(1 << 20);
    bench.recorder.segment_bytes_max = 100_000;
    bench.frame(FrameKind::Key, 10_000);
    for _ in 0..9 {
        bench.frame(FrameKind::Delta, 10_000);
    }
    bench.group(3);
    bench.stop();
    // 16 KB are reserved for headers; the rest of the group has no key frame.
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![0..8, 10..13], 2));
    assert_eq!(bench.log, "OACOAC");
}

#[test]
fn near_its_greatest_size_a_segment_ends_at_a_key_frame() {
    let mut bench = Bench::started(1 << 20);
    bench.recorder.segment_bytes_max = 1_000_000;
    for _ in 0..4 {
        bench.frame(FrameKind::Key, 240_000);
        bench.frame(FrameKind::Delta, 240_000);
    }
    bench.stop();
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![0..4, 4..8], 0));
}

#[test]
fn a_camera_that_changes_with_every_frame_makes_thirty_short_files_a_minute() {
    let changes: [fn(&mut Bench); 2] = [Bench::begin_run, Bench::change_parameter_sets];
    for change in changes {
        let mut bench = Bench::started(1 << 20);
        for _ in 0..1500 {
            change(&mut bench);
            bench.frame(FrameKind::Key, 100);
        }
        bench.stop();
        let files = bench.card.files.len();
        assert!((25..=30).contains(&files), "{files}");
        assert!(bench.recorder.news().is_some_and(|it| it.contains("not recorded")));
        assert_eq!(bench.recorder.news(), None, "said once");
        let stored = bench.copies().iter().filter(|copies| **copies == 1).count() as u64;
        assert_eq!((bench.recorder.lost(), stored + bench.recorder.too_short()), (0, 1500));
        // Long segments are recorded as usual.
        for _ in 0..40 {
            bench.group(60);
            bench.stop();
            bench.start();
        }
        assert_eq!(bench.card.files.len(), files + 40, "{}", bench.log);
    }
}

#[test]
fn times_that_run_too_fast_fill_no_folder_with_small_files_and_nothing_is_lost() {
    // Eight minutes of times within one; large files are as many as their times make.
    for (bytes, frames, expected) in [(100, 12_000, 58..=60), (400_000, 2400, 48..=48)] {
        let mut bench = Bench::started(4 << 20);
        let begin = bench.wall;
        for frame in 0..frames {
            bench.wall = WallTime(begin.0 + frame * 5);
            bench.frame(if frame % 50 == 0 { FrameKind::Key } else { FrameKind::Delta }, bytes);
        }
        bench.stop();
        let files = bench.card.files.len();
        assert!(expected.contains(&files), "{bytes} bytes: {files} files");
        assert_eq!((bench.recorder.lost(), bench.recorder.too_short()), (0, 0));
        assert!(bench.copies().iter().all(|copies| *copies == 1));
    }
}

#[test]
fn a_segment_waits_for_a_burst_to_end_that_tells_when_its_run_began() {
    let mut bench = Bench::started(1 << 20);
    bench.ring.origin.begin_run(1);
    for frame in 0..250 {
        // Ten seconds within one.
        bench.put(if frame % 25 == 0 { FrameKind::Key } else { FrameKind::Delta }, 100);
        bench.wall.0 -= 36;
        bench.ring.origin.note(Ticks(frame * 3600), bench.moment().now);
        bench.pump();
    }
    assert_eq!(bench.log, "");
    for frame in 250..275 {
        bench.put(if frame % 25 == 0 { FrameKind::Key } else { FrameKind::Delta }, 100);
        bench.ring.origin.note(Ticks(frame * 3600), bench.moment().now);
        bench.pump();
    }
    assert!(bench.log.starts_with("OA"), "{}", bench.log);
    // Without room for that much in the ring, it does not wait.
    let mut bench = Bench::started(40_000);
    bench.ring.origin.begin_run(1);
    for frame in 0..100 {
        bench.put(if frame % 25 == 0 { FrameKind::Key } else { FrameKind::Delta }, 500);
        bench.ring.origin.note(
            Ticks(frame * 3600),
            bench.moment().now - Duration::from_millis(39 * frame as u64),
        );
        bench.pump();
    }
    bench.stop();
    assert_eq!((bench.recorder.lost(), bench.spans().len()), (0, 2));
}

#[test]
fn wall_time_is_that_of_the_first_frame() {
    let mut bench = Bench::new(1 << 20);
    bench.start();
    bench.group(100);
    bench.recorder.card_accepts(true);
    bench.ring.origin.begin_run(1);
    let begin = bench.moment().now - Duration::from_millis(99 * 40);
    bench.ring.origin.note(Ticks::ZERO, begin);
    let wall = WallTime(50_000);
    let moment = Moment { wall, clock: ClockTrust::Untrusted, ..bench.moment() };
    let command = bench.recorder.poll(&bench.ring, moment, &mut bench.buffers);
    let Some(Command::Open { start, .. }) = command else { panic!("{command:?}") };
    assert_eq!((start.wall, start.clock), (WallTime(50_000 - 99 * 40), ClockTrust::Untrusted));
    assert_eq!(start.run, 1001);
}

#[test]
fn an_event_begins_with_the_earlier_groups_in_the_ring() {
    // Groups of 0.8 s; a quarter of the last one has come.
    for (before, first) in [(0, 100), (1, 60), (2, 40), (4, 0), (100, 0)] {
        let mut bench = Bench::new(1 << 20);
        bench.recorder.card_accepts(true);
        (0..5).for_each(|_| bench.group(20));
        bench.group(5);
        bench.start_before(Ticks::from_seconds(before));
        bench.group(20);
        bench.stop();
        assert_eq!(bench.spans().first().unwrap().start, first, "{before} s");
        assert_eq!((bench.spans().last().unwrap().end, bench.recorder.lost()), (125, 0));
    }
}

#[test]
fn frames_are_not_recorded_twice() {
    let mut bench = Bench::started(1 << 20);
    bench.group(20);
    bench.group(20);
    bench.stop();
    bench.group(20);
    bench.group(20);
    bench.start_before(Ticks::from_seconds(60));
    bench.group(20);
    bench.stop();
    assert_eq!(bench.spans(), [0..40, 40..100]);
    assert!(bench.copies().iter().all(|copies| *copies == 1));
}
