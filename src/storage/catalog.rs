//! What lies on the card: the list in RAM that HTTP, the commands and retention read.
//!
//! Names come from one readdir, the rest of an entry from the head of its file, newest first, until
//! the list is complete. A cache: the files alone suffice to make it again.
//! Knows nothing of: reading files, deleting them.

use std::{ffi::OsStr, path::PathBuf};

use super::{
    CameraId, CardState,
    disk::{Kind, Space},
    layout::{self, Asked, Name},
};
use crate::{codec::Codec, limits::RECORDINGS_LISTED_MAX, units::WallTime};

/// The recordings of all cameras, and the card that they lie on.
#[derive(Debug, Default)]
pub struct Catalog {
    pub state: CardState,
    /// The storage path in use; `None` while no card is.
    pub root: Option<PathBuf>,
    /// Asked for the first time after the first segment is open.
    pub space: Option<Space>,
    /// Counts the cards that came and went: of another one, nothing that was known is so.
    generation: u32,
    folders: Vec<Folder>,
    /// `codecs` of the entries, each once; an entry holds its index here.
    all_codecs: Vec<Box<str>>,
}

/// The recordings of one camera, in the order of their numbers.
#[derive(Debug, Default)]
pub struct Folder {
    pub directory: PathBuf,
    /// The number in the marker file that says what the highest was, if there is one.
    pub marker: Option<u32>,
    entries: Vec<Entry>,
    highest: Option<u32>,
    /// Every entry of this number or a higher one was read.
    read_down_to: u32,
}

/// One recording, in 40 bytes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    pub name: Name,
    pub state: SegmentState,
    /// Whether `start` is to be believed; never for the old system's files.
    pub clock_trusted: bool,
    /// `None` where the head does not say or was not read.
    pub codec: Option<Codec>,
    codecs: Codecs,
    /// Of a segment still being written: the end of its last fragment. 0 until the file was read.
    pub bytes: u64,
    /// Wall time of the first frame; of the old system's files what the directory says.
    pub start: WallTime,
    pub duration_ms: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// Only the name is known, and the head is still to be read.
    Unread,
    Recording,
    Whole,
    /// Short of its end, playable up to there.
    Cut,
    Damaged,
    /// Not even whether it is a recording could be read; never deleted but by somebody's wish.
    Unreadable,
}

impl SegmentState {
    /// As in `/api/recordings`; of a recording that is not yet read, `unread`.
    pub fn name(self) -> &'static str {
        match self {
            SegmentState::Unread => "unread",
            SegmentState::Recording => "recording",
            SegmentState::Whole => "whole",
            SegmentState::Cut => "cut",
            SegmentState::Damaged | SegmentState::Unreadable => "damaged",
        }
    }
}

impl Catalog {
    /// Forgets everything and begins with one empty folder for each camera.
    pub fn reset(&mut self, root: Option<PathBuf>, directories: Vec<PathBuf>) {
        self.generation = self.generation.wrapping_add(1);
        self.root = root;
        self.space = None;
        self.all_codecs = Vec::new();
        self.folders = directories.into_iter().map(Folder::new).collect();
    }

    /// Whether every head was read; until then the list shows names without times.
    pub fn complete(&self) -> bool {
        self.root.is_some() && self.folders.iter().all(|folder| folder.newest_unread().is_none())
    }

    /// Another one whenever everything was forgotten.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// One for each camera, empty while no card is in use.
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    pub fn folder(&self, camera: CameraId) -> Option<&Folder> {
        self.folders.get(camera.0)
    }

    pub fn folder_mut(&mut self, camera: CameraId) -> Option<&mut Folder> {
        self.folders.get_mut(camera.0)
    }

    /// The `codecs` parameter of an entry (`avc1.640028`), empty where it is not known.
    pub fn codecs(&self, entry: &Entry) -> &str {
        self.all_codecs.get(usize::from(entry.codecs.0)).map_or("", |codecs| codecs)
    }

    /// Keeps a codec string once; a card with more than 254 different ones shows none for the rest.
    pub fn intern(&mut self, codecs: &str) -> Codecs {
        let at = self.all_codecs.iter().position(|known| **known == *codecs);
        let index = at.unwrap_or(self.all_codecs.len());
        match u8::try_from(index) {
            Ok(index) if index != Codecs::NONE.0 => {
                if at.is_none() {
                    self.all_codecs.push(codecs.into());
                }
                Codecs(index)
            }
            _ => Codecs::NONE,
        }
    }
}

