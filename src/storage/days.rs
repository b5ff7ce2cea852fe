//! Days: a camera's recordings in; what each local day contains of them out. A recording across
//! midnight is split.
//!
//! Knows nothing of: HTTP, time zones.

use super::catalog::{Entry, SegmentState};
use crate::{limits::DAYS_MAX, mp4::identity::SegmentMarks, units::WallTime, zone::Zone};

/// Recordings by day.
#[derive(Clone, Debug)]
pub struct Days {
    /// The first day, counted from 1970-01-01.
    pub first: i64,
    /// The start of each day, and the end of the last.
    begins: Vec<WallTime>,
    pub days: Vec<Day>,
}

/// One day of a camera.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Day {
    pub millis: i64,
    pub kept_millis: i64,
    pub bytes: u64,
    pub marks: u32,
}

impl Days {
    /// The local days that a span touches, none if it is empty; `None` if there are more than
    /// [`DAYS_MAX`].
    pub fn new(from: WallTime, to: WallTime, zone: &Zone) -> Option<Days> {
        let first = zone.day_of(from);
        let end = if from < to { zone.day_of(WallTime(to.0 - 1)).saturating_add(1) } else { first };
        let count = end.checked_sub(first).filter(|count| *count <= DAYS_MAX)?;
        Some(Days {
            first,
            begins: (first..=end).map(|day| zone.begin_of(day)).collect(),
            days: vec![Day::default(); usize::try_from(count).unwrap_or(0)],
        })
    }

    /// Counts a mark.
    pub fn count(&mut self, begin: WallTime) {
        let at = self.begins.partition_point(|it| *it <= begin).checked_sub(1);
        if let Some(day) = at.and_then(|at| self.days.get_mut(at)) {
            day.marks = day.marks.saturating_add(1);
        }
    }

    /// Adds a recording, in any order.
    ///
    /// *Cost*: a binary search among the days.
    pub fn add(&mut self, entry: &Entry) {
        if !entry.is_read() || entry.state == SegmentState::Damaged {
            return;
        }
        let (start, end) = (entry.start, entry.end());
        let at = self.begins.partition_point(|begin| *begin <= start).saturating_sub(1);
        let bounds = self.begins.iter().zip(self.begins.iter().skip(1));
        for ((begin, next), day) in bounds.zip(&mut self.days).skip(at) {
            if *begin > end {
                return;
            }
            let part = start.max(*begin)..end.min(*next);
            let millis = (part.end.0 - part.start.0).max(0);
            day.millis += millis;
            if entry.marks().has(SegmentMarks::KEPT) {
                day.kept_millis += millis;
            }
            let until = |moment: WallTime| bytes_until(entry, moment);
            // The last byte belongs to the day in which it ends.
            let until_begin = if start < *begin { until(*begin) } else { 0 };
            let until_next = if end < *next { entry.bytes } else { until(*next) };
            if start < *next {
                day.bytes += until_next.saturating_sub(until_begin);
            }
        }
    }
}

/// How much of a recording precedes a time, assuming a constant bit rate.
fn bytes_until(entry: &Entry, moment: WallTime) -> u64 {
    let duration = u64::from(entry.duration_ms);
    let elapsed = u64::try_from(moment.0.saturating_sub(entry.start.0)).unwrap_or(0).min(duration);
    if duration == 0 {
        return if moment > entry.start { entry.bytes } else { 0 };
    }
    entry.bytes / duration * elapsed + entry.bytes % duration * elapsed / duration
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::layout::Name;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    fn entry(start: i64, duration_ms: u32, bytes: u64) -> Entry {
        let mut entry = Entry::new(Name::new(1).unwrap(), SegmentState::Whole);
        (entry.start, entry.duration_ms, entry.bytes) = (WallTime(start), duration_ms, bytes);
        entry
    }

    fn days(from: i64, to: i64, zone: &Zone, entries: &[Entry]) -> Days {
        let mut days = Days::new(WallTime(from), WallTime(to), zone).unwrap();
        entries.iter().for_each(|entry| days.add(entry));
        days
    }

    #[test]
    fn a_recording_over_midnight_is_split_between_its_days() {
        let mut kept = entry(DAY + 50_000, 7000, 0);
        kept.set_marks(SegmentMarks::KEPT);
        let entries = [entry(DAY - 15_000, 60_000, 4_000_001), kept];
        let days = days(0, 2 * DAY, &Zone::UTC, &entries);
        let expected = [
            Day { millis: 15_000, kept_millis: 0, bytes: 1_000_000, marks: 0 },
            Day { millis: 52_000, kept_millis: 7000, bytes: 3_000_001, marks: 0 },
        ];
        assert_eq!((days.first, &*days.days), (0, &expected[..]));
    }

    #[test]
    fn a_day_has_as_many_seconds_as_its_clock_gives_it() {
        // 2026-03-28 to 30 and 2026-10-24 to 26 in Berlin.
        let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (saturday, offset, hours) in
            [(1_774_652_400_000, 0, [24, 23, 24]), (1_792_792_800_000, 0, [24, 25, 24])]
        {
            let minutes = (0..100 * 60).map(|minute| saturday - DAY + minute * 60_000);
            let entries: Vec<_> = minutes.map(|start| entry(start, 60_000, 60)).collect();
            let days = days(saturday + offset, saturday + 71 * 3_600_000, &zone, &entries);
            let seen = days.days.iter().map(|day| day.millis / 3_600_000);
            assert_eq!(seen.take(3).collect::<Vec<_>>()[..2], hours[..2], "{saturday}");
        }
    }

    #[test]
    fn no_more_days_are_told_than_memory_is_given_for() {
        let count = |to| Days::new(WallTime(0), WallTime(to), &Zone::UTC).map(|it| it.days.len());
        assert_eq!(count(0), Some(0));
        assert_eq!(count(1), Some(1));
        assert_eq!(count(DAYS_MAX * DAY), Some(400));
        assert_eq!(count(DAYS_MAX * DAY + 1), None);
        let (from, to) = (WallTime(i64::MIN), WallTime(i64::MAX));
        assert!(Days::new(from, to, &Zone::UTC).is_none());
        assert!(Days::new(to, from, &Zone::UTC).is_some());
    }

    proptest! {
        /// Nothing is lost between two days, and nothing is counted twice.
        #[test]
        fn days_add_up_to_what_was_recorded(
            starts in prop::collection::vec((0..20 * DAY, 0..3 * DAY, 0..u64::MAX >> 8), 0..40),
            minutes in -720..720i64,
        ) {
            let zone = Zone::parse_changes(&minutes.to_string()).unwrap();
            let entries: Vec<_> = starts.iter()
                .map(|&(start, duration, bytes)| entry(start, duration as u32, bytes)).collect();
            let days = days(-DAY, 25 * DAY, &zone, &entries);
            let millis: i64 = days.days.iter().map(|day| day.millis).sum();
            let bytes: u128 = days.days.iter().map(|day| u128::from(day.bytes)).sum();
            prop_assert_eq!(millis, starts.iter().map(|it| it.1).sum::<i64>());
            prop_assert_eq!(bytes, starts.iter().map(|it| u128::from(it.2)).sum::<u128>());
        }
    }
}
