//! Files that another program writes.

use super::*;
use crate::storage::layout::staged_name;

impl Bench {
    fn staged(&mut self) -> u32 {
        self.pass(SECOND);
        self.send(Command::Clock { wall: NOON, clock: ClockTrust::Trusted, up_ms: 5000 });
        let events = self.send(Command::Stage { camera: YARD, run: 3 });
        let number = events.iter().find_map(|event| match event {
            Event::Staged { camera: YARD, number, directory } => {
                assert_eq!(*directory, self.disk.root());
                Some(*number)
            }
            _ => None,
        });
        number.unwrap_or_else(|| panic!("not staged: {events:?}"))
    }

    fn write(&self, number: u32, fragments: u32) {
        self.put(&staged_name(number), &samples::by_ffmpeg(1100, fragments));
    }

    /// More of a file that was taken up as `file`.
    fn grow(&self, file: &str, begin: u32, fragments: u32) {
        let path = self.path(file);
        let mut bytes = fs::read(&path).unwrap();
        let whole = samples::by_ffmpeg(1100, begin + fragments);
        bytes.extend_from_slice(&whole[samples::by_ffmpeg(1100, begin).len()..]);
        fs::write(path, bytes).unwrap();
    }

    fn unstage(&mut self) -> Vec<Event> {
        let events = self.send(Command::Unstage { camera: YARD });
        assert!(matches!(events.last(), Some(Event::Unstaged { camera: YARD })), "{events:?}");
        events
    }
}

fn closed(events: &[Event]) -> Vec<(u32, Ending)> {
    let closed = events.iter().filter_map(|event| match event {
        Event::Closed { number, ending, .. } => Some((*number, *ending)),
        _ => None,
    });
    closed.collect()
}

fn is_durable(event: &Event) -> bool {
    matches!(event, Event::Durable { camera: YARD, .. })
}

#[test]
fn a_file_is_taken_up_grows_and_is_closed_when_the_next_one_is_there() {
    let mut bench = Bench::new();
    assert_eq!(bench.staged(), 0);
    bench.write(0, 1);
    let events = bench.pass(SECOND);
    assert!(matches!(events[0], Event::Opened { number: 0, .. }), "{events:?}");
    assert!(events.iter().any(is_durable), "the first fragment at once");
    assert!(events.iter().any(|it| matches!(it, Event::Grown { camera: YARD })));
    let entry = bench.entry(YARD, 0);
    assert_eq!((entry.state, entry.codec), (SegmentState::Recording, Some(Codec::H264)));
    assert!(entry.clock_trusted && (NOON.0..NOON.0 + 1000).contains(&entry.start.0));
    assert!(matches!(
        bench.send(Command::Delete { camera: YARD, name: name(0) })[..],
        [Event::DeleteFailed { .. }]
    ));
    let bytes = fs::metadata(bench.path("000.mp4")).unwrap().len();
    assert_eq!(entry.bytes, bytes);
    assert!(bench.pass(20 * SECOND).is_empty(), "nothing new, nothing durable");
    bench.grow("000.mp4", 1, 2);
    assert!(bench.pass(6 * SECOND).iter().any(is_durable));
    bench.write(1, 1);
    let events = bench.pass(SECOND);
    assert_eq!(closed(&events), [(0, Ending::Whole)]);
    assert!(bench.scan("000.mp4").head.unwrap().identity.is_some_and(|it| it.run == 3));
    let entry = bench.entry(YARD, 0);
    assert_eq!((entry.state, entry.duration_ms), (SegmentState::Whole, 9 * 40));
    assert_eq!(closed(&bench.unstage()), [(1, Ending::Whole)]);
    assert_eq!(bench.names("."), ["000.mp4", "001.mp4"]);
    assert!(bench.scan("001.mp4").is_whole());
}

#[test]
fn no_file_is_ever_overwritten_and_no_number_used_twice() {
    let mut bench = Bench::new();
    bench.put("004.mp4", &old_recording());
    assert_eq!(bench.staged(), 5);
    bench.put("005.mp4", b"somebody's");
    bench.write(5, 1);
    bench.write(6, 1);
    bench.pass(SECOND);
    bench.unstage();
    assert_eq!(fs::read(bench.path("005.mp4")).unwrap(), b"somebody's");
    assert_eq!(bench.names("."), ["004.mp4", "005.mp4", "006.mp4", "007.mp4"]);
    assert_eq!(bench.staged(), 8);
}

#[test]
fn a_file_without_room_for_an_index_is_listed_all_the_same() {
    let mut bench = Bench::new();
    bench.staged();
    bench.put("000.new", &samples::by_ffmpeg(0, 4));
    bench.pass(SECOND);
    assert_eq!(closed(&bench.unstage()), [(0, Ending::Unindexed)]);
    let entry = bench.entry(YARD, 0);
    assert_eq!((entry.state, entry.duration_ms), (SegmentState::Whole, 12 * 40));
}

#[test]
fn leftover_files_are_taken_up_before_anything_else_is_written() {
    let mut bench = Bench::new();
    bench.write(3, 2);
    bench.put("004.new", b"no recording");
    bench.put("005.new", b"");
    assert_eq!(bench.staged(), 2);
    assert_eq!(bench.names("."), ["000.mp4", "001.bad"]);
    assert!(bench.scan("000.mp4").is_whole());
}

#[test]
fn a_head_that_never_came_leaves_nothing() {
    let mut bench = Bench::new();
    bench.staged();
    bench.put("000.new", b"garbage");
    assert!(bench.pass(20 * SECOND).is_empty());
    assert_eq!(closed(&bench.unstage()), []);
    assert!(bench.names(".").is_empty());
}

#[test]
fn a_card_that_goes_is_let_go_of_and_what_was_open_is_mended_when_it_is_back() {
    let mut bench = Bench::new();
    bench.staged();
    bench.write(0, 3);
    bench.pass(SECOND);
    bench.disk.set_mount(Mount::Absent("pulled".into()));
    let events = bench.pass(11 * SECOND);
    assert_eq!(closed(&events), [(0, Ending::GivenUp)]);
    assert_eq!(states(&events), ["absent"]);
    bench.write(1, 1);
    bench.pass(10 * SECOND);
    assert!(bench.has("001.new"), "nothing is touched meanwhile");
    assert_eq!(bench.unstage().len(), 1);
    let refused = bench.send(Command::Stage { camera: YARD, run: 4 });
    assert!(matches!(refused[..], [Event::OpenFailed { reason: OpenError::Card, .. }]));
    bench.disk.set_mount(Mount::Writable);
    bench.pass(20 * SECOND);
    assert!(bench.scan("000.mp4").is_whole());
    assert_eq!(bench.entry(YARD, 0).state, SegmentState::Whole);
    assert_eq!(bench.staged(), 2);
    assert_eq!(bench.names("."), ["000.mp4", "001.mp4"]);
}

#[test]
fn an_error_of_the_card_is_told_and_the_next_stage_goes_on() {
    let mut bench = Bench::new();
    bench.staged();
    bench.write(0, 1);
    bench.disk.fail("sync 000.new", EIO, 0, 1);
    let events = bench.pass(SECOND);
    assert!(events.iter().any(|it| matches!(it, Event::OpenFailed { camera: YARD, .. })));
    assert_eq!(bench.state().name(), "failing");
    assert_eq!(closed(&events), [(0, Ending::GivenUp)]);
    bench.unstage();
    assert_eq!(bench.staged(), 1);
    bench.write(1, 1);
    assert!(bench.pass(SECOND).iter().any(is_durable));
    assert_eq!(bench.state(), CardState::Ok);
}
