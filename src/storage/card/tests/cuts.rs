//! Power cuts at any call, after which any part of what was not synced is on the card, in any
//! order.

use super::*;
use crate::{
    mp4::identity::SegmentMarks,
    storage::{
        SpanAction, SpanWish,
        marks::{self, Course, Line, Mark, Word},
    },
};
use std::collections::BTreeMap;

const DAY: i64 = 24 * 60 * 60;

fn at(seconds: i64) -> WallTime {
    WallTime(NOON.0 + 1000 * seconds)
}

/// What the card said before the power was cut.
#[derive(Default)]
struct Said {
    /// The second is.
    kept: bool,
    deleted: Vec<u32>,
    /// Frames of the recording begun last that are durable.
    durable: u64,
    /// The mark has been on the card for longer than `sync_seconds`.
    is_marked: bool,
    is_done: bool,
}

/// One recording a day, the last today; what is older than two days is to be thinned.
fn bench(file_system: FileSystem) -> Bench {
    let mut bench = Bench::new();
    bench.disk.set_file_system(file_system);
    bench.pass(SECOND);
    for day in 0..6 {
        begin(&mut bench, day * DAY);
        for nth in 0..4 {
            bench.append_bytes(YARD, if nth == 0 { 5_000 } else { 20_000 });
        }
        bench.send(Command::Close { camera: YARD });
    }
    bench.pass(5 * SECOND);
    bench.disk.watch_syncs();
    bench
}

fn begin(bench: &mut Bench, seconds: i64) -> Vec<Event> {
    let up_ms = 5000 + 1000 * seconds.cast_unsigned();
    let start = SegmentStart { wall: at(seconds), up_ms, ..Bench::start() };
    bench.appended[YARD.0] = 0;
    bench.send(Command::Open { camera: YARD, start })
}

fn mark() -> Mark {
    let (source, kind) = (Word::new("script").unwrap(), Word::new("motion").unwrap());
    let begin =
        SegmentTime { boot: [7; 16], up_ms: None, wall: at(4 * DAY), clock: ClockTrust::Trusted };
    let (camera, words, course) = ("yard".into(), String::new(), Course::Over);
    Mark { camera, source, kind, words, begin, length_ms: 0, course }
}

/// Records, keeps the second, marks the fifth, deletes the third, and has the first and the fourth
/// thinned.
fn work(bench: &mut Bench) -> Said {
    let (mut said, first) = (Said::default(), bench.frames);
    let mut events = begin(bench, 5 * DAY + 60);
    events.extend(bench.append(YARD));
    bench.settings.thin_after_days = 2;
    bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
    let (id, camera, action) = (1, "yard".into(), SpanAction::Keep);
    let (from, to) = (at(DAY), at(DAY + 1));
    events.extend(bench.send(Command::Span(SpanWish { id, camera, from, to, action })));
    events.extend(bench.pass(SECOND));
    events.extend(bench.append(YARD));
    events.extend(bench.send(Command::Delete { camera: YARD, name: name(2) }));
    events.extend(bench.send(Command::Mark { camera: YARD, mark: Box::new(mark()) }));
    events.extend(bench.pass(10 * SECOND));
    said.is_marked = !bench.disk.is_out_of_changes();
    events.extend(bench.pass(20 * SECOND));
    events.extend(bench.append(YARD));
    events.extend(bench.send(Command::Close { camera: YARD }));
    events.extend(bench.pass(20 * SECOND));
    said.is_done = !bench.disk.is_out_of_changes();
    for event in events {
        match event {
            Event::SpanDone { result, .. } => said.kept = result.is_ok_and(|it| it.segments == 1),
            Event::Deleted { file, .. } => said.deleted.push(file.number),
            Event::Durable { frames_end, .. } => said.durable = frames_end - first,
            _ => {}
        }
    }
    said
}

fn files(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let names = bench.names("").into_iter().filter(|name| name.ends_with(".mp4"));
    let files = names.map(|name| (name.clone(), fs::read(bench.path(&name)).unwrap()));
    // Without its first sector, a recording of which nothing was synced yet is foreign.
    files.filter(|(_, bytes)| layout::begins_with_ftyp(bytes)).collect()
}

