//! Coverage: a camera's recordings in, newest first; spans of time and the gaps between them out.
//!
//! Neighbours close together form one span, so that a day of a thousand files is a few numbers.
//! Recordings with an untrusted clock form separate, marked spans: their times may be wrong by
//! years and overlap others. Their numbers then show the order.
//! Knows nothing of: HTTP, time zones.

use super::catalog::{Entry, SegmentState};
use crate::{
    limits::COVERAGE_JOIN_MS,
    mp4::identity::{Cause, SegmentMarks},
    units::WallTime,
};

/// A span of recordings without a gap longer than [`COVERAGE_JOIN_MS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub start: WallTime,
    pub end: WallTime,
    /// The addresses of its oldest and newest recording, see [`Entry::address`].
    pub first: u32,
    pub last: u32,
    pub clock_trusted: bool,
    /// Why nothing was recorded before it.
    cause: Cause,
}

/// A gap between two trusted times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    pub start: WallTime,
    pub end: WallTime,
    pub cause: Cause,
}

/// What was recorded in a span of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// By ascending start, then by ascending number.
    pub spans: Vec<Span>,
    /// By ascending start.
    pub gaps: Vec<Gap>,
    /// Spans of kept recordings; at most a third as many as spans.
    pub kept: Vec<Span>,
    /// There were too many spans: the shortest gaps between them are omitted.
    pub merged: bool,
}

/// Builds a [`Coverage`] in one pass.
#[derive(Debug)]
pub struct CoverageSurvey {
    from: WallTime,
    to: WallTime,
    spans_max: usize,
    trusted: Chain,
    doubtful: Chain,
    kept: Chain,
}

/// Spans whose times are of one kind, newest first.
#[derive(Default, Debug)]
struct Chain {
    spans: Vec<Span>,
    merged: bool,
    /// The oldest recording after the time span, and the newest before it.
    after: Option<(WallTime, Cause)>,
    before: Option<WallTime>,
}

impl CoverageSurvey {
    /// Covers the time from `from` to `to`, with at most so many spans.
    pub fn new(from: WallTime, to: WallTime, spans_max: usize) -> CoverageSurvey {
        let [trusted, doubtful, kept] = [(); 3].map(|()| Chain::default());
        CoverageSurvey { from, to, spans_max: spans_max.max(2), trusted, doubtful, kept }
    }

    /// Sets until when and why nothing is being recorded now; must precede the first recording.
    pub fn nothing_until(&mut self, now: WallTime, cause: Cause) {
        self.trusted.after = Some((now, cause));
    }

    /// Adds the next older recording.
    ///
    /// *Cost*: a few comparisons; memory for twice the number of spans.
    pub fn add(&mut self, entry: &Entry) {
        let Some(address) = entry.address() else { return };
        if !entry.is_read() || entry.state == SegmentState::Damaged {
            return;
        }
        let span = Span {
            start: entry.start,
            end: entry.end(),
            first: address,
            last: address,
            clock_trusted: entry.clock_trusted,
            cause: entry.cause(),
        };
        let chain = if entry.clock_trusted { &mut self.trusted } else { &mut self.doubtful };
        chain.add(span, self.from, self.to, self.spans_max);
        if entry.marks().has(SegmentMarks::KEPT) {
            self.kept.add(span, self.from, self.to, self.spans_max);
        }
    }

    pub fn finish(mut self) -> Coverage {
        let max = self.spans_max;
        let share = max - self.trusted.spans.len().min(max / 2);
        self.doubtful.merge(share);
        self.trusted.merge(max - self.doubtful.spans.len());
        let gaps = self.trusted.gaps(self.from, self.to);
        self.kept.merge(max / 3);
        let merged = self.trusted.merged || self.doubtful.merged || self.kept.merged;
        let mut kept = self.kept.spans;
        kept.reverse();
        let mut spans = self.trusted.spans;
        spans.append(&mut self.doubtful.spans);
        spans.sort_unstable_by_key(|span| (span.start, span.first));
        Coverage { spans, gaps, kept, merged }
    }
}

impl Chain {
    fn add(&mut self, span: Span, from: WallTime, to: WallTime, spans_max: usize) {
        if span.start >= to {
            if self.spans.is_empty() && self.before.is_none() {
                self.after = Some((span.start, span.cause));
            }
        } else if span.end <= from && span.start < from {
            self.before = self.before.or(Some(span.end));
        } else if let Some(later) = self.spans.last_mut()
            && distance(&span, later) < COVERAGE_JOIN_MS
        {
            later.take_in(&span);
        } else {
            if self.spans.len() >= 2 * spans_max {
                self.merge(spans_max);
            }
            self.spans.push(span);
        }
    }

    /// Joins the closest spans until there are at most `max`.
    ///
    /// The widest gaps of all are among the widest of any part, so this can be done gradually.
    fn merge(&mut self, max: usize) {
        let surplus = self.spans.len().saturating_sub(max.max(1));
        if surplus == 0 {
            return;
        }
        self.merged = true;
        join_closest(
            &mut self.spans,
            max.max(1),
            |later, span| distance(span, later),
            Span::take_in,
        );
    }

    /// The gaps that overlap the time span.
    fn gaps(&self, from: WallTime, to: WallTime) -> Vec<Gap> {
        let after = self.after.into_iter();
        let begins = after.chain(self.spans.iter().map(|span| (span.start, span.cause)));
        let ends = self.spans.iter().map(|span| span.end).chain(self.before);
        // Nothing has to follow the newest span.
        let ends = ends.skip(usize::from(self.after.is_none() && !self.spans.is_empty()));
        let pairs = ends.zip(begins);
        let gaps = pairs.map(|(start, (end, cause))| Gap { start, end, cause });
        let is_gap = |gap: &Gap| {
            let length = gap.end.0.saturating_sub(gap.start.0);
            length >= COVERAGE_JOIN_MS && gap.end > from && gap.start < to
        };
        let mut gaps: Vec<_> = gaps.filter(is_gap).collect();
        gaps.sort_unstable_by_key(|gap| gap.start);
        gaps
    }
}

impl Span {
    /// Extends the span by an older one.
    fn take_in(&mut self, older: &Span) {
        (self.start, self.end) = (self.start.min(older.start), self.end.max(older.end));
        (self.first, self.cause) = (older.first, older.cause);
    }
}

/// Joins the closest neighbours until there are at most `max`, which is not 0.
pub(super) fn join_closest<T>(
    list: &mut Vec<T>,
    max: usize,
    distance: impl Fn(&T, &T) -> i64,
    join: impl Fn(&mut T, &T),
) {
    let surplus = list.len().saturating_sub(max);
    if surplus == 0 {
        return;
    }
    let pairs = list.iter().zip(list.iter().skip(1));
    let distances: Vec<_> = pairs.map(|(one, next)| distance(one, next)).collect();
    let mut by_width = distances.clone();
    let (_, &mut widest, _) = by_width.select_nth_unstable(surplus - 1);
    let mut of_widest = surplus - distances.iter().filter(|it| **it < widest).count();
    let mut distances = distances.into_iter();
    list.dedup_by(|next, one| {
        let distance = distances.next().unwrap_or(i64::MAX);
        let joins = distance < widest || distance == widest && of_widest > 0;
        if joins {
            of_widest -= usize::from(distance == widest);
            join(one, next);
        }
        joins
    });
}

/// Milliseconds between two spans; negative if the older one overlaps the later one because its
/// clock was set back.
fn distance(older: &Span, later: &Span) -> i64 {
    later.start.0.saturating_sub(older.end.0).saturating_abs()
}

#[cfg(test)]
mod tests;
