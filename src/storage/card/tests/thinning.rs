//! Old recordings are reduced to their key frames.

use super::*;
use crate::{
    mp4::identity::{Identity, SegmentMarks},
    storage::{
        disk::Disk as _,
        marks::{Course, Mark, Word},
    },
};
use std::collections::BTreeMap;

const DAY: i64 = 24 * 60 * 60;

fn at(seconds: i64) -> WallTime {
    WallTime(NOON.0 + 1000 * seconds)
}

/// Begins a recording so many seconds after noon, with some fragments of which the first has a key
/// frame.
fn record_at(bench: &mut Bench, seconds: i64, fragments: u32, bytes: u32) -> u32 {
    let start = SegmentStart { wall: at(seconds), ..Bench::start() };
    bench.appended[YARD.0] = 0;
    bench.send(Command::Open { camera: YARD, start });
    for nth in 0..fragments {
        let bytes = if nth == 0 { 5_000 } else { bytes };
        assert_eq!(appended(&bench.append_bytes(YARD, bytes)), Ok(()));
    }
    bench.send(Command::Close { camera: YARD });
    *bench.numbers(YARD).last().unwrap()
}

fn thin_after(bench: &mut Bench, days: u32) {
    bench.settings.thin_after_days = days;
    bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
}

/// One recording a day, the last one today, of which those of more than two days are to be thinned.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for day in 0..5 {
        record_at(&mut bench, day * DAY, 4, 20_000);
    }
    bench.send(Command::Clock {
        wall: at(4 * DAY - 3600),
        clock: ClockTrust::Trusted,
        up_ms: 5000,
    });
    thin_after(&mut bench, 2);
    bench
}

fn files(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let names = bench.names("").into_iter().filter(|name| name.ends_with(".mp4"));
    names.map(|name| (name.clone(), fs::read(bench.path(&name)).unwrap())).collect()
}

fn is_thinned(bench: &Bench, number: u32) -> bool {
    marks(bench, number).has(SegmentMarks::THINNED)
}

fn marks(bench: &Bench, number: u32) -> SegmentMarks {
    let list = bench.catalog.lock().unwrap();
    let [entry] = list.folder(YARD).unwrap().of_number(number) else { panic!("{number} twice") };
    entry.marks()
}

#[test]
fn recordings_of_more_than_so_many_days_keep_their_key_frames_begin_and_length() {
    let mut bench = bench();
    let before = bench.scan("000.mp4");
    let events = bench.pass(60 * SECOND);
    let thinned = events.iter().filter(|it| matches!(it, Event::Thinned { .. })).count();
    assert_eq!(thinned, 2, "{events:?}");
    assert_eq!(bench.numbers(YARD), [0, 1, 2, 3, 4]);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|number| is_thinned(&bench, number)),
        [true, true, false, false, false]
    );
    assert_eq!(
        files(&bench).into_keys().collect::<Vec<_>>(),
        ["0000.mp4", "0001.mp4", "002.mp4", "003.mp4", "004.mp4"]
    );
    let after = bench.scan("0000.mp4");
    assert!(after.is_whole());
    assert_eq!(after.duration, before.duration);
    let (before, after) = (before.head.unwrap(), after.head.unwrap());
    assert_eq!(after.duration, before.duration);
    assert_eq!(after.video, before.video, "codec and picture are those of the recording");
    let marks = SegmentMarks::THINNED;
    assert_eq!(after.identity, before.identity.map(|it| Identity { marks, ..it }));
    let entry =
        bench.catalog.lock().unwrap().find("yard", Asked::Number(0)).map(|it| *it.1).unwrap();
    assert!(entry.bytes < 12_000, "{entry:?}");
    assert_eq!((entry.start, entry.state, entry.address()), (at(0), SegmentState::Whole, Some(0)));
}

#[test]
fn the_bytes_of_the_key_frames_are_those_of_the_recording() {
    let mut bench = bench();
    let before = fs::read(bench.path("000.mp4")).unwrap();
    bench.pass(60 * SECOND);
    let after = fs::read(bench.path("0000.mp4")).unwrap();
    let media = |file: &[u8]| {
        let at = file.windows(4).position(|kind| kind == b"mdat").unwrap() + 4;
        file[at..at + 5_000].to_vec()
    };
    assert_eq!(media(&after), media(&before));
    assert_eq!(after.windows(4).filter(|kind| kind == b"mdat").count(), 1);
}

