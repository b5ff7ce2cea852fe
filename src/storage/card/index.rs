//! The index of each folder: read once recording has begun, so that the list is complete at once;
//! written whenever more is known of a recording.
//!
//! What it says counts only until the file itself has been read: a few of each folder at once,
//! those that somebody asks for next, the rest at leisure (see `heads`).

use std::{io, path::PathBuf, time::Instant};

use super::{Card, health::Trouble};
use crate::{
    limits::{
        CARD_INDEX_BYTES_MAX, CARD_INDEX_GROWTH_RECORDS_MAX, CARD_INDEX_LIES_MAX,
        CARD_INDEX_PIECE_BYTES, CARD_INDEX_RETRY_INTERVAL, CARD_INDEX_ROWS_AT_ONCE,
    },
    storage::{
        CameraId, Event, IndexError,
        catalog::Indexed,
        disk::{Access, Disk, is_foreign},
        index::{IndexLog, RECORD_BYTES},
        layout::{self, Name},
    },
};

pub(super) struct IndexFile<D: Disk> {
    directory: PathBuf,
    /// `None` if there is none yet.
    file: Option<D::File>,
    /// The number of records it has space for.
    room: u32,
    log: IndexLog,
    stage: Stage,
    /// Recordings it was wrong about.
    lies: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    Closed,
    Reading {
        at: u64,
    },
    /// The index may still lack recordings below that name.
    Filling {
        below: Option<Name>,
    },
    Ready,
    /// It cannot be read or written: not touched until then, or never again.
    Off {
        until: Option<Instant>,
    },
}

/// Whether records were written, or a new round was started instead.
#[derive(PartialEq, Eq)]
enum Written {
    Here,
    Anew,
}

impl<D: Disk> IndexFile<D> {
    fn new(directory: PathBuf) -> IndexFile<D> {
        let (log, stage) = (IndexLog::default(), Stage::Closed);
        IndexFile { directory, file: None, room: 0, log, stage, lies: 0 }
    }
}

impl<D: Disk> Card<D> {
    /// Reads or writes a piece of an index; returns false if there is nothing to do.
    pub(super) fn index_step(&mut self, now: Instant) -> bool {
        if self.list().index_was_behind() {
            let ready = self.indexes.iter_mut().filter(|it| matches!(it.stage, Stage::Ready));
            ready.for_each(|index| index.stage = Stage::Filling { below: None });
        }
        let Some(at) = self.next_index() else { return false };
        if self.has_moved(now) {
            return true;
        }
        self.with_index(at, now, |card, index| match index.stage {
            Stage::Closed => card.open_index(index),
            Stage::Reading { at } => card.read_index(index, at),
            Stage::Filling { below } => card.fill_index(index, below),
            Stage::Ready | Stage::Off { .. } => Ok(()),
        });
        true
    }

    /// Writes what is known of a recording into the index.
    pub(super) fn note(&mut self, camera: CameraId, name: Name, now: Instant) {
        let directory = self.list().folder(camera).map(|folder| folder.directory.clone());
        let Some(at) = self.indexes.iter().position(|it| Some(&it.directory) == directory.as_ref())
        else {
            return; // it is added once the index has been read
        };
        let is_writable = self.is_writable();
        self.with_index(at, now, |card, index| {
            match index.stage {
                _ if !is_writable => {}
                Stage::Ready | Stage::Filling { .. } if index.file.is_some() => {
                    card.write_row(index, camera, name)?;
                }
                Stage::Ready | Stage::Filling { .. } => {
                    index.stage = Stage::Filling { below: None };
                }
                Stage::Off { until: Some(until) } if now >= until => {
                    *index = IndexFile::new(std::mem::take(&mut index.directory));
                }
                _ => return Ok(()),
            }
            if !matches!(index.stage, Stage::Ready) {
                card.next_head = Some(now);
            }
            Ok(())
        });
    }

