//! Segments written by another program: FFmpeg, into a camera's folder.
//!
//! It numbers its files itself ([`layout::staged_name`]). As soon as one appears, it gets the next
//! unused number, is listed as being recorded, becomes ours if its head has space for that, is
//! synced as it grows, and is closed when FFmpeg has started the next one.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{Card, health::Trouble, segments::millis};
use crate::{
    limits::{CARD_OPEN_TRIES_MAX, STAGED_FILES_MAX, STAGED_LOOK_INTERVAL},
    mp4::{
        identity::{Cause, ClockTrust, Identity, SegmentMarks},
        plan::{self, PlanStep},
        scan::{self, Depth, FileHead, Scan, boxes_end},
    },
    storage::{
        CameraId, Ending, Event, OpenError,
        catalog::{Entry, SegmentState, SegmentTime},
        disk::{Access, Disk, is_foreign},
        layout::{self, Name},
        segment,
    },
    units::WallTime,
};

/// A camera's folder while another program writes there.
pub(super) struct Staged<D: Disk> {
    run: u64,
    /// The other program's number of the next file.
    next: u32,
    next_look: Instant,
    open: Option<Open<D>>,
    /// The end of the last segment, where the next one starts unless the clock says otherwise.
    end: Option<WallTime>,
}

struct Open<D: Disk> {
    name: Name,
    file: D::File,
    since: Instant,
    /// The end of the last complete fragment.
    bytes: u64,
    durable_bytes: u64,
    unsynced_since: Option<Instant>,
}

impl<D: Disk> Staged<D> {
    pub fn name(&self) -> Option<Name> {
        self.open.as_ref().map(|open| open.name)
    }

    /// The open file, and its durable length.
    pub fn durable(&self) -> Option<(Name, u64)> {
        self.open.as_ref().map(|open| (open.name, open.durable_bytes))
    }

    pub fn next_look(&self) -> Instant {
        self.next_look
    }
}

impl<D: Disk> Card<D> {
    /// Lets another program write into a camera's folder.
    pub(super) fn stage(&mut self, camera: CameraId, run: u64, now: Instant) {
        self.close(camera, now);
        let event = match self.try_stage(camera, run, now) {
            Ok(event) => event,
            Err(reason) => Event::OpenFailed { camera, reason },
        };
        self.events.push_back(event);
    }

    fn try_stage(&mut self, camera: CameraId, run: u64, now: Instant) -> Result<Event, OpenError> {
        if self.slot(camera).is_none() {
            return Err(OpenError::NoSuchCamera);
        }
        self.look_at_card(now);
        if !self.takes_segments() {
            return Err(OpenError::Card);
        }
        self.make_room(camera, now);
        let directory = self.directory(camera).map_err(OpenError::Failed)?;
        self.take_up_left_over(camera, run, now).map_err(OpenError::Failed)?;
        let number = self.list().next_number(camera);
        let staged = Staged { run, next: number, next_look: now, open: None, end: None };
        if let Some(slot) = self.slot_mut(camera) {
            slot.staged = Some(staged);
        }
        Ok(Event::Staged { camera, directory, number })
    }