fn marks_of(bench: &Bench, number: u32) -> SegmentMarks {
    let list = bench.catalog.lock().unwrap();
    let [entry] = list.folder(YARD).unwrap().of_number(number) else { panic!("{number} twice") };
    entry.marks()
}

/// Without the byte that keeping changes.
fn but_for_flags(bench: &Bench, file: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[bench.scan(file).head.unwrap().flags_at.unwrap() as usize] = 0;
    bytes
}

fn check(bench: &Bench, before: &BTreeMap<String, Vec<u8>>, said: &Said) {
    let after = files(bench);
    let mut numbers = bench.numbers(YARD);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    if !said.deleted.contains(&2) && !numbers.contains(&2) {
        numbers.insert(2, 2); // it was about to go
    }
    assert!(
        !(said.deleted.contains(&2) && after.contains_key("002.mp4")),
        "what was deleted is back"
    );
    for number in 0..6 {
        assert!(numbers.contains(&number) || number == 2, "{number} is lost: {numbers:?}");
    }
    assert_eq!(after.len(), bench.numbers(YARD).len(), "{:?}", after.keys());
    for (file, bytes) in &after {
        let number: u32 = file.trim_end_matches(".mp4").parse().unwrap();
        if number == 6 && said.durable == 0 {
            continue;
        }
        let scan = bench.scan(file);
        assert!(scan.is_whole(), "{file}");
        let flags = scan.head.as_ref().unwrap().identity.as_ref().unwrap().marks;
        assert_eq!(flags, marks_of(bench, number), "{file}: the list and the file");
        assert!(!flags.has(SegmentMarks::COPY), "{file}");
        if number == 6 {
            assert!(
                u64::from(scan.fragments) * 2 >= said.durable,
                "{} of {}",
                scan.fragments,
                said.durable
            );
        } else if flags.has(SegmentMarks::THINNED) {
            assert_eq!((file.len(), scan.fragments), (8, 1), "{file}");
            assert!([0, 3].contains(&number), "{file} is kept, marked or young");
        } else {
            let was = before[file].clone();
            assert!(
                but_for_flags(bench, file, bytes.clone()) == but_for_flags(bench, file, was),
                "{file}"
            );
        }
    }
    assert!(!said.kept || marks_of(bench, 1).has(SegmentMarks::KEPT), "it was said to be kept");
    if said.is_marked {
        assert!(marks_of(bench, 4).has(SegmentMarks::EVENT), "something happened in it");
        assert_eq!(noted(bench), 1);
    }
}

fn noted(bench: &Bench) -> usize {
    let names = bench.names(".").into_iter().filter(|name| name.starts_with("marks-"));
    let lines = names
        .flat_map(|name| marks::lines(&fs::read(bench.path(&name)).unwrap()).collect::<Vec<_>>());
    lines.filter(|line| matches!(line, Line::Mark(_))).count()
}

/// Once at each call; with `SMOLNVR_SOAK=1` (`make soak`) 20 times.
fn cut_everywhere(file_system: FileSystem) {
    let seeds = if std::env::var_os("SMOLNVR_SOAK").is_some() { 20 } else { 1 };
    for cut in 0.. {
        let mut is_done = false;
        for seed in 0..seeds {
            let mut bench = bench(file_system);
            let before = files(&bench);
            bench.disk.fail_changes_after(cut);
            let said = work(&mut bench);
            is_done = said.is_done;
            let mut bench = bench.cut_power(&mut Random::of(100 * cut as u64 + seed));
            bench.settings.thin_after_days = 0;
            bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
            bench.pass(60 * SECOND);
            check(&bench, &before, &said);
        }
        if is_done {
            assert!(cut > 40, "{cut} calls were cut");
            println!("cuts: {file_system:?}: {cut} calls, each cut {seeds} times");
            return;
        }
    }
}

#[test]
fn whatever_part_of_the_unsynced_writes_survives_no_recording_is_lost_doubled_or_changed() {
    cut_everywhere(FileSystem::Other);
}

#[test]
fn on_fat_as_well() {
    cut_everywhere(FileSystem::Fat);
}