    /// Counts a recording the index was wrong about; an index that is wrong often is not believed.
    pub(super) fn caught(&mut self, camera: CameraId, now: Instant) {
        let directory = self.list().folder(camera).map(|folder| folder.directory.clone());
        let index = self.indexes.iter_mut().find(|it| Some(&it.directory) == directory.as_ref());
        let Some(index) = index else { return };
        index.lies += 1;
        if index.lies == CARD_INDEX_LIES_MAX {
            let path = index.directory.join(layout::INDEX);
            if let Some(folder) = self.list().folder_mut(camera) {
                folder.disbelieve_index();
            }
            self.next_head = Some(now);
            self.events.push_back(Event::IndexUnused { path, reason: IndexError::Wrong });
        }
    }

    /// The first index with work to do; there is one for each listed folder.
    fn next_index(&mut self) -> Option<usize> {
        let is_known =
            |directory: &PathBuf| self.indexes.iter().any(|index| index.directory == *directory);
        let new: Vec<_> = {
            let list = self.list();
            let directories = list.folders().iter().map(|folder| &folder.directory);
            directories.filter(|directory| !is_known(directory)).cloned().collect()
        };
        self.indexes.extend(new.into_iter().map(IndexFile::new));
        self.indexes.iter().position(|it| !matches!(it.stage, Stage::Ready | Stage::Off { .. }))
    }

    fn with_index(
        &mut self,
        at: usize,
        now: Instant,
        action: impl FnOnce(&mut Self, &mut IndexFile<D>) -> io::Result<()>,
    ) {
        let mut index = self.indexes.swap_remove(at);
        let was_read = !matches!(index.stage, Stage::Closed | Stage::Reading { .. });
        let result = action(self, &mut index);
        let path = index.directory.join(layout::INDEX);
        if result.is_err() {
            // Reading it may have turned the card read-only: never try that twice.
            let until = was_read.then_some(now + CARD_INDEX_RETRY_INTERVAL);
            (index.stage, index.file) = (Stage::Off { until }, None);
        }
        self.indexes.push(index);
        let Err(error) = result else { return };
        match self.diagnose(&error) {
            Trouble::Failing(_) | Trouble::NoRoom(_) => {
                let reason = IndexError::Failed(error);
                self.events.push_back(Event::IndexUnused { path, reason });
            }
            trouble => self.handle_trouble(trouble, None, now),
        }
    }

