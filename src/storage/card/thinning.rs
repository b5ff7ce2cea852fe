//! Thinning old recordings to their key frames, a small step at a time.
//!
//! FAT has no rename that a power cut leaves whole. So the copy gets a name of the same number with
//! one digit more, which it keeps, and its identity says that it is one:
//!
//! ```text
//! 0014.mp4, marked as a copy ─▶ closed, durable ─▶ 014.mp4 deleted ─▶ the mark goes
//!   beside its original, a copy is deleted       │   alone, it has taken its place
//! ```
//! Knows nothing of: what is left of a recording (`storage::thin`).

use std::{io, ops::ControlFlow, time::Instant};

use super::Card;
use crate::{
    limits::{
        CARD_ROOM_INTERVAL, THIN_FRAGMENTS_AT_ONCE, THIN_LATENESS_MAX, THIN_PIECE_BYTES,
        THIN_STEP_INTERVAL, THIN_UNSYNCED_BYTES_MAX,
    },
    mp4::{
        TIMESCALE,
        fragment::Extent,
        identity::{Identity, SegmentMarks},
        scan::{self, FileHead, FileState, WalkStep},
    },
    storage::{
        CameraId, CardState, Event,
        catalog::{Entry, SegmentState},
        disk::{Access, Disk},
        layout::Name,
        retention,
        segment::{self, Segment},
        thin::{Plan, StoredKeyFrame, ThinSurvey},
    },
};

use super::health::Trouble;

/// A recording that is being thinned.
pub(super) struct ThinningJob<D: Disk> {
    camera: CameraId,
    name: Name,
    file: D::File,
    bytes: u64,
    head: FileHead,
    stage: Stage<D>,
}

enum Stage<D: Disk> {
    Survey(ThinSurvey),
    Copy(Name, Box<Copy<D>>),
    /// All of the copy is durable.
    Closed(Name),
}

struct Copy<D: Disk> {
    plan: Plan,
    segment: Segment<D>,
    nth: usize,
    /// The fragment being made.
    fragment: Vec<u8>,
    /// Its key frame and extent, and how much of the key frame is still to be read.
    open: Option<(StoredKeyFrame, Extent, usize)>,
    unsynced_bytes: usize,
}

impl<D: Disk> Card<D> {
    /// When the next step is due, if any is wanted; never before the list is complete.
    pub(super) fn next_thinning(&self) -> Option<Instant> {
        let is_wanted = self.settings.thin_after_days > 0;
        (is_wanted && self.list().complete()).then_some(self.next_thin)
    }

    /// A small step; none while anything else wants the card.
    pub(super) fn thin_step(&mut self, now: Instant) {
        // A step that comes late was kept waiting by the card, which gets a longer rest than that.
        let late = now.saturating_duration_since(self.next_thin);
        self.next_thin = now + THIN_STEP_INTERVAL;
        if late > THIN_LATENESS_MAX {
            self.next_thin = now + (late * 10).min(CARD_ROOM_INTERVAL);
            return;
        }
        if self.has_moved(now) {
            return;
        }
        if self.list().state != CardState::Ok || !self.is_writable() {
            self.next_thin = now + CARD_ROOM_INTERVAL;
            return;
        }
        let Some(job) = self.thinning.take() else {
            return self.begin_thinning(now);
        };
        let (camera, name) = (job.camera, job.name);
        let result = match job.stage {
            Stage::Survey(_) => self.survey_step(job, now),
            Stage::Copy(..) => self.copy_step(job),
            Stage::Closed(copy) => {
                drop(job.file);
                self.replace(camera, name, copy, now)
            }
        };
        if let Err(error) = result {
            self.thinning_failed(camera, name, &error, now);
        }
    }

