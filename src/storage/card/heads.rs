//! Heads of recordings, read in the background, newest first: they contain camera, start and
//! length.
//!
//! A segment of ours that was not closed is repaired when its head is read.

use std::{io, time::Instant};

use super::{
    Card,
    health::{Cure, Cured, Suspect, Trouble},
    segments::millis,
};
use crate::{
    limits::{CARD_LEISURE_INTERVAL, CARD_STEP_INTERVAL},
    mp4::{
        identity::{Cause, ClockTrust, SegmentMarks},
        scan::{FileHead, FileState, read_head_and_length},
    },
    storage::{
        CameraId, Event, Recording,
        catalog::{Entry, Indexed, SegmentState, SegmentTime},
        disk::{Access, Disk, is_foreign},
        layout::{self, Name},
        segment::Reach,
    },
    units::WallTime,
};

/// The content of a file, judging by its head.
enum Found {
    Recording {
        head: Box<FileHead>,
        bytes: u64,
        modified: WallTime,
    },
    /// It starts with `ftyp`, but the rest is invalid.
    Damaged {
        bytes: u64,
        modified: WallTime,
    },
    /// An empty file.
    Nothing,
    /// Not a recording, or gone.
    Foreign,
}

/// What was listed about a recording before its head was read.
struct Listed {
    entry: Entry,
    file: Recording,
    generation: u32,
}

/// Where the time of a recording comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dated {
    Itself,
    ByOthers,
}