#[test]
fn a_power_cut_at_any_call_loses_no_recording_and_doubles_none() {
    let mut cut = 0;
    loop {
        let mut bench = bench();
        let before = files(&bench);
        bench.pass(SECOND / 2); // the configuration is taken up
        bench.disk.fail("", EIO, cut, ALWAYS);
        bench.pass(60 * SECOND);
        let mut bench = bench.boot_again();
        bench.settings.thin_after_days = 0;
        bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
        bench.pass(20 * SECOND);
        assert_eq!(bench.numbers(YARD), [0, 1, 2, 3, 4], "cut at call {cut}");
        let mut after = files(&bench);
        after.retain(|_, bytes| !bytes.is_empty()); // a name without a byte is no recording
        assert_eq!(after.len(), 5, "cut at call {cut}: {:?}", after.keys());
        for (name, bytes) in &after {
            let number = name.trim_end_matches(".mp4").parse().unwrap();
            if is_thinned(&bench, number) {
                assert!(bench.scan(name).is_whole(), "cut at call {cut}");
                assert!(!marks(&bench, number).has(SegmentMarks::COPY), "cut at call {cut}");
                let head = bench.scan(name).head.unwrap();
                assert!(!head.identity.unwrap().marks.has(SegmentMarks::COPY), "cut at call {cut}");
            } else {
                assert!(Some(bytes) == before.get(name), "cut at call {cut}: {name} differs");
            }
        }
        if is_thinned(&bench, 1) {
            break;
        }
        // Afterwards it is done all the same.
        bench.send(Command::Clock {
            wall: at(4 * DAY - 3600),
            clock: ClockTrust::Trusted,
            up_ms: 5000,
        });
        thin_after(&mut bench, 2);
        bench.pass(120 * SECOND);
        assert!(is_thinned(&bench, 0) && is_thinned(&bench, 1), "cut at call {cut}");
        cut += 1;
    }
    assert!(cut > 40, "{cut} calls were cut");
}

#[test]
fn a_copy_whose_head_reached_the_card_in_part_is_no_second_recording() {
    let mut bench = bench();
    let before = files(&bench);
    for sectors in 1..4 {
        let mut torn = vec![0xa5; 9_000];
        torn[..512 * sectors].copy_from_slice(&before["000.mp4"][..512 * sectors]);
        bench.put("0000.mp4", &torn);
        bench = bench.boot_again();
        bench.pass(20 * SECOND);
        assert_eq!(bench.numbers(YARD), [0, 1, 2, 3, 4], "{sectors} sectors");
        assert!(files(&bench) == before, "{sectors} sectors");
    }
}

#[test]
fn a_copy_whose_name_is_taken_gets_a_longer_one() {
    let mut bench = bench();
    bench.put("0000.mp4", &[0xa5; 9_000]); // without its first sector it is foreign
    bench.pass(60 * SECOND);
    assert!(is_thinned(&bench, 0) && bench.has("00000.mp4"), "{:?}", files(&bench).keys());
    assert_eq!(fs::read(bench.path("0000.mp4")).unwrap(), [0xa5; 9_000]);
}

#[test]
fn events_are_protected_before_any_head_was_read() {
    let mut bench = bench();
    bench.settings.event_days = 20;
    bench.card.mark(YARD, name(0), bench.now, |marks| marks.with(SegmentMarks::EVENT)).unwrap();
    let mut bench = bench.boot_again();
    bench.card.tick(bench.now); // one readdir a folder, one head
    bench.disk.set_total(1);
    bench.card.ask_space().unwrap();
    assert_eq!(deleted(&bench.open(YARD)), [1, 2, 3, 4, 0].map(|number| (0, number)));
}

#[test]
fn the_copy_is_durable_before_its_original_goes() {
    let mut bench = bench();
    bench.disk.log();
    bench.pass(20 * SECOND);
    let log = bench.disk.log();
    let place =
        |line: &str| log.iter().position(|it| it == line).unwrap_or_else(|| panic!("{log:?}"));
    let removed = place("remove 000.mp4");
    let last = |call: &str| log[..removed].iter().rposition(|it| it.starts_with(call)).unwrap();
    assert!(last("write 0000.mp4") < last("sync 0000.mp4"), "{log:?}");
    assert!(last("create 0000.mp4") < last("allocate 0000.mp4"), "{log:?}");
    assert!(place("remove 000.mp4") < log.iter().rposition(|it| it == "write 0000.mp4").unwrap());
}

