//! An index that is torn, lost, of another folder, or cannot be read or written.

use super::*;

/// Puts an index in the place of the one that is there, starts, and looks whether the list is
/// `truth`.
fn check(bench: Bench, index: &[u8], truth: &[String], what: &str) -> Bench {
    bench.put(INDEX, index);
    let (bench, _) = started(bench, 3 * SECOND);
    assert_eq!(listed(&bench, YARD), truth, "{what}");
    assert!(bench.catalog.lock().unwrap().complete(), "{what}");
    bench
}

#[test]
fn an_index_cut_or_flipped_at_any_byte_changes_nothing_in_the_list() {
    let mut bench = recorded(10);
    let (truth, index) = (listed(&bench, YARD), index_of(&bench));
    let used = index.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    for at in 0..used {
        let mut torn = index.clone();
        torn[at..].fill(0);
        let mut flipped = index.clone();
        flipped[at] ^= 1 << (at % 8);
        bench = check(bench, &index[..at], &truth, &format!("cut to {at} bytes"));
        bench = check(bench, &torn, &truth, &format!("zeros from {at} on"));
        bench = check(bench, &flipped, &truth, &format!("byte {at} flipped"));
    }
}

#[test]
fn an_index_whose_sectors_are_swapped_lost_or_doubled_changes_nothing_in_the_list() {
    let mut bench = recorded(50);
    let (truth, index) = (listed(&bench, YARD), index_of(&bench));
    let count = index.len() / 512;
    assert!(count > 3);
    let sector = |nth: usize| nth * 512..nth * 512 + 512;
    for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other))) {
        let mut doubled = index.clone();
        doubled[sector(one)].copy_from_slice(&index[sector(other)]);
        let mut swapped = doubled.clone();
        swapped[sector(other)].copy_from_slice(&index[sector(one)]);
        let what = format!("sectors {one} and {other}");
        bench = check(bench, &doubled, &truth, &what);
        bench = check(bench, &swapped, &truth, &what);
    }
    let mut reversed: Vec<_> = index.chunks(RECORD_BYTES).collect();
    reversed.reverse();
    bench = check(bench, &reversed.concat(), &truth, "from back to front");
    check(bench, &[], &truth, "empty");
}

