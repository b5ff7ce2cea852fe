//! The list and the index of a folder: what is known of recordings passes from one to the other,
//! and what the index says is checked against the files.

use std::path::Path;

use super::{Catalog, Entry, Facts, Folder, Name, SegmentState};
use crate::{
    limits::{CARD_INDEX_NEWEST, CARD_INDEX_SAMPLES, CARD_LOOKS_MAX},
    storage::{
        CameraId,
        index::{IndexRow, Round},
    },
};

impl Catalog {
    /// Takes over what the index of a folder says of a listed recording. If its head has been read
    /// already, only whether the index agrees is noted.
    pub fn recall(&mut self, folder: usize, row: &IndexRow, round: Round) {
        let owner = row.owner.and_then(|owner| self.intern_owner(owner));
        let codecs = self.intern(row.codecs);
        let Some(entry) = self.entry_mut(folder, row.name) else { return };
        let mut said = Entry {
            name: row.name,
            owner,
            facts: entry.facts,
            state: row.state,
            holds: entry.holds,
            clock_trusted: row.clock_trusted,
            codec: row.codec,
            codecs,
            bytes: row.bytes,
            start: row.start,
            duration_ms: row.duration_ms,
        };
        said.set_marks(row.marks);
        said.set_cause(row.cause);
        let is_news = match entry.state {
            SegmentState::Recording | SegmentState::Unreadable => return,
            SegmentState::Unread => true,
            _ => entry.is_from_index() && round == Round::Current,
        };
        if is_news {
            *entry = said;
            entry.facts.set(Facts::FROM_INDEX, true);
        }
        entry.facts.set(Facts::INDEXED, round == Round::Current && entry.says_as(&said));
    }

    /// Ends [`Catalog::recall`]: settles owners and addresses, and queues some recordings for a
    /// check, the newest and others spread over the list.
    pub fn recalled(&mut self, folder: usize) {
        self.settle(folder);
        let Some(folder) = self.folders.get(folder) else { return };
        let unsure = || folder.entries.iter().rev().filter(|entry| entry.is_from_index());
        let step = unsure().count().div_ceil(CARD_INDEX_SAMPLES).max(1);
        let newest = unsure().take(CARD_INDEX_NEWEST);
        let names = newest.chain(unsure().skip(step / 2).step_by(step)).map(|entry| entry.name);
        let (id, names) = (folder.id, names.collect::<Vec<_>>());
        names.into_iter().for_each(|name| self.look_at(id, name));
    }

    /// The index in the list of the folder at that path.
    pub fn position(&self, directory: &Path) -> Option<usize> {
        self.folders.iter().position(|folder| folder.directory == directory)
    }

    pub fn folder_at_mut(&mut self, directory: &Path) -> Option<&mut Folder> {
        let at = self.position(directory)?;
        self.folders.get_mut(at)
    }

    pub fn entry_mut(&mut self, folder: usize, name: Name) -> Option<&mut Entry> {
        self.folders.get_mut(folder)?.get_mut(name)
    }

