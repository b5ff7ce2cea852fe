//! Segments on the card: open, append, sync, close; one at a time for each camera.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    Card,
    health::{Full, Trouble},
    proofs::Taken,
    staged::Staged,
};
use crate::{
    codec,
    limits::{ALLOCATION_STEP_BYTES, CARD_OPEN_TRIES_MAX, GIVEN_UP_MAX, SEGMENT_BYTES_MAX},
    mp4::identity::{Identity, SegmentMarks},
    storage::{
        CameraId, Ending, Event, Fragment, OpenError, Place, Refused, SegmentStart,
        catalog::{Entry, SegmentState, SegmentTime},
        disk::Disk,
        layout::Name,
        segment::{self, Reach, Segment},
    },
    units::Ticks,
};

/// A camera's open segment, and the expected size of its segments.
pub(super) struct CameraSegments<D: Disk> {
    pub(super) place: Place,
    open: Option<Open<D>>,
    /// The segment written by another program instead.
    pub(super) staged: Option<Staged<D>>,
    /// The space to allocate, judging by previous segments; `None` before the first.
    expected_bytes: Option<u64>,
    /// Files abandoned after an error, with their durable length. Anything written after that may
    /// only be in memory: after a failed write it is still in the page cache, but not on the card.
    given_up: Vec<(Name, u64)>,
    /// Something happens up to then: the machine's uptime in milliseconds.
    pub(super) marked_until: Option<u64>,
}

struct Open<D: Disk> {
    name: Name,
    segment: Segment<D>,
    /// When the oldest fragment not yet durable was appended.
    unsynced_since: Option<Instant>,
    /// The number after the last frame appended.
    frames_end: u64,
    /// Of its first fragment.
    sample: Option<Taken>,
}

impl<D: Disk> CameraSegments<D> {
    pub(super) fn new(place: Place) -> CameraSegments<D> {
        let (expected_bytes, given_up, marked_until) = (None, Vec::new(), None);
        CameraSegments { place, open: None, staged: None, expected_bytes, given_up, marked_until }
    }
}

impl<D: Disk> Card<D> {
    pub(super) fn open(&mut self, camera: CameraId, start: &SegmentStart, now: Instant) {
        self.close(camera, now);
        self.set_wall(start.wall, start.clock, start.up_ms, now);
        match self.try_open(camera, start, now) {
            Ok(number) => self.events.push_back(Event::Opened { camera, number }),
            Err(reason) => self.events.push_back(Event::OpenFailed { camera, reason }),
        }
    }

