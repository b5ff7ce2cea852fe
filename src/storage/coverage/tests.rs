use super::*;
use crate::storage::layout::Name;
use proptest::prelude::*;

const ALL: (WallTime, WallTime) = (WallTime(i64::MIN), WallTime(i64::MAX));

fn entry(number: u32, start: i64, duration_ms: u32, clock_trusted: bool) -> Entry {
    let mut entry = Entry::new(Name::new(number).unwrap(), SegmentState::Whole);
    (entry.start, entry.duration_ms, entry.clock_trusted) =
        (WallTime(start), duration_ms, clock_trusted);
    entry
}

/// Entries by rising numbers.
fn survey(entries: &[Entry], (from, to): (WallTime, WallTime), spans_max: usize) -> Coverage {
    let mut survey = CoverageSurvey::new(from, to, spans_max);
    entries.iter().rev().for_each(|entry| survey.add(entry));
    survey.finish()
}

/// Start, end, first and last number of each.
fn spans(coverage: &Coverage) -> Vec<(i64, i64, u32, u32)> {
    coverage.spans.iter().map(|it| (it.start.0, it.end.0, it.first, it.last)).collect()
}

fn gaps(coverage: &Coverage) -> Vec<(i64, i64)> {
    coverage.gaps.iter().map(|it| (it.start.0, it.end.0)).collect()
}

#[test]
fn recordings_that_follow_on_each_other_are_one_span() {
    let entries = [
        entry(3, 0, 60_000, true),
        entry(4, 60_000, 60_000, true),
        entry(5, 121_999, 60_000, true),
        entry(6, 183_999, 60_000, true),
        entry(7, 243_500, 60_000, true), // the clock was slewed
    ];
    let coverage = survey(&entries, ALL, 10);
    assert_eq!(spans(&coverage), [(0, 181_999, 3, 5), (183_999, 303_500, 6, 7)]);
    assert_eq!((gaps(&coverage), coverage.merged), (vec![(181_999, 183_999)], false));
}

#[test]
fn spans_and_gaps_that_reach_into_the_time_are_told_whole() {
    let minutes = [0, 1, 10, 11, 20, 21].map(|minute| i64::from(minute) * 60_000);
    let entries: Vec<_> =
        minutes.iter().zip(1..).map(|(&at, nr)| entry(nr, at, 60_000, true)).collect();
    let within = |from: i64, to: i64| {
        let coverage = survey(&entries, (WallTime(from * 60_000), WallTime(to * 60_000)), 10);
        let minutes = |(start, end): (i64, i64)| (start / 60_000, end / 60_000);
        let spans = coverage.spans.iter().map(|it| minutes((it.start.0, it.end.0)));
        (spans.collect::<Vec<_>>(), gaps(&coverage).into_iter().map(minutes).collect::<Vec<_>>())
    };
    assert_eq!(within(0, 30), (vec![(0, 2), (10, 12), (20, 22)], vec![(2, 10), (12, 20)]));
    assert_eq!(within(5, 15), (vec![(10, 12)], vec![(2, 10), (12, 20)]));
    assert_eq!(within(5, 6), (vec![], vec![(2, 10)]));
    assert_eq!(within(2, 10), (vec![], vec![(2, 10)]));
    assert_eq!(within(11, 12), (vec![(11, 12)], vec![]));
    assert_eq!(within(30, 40), (vec![], vec![]));
}

#[test]
fn a_camera_that_is_not_recorded_has_a_gap_until_now() {
    let mut survey = CoverageSurvey::new(WallTime(0), WallTime(1_000_000), 10);
    survey.nothing_until(WallTime(500_000), Cause::Unknown);
    survey.add(&entry(1, 100_000, 60_000, true));
    assert_eq!(gaps(&survey.finish()), [(160_000, 500_000)]);
}

#[test]
fn times_of_a_clock_that_was_not_trusted_make_spans_of_their_own_and_no_gaps() {
    let entries = [
        entry(1, 1_000_000, 60_000, true),
        entry(2, 10_000, 60_000, false), // two boots at 1970, one over the other
        entry(3, 70_000, 60_000, false),
        entry(4, 10_000, 60_000, false),
        entry(5, 2_000_000, 60_000, true),
        entry(6, 2_060_000, 60_000, false),
    ];
    let coverage = survey(&entries, ALL, 10);
    let trusted: Vec<_> = coverage.spans.iter().map(|span| span.clock_trusted).collect();
    assert_eq!(
        spans(&coverage),
        [
            (10_000, 130_000, 2, 3),
            (10_000, 70_000, 4, 4),
            (1_000_000, 1_060_000, 1, 1),
            (2_000_000, 2_060_000, 5, 5),
            (2_060_000, 2_120_000, 6, 6),
        ]
    );
    assert_eq!(trusted, [false, false, true, true, false]);
    assert_eq!(gaps(&coverage), [(1_060_000, 2_000_000)]);
}

#[test]
fn kept_recordings_make_separate_spans() {
    let mut entries: Vec<_> =
        (0..9).map(|nr| entry(nr, i64::from(nr) * 60_000, 60_000, true)).collect();
    for number in [2, 3, 6] {
        entries[number].set_marks(SegmentMarks::KEPT);
    }
    let coverage = survey(&entries, (WallTime(0), WallTime(390_000)), 10);
    assert_eq!(coverage.spans.len(), 1);
    let kept: Vec<_> = coverage.kept.iter().map(|it| (it.start.0, it.end.0)).collect();
    assert_eq!(kept, [(120_000, 240_000), (360_000, 420_000)]);
}

