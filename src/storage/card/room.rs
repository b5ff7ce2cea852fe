//! Space on the card: what to delete, when, and what to do if that is not enough.

use std::{io, path::Path, time::Instant};

use super::{
    Card,
    health::{Cure, Full, Suspect, Trouble},
};
use crate::{
    limits::{
        CARD_DELETIONS_AT_ONCE_MAX, CARD_OPEN_TRIES_MAX, CARD_ROOM_INTERVAL, CARD_STEP_INTERVAL,
    },
    mp4::identity::ClockTrust,
    storage::{
        CameraId, CardState, DeleteError, DeleteReason, Event,
        catalog::SegmentState,
        disk::{Access, Disk, FileSystem, Space},
        layout::{self, Name},
        retention::{self, Aged, Verdict, Wanted},
    },
    units::WallTime,
};

impl<D: Disk> Card<D> {
    /// Makes space for a segment about to be opened; free space was measured before.
    pub(super) fn make_room(&mut self, camera: CameraId, now: Instant) {
        let (file_system, events_from) = (self.file_system, self.events_from(now));
        let surplus = self
            .list()
            .folder(camera)
            .and_then(|it| retention::for_count(it, file_system, events_from));
        if let Some(name) = surplus {
            // If it fails, the card's state gives the reason.
            let _ = self.delete(camera, name, DeleteReason::Count, now);
        }
        if self.list().space.is_some() {
            self.free_two_segments(now); // keep_free_percent can wait until it is open
        }
    }

    /// Deletes until two segments fit; returns true if anything was deleted.
    fn free_two_segments(&mut self, now: Instant) -> bool {
        for deleted in 0..CARD_DELETIONS_AT_ONCE_MAX {
            let is_done = self.ask_space().map_or(true, |space| !self.delete_for(space, 0, now));
            if is_done {
                return deleted > 0;
            }
        }
        true
    }

    /// Measures free space and deletes at most one recording.
    pub(super) fn room_step(&mut self, now: Instant) {
        self.next_room = now + CARD_ROOM_INTERVAL;
        // A pulled card still reports its old free space: nothing is deleted because of that.
        self.look_at_card(now);
        if !self.is_writable() {
            return;
        }
        let space = match self.ask_space() {
            Ok(space) => space,
            // The folder is created for the first camera.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.held.is_empty() => return,
            Err(error) => {
                let trouble = self.diagnose(&error);
                return self.handle_trouble(trouble, None, now);
            }
        };
        let went = match self.overdue(now) {
            Some((camera, name, reason)) => self.delete(camera, name, reason, now).is_ok(),
            None => self.delete_for(space, self.settings.keep_free_percent, now),
        };
        if went {
            self.next_room = now + CARD_STEP_INTERVAL; // perhaps not the last
        }
        self.expire_marks(now);
    }

    /// A recording to delete regardless of free space.
    fn overdue(&mut self, now: Instant) -> Option<(CameraId, Name, DeleteReason)> {
        let wall = self.wall_now(now);
        let days = self.settings.keep_days;
        let events = self.settings.event_days;
        let old =
            wall.and_then(|wall| retention::for_age(self.list().folders(), wall, days, events));
        let was_doubtful =
            std::mem::replace(&mut self.age_is_doubtful, old == Some(Aged::Doubtful));
        match old {
            Some(Aged::Delete(camera, name)) => return Some((camera, name, DeleteReason::Age)),
            Some(Aged::Doubtful) if !was_doubtful => self.events.push_back(Event::AgeDoubtful),
            Some(Aged::Doubtful) | None => {}
        }
        let events_from = self.events_from(now);
        let list = self.list();
        list.folders().iter().find_map(|folder| {
            let name = retention::for_count(folder, self.file_system, events_from)?;
            Some((folder.id, name, DeleteReason::Count))
        })
    }

    /// The card is present but accepts no more: deletes the oldest recording. Returns false if
    /// retrying is pointless; the state gives the reason.
    pub(super) fn free_after(&mut self, full: Full, camera: CameraId, now: Instant) -> bool {
        if self.has_moved(now) {
            return false;
        }
        match full {
            Full::Card => self.free_after_enospc(camera, now),
            Full::Quota => self.free_within_quota(now),
        }
    }

    /// A quota's free space is unknown: deletes two segments' worth.
    fn free_within_quota(&mut self, now: Instant) -> bool {
        let wanted = self.wanted(0, now);
        let mut space = Space { free: 0, total: 0 };
        let mut went = false;
        for _ in 0..CARD_DELETIONS_AT_ONCE_MAX {
            let verdict = retention::for_room(self.list().folders(), space, &wanted);
            let Verdict::Delete(camera, name) = verdict else { break };
            let bytes = self.list().folder_mut(camera).and_then(|it| Some(it.get_mut(name)?.bytes));
            if self.delete(camera, name, DeleteReason::Room, now).is_err() {
                break;
            }
            space.free += bytes.unwrap_or(0);
            went = true;
        }
        if !went && self.is_writable() {
            let reason = "the quota is used up, and there is no recording left to delete";
            self.handle_trouble(Trouble::Failing(reason.into()), None, now);
        }
        went
    }

