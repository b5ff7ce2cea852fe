//! Retention, a full card, a full folder.

use super::*;
use crate::storage::{DeleteReason, disk::Disk};

const MIB: u32 = 1 << 20;

/// A card of which `mib` are free, with some recordings of 4 MB each.
fn small_card(mib: u64, recordings: u32) -> Bench {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for _ in 0..recordings {
        record_megabytes(&mut bench, YARD, 4);
    }
    bench.disk.set_total(used(&bench) + (mib << 20));
    bench
}

fn record_megabytes(bench: &mut Bench, camera: CameraId, megabytes: u32) -> u32 {
    let number = bench.opened(camera);
    assert_eq!(appended(&bench.append_bytes(camera, megabytes * MIB)), Ok(()));
    bench.send(Command::Close { camera });
    number
}

fn used(bench: &Bench) -> u64 {
    bench.disk.set_total(u64::MAX);
    let space = bench.disk.space(&bench.disk.root()).unwrap();
    space.total - space.free
}

#[test]
fn the_first_look_at_the_room_comes_after_the_first_segment_is_open() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.log();
    bench.card.handle(Command::Open { camera: YARD, start: Bench::start() }, bench.now);
    assert!(!bench.disk.log().contains(&"space".into()));
    bench.card.tick(bench.now);
    assert!(bench.disk.log().contains(&"space".into()));
    assert!(bench.catalog.lock().unwrap().space.is_some());
}

#[test]
fn room_is_checked_even_if_nothing_is_recorded() {
    let mut bench = Bench::new();
    bench.pass(10 * SECOND);
    assert!(bench.catalog.lock().unwrap().space.is_some());
}

#[test]
fn room_for_two_segments_is_made_before_one_is_opened_and_the_directory_synced_first() {
    let mut bench = small_card(2, 4); // 9 MB and a little are wanted
    bench.disk.log();
    bench.opened(YARD);
    let log = bench.disk.log();
    let changes = changes(&log);
    let expected = ["remove 000.mp4", "sync_directory recordings", "remove 001.mp4"];
    assert_eq!(changes[..3], expected, "{changes:?}");
    assert_eq!(changes[3..5], ["sync_directory recordings", "create 004.mp4"]);
}

#[test]
fn keep_free_percent_is_restored_after_a_segment_was_opened() {
    let disk = FaultyDisk::new();
    let mut settings = Bench::on(disk.clone()).settings;
    settings.keep_free_percent = 30;
    let mut bench = Bench::with(disk, settings);
    bench.pass(SECOND);
    (0..10).for_each(|number| assert_eq!(record_megabytes(&mut bench, YARD, 4), number));
    bench.disk.set_total(used(&bench) + (20 << 20)); // 60 MB: 18 MB are to stay free
    bench.opened(YARD);
    assert_eq!(bench.pass(SECOND).len(), 0);
    bench.disk.set_total(used(&bench) + (10 << 20)); // 50 MB: 15
    let events = bench.pass(61 * SECOND);
    assert_eq!(deleted(&events), [(0, 0), (0, 1)]);
    assert_eq!(bench.state(), CardState::Ok);
}

#[test]
fn recordings_of_the_old_system_go_too_and_foreign_files_never() {
    let bench = Bench::new();
    for number in 0..3 {
        let mut file = old_recording();
        file.resize(4 << 20, 0);
        bench.put(&format!("{number:03}.mp4"), &file);
    }
    bench.put("003.mp4", &vec![7; 4 << 20]);
    bench.put("holiday.mp4", &vec![7; 4 << 20]);
    let total = used(&bench) + (5 << 20);
    let mut bench = bench.boot_again();
    bench.disk.set_total(total);
    bench.card.tick(bench.now);
    bench.opened(YARD);
    for _ in 0..4 {
        assert_eq!(appended(&bench.append_bytes(YARD, MIB)), Ok(()));
        bench.pass(61 * SECOND);
    }
    assert!(!bench.has("000.mp4"));
    assert!(bench.has("003.mp4") && bench.has("holiday.mp4"));
}

