//! Which recording to delete next: the card's contents and the space wanted in, one name out.
//!
//! Only recordings are named, never kept or open ones; the old system's count like ours.
//! Spec: docs/configuration.md, "Files on the card".
//! Knows nothing of: files. Before an unread one is deleted, the caller checks that it is a
//! recording.

use std::iter::Peekable;

use super::{
    CameraId,
    catalog::{Entry, Folder, SegmentState},
    disk::{FileSystem, Space},
    layout::Name,
};
use crate::{
    limits::{EVENT_PERCENT_MAX, FAT_RECORDINGS_MAX, RECORDINGS_LISTED_MAX},
    mp4::identity::SegmentMarks,
    units::WallTime,
};

/// The space wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Two segments' worth of every camera that records.
    pub segments_bytes: u64,
    pub keep_free_percent: u8,
    /// Recordings with events stay if they ended after this, as far as there is room.
    pub events_from: Option<WallTime>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Enough,
    Delete(CameraId, Name),
    /// There is too little space, and nothing may be deleted.
    NothingLeft,
}

/// Judges the free space: the oldest recording of the camera that uses most is deleted first.
///
/// If deleting all of ours could not reach `keep_free_percent`, only `segments_bytes` is wanted.
pub fn for_room(folders: &[Folder], space: Space, wanted: &Wanted) -> Verdict {
    let average = average_bytes(folders);
    let filled = |folder: &Folder| {
        let bytes = folder.entries().iter().filter(|entry| may_go(entry));
        bytes.map(|entry| bytes_of(entry, average)).fold(0, u64::saturating_add)
    };
    let percent = u64::from(wanted.keep_free_percent.min(100));
    let share = (space.total / 100).saturating_mul(percent);
    let reachable = folders.iter().map(filled).fold(space.free, u64::saturating_add);
    let goal =
        if share <= reachable { share.max(wanted.segments_bytes) } else { wanted.segments_bytes };
    if space.free >= goal {
        return Verdict::Enough;
    }
    let candidates = folders.iter().filter_map(|folder| {
        Some((filled(folder), folder.id, least_wanted(folder, wanted.events_from)?))
    });
    let fullest = candidates.reduce(|best, next| if next.0 > best.0 { next } else { best });
    fullest.map_or(Verdict::NothingLeft, |(_, camera, name)| Verdict::Delete(camera, name))
}

/// A recording older than `keep_days`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aged {
    Delete(CameraId, Name),
    /// One seems to be, but other recordings do not support that: the clock may have jumped.
    Doubtful,
}

/// Names the oldest recording if it is older than `keep_days`; 0 means no limit.
///
/// Only recordings with a trusted clock have an age, and `now` must be trusted. A clock that jumps
/// ahead by years would delete everything, so a period without recordings that is longer than
/// `keep_days` does not count.
///
/// A recording with an event stays for `event_days`, if that is longer.
pub fn for_age(folders: &[Folder], now: WallTime, keep_days: u32, event_days: u32) -> Option<Aged> {
    if keep_days == 0 {
        return None;
    }
    let kept = i64::from(keep_days) * MILLIS_PER_DAY;
    let limit = now.0.saturating_sub(kept);
    let events_from = events_from(now, event_days);
    let is_old = |entry: &&Entry| {
        may_go(entry)
            && entry.held() == 0
            && entry.clock_trusted
            && entry.end().0 < limit
            && !is_event(entry, events_from)
    };
    let old = folders
        .iter()
        .flat_map(|folder| folder.entries().iter().filter(is_old).map(|entry| (folder.id, entry)));
    let (camera, oldest) = old.min_by_key(|(_, entry)| entry.end().0)?;
    Some(match is_borne_out(folders, oldest.end(), now, kept) {
        true => Aged::Delete(camera, oldest.name),
        false => Aged::Doubtful,
    })
}

/// Recordings with events stay if they ended after this; `None` for 0 days.
pub fn events_from(now: WallTime, event_days: u32) -> Option<WallTime> {
    let span = i64::from(event_days) * MILLIS_PER_DAY;
    (event_days > 0).then(|| WallTime(now.0.saturating_sub(span)))
}

/// The end of the newest recording in each folder whose clock was trusted: the latest of them.
pub fn latest(folders: &[Folder]) -> WallTime {
    let newest = |it: &Folder| ends(it, WallTime(i64::MIN)).peek().copied();
    WallTime(folders.iter().filter_map(newest).max().unwrap_or(i64::MIN))
}

/// The oldest recording that is older than `thin_after_days` and may be reduced to its key frames;
/// 0 days: none.
///
/// As of [`for_age`], the clocks must be trusted, and a clock that jumped does not count.
pub fn for_thinning(
    folders: &[Folder],
    now: WallTime,
    thin_after_days: u32,
) -> Option<(CameraId, Name)> {
    if thin_after_days == 0 {
        return None;
    }
    let full = i64::from(thin_after_days) * MILLIS_PER_DAY;
    let limit = now.0.saturating_sub(full);
    let is_due = |entry: &&Entry| {
        entry.state == SegmentState::Whole
            && !entry.marks().has_any(SegmentMarks::NOT_TO_BE_THINNED)
            && entry.held() == 0
            && entry.clock_trusted
            && entry.end().0 < limit
    };
    let due = folders
        .iter()
        .flat_map(|folder| folder.entries().iter().filter(is_due).map(|entry| (folder.id, entry)));
    let (camera, oldest) = due.min_by_key(|(_, entry)| entry.end().0)?;
    is_borne_out(folders, oldest.end(), now, full).then_some((camera, oldest.name))
}