impl Folder {
    pub fn new(directory: PathBuf) -> Folder {
        Folder {
            directory,
            marker: None,
            entries: Vec::new(),
            highest: None,
            read_down_to: u32::MAX,
        }
    }

    /// In the order of their numbers, the oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn path(&self, name: Name) -> PathBuf {
        self.directory.join(name.file_name())
    }

    /// The number of the next segment, if nine digits hold it: one more than the highest ever used.
    pub fn next_number(&self) -> u32 {
        self.highest.map_or(0, |highest| highest.saturating_add(1))
    }

    /// Says that a number was used, whatever became of its file.
    pub fn use_up(&mut self, number: u32) {
        self.highest = self.highest.max(Some(number));
    }

    /// Takes up a name of the directory, whatever it is of; [`Folder::sort`] comes after the last.
    ///
    /// What is no regular file is nobody's recording and no word of ours; its name can not be had all the same.
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
        }
    }

    /// A number of a file that was found; one that no recorder ever reaches does not end all recording.
    fn find_used(&mut self, number: u32) {
        if number < RECORDED_NUMBER_MAX {
            self.use_up(number);
        }
    }

    /// Takes up a recording, in any order; [`Folder::sort`] comes after the last.
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

    /// Ends a listing. A marker that is far from all that is there was not made by us.
    pub fn sort(&mut self) {
        self.forget_oldest();
        self.entries.sort_unstable_by_key(|entry| entry.name);
        let near = self.highest.unwrap_or(0).saturating_add(MARKER_AHEAD_MAX);
        match self.marker {
            Some(marker) if marker <= near => self.use_up(marker),
            _ => self.marker = None,
        }
    }

    /// Leaves out what is more than memory is given for; it is listed when others have gone.
    fn forget_oldest(&mut self) {
        if let Some(surplus) = self.entries.len().checked_sub(RECORDINGS_LISTED_MAX)
            && surplus > 0
        {
            self.entries.select_nth_unstable_by_key(surplus, |entry| entry.name);
            self.entries.drain(..surplus);
        }
    }

    /// Takes up a new segment, which has the highest number.
    pub fn push(&mut self, entry: Entry) {
        self.use_up(entry.name.number());
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(GROWTH_ENTRIES);
        }
        let at = self.entries.partition_point(|other| other.name < entry.name);
        self.entries.insert(at, entry);
    }

    /// The recording of a number; of two names with one number (`014.mp4`, `0014.mp4`) the shorter.
    pub fn get(&self, number: u32) -> Option<&Entry> {
        let at = self.entries.partition_point(|entry| entry.name.number() < number);
        self.entries.get(at).filter(|entry| entry.name.number() == number)
    }

    pub fn find(&self, asked: Asked) -> Option<&Entry> {
        match asked {
            Asked::Number(number) => self.get(number),
            Asked::Name(name) => self.entries.get(self.position(name)?),
        }
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

    /// Has the head of a file read once more.
    pub fn read_again(&mut self, name: Name) {
        if let Some(entry) = self.get_mut(name) {
            entry.state = SegmentState::Unread;
            self.read_down_to = u32::MAX;
        }
    }

    /// Milliseconds that lie between the recording before and this one, by clocks that were trusted;
    /// 0 where one was not.
    pub fn gap_before_ms(&self, name: Name) -> u32 {
        let at = self.position(name).unwrap_or(0);
        let before = at.checked_sub(1).and_then(|before| self.entries.get(before));
        let (Some(before), Some(entry)) = (before, self.entries.get(at)) else { return 0 };
        if !before.clock_trusted || !entry.clock_trusted {
            return 0;
        }
        let gap = entry.start.0.saturating_sub(before.end().0).max(0);
        u32::try_from(gap).unwrap_or(u32::MAX)
    }

    /// Says that nothing newer than `name` is unread, so that the next look begins there.
    pub fn read_down_to(&mut self, name: Name) {
        self.read_down_to = name.number().saturating_add(1);
    }

    /// Whether this file holds the highest number ever used: without it only a marker could say so.
    pub fn is_highest(&self, name: Name) -> bool {
        self.highest == Some(name.number())
    }

    fn position(&self, name: Name) -> Option<usize> {
        self.entries.binary_search_by_key(&name, |entry| entry.name).ok()
    }
}

