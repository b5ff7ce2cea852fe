//! What the recorder asks for in every case; [`bench::Bench`] checks each fragment on its way.

#![expect(clippy::single_range_in_vec_init, reason = "a list of ranges that has one")]

use super::*;
use crate::media::FrameKind;
mod any;
mod bench;

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
    assert_eq!(bench.recorder.samples.len(), 25);
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
fn a_new_run_a_jump_of_the_clock_and_new_parameter_sets_begin_a_segment() {
    let changes: [fn(&mut Bench); 3] =
        [Bench::begin_run, Bench::jump, Bench::change_parameter_sets];
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
    // The next run's first frame is in the ring before anybody says so.
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
    // 16 KB are kept for what is beside the frames; the rest of the group has no start.
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
fn what_a_stall_costs_is_whole_picture_groups_and_is_counted() {
    let mut bench = Bench::started(10_000);
    bench.card.stalls = true;
    for _ in 0..30 {
        bench.group(20);
    }
    assert_eq!(bench.log, "OAA!");
    assert_eq!(bench.buffers.len(), 0);
    bench.card.stalls = false;
    bench.pump();
    bench.group(20);
    bench.stop();
    let copies = bench.copies();
    let missing: Vec<usize> = (0..copies.len()).filter(|at| copies[*at] == 0).collect();
    assert_eq!((missing[0], missing[missing.len() - 1] % 20), (40, 19));
    assert_eq!(bench.recorder.lost(), missing.len() as u64);
    assert!(copies.iter().all(|copies| *copies <= 1));
}

#[test]
fn a_group_longer_than_the_ring_waits_for_a_key_frame() {
    let mut bench = Bench::started(10_000);
    bench.card.stalls = true;
    bench.group(300);
    bench.card.stalls = false;
    bench.pump();
    for _ in 0..20 {
        bench.frame(FrameKind::Delta, 100);
    }
    bench.group(5);
    bench.stop();
    let stored: u64 = bench.stored().concat().iter().map(|it| it.end - it.start).sum();
    assert_eq!(bench.recorder.lost() + stored, 325);
    assert_eq!(bench.stored().concat().last(), Some(&(320..325)));
}

#[test]
fn a_failed_write_is_repeated_from_the_key_frame_before_what_is_not_durable() {
    let mut bench = Bench::started(1 << 20);
    bench.group(30);
    bench.sync();
    bench.group(30);
    bench.card.append_fails = true;
    bench.frame(FrameKind::Key, 100);
    bench.frame(FrameKind::Delta, 100);
    bench.card.append_fails = false;
    bench.wall.0 += 1000;
    bench.stop();
    assert_eq!(bench.spans(), [0..25, 0..0, 0..60, 60..62]);
    assert_eq!(bench.recorder.lost(), 0);
}

#[test]
fn a_failed_sync_is_repaired_from_the_ring() {
    let mut bench = Bench::started(1 << 20);
    bench.group(30);
    bench.group(30);
    bench.group(30);
    bench.sync();
    bench.group(10);
    bench.fail_sync();
    bench.wall.0 += 1000;
    bench.stop();
    // 60 to 84 were durable; the group is written again, because 85 needs its key frame.
    assert_eq!(bench.spans(), [0..60, 60..85, 60..100]);
    assert_eq!(bench.recorder.lost(), 0);
}

#[test]
fn a_failure_counts_what_the_ring_no_longer_has() {
    let mut bench = Bench::started(10_000);
    bench.recorder.set_segment_length(Ticks::from_seconds(60));
    for _ in 0..30 {
        bench.group(10);
    }
    bench.fail_sync();
    bench.stop();
    let copies = bench.copies();
    let missing = copies.iter().filter(|copies| **copies == 0).count();
    assert!(missing > 0 && copies[299] == 1);
    assert_eq!(bench.recorder.lost(), missing as u64);
}

#[test]
fn a_file_whose_close_failed_is_written_again() {
    let mut bench = Bench::started(1 << 20);
    bench.group(30);
    bench.card.stalls = true;
    bench.end_run();
    assert_eq!(bench.log, "OAAC");
    bench.card.append_fails = true;
    bench.card.stalls = false;
    bench.wall.0 += 1000;
    bench.pump();
    bench.card.append_fails = false;
    bench.wall.0 += 1000;
    bench.pump();
    assert_eq!((bench.copies(), bench.recorder.lost()), (vec![1; 30], 0));
    assert!(bench.card.files.last().unwrap().closed);
}

#[test]
fn a_card_that_takes_no_segment_is_asked_once_a_second() {
    let mut bench = Bench::started(1 << 20);
    bench.card.open_fails = true;
    bench.group(250); // 10 s
    assert!((9..=11).contains(&bench.log.matches('O').count()), "{}", bench.log);
    bench.card.open_fails = false;
    bench.wall.0 -= 1_000_000; // set back: nothing waits for the time to come again
    bench.stop();
    assert!(bench.copies().iter().all(|copies| *copies == 1));
    assert_eq!((bench.spans().last(), bench.recorder.lost()), (Some(&(0..250)), 0));
}

#[test]
fn a_card_that_takes_no_data_is_asked_once_a_second() {
    let mut bench = Bench::started(1 << 20);
    bench.card.append_fails = true;
    bench.group(250);
    assert!((8..=11).contains(&bench.log.matches('O').count()), "{}", bench.log);
}

#[test]
fn frames_wait_in_the_ring_while_the_card_is_away() {
    let mut bench = Bench::new(1 << 20);
    bench.start();
    bench.group(30);
    bench.group(30);
    assert_eq!(bench.log, "");
    bench.accepts(true);
    bench.group(30);
    bench.accepts(false);
    bench.group(30);
    bench.wall.0 += 1000;
    bench.accepts(true);
    bench.stop();
    let copies = bench.copies();
    assert!(copies.iter().all(|copies| *copies >= 1));
    assert_eq!(bench.recorder.lost(), 0);
}

#[test]
fn what_a_card_that_is_away_costs_is_counted_at_once() {
    let mut bench = Bench::started(10_000);
    bench.accepts(false);
    for _ in 0..30 {
        bench.group(10);
    }
    let lost = bench.recorder.lost();
    assert_eq!(lost, bench.ring.key_from(0).unwrap());
    assert_eq!(bench.log, "");
    bench.accepts(true);
    bench.stop();
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![lost..lost + 50, 250..300], lost));
}

