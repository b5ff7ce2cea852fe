use super::*;

const NOON: i64 = 1_795_336_200_000;
const BOOT: [u8; 16] = [7; 16];
const HOUR: u64 = 3_600_000;

/// The board is up for an hour at noon.
fn at(millis: u64) -> Moment {
    let wall = WallTime(NOON.saturating_add_unsigned(millis));
    Moment { now: runtime::now(), wall, clock: ClockTrust::Trusted, up_ms: HOUR + millis }
}

fn said(kind: &str, when: When) -> MarkReport {
    let (source, kind) = (Word::new("script").unwrap(), Word::new(kind).unwrap());
    MarkReport { source, kind, words: String::new(), when }
}

const ON: When = When::On(Duration::from_secs(60));

/// What is news of a mark: when it began, how long it was, whether it goes on.
fn brief(news: &[Mark]) -> Vec<(i64, u32, Course)> {
    news.iter().map(|it| (it.begin.wall.0 - NOON, it.length_ms, it.course)).collect()
}

fn say(book: &mut Book, millis: u64, kind: &str, when: When) -> Vec<(i64, u32, Course)> {
    brief(&book.say("yard", &said(kind, when), &at(millis), BOOT).unwrap().1)
}

#[test]
fn reports_within_ten_seconds_are_one_mark() {
    let mut book = Book::default();
    assert_eq!(say(&mut book, 0, "motion", When::Now), [(0, 0, Course::Over)]);
    for millis in (1000..60_000).step_by(1000) {
        assert!(say(&mut book, millis, "motion", When::Now).is_empty());
    }
    assert_eq!(
        say(&mut book, 60_000, "door", When::Now),
        [(60_000, 0, Course::Over)],
        "another kind"
    );
    assert_eq!(book.deadline(), Some(HOUR + 69_000));
    assert_eq!(brief(&book.tick(HOUR + 69_000)), [(0, 59_000, Course::Over)]);
    assert!(book.tick(HOUR + 70_000).is_empty(), "of a moment all is told");
    assert_eq!(book.deadline(), None);
    assert_eq!(say(&mut book, 75_000, "motion", When::Now), [(75_000, 0, Course::Over)]);
}

#[test]
fn a_mark_is_told_at_its_begin_while_it_goes_on_and_at_its_end() {
    let mut book = Book::default();
    assert_eq!(say(&mut book, 0, "door", ON), [(0, 0, Course::GoingOn)]);
    assert!(say(&mut book, 50_000, "door", ON).is_empty());
    assert!(book.is_going_on("yard") && !book.is_going_on("gate"));
    assert!(book.tick(HOUR + 60_000).is_empty());
    assert_eq!(say(&mut book, 70_000, "door", When::Off), [(0, 70_000, Course::Over)]);
    assert!(!book.is_going_on("yard"));
    let again = book.say("yard", &said("door", When::Off), &at(80_000), BOOT);
    assert_eq!(again.unwrap_err(), MarkRefused::NotOn);
    let long = When::On(Duration::from_secs(3600));
    say(&mut book, 100_000, "door", long);
    let due = book.deadline().unwrap();
    assert_eq!(brief(&book.tick(due)), [(100_000, 300_000, Course::GoingOn)], "for a power cut");
}

#[test]
fn a_mark_that_nobody_ends_ends_with_its_last_report() {
    let mut book = Book::default();
    say(&mut book, 0, "motion", ON);
    say(&mut book, 20_000, "motion", ON);
    assert_eq!(book.deadline(), Some(HOUR + 80_000));
    assert_eq!(brief(&book.tick(HOUR + 80_000)), [(0, 20_000, Course::Over)]);
}

#[test]
fn a_source_that_goes_ends_what_it_began_and_no_other() {
    let mut book = Book::default();
    say(&mut book, 0, "motion", ON);
    let other = MarkReport { source: Word::new("camera").unwrap(), ..said("motion", ON) };
    book.say("yard", &other, &at(0), BOOT).unwrap();
    let gone = book.leave(Some(("yard", &other.source)), HOUR + 5000);
    assert_eq!(brief(&gone), [(0, 5000, Course::Over)]);
    assert_eq!(
        brief(&book.leave(None, HOUR + 6000)),
        [(0, 6000, Course::Over)],
        "at the daemon's end"
    );
}

