//! Keeping, releasing and deleting what lies between two moments.

use super::*;
use crate::{
    limits::SPAN_SEGMENTS_MAX,
    mp4::identity::SegmentMarks,
    storage::{DeleteError, SpanAction, SpanDone, SpanError, SpanWish},
};
use std::collections::BTreeMap;

/// Begins at `NOON` plus so many seconds.
fn record_at(bench: &mut Bench, camera: CameraId, seconds: i64) -> u32 {
    begin_at(bench, camera, seconds);
    let number = *bench.numbers(camera).last().unwrap();
    bench.send(Command::Close { camera });
    number
}

fn begin_at(bench: &mut Bench, camera: CameraId, seconds: i64) {
    let start = SegmentStart { wall: at(seconds), ..Bench::start() };
    bench.appended[camera.0] = 0;
    bench.send(Command::Open { camera, start });
    assert_eq!(appended(&bench.append(camera)), Ok(()));
}

fn at(seconds: i64) -> WallTime {
    WallTime(NOON.0 + 1000 * seconds)
}

/// Has something done to what the yard recorded between two seconds, and answers what was said of
/// it.
fn span(bench: &mut Bench, action: SpanAction, from: i64, to: i64) -> Result<SpanDone, SpanError> {
    let (from, to) = (at(from), at(to));
    let wish = SpanWish { id: 9, camera: "yard".into(), from, to, action };
    let mut events = bench.send(Command::Span(wish));
    while bench.card.span.is_some() {
        bench.card.tick(bench.now);
        events.extend(bench.events());
    }
    let mut results = events.into_iter().filter_map(|event| match event {
        Event::SpanDone { id: 9, result } => Some(result),
        _ => None,
    });
    let result = results.next().expect("a wish is answered");
    assert!(results.next().is_none(), "it is answered once");
    result
}

fn counts(result: Result<SpanDone, SpanError>) -> (u32, u32) {
    let done = result.unwrap();
    (done.segments, done.left)
}

fn is_kept(bench: &Bench, number: u32) -> bool {
    bench.entry(YARD, number).marks().has(SegmentMarks::KEPT)
}

/// Five recordings of the yard, 10 s apart, and one of the gate.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    for number in 0..5 {
        assert_eq!(record_at(&mut bench, YARD, 10 * i64::from(number)), number);
    }
    record_at(&mut bench, GATE, 0);
    bench
}

fn files(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let names = bench.names("").into_iter().filter(|name| name.ends_with(".mp4"));
    names.map(|name| (name.clone(), fs::read(bench.path(&name)).unwrap())).collect()
}

#[test]
fn a_kept_recording_outlives_every_reason_to_delete_it_and_the_next_boot() {
    let mut bench = bench();
    assert_eq!(counts(span(&mut bench, SpanAction::Keep, 10, 20)), (1, 0));
    let mut bench = bench.boot_again();
    bench.settings.keep_days = 1;
    bench.card.handle(Command::Configure(Box::new(bench.settings.clone())), bench.now);
    bench.pass(SECOND);
    assert!(is_kept(&bench, 1) && !is_kept(&bench, 0));
    // The card fills, and a month goes by in which each day something is recorded.
    for day in 1..30 {
        record_at(&mut bench, YARD, day * 86_400);
        bench.pass(61 * SECOND);
    }
    bench.disk.set_total(0);
    bench.open(YARD);
    bench.pass(61 * SECOND);
    let left: Vec<_> = files(&bench).into_keys().filter(|name| *name < "005".into()).collect();
    assert_eq!(left, ["001.mp4"]);
    let events = bench.send(Command::Delete { camera: YARD, name: name(1) });
    let refused = |it: &Event| matches!(it, Event::DeleteFailed { reason: DeleteError::Kept, .. });
    assert!(events.iter().any(refused), "{events:?}");
}

#[test]
fn a_list_that_does_not_know_of_the_mark_deletes_no_kept_recording() {
    let mut bench = bench();
    span(&mut bench, SpanAction::Keep, 0, 10).unwrap();
    bench.card.update(YARD, name(0), |entry| entry.set_marks(SegmentMarks::NONE));
    bench.disk.set_total(0);
    bench.open(YARD);
    bench.pass(SECOND);
    assert!(bench.has("000.mp4") && !bench.has("001.mp4"));
    assert!(is_kept(&bench, 0), "the list learns it");
}

