//! Media: access units in, an ordered record of timed frames in RAM out.
//!
//! [`Intake`] is the only writer: it decides whether a frame can be decoded by what went before,
//! gives it its times and appends it to the [`Ring`]. Recorder and viewers read by frame number.
//! Knows nothing of: packets, files, sockets.

pub mod audio;
mod audio_clock;
pub mod cadence;
mod drift;
mod follower;
pub mod intake;
pub mod origin;
pub mod ring;
mod store;
mod sync;
pub mod timeline;

use crate::{codec::ParameterSets, units::Ticks};
use std::sync::Arc;

pub use audio::{AudioFrame, AudioRing};
pub use follower::Follower;
pub use intake::{Intake, Losses};
pub use origin::Origin;
pub use ring::Ring;
pub use sync::TrackClock;

/// One access unit with its times; its bytes (NAL units, each behind a 32-bit length) lie in the
/// ring.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it is shown: the camera's RTP time, counted from the first frame of the run.
    pub presentation: Ticks,
    /// When it is decoded; strictly increasing, at most `presentation` in an orderly stream.
    pub decode: Ticks,
    pub kind: FrameKind,
    /// The run it belongs to; times of different runs cannot be compared.
    pub run: u32,
    /// The active sets; the same allocation as before unless their meaning changed.
    pub parameter_sets: Arc<ParameterSets>,
}

impl Frame {
    pub fn is_key(&self) -> bool {
        self.kind != FrameKind::Delta
    }

    fn has_sets_of(&self, other: &Frame) -> bool {
        Arc::ptr_eq(&self.parameter_sets, &other.parameter_sets)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// Decoding can start here.
    Key,
    /// It can start here too, but the first pictures may be incomplete; a substitute if no key
    /// frames come.
    RecoveryPoint,
    Delta,
}

#[cfg(test)]
pub(crate) mod tests;