#[test]
fn ten_thousand_marks_a_minute_are_bounded_and_another_camera_has_its_own_share() {
    let mut book = Book::default();
    let (mut made, mut refused, mut lines) = (0_u64, 0_u64, 0);
    for nth in 0..10_000_u64 {
        let kind = format!("kind-{}", nth % 5000);
        match book.say("yard", &said(&kind, ON), &at(nth * 6), BOOT) {
            Ok((_, news)) => (made, lines) = (made + 1, lines + news.len()),
            Err(MarkRefused::TooMany(seconds)) => {
                assert!((1..=10).contains(&seconds));
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
        lines += book.tick(at(nth * 6).up_ms).len();
        assert!(book.live.len() <= limits::MARKS_GOING_ON_MAX);
    }
    // A minute's worth beside those in a row; each is told when it begins and when it ends.
    let (begun, counted) = book.count("yard");
    assert!((60..=66).contains(&begun), "{begun}");
    assert_eq!((counted, made + refused), (refused, 10_000));
    assert!(lines as u64 <= 2 * begun, "{lines}");
    assert!(book.say("gate", &said("motion", When::Now), &at(60_000), BOOT).is_ok());
    // The same kind over and over costs one.
    for nth in 0..10_000 {
        book.say("gate", &said("motion", When::Now), &at(60_000 + nth * 6), BOOT).unwrap();
    }
    assert_eq!(book.count("gate"), (1, 0));
}

#[test]
fn a_time_that_is_told_is_taken_within_a_day_and_not_in_seconds() {
    let mut book = Book::default();
    let span = |begin: i64, end: i64| When::Span(WallTime(begin), WallTime(end));
    let (mark, _) =
        book.say("yard", &said("door", span(NOON - 60_000, NOON - 50_000)), &at(0), BOOT).unwrap();
    assert_eq!((mark.begin.wall.0, mark.length_ms), (NOON - 60_000, 10_000));
    assert_eq!((mark.begin.boot, mark.begin.up_ms), (BOOT, Some(HOUR - 60_000)));
    // Before the boot it is a time without one.
    let before = span(NOON - 2 * 3_600_000, NOON);
    let (mark, _) = book.say("yard", &said("door", before), &at(0), BOOT).unwrap();
    assert_eq!(
        (mark.begin.boot, mark.begin.up_ms, mark.begin.clock),
        ([0; 16], None, ClockTrust::Trusted)
    );
    let local = NOON + 2 * 3_600_000; // somebody's local time, taken for UTC
    for (begin, end) in [
        (NOON, NOON - 1),
        (local, local),
        (NOON, local),
        (NOON / 1000, NOON / 1000),
        (NOON - 2 * 86_400_000, NOON),
        (i64::MIN, i64::MAX),
    ] {
        let refused = book.say("yard", &said("door", span(begin, end)), &at(0), BOOT).unwrap_err();
        assert_eq!(refused, MarkRefused::Time, "{begin} {end}");
    }
}

#[test]
fn by_a_clock_that_is_not_set_a_sender_with_a_better_one_is_believed() {
    let mut book = Book::default();
    let moment = Moment { wall: WallTime(60_000), clock: ClockTrust::Untrusted, ..at(0) };
    let mut say = |begin: i64| {
        let when = When::Span(WallTime(begin), WallTime(begin));
        let told = book.say("yard", &said("door", when), &moment, BOOT);
        told.map(|(mark, _)| (mark.begin.clock, mark.begin.up_ms))
    };
    assert_eq!(say(NOON), Ok((ClockTrust::Trusted, None)));
    assert_eq!(say(59_000), Ok((ClockTrust::Untrusted, Some(HOUR - 1000))), "of the same board");
    assert_eq!(say(NOON / 1000), Err(MarkRefused::Time), "in seconds");
}
