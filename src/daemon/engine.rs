//! A station whose camera FFmpeg records: what the card thread and people say goes to FFmpeg's
//! supervisor, what that wants goes to the card thread.
//!
//! Knows nothing of: FFmpeg itself.

use super::{
    Station,
    station::{Link, seconds},
};
use crate::{
    camera::Observer,
    ffmpeg,
    storage::{CardState, Command},
};
use std::{path::PathBuf, time::Instant};

impl Station {
    /// Why nobody can look at it live; `None` where one can.
    pub fn no_live(&self) -> Option<&'static str> {
        (self.ffmpeg.is_some() && !self.has_live_stream()).then_some(NO_LIVE)
    }

    /// FFmpeg may write there, or why not.
    pub(super) fn staged(&self, place: Result<(PathBuf, u32), String>) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.staged(place.map(|(directory, number)| ffmpeg::Place { directory, number }));
        }
    }

    pub(super) fn grown(&self, now: Instant) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.grown(now);
        }
    }

    pub(super) fn unstaged(&self) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.unstaged();
        }
    }

    /// FFmpeg is ended where the card takes nothing.
    pub(super) fn tell_ffmpeg(&self, state: &CardState) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.card((!state.takes_segments()).then(|| {
                let (name, reason) = (state.name(), state.reason());
                let separator = if reason.is_empty() { "" } else { ": " };
                format!("the card is {name}{separator}{reason}")
            }));
        }
    }

    /// No FFmpeg of it runs.
    pub(super) fn has_no_ffmpeg(&self) -> bool {
        self.ffmpeg.as_ref().is_none_or(ffmpeg::Engine::is_idle)
    }

    pub(super) fn set_segment_seconds(&self, length: u64) {
        self.recorder.borrow_mut().set_segment_length(seconds(length));
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.set_segment_seconds(length);
        }
    }
}

impl Link {
    fn command(&self, command: impl FnOnce(&Station) -> Command) {
        if let Some(station) = self.station.upgrade() {
            // One at a time: the next one comes after the answer, or in place of one that has none.
            station.unsent.replace(Some(command(&station)));
            self.pump();
        }
    }
}

impl ffmpeg::Host for Link {
    fn stage(&self) {
        self.command(|station| {
            let restarts = station.ffmpeg.as_ref().map_or(0, ffmpeg::Engine::restarts);
            Command::Stage { camera: station.id, run: station.life.wrapping_add(restarts) }
        });
    }

    fn unstage(&self) {
        self.command(|station| Command::Unstage { camera: station.id });
    }

    fn state_changed(&self) {
        Observer::state_changed(self);
        self.daemon.progress.notify();
    }
}

const NO_LIVE: &str = "FFmpeg records this camera, and only records it: there is no live picture \
                       (set live_url, or engine = \"native\")";
