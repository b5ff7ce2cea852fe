//! The index: what is listed is what the files say, whatever becomes of it; and a start reads few
//! of them.

mod wrong;

use super::*;
use crate::storage::{
    catalog::Entry,
    index::{IndexLog, IndexRow, RECORD_BYTES},
    layout::INDEX,
};

/// A card with so many recordings of one camera, at its end; each is a little longer than the one
/// before.
fn recorded(count: u32) -> Bench {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for nth in 0..count {
        bench.opened(YARD);
        bench.append_bytes(YARD, 1000 + nth);
        bench.send(Command::Close { camera: YARD });
        bench.pass(SECOND);
    }
    bench
}

/// Boots, begins to record, and lets so much time go by.
fn started(bench: Bench, time: Duration) -> (Bench, Vec<Event>) {
    let mut bench = bench.boot_again();
    bench.disk.log();
    bench.pass(Duration::ZERO);
    bench.opened(GATE);
    let mut events = bench.append(GATE);
    events.extend(bench.pass(time));
    (bench, events)
}

/// What people see of each recording of a folder.
fn listed(bench: &Bench, camera: CameraId) -> Vec<String> {
    let list = bench.catalog.lock().unwrap();
    let folder = list.folder(camera).unwrap();
    let seen = folder.entries().iter().map(|entry| {
        let Entry { name, state, bytes, start, duration_ms, codec, clock_trusted, .. } = *entry;
        let (camera, codecs) = (list.camera(folder, entry), list.codecs(entry));
        let (file, address) = (name.file_name(), entry.address());
        format!(
            "{file} {address:?} {camera} {state:?} {bytes} {start:?} {clock_trusted} {duration_ms} {codec:?} {codecs}"
        )
    });
    seen.collect()
}

fn index_of(bench: &Bench) -> Vec<u8> {
    fs::read(bench.path(INDEX)).unwrap()
}

/// Recordings of a folder that were opened since the last look.
fn opened_recordings(log: &[String]) -> usize {
    log.iter().filter(|line| line.starts_with("open") && line.ends_with(".mp4")).count()
}

const ALL: Duration = Duration::from_secs(300);

#[test]
fn a_start_reads_the_index_and_a_few_recordings() {
    let bench = recorded(100);
    let before = listed(&bench, YARD);
    let (bench, events) = started(bench, SECOND);
    assert!(bench.catalog.lock().unwrap().complete());
    assert_eq!(listed(&bench, YARD), before);
    let log = bench.disk.log();
    assert!((4..20).contains(&opened_recordings(&log)), "{log:?}");
    assert!(corrected(&events).is_empty(), "{events:?}");
}

#[test]
fn thirty_thousand_recordings_are_known_after_thirty_reads_of_the_index() {
    const COUNT: u32 = 30_000;
    let bench = recorded(1);
    let entry = bench.entry(YARD, 0);
    let (mut log, mut records) = (IndexLog::default(), Vec::new());
    for number in 0..COUNT {
        let list = bench.catalog.lock().unwrap();
        log.write(&IndexRow { name: name(number), ..list.row(&entry).unwrap() }, &mut records);
        let path = bench.path(&name(number).file_name());
        if number > 0 {
            fs::hard_link(bench.path("000.mp4"), path).unwrap();
        }
    }
    bench.put(INDEX, &records);
    let mut bench = bench.boot_again();
    bench.pass(Duration::ZERO);
    bench.opened(GATE);
    bench.disk.log();
    let reads = bench.disk.reads();
    bench.append(GATE);
    bench.pass(SECOND);
    assert!(bench.catalog.lock().unwrap().complete());
    assert_eq!(bench.entry(YARD, 17_000).bytes, entry.bytes);
    // 30 pieces, and 17 heads of two reads each.
    assert!(bench.disk.reads() - reads < 80, "{} reads", bench.disk.reads() - reads);
    assert!(opened_recordings(&bench.disk.log()) < 20);
    let list = bench.catalog.lock().unwrap();
    assert!(size_of_val(list.folder(YARD).unwrap().entries()) < 1_000_000);
}

#[test]
fn the_index_is_not_read_before_recording_has_begun_or_will_not_begin() {
    let mut bench = recorded(3).boot_again();
    bench.disk.log();
    bench.pass(SECOND);
    let is_read = |log: Vec<String>| log.iter().any(|line| line.ends_with(INDEX));
    assert!(!is_read(bench.disk.log()));
    bench.opened(YARD);
    assert!(!is_read(bench.disk.log()));
    bench.append(YARD);
    bench.pass(Duration::ZERO);
    assert!(is_read(bench.disk.log()));
    let mut bench = bench.boot_again();
    bench.pass(4 * SECOND);
    assert!(!is_read(bench.disk.log()));
    bench.pass(2 * SECOND);
    assert!(is_read(bench.disk.log()), "nobody records");
}

