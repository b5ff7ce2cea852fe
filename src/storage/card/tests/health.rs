//! The table of states, row by row, each with an injected fault.

use super::*;

fn no_card() -> Mount {
    Mount::Absent("no card is mounted for /mnt/mmcblk0p1/recordings".into())
}

#[test]
fn absent_nothing_is_written_anywhere_and_recording_goes_on_within_three_seconds() {
    let disk = FaultyDisk::new();
    disk.set_mount(no_card());
    let mut bench = Bench::on(disk);
    assert_eq!(states(&bench.pass(SECOND)), ["absent"]);
    assert!(bench.state().reason().contains("no card"));
    assert!(matches!(bench.open(YARD)[..], [Event::OpenFailed { reason: OpenError::Card, .. }]));
    assert!(bench.pass(600 * SECOND).is_empty(), "said once");
    assert_eq!(bench.disk.log(), [""; 0]);
    assert!(!bench.disk.root().exists());
    bench.disk.set_mount(Mount::Writable);
    assert_eq!(states(&bench.pass(3 * SECOND)), ["ok"]);
    assert_eq!(bench.opened(YARD), 0);
}

#[test]
fn absent_the_first_path_that_is_mounted_is_used() {
    let disk = FaultyDisk::new();
    let mut settings = Bench::on(disk.clone()).settings;
    settings.paths = vec![disk.root().with_file_name("a"), disk.root()];
    let mut bench = Bench::with(disk, settings);
    bench.pass(SECOND);
    bench.record(YARD, 1);
    assert!(bench.disk.root().with_file_name("a").join("000.mp4").exists());
}

#[test]
fn absent_a_card_pulled_while_recording_is_noticed_and_taken_up_again() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.opened(YARD);
    bench.append(YARD);
    bench.append(YARD);
    bench.disk.fail_and_be("sync 001.mp4", EIO, Mount::Absent("the card was pulled".into()));
    bench.disk.log();
    let events = bench.pass(5 * SECOND);
    assert_eq!(states(&events), ["absent"]);
    assert!(matches!(events[0], Event::Closed { number: 1, ending: Ending::GivenUp, .. }));
    assert!(bench.catalog.lock().unwrap().root.is_none());
    assert_eq!(appended(&bench.append(YARD)), Err(Refused::NotOpen));
    bench.pass(60 * SECOND);
    assert_eq!(changes(&bench.disk.log()), ["sync 001.mp4"], "nothing after the error");
    bench.disk.set_mount(Mount::Writable);
    let events = bench.pass(3 * SECOND);
    assert_eq!(states(&events), ["ok"]);
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::Mended { file: Recording { number: 1, .. }, .. })),
        "{events:?}"
    );
    assert_eq!(bench.opened(YARD), 2);
}

#[test]
fn absent_a_card_pulled_while_nothing_is_written_is_noticed() {
    let mut bench = Bench::new();
    bench.pass(60 * SECOND);
    bench.disk.set_mount(no_card());
    assert_eq!(states(&bench.pass(10 * SECOND)), ["absent"]);
}

#[test]
fn absent_a_card_that_is_unmounted_while_nothing_is_written_is_noticed_at_once() {
    let mut bench = Bench::new();
    bench.pass(60 * SECOND);
    bench.disk.set_mount(no_card());
    assert_eq!(states(&bench.looked()), ["absent"]);
}

#[test]
fn absent_a_mount_that_went_before_a_segment_is_opened_gets_no_file() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.set_mount(no_card());
    bench.disk.log();
    let events = bench.open(YARD);
    assert_eq!(states(&events), ["absent"]);
    assert_eq!(changes(&bench.disk.log()), [""; 0], "it would lie in the folder underneath");
}

