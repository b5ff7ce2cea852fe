//! Files on the card: the list in RAM used by HTTP, the commands and retention.
//!
//! Names come from one readdir, everything else from the heads of the files, newest first, until
//! the list is complete. It is a cache: the files alone suffice to rebuild it.
//! Knows nothing of: reading files, deleting them.

mod days;
mod boots;
mod folder;
pub mod marks;
mod owner;
mod recall;

use std::{collections::VecDeque, path::PathBuf};

use super::{CameraId, CardState, disk::Space, facts::CardFacts, layout::Name};
use crate::{
    codec::Codec,
    mp4::identity::{Cause, SegmentMarks},
    units::WallTime,
};

pub use self::{
    boots::SegmentTime,
    days::Retained,
    folder::{Folder, Visitors},
    owner::{Owner, RecordingTotals, Recordings},
    recall::Indexed,
};

/// The recordings of all cameras, and the card that contains them.
#[derive(Debug, Default)]
pub struct Catalog {
    pub state: CardState,
    /// The storage path in use; `None` while there is no card.
    pub root: Option<PathBuf>,
    /// Measured for the first time after the first segment is open.
    pub space: Option<Space>,
    /// What is known of the card itself.
    pub facts: CardFacts,
    /// Counts changes of the card: nothing known about an earlier one applies.
    generation: u32,
    folders: Vec<Folder>,
    /// The distinct `codecs` of the entries, which store an index.
    all_codecs: Vec<Box<str>>,
    /// The distinct camera names; the index is the [`Owner`].
    owners: Vec<Box<str>>,
    /// Number of former cameras' folders found.
    next_former: usize,
    boots: boots::Boots,
    /// Recordings queued for a check against their files.
    looks: VecDeque<(CameraId, Name)>,
    /// Recordings have other times than the index.
    index_is_behind: bool,
}

/// One recording, in 32 bytes: 30,000 of them take less than 1 MB.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Entry {
    pub name: Name,
    /// From its identity box; `None` if it has none or was not read: then its folder's owner.
    owner: Option<Owner>,
    facts: Facts,
    pub state: SegmentState,
    holds: Holds,
    /// Whether `start` can be trusted; never for the old system's files.
    pub clock_trusted: bool,
    /// `None` if the head does not contain it or was not read.
    pub codec: Option<Codec>,
    codecs: Codecs,
    /// For an open segment, the end of its last fragment. 0 until the file has been read.
    pub bytes: u64,
    /// Wall time of the first frame; for the old system's files from the directory.
    pub start: WallTime,
    pub duration_ms: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegmentState {
    /// Only the name is known; the head has not been read.
    Unread,
    Recording,
    Whole,
    /// Cut short, playable up to there.
    Cut,
    Damaged,
    /// Unreadable, so we cannot tell whether it is a recording. Deleted only on explicit request.
    Unreadable,
}

impl SegmentState {
    /// The name used in `/api/recordings`; `unread` before its head was read.
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
    /// Forgets everything.
    pub fn reset(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.root = None;
        self.space = None;
        self.facts = CardFacts::default();
        self.all_codecs = Vec::new();
        self.owners = Vec::new();
        self.folders = Vec::new();
        self.boots = Vec::new();
        self.looks = VecDeque::new();
        self.index_is_behind = false;
    }

    /// Returns true if every head has been read; until then the list contains names without times.
    pub fn complete(&self) -> bool {
        self.root.is_some() && self.folders.iter().all(|folder| folder.newest_unread().is_none())
    }

    /// The latest possible start of unread recordings; `None` if all heads have been read.
    pub fn read_to(&self) -> Option<WallTime> {
        let unread = self.folders.iter().filter_map(|folder| {
            let entries = folder.entries();
            let at = folder.position(folder.newest_unread()?)?;
            Some(entries.get(at + 1).map_or(WallTime(i64::MAX), |entry| entry.start))
        });
        unread.max_by_key(|time| time.0).or((self.root.is_none()).then_some(WallTime(i64::MAX)))
    }

    /// Reports that no head is left to read.
    pub fn all_read(&mut self) {
        self.folders.iter_mut().for_each(Folder::all_read);
    }

    /// Changes whenever everything was forgotten.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The folders of cameras and former cameras; empty while there is no card.
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    pub fn folder(&self, camera: CameraId) -> Option<&Folder> {
        self.folders.iter().find(|folder| folder.id == camera)
    }

    pub fn folder_mut(&mut self, camera: CameraId) -> Option<&mut Folder> {
        self.folders.iter_mut().find(|folder| folder.id == camera)
    }

    /// Returns the `codecs` parameter of an entry (`avc1.640028`), empty if unknown.
    pub fn codecs(&self, entry: &Entry) -> &str {
        self.all_codecs.get(usize::from(entry.codecs.0)).map_or("", |codecs| codecs)
    }

