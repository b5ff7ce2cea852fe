use super::*;
use proptest::prelude::*;
use std::path::PathBuf;

const MIB: u64 = 1 << 20;

/// A camera's folder with complete recordings, each `(number, bytes)`.
fn folder(camera: usize, recordings: &[(u32, u64)]) -> Folder {
    let mut folder = Folder::new(PathBuf::from("/card"));
    folder.id = CameraId(camera);
    for &(number, bytes) in recordings {
        let mut entry = Entry::new(Name::new(number).unwrap(), SegmentState::Whole);
        entry.bytes = bytes;
        folder.push(entry);
    }
    folder
}

fn space(free: u64, total: u64) -> Space {
    Space { free: free * MIB, total: total * MIB }
}

fn wanted(segments: u64, keep_free_percent: u8) -> Wanted {
    Wanted { segments_bytes: segments * MIB, keep_free_percent, events_from: None }
}

fn delete(camera: usize, number: u32) -> Verdict {
    Verdict::Delete(CameraId(camera), Name::new(number).unwrap())
}

#[test]
fn nothing_goes_while_there_is_room() {
    let folders = [folder(0, &[(1, 30 * MIB)])];
    assert_eq!(for_room(&folders, space(60, 1000), &wanted(60, 5)), Verdict::Enough);
}

#[test]
fn the_oldest_number_of_the_camera_that_fills_most_goes_first() {
    let folders = [folder(0, &[(900, 30 * MIB)]), folder(1, &[(7, 30 * MIB), (3, 30 * MIB)])];
    assert_eq!(for_room(&folders, space(40, 1000), &wanted(60, 5)), delete(1, 3));
}

#[test]
fn the_segment_being_written_never_goes() {
    let mut only = folder(0, &[(1, 30 * MIB)]);
    only.get_mut(Name::new(1).unwrap()).unwrap().state = SegmentState::Recording;
    let verdict = for_room(&[only], space(40, 1000), &wanted(60, 5));
    assert_eq!(verdict, Verdict::NothingLeft);
}

#[test]
fn a_share_that_is_out_of_reach_shrinks_to_two_segments() {
    // 900 of 1000 MB are foreign: 50 % is unreachable, so what is left suffices
    let folders = [folder(0, &[(1, 30 * MIB)])];
    assert_eq!(for_room(&folders, space(70, 1000), &wanted(60, 50)), Verdict::Enough);
    assert_eq!(for_room(&folders, space(50, 1000), &wanted(60, 50)), delete(0, 1));
}

#[test]
fn unread_recordings_count_as_much_as_the_average() {
    let mut many = folder(1, &[(9, 10 * MIB)]);
    (0..8).for_each(|number| many.list(Name::new(number).unwrap()));
    many.sort();
    let folders = [folder(0, &[(50, 60 * MIB)]), many];
    assert_eq!(for_room(&folders, space(1, 1000), &wanted(60, 5)), delete(1, 0));
}

#[test]
fn recordings_go_by_age_where_both_clocks_were_trusted() {
    let day = MILLIS_PER_DAY;
    let mut old = folder(1, &[(1, MIB), (2, MIB), (3, MIB)]);
    for (number, start, trusted) in [(1, 0, false), (2, 10 * day, true), (3, 0, true)] {
        let entry = old.get_mut(Name::new(number).unwrap()).unwrap();
        (entry.start, entry.clock_trusted) = (WallTime(start), trusted);
    }
    let name = Name::new(3).unwrap();
    // Another camera records something every day.
    let mut daily = folder(0, &(0..12).map(|number| (number, MIB)).collect::<Vec<_>>());
    for number in 0..12 {
        let entry = daily.get_mut(Name::new(number).unwrap()).unwrap();
        (entry.start, entry.clock_trusted) = (WallTime(i64::from(number) * day + 1), true);
    }
    let folders = [daily, old];
    let delete = Some(Aged::Delete(CameraId(1), name));
    assert_eq!(for_age(&folders, WallTime(11 * day), 7, 0), delete);
    assert_eq!(for_age(&folders, WallTime(6 * day), 7, 0), None);
    assert_eq!(for_age(&folders, WallTime(i64::MIN), u32::MAX, 0), None);
    assert_eq!(for_age(&folders, WallTime(11 * day), 0, 0), None, "0 days are no limit");
}

#[test]
fn a_clock_ten_years_ahead_deletes_nothing_nor_after_it_recorded_by_it() {
    let day = MILLIS_PER_DAY;
    let mut recorded = folder(0, &(0..10).map(|number| (number, MIB)).collect::<Vec<_>>());
    for number in 0..10 {
        let entry = recorded.get_mut(Name::new(number).unwrap()).unwrap();
        // The last two by a clock that has jumped.
        let jump = if number < 8 { 0 } else { 3652 * day };
        (entry.start, entry.clock_trusted) = (WallTime(i64::from(number) * day / 2 + jump), true);
    }
    let years_ahead = |days: i64| WallTime((3652 + days) * day);
    let folders = [recorded];
    assert_eq!(for_age(&folders, years_ahead(5), 7, 0), Some(Aged::Doubtful));
    assert_eq!(for_age(&folders, WallTime(5 * day), 7, 0), None, "the clock is right again");
    // A board that was off for long: new recordings expire the old ones in the end.
    let [mut recorded] = folders;
    for number in 10..17 {
        let mut entry = Entry::new(Name::new(number).unwrap(), SegmentState::Whole);
        (entry.start, entry.clock_trusted) = (years_ahead(i64::from(number) - 5), true);
        recorded.push(entry);
    }
    let name = Name::new(0).unwrap();
    let verdict = for_age(&[recorded], years_ahead(12), 7, 0);
    assert_eq!(verdict, Some(Aged::Delete(CameraId(0), name)));
}