    /// What the index should say of a recording; `None` if that is not known yet, or cannot be
    /// said.
    pub fn row(&self, entry: &Entry) -> Option<IndexRow<'_>> {
        let is_known =
            matches!(entry.state, SegmentState::Whole | SegmentState::Cut | SegmentState::Damaged);
        let codecs = self.codecs(entry);
        if !is_known || (entry.codec.is_some() && codecs.is_empty()) {
            return None;
        }
        Some(IndexRow {
            name: entry.name,
            state: entry.state,
            clock_trusted: entry.clock_trusted,
            codec: entry.codec,
            owner: entry.owner.map(|owner| self.name(Some(owner))),
            codecs,
            bytes: entry.bytes,
            start: entry.start,
            duration_ms: entry.duration_ms,
            marks: entry.marks(),
            cause: entry.cause(),
        })
    }

    /// Queues a recording for a check against its file, if only the index speaks of it.
    pub fn look_at(&mut self, camera: CameraId, name: Name) {
        let look = (camera, name);
        if self.looks.len() < CARD_LOOKS_MAX
            && self.is_from_index(look)
            && !self.looks.contains(&look)
        {
            self.looks.push_back(look);
        }
    }

    /// Returns the next of those.
    pub fn next_look(&mut self) -> Option<(CameraId, Name)> {
        while let Some(look) = self.looks.pop_front() {
            if self.is_from_index(look) {
                return Some(look);
            }
        }
        None
    }

    /// Whether a check is queued, or an index has to be updated.
    pub fn is_awaited(&self) -> bool {
        !self.looks.is_empty() || self.index_is_behind
    }

    /// Whether recordings got other times since the last call: the index has to be updated.
    pub fn index_was_behind(&mut self) -> bool {
        std::mem::take(&mut self.index_is_behind)
    }

    fn is_from_index(&self, (camera, name): (CameraId, Name)) -> bool {
        let entry = self.folder(camera).and_then(|folder| folder.get(name));
        entry.is_some_and(Entry::is_from_index)
    }
}

impl Folder {
    /// The recordings below a name, or all.
    pub fn below(&self, name: Option<Name>) -> &[Entry] {
        let end = name.map_or(self.entries.len(), |name| {
            self.entries.partition_point(|entry| entry.name < name)
        });
        self.entries.get(..end).unwrap_or_default()
    }

    /// The newest recording that has not been checked against its file.
    pub fn newest_unsure(&self) -> Option<Name> {
        let end = self.entries.partition_point(|entry| entry.name.number() < self.sure_down_to);
        let below = self.entries.get(..end).unwrap_or_default();
        below.iter().rev().find(|entry| entry.is_from_index()).map(|entry| entry.name)
    }

    /// Says that everything newer than `name` has been checked.
    pub fn sure_down_to(&mut self, name: Name) {
        self.sure_down_to = name.number().saturating_add(1);
    }

    /// Forgets what the index said: the files are read instead.
    pub fn disbelieve_index(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_from_index()) {
            entry.state = SegmentState::Unread;
            entry.facts.set(Facts::FROM_INDEX, false);
            entry.facts.set(Facts::INDEXED, false);
        }
        (self.read_down_to, self.sure_down_to) = (u32::MAX, u32::MAX);
    }

    /// The index starts over: it has none of them.
    pub fn lose_index(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.facts.set(Facts::INDEXED, false));
    }
}

impl Entry {
    /// Whether all that is known comes from the index: the file has not been read.
    pub fn is_from_index(&self) -> bool {
        self.facts.has(Facts::FROM_INDEX)
    }

    /// Whether the index has what is known.
    pub fn is_indexed(&self) -> bool {
        self.facts.has(Facts::INDEXED)
    }

    pub fn set_indexed(&mut self, indexed: Indexed) {
        self.facts.set(Facts::INDEXED, indexed == Indexed::Yes);
    }

    /// What is known comes from the file itself.
    pub fn set_sure(&mut self) {
        self.facts.set(Facts::FROM_INDEX, false);
    }

    /// Whether both describe the recording alike.
    pub fn says_as(&self, other: &Entry) -> bool {
        let time = |it: &Entry| (it.start, it.clock_trusted);
        time(self) == time(other) && self.says_but_for_time(other)
    }

    /// The same except for the time, which not every file knows: files of others have the
    /// directory's, on FAT in the board's local time; a wrong clock's is corrected by other files
    /// of its boot.
    pub fn says_but_for_time(&self, other: &Entry) -> bool {
        let said = |it: &Entry| {
            let kind = (it.state, it.codec, it.codecs, it.owner);
            (kind, it.marks(), it.cause(), it.bytes, it.duration_ms)
        };
        said(self) == said(other)
    }
}

/// Whether the index has what is known of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Indexed {
    Yes,
    No,
}
