//! Marks: what was noted is there after a power cut, bounded, and goes with its recordings.

use super::*;
use crate::{
    limits::{MARK_FILE_BYTES, MARK_FILE_RECORDINGS_MAX, MARK_FILES_MAX, MARKS_WAITING_MAX},
    mp4::identity::SegmentMarks,
    storage::marks::{self, Course, Line, Mark, Word},
};

/// A mark so long after noon.
fn mark_at(seconds: i64) -> Mark {
    Mark {
        camera: "yard".into(),
        source: Word::new("script").unwrap(),
        kind: Word::new("motion").unwrap(),
        words: String::new(),
        begin: SegmentTime {
            boot: [7; 16],
            up_ms: Some(u64::try_from(5000 + seconds * 1000).unwrap()),
            wall: WallTime(NOON.0 + seconds * 1000),
            clock: ClockTrust::Trusted,
        },
        length_ms: 0,
        course: Course::Over,
    }
}

impl Bench {
    fn note_mark(&mut self, mark: Mark) -> Vec<Event> {
        let mut events = self.send(Command::Mark { camera: YARD, mark: Box::new(mark) });
        events.extend(self.pass(SECOND));
        events
    }

    /// The files of marks of the first folder, by age.
    fn mark_names(&self) -> Vec<String> {
        self.names(".").into_iter().filter(|name| name.starts_with("marks-")).collect()
    }

    fn marks(&self) -> Vec<Mark> {
        let files = self.mark_names();
        let lines = files.iter().flat_map(|name| {
            let content = fs::read(self.path(name)).unwrap();
            marks::lines(&content).collect::<Vec<_>>()
        });
        let marks = lines.filter_map(|line| match line {
            Line::Mark(mark) => Some(mark),
            Line::Boot(..) => None,
        });
        marks.collect()
    }

    fn events_of(&self, camera: CameraId) -> Vec<u32> {
        let list = self.catalog.lock().unwrap();
        let entries = list.folder(camera).unwrap().entries().iter();
        let marked = entries.filter(|entry| entry.marks().has(SegmentMarks::EVENT));
        marked.map(|entry| entry.name.number()).collect()
    }

    /// Records a minute after the other, each in a file of its own that is a second long.
    fn record_minutes(&mut self, minutes: std::ops::Range<i64>) {
        for minute in minutes {
            let wall = WallTime(NOON.0 + minute * 60_000);
            let up_ms = u64::try_from(5000 + minute * 60_000).unwrap();
            let start = SegmentStart { wall, up_ms, ..Bench::start() };
            self.appended[0] = 0;
            self.send(Command::Open { camera: YARD, start });
            for _ in 0..10 {
                self.append(YARD);
            }
            self.send(Command::Close { camera: YARD });
        }
    }
}

#[test]
fn a_mark_is_on_the_card_and_costs_nothing_before_there_is_one() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.log();
    bench.record(YARD, 3);
    bench.pass(60 * SECOND);
    assert!(!bench.disk.log().iter().any(|line| line.contains("marks-")));
    bench.note_mark(mark_at(1));
    assert_eq!((bench.marks(), bench.mark_names().len()), (vec![mark_at(1)], 1));
    let log = bench.disk.log();
    let of_marks: Vec<_> =
        log.iter().filter(|it| it.contains("marks-") || it.starts_with("sync_d")).collect();
    let expected = [
        "create marks-000000-0.txt",
        "allocate marks-000000-0.txt",
        "sync_directory recordings",
        "write marks-000000-0.txt",
    ];
    assert_eq!(of_marks[..4], expected, "its room is on the card before a byte of it is used");
    bench.pass(6 * SECOND);
    assert!(
        bench.disk.log().contains(&"sync marks-000000-0.txt".to_owned()),
        "as durable as video"
    );
    bench.note_mark(mark_at(20));
    assert_eq!(bench.disk.log()[..1], ["write marks-000000-0.txt"], "a further one is one write");
    assert_eq!(bench.marks(), [mark_at(1), mark_at(20)]);
}

