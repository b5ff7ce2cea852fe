//! Requests to the running daemon: start and stop recording, delete, release the card, shut down.
//!
//! Each returns once it has taken effect, or with the reason why not, in words for the user.
//! Knows nothing of: HTTP.

use super::{Daemon, history::ChangeKind, station::Station};
use crate::{
    limits, runtime,
    storage::{
        CameraId, CardState, Command, DeleteError, Recording,
        layout::{Asked, Name},
    },
};
use std::{cell::RefCell, rc::Rc, sync::PoisonError};

/// A deletion that the card thread has to answer.
pub(super) struct Deletion {
    /// The folder that contains the file, and its name.
    pub file: (CameraId, Name),
    pub verdict: RefCell<Option<Result<(), DeleteError>>>,
}

/// A user's request about a camera.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    Start,
    Stop,
}

impl Daemon {
    /// Records one camera, or all, until stopped; remembered until the next boot.
    ///
    /// # Errors
    /// Why nothing is recorded yet; recording starts automatically once the cause is gone.
    pub async fn start_recording(&self, name: Option<&str>) -> Result<(), String> {
        let stations = self.want_recording(name, Wish::Start)?;
        let all_recorded = self.until(|| stations.iter().all(|it| it.is_as_wanted()));
        if runtime::timeout(limits::RECORD_START_TIMEOUT, all_recorded).await.is_some() {
            return Ok(());
        }
        let waiting = stations.iter().find(|station| !station.is_as_wanted());
        waiting.map_or(Ok(()), |station| Err(self.why_not_recorded(station)))
    }

    /// The same, or the opposite, without waiting for it.
    ///
    /// # Errors
    /// There is no such camera.
    pub(super) fn want_recording(
        &self,
        name: Option<&str>,
        wish: Wish,
    ) -> Result<Vec<Rc<Station>>, String> {
        let stations = self.named(name)?;
        for station in &stations {
            match wish {
                Wish::Start => station.record(),
                Wish::Stop => station.stop_recording(),
            }
            self.pump(station);
        }
        self.remember_wishes();
        self.changed.notify();
        Ok(stations)
    }

    /// Stops recording one camera, or all; remembered until the next boot.
    ///
    /// # Errors
    /// The card did not accept the last frames in time.
    pub async fn stop_recording(&self, name: Option<&str>) -> Result<(), String> {
        let stations = self.want_recording(name, Wish::Stop)?;
        let all_closed = self.until(|| stations.iter().all(|it| it.is_at_rest()));
        match runtime::timeout(limits::SHUTDOWN_TIMEOUT, all_closed).await {
            Some(()) => Ok(()),
            None => {
                Err("the card has not accepted the last frames yet: the file stays open".into())
            }
        }
    }