    fn open_index(&self, index: &mut IndexFile<D>) -> io::Result<()> {
        let access = if self.is_writable() { Access::ReadWrite } else { Access::Read };
        match self.disk.open(&index.directory.join(layout::INDEX), access) {
            Ok(file) => {
                let bytes = self.disk.len(&file)?.min(CARD_INDEX_BYTES_MAX);
                index.room = u32::try_from(bytes / RECORD_BYTES as u64).unwrap_or(0);
                index.file = Some(file);
                index.stage = Stage::Reading { at: 0 };
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                index.stage = Stage::Filling { below: None };
            }
            Err(error) if is_foreign(&error) => index.stage = Stage::Off { until: None },
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn read_index(&self, index: &mut IndexFile<D>, at: u64) -> io::Result<()> {
        let end = u64::from(index.room) * RECORD_BYTES as u64;
        let mut piece = vec![0; CARD_INDEX_PIECE_BYTES];
        let count = match &index.file {
            Some(file) if at < end => self.disk.read_at(file, &mut piece, at)?,
            _ => 0,
        };
        let records = piece.get(..count).unwrap_or_default().as_chunks::<RECORD_BYTES>().0;
        let mut list = self.list();
        let Some(folder) = list.position(&index.directory) else { return Ok(()) };
        let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX) / RECORD_BYTES;
        for record in records.iter().take(left) {
            if let Some((row, round)) = index.log.read(record) {
                list.recall(folder, &row, round);
            }
        }
        index.stage = Stage::Reading { at: at + (records.len() * RECORD_BYTES) as u64 };
        if records.is_empty() {
            list.recalled(folder);
            index.stage = Stage::Filling { below: None };
        }
        Ok(())
    }

    /// Writes those of the next recordings that the index lacks.
    fn fill_index(&self, index: &mut IndexFile<D>, below: Option<Name>) -> io::Result<()> {
        let (mut records, mut names, mut last) = (Vec::new(), Vec::new(), None);
        {
            let list = self.list();
            let folder = list.position(&index.directory).and_then(|at| list.folders().get(at));
            let entries = folder.map(|folder| folder.below(below)).unwrap_or_default();
            for entry in entries.iter().rev().take(CARD_INDEX_ROWS_AT_ONCE) {
                last = Some(entry.name);
                let row = list.row(entry).filter(|_| !entry.is_indexed());
                if row.is_some_and(|row| index.log.write(&row, &mut records)) {
                    names.push(entry.name);
                }
            }
        }
        index.stage = match last {
            Some(last) => Stage::Filling { below: Some(last) },
            None => Stage::Ready,
        };
        if records.is_empty() || !self.is_writable() {
            return Ok(());
        }
        if self.write_records(index, records)? == Written::Here {
            self.set_indexed(index, &names);
        }
        Ok(())
    }

    fn write_row(&self, index: &mut IndexFile<D>, camera: CameraId, name: Name) -> io::Result<()> {
        let mut records = Vec::new();
        {
            let list = self.list();
            let entry = list.folder(camera).and_then(|folder| folder.get(name));
            let row = entry.filter(|entry| !entry.is_indexed()).and_then(|entry| list.row(entry));
            if !row.is_some_and(|row| index.log.write(&row, &mut records)) {
                return Ok(());
            }
        }
        if self.write_records(index, records)? == Written::Here {
            self.set_indexed(index, &[name]);
        }
        Ok(())
    }

    fn set_indexed(&self, index: &IndexFile<D>, names: &[Name]) {
        let mut list = self.list();
        let Some(at) = list.position(&index.directory) else { return };
        for name in names {
            list.entry_mut(at, *name).into_iter().for_each(|entry| entry.set_indexed(Indexed::Yes));
        }
    }

    /// Writes records at the end of the log. If it is full, it grows first; if most of it is about
    /// recordings that are gone, a new round begins instead, and all recordings are written again.
    fn write_records(&self, index: &mut IndexFile<D>, mut records: Vec<u8>) -> io::Result<Written> {
        let count =
            |records: &[u8]| u32::try_from(records.len() / RECORD_BYTES).unwrap_or(u32::MAX);
        let mut written = Written::Here;
        if index.log.next().saturating_add(count(&records)) > index.room {
            let listed = {
                let list = self.list();
                let folder = list.position(&index.directory).and_then(|at| list.folders().get(at));
                folder.map_or(0, |folder| folder.entries().len())
            };
            if index.room as usize > 2 * listed + TEXT_RECORDS {
                records.clear();
                index.log.begin_anew(&mut records);
                index.stage = Stage::Filling { below: None };
                if let Some(folder) = self.list().folder_at_mut(&index.directory) {
                    folder.lose_index();
                }
                written = Written::Anew;
            } else {
                self.grow_index(index, count(&records))?;
            }
        }
        let Some(file) = &index.file else { return Ok(written) };
        let at = u64::from(index.log.next()) * RECORD_BYTES as u64;
        self.disk.write_all_at(file, &records, at)?;
        index.log.written(count(&records));
        Ok(written)
    }

    /// Allocates space for at least this many more records, durably, before a byte is written: a
    /// power cut never leaves the file longer than its cluster chain.
    fn grow_index(&self, index: &mut IndexFile<D>, records: u32) -> io::Result<()> {
        let file = match index.file.take() {
            Some(file) => file,
            None => self.create_named(&index.directory, layout::INDEX)?,
        };
        let quarter = (index.room / 4).min(CARD_INDEX_GROWTH_RECORDS_MAX);
        let more = records.max(quarter).next_multiple_of(RECORDS_A_SECTOR);
        let bytes = |records: u32| u64::from(records) * RECORD_BYTES as u64;
        let room = index.room.saturating_add(more);
        self.disk.allocate(&file, bytes(room))?;
        self.disk.sync_directory(&index.directory)?;
        let zeros = vec![0; more as usize * RECORD_BYTES];
        self.disk.write_all_at(&file, &zeros, bytes(index.room))?;
        (index.room, index.file) = (room, Some(file));
        Ok(())
    }
}

const RECORDS_A_SECTOR: u32 = (512 / RECORD_BYTES) as u32;
/// Records of texts; real cards need about ten.
const TEXT_RECORDS: usize = 64;
