//! Follows the clock: whether it is trusted, and what the card thread is told about it.

use super::{Daemon, Told, history::ChangeKind};
use crate::{
    clock::{self, Clock, Keeper},
    limits,
    mp4::identity,
    runtime,
    storage::messages::Command,
    units::WallTime,
};
use std::rc::Rc;

impl Daemon {
    /// Tells the card thread the time, at the start and whenever the clock was set.
    pub(super) async fn follow_clock(self: Rc<Self>) {
        loop {
            self.look_at_clock();
            runtime::sleep(limits::CLOCK_INTERVAL).await;
        }
    }

    fn look_at_clock(&self) {
        self.trust.set(trust(&self.clock));
        let now = (self.clock.stepped_ms() / CLOCK_STEP_MS, self.trust.get());
        let told = self.told.get();
        if told.clock != Some(now) {
            self.told.set(Told { clock: Some(now), ..told });
            self.changed.notify();
            let (wall, clock, up_ms) = (self.clock.now(), now.1, self.clock.up_ms());
            self.desk.post(Command::Clock { wall, clock, up_ms });
        }
        self.pump_all();
    }

    /// Takes the time from a browser, if nothing keeps the clock.
    ///
    /// # Errors
    /// Why not.
    pub fn take_time(&self, wall: WallTime) -> Result<(), clock::TimeRefused> {
        self.clock.take(wall)?;
        log::info!("clock=set by=browser now={wall}");
        self.note(ChangeKind::Clock, None, format!("set by a browser to {wall}"));
        self.look_at_clock();
        Ok(())
    }
}

pub(super) fn trust(clock: &Clock) -> identity::ClockTrust {
    match clock.keeper() {
        Keeper::Nobody => identity::ClockTrust::Untrusted,
        Keeper::Kernel | Keeper::Stepped | Keeper::Browser => identity::ClockTrust::Trusted,
    }
}

/// The card thread is told when the wall clock was set by more than this.
const CLOCK_STEP_MS: i64 = 1000;