    /// Takes over files left by an earlier program, which has ended. Afterwards none of these names
    /// exist: the other program would overwrite those files.
    fn take_up_left_over(&mut self, camera: CameraId, run: u64, now: Instant) -> io::Result<()> {
        while let left = self.left_over(camera)?
            && !left.is_empty()
        {
            for number in left {
                if let Some(slot) = self.cameras.get_mut(camera.0) {
                    let (next_look, open) = (now, None);
                    slot.staged = Some(Staged { run, next: number, next_look, open, end: None });
                }
                self.look_at_staged(camera, now);
                self.set_torn_aside(camera)?;
                self.close_staged(camera, now);
                let name = self.directory(camera)?.join(layout::staged_name(number));
                if self.disk.exists(&name) {
                    // Otherwise this might never end.
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
            }
        }
        Ok(())
    }

    /// Some of the existing staged names, in order.
    fn left_over(&self, camera: CameraId) -> io::Result<Vec<u32>> {
        let directory = self.directory(camera)?;
        let mut left = Vec::new();
        self.disk.list(&directory, &mut |file, _| {
            // By the exact name FFmpeg uses: a foreign one may differ in case or digits.
            if let Some(number) = layout::parse_staged_name(file)
                && left.len() < STAGED_FILES_MAX
                && self.disk.exists(&directory.join(layout::staged_name(number)))
            {
                left.push(number);
            }
        })?;
        left.sort_unstable();
        left.dedup();
        Ok(left)
    }

    pub(super) fn stages_due(&mut self, now: Instant) {
        if self.next_stage().is_none_or(|due| now < due) || self.has_moved(now) {
            return;
        }
        for camera in self.ids() {
            let due = self.slot(camera).and_then(|slot| slot.staged.as_ref());
            if due.is_some_and(|staged| now >= staged.next_look) {
                self.look_at_staged(camera, now);
            }
        }
    }

    /// Takes over new files and checks how the open one grows.
    pub(super) fn look_at_staged(&mut self, camera: CameraId, now: Instant) {
        for _ in 0..STAGED_FILES_MAX {
            let result = self.take_up_next(camera, now);
            match result {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.fail_staged(camera, &error, now),
            }
        }
        if let Err(error) = self.watch_open(camera, now) {
            self.fail_staged(camera, &error, now);
        }
        if let Some(staged) = self.staged_mut(camera) {
            staged.next_look = now + STAGED_LOOK_INTERVAL;
        }
    }

    /// Returns true if there was a next file; the previous one is then complete.
    fn take_up_next(&mut self, camera: CameraId, now: Instant) -> io::Result<bool> {
        let Some(next) = self.staged_mut(camera).map(|staged| staged.next) else {
            return Ok(false);
        };
        let directory = self.directory(camera)?;
        let path = directory.join(layout::staged_name(next));
        if !self.disk.exists(&path) {
            return Ok(false);
        }
        let file = match self.disk.open(&path, Access::ReadWrite) {
            Err(error) if is_foreign(&error) => return Ok(false),
            result => result?,
        };
        let bytes = self.disk.len(&file)?;
        let head = scan::read_head(&|buffer, at| self.disk.read_at(&file, buffer, at), bytes);
        let Ok(head) = head else {
            // Its head has not been written yet. A file that never gets one is handled at the end.
            return Ok(false);
        };
        self.close_open(camera, now)?;
        let name = self.rename_staged(camera, next)?;
        let wall = self.wall_of_next(camera, now);
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.push(Entry::new(name, SegmentState::Recording));
        }
        let result = self.prepare(camera, name, &file, &head, wall);
        let owner = self.name_of(camera);
        self.list().own(camera, name, Some(&owner));
        self.mark_folder(camera);
        if let Some(staged) = self.staged_mut(camera) {
            staged.next = next.saturating_add(1);
            let (bytes, durable_bytes) = (head.media_begin, 0);
            let unsynced_since = None;
            staged.open =
                Some(Open { name, file, since: now, bytes, durable_bytes, unsynced_since });
        }
        self.next_room = self.next_room.min(now);
        self.events.push_back(Event::Opened { camera, number: name.number() });
        if let Err(error) = result {
            let Trouble::NoRoom(full) = self.diagnose(&error) else { return Err(error) };
            self.free_after(full, camera, now); // if that does not help, it works without
        }
        Ok(true)
    }

    /// Makes a file ours and allocates its space ahead, as for our own segments.
    fn prepare(
        &self,
        camera: CameraId,
        name: Name,
        file: &D::File,
        head: &FileHead,
        wall: Option<(WallTime, ClockTrust, u64)>,
    ) -> io::Result<()> {
        if let (Some(spare), Some((wall, clock, up_ms))) = (&head.spare, wall) {
            let staged = self.slot(camera).and_then(|slot| slot.staged.as_ref());
            let identity = Identity {
                camera: self.name_of(camera),
                number: name.number(),
                run: staged.map_or(0, |staged| staged.run),
                boot: self.settings.boot,
                wall,
                clock,
                marks: SegmentMarks::NONE,
                up_ms: Some(up_ms),
                cause: Cause::Unknown,
            };
            segment::carry_out(&self.disk, file, &plan::claim(spare, &identity))?;
        }
        let modified = self.disk.modified(file)?;
        self.enter(camera, name, head, head.media_begin, modified);
        self.update(camera, name, |entry| {
            entry.state = SegmentState::Recording;
        });
        if let Some((wall, clock, up_ms)) = wall {
            let stamp = SegmentTime { boot: self.settings.boot, up_ms: Some(up_ms), wall, clock };
            self.list().date(camera, name, &stamp);
        }
        let allocated = self.disk.allocate(file, self.expected_bytes(camera));
        self.disk.sync_directory(&self.directory(camera)?)?;
        allocated
    }

