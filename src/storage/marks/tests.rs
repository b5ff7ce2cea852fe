use super::{
    rows::{Newest, Rows},
    *,
};
use proptest::prelude::*;

const NOON: i64 = 1_795_336_200_000;

fn mark(nth: i64) -> Mark {
    Mark {
        camera: "yard".into(),
        source: Word::new("script").unwrap(),
        kind: Word::new("motion").unwrap(),
        words: format!("door {nth} — Tür"),
        begin: SegmentTime {
            boot: [7; 16],
            up_ms: Some(5000 + nth.unsigned_abs()),
            wall: WallTime(NOON + nth * 60_000),
            clock: ClockTrust::Trusted,
        },
        length_ms: 1500,
        course: Course::Over,
    }
}

fn file(marks: &[Mark]) -> Vec<u8> {
    let mut text = Vec::new();
    marks.iter().for_each(|mark| mark.write(&mut text));
    text
}

fn read(file: &[u8]) -> Vec<Mark> {
    let marks = lines(file).filter_map(|line| match line {
        Line::Mark(mark) => Some(mark),
        Line::Boot(..) => None,
    });
    marks.collect()
}

#[test]
fn a_mark_is_a_line_that_people_can_read() {
    let text = String::from_utf8(file(&[mark(0)])).unwrap();
    let expected = "m\tyard\tscript\tmotion\t1795336200000\tT\t5000\t\
                    07070707070707070707070707070707\t1500\t-\tdoor 0 — Tür\t";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(read(text.as_bytes()), [mark(0)]);
    let told = SegmentTime {
        boot: [0; 16],
        up_ms: None,
        wall: WallTime(-5),
        clock: ClockTrust::Untrusted,
    };
    let odd = Mark { begin: told, words: String::new(), course: Course::GoingOn, ..mark(0) };
    assert_eq!(read(&file(std::slice::from_ref(&odd))), [odd]);
}

#[test]
fn a_file_cut_at_any_byte_has_the_marks_before_the_cut_and_takes_more() {
    let marks: Vec<_> = (0..4).map(mark).collect();
    let whole = file(&marks);
    for cut in 0..=whole.len() {
        for rest in [b'\n', 0, 0xff] {
            let mut torn = whole[..cut].to_vec();
            torn.resize(2 * whole.len(), rest);
            let kept = read(&torn);
            assert!(marks.starts_with(&kept), "{cut}");
            let full = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            // A line that lacks only its line feed has all it says.
            assert!((full..=full + 1).contains(&kept.len()), "{cut}");
            // What was never written is line feeds; anything else ends the file.
            let at = end(&torn);
            assert!(at <= torn.len() && torn[..at].ends_with(b"\n") || at == torn.len() || at == 0);
            if rest == b'\n' {
                let next = file(&[mark(9)]);
                torn[at..at + next.len()].copy_from_slice(&next);
                assert_eq!(read(&torn).last(), Some(&mark(9)), "{cut}");
                assert_eq!(read(&torn).len(), kept.len() + 1);
            }
        }
    }
}

#[test]
fn a_flipped_bit_costs_the_marks_beside_it_and_invents_none() {
    let marks: Vec<_> = (0..3).map(mark).collect();
    let whole = file(&marks);
    for bit in 0..whole.len() * 8 {
        let mut torn = whole.clone();
        torn[bit / 8] ^= 1 << (bit % 8);
        let kept = read(&torn);
        // A line feed that is gone costs the lines on both sides of it.
        assert!(kept.len() >= marks.len() - 2, "{bit}");
        assert!(kept.iter().all(|mark| marks.contains(mark)), "{bit}");
    }
}

#[test]
fn the_last_line_about_a_mark_counts() {
    let begun = Mark { length_ms: 0, course: Course::GoingOn, ..mark(1) };
    let ended = Mark { length_ms: 70_000, ..mark(1) };
    let mut seen = Vec::new();
    let mut settled = Settled::new(|mark: &Mark| seen.push(mark.clone()));
    [begun, mark(2), ended.clone()].into_iter().for_each(|mark| settled.take(mark));
    settled.finish();
    assert_eq!(seen, [ended, mark(2)]);
}