    fn try_open(
        &mut self,
        camera: CameraId,
        start: &SegmentStart,
        now: Instant,
    ) -> Result<u32, OpenError> {
        if self.slot(camera).is_none() {
            return Err(OpenError::NoSuchCamera);
        }
        if !self.takes_segments() {
            return Err(OpenError::Card);
        }
        self.look_at_card(now); // cheap, and all that prevents filling the root file system
        if !self.takes_segments() {
            return Err(OpenError::Card);
        }
        self.directory(camera).map_err(OpenError::Failed)?;
        self.make_room(camera, now);
        let mut last = OpenError::Card;
        for _ in 0..CARD_OPEN_TRIES_MAX {
            let number = self.list().next_number(camera);
            let name = Name::new(number).ok_or(OpenError::NoNumberLeft)?;
            let error = match self.create(camera, name, start) {
                Ok(()) => {
                    self.deleted_in_vain = 0;
                    self.next_room = self.next_room.min(now);
                    return Ok(number);
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::AlreadyExists {
                self.use_up(camera, number); // it was created since the readdir
                last = OpenError::Failed(error);
                continue;
            }
            self.remove_stillborn(camera, name);
            let retry = match self.diagnose(&error) {
                Trouble::NoRoom(full) => self.free_after(full, camera, now),
                trouble => {
                    self.handle_trouble(trouble, None, now);
                    false
                }
            };
            last = OpenError::Failed(error);
            if !retry {
                break;
            }
        }
        Err(last)
    }

    pub(super) fn takes_segments(&self) -> bool {
        self.root.is_some() && self.list().state.takes_segments()
    }

    fn create(&mut self, camera: CameraId, name: Name, start: &SegmentStart) -> io::Result<()> {
        let (path, directory) = (self.path(camera, name)?, self.directory(camera)?);
        let marked_until = self.slot(camera).and_then(|slot| slot.marked_until);
        let is_marked = marked_until.is_some_and(|until| start.up_ms <= until);
        let identity = Identity {
            camera: self.name_of(camera),
            number: name.number(),
            run: start.run,
            boot: self.settings.boot,
            wall: start.wall,
            clock: start.clock,
            marks: if is_marked { SegmentMarks::EVENT } else { SegmentMarks::NONE },
            up_ms: Some(start.up_ms),
            cause: start.cause,
        };
        let start_of_file = segment::FileStart {
            parameter_sets: &start.parameter_sets,
            audio: start.audio.as_deref(),
            identity: &identity,
            file_system: self.file_system,
            expected_bytes: self.expected_bytes(camera),
        };
        let segment = Segment::create(&self.disk, &path, &directory, &start_of_file)?;
        let mut list = self.list();
        let codecs = list.intern(&codec::mime(&start.parameter_sets, start.audio.as_deref()));
        let mut entry = Entry::new(name, SegmentState::Recording);
        entry.set_codecs(codecs);
        entry.codec = Some(start.parameter_sets.codec());
        entry.set_cause(start.cause);
        entry.set_marks(identity.marks);
        entry.bytes = segment.bytes();
        if let Some(folder) = list.folder_mut(camera) {
            folder.push(entry);
        }
        list.own(camera, name, Some(&identity.camera));
        list.date(camera, name, &SegmentTime::of(&identity));
        drop(list);
        self.mark_folder(camera);
        if let Some(slot) = self.slot_mut(camera) {
            slot.open =
                Some(Open { name, segment, unsynced_since: None, frames_end: 0, sample: None });
        }
        Ok(())
    }

    /// A camera's name, as in the identity of its segments.
    pub(super) fn name_of(&self, camera: CameraId) -> String {
        self.slot(camera).map(|slot| slot.place.name.clone()).unwrap_or_default()
    }

    /// Removes a file that could not be created completely, or marks its number as used.
    fn remove_stillborn(&mut self, camera: CameraId, name: Name) {
        let removed = self.path(camera, name).and_then(|path| self.disk.remove(&path));
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.use_up(camera, name.number()),
        }
    }

    pub(super) fn use_up(&mut self, camera: CameraId, number: u32) {
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.use_up(number);
        }
    }

    pub(super) fn append(&mut self, camera: CameraId, fragment: Fragment, now: Instant) {
        let result = match self.try_append(camera, &fragment, now) {
            None => Err(Refused::NotOpen),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => match self.diagnose(&error) {
                Trouble::NoRoom(full) => self.append_to_full_card(full, camera, &fragment, now),
                _ => Err(self.fail(camera, &error, now)),
            },
        };
        let Fragment { bytes: buffer, frames, .. } = fragment;
        self.events.push_back(Event::Returned { camera, buffer, frames, result });
    }

    /// Makes space and tries again; if that does not help, the segment is closed normally.
    fn append_to_full_card(
        &mut self,
        full: Full,
        camera: CameraId,
        fragment: &Fragment,
        now: Instant,
    ) -> Result<(), Refused> {
        if self.free_after(full, camera, now)
            && let Some(Ok(())) = self.try_append(camera, fragment, now)
        {
            return Ok(());
        }
        self.close(camera, now);
        Err(Refused::Failed)
    }

    /// `None` if nothing is open.
    fn try_append(
        &mut self,
        camera: CameraId,
        fragment: &Fragment,
        now: Instant,
    ) -> Option<io::Result<()>> {
        let slot = self.cameras.iter_mut().find(|slot| slot.place.id == camera)?;
        let open = slot.open.as_mut()?;
        let written = segment::Fragment { bytes: &fragment.bytes, extent: fragment.extent };
        let offset = open.segment.bytes();
        let result = open.segment.append(&self.disk, &written);
        if result.is_ok() {
            open.sample = open.sample.or_else(|| Taken::of(&fragment.bytes, offset));
            open.unsynced_since.get_or_insert(now);
            open.frames_end = fragment.frames.end;
            let (name, bytes) = (open.name, open.segment.bytes());
            let duration_ms = millis(open.segment.duration());
            self.deleted_in_vain = 0;
            self.update(camera, name, |entry| {
                (entry.bytes, entry.duration_ms) = (bytes, duration_ms)
            });
        }
        Some(result)
    }