#[test]
fn full_a_pulled_card_answers_enospc_and_nothing_is_deleted() {
    for call in ["create", "allocate", "write"] {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.record(YARD, 1);
        bench.record(YARD, 1);
        bench.disk.log();
        bench.disk.fail_and_be(call, ENOSPC, Mount::Absent("the card was pulled".into()));
        let events = bench.open(YARD);
        assert_eq!(states(&events), ["absent"], "{call}");
        assert!(matches!(events.last(), Some(Event::OpenFailed { .. })));
        let log = bench.disk.log();
        assert!(!log.iter().any(|it| it.starts_with("remove 000") || it.starts_with("remove 001")));
        assert!(bench.has("000.mp4") && bench.has("001.mp4"));
    }
}

#[test]
fn read_only_a_card_mounted_so_stays_so_and_is_looked_at_again() {
    let bench = Bench::new();
    bench.put("004.mp4", &old_recording());
    bench.disk.set_mount(Mount::ReadOnly);
    let mut bench = bench.boot_again();
    assert_eq!(states(&bench.pass(SECOND)), ["read-only"]);
    assert_eq!(bench.entry(YARD, 4).state, SegmentState::Whole, "its recordings can be played");
    assert!(matches!(bench.open(YARD)[..], [Event::OpenFailed { reason: OpenError::Card, .. }]));
    let events = bench.send(Command::Delete { camera: YARD, name: name(4) });
    assert!(matches!(events[..], [Event::DeleteFailed { .. }]));
    assert!(bench.pass(600 * SECOND).is_empty());
    assert_eq!(changes(&bench.disk.log()), [""; 0], "no remount, nothing written");
    bench.disk.set_mount(Mount::Writable);
    assert_eq!(states(&bench.pass(3 * SECOND)), ["ok"]);
    assert_eq!(bench.opened(YARD), 5);
}

#[test]
fn read_only_the_file_is_named_the_card_remounted_and_the_file_mended() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    bench.disk.fail_and_be("write 000.mp4", EROFS, Mount::ReadOnly);
    let events = bench.append(YARD);
    assert_eq!(appended(&events), Err(Refused::Failed));
    assert_eq!(states(&events), ["read-only", "ok"]);
    assert!(events.iter().any(|it| {
        matches!(it, Event::State(state) if state.reason() == "the card turned read-only over 000.mp4")
    }));
    let remounted = events.iter().find_map(|event| match event {
        Event::Remounted { file } => file.clone(),
        _ => None,
    });
    assert_eq!(remounted.unwrap(), bench.path("000.mp4"));
    assert!(bench.scan("000.mp4").is_whole());
    assert_eq!(bench.opened(YARD), 1);
}

#[test]
fn read_only_a_file_longer_than_its_chain_is_cut_without_reading_on() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    for _ in 0..3 {
        bench.append_bytes(YARD, 100_000);
    }
    let mut bench = bench.boot_again();
    // the head and the first fragments can be read, what follows makes the card read-only
    bench.disk.fail_reads_from("000.mp4", 150_000, Mount::ReadOnly);
    let events = bench.pass(SECOND);
    assert_eq!(states(&events), ["ok", "read-only", "ok"]);
    assert!(bench.disk.log().iter().filter(|line| line.starts_with("remount")).count() == 1);
    let scan = bench.scan("000.mp4");
    assert!(scan.is_whole(), "{:?}", scan.state);
    assert_eq!((scan.fragments, bench.entry(YARD, 0).state), (1, SegmentState::Whole));
}

#[test]
fn read_only_a_file_that_can_not_be_read_at_all_is_set_aside_and_its_number_stays_used() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.record(YARD, 1);
    let mut bench = bench.boot_again();
    bench.disk.fail_reads_from("001.mp4", 0, Mount::ReadOnly);
    let events = bench.pass(10 * SECOND);
    let aside = Mended::SetAside("001.bad".into());
    assert!(events.iter().any(|it| matches!(it, Event::Mended { mended, .. } if *mended == aside)));
    assert_eq!(bench.names(""), ["000.mp4", "001.bad"]);
    assert_eq!(bench.state(), CardState::Ok);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 2);
}