#[test]
fn a_segment_costs_one_write_more_and_nothing_is_synced_for_it() {
    let mut bench = recorded(4);
    bench.opened(YARD);
    bench.append(YARD);
    bench.disk.log();
    bench.send(Command::Close { camera: YARD });
    let log = bench.disk.log();
    let of_index: Vec<_> = log.iter().filter(|line| line.ends_with(INDEX)).collect();
    assert_eq!(of_index, ["write 000.idx"]);
    assert!(!log.iter().any(|line| line.starts_with("sync_directory")), "{log:?}");
}

#[test]
fn room_for_the_index_is_on_the_card_before_a_byte_is_written_beyond_it() {
    let bench = Bench::new();
    bench.disk.set_file_system(FileSystem::Fat);
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    bench.disk.log();
    let (mut bytes, mut grown) = (0, 0);
    for _ in 0..60 {
        bench.record(YARD, 1);
        bench.pass(SECOND);
        let log = bench.disk.log();
        let length = fs::metadata(bench.path(INDEX)).map_or(0, |it| it.len());
        let first = log.iter().position(|line| line == "write 000.idx");
        if length > bytes {
            let before = &log[..first.unwrap()];
            let rest: Vec<_> = before.iter().rev().take(2).rev().collect();
            assert_eq!(rest, ["allocate 000.idx", "sync_directory recordings"]);
            if bytes == 0 {
                let created = before.iter().position(|line| line == "create 000.idx").unwrap();
                assert_eq!(before[created + 1], "sync_directory recordings");
            }
            (bytes, grown) = (length, grown + 1);
        } else {
            assert!(!log.iter().any(|line| line == "allocate 000.idx"), "{log:?}");
        }
    }
    assert!((3..10).contains(&grown), "grown {grown} times");
}

fn corrected(events: &[Event]) -> Vec<(u32, Option<SegmentState>)> {
    let corrected = events.iter().filter_map(|event| match event {
        Event::Corrected { file, state } => Some((file.number, *state)),
        _ => None,
    });
    corrected.collect()
}

#[test]
fn at_leisure_every_recording_is_looked_at() {
    let bench = recorded(40);
    let other = recorded(41);
    fs::copy(other.path("040.mp4"), bench.path("011.mp4")).unwrap();
    let (bench, events) = started(bench, ALL);
    assert_eq!(corrected(&events), [(11, Some(SegmentState::Whole))]);
    let log = bench.disk.log();
    for number in 0..40 {
        let line = format!("open {:03}.mp4", number);
        assert_eq!(log.iter().filter(|it| **it == line).count(), 1, "{line}");
    }
}

#[test]
fn a_recording_that_is_old_only_by_the_index_is_checked_before_its_deletion() {
    const DAY: i64 = 24 * 3600 * 1000;
    let bench = recorded(40);
    let entry = bench.entry(YARD, 0);
    let (mut log, mut records) = (IndexLog::default(), Vec::new());
    for number in 0..40 {
        let list = bench.catalog.lock().unwrap();
        let start = WallTime(NOON.0 - i64::from(40 - number) * DAY);
        let row = IndexRow { name: name(number), start, ..list.row(&entry).unwrap() };
        log.write(&row, &mut records);
    }
    bench.put(INDEX, &records);
    let mut bench = bench;
    bench.settings.keep_days = 3;
    let (bench, _) = started(bench, ALL);
    assert_eq!(bench.numbers(YARD).len(), 40, "all of them are of this noon");
}