#[test]
fn a_power_cut_at_any_byte_costs_no_mark_before_it_and_none_after() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.note_mark(mark_at(1));
    bench.note_mark(mark_at(2));
    let name = bench.mark_names().remove(0);
    let whole = fs::read(bench.path(&name)).unwrap();
    let length = marks::end(&whole);
    for cut in (0..=length).chain([whole.len() - 1]) {
        for rest in [b'\n', 0] {
            let mut torn = whole.clone();
            torn[cut.min(length)..].fill(rest);
            torn.truncate(if cut > length { cut } else { torn.len() });
            bench.mark_names().iter().for_each(|name| fs::remove_file(bench.path(name)).unwrap());
            bench.put(&name, &torn);
            bench = bench.boot_again();
            bench.pass(SECOND);
            let before = bench.marks();
            bench.note_mark(mark_at(3));
            bench.pass(SECOND);
            assert_eq!(bench.marks(), [&before[..], &[mark_at(3)]].concat(), "{cut} {rest}");
        }
    }
    // A name alone, as it is left when the power goes between two calls.
    bench.mark_names().iter().for_each(|name| fs::remove_file(bench.path(name)).unwrap());
    bench.put(&name, b"");
    bench = bench.boot_again();
    bench.pass(SECOND);
    bench.note_mark(mark_at(4));
    assert_eq!(bench.marks(), [mark_at(4)]);
}

#[test]
fn marks_wait_for_a_card_that_is_away_as_many_as_there_is_room_for() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.disk.set_mount(Mount::Absent("pulled".into()));
    bench.pass(10 * SECOND);
    let count = i64::try_from(MARKS_WAITING_MAX).unwrap() + 5;
    let mut lost = 0;
    for nth in 0..count {
        let events = bench.send(Command::Mark { camera: YARD, mark: Box::new(mark_at(nth)) });
        lost += events.iter().filter(|event| matches!(event, Event::MarkLost)).count();
    }
    assert_eq!((lost, bench.marks().len()), (5, 0));
    bench.disk.set_mount(Mount::Writable);
    bench.pass(10 * SECOND);
    assert_eq!(bench.marks(), (5..count).map(mark_at).collect::<Vec<_>>());
}

#[test]
fn a_release_writes_what_waits_and_leaves_no_file_open() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.send(Command::Mark { camera: YARD, mark: Box::new(mark_at(1)) });
    bench.send(Command::Release);
    assert_eq!(bench.marks(), [mark_at(1)]);
    bench.send(Command::Resume);
    bench.note_mark(mark_at(2));
    assert_eq!(bench.marks(), [mark_at(1), mark_at(2)]);
}

#[test]
fn an_error_of_the_card_stops_no_recording_and_the_marks_come_later() {
    for (call, errno) in
        [("write marks", EIO), ("create marks", ENOSPC), ("allocate marks", ENOSPC)]
    {
        let mut bench = Bench::new();
        bench.pass(SECOND);
        bench.disk.fail(call, errno, 0, 1);
        bench.opened(YARD);
        let events = bench.note_mark(mark_at(1));
        assert!(
            events.iter().any(|it| matches!(it, Event::MarksUnwritten { .. })),
            "{call}: {events:?}"
        );
        assert_eq!(appended(&bench.append(YARD)), Ok(()));
        assert_eq!((bench.state(), bench.marks()), (CardState::Ok, vec![]), "{call}");
        bench.pass(120 * SECOND);
        assert_eq!(bench.marks(), [mark_at(1)], "{call}");
    }
}

#[test]
fn files_of_marks_are_bounded_and_go_with_their_recordings() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..3);
    let lines = |bench: &Bench| bench.marks().len();
    let mut nth = 0;
    while bench.mark_names().len() < 4 {
        nth += 1;
        bench.send(Command::Mark { camera: YARD, mark: Box::new(mark_at(nth)) });
        bench.pass(SECOND / 5);
    }
    assert_eq!(lines(&bench), usize::try_from(nth).unwrap(), "none is lost at a change of files");
    let names = bench.mark_names();
    assert_eq!(
        names,
        ["marks-000002-0.txt", "marks-000002-1.txt", "marks-000002-2.txt", "marks-000002-3.txt"]
    );
    let bytes = |name: &String| fs::metadata(bench.path(name)).unwrap().len();
    assert!(names.iter().all(|name| bytes(name) == MARK_FILE_BYTES as u64));
    // The recordings go.
    for number in 0..3 {
        bench.send(Command::Delete { camera: YARD, name: name(number) });
    }
    bench.pass(300 * SECOND);
    assert_eq!(bench.mark_names().len(), 4, "nothing came after them");
    bench.record_minutes(3..5);
    bench.pass(600 * SECOND);
    assert_eq!(bench.mark_names(), ["marks-000002-3.txt"], "the newest one is written on");
}

#[test]
fn however_many_files_there_are_no_more_than_a_bound_stay() {
    let mut bench = Bench::new();
    for first in 0..MARK_FILES_MAX as u32 + 9 {
        bench.put(&layout::MarkFile { first, nth: 0 }.file_name(), &vec![b'\n'; MARK_FILE_BYTES]);
    }
    bench.pass(SECOND);
    bench.pass(20 * 60 * SECOND);
    let names = bench.mark_names();
    assert_eq!((names.len(), &*names[0]), (MARK_FILES_MAX, "marks-000009-0.txt"));
}

