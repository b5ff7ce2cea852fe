//! What the card thread says: handed to the station that it is about, changes of state to the log.

use super::{Daemon, station::Station};
use crate::{
    limits,
    storage::{CameraId, CardState, Ending, Event, OpenError, layout::Name},
};
use std::rc::Rc;

impl Daemon {
    pub(super) async fn follow_card(self: Rc<Self>) {
        while let Ok(event) = self.storage.events().recv().await {
            self.handle(event);
            self.pump_all();
            self.progress.notify();
        }
    }

    fn handle(&self, event: Event) {
        match event {
            Event::State(state) => {
                log_card(&state);
                for station in self.stations.borrow().iter() {
                    station.card_state(&state);
                }
                self.card.replace(state);
            }
            Event::Configured => self.outbox.borrow_mut().configured(),
            Event::Returned { camera, mut buffer, result, .. } => {
                buffer.clear();
                buffer.shrink_to(limits::FRAGMENT_BUFFER_BYTES);
                self.buffers.borrow_mut().push(buffer);
                self.with(camera, |station| station.returned(result.map_err(drop)));
            }
            Event::OpenFailed { camera, reason } => self.with(camera, |station| {
                station.failed();
                // Of the card's state there is a line already.
                let text = reason.to_string();
                if !matches!(reason, OpenError::Card) && station.is_news(&text) {
                    log::warn!(
                        "camera={} recording=waiting reason=\"{text}\"",
                        station.camera.name
                    );
                }
            }),
            Event::Opened { camera, number } => self.with(camera, |station| {
                let (name, file) = (&station.camera.name, file(number));
                if station.is_recovery() {
                    log::info!("camera={name} recording=on file={file}");
                } else {
                    log::debug!("camera={name} file={file} opened");
                }
            }),
            Event::Closed { camera, number, ending } => self.with(camera, |station| {
                let (name, file) = (&station.camera.name, file(number));
                match ending {
                    Ending::Whole => log::debug!("camera={name} file={file} closed"),
                    Ending::Empty => log::debug!("camera={name} file={file} removed: it is empty"),
                    Ending::GivenUp => {
                        log::warn!("camera={name} file={file} given up: it is mended later");
                        station.failed();
                    }
                }
            }),
            Event::Durable { camera, frames_end } => {
                self.with(camera, |station| station.durable(frames_end));
            }
            Event::Deleted { camera, number, reason } => self.with(camera, |station| {
                let name = &station.camera.name;
                log::debug!("camera={name} file={} deleted={reason:?}", file(number));
            }),
            Event::DeleteFailed { camera, number, reason } => self.with(camera, |station| {
                let name = &station.camera.name;
                log::warn!("camera={name} file={} not deleted: {reason}", file(number));
            }),
            Event::Mended { camera, number, mended } => self.with(camera, |station| {
                let name = &station.camera.name;
                log::info!("camera={name} file={} mended: {mended}", file(number));
            }),
            Event::Remounted { file } => {
                let file = file.map(|file| format!(" over {}", file.display()));
                let file = file.unwrap_or_default();
                log::warn!("the card had turned read-only{file} and is writable again");
            }
            Event::Ended => self.card_ended.set(true),
        }
    }

    /// Does something with the station of that number, unless the card thread speaks of another one
    /// that had it before.
    fn with(&self, camera: CameraId, action: impl FnOnce(&Station)) {
        if let Some(station) = self.stations.borrow().get(camera.0)
            && self.outbox.borrow().has_taken_up(station.settings)
        {
            action(station);
        }
    }
}

fn log_card(state: &CardState) {
    match state {
        CardState::Ok | CardState::Released => log::info!("card={}", state.name()),
        state => log::warn!("card={} reason=\"{}\"", state.name(), state.reason()),
    }
}

/// The file of a segment of ours.
fn file(number: u32) -> String {
    Name::new(number).map_or_else(|| number.to_string(), Name::file_name)
}
