//! The meaning of errors, and their consequences: absent, read-only, failing; and the way back to
//! `ok`.
//!
//! A pulled card answers ENOSPC to a create and EIO to a read, and its mount stays. So the mount is
//! examined after every error, before anything else.

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::Card;
use crate::{
    limits::{
        CARD_FAILING_INTERVAL, CARD_LOOK_INTERVAL, CARD_REMOUNTS_PER_HOUR_MAX, CARD_RETRY_INTERVAL,
        REMOUNT_PERIOD,
    },
    storage::{
        CameraId, CardState, Event, Mended,
        disk::{Access, Disk, Mount, is_foreign},
        layout::{self, Name},
        segment::{self, Reach, Repaired},
    },
};

/// The cause of an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    Absent(String),
    ReadOnly,
    /// The card is present but accepts no more.
    NoRoom(Full),
    Failing(String),
}

/// What is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Full {
    /// ENOSPC.
    Card,
    /// EDQUOT: the file system does not tell the limit.
    Quota,
}

/// The file over which the card turned read-only, and how to repair it.
pub(super) struct Suspect {
    pub camera: CameraId,
    pub name: Name,
    pub cure: Cure,
}

/// Ways to repair a file; if one does not help, the next is tried.
pub(super) enum Cure {
    /// Trim it to the last complete fragment. `Reach::UpTo` if reading further did the harm.
    Repair(Reach),
    /// Rename it, which only touches the directory.
    SetAside,
}

pub(super) enum Cured {
    /// Complete, repaired or set aside.
    Done,
    /// It ends before its first complete fragment; nothing was written.
    Empty,
}

impl<D: Disk> Card<D> {
    pub(super) fn diagnose(&self, error: &io::Error) -> Trouble {
        let mount = self.root.as_ref().map(|root| self.mount(root));
        match (mount, error.kind()) {
            (Some(Mount::Absent(reason)), _) => Trouble::Absent(reason),
            // A file system that refuses writes but claims to be writable (ext4 after an error,
            // since Linux 6.13) is not helped by a remount, which succeeds without effect.
            (Some(Mount::ReadOnly), _) | (None, io::ErrorKind::ReadOnlyFilesystem) => {
                Trouble::ReadOnly
            }
            (_, io::ErrorKind::StorageFull) => Trouble::NoRoom(Full::Card),
            (_, io::ErrorKind::QuotaExceeded) => Trouble::NoRoom(Full::Quota),
            _ => Trouble::Failing(format!("the card reports: {error}")),
        }
    }

    /// Handles a fault; `file` is the file being accessed, if repairing it may help.
    pub(super) fn handle_trouble(
        &mut self,
        trouble: Trouble,
        file: Option<(CameraId, Name)>,
        now: Instant,
    ) {
        let suspect =
            file.map(|(camera, name)| Suspect { camera, name, cure: Cure::Repair(Reach::All) });
        self.handle_trouble_over(trouble, suspect, now);
    }

    /// The same, with the suspected file.
    pub(super) fn handle_trouble_over(
        &mut self,
        trouble: Trouble,
        suspect: Option<Suspect>,
        now: Instant,
    ) {
        self.next_look = now + CARD_RETRY_INTERVAL;
        match trouble {
            Trouble::Absent(reason) => self.lose_card(reason),
            Trouble::ReadOnly => {
                self.give_up_all();
                if self.suspect.is_none() {
                    self.suspect = suspect;
                }
                self.set_state(CardState::ReadOnly(self.why_read_only()));
                if self.was_writable {
                    self.next_look = now; // to remount it
                }
            }
            Trouble::NoRoom(_) => {
                let reason = "the card is full, and there is no recording left to delete";
                self.set_state(CardState::Full(reason.into()));
            }
            Trouble::Failing(reason) => {
                self.failing_until = now + CARD_FAILING_INTERVAL;
                self.next_head = self.next_head.map(|due| due.max(now + CARD_RETRY_INTERVAL));
                self.set_state(CardState::Failing(reason));
            }
        }
    }

    /// Examines the card as often as its state requires.
    pub(super) fn look(&mut self, now: Instant) {
        self.next_look = now + CARD_RETRY_INTERVAL;
        if self.root.is_some() {
            self.look_at_card(now);
        } else {
            self.look_for_card(now);
        }
        if self.list().state == CardState::Ok {
            self.next_look = now + CARD_LOOK_INTERVAL;
        }
    }