#[test]
fn nothing_is_waited_for_where_the_card_is_away() {
    let mut bench = Bench::new(1 << 20);
    bench.start();
    bench.group(30);
    bench.stop();
    assert!(!bench.recorder.is_busy());
    assert_eq!((bench.log.as_str(), bench.recorder.lost()), ("", 30));
    // It was open, and something was on its way.
    let mut bench = Bench::started(1 << 20);
    bench.card.stalls = true;
    bench.group(60);
    bench.accepts(false);
    bench.stop();
    assert!(bench.recorder.is_busy());
    bench.card.stalls = false;
    bench.pump();
    assert!(!bench.recorder.is_busy());
    assert_eq!((bench.recorder.lost(), bench.buffers.len()), (60, 2));
}

#[test]
fn a_stop_does_not_wait_for_a_card_that_fails() {
    let mut bench = Bench::started(1 << 20);
    bench.card.open_fails = true;
    bench.group(10);
    bench.stop();
    assert!(!bench.recorder.is_busy());
    assert_eq!((bench.spans(), bench.recorder.lost()), (vec![], 10));
}

#[test]
fn wall_time_is_that_of_the_first_frame() {
    let mut bench = Bench::new(1 << 20);
    bench.start();
    bench.group(100);
    bench.recorder.card_accepts(true);
    let moment = Moment { wall: WallTime(50_000), clock: Clock::Untrusted };
    let command = bench.recorder.poll(&bench.ring, moment, &mut bench.buffers);
    let Some(Command::Open { start, .. }) = command else { panic!("{command:?}") };
    assert_eq!((start.wall, start.clock), (WallTime(50_000 - 99 * 40), Clock::Untrusted));
    assert_eq!(start.run, 1001);
}