    /// Determines whether the card is full, or only the directory.
    fn free_after_enospc(&mut self, camera: CameraId, now: Instant) -> bool {
        let space = match self.ask_space() {
            Ok(space) => space,
            Err(error) => {
                let trouble = self.diagnose(&error);
                self.handle_trouble(trouble, None, now);
                return false;
            }
        };
        if space.free < self.two_segments_bytes() {
            let went = self.free_two_segments(now);
            if !went && self.is_writable() {
                self.handle_trouble(Trouble::NoRoom(Full::Card), None, now);
            }
            return went;
        }
        let oldest = self.list().folder(camera).and_then(retention::oldest);
        let went = match oldest {
            Some(name) if self.deleted_in_vain < CARD_OPEN_TRIES_MAX => {
                self.deleted_in_vain += 1;
                self.delete(camera, name, DeleteReason::Room, now).is_ok()
            }
            _ => false,
        };
        if !went && self.is_writable() {
            let free = space.free >> 20;
            let reason = format!("the card accepts no more files, although {free} MB are free");
            self.handle_trouble(Trouble::Failing(reason), None, now);
        }
        went
    }

    /// Checks a full card again: a user may have deleted something.
    pub(super) fn look_for_room(&mut self, now: Instant) {
        let Ok(space) = self.ask_space() else { return };
        let wanted = self.wanted(0, now);
        let verdict = retention::for_room(self.list().folders(), space, &wanted);
        if verdict != Verdict::NothingLeft {
            self.next_room = now;
            self.set_state(CardState::Ok);
        }
    }

    fn wanted(&self, keep_free_percent: u8, now: Instant) -> Wanted {
        let events_from = self.events_from(now);
        Wanted { segments_bytes: self.two_segments_bytes(), keep_free_percent, events_from }
    }

    fn events_from(&self, now: Instant) -> Option<WallTime> {
        // While the clock is not trusted, it is no earlier than the latest that was recorded.
        let wall = self.wall_now(now).unwrap_or_else(|| retention::latest(self.list().folders()));
        retention::events_from(wall, self.settings.event_days)
    }

    /// Returns true if something was deleted because `space` is too small.
    fn delete_for(&mut self, space: Space, keep_free_percent: u8, now: Instant) -> bool {
        let wanted = self.wanted(keep_free_percent, now);
        let verdict = retention::for_room(self.list().folders(), space, &wanted);
        match verdict {
            Verdict::Enough | Verdict::NothingLeft => false,
            Verdict::Delete(camera, name) => {
                self.delete(camera, name, DeleteReason::Room, now).is_ok()
            }
        }
    }

    /// Deletes a recording. If it is not a recording, it is removed from the list instead; if it is
    /// kept, it stays, which counts as done: the next attempt chooses another.
    ///
    /// # Errors
    /// The card's fault; its state follows from that.
    pub(super) fn delete(
        &mut self,
        camera: CameraId,
        name: Name,
        reason: DeleteReason,
        now: Instant,
    ) -> Result<(), DeleteError> {
        let listed = self.list().folder(camera).and_then(|it| it.get(name).copied());
        if let Some(before) = listed
            && (before.state == SegmentState::Unread || before.is_from_index())
        {
            self.read_head(camera, name, now);
            if !self.is_writable() {
                return Err(DeleteError::Card);
            }
            let Some(after) = self.list().folder(camera).and_then(|it| it.get(name).copied())
            else {
                let asked = reason == DeleteReason::Asked;
                return if asked { Err(DeleteError::NotThere) } else { Ok(()) };
            };
            let spared = self.events_from(now);
            let is_event = |it| retention::is_event(it, spared);
            if reason != DeleteReason::Asked && is_event(&after) && !is_event(&before) {
                return Ok(()); // it was not known that something happened in it
            }
            let is_old = before.state == SegmentState::Unread || after.end().0 <= before.end().0;
            if reason == DeleteReason::Age && !is_old {
                return Ok(()); // the index had its age wrong
            }
        }
        if self.is_kept(camera, name) {
            let asked = reason == DeleteReason::Asked;
            return if asked { Err(DeleteError::Kept) } else { Ok(()) };
        }
        let is_exported = listed.is_some_and(|entry| entry.held() > 0);
        if is_exported && reason == DeleteReason::Asked {
            return Err(DeleteError::Exported);
        }
        if self.is_thinned_now(camera, name) {
            self.abandon_thinning();
        }
        if let Err(error) = self.unlink(camera, name) {
            let trouble = self.diagnose(&error);
            if reason != DeleteReason::Asked && matches!(trouble, Trouble::Failing(_)) {
                // Until the next listing: others must be deleted instead, or nothing ever is.
                self.forget(camera, name);
            }
            // Its first cluster may be free, so trimming would do the same harm.
            self.handle_trouble_over(
                trouble,
                Some(Suspect { camera, name, cure: Cure::SetAside }),
                now,
            );
            return Err(DeleteError::Failed(error));
        }
        self.gone(camera, name, reason);
        Ok(())
    }

