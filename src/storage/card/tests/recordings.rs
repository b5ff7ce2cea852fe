//! Names, what is durable when, the list, start-up.

use super::*;

#[test]
fn room_is_taken_and_the_directory_synced_before_data_is_written() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.log();
    bench.opened(YARD);
    bench.append(YARD);
    let log = bench.disk.log();
    let changes = changes(&log);
    let expected = ["create 000.mp4", "allocate 000.mp4", "sync_directory recordings"];
    assert_eq!(changes[..3], expected);
    assert_eq!(changes[3..], ["write 000.mp4", "write 000.mp4", "sync 000.mp4"]);
}

#[test]
fn a_recording_is_durable_within_sync_seconds_and_whole_at_its_close() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    let events = bench.append(YARD);
    assert_eq!(appended(&events), Ok(()));
    let is_durable = |it: &Event| matches!(it, Event::Durable { frames_end: 2, .. });
    assert!(events.iter().any(is_durable), "the first fragment at once");
    bench.append(YARD);
    assert!(bench.pass(4 * SECOND).is_empty());
    let events = bench.pass(SECOND);
    assert!(matches!(events[..], [Event::Durable { camera: YARD, frames_end: 4 }]), "{events:?}");
    assert!(bench.pass(20 * SECOND).is_empty(), "nothing new, nothing to sync");
    bench.append(YARD);
    let events = bench.send(Command::Close { camera: YARD });
    let [Event::Durable { frames_end: 6, .. }, Event::Closed { number: 0, ending, .. }] =
        events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(ending, Ending::Whole);
    assert!(bench.scan("000.mp4").is_whole());
    let entry = bench.entry(YARD, 0);
    assert_eq!((entry.state, entry.duration_ms), (SegmentState::Whole, 6 * 40));
    assert_eq!((entry.start, entry.clock_trusted), (NOON, true));
    assert_eq!(entry.bytes, fs::metadata(bench.path("000.mp4")).unwrap().len());
}

#[test]
fn opening_closes_the_segment_before() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    let events = bench.open(YARD);
    let closed = events.iter().position(|it| matches!(it, Event::Closed { number: 0, .. }));
    let opened = events.iter().position(|it| matches!(it, Event::Opened { number: 1, .. }));
    assert!(closed.unwrap() < opened.unwrap(), "{events:?}");
}

#[test]
fn a_fragment_without_a_segment_comes_back_refused() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    assert_eq!(appended(&bench.append(YARD)), Err(Refused::NotOpen));
    assert!(bench.names("").is_empty());
    let events = bench.send(Command::Open { camera: CameraId(7), start: Bench::start() });
    assert!(matches!(events[..], [Event::OpenFailed { reason: OpenError::NoSuchCamera, .. }]));
}

#[test]
fn irregular_files_are_left_alone_and_their_names_are_not_used() {
    let bench = Bench::new();
    bench.put("elsewhere/evidence", &old_recording());
    bench.put("005.mp4", &old_recording());
    std::os::unix::fs::symlink(bench.path("elsewhere/evidence"), bench.path("007.mp4")).unwrap();
    std::os::unix::fs::symlink("nowhere", bench.path("070.top")).unwrap();
    let pipe = rustix::fs::CWD;
    rustix::fs::mknodat(pipe, bench.path("008.mp4"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    fs::create_dir(bench.path("009.mp4")).unwrap();
    let mut bench = bench.boot_again();
    let before = fs::read(bench.path("elsewhere/evidence")).unwrap();
    bench.pass(SECOND);
    assert_eq!(bench.record(YARD, 1), 10);
    let listed = bench.numbers(YARD);
    assert_eq!(listed, [5, 10]);
    assert_eq!(fs::read(bench.path("elsewhere/evidence")).unwrap(), before);
}

#[test]
fn a_file_that_has_another_name_elsewhere_is_listed_and_not_mended() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    bench.append(YARD);
    fs::create_dir(bench.path("copies")).unwrap();
    fs::hard_link(bench.path("000.mp4"), bench.path("copies/kept")).unwrap();
    let before = fs::read(bench.path("000.mp4")).unwrap();
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.entry(YARD, 0).state, SegmentState::Cut);
    assert_eq!((bench.state(), bench.record(YARD, 1)), (CardState::Ok, 1));
    assert_eq!(fs::read(bench.path("copies/kept")).unwrap(), before);
}

