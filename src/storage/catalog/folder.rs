//! One folder on the card and its recordings, ordered by number.

use std::{ffi::OsStr, path::PathBuf, time::Instant};

use super::{Entry, Owner, SegmentState, boots::Doubt};
use crate::{
    limits::{MARK_FILES_MAX, RECORDINGS_LISTED_MAX},
    storage::{
        CameraId,
        disk::Kind,
        layout::{self, MarkFile, Name},
    },
};

/// The folder of a camera or a former camera.
#[derive(Debug)]
pub struct Folder {
    pub id: CameraId,
    pub directory: PathBuf,
    /// The number in the marker file of the highest number, if there is one.
    pub marker: Option<u32>,
    /// Files of marks, oldest first.
    pub mark_files: Vec<MarkFile>,
    /// The owner of recordings that do not name one.
    pub(super) owner: Option<Owner>,
    /// A configured camera records here.
    pub(super) is_claimed: bool,
    pub(super) entries: Vec<Entry>,
    pub(super) highest: Option<u32>,
    /// The highest number when the folder was listed.
    pub(super) found: Option<u32>,
    /// Recordings of unknown time, by boot.
    pub(super) doubts: Vec<Doubt>,
    /// All entries with this number or a higher one have been read.
    pub(super) read_down_to: u32,
    /// The same for entries known only from the index.
    pub(super) sure_down_to: u32,
    pub visitors: Visitors,
}

/// Files with names of recordings that are not listed, by a hash of their names, lengths and times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visitors {
    None,
    /// They have been like this since then, and may still grow.
    Seen(u64, Instant),
    /// They were listed; those that are not any more are foreign.
    Listed(u64),
}

impl Folder {
    /// A folder of an unknown camera; [`super::Catalog::add`] sets it.
    pub fn new(directory: PathBuf) -> Folder {
        Folder {
            id: CameraId(usize::MAX),
            directory,
            marker: None,
            mark_files: Vec::new(),
            owner: None,
            is_claimed: false,
            entries: Vec::new(),
            highest: None,
            found: None,
            doubts: Vec::new(),
            read_down_to: u32::MAX,
            sure_down_to: u32::MAX,
            visitors: Visitors::None,
        }
    }

