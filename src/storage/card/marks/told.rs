//! Flags the recordings in which something happened, one a step. The flag is in the file, so it
//! stays with the recording on any machine.

use std::time::Instant;

use super::super::Card;
use crate::{
    limits::MARK_SPANS_MAX,
    mp4::identity::SegmentMarks,
    storage::{
        CameraId,
        catalog::marks::BACKDATED_MS,
        disk::Disk,
        layout::Name,
        marks::{Course, Mark},
    },
    units::WallTime,
};

/// The recordings of a camera that overlap these times.
pub(super) struct MarkedSpan {
    camera: String,
    from: WallTime,
    to: WallTime,
}

impl<D: Disk> Card<D> {
    /// Flags the recordings of a mark, and those that begin soon after it.
    pub(super) fn protect(&mut self, camera: CameraId, mark: &Mark, now: Instant) {
        if mark.is_watch() {
            return;
        }
        let after = self.settings.event_after;
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        if let (Some(up_ms), true) = (mark.begin.up_ms, mark.begin.boot == self.settings.boot) {
            let end = match (mark.course, self.time_now(now)) {
                // It is told again before that has passed.
                (Course::GoingOn, Some((.., now_ms))) => now_ms.saturating_add(GOING_ON_MS),
                _ => up_ms.saturating_add(mark.length_ms.into()),
            };
            if let Some(slot) = self.slot_mut(camera) {
                slot.marked_until = slot.marked_until.max(Some(end.saturating_add(after_ms)));
            }
        }
        self.tell(mark);
    }

    pub(super) fn tell(&mut self, mark: &Mark) {
        let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(0);
        let (begin, _) = mark.began(&self.list().began());
        let from = WallTime(begin.0.saturating_sub(millis(self.settings.event_before)));
        let end = begin.0.saturating_add(mark.length_ms.into());
        let to = WallTime(end.saturating_add(millis(self.settings.event_after)));
        let spans = &mut self.marks.spans;
        let is_its = |span: &MarkedSpan| span.camera == mark.camera;
        let near = spans.iter().position(|it| is_its(it) && it.from <= to && it.to >= from);
        let is_full = spans.len() >= MARK_SPANS_MAX;
        let known = near.or_else(|| spans.iter().rposition(is_its).filter(|_| is_full));
        match known.and_then(|at| spans.get_mut(at)) {
            Some(span) => (span.from, span.to) = (span.from.min(from), span.to.max(to)),
            None => spans.push(MarkedSpan { camera: mark.camera.clone(), from, to }),
        }
        spans.truncate(MARK_SPANS_MAX);
    }

    /// Tells one recording that something happened in it.
    pub(super) fn tell_step(&mut self, now: Instant) {
        let Some(span) = self.marks.spans.first() else { return };
        let MarkedSpan { from, to, .. } = *span;
        let found = {
            let list = self.list();
            let entries = list.owner(&span.camera).map(|owner| list.recordings(owner, None));
            let long_before = |time: WallTime| time.0 < from.0.saturating_sub(BACKDATED_MS);
            let recent = entries.into_iter().flatten().take_while(|(_, entry)| {
                !entry.clock_trusted || !entry.is_read() || !long_before(entry.end())
            });
            let is_it = |entry: &crate::storage::catalog::Entry| {
                entry.is_read() && entry.start < to && entry.end() >= from
            };
            let untold = |marks: SegmentMarks| !marks.has(SegmentMarks::EVENT);
            let mut found = recent.filter(|(_, entry)| is_it(entry) && untold(entry.marks()));
            found.next().map(|(folder, entry)| (folder.id, entry.name))
        };
        let Some((camera, name)) = found else {
            self.marks.spans.remove(0);
            return;
        };
        if self.tell_recording(camera, name, now).is_none() {
            self.marks.spans.clear(); // the card's state says why
        }
    }

    fn tell_recording(&mut self, camera: CameraId, name: Name, now: Instant) -> Option<()> {
        self.mark(camera, name, now, |marks| marks.with(SegmentMarks::EVENT)).ok()?;
        // If the file has no place for the flag, the list keeps it until the next start.
        self.update(camera, name, |entry| entry.set_marks(entry.marks().with(SegmentMarks::EVENT)));
        if self.is_thinned_now(camera, name) {
            self.abandon_thinning();
        }
        Some(())
    }
}

/// A mark that goes on is told again within this.
const GOING_ON_MS: u64 = 2 * crate::limits::MARK_REFRESH_INTERVAL.as_millis() as u64;