#[test]
fn a_file_that_becomes_a_pipe_or_link_after_it_was_listed_is_foreign() {
    let mut bench = Bench::new();
    bench.put("elsewhere", b"a secret");
    bench.put("005.mp4", &old_recording());
    bench.put("006.mp4", &old_recording());
    bench.card.tick(bench.now); // lists both, and reads the head of the newest
    fs::remove_file(bench.path("005.mp4")).unwrap();
    std::os::unix::fs::symlink(bench.path("elsewhere"), bench.path("005.mp4")).unwrap();
    bench.pass(SECOND);
    assert_eq!(bench.numbers(YARD), [6]);
    assert_eq!(fs::read(bench.path("elsewhere")).unwrap(), b"a secret");
}

#[test]
fn unclosed_recordings_are_repaired_at_start_up() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 3);
    for camera in [YARD, GATE] {
        bench.opened(camera);
        (0..3).for_each(|_| drop(bench.append(camera)));
    }
    let path = bench.path("001.mp4");
    let mut torn = fs::read(&path).unwrap();
    torn.truncate(torn.len() - 100);
    fs::write(&path, torn).unwrap();
    let mut bench = bench.boot_again();
    let events = bench.pass(SECOND);
    let mended = events.iter().filter(|event| matches!(event, Event::Mended { .. }));
    assert_eq!(mended.count(), 2, "{events:?}");
    assert_eq!(bench.entry(YARD, 1).state, SegmentState::Whole);
    assert_eq!((bench.scan("001.mp4").is_whole(), bench.scan("001.mp4").fragments), (true, 2));
    assert_eq!(bench.scan("gate/000.mp4").fragments, 3);
    assert!(bench.catalog.lock().unwrap().complete());
    assert_eq!(bench.record(YARD, 1), 2);
}

#[test]
fn mending_waits_until_what_is_recorded_now_is_open() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    bench.append(YARD);
    let mut bench = bench.boot_again();
    bench.card.tick(bench.now); // one readdir a folder, one head
    bench.disk.log();
    assert_eq!(bench.opened(YARD), 1);
}

#[test]
fn a_segment_of_which_no_frame_reached_the_card_goes_and_its_number_stays_used() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.opened(YARD);
    let mut bench = bench.boot_again();
    let events = bench.pass(SECOND);
    assert_eq!(deleted(&events), [(0, 1)]);
    assert_eq!(bench.names(""), ["000.mp4", "001.top"]);
    assert_eq!(bench.record(YARD, 1), 2);
}

#[test]
fn a_segment_whose_head_was_not_written_goes_and_its_number_stays_used() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.put("001.mp4", b""); // ended twice in a row
    bench.put("002.mp4", b"");
    let mut bench = bench.boot_again();
    bench.card.tick(bench.now); // one readdir a folder, one head
    assert_eq!(bench.record(YARD, 1), 3);
    bench.pass(SECOND);
    assert_eq!(bench.names(""), ["000.mp4", "002.top", "003.mp4"]);
}

#[test]
fn an_empty_file_that_no_recorder_left_last_stays() {
    let bench = Bench::new();
    for name in ["000.mp4", "0014.mp4", "014.MP4"] {
        bench.put(name, b"");
    }
    bench.put("001.mp4", &old_recording());
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    for name in ["000.mp4", "0014.mp4", "014.MP4"] {
        assert!(bench.has(name), "{name}");
    }
    assert_eq!(bench.catalog.lock().unwrap().folder(YARD).unwrap().entries().len(), 1);
}

#[test]
fn recordings_of_the_old_system_are_listed_and_not_touched() {
    let bench = Bench::new();
    let mut cut = old_recording();
    cut.truncate(cut.len() - 7);
    bench.put("000.mp4", &cut);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(fs::read(bench.path("000.mp4")).unwrap(), cut);
    assert_eq!(bench.catalog.lock().unwrap().folder(YARD).unwrap().entries().len(), 1);
}

#[test]
fn a_file_without_ftyp_is_foreign_and_a_torn_one_with_it_is_damaged() {
    let bench = Bench::new();
    bench.put("001.mp4", b"RIFF....AVI LIST");
    bench.put("002.mp4", b"\0\0\0\x18ftypiso5\xff\xff\xff");
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    assert_eq!(bench.entry(YARD, 2).state, SegmentState::Damaged);
    assert!(bench.catalog.lock().unwrap().find("yard", Asked::Number(1)).is_none());
    assert!(bench.has("001.mp4"));
}