impl Entry {
    pub fn new(name: Name, state: SegmentState) -> Entry {
        Entry {
            name,
            state,
            clock_trusted: false,
            codec: None,
            codecs: Codecs::NONE,
            bytes: 0,
            start: WallTime(0),
            duration_ms: 0,
        }
    }

    pub fn set_codecs(&mut self, codecs: Codecs) {
        self.codecs = codecs;
    }

    /// Wall time of the end; where that is not known, of the start.
    pub fn end(&self) -> WallTime {
        WallTime(self.start.0.saturating_add(i64::from(self.duration_ms)))
    }
}

/// A codec string of [`Catalog::intern`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codecs(u8);

impl Codecs {
    const NONE: Codecs = Codecs(u8::MAX);
}

/// A recording of a higher number was put there by somebody: at 2 s a segment it takes 57 years to get there.
const RECORDED_NUMBER_MAX: u32 = 900_000_000;
/// A marker stands where the newest recordings were deleted: at most as many as 7 months of 2 s a segment make.
const MARKER_AHEAD_MAX: u32 = 10_000_000;
/// Room for so many entries is added at once: doubling would take 1 MB beside 10,000 of them.
const GROWTH_ENTRIES: usize = 256;

const _: () =
    assert!(size_of::<Entry>() <= 64, "at most 64 bytes a segment: limits::RESIDENT_BYTES");

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(numbers: &[u32]) -> Folder {
        let mut folder = Folder::new(PathBuf::from("/card"));
        numbers.iter().for_each(|&number| folder.list(Name::new(number).unwrap()));
        folder.sort();
        folder
    }

    #[test]
    fn the_next_number_is_one_more_than_the_highest_ever_used() {
        assert_eq!(folder(&[]).next_number(), 0);
        let mut gaps = folder(&[7, 3, 12]);
        assert_eq!(gaps.next_number(), 13);
        gaps.remove(Name::new(12).unwrap()).unwrap();
        assert_eq!(gaps.next_number(), 13, "deleting the highest frees no number");
        gaps.use_up(40);
        assert_eq!(gaps.next_number(), 41);
    }

    #[test]
    fn unread_heads_are_named_newest_first_and_each_once() {
        let mut folder = folder(&[3, 1, 2]);
        let mut order = Vec::new();
        while let Some(name) = folder.newest_unread() {
            order.push(name.number());
            folder.get_mut(name).unwrap().state = SegmentState::Whole;
            folder.read_down_to(name);
        }
        assert_eq!(order, [3, 2, 1]);
    }

    #[test]
    fn two_names_of_one_number_are_two_entries() {
        let mut folder = folder(&[14]);
        folder.list(Name::parse("0014.mp4".as_ref()).unwrap());
        folder.sort();
        assert_eq!(folder.entries().len(), 2);
        assert_eq!(folder.get(14).unwrap().name.file_name(), "014.mp4");
        for file in ["014.mp4", "0014.mp4"] {
            let found = folder.find(Asked::parse(file).unwrap()).unwrap();
            assert_eq!(found.name.file_name(), file);
        }
        assert_eq!(folder.find(Asked::parse("014.MP4").unwrap()), None);
        let longer = folder.entries()[1].name;
        assert_eq!(folder.remove(longer).unwrap().name.file_name(), "0014.mp4");
    }

    #[test]
    fn a_mime_type_is_kept_once_and_too_many_are_left_out() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.intern("a"), catalog.intern("a"));
        let mut entry = Entry::new(Name::new(0).unwrap(), SegmentState::Whole);
        assert_eq!(catalog.codecs(&entry), "");
        for index in 0..300 {
            let codecs = catalog.intern(&index.to_string());
            entry.set_codecs(codecs);
        }
        assert_eq!(catalog.codecs(&entry), "");
        entry.codecs = catalog.intern("a");
        assert_eq!(catalog.codecs(&entry), "a");
    }

    #[test]
    fn ten_thousand_entries_take_less_than_seven_hundred_kilobytes() {
        let folder = folder(&(0..10_000).collect::<Vec<_>>());
        assert!(folder.entries.capacity() * size_of::<Entry>() <= 700 << 10);
    }
}