#[test]
fn unread_and_unplayable_recordings_cover_nothing() {
    let mut entries = [entry(1, 0, 60_000, true); 3];
    entries[0].state = SegmentState::Unread;
    entries[1].state = SegmentState::Damaged;
    entries[2].state = SegmentState::Unreadable;
    assert_eq!(spans(&survey(&entries, ALL, 10)), []);
}

#[test]
fn with_too_many_spans_the_widest_gaps_stay() {
    let mut start = 0;
    let entries: Vec<_> = (1..=1000)
        .map(|number| {
            // Each gap is a second longer than the one before, but for every tenth, which is an
            // hour longer.
            start += 60_000 + i64::from(number) * 1000 + i64::from(number % 100 == 0) * 3_600_000;
            entry(number, start, 60_000, true)
        })
        .collect();
    let coverage = survey(&entries, ALL, 11);
    assert!(coverage.merged);
    let firsts: Vec<_> = coverage.spans.iter().map(|span| span.first).collect();
    assert_eq!(firsts, [1, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    assert_eq!(coverage.gaps.len(), 10);
}

#[test]
fn a_clock_that_is_wrong_by_turns_does_not_break_the_bound() {
    for trusted in [true, false] {
        let entries: Vec<_> = (1..=500)
            .map(|number| {
                let start = i64::from(number * 7919 % 500) * 1_000_000;
                entry(number, start, 60_000, trusted || number % 3 == 0)
            })
            .collect();
        let coverage = survey(&entries, ALL, 20);
        assert!(coverage.spans.len() <= 20 && coverage.gaps.len() < 20, "{coverage:?}");
    }
}

proptest! {
    /// Against each second counted by itself, where no bound is in the way.
    #[test]
    fn each_second_is_covered_exactly_where_a_recording_is(
        steps in prop::collection::vec((2..60u32, prop_oneof![Just(0), 0..40i64], any::<bool>()), 0..60),
        from in -10..1000i64, length in 0..1000i64,
    ) {
        let mut at = 0;
        let entries: Vec<_> = steps.iter().zip(1..).map(|(&(seconds, gap, is_trusted), number)| {
            at += gap;
            let it = entry(number, at * 1000, seconds * 1000, is_trusted);
            at += i64::from(seconds);
            it
        }).collect();
        let window = (WallTime(from * 1000), WallTime((from + length) * 1000));
        let coverage = survey(&entries, window, 1000);
        prop_assert!(!coverage.merged && coverage.spans.is_sorted_by_key(|span| span.start));
        for second in from..from + length {
            let moment = second * 1000 + 500;
            let covers = |it: &Entry| it.start.0 <= moment && moment < it.end().0;
            let expected = entries.iter().find(|it| covers(it));
            let span = coverage.spans.iter().find(|it| it.start.0 <= moment && moment < it.end.0);
            let of_joint = span.is_some() && expected.is_none(); // less than 2 s
            prop_assert!(of_joint || span.map(|it| it.clock_trusted) == expected.map(|it| it.clock_trusted));
            if let (Some(span), Some(it)) = (span, expected) {
                prop_assert!((span.first..=span.last).contains(&it.name.number()));
            }
            // A gap is where neither is, between two recordings that are trusted.
            let gap = coverage.gaps.iter().any(|gap| gap.start.0 <= moment && moment < gap.end.0);
            let before = entries.iter().rfind(|it| it.clock_trusted && it.end().0 <= moment);
            let after = entries.iter().find(|it| it.clock_trusted && it.start.0 > moment);
            let is_trusted = expected.is_some_and(|it| it.clock_trusted);
            let wide = before.zip(after).is_some_and(|(one, next)| next.start.0 - one.end().0 >= 2000);
            prop_assert_eq!(gap, wide && !is_trusted, "at {}", moment);
        }
    }

    /// However many spans: the bound holds, nothing that was recorded is left out, and each span's
    /// ends are those of recordings.
    #[test]
    fn merged_spans_cover_all_that_was_recorded(
        steps in prop::collection::vec((1..100_000i64, 0..60_000u32, prop::bool::weighted(0.8)), 0..300),
        max in 2..30usize,
    ) {
        let mut at = 0;
        let entries: Vec<_> = steps.iter().zip(1..).map(|(&(gap, millis, is_trusted), number)| {
            at += gap;
            let it = entry(number, at, millis, is_trusted);
            at += i64::from(millis);
            it
        }).collect();
        let coverage = survey(&entries, ALL, max);
        prop_assert!(coverage.spans.len() <= max);
        for it in &entries {
            let covers = |span: &&Span| {
                span.clock_trusted == it.clock_trusted && span.start <= it.start && it.end() <= span.end
            };
            let span = coverage.spans.iter().find(covers);
            prop_assert!(span.is_some_and(|it2| (it2.first..=it2.last).contains(&it.name.number())));
        }
        let is_end = |span: &Span| {
            entries.iter().any(|it| it.start == span.start && it.name.number() == span.first)
                && entries.iter().any(|it| it.end() == span.end && it.name.number() == span.last)
        };
        prop_assert!(coverage.spans.iter().all(is_end));
    }
}