#[test]
fn released_recordings_expire_like_all_others() {
    let mut bench = bench();
    span(&mut bench, SpanAction::Keep, 0, 50).unwrap();
    assert_eq!(counts(span(&mut bench, SpanAction::Release, 0, 10)), (1, 0));
    bench.disk.set_total(0);
    bench.open(YARD);
    assert!(!bench.has("000.mp4") && bench.has("001.mp4"));
}

#[test]
fn the_recording_that_is_being_written_can_be_kept_and_goes_on() {
    let mut bench = bench();
    begin_at(&mut bench, YARD, 50);
    assert_eq!(counts(span(&mut bench, SpanAction::Keep, 50, 51)), (1, 0));
    assert_eq!(appended(&bench.append(YARD)), Ok(()));
    bench.send(Command::Close { camera: YARD });
    assert!(bench.scan("005.mp4").is_whole() && is_kept(&bench, 5));
    let head = bench.scan("005.mp4").head.unwrap();
    assert!(head.identity.unwrap().marks.has(SegmentMarks::KEPT));
}

#[test]
fn keeping_changes_one_byte_of_a_file() {
    let mut bench = bench();
    let before = files(&bench);
    span(&mut bench, SpanAction::Keep, 0, 10).unwrap();
    let differ = |name: &str| {
        let (before, after) = (before[name].iter(), files(&bench).remove(name).unwrap());
        before.zip(&after).filter(|(before, after)| before != after).count()
    };
    assert_eq!((differ("000.mp4"), differ("001.mp4")), (1, 0));
    let marked = files(&bench);
    span(&mut bench, SpanAction::Keep, 0, 10).unwrap();
    assert_eq!(files(&bench), marked, "a second time nothing is written");
    span(&mut bench, SpanAction::Release, 0, 10).unwrap();
    assert_eq!(files(&bench), before);
}

#[test]
fn a_power_cut_at_any_call_loses_no_recording_and_no_byte_of_one() {
    for cut in 0.. {
        let mut bench = bench();
        let before = files(&bench);
        bench.disk.fail("", EIO, cut, ALWAYS);
        let result = span(&mut bench, SpanAction::Keep, 10, 40);
        let mut bench = bench.boot_again();
        bench.pass(10 * SECOND);
        let (after, mut kept) = (files(&bench), 0);
        assert!(after.keys().eq(before.keys()), "cut at call {cut}");
        for (number, (name, after)) in after.iter().enumerate() {
            let flags_at = bench.scan(name).head.unwrap().flags_at.unwrap() as usize;
            let same = |(at, (before, after))| at == flags_at || before == after;
            assert!(before[name].iter().zip(after).enumerate().all(same), "cut at call {cut}");
            kept += u32::from(is_kept(&bench, number as u32));
        }
        if let Ok(done) = result {
            assert_eq!((done.segments, kept), (3, 3), "what was said to be kept is");
            return;
        }
    }
}

#[test]
fn keeping_more_than_half_of_the_room_is_refused_with_the_figures() {
    let mut bench = bench();
    let bytes: u64 = files(&bench).values().map(|it| it.len() as u64).sum();
    bench.disk.set_total(0); // nothing is free
    bench.card.ask_space().unwrap();
    span(&mut bench, SpanAction::Keep, 0, 20).unwrap();
    let refused = span(&mut bench, SpanAction::Keep, 20, 50).unwrap_err();
    let SpanError::Full { kept, allowed, .. } = refused else { panic!("{refused}") };
    assert_eq!(kept, bytes / 5 * 2);
    assert!(allowed > bytes / 2 && allowed < bytes, "the gate's count as well: {allowed}");
    let said = refused.to_string();
    assert!(said.contains(&kept.to_string()) && said.contains(&allowed.to_string()), "{said}");
    span(&mut bench, SpanAction::Release, 0, 10).unwrap();
    span(&mut bench, SpanAction::Keep, 20, 30).unwrap();
}

