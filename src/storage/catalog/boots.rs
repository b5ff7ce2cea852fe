//! Boots: recordings made before the clock was set get their true times once it is.
//!
//! A segment contains the machine's uptime. So one segment with a trusted clock tells when that
//! boot started, and with it the times of all others of the same boot, whatever their clock said:
//! both listed and later read ones. The files contain all of this; nothing is written.

use super::{Catalog, Folder, Indexed};
use crate::{
    limits::{BOOTS_KNOWN_MAX, DOUBTS_MAX},
    mp4::identity::{ClockTrust, Identity},
    storage::{CameraId, layout::Name, marks::Began},
    units::WallTime,
};

/// A segment's information about its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentTime {
    /// The kernel's boot id; zeroes if there was none.
    pub boot: [u8; 16],
    pub up_ms: Option<u64>,
    pub wall: WallTime,
    pub clock: ClockTrust,
}

/// Boots whose start is known, the latest last.
pub(super) type Boots = Vec<([u8; 16], WallTime)>;

/// Consecutive recordings in a folder from one boot, whose clock was not trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    boot: [u8; 16],
    /// The start of the boot by the clock they are listed with.
    began: WallTime,
    first: u32,
    last: u32,
}

impl Catalog {
    /// Sets the time of a listed recording; returns how many others got theirs by it.
    pub fn date(&mut self, camera: CameraId, name: Name, stamp: &SegmentTime) -> usize {
        let began = stamp.began();
        let known = self.boots.iter().find(|(boot, _)| *boot == stamp.boot);
        let known = known.map(|(_, began)| *began);
        // All folders date a boot alike, as its marks.
        let mut doubts = self.folders.iter().flat_map(|it| &it.doubts);
        let doubted = doubts.find(|doubt| doubt.boot == stamp.boot).map(|doubt| doubt.began);
        let Some(folder) = self.folder_mut(camera) else { return 0 };
        let (start, is_trusted) = match (stamp.clock, began, known) {
            (ClockTrust::Trusted, ..) => (stamp.wall, true),
            (ClockTrust::Untrusted, Some(_), Some(known)) => (stamp.after(known), true),
            (ClockTrust::Untrusted, Some(began), None) => {
                let began = doubted.unwrap_or(began);
                let start = stamp.after(folder.doubt(name.number(), stamp.boot, began));
                let is_own = start.0.abs_diff(stamp.wall.0) <= READING_MS;
                (if is_own { stamp.wall } else { start }, false)
            }
            (ClockTrust::Untrusted, None, _) => (stamp.wall, false),
        };
        if let Some(entry) = folder.get_mut(name) {
            (entry.start, entry.clock_trusted) = (start, is_trusted);
        }
        self.learn(stamp)
    }

    /// Learns the start of a boot from a trusted clock; returns how many recordings got their times
    /// by it.
    ///
    /// *Cost*: none unless there are such recordings.
    pub fn learn(&mut self, stamp: &SegmentTime) -> usize {
        let Some(began) = stamp.began().filter(|_| stamp.clock == ClockTrust::Trusted) else {
            return 0;
        };
        self.boots.retain(|(boot, _)| *boot != stamp.boot);
        if self.boots.len() >= BOOTS_KNOWN_MAX {
            self.boots.remove(0);
        }
        self.boots.push((stamp.boot, began));
        let folders = self.folders.iter_mut();
        let moved = folders.map(|folder| folder.settle_doubts(stamp.boot, began)).sum();
        self.index_is_behind |= moved > 0;
        moved
    }
}

impl Catalog {
    /// The starts of boots. Some are known only by the wrong clock that dates their recordings; marks
    /// of such a boot get times by the same clock.
    pub fn began(&self) -> Began {
        let known = self.boots.iter().map(|(boot, began)| (*boot, *began, ClockTrust::Trusted));
        let doubts = self.folders.iter().flat_map(|folder| &folder.doubts);
        known.chain(doubts.map(|doubt| (doubt.boot, doubt.began, ClockTrust::Untrusted))).collect()
    }

    /// Learns the start of a boot from a recording whose true time is in the index, if nothing else
    /// is known about that boot: its file still contains the wrong one.
    pub fn learn_from_index(&mut self, start: WallTime, stamp: &SegmentTime) {
        let is_known = self.boots.iter().any(|(boot, _)| *boot == stamp.boot);
        if stamp.clock == ClockTrust::Untrusted && !is_known {
            self.learn(&SegmentTime { wall: start, clock: ClockTrust::Trusted, ..*stamp });
        }
    }
}