    /// Looks for the oldest recording that is due.
    fn begin_thinning(&mut self, now: Instant) {
        let days = self.settings.thin_after_days;
        let wall = self.wall_now(now);
        let due = wall.and_then(|wall| retention::for_thinning(self.list().folders(), wall, days));
        let Some((camera, name)) = due else {
            self.next_thin = now + CARD_ROOM_INTERVAL;
            return;
        };
        let entry = self.list().folder(camera).and_then(|it| it.get(name).copied());
        if entry.is_some_and(|entry| entry.is_from_index()) {
            return self.read_head(camera, name, now); // the next step sees whether it is so
        }
        match self.look_at_original(camera, name) {
            Ok(Some(job)) => self.thinning = Some(job),
            Ok(None) => self.leave_as_it_is(camera, name, now),
            Err(error) => self.thinning_failed(camera, name, &error, now),
        }
    }

    /// `None` if it cannot be thinned, or has been marked meanwhile.
    fn look_at_original(&self, camera: CameraId, name: Name) -> io::Result<Option<ThinningJob<D>>> {
        let file = self.disk.open(&self.path(camera, name)?, Access::Read)?;
        let bytes = self.disk.len(&file)?;
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(&file, buffer, at);
        let head = match scan::read_head(&read_at, bytes) {
            Err(FileState::Unreadable { error, .. }) => return Err(error),
            Err(_) => return Ok(None),
            Ok(head) => head,
        };
        let marks = head.identity.as_ref().map(|identity| identity.marks);
        let is_unmarked =
            marks.is_some_and(|marks| !marks.has_any(SegmentMarks::NOT_TO_BE_THINNED));
        let fits = is_unmarked && head.is_closed(bytes) && head.timescale() == TIMESCALE;
        let stage = Stage::Survey(ThinSurvey::default());
        Ok(fits.then_some(ThinningJob { camera, name, file, bytes, head, stage }))
    }

    fn survey_step(&mut self, mut job: ThinningJob<D>, now: Instant) -> io::Result<()> {
        let Stage::Survey(mut survey) = job.stage else { return Ok(()) };
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(&job.file, buffer, at);
        let begin = survey.position().unwrap_or(job.head.media_begin);
        let mut left = THIN_FRAGMENTS_AT_ONCE;
        let walked = scan::walk(&read_at, job.bytes, &job.head, begin, &mut |step| {
            left -= usize::from(matches!(step, WalkStep::Fragment { .. }));
            survey.take(step);
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let is_well = match walked {
            Err(FileState::Unreadable { error, .. }) => return Err(error),
            walked => walked.is_ok() && !survey.is_unfit(),
        };
        if is_well && survey.position().is_some_and(|at| at < job.bytes) {
            job.stage = Stage::Survey(survey);
            self.thinning = Some(job);
            return Ok(());
        }
        let plan = survey.finish(job.bytes, job.head.media_begin).filter(|_| is_well);
        match plan.and_then(|plan| Some((plan, self.name_of_copy(job.camera, job.name)?))) {
            Some((plan, copy)) => {
                job.stage = Stage::Closed(copy); // taken from here on
                self.begin_copy(job, plan, copy, now)
            }
            None => {
                self.leave_as_it_is(job.camera, job.name, now);
                Ok(())
            }
        }
    }

    /// The number with one more digit, or as many as it takes: a power cut may have left an earlier
    /// copy that does not even begin like a recording.
    fn name_of_copy(&self, camera: CameraId, name: Name) -> Option<Name> {
        let is_taken = |name: &Name| {
            let opened = self.path(camera, *name).and_then(|it| self.disk.open(&it, Access::Read));
            opened.and_then(|file| self.disk.len(&file)).is_ok_and(|bytes| bytes > 0)
        };
        std::iter::successors(name.longer(), |it| it.longer()).find(|it| !is_taken(it))
    }

    fn begin_copy(
        &mut self,
        job: ThinningJob<D>,
        plan: Plan,
        name: Name,
        now: Instant,
    ) -> io::Result<()> {
        let read_at = |buffer: &mut [u8], at| self.disk.read_at(&job.file, buffer, at);
        let sets = scan::read_parameter_sets(&read_at, job.bytes, &job.head);
        let (Some(sets), Some(identity)) = (sets, job.head.identity.clone()) else {
            self.leave_as_it_is(job.camera, job.name, now);
            return Ok(());
        };
        let expected_bytes = plan.bytes + job.head.media_begin;
        let room = self.two_segments_bytes().saturating_add(expected_bytes);
        if self.ask_space()?.free < room {
            self.next_thin = now + CARD_ROOM_INTERVAL; // recordings come first
            return Ok(());
        }
        let directory = self.directory(job.camera)?;
        let marks = identity.marks.with(SegmentMarks::THINNED).with(SegmentMarks::COPY);
        let start = segment::FileStart {
            parameter_sets: &sets,
            audio: None,
            identity: &Identity { marks, ..identity },
            file_system: self.file_system,
            expected_bytes,
        };
        let path = directory.join(name.file_name());
        let segment = match Segment::create(&self.disk, &path, &directory, &start) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // An empty file is a copy left by a power cut; any other file of that name stays.
                let is_empty =
                    self.disk.open(&path, Access::Read).and_then(|it| self.disk.len(&it));
                match is_empty? {
                    0 => self
                        .disk
                        .remove(&path)
                        .and_then(|()| self.disk.sync_directory(&directory))?,
                    _ => self.leave_as_it_is(job.camera, job.name, now),
                }
                return Ok(());
            }
            segment => segment?,
        };
        let (nth, fragment, open, unsynced_bytes) = (0, Vec::new(), None, 0);
        let copy = Copy { plan, segment, nth, fragment, open, unsynced_bytes };
        self.thinning = Some(ThinningJob { stage: Stage::Copy(name, Box::new(copy)), ..job });
        Ok(())
    }

