//! A station whose camera FFmpeg records: passes the card thread's reports and users' requests to
//! FFmpeg's supervisor, and the supervisor's commands to the card thread.

use super::{
    Station,
    station::{Wired, seconds},
};
use crate::{
    camera::Observer,
    ffmpeg,
    storage::{CardState, Command},
};
use std::{path::PathBuf, time::Instant};

impl Station {
    /// Why there is no live video; `None` if there is.
    pub fn no_live(&self) -> Option<&'static str> {
        (self.ffmpeg.is_some() && !self.has_live_stream()).then_some(NO_LIVE)
    }

    /// Reports where FFmpeg may write, or why it may not.
    pub(super) fn staged(&self, place: Result<(PathBuf, u32), String>) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.staged(
                place.map(|(directory, number)| ffmpeg::StagingPlace { directory, number }),
            );
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

    /// Reports the card's state; FFmpeg is stopped while the card accepts nothing.
    pub(super) fn tell_ffmpeg(&self, state: &CardState) {
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.card((!state.takes_segments()).then(|| {
                let (name, reason) = (state.name(), state.reason());
                let separator = if reason.is_empty() { "" } else { ": " };
                format!("the card is {name}{separator}{reason}")
            }));
        }
    }

    /// Returns true unless FFmpeg runs for this station.
    pub(super) fn has_no_ffmpeg(&self) -> bool {
        self.ffmpeg.as_ref().is_none_or(ffmpeg::Runner::is_idle)
    }

    pub(super) fn set_segment_seconds(&self, length: u64) {
        self.recorder.borrow_mut().set_segment_length(seconds(length));
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.set_segment_seconds(length);
        }
    }
}

impl Wired {
    fn command(&self, command: Command) {
        // One command at a time: a new one follows the answer to the last, or replaces one that
        // got none.
        self.station.unsent.replace(Some(command));
        self.pump();
    }
}

impl ffmpeg::Host for Wired {
    fn stage(&self) {
        let Station { id, life, ffmpeg, .. } = &*self.station;
        let restarts = ffmpeg.as_ref().map_or(0, ffmpeg::Runner::restarts);
        self.command(Command::Stage { camera: *id, run: life.wrapping_add(restarts) });
    }

    fn unstage(&self) {
        self.command(Command::Unstage { camera: self.station.id });
    }

    fn state_changed(&self) {
        Observer::state_changed(self);
        self.daemon.progress.notify();
    }
}

const NO_LIVE: &str = "no live video: FFmpeg records this camera and offers no stream to viewers \
                       (set live_url, or engine = \"native\")";