impl Folder {
    /// Notes a recording with an untrusted clock; returns the start of its boot by the clock of
    /// earlier ones, so that all can be moved by the same amount.
    fn doubt(&mut self, number: u32, boot: [u8; 16], began: WallTime) -> WallTime {
        if let Some(doubt) = self.doubts.iter_mut().find(|doubt| doubt.boot == boot) {
            (doubt.first, doubt.last) = (doubt.first.min(number), doubt.last.max(number));
            return doubt.began;
        }
        if self.doubts.len() >= DOUBTS_MAX {
            self.doubts.remove(0);
        }
        self.doubts.push(Doubt { boot, began, first: number, last: number });
        began
    }

    /// Moves the recordings of a boot to its true start.
    fn settle_doubts(&mut self, boot: [u8; 16], began: WallTime) -> usize {
        let Some(at) = self.doubts.iter().position(|doubt| doubt.boot == boot) else { return 0 };
        let doubt = self.doubts.swap_remove(at);
        let span = began.0.saturating_sub(doubt.began.0);
        let from = self.entries.partition_point(|entry| entry.name.number() < doubt.first);
        let entries = self.entries.iter_mut().skip(from);
        let entries = entries.take_while(|entry| entry.name.number() <= doubt.last);
        let moved = entries.filter(|entry| entry.is_read() && !entry.clock_trusted).map(|entry| {
            entry.start = WallTime(entry.start.0.saturating_add(span));
            entry.clock_trusted = true;
            entry.set_indexed(Indexed::No);
        });
        moved.count()
    }
}

impl SegmentTime {
    pub fn of(identity: &Identity) -> SegmentTime {
        let Identity { boot, up_ms, wall, clock, .. } = *identity;
        SegmentTime { boot, up_ms, wall, clock }
    }

    /// When the machine was booted, by the segment's clock.
    fn began(&self) -> Option<WallTime> {
        let up_ms = i64::try_from(self.up_ms?).ok().filter(|_| self.boot != [0; 16])?;
        Some(WallTime(self.wall.0.saturating_sub(up_ms)))
    }

    /// When the segment started, given the start of its boot.
    fn after(&self, began: WallTime) -> WallTime {
        let up_ms = self.up_ms.and_then(|millis| i64::try_from(millis).ok()).unwrap_or(0);
        WallTime(began.0.saturating_add(up_ms))
    }
}

