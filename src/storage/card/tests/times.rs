//! Recordings that were made before the clock was right.

use super::*;
use crate::mp4::identity::Cause;

const HOUR_MS: u64 = 3_600_000;
/// When the boot of these tests began in truth.
const BOOTED: i64 = NOON.0;

impl Bench {
    /// Records a segment when the machine is up for so long, by a clock that is right or begins in
    /// 1970.
    fn record_at(&mut self, up_ms: u64, clock: ClockTrust) -> Vec<Event> {
        let began = if clock == ClockTrust::Trusted { BOOTED } else { 0 };
        let wall = WallTime(began + up_ms.cast_signed());
        let start = SegmentStart { wall, clock, up_ms, ..Bench::start() };
        self.appended[YARD.0] = 0;
        let mut events = self.send(Command::Open { camera: YARD, start });
        events.extend(self.append(YARD));
        events.extend(self.send(Command::Close { camera: YARD }));
        events
    }

    fn hours(&self) -> Vec<(i64, bool)> {
        let list = self.catalog.lock().unwrap();
        let entries = list.folder(YARD).unwrap().entries().iter();
        entries.map(|it| ((it.start.0 - BOOTED) / HOUR_MS as i64, it.clock_trusted)).collect()
    }
}

fn dated(events: &[Event]) -> Vec<usize> {
    let dated = events.iter().filter_map(|event| match event {
        Event::Dated { recordings } => Some(*recordings),
        _ => None,
    });
    dated.collect()
}

#[test]
fn two_hours_of_1970_are_found_under_their_true_times_once_the_clock_comes_and_after_a_restart() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for hour in [0, 1] {
        assert!(dated(&bench.record_at(hour * HOUR_MS, ClockTrust::Untrusted)).is_empty());
    }
    assert!(bench.hours().iter().all(|(_, is_trusted)| !is_trusted));
    let (wall, up_ms) = (WallTime(BOOTED + 2 * HOUR_MS as i64), 2 * HOUR_MS);
    let events = bench.send(Command::Clock { wall, clock: ClockTrust::Trusted, up_ms });
    assert_eq!(dated(&events), [2]);
    assert_eq!(bench.hours(), [(0, true), (1, true)], "at once");
    let events = bench.record_at(2 * HOUR_MS, ClockTrust::Trusted);
    assert!(dated(&events).is_empty(), "and once");
    let media: Vec<_> =
        bench.names(".").iter().map(|name| fs::read(bench.path(name)).unwrap()).collect();

    bench.settings.boot = [8; 16];
    let mut bench = bench.boot_again();
    bench.pass(60 * SECOND);
    assert_eq!(bench.hours(), [(0, true), (1, true), (2, true)]);
    let after: Vec<_> =
        bench.names(".").iter().map(|name| fs::read(bench.path(name)).unwrap()).collect();
    assert!(media == after, "no file was touched");
}

#[test]
fn a_boot_whose_clock_never_came_stays_doubtful() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    bench.record_at(HOUR_MS, ClockTrust::Untrusted);
    bench.settings.boot = [8; 16];
    let mut bench = bench.boot_again();
    bench.pass(60 * SECOND);
    bench.record_at(2 * HOUR_MS, ClockTrust::Trusted);
    let hours = bench.hours();
    assert_eq!(hours[1], (2, true));
    assert_eq!(bench.entry(YARD, 0).start, WallTime(HOUR_MS as i64), "{hours:?}");
}

#[test]
fn the_segment_that_is_being_written_when_the_clock_comes_gets_its_time_too() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    let start = SegmentStart {
        wall: WallTime(5),
        clock: ClockTrust::Untrusted,
        up_ms: 5,
        ..Bench::start()
    };
    bench.send(Command::Open { camera: YARD, start });
    bench.append(YARD);
    let wall = WallTime(BOOTED + 30_000);
    bench.send(Command::Clock { wall, clock: ClockTrust::Trusted, up_ms: 30_000 });
    let entry = bench.entry(YARD, 0);
    assert_eq!((entry.start, entry.clock_trusted), (WallTime(BOOTED + 5), true));
    assert_eq!(entry.state, SegmentState::Recording);
    bench.append(YARD);
    bench.send(Command::Close { camera: YARD });
    assert_eq!(bench.entry(YARD, 0).start, WallTime(BOOTED + 5));
}

#[test]
fn the_cause_of_a_gap_is_known_after_a_restart() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for cause in Cause::ALL {
        let start = SegmentStart { cause, ..Bench::start() };
        bench.send(Command::Open { camera: YARD, start });
        bench.append(YARD);
        bench.send(Command::Close { camera: YARD });
    }
    let causes = |bench: &Bench| (0..6).map(|nr| bench.entry(YARD, nr).cause()).collect::<Vec<_>>();
    assert_eq!(causes(&bench), Cause::ALL);
    let mut bench = bench.boot_again();
    bench.pass(60 * SECOND);
    assert_eq!(causes(&bench), Cause::ALL);
}
