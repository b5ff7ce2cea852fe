//! Rows: reduces marks to what fits into a timeline.
//!
//! Knows nothing of: JSON, where marks come from.

use super::{Began, Course, Mark, Settled, Word, lines};
use crate::{
    limits::COVERAGE_JOIN_MS, mp4::identity::ClockTrust, storage::coverage::join_closest,
    units::WallTime,
};

/// One mark, or several that were joined for lack of room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinedMark {
    pub begin: WallTime,
    pub end: WallTime,
    /// `None` if they are of several kinds.
    pub kind: Option<Word>,
    pub count: u32,
}

/// The marks and the times of watching of a camera in a span of time.
#[derive(Debug)]
pub struct Rows {
    camera: String,
    from: WallTime,
    to: WallTime,
    rows_max: usize,
    rows: Vec<JoinedMark>,
    watched: Vec<(WallTime, WallTime)>,
    /// Some are joined or left out.
    pub merged: bool,
}

impl Rows {
    /// With at most this many rows, and as many times of watching.
    pub fn new(camera: &str, from: WallTime, to: WallTime, rows_max: usize) -> Rows {
        let (rows, watched) = (Vec::new(), Vec::new());
        Rows {
            camera: camera.to_owned(),
            from,
            to,
            rows_max: rows_max.max(1),
            rows,
            watched,
            merged: false,
        }
    }

    /// *Cost*: memory for twice as many rows as are wanted.
    pub fn add(&mut self, mark: &Mark, began: &Began) {
        let Some((begin, end)) = within(mark, began, &self.camera, (self.from, self.to)) else {
            return;
        };
        if mark.is_watch() {
            let is_near =
                |end: WallTime, begin: WallTime| begin.0.saturating_sub(end.0) < COVERAGE_JOIN_MS;
            match self.watched.iter_mut().find(|it| is_near(it.1, begin) && is_near(end, it.0)) {
                Some(known) => *known = (known.0.min(begin), known.1.max(end)),
                None => self.watched.push((begin, end)),
            }
            self.keep_longest(2 * self.rows_max);
            return;
        }
        self.rows.push(JoinedMark { begin, end, kind: Some(mark.kind.clone()), count: 1 });
        if self.rows.len() >= 2 * self.rows_max {
            self.merge(self.rows_max);
        }
    }

    /// The rows by rising begins, and the times of watching; no more than so many of each.
    pub fn finish(
        mut self,
        rows_max: usize,
        watched_max: usize,
    ) -> (Vec<JoinedMark>, Vec<(WallTime, WallTime)>, bool) {
        self.merge(rows_max);
        self.keep_longest(watched_max);
        self.watched.sort_unstable();
        (self.rows, self.watched, self.merged)
    }

    fn merge(&mut self, max: usize) {
        self.rows.sort_by_key(|row| row.begin);
        if max == 0 {
            self.merged |= !self.rows.is_empty();
            self.rows.clear();
        }
        self.merged |= self.rows.len() > max;
        join_closest(
            &mut self.rows,
            max,
            |row, next| next.begin.0.saturating_sub(row.end.0),
            JoinedMark::take_in,
        );
    }

    /// Leaves out the shortest: joined spans would claim watching that did not happen.
    fn keep_longest(&mut self, max: usize) {
        if self.watched.len() > max {
            self.watched.sort_by_key(|(begin, end)| begin.0.saturating_sub(end.0));
            self.watched.truncate(max);
            self.merged = true;
        }
    }
}

impl JoinedMark {
    fn take_in(&mut self, next: &JoinedMark) {
        self.end = self.end.max(next.end);
        self.count = self.count.saturating_add(next.count);
        if self.kind != next.kind {
            self.kind = None;
        }
    }
}

/// The newest marks of a span, in full.
#[derive(Debug)]
pub struct Newest {
    camera: Option<String>,
    from: WallTime,
    to: WallTime,
    max: usize,
    /// Each with its true begin.
    pub marks: Vec<(WallTime, ClockTrust, Mark)>,
}

impl Newest {
    /// Of one camera, or of all.
    pub fn new(camera: Option<String>, from: WallTime, to: WallTime, max: usize) -> Newest {
        Newest { camera, from, to, max, marks: Vec::new() }
    }

    pub fn add(&mut self, mark: &Mark, began: &Began) {
        let camera = self.camera.as_deref().unwrap_or(&mark.camera);
        let Some((begin, _)) = within(mark, began, camera, (self.from, self.to)) else { return };
        self.marks.push((begin, mark.began(began).1, mark.clone()));
        if self.marks.len() >= 2 * self.max {
            self.settle();
        }
    }

    /// Newest first.
    pub fn settle(&mut self) {
        self.marks.sort_by_key(|(begin, ..)| std::cmp::Reverse(begin.0));
        self.marks.truncate(self.max);
    }
}

/// Passes on the marks of the files, one file after another, then those not yet written to any.
pub fn gather(files: impl Iterator<Item = Vec<u8>>, recent: Vec<Mark>, sink: impl FnMut(&Mark)) {
    let mut settled = Settled::new(sink);
    for file in files {
        for line in lines(&file) {
            if let super::Line::Mark(mark) = line {
                settled.take(mark);
            }
        }
    }
    recent.into_iter().for_each(|mark| settled.take(mark));
    settled.finish();
}

/// When a mark was, if it is of that camera and touches the span.
fn within(
    mark: &Mark,
    began: &Began,
    camera: &str,
    (from, to): (WallTime, WallTime),
) -> Option<(WallTime, WallTime)> {
    let (begin, _) = mark.began(began);
    let end = WallTime(begin.0.saturating_add(mark.length_ms.into()));
    (mark.camera == camera && begin < to && end >= from).then_some((begin, end))
}

impl Course {
    pub fn is_over(self) -> bool {
        self == Course::Over
    }
}