#[test]
fn the_camera_that_fills_most_gives_first() {
    let mut bench = small_card(100, 1);
    (0..3).for_each(|number| assert_eq!(record_megabytes(&mut bench, GATE, 4), number));
    bench.disk.set_total(used(&bench) + (16 << 20)); // 18 MB and a little are wanted
    let events = bench.open(YARD);
    assert_eq!(deleted(&events), [(1, 0)]);
}

#[test]
fn a_card_that_fills_in_the_middle_of_a_segment_stops_nothing() {
    let mut bench = small_card(40, 3);
    bench.opened(YARD);
    bench.append_bytes(YARD, 4 * MIB);
    bench.disk.set_total(used(&bench) + (2 << 20)); // somebody filled it
    bench.disk.log();
    let events = bench.append_bytes(YARD, 4 * MIB);
    assert_eq!(appended(&events), Ok(()));
    assert_eq!(deleted(&events), [(0, 0), (0, 1)]);
    assert_eq!(states(&events), [""; 0]);
    let log = bench.disk.log();
    let synced = log.iter().rposition(|line| line.starts_with("sync_directory")).unwrap();
    let removed = log.iter().rposition(|line| line.starts_with("remove")).unwrap();
    assert!(removed < synced, "{log:?}");
}

#[test]
fn full_where_nothing_is_left_to_delete_it_says_so_and_tries_again() {
    let mut bench = small_card(40, 0);
    bench.opened(YARD);
    bench.append_bytes(YARD, 4 * MIB);
    bench.put("holiday.avi", b"");
    bench.disk.set_total(used(&bench));
    let events = bench.append_bytes(YARD, 6 * MIB);
    assert_eq!(appended(&events), Err(Refused::Failed));
    assert_eq!(states(&events), ["full"]);
    assert!(events.iter().any(|it| matches!(it, Event::Closed { ending: Ending::Whole, .. })));
    assert!(bench.scan("000.mp4").is_whole(), "closed in order: nothing of it is lost");
    assert!(bench.has("holiday.avi"));
}

#[test]
fn full_ends_when_somebody_makes_room() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.put("holiday.avi", &vec![7; 40 << 20]);
    bench.disk.set_total(used(&bench));
    let events = bench.open(YARD);
    assert_eq!(states(&events), ["full"]);
    assert!(matches!(events.last(), Some(Event::OpenFailed { .. })));
    assert!(matches!(bench.open(YARD)[..], [Event::OpenFailed { reason: OpenError::Card, .. }]));
    assert!(bench.pass(60 * SECOND).is_empty());
    assert_eq!(bench.names(""), ["holiday.avi"], "no stillborn file");
    fs::remove_file(bench.path("holiday.avi")).unwrap();
    assert_eq!(states(&bench.pass(SECOND)), ["ok"]);
    assert_eq!(bench.opened(YARD), 0);
}

#[test]
fn enospc_with_room_left_means_a_full_folder_and_the_oldest_go() {
    let mut bench = small_card(1000, 3);
    bench.disk.fail("create 003.mp4", ENOSPC, 0, 2);
    let events = bench.open(YARD);
    assert_eq!(deleted(&events), [(0, 0), (0, 1)]);
    assert!(events.iter().any(|it| matches!(it, Event::Opened { number: 3, .. })));
    assert_eq!(bench.state(), CardState::Ok);
}

#[test]
fn enospc_that_no_deletion_ends_costs_four_recordings_and_no_more() {
    let mut bench = small_card(1000, 8);
    bench.disk.fail("create 008.mp4", ENOSPC, 0, ALWAYS);
    for _ in 0..30 {
        bench.open(YARD);
        bench.pass(SECOND);
    }
    assert_eq!(bench.names("").len(), 4);
    assert_eq!(bench.state().name(), "failing");
    bench.disk.heal();
    assert_eq!(bench.opened(YARD), 8);
}