    pub(super) fn close(&mut self, camera: CameraId, now: Instant) {
        if self.slot(camera).is_some_and(|slot| slot.staged.is_some()) {
            return self.close_staged(camera, now);
        }
        let Some(open) = self.slot_mut(camera).and_then(|slot| slot.open.take()) else {
            return;
        };
        let Open { name, segment, frames_end, sample, .. } = open;
        let (number, durable_bytes) = (name.number(), segment.durable_bytes());
        if frames_end == 0 {
            drop(segment);
            return self.close_empty(camera, name, now);
        }
        let segment::Summary { bytes, duration, .. } = match segment.close(&self.disk) {
            Ok(summary) => summary,
            Err(error) => {
                self.given_up(camera, name, durable_bytes);
                let trouble = self.diagnose(&error);
                return self.handle_trouble(trouble, Some((camera, name)), now);
            }
        };
        let duration_ms = millis(duration);
        self.update(camera, name, |entry| {
            (entry.state, entry.bytes, entry.duration_ms) =
                (SegmentState::Whole, bytes, duration_ms);
        });
        self.expect(camera, bytes);
        if let Some(sample) = sample {
            self.sampled(camera, name, sample, bytes);
        }
        self.note(camera, name, now);
        self.events.push_back(Event::Durable { camera, frames_end });
        self.events.push_back(Event::Closed { camera, number, ending: Ending::Whole });
        self.wear(bytes);
    }

    /// Updates the expected size with that of a segment.
    pub(super) fn expect(&mut self, camera: CameraId, bytes: u64) {
        if let Some(slot) = self.slot_mut(camera) {
            // An eighth more, so that most segments allocate their space at once; a short one
            // between two long ones matters little.
            let recent = slot.expected_bytes.map_or(0, |before| before / 9 * 7).max(bytes);
            slot.expected_bytes = Some(recent.saturating_add(recent / 8).min(SEGMENT_BYTES_MAX));
        }
    }

    /// Nothing was appended: removes the file.
    pub(super) fn close_empty(&mut self, camera: CameraId, name: Name, now: Instant) {
        if let Err(error) = self.remove_empty(camera, name) {
            self.read_again(camera, name);
            let trouble = self.diagnose(&error);
            self.handle_trouble(trouble, None, now);
        }
        let (number, ending) = (name.number(), Ending::Empty);
        self.events.push_back(Event::Closed { camera, number, ending });
    }

    pub(super) fn close_all(&mut self, now: Instant) {
        for camera in self.ids() {
            self.close(camera, now);
        }
    }

    /// When the next `fdatasync` is due.
    pub(super) fn next_sync(&self) -> Option<Instant> {
        let opens = self.cameras.iter().filter_map(|slot| slot.open.as_ref());
        opens.filter_map(|open| self.sync_time(open)).min()
    }

    /// A file's first fragment is synced at once: until then a power cut leaves nothing of it.
    fn sync_time(&self, open: &Open<D>) -> Option<Instant> {
        let is_first = open.segment.durable_bytes() == 0;
        let patience = if is_first { Duration::ZERO } else { self.settings.sync };
        open.unsynced_since.map(|since| since + patience)
    }

    pub(super) fn sync_due(&mut self, now: Instant) {
        for index in 0..self.cameras.len() {
            let due = self.cameras.get(index).and_then(|slot| self.sync_time(slot.open.as_ref()?));
            if due.is_none_or(|due| now < due) {
                continue;
            }
            let Some(slot) = self.cameras.get_mut(index) else { continue };
            let camera = slot.place.id;
            let Some(open) = slot.open.as_mut() else { continue };
            match open.segment.sync(&self.disk) {
                Ok(()) => {
                    open.unsynced_since = None;
                    let frames_end = open.frames_end;
                    self.events.push_back(Event::Durable { camera, frames_end });
                    self.written_for_good(now);
                }
                Err(error) => {
                    self.fail(camera, &error, now);
                }
            }
        }
    }

