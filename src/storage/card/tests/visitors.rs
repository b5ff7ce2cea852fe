//! Recordings that other programs put on the card, or take from it, while it is in use.

use super::*;
use std::time::SystemTime;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn recordings_that_somebody_copies_in_are_listed_once_they_stop_growing() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 3);
    let whole = fs::read(bench.path("000.mp4")).unwrap();
    let (first, rest) = whole.split_at(whole.len() / 2);
    bench.opened(YARD);
    bench.put("500.mp4", first);
    let mut copied = first.to_vec();
    for part in rest.chunks(rest.len() / 8 + 1) {
        bench.pass(6 * SECOND);
        assert_eq!(bench.numbers(YARD), [0, 1]);
        copied.extend_from_slice(part);
        bench.put("500.mp4", &copied);
    }
    bench.pass(2 * MINUTE);
    assert_eq!(bench.numbers(YARD), [0, 1, 500]);
    assert_eq!(bench.entry(YARD, 500).state, SegmentState::Whole);
    assert_eq!(fs::read(bench.path("500.mp4")).unwrap(), whole, "not mended while it grew");
    assert_eq!(bench.record(YARD, 1), 501);
}

/// As over a network that stalls, or by programs that give a file its length first.
#[test]
fn a_copy_that_stalls_or_has_its_length_first_is_not_mended_before_it_is_whole() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 3);
    let whole = fs::read(bench.path("000.mp4")).unwrap();
    for (file, begun) in
        [("500.mp4", &whole[..whole.len() * 5 / 6]), ("501.mp4", &vec![0; whole.len()])]
    {
        bench.put(file, begun);
        let modify = |bench: &Bench, seconds| {
            let file = fs::File::options().append(true).open(bench.path(file)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + seconds * SECOND).unwrap();
        };
        modify(&bench, 1_000_000_000);
        bench.pass(MINUTE / 2);
        assert!(fs::read(bench.path(file)).unwrap() == *begun, "{file} was mended");
        bench.put(file, &whole);
        modify(&bench, 1_000_000_030);
        bench.pass(2 * MINUTE);
        assert!(fs::read(bench.path(file)).unwrap() == whole, "{file}");
    }
    assert_eq!(bench.numbers(YARD), [0, 500, 501]);
}

#[test]
fn recordings_that_somebody_deletes_leave_the_list_but_not_the_one_being_written() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for number in 0..3 {
        assert_eq!(bench.record(YARD, 1), number);
    }
    assert_eq!(bench.record(GATE, 1), 0);
    bench.opened(YARD);
    for file in ["000.mp4", "002.mp4", "003.mp4", "gate/000.mp4"] {
        fs::remove_file(bench.path(file)).unwrap();
    }
    bench.pass(MINUTE);
    assert_eq!((bench.numbers(YARD), bench.numbers(GATE)), (vec![1, 3], vec![]));
    assert_eq!((bench.record(YARD, 1), bench.record(GATE, 1)), (4, 1));
}

#[test]
fn foreign_files_that_come_meanwhile_are_opened_a_few_times_and_stay() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.put("600.mp4", b"not a recording");
    bench.put("601.mp4", b"");
    bench.pass(2 * MINUTE);
    bench.disk.log();
    bench.pass(10 * MINUTE);
    let opened = bench.disk.log().iter().filter(|line| line.contains("60")).count();
    let listings = 10 * 60 / 5;
    assert!(opened <= 2 * listings, "looked at for their lengths alone, not read: {opened}");
    assert_eq!(bench.numbers(YARD), [0]);
    assert_eq!(bench.names(""), ["000.mp4", "600.mp4", "601.mp4"]);
    assert_eq!(bench.record(YARD, 1), 602);
}

#[test]
fn many_copied_recordings_are_listed_one_lot_after_the_other() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for number in 700..900 {
        bench.put(&format!("{number}.mp4"), &old_recording());
    }
    bench.pass(10 * MINUTE);
    assert_eq!(bench.numbers(YARD).len(), 200);
}