#[test]
fn a_quota_that_is_used_up_lets_the_oldest_go_though_the_card_has_room() {
    let mut bench = small_card(1000, 200);
    bench.disk.fail("allocate", EDQUOT, 0, 3);
    let events = bench.open(YARD);
    assert!(events.iter().any(|it| matches!(it, Event::Opened { number: 200, .. })), "{events:?}");
    let gone = deleted(&events).len();
    assert!((3..=12).contains(&gone), "two segments' worth for each refusal, not {gone}");
    assert_eq!(bench.state(), CardState::Ok);
}

#[test]
fn a_quota_of_which_others_hold_all_is_said() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.fail("allocate", EDQUOT, 0, ALWAYS);
    assert_eq!(states(&bench.open(YARD)), ["failing"]);
    assert!(bench.state().reason().contains("quota"), "{:?}", bench.state());
    bench.disk.heal();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 0);
}

#[test]
fn on_fat_the_name_of_a_recording_goes_from_the_card_before_its_room_is_free() {
    let bench = small_card(1000, 3);
    bench.disk.set_file_system(FileSystem::Fat);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    bench.disk.log();
    bench.send(Command::Delete { camera: YARD, name: name(1) });
    let expected = [
        "open 001.mp4", // whether somebody keeps it
        "open 001.mp4",
        "remove 001.mp4",
        "sync_directory recordings",
        "close 001.mp4",
        "sync_directory recordings",
    ];
    assert_eq!(bench.disk.log(), expected);
}

#[test]
fn on_fat_the_name_of_a_recording_is_on_the_card_before_its_room_is_taken() {
    let mut bench = Bench::new();
    bench.disk.set_file_system(FileSystem::Fat);
    bench.pass(SECOND);
    bench.disk.log();
    bench.opened(YARD);
    let expected = [
        "create 000.mp4",
        "sync_directory recordings",
        "allocate 000.mp4",
        "sync_directory recordings",
        "write 000.mp4",
    ];
    assert_eq!(changes(&bench.disk.log())[..5], expected);
}

#[test]
fn recordings_older_than_keep_days_go_where_the_clock_is_trusted() {
    let mut bench = Bench::new();
    bench.settings.keep_days = 2;
    let settings = bench.settings.clone();
    bench.send(Command::Configure(Box::new(settings)));
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.record(YARD, 1);
    let day = 24 * 3600 * 1000;
    let clock =
        |days: i64, clock| Command::Clock { wall: WallTime(NOON.0 + days * day), clock, up_ms: 0 };
    bench.send(clock(3, ClockTrust::Untrusted));
    assert_eq!(deleted(&bench.pass(120 * SECOND)), []);
    bench.send(clock(1, ClockTrust::Trusted));
    assert_eq!(deleted(&bench.pass(120 * SECOND)), []);
    bench.send(clock(3, ClockTrust::Trusted));
    let events = bench.pass(180 * SECOND);
    let doubts = events.iter().filter(|it| matches!(it, Event::AgeDoubtful)).count();
    assert_eq!((deleted(&events), doubts), (vec![], 1), "the clock alone says so");
    // Another camera bears it out.
    let start = SegmentStart { wall: WallTime(NOON.0 + day * 3 / 2), ..Bench::start() };
    bench.send(Command::Open { camera: GATE, start });
    bench.append(GATE);
    bench.send(Command::Close { camera: GATE });
    bench.send(clock(3, ClockTrust::Trusted));
    let events = bench.pass(120 * SECOND);
    assert_eq!(deleted(&events), [(0, 0), (0, 1)]);
    assert!(
        events
            .iter()
            .all(|it| !matches!(it, Event::Deleted { reason, .. } if *reason != DeleteReason::Age))
    );
    assert_eq!(bench.record(YARD, 1), 2);
}

