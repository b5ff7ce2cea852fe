//! Events from the card thread: passes them to their stations, and changes of state to the log.

use super::{Daemon, Told, history::ChangeKind, station::Station};
use crate::{
    limits, runtime,
    storage::{
        CameraId, CardState, DeleteError, DeleteReason, Ending, Event, OpenError, Recording,
        catalog::SegmentState, layout::Name,
    },
};
use std::{
    io,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

impl Daemon {
    pub(super) async fn follow_card(self: Rc<Self>) {
        while let Ok(event) = self.desk.storage.events().recv().await {
            self.handle(event);
            self.desk.storage.events().be_eager(false);
            self.pump_all();
            self.progress.notify();
        }
    }

    fn handle(&self, event: Event) {
        let now = runtime::now();
        // Any event but a state shows that the card thread answers again.
        let told = self.told.get();
        self.told.set(Told { card_silent: false, ..told });
        if told.card_silent && !matches!(event, Event::State(_)) {
            self.show_card(CardState::Ok);
        }
        match event {
            Event::State(state) => self.card_state(state),
            Event::Returned { camera, mut buffer, result, .. } => {
                buffer.clear();
                buffer.shrink_to(limits::FRAGMENT_BUFFER_BYTES);
                self.desk.buffers.borrow_mut().push(buffer);
                self.with(camera, |station| station.returned(result.map_err(drop), now));
            }
            Event::OpenFailed { camera, reason } => {
                self.with(camera, |station| {
                    self.open_failed(station, &reason, now);
                    station.staged(Err(reason.to_string()));
                });
            }
            Event::Staged { camera, directory, number } => {
                self.with(camera, |station| station.staged(Ok((directory, number))));
            }
            Event::Grown { camera } => self.with(camera, |station| station.grown(now)),
            Event::Unstaged { camera } => self.with(camera, Station::unstaged),
            Event::Opened { camera, number } => {
                self.with(camera, |station| self.opened(station, number, now));
            }
            Event::Closed { camera, number, ending } => {
                self.with(camera, |station| self.closed(station, number, ending, now));
            }
            Event::Durable { camera, frames_end } => {
                self.with(camera, |station| station.durable(frames_end, now));
            }
            Event::Deleted { file, reason } => self.deleted(&file, reason),
            Event::DeleteFailed { file, reason } => self.delete_failed(&file, reason),
            Event::Mended { file: it, mended } => {
                log::info!("camera={} file={} repaired: {mended}", it.camera, file(it.number));
                let text = format!("{} repaired: {mended}", file(it.number));
                self.tell_of_segment(&it.camera, it.number);
                self.note(ChangeKind::Recording, Some(&it.camera), text);
            }
            Event::Corrected { file: it, state } => {
                let state = state.map_or("deleted", SegmentState::name);
                self.notice(&it.camera, it.number, state);
            }
            Event::IndexUnused { path, reason } => {
                let path = path.display();
                log::warn!("{path} is not used: {reason}; the list is read from the recordings");
            }
            Event::Remounted { file } => self.say_remounted(file.as_deref()),
            Event::Thinned { file: it } => {
                log::debug!("camera={} file={} thinned", it.camera, file(it.number));
                self.notice(&it.camera, it.number, "whole");
            }
            Event::MarkLost => self.marks.borrow_mut().lost += 1,
            Event::MarksUnwritten { path, error } => say_unwritten(&path, &error),
            Event::SpanDone { id, result } => self.answer_span(id, result),
            Event::Dated { recordings } => self.say_dated(recordings),
            Event::Forgotten { file, offset } => self.say_that_card_forgets(&file, offset),
            Event::AgeDoubtful => self.say_that_age_waits(),
            Event::Ended => self.desk.closed.raise(),
        }
    }

    fn deleted(&self, it: &Recording, reason: DeleteReason) {
        log::debug!("camera={} file={} deleted={reason:?}", it.camera, file(it.number));
        self.say_if_full(&it.camera, reason);
        self.notice(&it.camera, it.number, "deleted");
        self.answer_deletion(it, Ok(()));
    }

    fn delete_failed(&self, it: &Recording, reason: DeleteError) {
        // A client error: reported in the response, not logged as a warning.
        let is_news = matches!(reason, DeleteError::Card | DeleteError::Failed(_));
        let level = if is_news { log::Level::Warn } else { log::Level::Debug };
        let (camera, file) = (&it.camera, file(it.number));
        log::log!(level, "camera={camera} file={file} not deleted: {reason}");
        self.answer_deletion(it, Err(reason));
    }

    /// Logs once why recordings are deleted although the card has room.
    fn say_if_full(&self, name: &str, reason: DeleteReason) {
        let told = self.told.get();
        if reason == DeleteReason::Count && !told.full_folder {
            self.told.set(Told { full_folder: true, ..told });
            log::warn!(
                "camera={name} each new recording replaces the oldest: its folder holds at most {} \
                 (FAT) or {}; longer segments make fewer files",
                limits::FAT_RECORDINGS_MAX,
                limits::RECORDINGS_LISTED_MAX
            );
        }
    }

    fn say_remounted(&self, file: Option<&Path>) {
        let file = file.map(|file| format!(" because of {}", file.display()));
        let file = file.unwrap_or_default();
        let text = format!("the card turned read-only{file} and was remounted writable");
        log::warn!("{text}");
        self.note(ChangeKind::Card, None, text);
    }

    fn say_dated(&self, recordings: usize) {
        let text = format!("{recordings} recordings got their true times");
        log::info!("clock=set {text}");
        self.note(ChangeKind::Clock, None, text);
    }

    fn say_that_age_waits(&self) {
        let text = "keep_days is suspended: the clock is ahead of all recordings by more than that. \
                    If it is right, deletion resumes after as many days of recording";
        log::warn!("{text}");
        self.note(ChangeKind::Clock, None, text.into());
    }

    fn say_that_card_forgets(&self, it: &Recording, offset: u64) {
        let (camera, file) = (&it.camera, file(it.number));
        let text = format!(
            "{camera} {file}: the card gives back other bytes at {offset} than were written. It may be \
             a fake that has less room than it says, or worn out: replace it"
        );
        log::error!("{text}");
        self.note(ChangeKind::Card, None, text);
    }

    fn card_state(&self, state: CardState) {
        for station in self.stations.borrow().iter() {
            station.card_state(&state);
        }
        self.show_card(state);
    }

    /// Reports that the card thread, which hangs in a call, does not answer.
    pub(super) fn card_is_silent(&self, span: Duration) {
        let told = self.told.get();
        if *self.card.borrow() == CardState::Ok && !told.card_silent {
            self.told.set(Told { card_silent: true, ..told });
            let reason = format!("the card has not answered for {} s", span.as_secs());
            self.show_card(CardState::Failing(reason));
        }
    }

    fn show_card(&self, state: CardState) {
        let (name, reason) = (state.name(), state.reason());
        let text = if reason.is_empty() { name.into() } else { format!("{name}: {reason}") };
        match state {
            CardState::Ok | CardState::Released => log::info!("card={name}"),
            _ => log::warn!("card={name} reason=\"{reason}\""),
        }
        self.note(ChangeKind::Card, None, text);
        self.card.replace(state);
    }

    fn open_failed(&self, station: &Station, reason: &OpenError, now: Instant) {
        station.hold_off(now);
        // The card's state has been logged already.
        let text = reason.to_string();
        if !matches!(reason, OpenError::Card) && station.is_news(&text) {
            let name = &station.camera.name;
            log::warn!("camera={name} recording=waiting reason=\"{text}\"");
            self.note(ChangeKind::Recording, Some(name), text);
        }
    }

    /// Reports a problem that the owner of a camera should solve.
    pub(super) fn say_of(&self, station: &Station, text: &str) {
        let name = &station.camera.name;
        log::warn!("camera={name} {text}");
        self.note(ChangeKind::Recording, Some(name), text.to_owned());
    }

    fn opened(&self, station: &Station, number: u32, now: Instant) {
        let (name, file) = (&station.camera.name, file(number));
        if station.is_recovery() {
            log::info!("camera={name} recording=on file={file}");
        } else {
            log::debug!("camera={name} file={file} opened");
        }
        if station.durable_at().is_none() {
            self.note(ChangeKind::Recording, Some(name), format!("started with {file}"));
        }
        station.opened(number, now);
        self.notice(name, number, "recording");
    }

    fn closed(&self, station: &Station, number: u32, ending: Ending, now: Instant) {
        let (name, file) = (&station.camera.name, file(number));
        let state = match ending {
            Ending::Whole => {
                log::debug!("camera={name} file={file} closed");
                "whole"
            }
            Ending::Unindexed => {
                log::info!("camera={name} file={file} closed without an index: no room for one");
                "whole"
            }
            Ending::Empty => {
                log::debug!("camera={name} file={file} removed: empty");
                "deleted"
            }
            Ending::GivenUp => {
                log::warn!("camera={name} file={file} closed after an error: it is repaired later");
                station.hold_off(now);
                "cut"
            }
        };
        station.closed(number);
        if state == "whole" {
            self.tell_of_segment(name, number);
        }
        self.notice(name, number, state);
        if station.segment().is_none() && !station.is_wanted() {
            self.note(ChangeKind::Recording, Some(name), format!("stopped with {file}"));
        }
    }

    /// Runs `action` on a station, unless the station is gone.
    fn with(&self, camera: CameraId, action: impl FnOnce(&Station)) {
        let stations = self.stations.borrow();
        if let Some(station) = stations.iter().find(|station| station.id == camera) {
            action(station);
        }
    }
}

fn say_unwritten(folder: &Path, error: &io::Error) {
    log::warn!("{}: marks cannot be written: {error}; they wait for the card", folder.display());
}

/// The file name of one of our segments.
fn file(number: u32) -> String {
    Name::new(number).map_or_else(|| number.to_string(), Name::file_name)
}
