//! The test camera: an RTSP 1.0 server on loopback that plays small clips for ever.
//!
//! ```text
//! .h264/.h265 + .pts ─▶ Clip ─▶ Sender ─▶ Packetizer ─▶ Filter ─▶ Transport ─▶ client
//!                      (clip)  (session)               (faults)   TCP or UDP
//!                      Sound ──┘ (its own packets)
//! ```
//! Tests start it in-process ([`Camera::builder`]) or as the program `camera`. What a client must
//! have received is known exactly: every session begins at [`Options::first_frame`], frame `n` is
//! [`Clip::frame`], and [`Camera::sessions`] counts what was sent. A picture's RTP time is its
//! presentation time, frames come in decode order, and each round of a clip continues where the one
//! before ended.

#![expect(
    clippy::disallowed_methods,
    reason = "a thread a client and sleeping until a frame is due are all the clockwork this program needs"
)]

mod auth;
mod clip;
mod connection;
mod control;
mod faults;
mod http;
mod jpeg;
mod message;
mod metadata;
mod packetize;
mod quirks;
mod sdp;
mod server;
mod session;
mod sound;
mod statistics;
mod stream;
mod transport;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use auth::{Auth, Scheme};
pub use clip::{AccessUnit, Clip, ClipError, Codec, Frame};
pub use control::Control;
pub use faults::{Clock, Faults, TimestampJump};
pub use http::{PICTURE, PictureRequest, Pictures};
pub use metadata::{Metadata, Setup};
pub use packetize::Aggregation;
pub use quirks::{Quirk, Quirks};
pub use sdp::{Announced, ParameterSets};
pub use server::{Builder, Camera, StartError};
pub use sound::{Encoding, Sound};
pub use statistics::{Reception, Session, SessionState, TransportKind};
pub use stream::{Options, Speed, Switch, Then, Timeout, Transports};

/// A thread that panicked has printed it; the others continue.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