    /// Removes a segment of ours without a complete fragment.
    pub(super) fn remove_empty(&mut self, camera: CameraId, name: Name) -> io::Result<()> {
        self.unlink(camera, name)?;
        self.gone(camera, name, DeleteReason::Empty);
        Ok(())
    }

    fn gone(&mut self, camera: CameraId, name: Name, reason: DeleteReason) {
        let file = self.recording(camera, name);
        self.forget(camera, name);
        self.events.push_back(Event::Deleted { file, reason });
    }

    /// Removes a file from the list.
    pub(super) fn forget(&self, camera: CameraId, name: Name) {
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.remove(name);
        }
    }

    /// A power cut between any two of these calls loses no number, because the marker comes first.
    pub(super) fn unlink(&mut self, camera: CameraId, name: Name) -> io::Result<()> {
        let (path, directory) = (self.path(camera, name)?, self.directory(camera)?);
        let is_highest = self.list().folder(camera).is_some_and(|folder| folder.is_highest(name));
        if is_highest {
            self.mark_highest(camera, name.number())?;
        }
        self.remove_name(&path, &directory)
    }

    /// Removes a file durably before its clusters are reused.
    pub(super) fn remove_name(&self, path: &Path, directory: &Path) -> io::Result<()> {
        // FAT frees a file's clusters when it is closed for the last time. The name must be removed
        // from the card first: a name whose clusters are free turns the card read-only. While the
        // file is open, only the name is removed.
        let file = match self.file_system {
            FileSystem::Fat => self.disk.open(path, Access::Read).ok(),
            FileSystem::Other => None,
        };
        match self.disk.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // somebody else did it
            result => result?,
        }
        self.disk.sync_directory(directory)?; // before the clusters are reused
        if let Some(file) = file {
            drop(file);
            self.disk.sync_directory(directory)?;
        }
        Ok(())
    }

    /// Marks a folder below the storage path as ours, so that it is recognised when no configured
    /// camera records into it any more.
    pub(super) fn mark_folder(&mut self, camera: CameraId) {
        let highest = {
            let list = self.list();
            let Some(folder) = list.folder(camera) else { return };
            let is_root = Some(&folder.directory) == self.root.as_ref();
            folder.highest().filter(|_| folder.marker.is_none() && !is_root)
        };
        if let Some(highest) = highest.filter(|_| self.is_writable()) {
            // If it fails, the next segment tries again, and the fault is reported elsewhere.
            let _ = self.mark_highest(camera, highest);
        }
    }

    fn mark_highest(&mut self, camera: CameraId, number: u32) -> io::Result<()> {
        let directory = self.directory(camera)?;
        match self.disk.create(&directory.join(layout::highest_marker(number))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => drop(result?),
        }
        self.disk.sync_directory(&directory)?;
        let before =
            self.list().folder_mut(camera).and_then(|folder| folder.marker.replace(number));
        if let Some(before) = before.filter(|&before| before != number) {
            // An old marker left behind does no harm.
            let _ = self.disk.remove(&directory.join(layout::highest_marker(before)));
        }
        Ok(())
    }

    pub(super) fn ask_space(&mut self) -> io::Result<Space> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let space = self.disk.space(root)?;
        let is_first = self.list().space.is_none();
        let is_aligned = if is_first { self.disk.is_aligned(root) } else { None };
        let mut list = self.list();
        if is_first {
            list.facts.is_aligned = is_aligned;
        }
        list.space = Some(space);
        Ok(space)
    }

    pub(super) fn is_clock_trusted(&self) -> bool {
        self.wall.is_some_and(|(_, _, clock, _)| clock == ClockTrust::Trusted)
    }

    /// The time, if it is trusted.
    pub(super) fn wall_now(&self, now: Instant) -> Option<WallTime> {
        let (wall, clock, _) = self.time_now(now)?;
        (clock == ClockTrust::Trusted).then_some(wall)
    }

    /// The time, whether it is trusted, and the uptime.
    pub(super) fn time_now(&self, now: Instant) -> Option<(WallTime, ClockTrust, u64)> {
        let (then, wall, clock, up_ms) = self.wall?;
        let passed = i64::try_from(now.saturating_duration_since(then).as_millis()).ok()?;
        let up_ms = up_ms.saturating_add(passed.unsigned_abs());
        Some((WallTime(wall.0.saturating_add(passed)), clock, up_ms))
    }
}