/// The ends after `from` of a folder's recordings, newest first.
fn ends(folder: &Folder, from: WallTime) -> Peekable<impl Iterator<Item = i64>> {
    let trusted = folder.entries().iter().rev().filter(|entry| entry.clock_trusted);
    trusted.map(|entry| entry.end().0).filter(move |&end| end >= from.0).peekable()
}

/// Returns true if more than `kept` milliseconds lie between two times, not counting longer gaps in
/// all recordings.
fn is_borne_out(folders: &[Folder], from: WallTime, now: WallTime, kept: i64) -> bool {
    let mut newest_first: Vec<_> = folders.iter().map(|folder| ends(folder, from)).collect();
    let (mut later, mut counted) = (now.0, 0i64);
    while counted <= kept {
        let newest = newest_first.iter_mut().filter_map(|it| Some((*it.peek()?, it)));
        let Some((end, its)) = newest.max_by_key(|(end, _)| *end) else { return false };
        its.next();
        let gap = later.saturating_sub(end);
        later = later.min(end);
        if (0..=kept).contains(&gap) {
            counted += gap;
        }
    }
    true
}

/// Names the recording to delete in a folder with the maximum number of names: the oldest of those
/// that a camera made in masses by restarting all the time, or else the oldest.
pub fn for_count(
    folder: &Folder,
    file_system: FileSystem,
    events_from: Option<WallTime>,
) -> Option<Name> {
    if folder.entries().len() < recordings_max(file_system) {
        return None;
    }
    let is_short = |entry: &&Entry| {
        may_go(entry) && entry.state != SegmentState::Unread && entry.duration_ms < SHORT_MILLIS
    };
    folder
        .entries()
        .iter()
        .find(is_short)
        .map(|entry| entry.name)
        .or_else(|| least_wanted(folder, events_from))
}

/// The number of recordings a folder may contain.
pub fn recordings_max(file_system: FileSystem) -> usize {
    match file_system {
        FileSystem::Fat => FAT_RECORDINGS_MAX,
        FileSystem::Other => RECORDINGS_LISTED_MAX,
    }
}

/// The oldest recording in a folder that may be deleted; one being sent is deleted last.
pub fn oldest(folder: &Folder) -> Option<Name> {
    let may_go = || folder.entries().iter().filter(|entry| may_go(entry));
    may_go().find(|entry| entry.held() == 0).or_else(|| may_go().next()).map(|entry| entry.name)
}

/// The oldest recording without a recent event; or the oldest of all if those with events fill more
/// than [`EVENT_PERCENT_MAX`] of what may be deleted, so that there is always room for new ones.
fn least_wanted(folder: &Folder, events_from: Option<WallTime>) -> Option<Name> {
    if events_from.is_none() {
        return oldest(folder);
    }
    let average = average_bytes(std::slice::from_ref(folder));
    let bytes = |is_counted: &dyn Fn(&Entry) -> bool| {
        let entries = folder.entries().iter().filter(|it| may_go(it) && is_counted(it));
        entries.map(|entry| bytes_of(entry, average)).fold(0, u64::saturating_add)
    };
    let events = bytes(&|entry| is_event(entry, events_from));
    if events / EVENT_PERCENT_MAX > bytes(&|_| true) / 100 {
        return oldest(folder);
    }
    let other =
        |entry: &&Entry| may_go(entry) && entry.held() == 0 && !is_event(entry, events_from);
    folder.entries().iter().find(other).map(|entry| entry.name).or_else(|| oldest(folder))
}

/// Returns true if it has a recent event.
pub fn is_event(entry: &Entry, events_from: Option<WallTime>) -> bool {
    let is_recent = events_from.is_some_and(|from| !entry.clock_trusted || entry.end() >= from);
    is_recent && entry.marks().has(SegmentMarks::EVENT)
}

fn may_go(entry: &Entry) -> bool {
    let is_kept = entry.marks().has(SegmentMarks::KEPT);
    !is_kept && !matches!(entry.state, SegmentState::Recording | SegmentState::Unreadable)
}

/// The assumed size of unread recordings.
fn average_bytes(folders: &[Folder]) -> u64 {
    let (mut sum, mut count) = (0u64, 0u64);
    let entries = folders.iter().flat_map(|folder| folder.entries());
    for entry in entries.filter(|entry| entry.state != SegmentState::Unread && may_go(entry)) {
        sum = sum.saturating_add(entry.bytes);
        count += 1;
    }
    sum.checked_div(count).unwrap_or(UNREAD_BYTES)
}

fn bytes_of(entry: &Entry, average: u64) -> u64 {
    if entry.state == SegmentState::Unread { average } else { entry.bytes }
}

/// Segments of any `segment_seconds` are longer.
const SHORT_MILLIS: u32 = 2000;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
/// A minute at 4 Mbit/s, if nothing is known about any recording.
const UNREAD_BYTES: u64 = 30 << 20;

#[cfg(test)]
mod tests;