#[test]
fn read_only_a_file_whose_deletion_did_it_is_set_aside() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.record(YARD, 1);
    bench.disk.fail_and_be("remove 000.mp4", EIO, Mount::ReadOnly);
    let events = bench.send(Command::Delete { camera: YARD, name: name(0) });
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::DeleteFailed { file: Recording { number: 0, .. }, .. }))
    );
    assert_eq!(states(&events), ["read-only", "ok"]);
    assert_eq!(bench.names(""), ["000.bad", "001.mp4"]);
}

#[test]
fn read_only_three_remounts_an_hour_and_no_more() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for _ in 0..3 {
        bench.opened(YARD);
        bench.append(YARD);
        bench.disk.fail_and_be("write", EROFS, Mount::ReadOnly);
        let events = bench.append(YARD);
        assert_eq!(states(&events), ["read-only", "ok"]);
    }
    bench.opened(YARD);
    bench.disk.set_mount(Mount::ReadOnly);
    assert_eq!(
        states(&bench.append(YARD)),
        ["read-only", "read-only"],
        "then it says why it stays"
    );
    assert!(bench.state().reason().contains("after 3 remounts"), "{:?}", bench.state());
    bench.disk.log();
    assert!(bench.pass(3500 * SECOND).is_empty());
    assert_eq!(bench.disk.log(), [""; 0]);
    assert_eq!(states(&bench.pass(101 * SECOND)), ["ok"]);
}

#[test]
fn read_only_a_remount_that_fails_is_tried_three_times() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.set_mount(Mount::ReadOnly);
    bench.disk.fail("remount", 1, 0, ALWAYS);
    bench.pass(600 * SECOND);
    let log = bench.disk.log();
    assert_eq!(log.iter().filter(|line| line.starts_with("remount")).count(), 3);
    assert_eq!(bench.state().name(), "read-only");
}

#[test]
fn read_only_a_file_that_somebody_else_could_not_read_is_the_suspect() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 3);
    bench.opened(YARD);
    bench.append(YARD);
    bench.disk.set_mount(Mount::ReadOnly); // over a download of 000.mp4
    let mut events = bench.send(Command::ReadFailed { camera: YARD, name: name(0) });
    events.extend(bench.pass(SECOND));
    assert_eq!(states(&events), ["read-only", "ok"]);
    assert!(events.iter().any(|it| {
        matches!(it, Event::State(state) if state.reason().ends_with("over 000.mp4"))
    }));
    let given_up = Event::Closed { camera: YARD, number: 1, ending: Ending::GivenUp };
    assert!(events.iter().any(|it| format!("{it:?}") == format!("{given_up:?}")));
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::Mended { file: Recording { number: 1, .. }, .. })),
        "{events:?}"
    );
}

#[test]
fn a_recording_that_another_program_deleted_is_taken_off_the_list() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    (0..3).for_each(|number| assert_eq!(bench.record(YARD, 1), number));
    fs::remove_file(bench.path("000.mp4")).unwrap();
    fs::remove_file(bench.path("001.mp4")).unwrap();
    fs::create_dir(bench.path("001.mp4")).unwrap();
    for number in 0..3 {
        bench.send(Command::ReadFailed { camera: YARD, name: name(number) });
    }
    assert_eq!((bench.numbers(YARD), bench.state()), (vec![2], CardState::Ok));
}

#[test]
fn failing_a_segment_is_given_up_over_an_error_and_mended_when_the_card_answers() {
    for call in ["write 000.mp4", "sync 000.mp4"] {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.opened(YARD);
        bench.append(YARD);
        bench.append(YARD);
        bench.disk.fail(call, EIO, 0, 1);
        let mut events = bench.append(YARD);
        events.extend(bench.pass(5 * SECOND));
        assert_eq!(states(&events), ["failing"], "{call}");
        assert!(bench.state().reason().contains("Input/output error"));
        let is_given_up =
            |it: &Event| matches!(it, Event::Closed { ending: Ending::GivenUp, number: 0, .. });
        assert!(events.iter().any(is_given_up));
        assert_eq!(bench.opened(YARD), 1, "a new one may be tried");
        assert_eq!(states(&bench.append(YARD)), ["ok"], "once something is durable");
        bench.pass(6 * SECOND);
        assert!(bench.scan("000.mp4").is_whole());
    }
}