#[test]
fn a_recording_without_our_identity_can_not_be_kept_and_the_answer_says_so() {
    let bench = Bench::new();
    bench.put("000.mp4", &old_recording());
    let mut bench = bench.boot_again();
    bench.pass(SECOND);
    let old = bench.entry(YARD, 0).start;
    let from = (old.0 - NOON.0) / 1000 - 1;
    let alone = span(&mut bench, SpanAction::Keep, from, from + 10).unwrap_err();
    assert!(matches!(alone, SpanError::NoPlace), "{alone}");
    record_at(&mut bench, YARD, from + 2);
    assert_eq!(counts(span(&mut bench, SpanAction::Keep, from, from + 10)), (1, 1));
}

#[test]
fn a_span_is_deleted_without_what_is_kept_or_being_written() {
    let mut bench = bench();
    begin_at(&mut bench, YARD, 50);
    span(&mut bench, SpanAction::Keep, 20, 30).unwrap();
    assert_eq!(counts(span(&mut bench, SpanAction::Delete, 10, 60)), (3, 2));
    assert_eq!(bench.numbers(YARD), [0, 2, 5]);
    assert!(bench.has("gate/000.mp4"), "another camera's");
    assert_eq!(appended(&bench.append(YARD)), Ok(()));
}

#[test]
fn a_span_without_recordings_or_with_too_many_is_refused() {
    let mut bench = bench();
    let nothing = span(&mut bench, SpanAction::Delete, 100, 200).unwrap_err();
    assert!(matches!(nothing, SpanError::NothingThere), "{nothing}");
    let turned = span(&mut bench, SpanAction::Delete, 35, 5).unwrap_err();
    assert!(matches!(turned, SpanError::NothingThere), "{turned}");
    let mut list = bench.catalog.lock().unwrap();
    for number in 5..=SPAN_SEGMENTS_MAX as u32 {
        let mut entry = crate::storage::catalog::Entry::new(name(number), SegmentState::Whole);
        (entry.start, entry.duration_ms) = (at(10), 1000);
        list.folder_mut(YARD).unwrap().push(entry);
    }
    drop(list);
    let many = span(&mut bench, SpanAction::Delete, 0, 200).unwrap_err();
    assert!(matches!(many, SpanError::TooMany { segments: 1501 }), "{many}");
    assert!(bench.has("000.mp4"));
}

#[test]
fn recording_never_waits_for_more_than_one_file_of_a_span() {
    let mut bench = bench();
    begin_at(&mut bench, YARD, 50);
    bench.disk.log();
    let (from, to) = (at(0), at(50));
    let (id, camera, action) = (9, "yard".into(), SpanAction::Keep);
    bench.send(Command::Span(SpanWish { id, camera, from, to, action }));
    let files = |log: Vec<String>| log.iter().filter(|it| it.starts_with("open_to_write")).count();
    assert_eq!(files(bench.disk.log()), 1);
    bench.append(YARD);
    assert_eq!(files(bench.disk.log()), 1);
    assert!(bench.card.span.is_some(), "three are left");
}

#[test]
fn a_card_that_goes_answers_the_wish() {
    let mut bench = bench();
    let (id, camera, action) = (9, "yard".into(), SpanAction::Keep);
    bench.send(Command::Span(SpanWish { id, camera, from: at(0), to: at(50), action }));
    let events = bench.send(Command::Release);
    let gone = |it: &Event| matches!(it, Event::SpanDone { result: Err(SpanError::Card), .. });
    assert!(events.iter().any(gone), "{events:?}");
    let refused = span(&mut bench, SpanAction::Keep, 0, 50).unwrap_err();
    assert!(matches!(refused, SpanError::Card), "{refused}");
}

#[test]
fn a_recording_that_is_being_exported_is_deleted_afterwards() {
    let mut bench = Bench::new();
    bench.pass(SECOND);
    assert_eq!((bench.record(YARD, 1), bench.record(YARD, 1)), (0, 1));
    let hold = |bench: &Bench, change| {
        let mut list = bench.catalog.lock().unwrap();
        list.folder_mut(YARD).unwrap().get_mut(name(0)).unwrap().hold(change);
    };
    hold(&bench, 1);
    let events = bench.send(Command::Delete { camera: YARD, name: name(0) });
    assert!(
        matches!(events[..], [Event::DeleteFailed { reason: DeleteError::Exported, .. }]),
        "{events:?}"
    );
    hold(&bench, -1);
    let events = bench.send(Command::Delete { camera: YARD, name: name(0) });
    assert_eq!(deleted(&events), [(0, 0)]);
}