#[test]
fn a_folder_of_thirty_thousand_lets_its_oldest_go() {
    let mut full = Folder::new(PathBuf::new());
    (1..30_000).for_each(|number| full.list(Name::new(number).unwrap()));
    assert_eq!(for_count(&full, FileSystem::Fat, None), None);
    full.list(Name::new(30_000).unwrap());
    assert_eq!(for_count(&full, FileSystem::Fat, None), Name::new(1));
}

#[test]
fn short_recordings_go_before_older_ones_if_names_are_scarce() {
    let mut full = Folder::new(PathBuf::new());
    (0..30_000).for_each(|number| full.list(Name::new(number).unwrap()));
    for (number, duration_ms) in [(7, 2000), (29_000, 1999), (29_001, 40)] {
        let entry = full.get_mut(Name::new(number).unwrap()).unwrap();
        (entry.state, entry.duration_ms) = (SegmentState::Whole, duration_ms);
    }
    assert_eq!(for_count(&full, FileSystem::Fat, None), Name::new(29_000));
}

proptest! {
    /// Deleting what is named always ends, and if that leaves too little space there is nothing
    /// left.
    #[test]
    fn deleting_ends_in_room_or_with_nothing_left(
        first in prop::collection::vec(0..100u64, 0..20),
        second in prop::collection::vec(0..100u64, 0..20),
        foreign in 0..2000u64, segments in 0..200u64, percent in 0..=100u8,
    ) {
        let numbered = |camera, sizes: &[u64]| {
            let sizes = sizes.iter().enumerate();
            let sizes = sizes.map(|(number, size)| (number as u32, size * MIB));
            folder(camera, &sizes.collect::<Vec<_>>())
        };
        let mut folders = [numbered(0, &first), numbered(1, &second)];
        let ours: u64 = first.iter().chain(&second).sum();
        let total = ours + foreign + 50;
        let mut space = space(50, total);
        let wanted = wanted(segments, percent);
        for _ in 0..=first.len() + second.len() {
            match for_room(&folders, space, &wanted) {
                Verdict::Enough => {
                    prop_assert!(space.free >= wanted.segments_bytes);
                    return Ok(());
                }
                Verdict::NothingLeft => {
                    prop_assert!(folders.iter().all(|folder| folder.entries().is_empty()));
                    prop_assert!(space.free < wanted.segments_bytes.max(total * MIB / 100 * u64::from(percent)));
                    return Ok(());
                }
                Verdict::Delete(camera, name) => {
                    space.free += folders[camera.0].remove(name).unwrap().bytes;
                }
            }
        }
        prop_assert!(false, "named more files than there are");
    }
}

/// A camera's days, one recording each; something happened in those named.
fn days_with_events(days: u32, events: &[u32]) -> Folder {
    let recordings: Vec<_> = (0..days).map(|day| (day, 30 * MIB)).collect();
    let mut folder = folder(0, &recordings);
    for day in 0..days {
        let entry = folder.get_mut(Name::new(day).unwrap()).unwrap();
        (entry.start, entry.clock_trusted) = (WallTime(i64::from(day) * MILLIS_PER_DAY), true);
        if events.contains(&day) {
            entry.set_marks(SegmentMarks::EVENT);
        }
    }
    folder
}

#[test]
fn events_stay_for_event_days_while_others_are_deleted() {
    let now = WallTime(20 * MILLIS_PER_DAY);
    let with = |event_days: u32, events: &[u32]| {
        let events_from = events_from(now, event_days);
        let wanted = Wanted { events_from, ..wanted(60, 0) };
        for_room(&[days_with_events(20, events)], space(40, 1000), &wanted)
    };
    assert_eq!(with(0, &[0, 1]), delete(0, 0), "asked for no longer");
    assert_eq!(with(30, &[0, 1]), delete(0, 2));
    assert_eq!(with(10, &[0, 1]), delete(0, 0), "its days are over");
    assert_eq!(with(30, &(0..12).collect::<Vec<_>>()), delete(0, 0), "more than their share");
    assert_eq!(with(30, &(0..20).collect::<Vec<_>>()), delete(0, 0));
    let folders = [days_with_events(20, &[0, 1])];
    let aged = |event_days| for_age(&folders, now, 7, event_days);
    let old = |number| Some(Aged::Delete(CameraId(0), Name::new(number).unwrap()));
    assert_eq!([aged(0), aged(5), aged(30)], [old(0), old(0), old(2)]);
    assert_eq!(for_thinning(&folders, now, 7).map(|it| it.1.number()), Some(2), "it stays whole");
}
