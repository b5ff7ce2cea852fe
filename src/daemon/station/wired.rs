//! A station with its daemon, as seen by the camera's driver.

use super::Station;
use crate::{
    camera::{Observer, State},
    daemon::{Daemon, history::ChangeKind, watchdog::WatchdogVerdict},
    limits,
    onvif::notice::Notice,
    runtime,
};
use std::{ops::ControlFlow, rc::Rc, time::Duration};

pub(in crate::daemon) struct Wired {
    pub(in crate::daemon) daemon: Rc<Daemon>,
    pub(in crate::daemon) station: Rc<Station>,
}

impl Wired {
    pub(in crate::daemon) fn pump(&self) {
        self.daemon.pump(&self.station);
    }
}

impl Observer for Wired {
    fn frames(&self) -> ControlFlow<Duration> {
        self.pump();
        let sync_seconds = self.daemon.config.borrow().storage.sync_seconds.get();
        let patience = limits::DURABLE_TIMEOUT.max(Duration::from_secs(2 * sync_seconds));
        match self.station.look(patience, runtime::now()) {
            WatchdogVerdict::Wait => {}
            WatchdogVerdict::BlameCard(span) => self.daemon.card_is_silent(span),
            WatchdogVerdict::Reconnect(span) => return ControlFlow::Break(span),
        }
        ControlFlow::Continue(())
    }

    fn state_changed(&self) {
        let station = &self.station;
        let camera = &station.camera;
        if camera.repeats() {
            return self.daemon.changed.notify();
        }
        let text = match (camera.state(), camera.last_error()) {
            // The trouble remains between two attempts.
            (State::Connecting, _) => return self.daemon.changed.notify(),
            (State::Live, _) => camera.trouble().unwrap_or_else(|| "live".to_owned()),
            (State::Off, _) => "off".to_owned(),
            (State::Waiting, Some(error)) => error,
            (State::Waiting, None) => "waiting".to_owned(),
        };
        let before = std::mem::replace(&mut station.said.borrow_mut().state, text.clone());
        if before != text {
            self.daemon.note(ChangeKind::Camera, Some(&camera.name), text);
        }
    }

    fn notices(&self, notices: &[Notice]) {
        if let Some(motion) = &self.station.motion {
            motion.hears(notices, &self.daemon);
        }
    }

    fn run_ended(&self) {
        let station = &self.station;
        if let Some(motion) = &station.motion {
            motion.hears_no_more();
        }
        station.recorder.borrow_mut().run_ended(&station.camera.intake.borrow().ring);
        station.watchdog.borrow_mut().run_ended();
        self.pump();
    }
}