impl<D: Disk> Card<D> {
    /// Reads a piece of an index, or one head: first those that somebody waits for, then those of
    /// which nothing is known, and at leisure those that only the index speaks of.
    pub(super) fn head_step(&mut self, now: Instant) {
        if now >= self.index_due && self.index_step(now) {
            self.next_head = Some(now);
            return;
        }
        self.head_pause = now + CARD_STEP_INTERVAL;
        let asked = self.list().next_look();
        if let Some((camera, name)) = asked {
            self.next_head = Some(self.head_pause);
            self.read_head(camera, name, now);
            return;
        }
        let next = {
            let list = self.list();
            let count = list.folders().len().max(1);
            (0..count).map(|offset| (self.head_turn + offset) % count).find_map(|index| {
                let folder = list.folders().get(index)?;
                Some((index, folder.id, folder.newest_unread()?))
            })
        };
        let Some((index, camera, name)) = next else {
            return self.look_at_leisure(now);
        };
        self.next_head = Some(now + CARD_STEP_INTERVAL);
        self.head_turn = index + 1;
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.read_down_to(name);
        }
        self.read_head(camera, name, now);
    }

    /// Nothing is unknown: checks one recording that only the index speaks of.
    fn look_at_leisure(&mut self, now: Instant) {
        let next = {
            let mut list = self.list();
            list.all_read();
            list.folders().iter().find_map(|folder| Some((folder.id, folder.newest_unsure()?)))
        };
        self.next_head = (now < self.index_due).then_some(self.index_due);
        if let Some((camera, name)) = next {
            self.next_head = Some(now + CARD_LEISURE_INTERVAL);
            if let Some(folder) = self.list().folder_mut(camera) {
                folder.sure_down_to(name);
            }
            self.read_head(camera, name, now);
        }
    }

    /// Reads the head of a recording into the list; files that are not recordings are removed from
    /// it.
    pub(super) fn read_head(&mut self, camera: CameraId, name: Name, now: Instant) {
        if self.has_moved(now) {
            return;
        }
        let listed = self.listed(camera, name);
        let dated = self.read_head_of(camera, name, now);
        if let Some(listed) = listed {
            self.compare(camera, name, &listed, dated, now);
        }
    }

    /// What is listed of a recording.
    fn listed(&self, camera: CameraId, name: Name) -> Option<Listed> {
        let file = self.recording(camera, name);
        let list = self.list();
        let entry = *list.folder(camera)?.get(name)?;
        Some(Listed { entry, file, generation: list.generation() })
    }

    /// Corrects the index where the file says something other than the list did.
    fn compare(
        &mut self,
        camera: CameraId,
        name: Name,
        listed: &Listed,
        dated: Dated,
        now: Instant,
    ) {
        let before = &listed.entry;
        let after = {
            let mut list = self.list();
            if list.generation() != listed.generation {
                return; // another card
            }
            let entry = list.folder_mut(camera).and_then(|folder| folder.get_mut(name));
            entry.map(|entry| {
                entry.set_sure();
                if !entry.says_as(before) {
                    entry.set_indexed(Indexed::No);
                }
                *entry
            })
        };
        let is_so = after.is_some_and(|after| match dated {
            _ if after.state == SegmentState::Unreadable => true, // the card's fault
            Dated::Itself => after.says_as(before),
            Dated::ByOthers => after.says_but_for_time(before),
        });
        if before.is_from_index() && !is_so {
            let (file, state) = (listed.file.clone(), after.map(|after| after.state));
            self.events.push_back(Event::Corrected { file, state });
            self.caught(camera, now);
        }
        if after.is_some_and(|after| !after.is_indexed()) {
            self.note(camera, name, now);
        }
    }

    /// Does so; says where its time comes from.
    fn read_head_of(&mut self, camera: CameraId, name: Name, now: Instant) -> Dated {
        let mut found = self.look_into(camera, name);
        if let Ok(Found::Recording { head, bytes, .. }) = &found
            && head.layout.is_some()
            && !head.is_closed(*bytes)
            && self.is_writable()
        {
            found = match self.mend_unclosed(camera, name, now) {
                Ok(()) => self.look_into(camera, name),
                Err(error) if is_foreign(&error) => found, // it stays as it is
                Err(error) => Err(error),
            };
        }
        let dated = match &found {
            Ok(Found::Recording { head, .. })
                if head.identity.as_ref().is_some_and(|it| it.clock == ClockTrust::Trusted) =>
            {
                Dated::Itself
            }
            _ => Dated::ByOthers,
        };
        match found {
            Ok(Found::Nothing) if self.is_stillborn(camera, name) => {
                if let Err(error) = self.remove_empty(camera, name) {
                    let trouble = self.diagnose(&error);
                    self.forget(camera, name);
                    self.handle_trouble(trouble, None, now);
                }
            }
            Ok(Found::Nothing | Found::Foreign) => self.forget(camera, name),
            Ok(Found::Recording { head, bytes, modified }) => {
                self.enter(camera, name, &head, bytes, modified);
                if head.identity.is_some_and(|identity| identity.marks.has(SegmentMarks::COPY)) {
                    self.settle_copy(camera, name, now);
                }
            }
            // What a power cut left of a copy's head does not say that it is one.
            Ok(Found::Damaged { .. })
                if name.is_longer() && !self.settle_copy(camera, name, now) => {}
            Ok(Found::Damaged { bytes, modified }) => {
                self.update(camera, name, |entry| {
                    entry.state = SegmentState::Damaged;
                    (entry.bytes, entry.start) = (bytes, modified);
                });
                self.list().own(camera, name, None);
            }
            Err(error) => {
                self.update(camera, name, |entry| entry.state = SegmentState::Unreadable);
                // One unreadable file does not matter; a missing card does.
                match self.diagnose(&error) {
                    Trouble::Failing(_) | Trouble::NoRoom(_) => {}
                    trouble => self.handle_trouble(trouble, Some((camera, name)), now),
                }
            }
        }
        dated
    }

    /// Returns true if an empty file is a segment for which a recorder allocated space before it
    /// ended: the last name found. Any other empty file is foreign.
    fn is_stillborn(&self, camera: CameraId, name: Name) -> bool {
        let is_usual = Name::new(name.number()) == Some(name);
        let was_last = self.list().folder_mut(camera).is_some_and(|it| it.was_last(name));
        is_usual && was_last && self.is_writable()
    }

    /// Schedules a head to be read again, and the file repaired if it was not closed.
    pub(super) fn read_again(&mut self, camera: CameraId, name: Name) {
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.read_again(name);
        }
        self.next_head = self.next_head.or(Some(self.next_look));
    }

    fn mend_unclosed(&mut self, camera: CameraId, name: Name, now: Instant) -> io::Result<()> {
        let (error, cure) = match self.cure(camera, name, Cure::Repair(Reach::All)) {
            Ok(Cured::Done) => return Ok(()),
            Ok(Cured::Empty) => return self.remove_empty(camera, name),
            Err(failed) => failed,
        };
        match (self.diagnose(&error), cure) {
            // The card works except in this place: everything before it is kept.
            (Trouble::Failing(_), cure @ Cure::Repair(_)) => {
                self.cure(camera, name, cure).map_err(|(error, _)| error).map(drop)
            }
            (Trouble::Failing(_), _) => Err(error),
            (trouble, cure) => {
                self.handle_trouble_over(trouble, Some(Suspect { camera, name, cure }), now);
                Err(error)
            }
        }
    }

    fn look_into(&self, camera: CameraId, name: Name) -> io::Result<Found> {
        let file = match self.disk.open(&self.path(camera, name)?, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_foreign(&error) => {
                return Ok(Found::Foreign);
            }
            result => result?,
        };
        let bytes = self.disk.len(&file)?;
        if bytes == 0 {
            return Ok(Found::Nothing);
        }
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(&file, buffer, at);
        let modified = self.disk.modified(&file)?;
        match read_head_and_length(&read_at, bytes) {
            Ok(head) => Ok(Found::Recording { head: Box::new(head), bytes, modified }),
            Err(FileState::Unreadable { error, .. }) => match error.kind() {
                io::ErrorKind::IsADirectory => Ok(Found::Foreign),
                _ => Err(error),
            },
            Err(_) => {
                let mut first = [0; 8];
                self.disk.read_at(&file, &mut first, 0)?;
                let is_recording = layout::begins_with_ftyp(&first);
                Ok(if is_recording { Found::Damaged { bytes, modified } } else { Found::Foreign })
            }
        }
    }

    pub(super) fn enter(
        &self,
        camera: CameraId,
        name: Name,
        head: &FileHead,
        bytes: u64,
        modified: WallTime,
    ) {
        let listed = self.list().folder(camera).and_then(|folder| folder.get(name).copied());
        let codecs = head.video.as_ref().map(|video| self.list().intern(&video.codecs));
        let is_cut = head.layout.is_some() && !head.is_closed(bytes);
        self.update(camera, name, |entry| {
            entry.state = if is_cut { SegmentState::Cut } else { SegmentState::Whole };
            entry.bytes = bytes;
            entry.codec = head.video.as_ref().map(|video| video.codec);
            entry.duration_ms = head.duration.map_or(0, millis);
            entry.set_marks(head.identity.as_ref().map_or(SegmentMarks::NONE, |it| it.marks));
            // The old system's file: last modified when its last frame arrived.
            entry.start = WallTime(modified.0.saturating_sub(entry.duration_ms.into()));
            entry.clock_trusted = false;
            entry.set_cause(head.identity.as_ref().map_or(Cause::Unknown, |it| it.cause));
            if let Some(codecs) = codecs {
                entry.set_codecs(codecs);
            }
        });
        let owner = head.identity.as_ref().map(|identity| &*identity.camera);
        self.list().own(camera, name, owner);
        if let Some(identity) = &head.identity {
            let (mut list, stamp) = (self.list(), SegmentTime::of(identity));
            if let Some(it) = listed.filter(|it| it.is_from_index() && it.bytes == bytes)
                && it.clock_trusted
            {
                list.learn_from_index(it.start, &stamp);
            }
            list.date(camera, name, &stamp);
        }
    }
}