/// After a failed write the kernel may still show what the card does not have.
#[test]
fn failing_a_file_keeps_what_is_durable_and_nothing_that_only_seems_to_be_there() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    bench.pass(SECOND);
    let bytes = |bench: &Bench| fs::metadata(bench.path("000.mp4")).unwrap().len();
    let durable_bytes = bytes(&bench);
    bench.append(YARD);
    bench.append(YARD);
    bench.disk.fail("sync 000.mp4", EIO, 0, 1);
    bench.pass(20 * SECOND);
    assert_eq!(bytes(&bench), durable_bytes);
    assert!(bench.scan("000.mp4").is_whole());
    // And where nothing is, there is no file.
    bench.disk.fail("sync 001.mp4", EIO, 0, 1);
    bench.opened(YARD);
    bench.append(YARD);
    bench.pass(20 * SECOND);
    assert_eq!(bench.names(""), ["000.mp4", "001.top"]);
}

#[test]
fn failing_ends_by_itself_where_nothing_is_recorded() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.fail("create", EIO, 0, 1);
    assert_eq!(states(&bench.open(YARD)), ["failing"]);
    assert_eq!(states(&bench.pass(9 * SECOND)), [""; 0]);
    assert_eq!(states(&bench.pass(3 * SECOND)), ["ok"]);
}

#[test]
fn failing_one_camera_leaves_the_other_recording() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.disk.fail("create 000.mp4", EIO, 0, 1);
    assert_eq!(states(&bench.open(GATE)), ["failing"]);
    assert_eq!(appended(&bench.append(YARD)), Ok(()));
}

#[test]
fn failing_a_write_that_takes_longer_than_the_ring_holds() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    let events = bench.send(Command::Overtaken { camera: YARD });
    assert_eq!(states(&events), ["failing"]);
    assert!(bench.state().reason().contains("ring of yard"));
    assert_eq!(states(&bench.append(YARD)), ["ok"]);
}

#[test]
fn failing_a_card_that_can_not_be_listed_is_tried_again() {
    let disk = FaultyDisk::new();
    disk.fail("list", EIO, 0, 2);
    let mut bench = Bench::on(disk);
    assert_eq!(states(&bench.pass(Duration::ZERO)), ["failing"]);
    assert!(matches!(bench.open(YARD)[..], [Event::OpenFailed { .. }]));
    assert_eq!(states(&bench.pass(3 * SECOND)), ["ok"]);
}

#[test]
fn failing_one_unreadable_recording_stops_nothing() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.record(YARD, 1);
    let mut bench = bench.boot_again();
    bench.disk.fail("read 001.mp4", EIO, 0, ALWAYS);
    assert_eq!(states(&bench.pass(SECOND)), ["ok"]);
    assert_eq!(bench.entry(YARD, 1).state, SegmentState::Unreadable);
    assert_eq!(bench.entry(YARD, 0).state, SegmentState::Whole);
}

#[test]
fn failing_a_file_system_that_refuses_writes_but_calls_itself_writable_is_said_once() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.disk.fail("write", EROFS, 0, ALWAYS);
    bench.disk.fail("create", EROFS, 0, ALWAYS);
    let mut events = bench.append(YARD);
    for _ in 0..60 {
        events.extend(bench.open(YARD));
        events.extend(bench.pass(SECOND));
    }
    assert_eq!(states(&events), ["failing"]);
    assert!(!events.iter().any(|it| matches!(it, Event::Remounted { .. })), "it is not");
    bench.disk.heal();
    bench.opened(YARD);
    assert_eq!(states(&bench.append(YARD)), ["ok"]);
}
