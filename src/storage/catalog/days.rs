//! How many days of each camera's recordings the card holds in the long run, judging by recent
//! ones.
//!
//! Retention deletes the oldest of the camera that uses most: in the end all recording cameras use
//! equal shares, and former cameras no more than that.
//! Knows nothing of: clocks, what is being recorded.

use super::{Catalog, Entry, Folder, SegmentState};
use crate::{limits::EVENT_PERCENT_MAX, mp4::identity::SegmentMarks};

/// Limits other than the card's size.
#[derive(Clone, Copy, Debug)]
pub struct Retained {
    pub keep_free_percent: u64,
    /// 0: no age limit.
    pub keep_days: u64,
    /// 0: none is thinned.
    pub thin_after_days: u64,
    /// Of those in which something happened, if that is longer; 0: as all others.
    pub event_days: u64,
}

impl Catalog {
    /// Days that fit for each configured camera, by name; `None` until a day's worth has been
    /// recorded with a trusted clock.
    pub fn days(&self, retained: Retained) -> Vec<(&str, Option<f64>)> {
        let Some(space) = self.space.filter(|_| self.complete()) else { return Vec::new() };
        let claimed = self.folders.iter().filter(|folder| folder.is_claimed);
        let rates: Vec<_> = claimed.map(|folder| (folder, Rate::of(folder))).collect();
        let former = self.folders.iter().filter(|folder| !folder.is_claimed);
        let mut former: Vec<_> = former.map(expiring_bytes).collect();
        former
            .extend(rates.iter().filter(|(_, rate)| rate.is_none()).map(|it| expiring_bytes(it.0)));
        let all = self.folders.iter().map(expiring_bytes).fold(space.free, u64::saturating_add);
        let room = all.saturating_sub(space.total / 100 * retained.keep_free_percent);
        let recording = rates.iter().filter(|(_, rate)| rate.is_some()).count();
        let share = share(room, recording, former);
        let days = rates.into_iter().map(|(folder, rate)| {
            let limit = Some(retained.keep_days).filter(|days| *days > 0);
            let days = rate.map(|rate| rate.days_in(share, &retained));
            (folder, days.map(|days| limit.map_or(days, |limit| days.min(limit as f64))))
        });
        days.map(|(folder, days)| (self.camera_of(folder), days)).collect()
    }
}

/// The amount a camera records.
struct Rate {
    bytes_a_day: f64,
    /// The same for recordings with events.
    events_a_day: f64,
    /// The rest after thinning; `None` before any was thinned.
    thinned_bytes_a_day: Option<f64>,
}

impl Rate {
    /// Over the last week with its gaps, without what has been thinned; `None` if that is less than
    /// a day.
    fn of(folder: &Folder) -> Option<Rate> {
        let is_thinned = |entry: &&Entry| entry.marks().has(SegmentMarks::THINNED);
        let is_known =
            |entry: &&Entry| entry.clock_trusted && entry.is_read() && !is_thinned(entry);
        let known = || folder.entries.iter().rev().filter(is_known);
        let newest = known().next()?.end().0;
        let recent = known().take_while(|entry| newest.saturating_sub(entry.start.0) <= WEEK_MS);
        let (mut oldest, mut bytes, mut events) = (newest, 0_u64, 0_u64);
        for entry in recent {
            oldest = oldest.min(entry.start.0);
            bytes = bytes.saturating_add(entry.bytes);
            if entry.marks().has(SegmentMarks::EVENT) {
                events = events.saturating_add(entry.bytes);
            }
        }
        let days = (newest - oldest) as f64 / DAY_MS as f64;
        // If everything older than a day is thinned, a segment less than a day is left.
        (days >= 0.9 && bytes > 0).then(|| {
            let bytes_a_day = bytes as f64 / days;
            let full = Density::of(known());
            let thinned = Density::of(folder.entries.iter().filter(is_thinned));
            let events_a_day = events as f64 / days;
            let thinned_bytes_a_day =
                thinned.zip(full).map(|(it, full)| (bytes_a_day - events_a_day) * it.0 / full.0);
            Rate { bytes_a_day, events_a_day, thinned_bytes_a_day }
        })
    }

