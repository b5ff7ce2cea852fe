//! Spans: requests about all recordings of a camera between two times, one file per step.

use std::{io, time::Instant};

use super::Card;
use crate::{
    limits::{KEPT_PERCENT_MAX, SPAN_SEGMENTS_MAX},
    mp4::identity::SegmentMarks,
    storage::{
        CameraId, DeleteError, DeleteReason, Event, SpanAction, SpanDone, SpanError, SpanWish,
        catalog::{Entry, SegmentState},
        disk::{Access, Disk},
        layout::Name,
        retention, segment,
    },
};

/// A request being carried out.
pub(super) struct SpanJob {
    id: u64,
    action: SpanAction,
    /// In reverse order.
    left: Vec<(CameraId, Name)>,
    done: SpanDone,
    pub next_step: Instant,
}

impl<D: Disk> Card<D> {
    /// Starts a request, or reports why that is impossible.
    pub(super) fn begin_span(&mut self, wish: &SpanWish, now: Instant) {
        let id = wish.id;
        match self.find_span(wish, now) {
            Ok(left) => {
                let (action, done) = (wish.action, SpanDone::default());
                self.span = Some(SpanJob { id, action, left, done, next_step: now });
            }
            Err(reason) => self.events.push_back(Event::SpanDone { id, result: Err(reason) }),
        }
    }

    fn find_span(
        &mut self,
        wish: &SpanWish,
        now: Instant,
    ) -> Result<Vec<(CameraId, Name)>, SpanError> {
        if wish.from >= wish.to {
            return Err(SpanError::NothingThere);
        }
        if self.span.is_some() {
            return Err(SpanError::Busy);
        }
        if self.has_moved(now) || !self.is_writable() {
            return Err(SpanError::Card);
        }
        let (mut found, mut more_bytes) = (Vec::new(), 0_u64);
        {
            let list = self.list();
            if list.read_to().is_some_and(|read_to| read_to > wish.from) {
                return Err(SpanError::Unread);
            }
            let owner = list.owner(&wish.camera).ok_or(SpanError::NothingThere)?;
            for (folder, entry) in list.recordings(owner, None) {
                if !entry.is_read() || entry.start >= wish.to || entry.end() <= wish.from {
                    continue;
                }
                found.push((folder.id, entry.name));
                if !entry.marks().has(SegmentMarks::KEPT) {
                    more_bytes = more_bytes.saturating_add(self.bytes_to_be(folder.id, entry));
                }
            }
        }
        match found.len() {
            0 => Err(SpanError::NothingThere),
            1..=SPAN_SEGMENTS_MAX => {
                if wish.action == SpanAction::Keep {
                    self.bound_kept(found.len(), more_bytes)?;
                }
                Ok(found)
            }
            segments => Err(SpanError::TooMany { segments }),
        }
    }

    /// The size of a recording; for an open one, its expected size.
    fn bytes_to_be(&self, camera: CameraId, entry: &Entry) -> u64 {
        match entry.state {
            SegmentState::Recording => entry.bytes.max(self.expected_bytes(camera)),
            _ => entry.bytes,
        }
    }

    /// Kept recordings are never deleted, so they are limited to a share of the space for
    /// recordings.
    fn bound_kept(&mut self, more: usize, more_bytes: u64) -> Result<(), SpanError> {
        let space = self.ask_space().map_err(SpanError::Failed)?;
        let list = self.list();
        let entries = || list.folders().iter().flat_map(|folder| folder.entries());
        let kept = || entries().filter(|entry| entry.marks().has(SegmentMarks::KEPT));
        let sum = |bytes: u64, entry: &Entry| bytes.saturating_add(entry.bytes);
        let room = entries().fold(space.free, sum);
        let allowed = room / 100 * KEPT_PERCENT_MAX;
        let kept_bytes = kept().fold(0, sum);
        // A folder full of kept recordings would have no name left for new ones.
        let names = retention::recordings_max(self.file_system) / 2;
        if kept_bytes.saturating_add(more_bytes) > allowed || kept().count() + more > names {
            return Err(SpanError::Full { kept: kept_bytes, more: more_bytes, allowed });
        }
        Ok(())
    }