#[test]
fn an_hour_on_a_small_card_keeps_the_newest_and_never_stops() {
    let mut bench = small_card(40, 0);
    let mut last = 0;
    for _ in 0..60 {
        last = record_megabytes(&mut bench, YARD, 4);
        bench.pass(60 * SECOND);
    }
    assert_eq!(last, 59);
    assert_eq!(bench.state(), CardState::Ok);
    let names = bench.names("");
    assert!((5..=9).contains(&names.len()), "{names:?}");
    assert_eq!(names.last().unwrap(), "059.mp4");
    let order: Vec<u32> = bench
        .catalog
        .lock()
        .unwrap()
        .folder(YARD)
        .unwrap()
        .entries()
        .iter()
        .map(|entry| entry.name.number())
        .collect();
    assert!(
        order.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "the oldest went first: {order:?}"
    );
}

#[test]
fn a_recording_that_can_not_be_deleted_does_not_save_the_others() {
    let mut bench = small_card(2, 4);
    bench.disk.fail("remove 000.mp4", EIO, 0, ALWAYS);
    let mut events = bench.open(YARD);
    events.extend(bench.pass(3 * SECOND));
    events.extend(bench.open(YARD));
    assert!(bench.has("000.mp4"));
    assert_eq!(deleted(&events)[..2], [(0, 1), (0, 2)], "{events:?}");
    assert!(events.iter().any(|it| matches!(it, Event::Opened { .. })));
}

#[test]
fn unreadable_recordings_are_not_deleted_for_room() {
    let mut bench = small_card(100, 3);
    let mut bench = {
        bench.send(Command::Shutdown);
        bench.boot_again()
    };
    bench.disk.fail("read 000.mp4", EIO, 0, ALWAYS);
    bench.pass(SECOND);
    bench.disk.set_total(used(&bench) + (6 << 20));
    let events = bench.open(YARD);
    assert_eq!(deleted(&events), [(0, 1), (0, 2)]);
    assert!(bench.has("000.mp4"));
}

#[test]
fn nothing_is_deleted_for_the_room_of_a_card_that_was_pulled() {
    let mut bench = small_card(100, 3);
    bench.card.handle(Command::Open { camera: YARD, start: Bench::start() }, bench.now);
    bench.disk.set_total(used(&bench));
    bench.disk.set_mount(Mount::Absent("the card was pulled".into()));
    bench.disk.log();
    bench.card.tick(bench.now); // the room is looked at after a segment was opened
    assert_eq!(changes(&bench.disk.log()), [""; 0]);
    assert_eq!(bench.state().name(), "absent");
}

#[test]
fn a_folder_comes_down_to_thirty_thousand_recordings_where_fat_holds_no_more() {
    let bench = Bench::new();
    bench.disk.set_file_system(FileSystem::Fat);
    for number in 0..30_003u32 {
        bench.put(&format!("{number:03}.mp4"), b"\0\0\0\x18ftyp");
    }
    let mut bench = bench.boot_again();
    bench.pass(Duration::ZERO);
    bench.opened(YARD);
    let events = bench.pass(SECOND);
    assert_eq!(bench.numbers(YARD).len(), 29_999);
    assert!(!bench.has("000.mp4") && bench.has("005.mp4"));
    let said = |event: &Event| matches!(event, Event::Deleted { reason: DeleteReason::Count, .. });
    assert!(events.iter().any(said));
    bench.disk.set_file_system(FileSystem::Other);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    for number in 30_004..30_007 {
        assert_eq!(bench.record(YARD, 1), number);
    }
    bench.pass(SECOND);
    assert_eq!(bench.numbers(YARD).len(), 30_001, "elsewhere nothing asks for it");
}

#[test]
fn a_file_that_was_not_yet_read_is_looked_into_before_it_is_deleted() {
    let bench = Bench::new();
    bench.put("000.mp4", &vec![7; 4 << 20]);
    for number in 1..4 {
        let mut file = old_recording();
        file.resize(4 << 20, 0);
        bench.put(&format!("{number:03}.mp4"), &file);
    }
    bench.disk.set_total(used(&bench) + (6 << 20)); // 16 MB are wanted
    let mut bench = bench.boot_again();
    bench.pass(Duration::ZERO);
    let events = bench.open(YARD);
    assert_eq!(deleted(&events), [(0, 1), (0, 2), (0, 3)]);
    assert!(bench.has("000.mp4"));
}
