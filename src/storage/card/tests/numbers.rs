//! Numbers of recordings: they go on from what is there, and none is used twice.

use super::*;

#[test]
fn numbering_goes_on_from_the_old_system_over_gaps_and_foreign_files() {
    let bench = Bench::new();
    for number in [3, 4, 9] {
        bench.put(&format!("{number:03}.mp4"), &old_recording());
    }
    let foreign = ["12.mp4", "0100.avi", "holiday.mp4", "999.mp4.bak", "autostart.sh"];
    foreign.iter().for_each(|name| bench.put(name, b"mine"));
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 10);
    let entry = bench.entry(YARD, 9);
    assert_eq!((entry.state, entry.codec), (SegmentState::Whole, Some(Codec::H264)));
    assert!(!entry.clock_trusted && entry.start.0 > 0 && entry.bytes > 0);
    foreign.iter().for_each(|name| assert_eq!(fs::read(bench.path(name)).unwrap(), b"mine"));
}

#[test]
fn a_capital_name_is_the_same_number() {
    let bench = Bench::new();
    bench.put("041.MP4", &old_recording());
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 42);
    let list = bench.catalog.lock().unwrap();
    assert_eq!(list.find("yard", Asked::Number(41)).unwrap().1.name.file_name(), "041.MP4");
}

#[test]
fn a_number_is_never_used_again_though_its_file_is_deleted_and_the_board_rebooted() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for number in 0..3 {
        assert_eq!(bench.record(YARD, 1), number);
    }
    for number in [2, 1] {
        let events = bench.send(Command::Delete { camera: YARD, name: name(number) });
        assert_eq!(deleted(&events), [(0, number)]);
    }
    assert_eq!(bench.names(""), ["000.mp4", "002.top"]);
    assert_eq!(bench.record(YARD, 1), 3);
    bench.send(Command::Delete { camera: YARD, name: name(3) });
    assert_eq!(bench.names(""), ["000.mp4", "003.top"], "one marker is enough");
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 4);
}

#[test]
fn the_marker_is_on_the_card_before_the_highest_goes() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.disk.log();
    bench.send(Command::Delete { camera: YARD, name: name(0) });
    let log = bench.disk.log();
    let expected = [
        "create 000.top",
        "sync_directory recordings",
        "remove 000.mp4",
        "sync_directory recordings",
    ];
    assert_eq!(changes(&log), expected);
}

#[test]
fn a_power_cut_between_any_two_calls_of_a_deletion_costs_no_number() {
    for calls in 0..5 {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.record(YARD, 1);
        bench.record(YARD, 1);
        bench.send(Command::Delete { camera: YARD, name: name(1) }); // leaves 001.top
        bench.record(YARD, 1);
        let steps = ["create", "sync_directory", "remove 001.top", "remove 002.mp4", "nothing"];
        steps[calls..].iter().for_each(|call| bench.disk.fail(call, EIO, 0, ALWAYS));
        bench.send(Command::Delete { camera: YARD, name: name(2) });
        let mut bench = bench.boot_again();
        bench.pass(SECOND);
        assert_eq!(bench.record(YARD, 1), 3, "after {calls} calls");
    }
}

#[test]
fn a_number_that_no_recorder_reaches_ends_no_recording() {
    for joke in
        ["999999999.mp4", "999999998.mp4", "999999999.bad", "999999999.top", "500000000.top"]
    {
        let bench = Bench::new();
        bench.put(joke, &old_recording());
        bench.put("006.mp4", &old_recording());
        bench.put("041.top", b"");
        let mut bench = bench.boot_again();
        bench.pass(SECOND);
        let marked = joke != "500000000.top"; // the highest marker is the one that counts
        assert_eq!(bench.record(YARD, 1), if marked { 42 } else { 7 }, "{joke}");
        assert!(bench.has(joke));
    }
}

#[test]
fn a_name_that_somebody_put_there_since_is_stepped_over() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    fs::create_dir(bench.path("000.mp4")).unwrap();
    bench.put("001.mp4", b"mine");
    assert_eq!(bench.opened(YARD), 2);
    assert_eq!(fs::read(bench.path("001.mp4")).unwrap(), b"mine");
}