#[test]
fn a_file_of_marks_ends_with_its_share_of_recordings() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..2);
    for newest in [1, MARK_FILE_RECORDINGS_MAX, 1 + MARK_FILE_RECORDINGS_MAX] {
        bench.catalog.lock().unwrap().folder_mut(YARD).unwrap().use_up(newest);
        bench.note_mark(mark_at(newest.into()));
    }
    assert_eq!(bench.mark_names(), ["marks-000001-0.txt", "marks-001001-0.txt"]);
    assert_eq!(bench.marks().len(), 3);
}

#[test]
fn recordings_are_told_what_happened_in_them_and_shortly_before_and_after() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..6);
    // Three seconds before the fourth minute: it begins within the 30 s after.
    bench.note_mark(mark_at(177));
    bench.pass(SECOND);
    assert_eq!(bench.events_of(YARD), [3]);
    let scan = bench.scan("003.mp4");
    assert!(
        scan.head.unwrap().identity.is_some_and(|it| it.marks.has(SegmentMarks::EVENT)),
        "the file says so"
    );
    // One that goes on marks what is recorded meanwhile from its first frame on.
    let going_on = Mark { course: Course::GoingOn, ..mark_at(362) };
    bench.send(Command::Clock {
        wall: WallTime(NOON.0 + 362_000),
        clock: ClockTrust::Trusted,
        up_ms: 367_000,
    });
    bench.note_mark(going_on);
    bench.record_minutes(7..8);
    assert_eq!(bench.events_of(YARD), [3, 6]);
    let bench = bench.boot_again();
    let mut bench = bench;
    bench.pass(600 * SECOND);
    assert_eq!(bench.events_of(YARD), [3, 6], "after a boot as well");
}

#[test]
fn watching_marks_no_recording() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..2);
    let kind = Word::new(Mark::WATCHED).unwrap();
    bench.note_mark(Mark { kind, length_ms: 100_000, ..mark_at(0) });
    assert_eq!((bench.marks().len(), bench.events_of(YARD)), (1, vec![]));
}

#[test]
fn a_recording_that_a_power_cut_left_untold_is_told_at_the_next_start() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..2);
    let mut lines = Vec::new();
    mark_at(60).write(&mut lines);
    lines.resize(MARK_FILE_BYTES, b'\n');
    bench.put("marks-000001-0.txt", &lines);
    let mut bench = bench.boot_again();
    bench.pass(60 * SECOND);
    assert_eq!(bench.events_of(YARD), [1]);
}

#[test]
fn marks_in_many_files_flag_no_recording_between_them_at_the_next_start() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_minutes(0..60);
    // A camera's marks of the first 16 minutes lie in one folder, those of the last 16 in another.
    for (file, minutes) in [("gate/marks-000000-0.txt", 0..16), ("marks-000059-0.txt", 44..60)] {
        let mut lines = Vec::new();
        minutes.for_each(|minute| mark_at(minute * 60).write(&mut lines));
        lines.resize(MARK_FILE_BYTES, b'\n');
        bench.put(file, &lines);
    }
    let mut bench = bench.boot_again();
    bench.pass(60 * SECOND);
    assert_eq!(bench.events_of(YARD), (0..16).chain(44..60).collect::<Vec<_>>());
}

#[test]
fn marks_made_before_the_clock_was_set_have_their_true_times_from_then_on_and_after_a_boot() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.send(Command::Clock {
        wall: WallTime(60_000),
        clock: ClockTrust::Untrusted,
        up_ms: 60_000,
    });
    let wrong = SegmentTime {
        boot: [7; 16],
        up_ms: Some(60_000),
        wall: WallTime(60_000),
        clock: ClockTrust::Untrusted,
    };
    let wrong = Mark { begin: wrong, ..mark_at(0) };
    bench.note_mark(wrong.clone());
    let began = |bench: &Bench| bench.catalog.lock().unwrap().began();
    assert_eq!(wrong.began(&began(&bench)).1, ClockTrust::Untrusted);
    bench.send(Command::Clock { wall: NOON, clock: ClockTrust::Trusted, up_ms: 3_600_000 });
    let expected = (WallTime(NOON.0 - 3_600_000 + 60_000), ClockTrust::Trusted);
    assert_eq!(wrong.began(&began(&bench)), expected);
    bench.pass(2 * SECOND);
    let mut bench = bench.boot_again();
    bench.settings.boot = [8; 16];
    bench.pass(60 * SECOND);
    let (time, clock) = wrong.began(&began(&bench));
    assert_eq!(clock, ClockTrust::Trusted, "though no recording of that boot is left");
    assert!(time.0.abs_diff(expected.0.0) < 2000, "{time:?}");
}