    pub(super) fn look_at_card(&mut self, now: Instant) {
        if self.has_moved(now) {
            return;
        }
        let Some(root) = self.root.clone() else { return };
        if let Some(directory) = self.folder_to_take(&root) {
            let reason = format!("{} can be recorded into again", directory.display());
            return self.take_up_anew(reason, now);
        }
        let state = self.list().state.clone();
        match (self.mount(&root), state) {
            (Mount::Absent(reason), _) => self.lose_card(reason),
            (Mount::ReadOnly, CardState::ReadOnly(_)) => self.remount(&root, now),
            (Mount::ReadOnly, _) => self.handle_trouble(Trouble::ReadOnly, None, now),
            (Mount::Writable, CardState::ReadOnly(_)) => self.writable_again(now),
            (Mount::Writable, CardState::Full(_)) => self.look_for_room(now),
            (Mount::Writable, CardState::Failing(_)) if now >= self.failing_until => {
                self.set_state(CardState::Ok);
            }
            (Mount::Writable, _) => {}
        }
    }

    /// Checks whether the listed folders are still in place. If not (another card, or a folder that
    /// was deleted or moved), open files are closed and everything starts again with what is there
    /// now.
    pub(super) fn has_moved(&mut self, now: Instant) -> bool {
        let moved = self.held.iter().find(|(path, it)| !self.disk.is_still_at(it, path));
        let Some((path, _)) = moved else { return false };
        let reason = match self.root.as_ref().map(|root| self.mount(root)) {
            Some(Mount::Absent(reason)) => reason,
            _ => format!("{} is missing or was replaced", path.display()),
        };
        self.take_up_anew(reason, now);
        true
    }