#[test]
fn kept_held_and_undated_recordings_stay_to_the_byte() {
    let mut bench = bench();
    let mark = |bench: &Bench, number, change: &dyn Fn(&mut crate::storage::catalog::Entry)| {
        let mut list = bench.catalog.lock().unwrap();
        change(list.folder_mut(YARD).unwrap().get_mut(name(number)).unwrap());
    };
    // The list does not know that it is kept: the file does.
    bench.card.mark(YARD, name(0), bench.now, |marks| marks.with(SegmentMarks::KEPT)).unwrap();
    mark(&bench, 0, &|entry| entry.set_marks(SegmentMarks::NONE));
    mark(&bench, 1, &|entry| entry.hold(1));
    let before = files(&bench);
    bench.pass(120 * SECOND);
    assert!(files(&bench) == before);
    mark(&bench, 1, &|entry| {
        entry.hold(-1);
        entry.clock_trusted = false;
    });
    bench.pass(120 * SECOND);
    assert!(files(&bench) == before);
}

#[test]
fn a_clock_that_is_not_trusted_or_jumps_ahead_thins_nothing() {
    let mut bench = bench();
    let before = files(&bench);
    bench.send(Command::Clock {
        wall: at(4 * DAY - 3600),
        clock: ClockTrust::Untrusted,
        up_ms: 5000,
    });
    bench.pass(120 * SECOND);
    assert!(files(&bench) == before);
    bench.send(Command::Clock { wall: at(4000 * DAY), clock: ClockTrust::Trusted, up_ms: 5000 });
    bench.pass(120 * SECOND);
    // Two days were recorded after these, whatever the clock says.
    assert!(is_thinned(&bench, 0) && is_thinned(&bench, 1));
    for name in ["002.mp4", "003.mp4", "004.mp4"] {
        assert!(files(&bench).get(name) == before.get(name), "{name}");
    }
}

#[test]
fn a_recording_that_gains_little_is_looked_at_once_also_after_a_boot() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for day in 0..5 {
        record_at(&mut bench, day * DAY, 1, 0);
    }
    bench.send(Command::Clock {
        wall: at(4 * DAY - 3600),
        clock: ClockTrust::Trusted,
        up_ms: 5000,
    });
    thin_after(&mut bench, 2);
    bench.pass(120 * SECOND);
    assert!(marks(&bench, 0).has(SegmentMarks::LEAN) && !is_thinned(&bench, 0));
    let mut bench = bench.boot_again();
    bench.send(Command::Clock {
        wall: at(4 * DAY - 3600),
        clock: ClockTrust::Trusted,
        up_ms: 5000,
    });
    bench.pass(30 * SECOND);
    bench.disk.log();
    bench.pass(120 * SECOND);
    let log = bench.disk.log();
    assert!(!log.iter().any(|line| line.starts_with("open ")), "{log:?}");
}

#[test]
fn recording_comes_before_thinning_and_a_late_card_gets_a_rest() {
    let mut bench = bench();
    bench.pass(2 * SECOND);
    bench.disk.log();
    // The card took 3 s for something else.
    bench.now += 3 * SECOND;
    bench.pass(29 * SECOND);
    let log = bench.disk.log();
    assert!(!log.iter().any(|line| line.contains("000.mp4")), "{log:?}");
    bench.pass(30 * SECOND);
    assert!(is_thinned(&bench, 0));
}

#[test]
fn for_the_room_of_a_copy_nothing_goes() {
    let mut bench = bench();
    bench.disk.set_total(0);
    let before = files(&bench);
    bench.disk.fail("remove", EIO, 0, ALWAYS); // retention would
    bench.pass(2 * SECOND);
    assert!(files(&bench) == before);
}

#[test]
fn a_recording_that_is_deleted_while_it_is_thinned_leaves_no_copy() {
    let mut bench = bench();
    while !bench.has("0000.mp4") {
        bench.pass(SECOND / 10);
    }
    bench.send(Command::Delete { camera: YARD, name: name(0) });
    assert!(!bench.has("0000.mp4") && !bench.has("000.mp4"));
    while !bench.has("0001.mp4") {
        bench.pass(SECOND / 10);
    }
    bench.send(Command::Release);
    assert!(!bench.has("0001.mp4") && bench.has("001.mp4"));
}