    /// Ordered by number, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn path(&self, name: Name) -> PathBuf {
        self.directory.join(name.file_name())
    }

    /// Marks a number as used, whatever became of its file.
    pub fn use_up(&mut self, number: u32) {
        self.highest = self.highest.max(Some(number));
    }

    /// The highest number ever used, if any.
    pub fn highest(&self) -> Option<u32> {
        self.highest
    }

    /// Adds a name in the directory, of any kind; call [`Folder::sort`] after the last. Anything
    /// but a regular file is neither a recording nor ours, but its name is taken.
    pub fn take_up(&mut self, file: &OsStr, kind: Kind) {
        if let Some(name) = Name::parse(file) {
            match kind {
                Kind::RegularFile => self.list(name),
                Kind::Other => self.find_used(name.number()),
            }
        } else if kind == Kind::RegularFile {
            let marker = layout::parse_highest_marker(file);
            self.marker = self.marker.max(marker.filter(|&number| number < RECORDED_NUMBER_MAX));
            layout::parse_number_set_aside(file)
                .into_iter()
                .for_each(|number| self.find_used(number));
            if let Some(marks) = MarkFile::parse(file) {
                self.list_marks(marks);
            }
        }
    }

    /// Adds a file of marks, in any order; the oldest are dropped beyond `2 * MARK_FILES_MAX`.
    fn list_marks(&mut self, file: MarkFile) {
        let at = self.mark_files.partition_point(|other| *other < file);
        self.mark_files.insert(at, file);
        if self.mark_files.len() > 2 * MARK_FILES_MAX {
            self.mark_files.remove(0);
        }
    }

    /// Notes a number found; one that no recorder can reach must not stop all recording.
    fn find_used(&mut self, number: u32) {
        if number < RECORDED_NUMBER_MAX {
            self.use_up(number);
        }
    }

    /// Adds a recording, in any order; call [`Folder::sort`] after the last.
    pub fn list(&mut self, name: Name) {
        if self.entries.len() >= RECORDINGS_LISTED_MAX + RECORDINGS_LISTED_MAX / 8 {
            self.forget_oldest();
        }
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(GROWTH_ENTRIES);
        }
        self.entries.push(Entry::new(name, SegmentState::Unread));
        self.find_used(name.number());
    }

    /// Notes the numbers of files that are not listed.
    pub fn find_used_all(&mut self, names: &[Name]) {
        names.iter().for_each(|name| self.find_used(name.number()));
    }

    /// Adds recordings after the listing. None of them can be one that a recorder left open.
    pub fn list_late(&mut self, names: &[Name]) {
        names.iter().for_each(|&name| self.list(name));
        self.forget_oldest();
        self.entries.sort_unstable_by_key(|entry| entry.name);
        self.read_down_to = u32::MAX;
    }

    /// Takes all recordings off the list whose names are not among these, which are in order;
    /// returns them.
    pub fn keep_only(&mut self, names: &[Name]) -> Vec<Name> {
        let is_gone = |entry: &Entry| {
            entry.state != SegmentState::Recording && names.binary_search(&entry.name).is_err()
        };
        let gone = self.entries.iter().filter(|entry| is_gone(entry)).map(|entry| entry.name);
        let gone: Vec<_> = gone.collect();
        self.entries.retain(|entry| !is_gone(entry));
        gone
    }

    /// Ends a listing. A marker far from all recordings is not ours.
    pub fn sort(&mut self) {
        self.forget_oldest();
        self.entries.sort_unstable_by_key(|entry| entry.name);
        let near = self.highest.unwrap_or(0).saturating_add(MARKER_AHEAD_MAX);
        match self.marker {
            Some(marker) if marker <= near => self.use_up(marker),
            _ => self.marker = None,
        }
        self.found = self.highest;
    }

    /// Returns true if all recordings with a higher number were started after the listing.
    pub fn was_last(&self, name: Name) -> bool {
        let mut newer = self.entries.iter().rev().take_while(|entry| entry.name > name);
        newer.all(|entry| Some(entry.name.number()) > self.found)
    }

    /// Drops recordings for which there is no memory; they are listed when others are deleted.
    fn forget_oldest(&mut self) {
        if let Some(surplus) = self.entries.len().checked_sub(RECORDINGS_LISTED_MAX)
            && surplus > 0
        {
            self.entries.select_nth_unstable_by_key(surplus, |entry| entry.name);
            self.entries.drain(..surplus);
        }
    }

    /// Adds a new segment, which has the highest number.
    pub fn push(&mut self, entry: Entry) {
        self.use_up(entry.name.number());
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(GROWTH_ENTRIES);
        }
        let at = self.entries.partition_point(|other| other.name < entry.name);
        self.entries.insert(at, entry);
    }

    /// The recordings with a number: several if the names differ (`014.mp4`, `0014.mp4`).
    pub fn of_number(&self, number: u32) -> &[Entry] {
        let from = self.entries.partition_point(|entry| entry.name.number() < number);
        let rest = self.entries.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|entry| entry.name.number() == number).count();
        rest.get(..count).unwrap_or_default()
    }

    /// The same, for the recording at an index.
    pub(super) fn of_same_number(&self, at: usize) -> &[Entry] {
        let (before, rest) = self.entries.split_at_checked(at).unwrap_or_default();
        let Some(number) = rest.first().map(|entry| entry.name.number()) else { return &[] };
        let is_same = |entry: &&Entry| entry.name.number() == number;
        let from = at - before.iter().rev().take_while(is_same).count();
        let to = at + rest.iter().take_while(is_same).count();
        self.entries.get(from..to).unwrap_or_default()
    }

    pub fn get(&self, name: Name) -> Option<&Entry> {
        self.entries.get(self.position(name)?)
    }

    pub fn get_mut(&mut self, name: Name) -> Option<&mut Entry> {
        let at = self.position(name)?;
        self.entries.get_mut(at)
    }

    pub fn remove(&mut self, name: Name) -> Option<Entry> {
        Some(self.entries.remove(self.position(name)?))
    }

    /// The next file whose head is to be read.
    pub fn newest_unread(&self) -> Option<Name> {
        let end = self.entries.partition_point(|entry| entry.name.number() < self.read_down_to);
        let below = self.entries.get(..end).unwrap_or_default();
        below.iter().rev().find(|entry| entry.state == SegmentState::Unread).map(|entry| entry.name)
    }

    /// Marks a file's head to be read again.
    pub fn read_again(&mut self, name: Name) {
        if let Some(entry) = self.get_mut(name) {
            entry.state = SegmentState::Unread;
            entry.set_sure();
            self.read_down_to = u32::MAX;
        }
    }

    /// Notes that nothing newer than `name` is unread, so that the next search starts there.
    pub fn read_down_to(&mut self, name: Name) {
        self.read_down_to = name.number().saturating_add(1);
    }

    /// Notes that every head was read, so that searches end at once.
    pub fn all_read(&mut self) {
        self.read_down_to = 0;
    }

    /// Returns true if this file has the highest number ever used: without it, only a marker could
    /// tell.
    pub fn is_highest(&self, name: Name) -> bool {
        self.highest == Some(name.number())
    }

    pub(super) fn position(&self, name: Name) -> Option<usize> {
        self.entries.binary_search_by_key(&name, |entry| entry.name).ok()
    }
}

/// A recording with a higher number was put there by a user: at 2 s a segment it takes 57 years to
/// get there.
pub(super) const RECORDED_NUMBER_MAX: u32 = 900_000_000;
/// A marker is left where the newest recordings were deleted: at most as many as 7 months of 2 s
/// segments.
const MARKER_AHEAD_MAX: u32 = 10_000_000;
/// Space for so many entries is added at once: doubling would take 1 MB for 10,000 of them.
const GROWTH_ENTRIES: usize = 256;
