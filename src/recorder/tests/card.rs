//! A card that stalls, fails or is away.

use super::*;

#[test]
fn more_at_once_than_the_ring_holds_is_no_fault_of_the_card() {
    let mut bench = Bench::started(20_000);
    bench.group(50);
    for frame in 0..250 {
        // Ten seconds at once.
        bench.put(if frame % 25 == 0 { FrameKind::Key } else { FrameKind::Delta }, 500);
        bench.wall.0 -= 40;
    }
    bench.pump();
    bench.group(50);
    bench.stop();
    assert!(!bench.log.contains('!'), "{}", bench.log);
    assert!(bench.recorder.lost() > 100, "{}", bench.recorder.lost());
}

#[test]
fn a_stall_costs_whole_picture_groups_which_are_counted() {
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
    assert_eq!(bench.spans(), [0..25, 0..60, 60..62]);
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
    bench.wall.0 += 1000;
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
    bench.wall.0 += 1000;
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
fn frames_lost_to_an_absent_card_are_counted_at_once() {
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