    /// When to look next at what another program writes.
    pub(super) fn next_stage(&self) -> Option<Instant> {
        self.cameras.iter().filter_map(|slot| Some(slot.staged.as_ref()?.next_look())).min()
    }

    /// Abandons the open segment after an error.
    fn fail(&mut self, camera: CameraId, error: &io::Error, now: Instant) -> Refused {
        let trouble = self.diagnose(error);
        let name = self.give_up(camera);
        self.handle_trouble(trouble, name.map(|name| (camera, name)), now);
        Refused::Failed
    }

    /// Abandons an open segment without any call for it except `close`; it is repaired later.
    pub(super) fn give_up(&mut self, camera: CameraId) -> Option<Name> {
        let slot = self.slot_mut(camera)?;
        let staged = slot.staged.take().and_then(|staged| staged.durable());
        let open = slot.open.take().map(|open| (open.name, open.segment.durable_bytes()));
        let (name, durable_bytes) = open.or(staged)?;
        self.given_up(camera, name, durable_bytes);
        Some(name)
    }

    pub(super) fn given_up(&mut self, camera: CameraId, name: Name, durable_bytes: u64) {
        if let Some(slot) = self.slot_mut(camera) {
            if slot.given_up.len() >= GIVEN_UP_MAX {
                slot.given_up.remove(0);
            }
            slot.given_up.push((name, durable_bytes));
        }
        self.read_again(camera, name);
        let number = name.number();
        self.events.push_back(Event::Closed { camera, number, ending: Ending::GivenUp });
    }

    /// How much of a file can be trusted.
    pub(super) fn reach(&self, camera: CameraId, name: Name) -> Reach {
        let mut given_up = self.slot(camera).into_iter().flat_map(|slot| &slot.given_up);
        given_up.find(|it| it.0 == name).map_or(Reach::All, |it| Reach::UpTo(it.1))
    }

    /// Another card may have files of the same names.
    pub(super) fn forget_given_up(&mut self) {
        self.cameras.iter_mut().for_each(|slot| slot.given_up.clear());
    }

    /// Returns true if open files can be closed without using any name.
    pub(super) fn can_close_by_file(&self, camera: CameraId) -> bool {
        let open = self.cameras.get(camera.0).and_then(|slot| slot.open.as_ref());
        open.is_some_and(|open| open.frames_end > 0)
    }

    pub(super) fn is_being_written(&self, camera: CameraId, name: Name) -> bool {
        let Some(slot) = self.slot(camera) else { return false };
        let staged = slot.staged.as_ref().and_then(Staged::name);
        slot.open.as_ref().map(|open| open.name).or(staged) == Some(name)
    }

    pub(super) fn update(&self, camera: CameraId, name: Name, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.list().folder_mut(camera).and_then(|it| it.get_mut(name)) {
            change(entry);
        }
    }

    pub(super) fn expected_bytes(&self, camera: CameraId) -> u64 {
        let slot = self.slot(camera);
        slot.and_then(|slot| slot.expected_bytes).unwrap_or(ALLOCATION_STEP_BYTES)
    }

    /// Two segments' worth of every camera that has recorded.
    pub(super) fn two_segments_bytes(&self) -> u64 {
        let recording = |slot: &&CameraSegments<D>| {
            slot.open.is_some() || slot.staged.is_some() || slot.expected_bytes.is_some()
        };
        let one_each = self.cameras.iter().filter(recording);
        let one_each = one_each.map(|slot| slot.expected_bytes.unwrap_or(ALLOCATION_STEP_BYTES));
        let bytes = one_each.reduce(u64::saturating_add).unwrap_or(ALLOCATION_STEP_BYTES);
        bytes.saturating_mul(2)
    }
}

pub(super) fn millis(duration: Ticks) -> u32 {
    u32::try_from(duration.as_millis().max(0)).unwrap_or(u32::MAX)
}