    /// A configured folder that could not be used because a link or file had its name, and now can
    /// be.
    fn folder_to_take(&self, root: &Path) -> Option<PathBuf> {
        let within = self.held.iter().find(|(held, _)| held == root).map(|(_, folder)| folder)?;
        let places = self.settings.cameras.iter().map(|place| layout::folder(root, &place.folder));
        let mut lost = places.filter(|it| self.held.iter().all(|(held, _)| held != it));
        lost.find(|directory| match self.disk.hold(directory, Some(within)) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound && self.is_writable(),
        })
    }

    /// Closes what is open, and reads everything anew.
    fn take_up_anew(&mut self, reason: String, now: Instant) {
        for camera in (0..self.cameras.len()).map(CameraId) {
            // Using only its open file: its path may belong to another file now.
            if self.can_close_by_file(camera) {
                self.close(camera, now);
            } else {
                self.give_up(camera);
            }
        }
        self.forget_card();
        self.set_state(CardState::Absent(reason));
        self.look_for_card(now);
    }

    fn look_for_card(&mut self, now: Instant) {
        let mut absent = None;
        for path in self.settings.paths.clone() {
            match self.mount(&path) {
                Mount::Absent(reason) => drop(absent.get_or_insert(reason)),
                mount => return self.take_up(path, mount, now),
            }
        }
        let reason = absent.unwrap_or_else(|| "no storage path is configured".into());
        self.set_state(CardState::Absent(reason));
    }

    pub(super) fn mount(&self, path: &Path) -> Mount {
        self.disk.mount(path, self.settings.require_mount)
    }

    fn lose_card(&mut self, reason: String) {
        self.give_up_all();
        self.forget_card();
        self.set_state(CardState::Absent(reason));
    }

    fn give_up_all(&mut self) {
        for camera in self.ids() {
            self.give_up(camera);
        }
    }

    /// Data became durable: earlier failures are over.
    pub(super) fn written_for_good(&mut self, now: Instant) {
        if self.index_due > now {
            self.index_due = now; // recording has begun
            self.next_head = Some(now);
        }
        if matches!(self.list().state, CardState::Failing(_)) {
            self.set_state(CardState::Ok);
        }
    }

    pub(super) fn overtaken(&mut self, camera: CameraId, now: Instant) {
        if self.list().state != CardState::Ok {
            return;
        }
        let camera = self.name_of(camera);
        let reason = format!("the card stalls for longer than the ring of {camera} holds");
        self.handle_trouble(Trouble::Failing(reason), None, now);
    }

    /// A reader could not read a file: has the card turned read-only over it, or will it?
    pub(super) fn read_failed(&mut self, camera: CameraId, name: Name, now: Instant) {
        let is_listed = self.list().folder(camera).is_some_and(|it| it.get(name).is_some());
        if !is_listed || self.root.is_none() {
            return;
        }
        let is_open = self.is_being_written(camera, name);
        if !is_open && !self.has_moved(now) && self.is_gone(camera, name) {
            return self.forget(camera, name);
        }
        match self.diagnose(&io::ErrorKind::Other.into()) {
            Trouble::Failing(_) if is_open => {}
            Trouble::Failing(_) => {
                if let Err((error, cure)) = self.cure(camera, name, Cure::Repair(Reach::All)) {
                    let trouble = self.diagnose(&error);
                    if !matches!(trouble, Trouble::Failing(_)) {
                        self.handle_trouble_over(
                            trouble,
                            Some(Suspect { camera, name, cure }),
                            now,
                        );
                    }
                }
            }
            trouble => self.handle_trouble(trouble, Some((camera, name)), now),
        }
    }

    /// Whether another program deleted or replaced a recording.
    fn is_gone(&self, camera: CameraId, name: Name) -> bool {
        let opened = self.path(camera, name).and_then(|path| self.disk.open(&path, Access::Read));
        opened.is_err_and(|error| error.kind() == io::ErrorKind::NotFound || is_foreign(&error))
    }

    fn why_read_only(&self) -> String {
        match &self.suspect {
            _ if !self.was_writable => "the card is mounted read-only".into(),
            Some(it) => format!("the card turned read-only over {}", self.file(it.camera, it.name)),
            None => "the card turned read-only".into(),
        }
    }

    fn remount(&mut self, root: &Path, now: Instant) {
        if !self.was_writable {
            return; // intended, or the card's write-protect switch
        }
        self.remounts.retain(|&then| now.saturating_duration_since(then) < REMOUNT_PERIOD);
        let why = self.why_read_only();
        if self.remounts.len() >= CARD_REMOUNTS_PER_HOUR_MAX {
            let reason =
                format!("{why}, after {CARD_REMOUNTS_PER_HOUR_MAX} remounts within an hour");
            return self.set_state(CardState::ReadOnly(reason));
        }
        self.remounts.push(now);
        match self.disk.remount_writable(root) {
            Ok(()) => self.writable_again(now),
            Err(error) => {
                let reason = format!("{why} and cannot be remounted: {error}");
                self.set_state(CardState::ReadOnly(reason));
            }
        }
    }

    /// The card is writable again: repairs the file over which it turned read-only.
    fn writable_again(&mut self, now: Instant) {
        if !self.was_writable
            && let Some(root) = self.root.clone()
        {
            return self.take_up(root, Mount::Writable, now);
        }
        let mut file = None;
        if let Some(Suspect { camera, name, cure }) = self.suspect.take() {
            file = self.path(camera, name).ok();
            let was_last_cure = matches!(cure, Cure::SetAside);
            match self.cure(camera, name, cure) {
                Ok(Cured::Done) => {}
                // Best effort: an empty file does no harm.
                Ok(Cured::Empty) => drop(self.remove_empty(camera, name)),
                Err((error, next)) => {
                    let suspect = Suspect { camera, name, cure: next };
                    let trouble = self.diagnose(&error);
                    if !matches!(trouble, Trouble::Failing(_)) {
                        self.suspect = (!was_last_cure).then_some(suspect);
                        return self.handle_trouble_over(trouble, None, now);
                    }
                }
            }
        }
        self.events.push_back(Event::Remounted { file });
        self.set_state(CardState::Ok);
        self.next_head = Some(now);
    }

    /// Repairs a file and reports that; a complete one is left unchanged.
    ///
    /// # Errors
    /// What failed, and the repair to try next: the same one would fail again.
    pub(super) fn cure(
        &mut self,
        camera: CameraId,
        name: Name,
        cure: Cure,
    ) -> Result<Cured, (io::Error, Cure)> {
        let set_aside = |error| (error, Cure::SetAside);
        let reach = match cure {
            Cure::SetAside => {
                self.set_aside(camera, name).map_err(set_aside)?;
                return Ok(Cured::Done);
            }
            Cure::Repair(Reach::All) => self.reach(camera, name),
            Cure::Repair(reach) => reach,
        };
        let path = self.path(camera, name).map_err(set_aside)?;
        let mended = match segment::repair(&self.disk, &path, reach).map_err(set_aside)? {
            Repaired::Whole { .. } => return Ok(Cured::Done),
            Repaired::Mended { bytes, removed_bytes, .. } => {
                Mended::Trimmed { bytes, removed_bytes }
            }
            Repaired::Empty { damage: None, .. } => return Ok(Cured::Empty),
            Repaired::Empty { .. } => return Ok(Cured::Done), // damaged; the list says so
            Repaired::Unreadable { whole_bytes: 0, error, .. } => return Err(set_aside(error)),
            Repaired::Unreadable { whole_bytes, error, .. } => {
                return Err((error, Cure::Repair(Reach::UpTo(whole_bytes))));
            }
        };
        self.read_again(camera, name);
        let file = self.recording(camera, name);
        self.events.push_back(Event::Mended { file, mended });
        Ok(Cured::Done)
    }

    fn set_aside(&mut self, camera: CameraId, name: Name) -> io::Result<()> {
        let (path, directory) = (self.path(camera, name)?, self.directory(camera)?);
        let aside = directory.join(name.set_aside());
        self.disk.rename(&path, &aside)?;
        // FAT writes the cluster into the new entry when the file is written, not before.
        let file = self.disk.open(&aside, Access::ReadWrite)?;
        self.disk.sync_data(&file)?;
        self.disk.sync_directory(&directory)?;
        let file = self.recording(camera, name);
        self.forget(camera, name);
        let mended = Mended::SetAside(name.set_aside());
        self.events.push_back(Event::Mended { file, mended });
        Ok(())
    }
}