#[test]
fn marks_of_a_wrong_clock_get_the_times_of_the_recordings_of_their_boot() {
    let wall = WallTime(5000);
    let wrong =
        SegmentTime { boot: [3; 16], up_ms: Some(60_000), wall, clock: ClockTrust::Untrusted };
    let wrong = Mark { begin: wrong, ..mark(0) };
    let began = |boot: u8, clock| vec![([boot; 16], WallTime(NOON), clock)];
    assert_eq!(
        wrong.began(&began(3, ClockTrust::Trusted)),
        (WallTime(NOON + 60_000), ClockTrust::Trusted)
    );
    let (shown, clock) = wrong.began(&began(3, ClockTrust::Untrusted));
    assert_eq!((shown, clock), (WallTime(NOON + 60_000), ClockTrust::Untrusted));
    assert_eq!(wrong.began(&began(4, ClockTrust::Trusted)), (wall, ClockTrust::Untrusted));
    assert_eq!(
        mark(1).began(&began(7, ClockTrust::Trusted)).0,
        mark(1).begin.wall,
        "it knew better"
    );
    let mut newest = Newest::new(None, WallTime(NOON), WallTime(NOON + 90_000), 10);
    newest.add(&wrong, &began(3, ClockTrust::Trusted));
    assert_eq!(newest.marks.len(), 1, "found under its true time");
}

#[test]
fn marks_beyond_the_room_are_joined_to_the_closest_and_counted() {
    let (from, to) = (WallTime(NOON), WallTime(NOON + 86_400_000));
    let mut rows = Rows::new("yard", from, to, 10);
    for nth in 0..1000 {
        let kind = Word::new(if nth % 100 == 99 { "person" } else { "motion" }).unwrap();
        let gap = nth / 100 * 3_600_000; // ten bursts, an hour apart
        let wall = WallTime(NOON + nth * 2000 + gap);
        let begin = SegmentTime { wall, ..mark(0).begin };
        rows.add(&Mark { begin, kind, ..mark(0) }, &Vec::new());
        rows.add(&Mark { camera: "gate".into(), ..mark(nth) }, &Vec::new());
    }
    let (rows, _, merged) = rows.finish(10, 10);
    assert!(merged);
    assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [100; 10]);
    assert!(rows.iter().all(|row| row.kind.is_none()), "of two kinds");
    assert!(rows.windows(2).all(|pair| pair[0].end < pair[1].begin));
}

#[test]
fn times_of_watching_are_joined_only_where_somebody_watched() {
    let watch = |begin: i64, seconds: u32| {
        let begin = SegmentTime { wall: WallTime(NOON + begin * 1000), ..mark(0).begin };
        let kind = Word::new(Mark::WATCHED).unwrap();
        Mark { begin, kind, length_ms: seconds * 1000, ..mark(0) }
    };
    let mut rows = Rows::new("yard", WallTime(NOON), WallTime(NOON + 86_400_000), 10);
    for (begin, seconds) in [(0, 300), (301, 300), (1000, 10), (2000, 50), (3000, 70)] {
        rows.add(&watch(begin, seconds), &Vec::new());
    }
    let (marks, watched, merged) = rows.finish(10, 3);
    assert_eq!((marks, merged), (Vec::new(), true));
    let told: Vec<_> =
        watched.iter().map(|(a, b)| ((a.0 - NOON) / 1000, (b.0 - NOON) / 1000)).collect();
    assert_eq!(told, [(0, 601), (2000, 2050), (3000, 3070)], "the shortest is left out");
}

#[test]
fn a_word_is_short_and_plain() {
    for good in ["motion", "person", "line-crossed", "a_1", "0123456789abcdef"] {
        assert_eq!(Word::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "Motion", "mo tion", "mo\ttion", "ü", "0123456789abcdefg"] {
        assert_eq!(Word::new(bad), None, "{bad}");
    }
    assert!(words("Front door").is_some() && words(&"x".repeat(80)).is_some());
    assert!([words("a\tb"), words("a\nb"), words(&"x".repeat(81))].iter().all(Option::is_none));
}

proptest! {
    #[test]
    fn whatever_lies_in_a_file_is_no_more_marks_than_lines(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let count = lines(&bytes).count();
        prop_assert!(count <= bytes.iter().filter(|it| **it == b'\n').count() + 1);
        prop_assert!(end(&bytes) <= bytes.len());
    }

    #[test]
    fn a_mark_is_read_back(
        words in "[^\\p{Cc}]{0,20}", wall in any::<i64>(), up in prop::option::of(any::<u64>()),
        length_ms in any::<u32>(), is_over in any::<bool>(), boot in any::<[u8; 16]>(),
    ) {
        prop_assume!(words.len() <= MARK_WORDS_BYTES_MAX);
        let begin = SegmentTime { boot, up_ms: up, wall: WallTime(wall), clock: ClockTrust::Untrusted };
        let course = if is_over { Course::Over } else { Course::GoingOn };
        let mark = Mark { words, begin, length_ms, course, ..mark(0) };
        let _ = mark.began(&vec![(boot, WallTime(wall), ClockTrust::Trusted)]);
        prop_assert_eq!(read(&file(std::slice::from_ref(&mark))), [mark]);
    }
}