    /// Carries out the request for one recording.
    pub(super) fn span_step(&mut self, now: Instant) {
        let Some(mut job) = self.span.take() else { return };
        if self.has_moved(now) || !self.is_writable() {
            return self.end_span(job.id, Err(SpanError::Card));
        }
        let Some((camera, name)) = job.left.pop() else {
            let nothing = job.action == SpanAction::Keep && job.done.segments == 0;
            let result = if nothing { Err(SpanError::NoPlace) } else { Ok(job.done) };
            return self.end_span(job.id, result);
        };
        let result = match job.action {
            SpanAction::Delete => self.delete_of_span(camera, name, now),
            SpanAction::Keep => {
                self.mark(camera, name, now, |marks| marks.with(SegmentMarks::KEPT))
            }
            SpanAction::Release => {
                self.mark(camera, name, now, |it| it.without(SegmentMarks::KEPT))
            }
        };
        match result {
            Ok(Some(bytes)) => {
                job.done.segments += 1;
                job.done.bytes = job.done.bytes.saturating_add(bytes);
            }
            Ok(None) => job.done.left += 1,
            Err(reason) => return self.end_span(job.id, Err(reason)),
        }
        // At once, because a client is waiting. Recording goes on between two steps.
        job.next_step = now;
        self.span = Some(job);
    }

    fn end_span(&mut self, id: u64, result: Result<SpanDone, SpanError>) {
        self.events.push_back(Event::SpanDone { id, result });
    }

    /// The card has changed.
    pub(super) fn abandon_span(&mut self) {
        if let Some(job) = self.span.take() {
            self.end_span(job.id, Err(SpanError::Card));
        }
    }

    /// Returns its size; `None` if it stays.
    fn delete_of_span(
        &mut self,
        camera: CameraId,
        name: Name,
        now: Instant,
    ) -> Result<Option<u64>, SpanError> {
        let entry = self.list().folder(camera).and_then(|it| it.get(name).copied());
        let Some(entry) = entry else { return Ok(None) };
        if entry.state == SegmentState::Recording {
            return Ok(None);
        }
        match self.delete(camera, name, DeleteReason::Asked, now) {
            Ok(()) => Ok(Some(entry.bytes)),
            Err(DeleteError::Card) => Err(SpanError::Card),
            Err(DeleteError::Failed(error)) => Err(SpanError::Failed(error)),
            Err(_) => Ok(None),
        }
    }

    /// Changes the marks of a recording, in its file first; returns its size, or `None` if it
    /// cannot be marked.
    pub(super) fn mark(
        &mut self,
        camera: CameraId,
        name: Name,
        now: Instant,
        change: impl Fn(SegmentMarks) -> SegmentMarks,
    ) -> Result<Option<u64>, SpanError> {
        let written = self.path(camera, name).and_then(|path| {
            let file = self.disk.open(&path, Access::ReadWrite)?;
            segment::mark(&self.disk, &file, change)
        });
        let marks = match written {
            Ok(Some(marks)) => marks,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if crate::storage::disk::is_foreign(&error) => return Ok(None),
            Err(error) => {
                let trouble = self.diagnose(&error);
                self.handle_trouble(trouble, Some((camera, name)), now);
                return Err(SpanError::Failed(error));
            }
        };
        let mut bytes = None;
        self.update(camera, name, |entry| {
            entry.set_marks(marks);
            bytes = Some(entry.bytes);
        });
        self.note(camera, name, now);
        Ok(bytes)
    }

    /// Returns true if a recording is kept, according to the list or the file itself, which is
    /// authoritative.
    pub(super) fn is_kept(&self, camera: CameraId, name: Name) -> bool {
        let entry = self.list().folder(camera).and_then(|it| it.get(name).copied());
        if entry.is_some_and(|entry| entry.marks().has(SegmentMarks::KEPT)) {
            return true;
        }
        let marks = self.path(camera, name).and_then(|path| {
            let file = self.disk.open(&path, Access::Read)?;
            segment::marks(&self.disk, &file)
        });
        let kept = marks.ok().flatten().filter(|marks| marks.has(SegmentMarks::KEPT));
        if let Some(marks) = kept {
            self.update(camera, name, |entry| entry.set_marks(marks));
        }
        kept.is_some()
    }
}
