//! Drift: how much faster or slower than real time a camera's stamps count, measured slowly.
//!
//! The network delays frames, but the least delayed frame of a span arrives close to when it was
//! filmed. How that least delay changes from span to span gives the clock's rate to one part in two
//! hundred.
//! Knows nothing of: what is done about it.

use super::origin::ticks;
use crate::units::{RtpTime, Ticks};
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Drift {
    zero: Option<(Instant, RtpTime)>,
    /// Ticks that the camera has counted since then, up to the newest stamp.
    count: Ticks,
    newest: RtpTime,
    /// Consecutive stamps too far from the newest.
    strays: u32,
    /// When the span began, its least delay, and that of the previous span.
    since: Ticks,
    delay: Option<Ticks>,
    before: Option<Ticks>,
    /// The accumulated slow drift, and over how many spans.
    drifted: Ticks,
    spans: i64,
    /// By how many ticks per span the clock is off, according to the last span.
    last: Option<Ticks>,
}

/// The result of a span: by how much of [`SPAN`] the clock lags behind real time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Right,
    Wrong(Ticks),
    Unclear,
}

impl Drift {
    /// Takes a stamp and its arrival; returns a verdict at the end of each span.
    pub fn note(&mut self, stamp: RtpTime, now: Instant) -> Option<Verdict> {
        let Some((begin, _)) = self.zero else {
            *self = Drift { zero: Some((now, stamp)), newest: stamp, ..Drift::default() };
            return None;
        };
        let step = stamp.since(self.newest);
        if step > STEP_MAX || step < -STEP_MAX {
            self.strays += 1;
            if self.strays > STRAYS_MAX {
                *self = Drift::default();
            }
            return None;
        }
        self.strays = 0;
        if step > Ticks::ZERO {
            (self.newest, self.count) = (stamp, self.count + step);
        }
        let now = ticks(now.saturating_duration_since(begin));
        let delay = now - self.count;
        let verdict = if now - self.since >= SPAN { self.end_span(now) } else { None };
        self.delay = Some(self.delay.map_or(delay, |least| least.min(delay)));
        verdict
    }

    fn end_span(&mut self, now: Ticks) -> Option<Verdict> {
        let took = now - self.since;
        self.since = now;
        let delay = self.delay.take()?;
        let step = delay - self.before.replace(delay)?;
        // Scaled to a full span.
        let lag = Ticks(step.0 * SPAN.0 / took.0);
        let last = self.last.replace(lag);
        if lag.0.abs() > PLAIN.0 || step.0.abs() > DELAY_MAX.0 {
            // Not a slow drift: earlier spans say nothing about later ones.
            (self.drifted, self.spans) = (Ticks::ZERO, 0);
            let is_same = last.is_some_and(|last| (lag - last).0.abs() <= lag.0.abs() / 2);
            let is_clear = is_same && (FASTEST..=SLOWEST).contains(&lag) && lag.0.abs() > PLAIN.0;
            return Some(if is_clear { Verdict::Wrong(lag) } else { Verdict::Unclear });
        }
        (self.drifted, self.spans) = (self.drifted + step, self.spans + 1);
        let mean = Ticks(self.drifted.0 / self.spans);
        Some(match () {
            () if self.drifted.0.abs() > DELAY_MAX.0 && mean.0.abs() > SUBTLE.0 => {
                Verdict::Wrong(mean)
            }
            () if lag.0.abs() <= SUBTLE.0 => Verdict::Right,
            () => Verdict::Unclear,
        })
    }
}

/// Long enough to tell variations of the network from the clock.
pub(super) const SPAN: Ticks = Ticks::from_seconds(20);
/// 3 % of a span, if two consecutive spans agree …
const PLAIN: Ticks = Ticks(SPAN.0 * 3 / 100);
/// … or 0.5 % in total, once it exceeds what a network or a camera may hold back.
const SUBTLE: Ticks = Ticks(SPAN.0 / 200);
const DELAY_MAX: Ticks = Ticks::from_seconds(5);
/// Anything more than twice as fast, or less than half as fast, is not live video, or a different
/// kind of clock.
const FASTEST: Ticks = Ticks(-SPAN.0 * 5 / 4);
const SLOWEST: Ticks = Ticks(SPAN.0 * 5 / 8);
/// A larger step is a bad stamp, or after several of them another clock.
const STEP_MAX: Ticks = Ticks::from_seconds(40);
const STRAYS_MAX: u32 = 4;
