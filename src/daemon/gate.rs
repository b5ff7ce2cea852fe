//! The gate: of a camera with `record = "events"`, lets through only events.
//!
//! Knows nothing of: marks, the card.

use super::Station;
use crate::units::Ticks;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Records only events.
#[derive(Default)]
pub(super) struct EventGate {
    /// Recording is switched on.
    is_on: Cell<bool>,
    /// Until when an event is going on, or counts as recent.
    until: Cell<Option<Instant>>,
}

impl EventGate {
    /// Switches recording on or off.
    pub fn switch(&self, is_on: bool) {
        self.is_on.set(is_on);
        if !is_on {
            self.until.set(None);
        }
    }

    /// Returns true once after the last event.
    pub fn closes(&self, now: Instant) -> bool {
        let is_over = self.until.get().is_some_and(|until| until <= now);
        if is_over {
            self.until.set(None);
        }
        is_over
    }
}

impl Station {
    /// Reports an event, and for how long it counts. With `record = "events"`, recording starts
    /// with what the ring has of the time `before` it.
    pub fn happens(&self, before: Duration, span: Duration, now: Instant) {
        let Some(gate) = self.gate.as_ref().filter(|gate| gate.is_on.get()) else { return };
        gate.until.set(Some(now + span));
        let before = Ticks::from_seconds(i64::try_from(before.as_secs()).unwrap_or(0));
        self.recorder.borrow_mut().start_before(&self.camera.intake.borrow().ring, before);
    }

    /// Reports that the event is over.
    pub fn calms_down(&self, span: Duration, now: Instant) {
        if let Some(gate) = &self.gate {
            gate.until.set(gate.until.get().map(|until| until.min(now + span)));
        }
    }

    /// Returns true if recording is switched on.
    pub fn is_asked(&self) -> bool {
        self.gate.as_ref().map_or_else(|| self.is_wanted(), |gate| gate.is_on.get())
    }

    /// Returns true if it waits for an event.
    pub fn waits_for_event(&self) -> bool {
        let waits = |gate: &EventGate| gate.is_on.get() && gate.until.get().is_none();
        self.gate.as_ref().is_some_and(waits)
    }

    /// Returns true if it is being recorded, or there is no event.
    pub fn is_as_wanted(&self) -> bool {
        self.segment().is_some() || self.waits_for_event()
    }
}