    /// The number of days that fit into these bytes, with what is older than `thin_after_days`
    /// thinned.
    fn days_in(&self, bytes: f64, retained: &Retained) -> f64 {
        // Recordings with events stay longer, within their share.
        let event_bytes_max = bytes * EVENT_PERCENT_MAX as f64 / 100.0;
        let event_days = (retained.event_days as f64).min(event_bytes_max / self.events_a_day);
        let event_days = if self.events_a_day > 0.0 { event_days } else { 0.0 };
        let rest = self.bytes_a_day - self.events_a_day;
        let full_days = retained.thin_after_days as f64;
        let filled = |days: f64| {
            let events = self.events_a_day * days.max(event_days);
            let rest = match self.thinned_bytes_a_day {
                Some(thinned) if retained.thin_after_days > 0 && days > full_days => {
                    rest * full_days + thinned * (days - full_days)
                }
                _ => rest * days,
            };
            events + rest
        };
        let (mut fit, mut too_many) = (0.0, DAYS_TOLD_MAX);
        for _ in 0..HALVINGS {
            let days = (fit + too_many) / 2.0;
            if filled(days) <= bytes {
                fit = days;
            } else {
                too_many = days;
            }
        }
        fit
    }
}

/// Bytes a millisecond of what is recorded.
struct Density(f64);

impl Density {
    fn of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Density> {
        let sums = |(bytes, millis): (u64, u64), entry: &Entry| {
            (bytes.saturating_add(entry.bytes), millis + u64::from(entry.duration_ms))
        };
        let (bytes, millis) = entries.fold((0, 0), sums);
        (bytes > 0 && millis > 0).then(|| Density(bytes as f64 / millis as f64))
    }
}

/// The bytes that will be deleted some day.
fn expiring_bytes(folder: &Folder) -> u64 {
    let stays = |entry: &&Entry| {
        entry.marks().has(SegmentMarks::KEPT) || entry.state == SegmentState::Unreadable
    };
    folder.entries.iter().filter(|entry| !stays(entry)).map(|entry| entry.bytes).sum()
}

/// Each of `recording` cameras' share of the space, while the others' only shrinks.
fn share(room: u64, recording: usize, mut others: Vec<u64>) -> f64 {
    others.sort_unstable();
    let (mut room, mut heads) = (room as f64, (recording + others.len()) as f64);
    for bytes in others {
        if (bytes as f64) < room / heads {
            room -= bytes as f64;
            heads -= 1.0;
        }
    }
    room / heads
}