/// Wall time and time since boot are read one after the other. While nobody sets the clock, their
/// difference varies by at most this from segment to segment.
const READING_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::catalog::{Entry, SegmentState};
    use std::path::PathBuf;

    const HOUR: i64 = 3_600_000;
    const TRUE_BOOT: i64 = 1_795_300_000_000;
    const YARD: CameraId = CameraId(0);
    const GATE: CameraId = CameraId(1);

    fn name(number: u32) -> Name {
        Name::new(number).unwrap()
    }

    /// A catalogue of two folders with recordings of these numbers, none dated.
    fn catalog(numbers: std::ops::Range<u32>) -> Catalog {
        let mut catalog = Catalog::default();
        for (camera, directory) in [(YARD, "yard"), (GATE, "gate")] {
            let mut folder = Folder::new(PathBuf::from(directory));
            numbers.clone().for_each(|nr| folder.push(Entry::new(name(nr), SegmentState::Whole)));
            catalog.add(Some(camera), directory, folder);
        }
        catalog
    }

    /// Of a boot whose clock says it began in 1970.
    fn wrong(boot: u8, up_ms: i64) -> SegmentTime {
        let up = Some(up_ms.cast_unsigned());
        SegmentTime {
            boot: [boot; 16],
            up_ms: up,
            wall: WallTime(up_ms),
            clock: ClockTrust::Untrusted,
        }
    }

    fn right(boot: u8, up_ms: i64) -> SegmentTime {
        let wall = WallTime(TRUE_BOOT + up_ms);
        SegmentTime { wall, clock: ClockTrust::Trusted, ..wrong(boot, up_ms) }
    }

    fn dates(catalog: &Catalog, camera: CameraId) -> Vec<(i64, bool)> {
        let entries = catalog.folder(camera).unwrap().entries().iter();
        entries.map(|it| (it.start.0, it.clock_trusted)).collect()
    }

    #[test]
    fn recordings_from_before_the_clock_was_set_get_their_true_times() {
        let mut catalog = catalog(0..4);
        for (number, stamp) in [(0, wrong(1, HOUR)), (1, wrong(2, HOUR)), (2, wrong(2, 2 * HOUR))] {
            assert_eq!(catalog.date(YARD, name(number), &stamp), 0);
            assert_eq!(catalog.date(GATE, name(number), &stamp), 0);
        }
        assert_eq!(catalog.date(YARD, name(3), &right(2, 3 * HOUR)), 4);
        let at = |hours: i64| (TRUE_BOOT + hours * HOUR, true);
        assert_eq!(
            dates(&catalog, YARD),
            [(HOUR, false), at(1), at(2), at(3)],
            "another boot stays"
        );
        assert_eq!(dates(&catalog, GATE)[..3], [(HOUR, false), at(1), at(2)]);
        assert_eq!(catalog.date(GATE, name(3), &wrong(2, HOUR / 2)), 0);
        assert_eq!(dates(&catalog, GATE)[3], (TRUE_BOOT + HOUR / 2, true), "known from now on");
    }

    #[test]
    fn the_files_alone_tell_the_true_times_in_whatever_order_they_are_read() {
        let stamps = [wrong(1, HOUR), wrong(1, 2 * HOUR), right(1, 3 * HOUR), right(1, 4 * HOUR)];
        let expected: Vec<_> = (1..=4).map(|hour| (TRUE_BOOT + hour * HOUR, true)).collect();
        for order in [[3, 2, 1, 0], [0, 1, 2, 3], [1, 3, 0, 2]] {
            let mut catalog = catalog(0..4);
            for number in order {
                catalog.date(YARD, name(number as u32), &stamps[number]);
            }
            assert_eq!(dates(&catalog, YARD), expected, "{order:?}");
        }
    }

    #[test]
    fn a_time_that_nobody_corrected_is_that_of_the_file_in_whatever_order_files_are_read() {
        let jitter = [0, 2, 1];
        for order in [[0, 1, 2], [2, 1, 0]] {
            let mut catalog = catalog(0..3);
            for number in order {
                let wall = WallTime(number as i64 * HOUR + jitter[number]);
                let stamp = SegmentTime { wall, ..wrong(1, number as i64 * HOUR) };
                catalog.date(YARD, name(number as u32), &stamp);
            }
            let expected = [(0, false), (HOUR + 2, false), (2 * HOUR + 1, false)];
            assert_eq!(dates(&catalog, YARD), expected, "{order:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_to_another_wrong_time_parts_nothing() {
        let mut catalog = catalog(0..3);
        let later = SegmentTime { wall: WallTime(500 * HOUR), ..wrong(1, 2 * HOUR) };
        catalog.date(YARD, name(0), &wrong(1, HOUR));
        catalog.date(YARD, name(1), &later);
        assert_eq!(dates(&catalog, YARD)[..2], [(HOUR, false), (2 * HOUR, false)]);
        catalog.learn(&right(1, 9 * HOUR));
        let at = |hours: i64| (TRUE_BOOT + hours * HOUR, true);
        assert_eq!(dates(&catalog, YARD)[..2], [at(1), at(2)]);
    }

    #[test]
    fn two_folders_date_a_boot_alike_though_its_wrong_clock_was_set_between_them() {
        let mut catalog = catalog(0..1);
        let later = SegmentTime { wall: WallTime(500 * HOUR), ..wrong(1, 2 * HOUR) };
        catalog.date(YARD, name(0), &wrong(1, HOUR));
        catalog.date(GATE, name(0), &later);
        assert_eq!(dates(&catalog, GATE), [(2 * HOUR, false)], "as marks of that boot");
        catalog.learn(&right(1, 9 * HOUR));
        assert_eq!(dates(&catalog, GATE), [(TRUE_BOOT + 2 * HOUR, true)]);
    }

    #[test]
    fn a_segment_that_does_not_say_how_long_the_machine_was_up_keeps_its_time() {
        let mut catalog = catalog(0..2);
        let old = SegmentTime { up_ms: None, ..wrong(1, HOUR) };
        let nameless = SegmentTime { boot: [0; 16], ..wrong(1, HOUR) };
        for stamp in [old, nameless] {
            catalog.date(YARD, name(0), &stamp);
            catalog.learn(&SegmentTime { boot: stamp.boot, ..right(1, 2 * HOUR) });
            assert_eq!(dates(&catalog, YARD)[0], (HOUR, false), "{stamp:?}");
        }
    }

    #[test]
    fn boots_without_number_take_a_bounded_room_and_no_number_wraps() {
        let mut catalog = catalog(0..300);
        for number in 0..300 {
            catalog.date(YARD, name(number), &wrong(number as u8, i64::MAX));
            catalog.date(GATE, name(number), &right(number as u8, 5));
            assert!(catalog.boots.len() <= BOOTS_KNOWN_MAX);
            assert!(catalog.folder(YARD).unwrap().doubts.len() <= DOUBTS_MAX);
        }
        for wall in [i64::MIN, i64::MAX] {
            for clock in [ClockTrust::Untrusted, ClockTrust::Trusted] {
                let stamp = SegmentTime { wall: WallTime(wall), clock, ..wrong(9, i64::MAX) };
                catalog.date(YARD, name(7), &stamp);
                catalog.date(YARD, name(8), &SegmentTime { up_ms: Some(u64::MAX - 1), ..stamp });
            }
        }
    }
}