    fn copy_step(&mut self, mut job: ThinningJob<D>) -> io::Result<()> {
        let Stage::Copy(name, mut copy) = job.stage else { return Ok(()) };
        let result = copy.step(&self.disk, &job.file);
        if let Ok(true) = result {
            let closed = copy.segment.close(&self.disk);
            job.stage = Stage::Closed(name);
            self.thinning = Some(job);
            return closed.map(drop);
        }
        job.stage = Stage::Copy(name, copy);
        self.thinning = Some(job);
        result.map(drop)
    }

    /// The copy is complete: it takes the place of its original.
    fn replace(
        &mut self,
        camera: CameraId,
        name: Name,
        copy: Name,
        now: Instant,
    ) -> io::Result<()> {
        let entry = self.list().folder(camera).and_then(|it| it.get(name).copied());
        let is_due = entry.is_some_and(|it| it.state == SegmentState::Whole && it.held() == 0);
        if !is_due || self.is_kept(camera, name) {
            self.next_thin = now + CARD_ROOM_INTERVAL;
            return self.unlink(camera, copy);
        }
        // If this fails, the original may be gone nevertheless: the copy stays, and is settled at
        // the next start.
        self.unlink(camera, name)?;
        if let Some(folder) = self.list().folder_mut(camera) {
            folder.remove(name);
            folder.push(Entry::new(copy, SegmentState::Unread));
        }
        self.read_head(camera, copy, now);
        let file = self.recording(camera, copy);
        self.events.push_back(Event::Thinned { file });
        Ok(())
    }