#[test]
fn recording_starts_after_one_readdir_on_a_card_of_thirty_thousand() {
    let bench = Bench::new();
    let names = (0..29_000u32).map(|number| format!("{number:03}.mp4"));
    names.for_each(|name| bench.put(&name, b""));
    let mut bench = bench.boot_again();
    bench.disk.log();
    bench.card.tick(bench.now);
    let log = bench.disk.log();
    let heads = log.iter().filter(|line| line.starts_with("open")).count();
    assert!(heads <= 2, "{heads} heads before recording");
    assert_eq!(log.iter().filter(|line| line.starts_with("list")).count(), 2);
    assert_eq!(bench.opened(YARD), 29_000);
    assert!(!bench.catalog.lock().unwrap().complete());
}

#[test]
fn heads_are_read_newest_first_and_the_cameras_take_turns() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for number in 0..2 {
        assert_eq!((bench.record(YARD, 1), bench.record(GATE, 1)), (number, number));
    }
    let mut bench = bench.boot_again();
    bench.disk.log();
    bench.pass(SECOND);
    let log = bench.disk.log();
    let opened: Vec<_> = log.iter().filter(|line| line.starts_with("open ")).collect();
    assert_eq!(opened, ["open 001.mp4", "open 001.mp4", "open 000.mp4", "open 000.mp4"]);
    assert_eq!(bench.entry(GATE, 0).start, NOON);
}

#[test]
fn new_settings_that_keep_cameras_and_path_leave_the_segment_open() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    let settings = Settings { keep_days: 3, ..bench.settings.clone() };
    let events = bench.send(Command::Configure(Box::new(settings)));
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(appended(&bench.append(YARD)), Ok(()));
}

#[test]
fn shutting_down_closes_all_files() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for camera in [YARD, GATE] {
        bench.opened(camera);
        bench.append(camera);
    }
    let events = bench.send(Command::Shutdown);
    assert!(matches!(events.last(), Some(Event::Ended)));
    assert!(bench.scan("000.mp4").is_whole() && bench.scan("gate/000.mp4").is_whole());
}

#[test]
fn a_segment_being_written_is_not_deleted_nor_one_that_is_not_there() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.opened(YARD);
    for (number, reason) in [(0, "the recording is being written"), (5, "no such recording")] {
        let events = bench.send(Command::Delete { camera: YARD, name: name(number) });
        let [Event::DeleteFailed { reason: ref given, .. }] = events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(given.to_string(), reason);
    }
}

#[test]
fn a_segment_that_is_closed_before_its_first_frame_leaves_no_file() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record(YARD, 1);
    bench.opened(YARD);
    let events = bench.send(Command::Close { camera: YARD });
    assert!(events.iter().any(|it| matches!(it, Event::Closed { ending: Ending::Empty, .. })));
    assert_eq!(bench.names(""), ["000.mp4", "001.top"]);
    assert_eq!(bench.record(YARD, 1), 2);
}

#[test]
fn after_a_power_cut_between_any_two_calls_everything_goes_on() {
    let mut cuts = 0;
    for calls in 0.. {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.record(YARD, 2);
        bench.disk.fail("", EIO, calls, ALWAYS);
        let mut events = bench.open(YARD);
        events.extend(bench.append(YARD));
        events.extend(bench.send(Command::Close { camera: YARD }));
        events.extend(bench.send(Command::Delete { camera: YARD, name: name(1) }));
        events.extend(bench.open(YARD));
        events.extend(bench.append(YARD));
        let was_cut = !events.iter().any(|it| matches!(it, Event::Opened { number: 2, .. }));
        cuts += usize::from(was_cut);
        let used = events.iter().filter_map(|event| match event {
            Event::Opened { number, .. } => Some(*number),
            _ => None,
        });
        let highest = used.max().unwrap_or(0);
        let mut bench = bench.boot_again();
        bench.pass(SECOND);
        assert_eq!(bench.state(), CardState::Ok, "after {calls} calls");
        assert!(bench.scan("000.mp4").is_whole(), "after {calls} calls");
        let number = bench.record(YARD, 1);
        assert!(number > highest, "number {number} once more after {calls} calls");
        if !was_cut {
            break;
        }
    }
    assert!(cuts > 15, "{cuts} cuts");
}
