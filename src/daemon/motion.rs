//! Watches a camera for motion: fetches its small JPEG twice a second, and marks what moves.
//!
//! What is watched is marked too, so that an hour without motion is told from one without a look.
//! Knows nothing of: how motion is seen, where marks go.

use super::{
    Daemon,
    marks::{Said, When},
};
use crate::{
    camera::Snapshots,
    config, limits,
    motion::{
        detector::{Detector, Seen},
        jpeg::Reader,
    },
    runtime::{self, Flag},
    storage::marks::{Mark, Word},
};
use smol::future;
use std::{rc::Rc, time::Duration};

/// Looks at one camera's pictures.
///
/// *Cost*: two pictures, one of them as it arrives, and 6 bytes a cell.
pub(super) struct Watch {
    camera: String,
    snapshots: Snapshots,
    sensitivity: u8,
    mask: config::Mask,
    stop: Flag,
}

impl Watch {
    /// `None` if the camera is not to be watched. `seed` is for nonces.
    pub fn new(camera: &config::Camera, seed: u64) -> Option<Watch> {
        (camera.motion == config::Motion::Jpeg).then(|| Watch {
            camera: camera.name.as_str().to_owned(),
            snapshots: Snapshots::of_motion(camera, seed),
            sensitivity: u8::try_from(camera.motion_sensitivity.get()).unwrap_or(u8::MAX),
            mask: camera.motion_mask.clone(),
            stop: Flag::default(),
        })
    }

    /// Watches until [`Watch::stop`]. To be called once.
    pub async fn run(&self, daemon: &Rc<Daemon>) {
        let watching = future::or(self.snapshots.run(), self.watch(daemon));
        self.stop.or_raised(watching).await;
    }

    /// Ends [`Watch::run`], and the marks that it began.
    pub fn stop(&self, daemon: &Daemon) {
        self.stop.raise();
        daemon.leave_marks(source().as_ref().map(|source| (self.camera.as_str(), source)));
    }

    async fn watch(&self, daemon: &Rc<Daemon>) {
        let mut detector = Detector::new(self.sensitivity, self.mask.areas());
        // Nothing was said yet, of seeing and of not seeing.
        let (mut is_watching, mut is_blind) = (false, false);
        loop {
            let started = runtime::now();
            let pause = match self.look(&mut detector).await {
                Ok((seen, bytes)) => {
                    if !is_watching {
                        log::info!("camera={} motion=watching", self.camera);
                    }
                    (is_watching, is_blind) = (true, false);
                    if seen != Seen::Learning {
                        self.say(daemon, Mark::WATCHED, limits::MOTION_WATCHED);
                    }
                    if seen == Seen::Motion {
                        self.say(daemon, KIND, limits::MARK_JOIN);
                    }
                    let seconds = bytes as u64 * 1000 / limits::MOTION_BYTES_PER_SECOND;
                    limits::MOTION_INTERVAL.max(Duration::from_millis(seconds))
                }
                Err(reason) => {
                    if !is_blind {
                        log::warn!("camera={} motion=blind error=\"{reason}\"", self.camera);
                        daemon.leave_marks(source().as_ref().map(|it| (self.camera.as_str(), it)));
                    }
                    (is_watching, is_blind) = (false, true);
                    limits::MOTION_RETRY_INTERVAL
                }
            };
            runtime::sleep_until(started + pause).await;
        }
    }

    /// Looks at the next picture; returns what it shows, and its size.
    async fn look(&self, detector: &mut Detector) -> Result<(Seen, usize), String> {
        let picture = self.snapshots.newest().await.map_err(|reason| reason.to_string())?;
        let mut reader = Reader::new(&picture.jpeg).map_err(|error| error.to_string())?;
        while !reader.read_row().map_err(|error| error.to_string())? {
            // A large picture takes tens of milliseconds: packets must not wait for it.
            future::yield_now().await;
        }
        Ok((detector.look(&reader.finish()), picture.jpeg.len()))
    }

    fn say(&self, daemon: &Rc<Daemon>, kind: &str, patience: Duration) {
        let (Some(source), Some(kind)) = (source(), Word::new(kind)) else { return };
        let said = Said { source, kind, words: String::new(), when: When::On(patience) };
        // A refused one is counted where it is refused.
        let _ = daemon.mark(&self.camera, &said);
    }
}

fn source() -> Option<Word> {
    Word::new("jpeg")
}

const KIND: &str = "motion";
