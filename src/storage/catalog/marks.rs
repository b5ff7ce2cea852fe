//! Files of marks: which may contain marks of a span of time, and which has outlived its
//! recordings.

use super::{Catalog, Entry, Folder};
use crate::{limits::MARK_FILES_MAX, storage::layout::MarkFile, units::WallTime};
use std::path::PathBuf;

impl Catalog {
    /// Whether there are any marks on the card.
    pub fn has_marks(&self) -> bool {
        self.folders.iter().any(|folder| !folder.mark_files.is_empty())
    }

    /// The files that may have marks of a span of time, the oldest of each folder first.
    pub fn mark_files(&self, from: WallTime, to: WallTime) -> Vec<PathBuf> {
        let files = self.folders.iter().flat_map(|folder| {
            let files = folder.mark_files.iter().enumerate();
            let may_be = files.filter(move |(nth, _)| folder.may_have_marks(*nth, from, to));
            may_be.map(|(_, file)| folder.directory.join(file.file_name()))
        });
        files.collect()
    }
}

impl Folder {
    /// Marks go into the newest file. So those of a file lie between the recording that was the
    /// newest when it began, and the recording with which the next file began.
    fn may_have_marks(&self, nth: usize, from: WallTime, to: WallTime) -> bool {
        let of = |at: usize| self.mark_files.get(at).map_or(0, |file| file.first);
        let at = self.entries.partition_point(|entry| entry.name.number() <= of(nth));
        let (before, _) = self.entries.split_at_checked(at).unwrap_or_default();
        let is_dated = |entry: &&Entry| entry.clock_trusted && entry.is_read();
        let begin = before.iter().rev().find(is_dated).map(|entry| entry.start);
        let end = (nth + 1 < self.mark_files.len()).then(|| {
            let at = self.entries.partition_point(|entry| entry.name.number() <= of(nth + 1));
            let (_, after) = self.entries.split_at_checked(at).unwrap_or_default();
            after.iter().find(is_dated).map(|entry| entry.start)
        });
        let is_later = begin.is_some_and(|begin| begin.0.saturating_sub(BACKDATED_MS) > to.0);
        let is_earlier = end.flatten().is_some_and(|end| end < from);
        !is_later && !is_earlier
    }

    /// A file to delete: all recordings of its marks are gone, or there are too many files.
    pub fn outlived_marks(&self) -> Option<MarkFile> {
        if self.mark_files.len() > MARK_FILES_MAX {
            return self.mark_files.first().copied();
        }
        let pairs = self.mark_files.iter().zip(self.mark_files.iter().skip(1));
        let is_outlived = |(file, next): &(&MarkFile, &MarkFile)| {
            // An event at the start of a recording also belongs to the one before.
            let first = file.first.saturating_sub(1);
            let at = self.entries.partition_point(|entry| entry.name.number() < first);
            self.entries.get(at).is_some_and(|entry| entry.name.number() > next.first)
        };
        pairs.filter(is_outlived).map(|(file, _)| *file).next()
    }

    /// The file for the next marks, and whether it has to be created because the last one covers
    /// enough recordings.
    pub fn next_mark_file(&self, is_full: bool, recordings_max: u32) -> (MarkFile, bool) {
        let newest = self.highest.unwrap_or(0);
        match self.mark_files.last() {
            Some(last) if !is_full && newest < last.first.saturating_add(recordings_max) => {
                (*last, false)
            }
            // One ahead of all recordings is not ours, but remains the newest.
            Some(last) if last.first >= newest => {
                (MarkFile { nth: last.nth.saturating_add(1), ..*last }, true)
            }
            _ => (MarkFile { first: newest, nth: 0 }, true),
        }
    }
}

/// How long ago a reported event may have happened.
pub const BACKDATED_MS: i64 = 24 * 60 * 60 * 1000;
