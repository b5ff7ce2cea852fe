//! Looks at a camera's small JPEG, about twice a second.

use super::{MOTION, MotionWatch};
use crate::{
    camera::Snapshots,
    config,
    daemon::Daemon,
    limits,
    motion::{
        detector::{Detector, Seen},
        jpeg::JpegReader,
    },
    runtime,
};
use smol::future;
use std::{rc::Rc, time::Duration};

/// A camera's pictures.
///
/// *Cost*: two pictures, one of them as it arrives, and 6 bytes a cell.
pub(super) struct Pictures {
    snapshots: Snapshots,
    sensitivity: u8,
    mask: config::Mask,
}

impl Pictures {
    pub fn new(camera: &config::Camera, seed: u64) -> Pictures {
        Pictures {
            snapshots: Snapshots::of_motion(camera, seed),
            sensitivity: u8::try_from(camera.motion_sensitivity.get()).unwrap_or(u8::MAX),
            mask: camera.motion_mask.clone(),
        }
    }

    pub async fn watch(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        future::or(self.snapshots.run(), self.look_on(watch, daemon)).await;
    }

    async fn look_on(&self, watch: &MotionWatch, daemon: &Rc<Daemon>) {
        let mut detector = Detector::new(self.sensitivity, self.mask.areas());
        loop {
            let started = runtime::now();
            let pause = match self.look(&mut detector).await {
                Ok((seen, bytes)) => {
                    match seen {
                        Seen::Learning => watch.sees(),
                        Seen::Still | Seen::Motion => watch.watches(daemon),
                    }
                    if seen == Seen::Motion {
                        watch.moves(daemon, MOTION);
                    }
                    let millis = bytes as u64 * 1000 / limits::MOTION_BYTES_PER_SECOND;
                    limits::MOTION_INTERVAL.max(Duration::from_millis(millis))
                }
                Err(reason) => {
                    watch.is_blind(daemon, &reason);
                    limits::MOTION_RETRY_INTERVAL
                }
            };
            runtime::sleep_until(started + pause).await;
        }
    }

    /// Looks at the next picture; returns what it shows, and its size.
    async fn look(&self, detector: &mut Detector) -> Result<(Seen, usize), String> {
        let picture = self.snapshots.newest().await.map_err(|reason| reason.to_string())?;
        let mut reader = JpegReader::new(&picture.jpeg).map_err(|error| error.to_string())?;
        while !reader.read_row().map_err(|error| error.to_string())? {
            // A large picture takes tens of milliseconds: packets must not wait for it.
            future::yield_now().await;
        }
        Ok((detector.look(&reader.finish()), picture.jpeg.len()))
    }
}