#[test]
fn an_index_that_is_mostly_of_what_is_gone_begins_again_at_its_front() {
    let mut bench = recorded(5);
    let mut sizes = Vec::new();
    for number in 5..400 {
        assert_eq!(bench.record(YARD, 1), number);
        bench.send(Command::Delete { camera: YARD, name: name(number - 5) });
        bench.pass(SECOND);
        sizes.push(index_of(&bench).len());
    }
    assert!(sizes.iter().all(|&size| size <= 200 * RECORD_BYTES), "{sizes:?}");
    let truth = listed(&bench, YARD);
    let (bench, _) = started(bench, SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    let list = bench.catalog.lock().unwrap();
    assert!(list.folder(YARD).unwrap().entries().iter().all(Entry::is_indexed));
}

#[test]
fn a_power_cut_while_it_begins_again_loses_nothing() {
    let mut bench = recorded(40);
    for number in 0..38 {
        bench.send(Command::Delete { camera: YARD, name: name(number) });
    }
    let mut number = 39;
    let mut torn = Vec::new();
    let mut before = index_of(&bench);
    while torn.is_empty() {
        number += 1;
        bench.record(YARD, 1);
        bench.send(Command::Delete { camera: YARD, name: name(number - 2) });
        bench.pass(SECOND);
        let after = index_of(&bench);
        if after[..512] != before[..512] {
            // Each sector of it may have reached the card, or not.
            let sectors = before.len().min(after.len()) / 512;
            torn = (0..1_usize << sectors.min(6))
                .map(|chosen| {
                    let mut torn = before.clone();
                    for at in (0..sectors).filter(|at| chosen >> at.min(&5) & 1 == 1) {
                        let sector = at * 512..at * 512 + 512;
                        torn[sector.clone()].copy_from_slice(&after[sector]);
                    }
                    torn
                })
                .collect();
        }
        before = after;
    }
    let truth = listed(&bench, YARD);
    for torn in torn {
        bench.put(INDEX, &torn);
        (bench, _) = started(bench, ALL);
        assert_eq!(listed(&bench, YARD), truth);
    }
}

#[test]
fn on_a_card_that_is_mounted_read_only_the_index_is_read_and_left_as_it_is() {
    let bench = recorded(30);
    let (truth, index) = (listed(&bench, YARD), index_of(&bench));
    let old = [&index[..512], &[0; 512][..]].concat();
    bench.put(INDEX, &old);
    bench.disk.set_mount(Mount::ReadOnly);
    let mut bench = bench.boot_again();
    bench.pass(10 * SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    assert_eq!(index_of(&bench), old);
}

#[test]
fn recordings_of_the_old_system_and_of_former_cameras_are_in_the_index_of_their_folder() {
    let bench = Bench::new();
    for number in 0..30 {
        bench.put(&format!("{number:03}.mp4"), &old_recording());
        bench.put(&format!("porch/{number:03}.mp4"), &old_recording());
    }
    bench.put("porch/029.top", b"");
    let mut bench = bench.boot_again();
    bench.pass(3 * SECOND);
    bench.record(YARD, 1);
    bench.pass(5 * SECOND);
    let truth = listed(&bench, YARD);
    assert!(bench.has("porch/000.idx"));
    let (bench, events) = started(bench, SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    let opened = opened_recordings(&bench.disk.log());
    assert!(opened < 45, "{opened} of 61");
    assert!(corrected(&events).is_empty(), "{events:?}");
}

#[test]
fn a_card_that_is_let_go_of_has_no_index_open() {
    let mut bench = recorded(3);
    bench.send(Command::Release);
    fs::remove_file(bench.path(INDEX)).unwrap();
    bench.send(Command::Resume);
    bench.record(YARD, 1);
    bench.pass(10 * SECOND);
    assert!(bench.has(INDEX), "another one is made");
}

/// A segment of that time since the boot, by a clock that begins in 1970 or is right.
fn dated(bench: &mut Bench, minutes: u64, clock: ClockTrust) -> Vec<Event> {
    let up_ms = minutes * 60_000;
    let wall = match clock {
        ClockTrust::Trusted => WallTime(NOON.0 + up_ms as i64),
        ClockTrust::Untrusted => WallTime(up_ms as i64),
    };
    let start = SegmentStart { wall, clock, up_ms, ..Bench::start() };
    bench.appended[YARD.0] = 0;
    bench.send(Command::Open { camera: YARD, start });
    bench.append_bytes(YARD, 1000 + minutes as u32);
    bench.send(Command::Close { camera: YARD });
    bench.pass(SECOND)
}

#[test]
fn times_that_were_put_right_afterwards_stay_so() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for minutes in 0..30 {
        dated(&mut bench, minutes, ClockTrust::Untrusted);
    }
    dated(&mut bench, 30, ClockTrust::Trusted);
    let truth = listed(&bench, YARD);
    assert!(truth.iter().all(|line| line.contains("true") && !line.contains("WallTime(0)")));
    // The one that the true times came from goes; the index alone has them now.
    bench.send(Command::Delete { camera: YARD, name: name(30) });
    let truth = &truth[..30];
    bench.settings.boot = [9; 16];
    let (bench, _) = started(bench, SECOND);
    assert_eq!(listed(&bench, YARD), truth);
    let (bench, events) = started(bench, ALL);
    assert_eq!(listed(&bench, YARD), truth, "now that every file was read");
    assert!(corrected(&events).is_empty(), "{events:?}");
    let (bench, _) = started(bench, ALL);
    assert_eq!(listed(&bench, YARD), truth);
}

#[test]
fn kept_recordings_are_kept_by_the_index_too() {
    let mut bench = recorded(30);
    let wish = crate::storage::SpanWish {
        id: 1,
        camera: "yard".into(),
        from: NOON,
        to: WallTime(NOON.0 + 1),
        action: crate::storage::SpanAction::Keep,
    };
    bench.send(Command::Span(wish));
    bench.pass(5 * SECOND);
    let kept = |bench: &Bench| {
        let list = bench.catalog.lock().unwrap();
        let entries = list.folder(YARD).unwrap().entries().iter();
        entries.filter(|it| it.marks().has(crate::mp4::identity::SegmentMarks::KEPT)).count()
    };
    assert_eq!(kept(&bench), 30);
    let (bench, events) = started(bench, ALL);
    assert_eq!(kept(&bench), 30);
    assert!(corrected(&events).is_empty(), "{events:?}");
}