    /// Deletes a recording.
    ///
    /// # Errors
    /// Why it still exists.
    pub async fn delete(&self, name: &str, file: Asked) -> Result<(), DeleteError> {
        let slot = self.send_deletion(name, file).await?;
        let answered = self.until(|| slot.verdict.borrow().is_some());
        let answered = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, answered).await;
        self.deletions.borrow_mut().retain(|other| !Rc::ptr_eq(other, &slot));
        match answered {
            Some(()) => slot.verdict.take().unwrap_or(Err(DeleteError::Card)),
            None => Err(DeleteError::Card),
        }
    }

    /// Looks the file up at the moment when the command is sent.
    async fn send_deletion(&self, name: &str, asked: Asked) -> Result<Rc<Deletion>, DeleteError> {
        let sent = self.progress.until_some(|| {
            let Some(file) = self.file(name, asked) else {
                return Some(Err(DeleteError::NotThere));
            };
            let command = Command::Delete { camera: file.0, name: file.1 };
            self.desk.send(command).ok()?;
            Some(Ok(Rc::new(Deletion { file, verdict: RefCell::new(None) })))
        });
        let sent = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, sent).await;
        let slot = sent.unwrap_or(Err(DeleteError::Card))?;
        self.deletions.borrow_mut().push(Rc::clone(&slot));
        Ok(slot)
    }

    /// Passes the card thread's verdict to the request that waits for it, if there is one.
    pub(super) fn answer_deletion(&self, it: &Recording, verdict: Result<(), DeleteError>) {
        let deletions = self.deletions.borrow();
        let is_asked = |slot: &&Rc<Deletion>| {
            slot.file == (it.folder, it.name) && slot.verdict.borrow().is_none()
        };
        if let Some(slot) = deletions.iter().find(is_asked) {
            slot.verdict.replace(Some(verdict));
        }
    }

    /// Closes all files and releases the card, for ten minutes at most.
    ///
    /// # Errors
    /// The card does not answer.
    pub async fn release_card(&self) -> Result<(), String> {
        self.post(Command::Release);
        self.until_card(|state| matches!(state, CardState::Released)).await?;
        let stations = self.stations.borrow().clone();
        let ended = self.until(|| stations.iter().all(|station| station.has_no_ffmpeg()));
        let ended = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, ended).await;
        ended.ok_or_else(|| "FFmpeg does not exit".into())
    }

    /// Takes the card back.
    ///
    /// # Errors
    /// The card does not answer.
    pub async fn resume_card(&self) -> Result<(), String> {
        self.post(Command::Resume);
        self.until_card(|state| !matches!(state, CardState::Released)).await
    }

    async fn until_card(&self, is_so: impl Fn(&CardState) -> bool) -> Result<(), String> {
        let so = self.until(|| is_so(&self.card.borrow()));
        let so = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, so).await;
        so.ok_or_else(|| "the card does not answer".into())
    }

    /// Shuts the daemon down; returns when all files are closed or waiting for the card timed out.
    pub async fn shut_down(&self) {
        self.end.asked.raise();
        self.end.done.raised().await;
    }

    /// Sends a command to the card thread as soon as there is room.
    pub fn post(&self, command: Command) {
        self.desk.post(command);
        self.pump_all();
    }

    /// Finds the file of a camera's recording.
    fn file(&self, camera: &str, asked: Asked) -> Option<(CameraId, Name)> {
        let catalog = self.desk.storage.catalog().lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, entry) = catalog.find(camera, asked)?;
        Some((folder.id, entry.name))
    }

    /// Returns the station of one camera, or of all.
    fn named(&self, name: Option<&str>) -> Result<Vec<Rc<Station>>, String> {
        let stations = self.stations.borrow();
        let Some(name) = name else {
            return match stations.is_empty() {
                true => Err("no camera is configured".into()),
                false => Ok(stations.clone()),
            };
        };
        let found = stations.iter().find(|station| station.camera.name == name).cloned();
        found.map(|station| vec![station]).ok_or_else(|| format!("there is no camera named {name}"))
    }

    fn why_not_recorded(&self, station: &Station) -> String {
        let name = &station.camera.name;
        let card = self.card.borrow();
        let reason = match (station.camera.last_error(), card.takes_segments()) {
            (_, false) if card.reason().is_empty() => format!("the card is {}", card.name()),
            (_, false) => format!("the card is {}: {}", card.name(), card.reason()),
            (Some(error), true) => format!("no video: {error}"),
            (None, true) => "no key frame has arrived yet".into(),
        };
        format!("{name} is not being recorded yet: {reason}; recording starts as soon as it can")
    }

    /// Notes a change of state for display.
    pub fn note(&self, kind: ChangeKind, camera: Option<&str>, text: String) {
        let camera = camera.map(str::to_owned);
        let change = super::history::Change { at: self.clock.now(), kind, camera, text };
        self.history.borrow_mut().changes.push(change);
        self.changed.notify();
    }

    /// Notes a change of a recording's state.
    pub(super) fn notice(&self, camera: &str, number: u32, state: &'static str) {
        let camera = camera.to_owned();
        let notice = super::history::RecordingChange { camera, number, state };
        self.history.borrow_mut().recordings.push(notice);
        self.changed.notify();
    }

    /// Stores which cameras are started and stopped, for the next daemon.
    fn remember_wishes(&self) {
        let stations = self.stations.borrow();
        let wishes = stations.iter().map(|station| (&*station.camera.name, station.is_asked()));
        super::remembered::write(&self.options.socket, wishes);
    }
}
