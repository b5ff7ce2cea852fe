//! Drift: how much faster or slower than the truth a camera's stamps count, told slowly.
//!
//! A network delays, but the frame of a span that it delays least comes nearly when it was filmed. How that
//! least delay changes from span to span tells the clock's rate to a part in two hundred.
//! Knows nothing of: what is done about it.

use super::origin::ticks;
use crate::units::{RtpTime, Ticks};
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Drift {
    zero: Option<(Instant, RtpTime)>,
    /// Ticks that the camera counted since then, up to the newest stamp.
    count: Ticks,
    newest: RtpTime,
    /// Stamps in a row that are no step from the newest.
    strays: u32,
    /// When the span began, its least delay, and that of the one before.
    since: Ticks,
    delay: Option<Ticks>,
    before: Option<Ticks>,
    /// What came little by little, and in how many spans.
    drifted: Ticks,
    spans: i64,
    /// By how many ticks of a span the clock is off, by the last one.
    last: Option<Ticks>,
}

/// What a span shows: by how much of [`SPAN`] the clock lags behind the truth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Right,
    Wrong(Ticks),
    Unclear,
}

impl Drift {
    /// Takes a stamp and when it came; answers at the end of each span.
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
        // To what it would be in a span.
        let lag = Ticks(step.0 * SPAN.0 / took.0);
        let last = self.last.replace(lag);
        if lag.0.abs() > PLAIN.0 || step.0.abs() > DELAY_MAX.0 {
            // No slow drift: what was before tells nothing of what comes.
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

/// In so much a network's moods are told from a clock's.
pub(super) const SPAN: Ticks = Ticks::from_seconds(20);
/// Of a span: 3 %, where two in a row say the same …
const PLAIN: Ticks = Ticks(SPAN.0 * 3 / 100);
/// … or 0.5 % on the whole, once it came to more than what a network or a camera keeps back.
const SUBTLE: Ticks = Ticks(SPAN.0 / 200);
const DELAY_MAX: Ticks = Ticks::from_seconds(5);
/// What is more than twice too fast, or less than half as fast, is no live picture, or a clock of another
/// kind.
const FASTEST: Ticks = Ticks(-SPAN.0 * 5 / 4);
const SLOWEST: Ticks = Ticks(SPAN.0 * 5 / 8);
/// A larger step is a bad stamp, or after some of them another clock.
const STEP_MAX: Ticks = Ticks::from_seconds(40);
const STRAYS_MAX: u32 = 4;
