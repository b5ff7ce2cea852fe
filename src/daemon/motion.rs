//! Watches a camera for motion, and marks what moves.
//!
//! ```text
//! motion.rs      what is reported of it
//! ├─ pictures    looks at the camera's small JPEG twice a second
//! ├─ analytics   listens to majestic's own detectors
//! └─ onvif       listens to a camera's own detectors
//! ```
//! The watching itself is marked too, to distinguish an hour without motion from an hour unwatched.
//! Knows nothing of: how motion is seen, where marks go.

mod analytics;
mod onvif;
mod pictures;

use self::{analytics::Analytics, onvif::Onvif, pictures::Pictures};
use super::{
    Daemon,
    marks::{MarkReport, When},
};
use crate::{
    config::{self, Motion},
    limits,
    onvif::notice::Notice,
    rtsp::Metadata,
    runtime::Flag,
    storage::marks::{Mark, Word},
};
use std::{cell::Cell, fmt, rc::Rc, time::Duration};

/// Watches one camera.
///
/// *Cost*: that of its eye.
pub(super) struct MotionWatch {
    camera: String,
    source: Word,
    eye: Eye,
    sight: Cell<Sight>,
    stop: Flag,
}

enum Eye {
    Pictures(Pictures),
    Analytics(Analytics),
    Onvif(Box<Onvif>),
}

/// What was reported last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    Unknown,
    Watching,
    Blind,
}

impl MotionWatch {
    /// `None` if the camera is not to be watched. `seed` is for nonces.
    pub fn new(camera: &config::Camera, seed: u64) -> Option<MotionWatch> {
        let (source, eye) = match camera.motion {
            Motion::Off => return None,
            Motion::Jpeg => ("jpeg", Eye::Pictures(Pictures::new(camera, seed))),
            Motion::Majestic => ("majestic", Eye::Analytics(Analytics::new(camera, seed))),
            Motion::Onvif => ("onvif", Eye::Onvif(Box::new(Onvif::new(camera, seed)))),
        };
        Some(MotionWatch {
            camera: camera.name.as_str().to_owned(),
            source: Word::new(source)?,
            eye,
            sight: Cell::new(Sight::Unknown),
            stop: Flag::default(),
        })
    }

    /// Watches until [`MotionWatch::stop`]. To be called once.
    pub async fn run(&self, daemon: &Rc<Daemon>) {
        let watching = async {
            match &self.eye {
                Eye::Pictures(pictures) => pictures.watch(self, daemon).await,
                Eye::Analytics(analytics) => analytics.watch(self, daemon).await,
                Eye::Onvif(onvif) => onvif.watch(self, daemon).await,
            }
        };
        // On the heap, since its size is that of the largest eye.
        self.stop.or_raised(Box::pin(watching)).await;
        if let Eye::Onvif(onvif) = &self.eye {
            Box::pin(onvif.unsubscribe()).await;
        }
    }

    /// What the camera's metadata track is for.
    pub fn metadata(camera: &config::Camera) -> Metadata {
        match camera.motion {
            Motion::Onvif => Metadata::IfOffered,
            Motion::Off | Motion::Jpeg | Motion::Majestic => Metadata::No,
        }
    }

    /// Takes what the camera's detectors reported in its metadata track.
    pub fn hears(&self, notices: &[Notice], daemon: &Rc<Daemon>) {
        if let Eye::Onvif(onvif) = &self.eye {
            onvif.hear_track(notices, self, daemon);
        }
    }

    /// The session with the metadata track has ended.
    pub fn hears_no_more(&self) {
        if let Eye::Onvif(onvif) = &self.eye {
            onvif.track_ended();
        }
    }

    /// Ends [`MotionWatch::run`], and the marks that it began.
    pub fn stop(&self, daemon: &Daemon) {
        self.stop.raise();
        self.leave(daemon);
    }

    /// Reports that it sees the camera, but does not watch yet.
    fn sees(&self) {
        if self.sight.replace(Sight::Watching) != Sight::Watching {
            log::info!("camera={} motion=watching", self.camera);
        }
    }

    /// Reports that it watches the camera.
    fn watches(&self, daemon: &Rc<Daemon>) {
        self.sees();
        self.say(daemon, Mark::WATCHED, limits::MOTION_WATCHED);
    }

    /// Reports that something moves.
    fn moves(&self, daemon: &Rc<Daemon>, kind: &str) {
        self.say(daemon, kind, limits::MARK_JOIN);
    }

    fn is_blind(&self, daemon: &Daemon, reason: &dyn fmt::Display) {
        if self.sight.replace(Sight::Blind) != Sight::Blind {
            log::warn!("camera={} motion=blind error=\"{reason}\"", self.camera);
            self.leave(daemon);
        }
    }

    fn leave(&self, daemon: &Daemon) {
        daemon.leave_marks(Some((&self.camera, &self.source)));
    }

    fn say(&self, daemon: &Rc<Daemon>, kind: &str, patience: Duration) {
        let Some(kind) = Word::new(kind) else { return };
        let (source, words) = (self.source.clone(), String::new());
        // A refused mark is counted where it is refused.
        let _ = daemon
            .mark(&self.camera, &MarkReport { source, kind, words, when: When::On(patience) });
    }
}

const MOTION: &str = "motion";