/// A century.
const DAYS_TOLD_MAX: f64 = 36_500.0;
/// To a minute of it.
const HALVINGS: u32 = 26;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const WEEK_MS: i64 = 7 * DAY_MS;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        storage::{CameraId, disk::Space, layout::Name},
        units::WallTime,
    };
    use std::path::PathBuf;

    const GB: u64 = 1_000_000_000;

    /// Consecutive recordings of an hour, each with this many bytes.
    fn folder(directory: &str, hours: u32, bytes: u64) -> Folder {
        let mut folder = Folder::new(PathBuf::from(directory));
        for hour in 0..hours {
            let mut entry = Entry::new(Name::new(hour).unwrap(), SegmentState::Whole);
            (entry.bytes, entry.clock_trusted) = (bytes, true);
            (entry.start, entry.duration_ms) = (WallTime(i64::from(hour) * 3_600_000), 3_600_000);
            folder.push(entry);
        }
        folder
    }

    fn catalog(free: u64, folders: Vec<(bool, Folder)>) -> Catalog {
        let mut catalog = Catalog { root: Some("/card".into()), ..Catalog::default() };
        catalog.space = Some(Space { free, total: 100 * GB });
        for (nth, (is_claimed, folder)) in folders.into_iter().enumerate() {
            let name = folder.directory.file_name().unwrap().to_str().unwrap().to_owned();
            catalog.add(is_claimed.then_some(CameraId(nth)), &name, folder);
        }
        catalog
    }

    fn days(catalog: &Catalog, keep_free_percent: u64, keep_days: u64) -> Vec<Option<f64>> {
        let retained =
            Retained { keep_free_percent, keep_days, thin_after_days: 2, event_days: 10 };
        let days = catalog.days(retained);
        days.into_iter().map(|(_, days)| days.map(|days| (days * 10.0).round() / 10.0)).collect()
    }

    #[test]
    fn nothing_is_said_before_a_day_was_recorded() {
        let short = catalog(50 * GB, vec![(true, folder("/card/yard", 21, GB / 24))]);
        assert_eq!(days(&short, 0, 0), [None]);
        let unset = catalog(50 * GB, vec![(true, folder("/card/yard", 48, GB / 24))]);
        let mut unset = unset;
        for hour in 0..48 {
            let folder = unset.folder_mut(CameraId(0)).unwrap();
            folder.get_mut(Name::new(hour).unwrap()).unwrap().clock_trusted = false;
        }
        assert_eq!(days(&unset, 0, 0), [None]);
    }

    #[test]
    fn free_and_expiring_bytes_are_as_many_days_as_were_written_a_day() {
        let yard = catalog(46 * GB, vec![(true, folder("/card/yard", 96, GB / 24))]);
        assert_eq!(days(&yard, 0, 0), [Some(50.0)]);
        assert_eq!(days(&yard, 10, 0), [Some(40.0)]);
        assert_eq!(days(&yard, 0, 30), [Some(30.0)]);
    }

    #[test]
    fn a_bright_hour_does_not_change_what_a_week_says() {
        let mut yard = catalog(50 * GB, vec![(true, folder("/card/yard", 168, GB / 24))]);
        let before = days(&yard, 0, 0)[0].unwrap();
        let folder = yard.folder_mut(CameraId(0)).unwrap();
        folder.get_mut(Name::new(167).unwrap()).unwrap().bytes *= 4;
        let after = days(&yard, 0, 0)[0].unwrap();
        assert!((before - after).abs() < 1.5, "{before} {after}");
    }

    #[test]
    fn kept_recordings_do_not_count_as_room() {
        let mut yard = catalog(46 * GB, vec![(true, folder("/card/yard", 96, GB / 24))]);
        for hour in 0..48 {
            let folder = yard.folder_mut(CameraId(0)).unwrap();
            folder.get_mut(Name::new(hour).unwrap()).unwrap().set_marks(SegmentMarks::KEPT);
        }
        assert_eq!(days(&yard, 0, 0), [Some(48.0)]);
    }

    #[test]
    fn thinned_recordings_count_with_their_measured_share_of_room() {
        let mut yard = catalog(46 * GB, vec![(true, folder("/card/yard", 96, GB / 24))]);
        for hour in 0..48 {
            let entry = yard.folder_mut(CameraId(0)).unwrap();
            let entry = entry.get_mut(Name::new(hour).unwrap()).unwrap();
            (entry.bytes, _) = (entry.bytes / 10, entry.set_marks(SegmentMarks::THINNED));
        }
        // 48.2 GB of room: two days of 1 GB, the rest of 0.1 GB.
        assert_eq!(days(&yard, 0, 0), [Some(464.0)]);
    }

    #[test]
    fn events_that_stay_longer_leave_less_room_for_the_rest() {
        // 4 days of a free card of 4 GB more: a quarter of it happened, and stays 10 days: 2.5 GB.
        let mark = |every: u32| {
            let mut yard = catalog(4 * GB, vec![(true, folder("/card/yard", 96, GB / 24))]);
            for hour in (0..96).filter(|hour| hour % every == 0) {
                let folder = yard.folder_mut(CameraId(0)).unwrap();
                folder.get_mut(Name::new(hour).unwrap()).unwrap().set_marks(SegmentMarks::EVENT);
            }
            days(&yard, 0, 0)[0].unwrap()
        };
        assert_eq!(mark(200), 8.0, "but for the first hour nothing");
        assert!((mark(4) - 5.5 / 0.75).abs() < 0.1, "{}", mark(4));
        // All of it happened: no more than half of the room is theirs for longer, the rest goes by
        // age.
        assert_eq!(mark(1), 8.0);
    }

    #[test]
    fn cameras_that_record_get_the_same_room_and_former_ones_give_theirs() {
        let folders = vec![
            (true, folder("/card/yard", 48, GB / 24)),
            (true, folder("/card/gate", 48, GB / 48)),
            (false, folder("/card/old", 1, GB)),
            (false, folder("/card/older", 1, 90 * GB)),
        ];
        // A small one keeps its 1 GB; three share the rest.
        let all = catalog(6 * GB, folders);
        assert_eq!(days(&all, 0, 0), [Some(33.0), Some(66.0)]);
    }
}
