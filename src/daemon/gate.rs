//! The gate: of a camera with `record = "events"`, lets through only what happens.
//!
//! Knows nothing of: marks, the card.

use super::Station;
use crate::units::Ticks;
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Records only what happens.
#[derive(Default)]
pub(super) struct Gate {
    /// Recording is switched on.
    is_on: Cell<bool>,
    /// Something happens, or did so lately, until then.
    until: Cell<Option<Instant>>,
}

impl Gate {
    /// Switches recording on or off.
    pub fn switch(&self, is_on: bool) {
        self.is_on.set(is_on);
        if !is_on {
            self.until.set(None);
        }
    }

    /// Returns true once after the last thing that happened.
    pub fn closes(&self, now: Instant) -> bool {
        let is_over = self.until.get().is_some_and(|until| until <= now);
        if is_over {
            self.until.set(None);
        }
        is_over
    }
}

impl Station {
    /// Reports that something happens, and for how long that counts. If only that is recorded,
    /// recording starts with what the ring has of the time `before`.
    pub fn happens(&self, before: Duration, span: Duration, now: Instant) {
        let Some(gate) = self.gate.as_ref().filter(|gate| gate.is_on.get()) else { return };
        gate.until.set(Some(now + span));
        let before = Ticks::from_seconds(i64::try_from(before.as_secs()).unwrap_or(0));
        self.recorder.borrow_mut().start_before(&self.camera.intake.borrow().ring, before);
    }

    /// Reports that nothing goes on any more.
    pub fn calms_down(&self, span: Duration, now: Instant) {
        if let Some(gate) = &self.gate {
            gate.until.set(gate.until.get().map(|until| until.min(now + span)));
        }
    }

    /// Returns true if recording is switched on.
    pub fn is_asked(&self) -> bool {
        self.gate.as_ref().map_or_else(|| self.is_wanted(), |gate| gate.is_on.get())
    }

    /// Returns true if it is recorded once something happens.
    pub fn waits_for_event(&self) -> bool {
        let waits = |gate: &Gate| gate.is_on.get() && gate.until.get().is_none();
        self.gate.as_ref().is_some_and(waits)
    }

    /// Returns true if it is recorded, or nothing happens.
    pub fn is_as_wanted(&self) -> bool {
        self.segment().is_some() || self.waits_for_event()
    }
}