    /// Stores a codec string once; a card with more than 254 different ones shows none for the
    /// others.
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

impl Entry {
    pub fn new(name: Name, state: SegmentState) -> Entry {
        Entry {
            name,
            owner: None,
            facts: Facts(0),
            state,
            holds: Holds(0),
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

    /// The number of clips using it: other recordings are deleted first.
    pub fn held(&self) -> u8 {
        self.holds.0 & Holds::COUNT_MAX
    }

    /// Changes that number by one.
    pub fn hold(&mut self, change: i8) {
        let count = self.held().saturating_add_signed(change).min(Holds::COUNT_MAX);
        self.holds.0 = self.holds.0 & !Holds::COUNT_MAX | count;
    }

    /// Why nothing was recorded before it, if there is a gap.
    pub fn cause(&self) -> Cause {
        Cause::of_number(self.holds.0 >> Holds::CAUSE_SHIFT)
    }

    pub fn set_cause(&mut self, cause: Cause) {
        let rest = self.holds.0 & (Holds::COUNT_MAX | Holds::EVENT);
        self.holds.0 = rest | (cause as u8) << Holds::CAUSE_SHIFT;
    }

    /// From its identity box.
    pub fn marks(&self) -> SegmentMarks {
        match self.holds.0 & Holds::EVENT {
            0 => self.facts.marks(),
            _ => self.facts.marks().with(SegmentMarks::EVENT),
        }
    }

    pub fn set_marks(&mut self, marks: SegmentMarks) {
        if marks != self.marks() {
            self.set_indexed(Indexed::No);
        }
        self.facts.set_marks(marks);
        let event = if marks.has(SegmentMarks::EVENT) { Holds::EVENT } else { 0 };
        self.holds.0 = self.holds.0 & !Holds::EVENT | event;
    }

    /// Distinguishes its codecs from those of other entries.
    pub fn codecs_number(&self) -> u8 {
        self.codecs.0
    }

    /// Returns true if its head has been read, so that its time is known.
    pub fn is_read(&self) -> bool {
        !matches!(self.state, SegmentState::Unread | SegmentState::Unreadable)
    }

    /// Returns true if it is closed and known: its bytes stay, except for marks and thinning.
    pub fn is_final(&self) -> bool {
        !matches!(self.state, SegmentState::Unread | SegmentState::Recording)
    }

    /// Milliseconds between the previous recording and this one, if both clocks were trusted;
    /// otherwise 0.
    pub fn gap_since(&self, before: &Entry) -> u32 {
        if !before.clock_trusted || !self.clock_trusted {
            return 0;
        }
        let gap = self.start.0.saturating_sub(before.end().0).max(0);
        u32::try_from(gap).unwrap_or(u32::MAX)
    }

    /// Wall time of its end; if that is unknown, of its start.
    pub fn end(&self) -> WallTime {
        WallTime(self.start.0.saturating_add(i64::from(self.duration_ms)))
    }
}

/// A codec string from [`Catalog::intern`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codecs(u8);

impl Codecs {
    const NONE: Codecs = Codecs(u8::MAX);
}

/// The number of clips using a recording, whether something happened in it, and above that the
/// cause of the gap before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Holds(u8);

impl Holds {
    const COUNT_MAX: u8 = 0b1111;
    const EVENT: u8 = 1 << 4;
    const CAUSE_SHIFT: u32 = 5;
}

/// Fields smaller than a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Facts(u8);

impl Facts {
    /// Distinguishes recordings of one camera with the same number, see [`Entry::address`].
    const TWIN: u8 = 0b111;
    /// Of [`SegmentMarks`].
    const MARKS: u8 = 0b111 << 3;
    const INDEXED: u8 = 1 << 6;
    const FROM_INDEX: u8 = 1 << 7;

    fn twin(self) -> u8 {
        self.0 & Facts::TWIN
    }

    fn set_twin(&mut self, twin: u8) {
        self.0 = self.0 & !Facts::TWIN | twin & Facts::TWIN;
    }

    fn has(self, fact: u8) -> bool {
        self.0 & fact != 0
    }

    fn set(&mut self, fact: u8, so: bool) {
        self.0 = if so { self.0 | fact } else { self.0 & !fact };
    }

    /// The lowest flag of a box is not a mark.
    fn marks(self) -> SegmentMarks {
        SegmentMarks::of_flags((self.0 & Facts::MARKS) >> 2)
    }

    fn set_marks(&mut self, marks: SegmentMarks) {
        self.0 = self.0 & !Facts::MARKS | marks.flags() << 2 & Facts::MARKS;
    }
}

const _: () =
    assert!(size_of::<Entry>() <= 32, "30,000 recordings in 1 MB: limits::RESIDENT_BYTES");

#[cfg(test)]
mod tests;