    /// Renames a file to the next number, never replacing another file.
    fn rename_staged(&mut self, camera: CameraId, staged: u32) -> io::Result<Name> {
        let directory = self.directory(camera)?;
        for _ in 0..CARD_OPEN_TRIES_MAX {
            let number = self.list().next_number(camera);
            let name = Name::new(number).ok_or(io::ErrorKind::StorageFull)?;
            let path = directory.join(name.file_name());
            if self.disk.exists(&path) {
                self.use_up(camera, number); // it was created since the readdir
                continue;
            }
            self.disk.rename(&directory.join(layout::staged_name(staged)), &path)?;
            return Ok(name);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// UTC of the first frame of the new file.
    fn wall_of_next(
        &mut self,
        camera: CameraId,
        now: Instant,
    ) -> Option<(WallTime, ClockTrust, u64)> {
        let (wall, clock, up_ms) = self.time_now(now)?;
        let end = self.staged_mut(camera).and_then(|staged| staged.end);
        let goes_on = end.filter(|end| wall.0.saturating_sub(end.0).abs() <= JOINT_MS_MAX);
        let start = goes_on.unwrap_or(wall);
        let up_ms = up_ms.saturating_add_signed(start.0.saturating_sub(wall.0));
        Some((start, clock, up_ms))
    }

    /// Lists what was written since the last check, and syncs it when due.
    fn watch_open(&mut self, camera: CameraId, now: Instant) -> io::Result<()> {
        let sync = self.settings.sync;
        let Some(open) = self
            .cameras
            .iter_mut()
            .find(|slot| slot.place.id == camera)
            .and_then(|slot| slot.staged.as_mut())
            .and_then(|staged| staged.open.as_mut())
        else {
            return Ok(());
        };
        let len = self.disk.len(&open.file)?;
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(&open.file, buffer, at);
        let end = boxes_end(&read_at, open.bytes, len)?;
        let has_grown = end > open.bytes;
        if has_grown {
            open.bytes = end;
            open.unsynced_since.get_or_insert(now);
        }
        let patience = if open.durable_bytes == 0 { Duration::ZERO } else { sync };
        let is_due = open.unsynced_since.is_some_and(|since| now >= since + patience);
        if is_due {
            self.disk.sync_data(&open.file)?;
            open.unsynced_since = None;
            open.durable_bytes = open.bytes;
        }
        let (name, bytes) = (open.name, open.bytes);
        let span = now.saturating_duration_since(open.since).as_millis();
        self.update(camera, name, |entry| {
            (entry.bytes, entry.duration_ms) = (bytes, u32::try_from(span).unwrap_or(u32::MAX));
        });
        if has_grown {
            self.events.push_back(Event::Grown { camera });
        }
        if is_due {
            self.deleted_in_vain = 0;
            self.events.push_back(Event::Durable { camera, frames_end: 0 });
            self.written_for_good(now);
        }
        Ok(())
    }

    /// The other program has exited: takes over and closes its last files.
    pub(super) fn close_staged(&mut self, camera: CameraId, now: Instant) {
        self.look_at_staged(camera, now);
        let result = self.close_open(camera, now).and_then(|()| self.remove_torn(camera));
        if let Err(error) = result {
            self.fail_staged(camera, &error, now);
        }
        if let Some(slot) = self.slot_mut(camera) {
            slot.staged = None;
        }
    }

    /// Removes a file whose head was never written: it contains nothing.
    fn remove_torn(&mut self, camera: CameraId) -> io::Result<()> {
        let Some(next) = self.staged_mut(camera).map(|staged| staged.next) else { return Ok(()) };
        let directory = self.directory(camera)?;
        let path = directory.join(layout::staged_name(next));
        let is_file = |path: &_| self.disk.open(path, Access::Read).is_ok();
        if self.disk.exists(&path) && is_file(&path) {
            self.disk.remove(&path)?;
            self.disk.sync_directory(&directory)?;
        }
        Ok(())
    }

    /// The same for a file that may belong to someone else: unless it is empty, it is renamed
    /// instead.
    fn set_torn_aside(&mut self, camera: CameraId) -> io::Result<()> {
        let Some(next) = self.staged_mut(camera).map(|staged| staged.next) else { return Ok(()) };
        let directory = self.directory(camera)?;
        let path = directory.join(layout::staged_name(next));
        if !self.disk.exists(&path) {
            return Ok(());
        }
        let bytes = match self.disk.open(&path, Access::Read) {
            Err(error) if is_foreign(&error) => None,
            file => Some(self.disk.len(&file?)?),
        };
        if bytes != Some(0) {
            let number = self.list().next_number(camera);
            let name = Name::new(number).ok_or(io::ErrorKind::StorageFull)?;
            self.use_up(camera, number);
            self.disk.rename(&path, &directory.join(name.set_aside()))?;
        }
        Ok(())
    }

    /// Closes the open file, which no longer grows.
    fn close_open(&mut self, camera: CameraId, now: Instant) -> io::Result<()> {
        let Some(open) = self.staged_mut(camera).and_then(|staged| staged.open.take()) else {
            return Ok(());
        };
        let (name, durable_bytes) = (open.name, open.durable_bytes);
        let closed = self.close_file(&open.file);
        drop(open);
        let scan = match closed {
            Ok(scan) => scan,
            Err(error) => {
                self.given_up(camera, name, durable_bytes);
                let trouble = self.diagnose(&error);
                self.handle_trouble(trouble, Some((camera, name)), now);
                return Ok(());
            }
        };
        if scan.fragments == 0 {
            self.close_empty(camera, name, now);
            return Ok(());
        }
        let duration = scan.duration;
        let indexed = scan.head.is_some_and(|head| head.layout.is_some());
        let bytes = scan.whole_bytes;
        let mut start = None;
        self.update(camera, name, |entry| {
            entry.state = SegmentState::Whole;
            (entry.bytes, entry.duration_ms) = (bytes, millis(duration));
            start = Some(entry.start);
        });
        if let Some(staged) = self.staged_mut(camera) {
            staged.end = start.map(|start| WallTime(start.0 + duration.as_millis()));
        }
        self.expect(camera, bytes);
        self.note(camera, name, now);
        let number = name.number();
        let ending = if indexed { Ending::Whole } else { Ending::Unindexed };
        self.events.push_back(Event::Durable { camera, frames_end: 0 });
        self.events.push_back(Event::Closed { camera, number, ending });
        self.wear(bytes);
        Ok(())
    }

    /// Reads a file's fragments, writes its index if there is space, and frees unused space.
    fn close_file(&self, file: &D::File) -> io::Result<Scan> {
        let len = self.disk.len(file)?;
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(file, buffer, at);
        let scan = scan::scan(&read_at, len, Depth::Structure);
        let layout = scan.head.as_ref().and_then(|head| head.layout.as_ref());
        let steps = match (layout, scan.state) {
            (_, scan::FileState::Unreadable { error, .. }) => return Err(error),
            (Some(layout), _) if scan.fragments > 0 => {
                plan::close(layout, &scan.index, scan.whole_bytes)
            }
            _ => vec![PlanStep::Truncate { length: len }, PlanStep::Sync],
        };
        segment::carry_out(&self.disk, file, &steps)?;
        Ok(Scan { state: scan::FileState::Whole, ..scan })
    }

    fn fail_staged(&mut self, camera: CameraId, error: &io::Error, now: Instant) {
        let trouble = self.diagnose(error);
        let name = self.give_up(camera);
        let reason = OpenError::Failed(io::Error::new(error.kind(), error.to_string()));
        self.events.push_back(Event::OpenFailed { camera, reason });
        if let Trouble::NoRoom(full) = trouble {
            self.free_after(full, camera, now); // the state tells whether it helped
            return;
        }
        self.handle_trouble(trouble, name.map(|name| (camera, name)), now);
    }

    fn staged_mut(&mut self, camera: CameraId) -> Option<&mut Staged<D>> {
        self.slot_mut(camera)?.staged.as_mut()
    }
}

/// A file that starts within this time of the previous one's end continues it.
const JOINT_MS_MAX: i64 = 3000;