    /// Settles a copy found by its mark: if its original exists, the copy is deleted; otherwise it
    /// takes the original's place and loses the mark. Returns false if nothing is left to list.
    pub(super) fn settle_copy(&mut self, camera: CameraId, name: Name, now: Instant) -> bool {
        if !self.is_writable() {
            return true;
        }
        let originals: Vec<_> = {
            let list = self.list();
            let Some(folder) = list.folder(camera) else { return true };
            let others = folder.of_number(name.number()).iter().filter(|it| it.name != name);
            others.map(|other| folder.path(other.name)).collect()
        };
        if originals.iter().any(|path| self.disk.exists(path)) {
            if let Err(error) = self.unlink(camera, name) {
                let trouble = self.diagnose(&error);
                self.handle_trouble(trouble, None, now);
            }
            self.forget(camera, name);
            return false;
        }
        // If it fails, the next start tries again, and the card's state gives the reason.
        let _ = self.mark(camera, name, now, |marks| marks.without(SegmentMarks::COPY));
        true
    }

    /// Records that thinning would gain nothing.
    fn leave_as_it_is(&mut self, camera: CameraId, name: Name, now: Instant) {
        let _ = self.mark(camera, name, now, |marks| {
            match marks.has_any(SegmentMarks::NOT_TO_BE_THINNED) {
                true => marks, // the list did not know
                false => marks.with(SegmentMarks::LEAN),
            }
        });
        // If the file could not be marked, this lasts until the next start.
        self.update(camera, name, |entry| entry.set_marks(entry.marks().with(SegmentMarks::LEAN)));
    }

    /// Abandons the current thinning and deletes the copy.
    pub(super) fn abandon_thinning(&mut self) {
        let Some(ThinningJob { camera, stage, file, .. }) = self.thinning.take() else { return };
        drop(file);
        let copy = match stage {
            Stage::Survey(_) => return,
            Stage::Copy(name, copy) => {
                drop(copy);
                name
            }
            Stage::Closed(name) => name,
        };
        if self.is_writable() {
            let _ = self.unlink(camera, copy); // the next start does it as well
        }
    }

    /// Returns true if this recording is being thinned.
    pub(super) fn is_thinned_now(&self, camera: CameraId, name: Name) -> bool {
        self.thinning.as_ref().is_some_and(|job| (job.camera, job.name) == (camera, name))
    }

    fn thinning_failed(&mut self, camera: CameraId, name: Name, error: &io::Error, now: Instant) {
        self.next_thin = now + CARD_ROOM_INTERVAL;
        self.abandon_thinning();
        match self.diagnose(error) {
            // Nothing is deleted to make room for a copy; an unreadable file is left alone.
            Trouble::NoRoom(_) => {}
            Trouble::Failing(_) => self.update(camera, name, |entry| {
                entry.set_marks(entry.marks().with(SegmentMarks::LEAN));
            }),
            trouble => self.handle_trouble(trouble, Some((camera, name)), now),
        }
    }
}

impl<D: Disk> Copy<D> {
    /// Reads a piece, writes a fragment, or syncs; returns true when everything is written.
    fn step(&mut self, disk: &D, file: &D::File) -> io::Result<bool> {
        if self.unsynced_bytes > THIN_UNSYNCED_BYTES_MAX {
            self.segment.sync(disk)?;
            self.unsynced_bytes = 0;
            return Ok(false);
        }
        let (key, extent, left) = match self.open {
            Some(open) => open,
            None => {
                self.fragment.clear();
                let Some((key, extent)) = self.plan.header(self.nth, &mut self.fragment) else {
                    return Ok(true);
                };
                (key, extent, key.bytes as usize)
            }
        };
        if left == 0 {
            let fragment = segment::Fragment { bytes: &self.fragment, extent };
            self.segment.append(disk, &fragment)?;
            self.unsynced_bytes += self.fragment.len();
            (self.open, self.nth) = (None, self.nth + 1);
            return Ok(false);
        }
        let begin = self.fragment.len();
        self.fragment.resize(begin + left.min(THIN_PIECE_BYTES), 0);
        let piece = self.fragment.get_mut(begin..).unwrap_or_default();
        let at = key.at + u64::from(key.bytes) - left as u64;
        let count = disk.read_at(file, piece, at)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.fragment.truncate(begin + count);
        self.open = Some((key, extent, left - count));
        Ok(false)
    }
}