/// Records four times a day until the card has been full for long; days that the recordings go
/// back.
fn days_on_a_card_of_four(thin_after_days: u32) -> i64 {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    record_at(&mut bench, 0, 13, 20_000);
    let segment = files(&bench)["000.mp4"].len() as u64;
    bench.disk.set_total(u64::MAX);
    let space = bench.disk.space(&bench.disk.root()).unwrap();
    bench.disk.set_total(space.total - space.free + segment * (4 * 4 + 2));
    thin_after(&mut bench, thin_after_days);
    let last = 45 * 4;
    for quarter in 1..=last {
        record_at(&mut bench, quarter * DAY / 4, 13, 20_000);
        bench.now += SECOND;
        bench.pass(130 * SECOND);
    }
    let list = bench.catalog.lock().unwrap();
    let entries = list.folder(YARD).unwrap().entries();
    let oldest = entries.iter().map(|entry| entry.start.0).min().unwrap();
    assert!(entries.windows(2).all(|pair| pair[1].start.0 - pair[0].start.0 == DAY * 1000 / 4));
    (at(last * DAY / 4).0 - oldest) / (1000 * DAY)
}

#[test]
fn a_card_of_four_days_holds_thirty_when_it_is_thinned() {
    let thick = days_on_a_card_of_four(0);
    assert!((3..=4).contains(&thick), "{thick} days");
    let thinned = days_on_a_card_of_four(2);
    assert!(thinned >= 30, "{thinned} days");
}

/// On a card of so many recordings, four a day for 45 days, of which something happens in every
/// eighth: the ages in days of the oldest in which something happened, and of the oldest other one.
fn oldest_of_each(event_days: u32) -> [i64; 2] {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    record_at(&mut bench, 0, 13, 20_000);
    let segment = files(&bench)["000.mp4"].len() as u64;
    bench.disk.set_total(u64::MAX);
    let space = bench.disk.space(&bench.disk.root()).unwrap();
    bench.disk.set_total(space.total - space.free + segment * (4 * 8 + 2) + 64 * 1024);
    bench.settings.event_days = event_days;
    bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
    let last = 45 * 4;
    for quarter in 1..=last {
        let seconds = quarter * DAY / 4;
        record_at(&mut bench, seconds, 13, 20_000);
        if quarter % 8 == 0 {
            let (source, kind) = (Word::new("script").unwrap(), Word::new("motion").unwrap());
            let wall = at(seconds + 1);
            let begin =
                SegmentTime { boot: [0; 16], up_ms: None, wall, clock: ClockTrust::Trusted };
            let (camera, words, course) = ("yard".into(), String::new(), Course::Over);
            let mark = Mark { camera, source, kind, words, begin, length_ms: 0, course };
            bench.send(Command::Mark { camera: YARD, mark: Box::new(mark) });
        }
        bench.now += SECOND;
        bench.pass(130 * SECOND);
    }
    let list = bench.catalog.lock().unwrap();
    let entries = list.folder(YARD).unwrap().entries();
    [true, false].map(|is_event| {
        let of_kind = entries.iter().filter(|it| it.marks().has(SegmentMarks::EVENT) == is_event);
        let oldest = of_kind.map(|entry| entry.start.0).min().unwrap();
        (at(last * DAY / 4).0 - oldest) / (1000 * DAY)
    })
}

#[test]
fn events_stay_for_event_days_within_their_share_of_the_card() {
    let [event, other] = oldest_of_each(0);
    assert!((6..=8).contains(&event) && (6..=8).contains(&other), "{event} {other}");
    let [event, other] = oldest_of_each(20);
    assert!((18..=20).contains(&event), "{event} days");
    assert!((5..=7).contains(&other), "{other} days: what happened takes ten of thirty-two");
    let [event, other] = oldest_of_each(200);
    assert!((28..=36).contains(&event), "{event} days: half of the card");
    assert!((3..=5).contains(&other), "{other} days");
}

#[test]
fn events_are_protected_before_the_clock_is_right_too() {
    let mut bench = bench();
    bench.settings.event_days = 20;
    bench.card.mark(YARD, name(0), bench.now, |marks| marks.with(SegmentMarks::EVENT)).unwrap();
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    bench.send(Command::Clock { wall: WallTime(0), clock: ClockTrust::Untrusted, up_ms: 0 });
    bench.pass(5 * SECOND);
    bench.disk.set_total(1);
    bench.card.ask_space().unwrap();
    assert_eq!(deleted(&bench.open(YARD)), [1, 2, 3, 4, 0].map(|number| (0, number)));
}