#[test]
fn an_index_that_is_gone_is_made_anew() {
    let bench = recorded(30);
    let truth = listed(&bench, YARD);
    fs::remove_file(bench.path(INDEX)).unwrap();
    let (bench, _) = started(bench, 2 * SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    bench.disk.log();
    let (bench, _) = started(bench, SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    assert!(opened_recordings(&bench.disk.log()) < 20);
}

#[test]
fn an_index_of_another_folder_is_found_out_at_once() {
    let mut bench = recorded(40);
    let truth = listed(&bench, YARD);
    for nth in 0..40 {
        bench.opened(GATE);
        bench.append_bytes(GATE, 3000 + nth);
        bench.send(Command::Close { camera: GATE });
    }
    fs::copy(bench.path("gate/000.idx"), bench.path(INDEX)).unwrap();
    let (bench, events) = started(bench, 3 * SECOND);
    assert!(events.iter().any(|it| matches!(it, Event::IndexUnused { .. })), "{events:?}");
    assert_eq!(listed(&bench, YARD), truth);
    let (bench, events) = started(bench, 3 * SECOND);
    assert!(corrected(&events).is_empty(), "{events:?}");
    assert_eq!(listed(&bench, YARD), truth, "it was put right");
}

#[test]
fn an_older_copy_of_the_index_knows_what_it_knew() {
    let mut bench = recorded(30);
    let old = index_of(&bench);
    for _ in 0..30 {
        bench.record(YARD, 2);
    }
    bench.send(Command::Delete { camera: YARD, name: name(3) });
    let truth = listed(&bench, YARD);
    bench.put(INDEX, &old);
    let (bench, _) = started(bench, 3 * SECOND);
    assert_eq!(listed(&bench, YARD), truth);
}

#[test]
fn a_file_that_somebody_put_in_anothers_place_is_seen_when_somebody_looks() {
    let bench = recorded(60);
    let other = recorded(61);
    for number in [22, 42] {
        fs::copy(other.path("060.mp4"), bench.path(&name(number).file_name())).unwrap();
    }
    fs::write(bench.path("032.mp4"), b"no recording at all").unwrap();
    fs::remove_file(bench.path("050.mp4")).unwrap();
    let (mut bench, _) = started(bench, SECOND);
    let is_bytes = |bench: &Bench, number| {
        let file = bench.path(&name(number).file_name());
        bench.entry(YARD, number).bytes == fs::metadata(file).unwrap().len()
    };
    assert!(!is_bytes(&bench, 42), "only the index has spoken");
    for number in [22, 32, 42] {
        bench.catalog.lock().unwrap().look_at(YARD, name(number));
    }
    let events = bench.pass(2 * SECOND);
    assert!(is_bytes(&bench, 22) && is_bytes(&bench, 42));
    assert!(!bench.numbers(YARD).contains(&32) && !bench.numbers(YARD).contains(&50));
    let whole = Some(SegmentState::Whole);
    assert_eq!(corrected(&events), [(22, whole), (32, None), (42, whole)]);
    let (bench, events) = started(bench, ALL);
    assert!(is_bytes(&bench, 22) && is_bytes(&bench, 42));
    assert_eq!(corrected(&events), [(32, None)], "the others were put right");
}

#[test]
fn foreign_files_are_left_alone_and_recording_goes_on() {
    for kind in ["link", "pipe", "folder", "second name"] {
        let mut bench = Bench::new();
        bench.put("elsewhere/precious", b"precious");
        let path = bench.path(INDEX);
        match kind {
            "link" => std::os::unix::fs::symlink(bench.path("elsewhere/precious"), &path).unwrap(),
            "folder" => fs::create_dir(&path).unwrap(),
            "pipe" => {
                let (folder, fifo) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
                rustix::fs::mknodat(folder, &path, fifo, 0o600.into(), 0).unwrap();
            }
            _ => fs::hard_link(bench.path("elsewhere/precious"), &path).unwrap(),
        }
        bench.pass(SECOND);
        for number in 0..3 {
            assert_eq!(bench.record(YARD, 1), number);
            bench.pass(SECOND);
        }
        assert_eq!(bench.state(), CardState::Ok, "{kind}");
        assert_eq!(fs::read(bench.path("elsewhere/precious")).unwrap(), b"precious", "{kind}");
        let (bench, _) = started(bench, SECOND);
        assert_eq!(bench.numbers(YARD), [0, 1, 2], "{kind}");
    }
}

#[test]
fn an_index_that_can_not_be_written_costs_no_recording_and_is_tried_again() {
    for call in ["create 000.idx", "allocate 000.idx", "write 000.idx"] {
        for errno in [ENOSPC, EIO, EDQUOT] {
            let mut bench = Bench::new();
            bench.disk.fail(call, errno, 0, 1);
            bench.pass(SECOND);
            let mut events = Vec::new();
            for number in 0..4 {
                assert_eq!(bench.record(YARD, 1), number);
                events.extend(bench.pass(SECOND));
            }
            let said = events.iter().filter(|it| matches!(it, Event::IndexUnused { .. })).count();
            assert_eq!((said, deleted(&events).len()), (1, 0), "{call} {errno}: {events:?}");
            assert_eq!(bench.state(), CardState::Ok);
            bench.pass(700 * SECOND);
            bench.record(YARD, 1);
            bench.pass(SECOND);
            let list = bench.catalog.lock().unwrap();
            assert!(list.folder(YARD).unwrap().entries().iter().all(Entry::is_indexed), "{call}");
        }
    }
}

#[test]
fn an_index_that_can_not_be_read_is_not_read_again() {
    let bench = recorded(30);
    let truth = listed(&bench, YARD);
    let mut bench = bench.boot_again();
    bench.disk.fail("read 000.idx", EIO, 0, ALWAYS);
    let events = bench.pass(10 * SECOND);
    let said = events.iter().filter(|it| matches!(it, Event::IndexUnused { .. })).count();
    assert_eq!(said, 1, "{events:?}");
    assert_eq!(listed(&bench, YARD), truth);
    bench.pass(2000 * SECOND);
    bench.disk.log();
    bench.record(YARD, 1);
    bench.pass(SECOND);
    assert!(!bench.disk.log().iter().any(|line| line.ends_with(INDEX)));
}
