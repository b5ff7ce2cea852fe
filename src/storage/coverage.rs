//! Coverage: the recordings of a camera in, newest first; spans of time and the gaps between them out.
//!
//! Neighbours that lie close together are one span, so that a day of a thousand files is a few numbers.
//! Recordings whose clock was not trusted are spans of their own, marked so: their times may be wrong by years,
//! and lie over those of others. Then the numbers say what came first.
//! Knows nothing of: HTTP, time zones.

use super::catalog::{Entry, SegmentState};
use crate::{
    limits::COVERAGE_JOIN_MS,
    mp4::identity::{Cause, Marks},
    units::WallTime,
};

/// A span in which something was recorded, without a gap of more than [`COVERAGE_JOIN_MS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub start: WallTime,
    pub end: WallTime,
    /// Addresses of its oldest and its newest recording, see [`Entry::address`].
    pub first: u32,
    pub last: u32,
    pub clock_trusted: bool,
    /// Why nothing was recorded before it.
    cause: Cause,
}

/// A span in which nothing was recorded, between two times that are both to be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gap {
    pub start: WallTime,
    pub end: WallTime,
    pub cause: Cause,
}

/// What was recorded in a span of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// By rising starts, those of one start by rising numbers.
    pub spans: Vec<Span>,
    /// By rising starts.
    pub gaps: Vec<Gap>,
    /// Of recordings that somebody keeps; a third as many as there may be spans.
    pub kept: Vec<Span>,
    /// There were more spans than were wanted: the shortest gaps between them are left out.
    pub merged: bool,
}

/// Makes a [`Coverage`] in one pass.
#[derive(Debug)]
pub struct Survey {
    from: WallTime,
    to: WallTime,
    spans_max: usize,
    trusted: Chain,
    doubtful: Chain,
    kept: Chain,
}

/// Spans whose times are of one kind, the newest first.
#[derive(Default, Debug)]
struct Chain {
    spans: Vec<Span>,
    merged: bool,
    /// The oldest recording behind the span of time, and the newest before it.
    after: Option<(WallTime, Cause)>,
    before: Option<WallTime>,
}

impl Survey {
    /// Of what was recorded from `from` up to `to`, with at most so many spans.
    pub fn new(from: WallTime, to: WallTime, spans_max: usize) -> Survey {
        let [trusted, doubtful, kept] = [(); 3].map(|()| Chain::default());
        Survey { from, to, spans_max: spans_max.max(2), trusted, doubtful, kept }
    }

    /// Says until when nothing is recorded now, and why; comes before the first recording.
    pub fn nothing_until(&mut self, now: WallTime, cause: Cause) {
        self.trusted.after = Some((now, cause));
    }

    /// Takes in the next older recording.
    ///
    /// *Cost*: a few comparisons; memory for twice as many spans as are wanted.
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
        if entry.marks().has(Marks::KEPT) {
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

    /// Joins the spans that lie closest together, until there are no more than `max`.
    ///
    /// The widest gaps of all are among the widest ones of a part, so it may be done by and by.
    fn merge(&mut self, max: usize) {
        let surplus = self.spans.len().saturating_sub(max.max(1));
        if surplus == 0 {
            return;
        }
        self.merged = true;
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        let distances: Vec<_> = pairs.map(|(later, span)| distance(span, later)).collect();
        let mut by_width = distances.clone();
        let (_, &mut widest, _) = by_width.select_nth_unstable(surplus - 1);
        let mut of_widest = surplus - distances.iter().filter(|it| **it < widest).count();
        let mut distances = distances.into_iter();
        self.spans.dedup_by(|span, later| {
            let distance = distances.next().unwrap_or(i64::MAX);
            let joins = distance < widest || distance == widest && of_widest > 0;
            if joins {
                of_widest -= usize::from(distance == widest);
                later.take_in(span);
            }
            joins
        });
    }

    /// The gaps that reach into the span of time.
    fn gaps(&self, from: WallTime, to: WallTime) -> Vec<Gap> {
        let after = self.after.into_iter();
        let begins = after.chain(self.spans.iter().map(|span| (span.start, span.cause)));
        let ends = self.spans.iter().map(|span| span.end).chain(self.before);
        // Behind the newest span there need be nothing.
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
    /// Grows over an older one.
    fn take_in(&mut self, older: &Span) {
        (self.start, self.end) = (self.start.min(older.start), self.end.max(older.end));
        (self.first, self.cause) = (older.first, older.cause);
    }
}

/// Milliseconds between two spans, or by which the older one reaches into the later one, its clock being set
/// back.
fn distance(older: &Span, later: &Span) -> i64 {
    later.start.0.saturating_sub(older.end.0).saturating_abs()
}

#[cfg(test)]
mod tests;
