//! A camera: connects, receives and reconnects for as long as it takes; its frames go into the
//! ring.
//!
//! Without viewers, the driver does not wait for readiness but reads in batches: waiting for every
//! packet costs 13 system calls a frame, a batch costs two for several frames.
//!
//! ```text
//! camera.rs      its state, as the rest of the daemon sees it
//! ├─ driver      one attempt after another
//! ├─ route       its address and transport
//! ├─ connect     name and port → socket
//! ├─ connection  sockets, session, packets → frames
//! ├─ datagrams   the sockets of UDP
//! ├─ reception   packets of a playing session, over any transport
//! ├─ video       packets → access units, reports
//! ├─ audio       packets of the sound track → frames
//! ├─ metadata    packets of the metadata track → what detectors say
//! ├─ arrivals    whether usable frames still arrive
//! ├─ trouble     why nothing can be recorded
//! ├─ told        which failures were logged
//! ├─ pace        how long to let bytes accumulate
//! ├─ snapshot    the newest JPEG, on request
//! ├─ probe       a short test of a camera
//! └─ error       why an attempt ended
//! ```
//! Knows nothing of: recordings, viewers beyond their number.

mod arrivals;
mod audio;
mod connect;
mod connection;
mod datagrams;
mod driver;
mod error;
mod metadata;
mod pace;
pub mod probe;
mod reception;
mod route;
pub mod snapshot;
mod told;
mod trouble;
mod video;

pub use connect::Connector;
pub use connection::{Activity, Connection};
pub(crate) use datagrams::pair as port_pair;
pub use error::Error;
pub use snapshot::{Picture, Reason, Snapshots, VideoPictures, VideoSource};

use self::{driver::Driver, trouble::Trouble};
use crate::{
    http::url::Target,
    limits,
    media::Intake,
    onvif::notice::Notice,
    rtsp::{LowerTransport, Metadata},
    runtime::{self, Count, Counted, Flag, Signal},
    sys,
};
use std::{
    cell::RefCell,
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// One camera, as the rest of the daemon sees it.
pub struct Camera {
    pub name: String,
    target: Target,
    transport: LowerTransport,
    metadata: Metadata,
    pub intake: RefCell<Intake>,
    status: RefCell<Status>,
    /// Notified after every batch that brought frames and every change of state.
    pub changed: Signal,
    /// While there are viewers, packets are read as they arrive.
    viewers: Count,
    stop: Flag,
    seed: u64,
}

/// What is shown of a camera.
struct Status {
    state: State,
    /// When it entered that state.
    since: Instant,
    /// When the last frame arrived; before the first, since when one is expected.
    last_frame: Instant,
    /// Why there is no stream, or none that can be recorded.
    last_error: Option<String>,
    /// Why nothing can be recorded although the camera is live.
    trouble: Option<Trouble>,
    /// What happens now has been logged within the last hour.
    repeats: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    Live,
    /// Pausing before the next attempt.
    Waiting,
    Off,
}

/// Receives a camera's events.
pub trait Observer {
    /// Frames arrived. `Break` ends the run: for that long, none of its frames became durable.
    fn frames(&self) -> ControlFlow<Duration>;
    /// The state, or the reason for it, changed.
    fn state_changed(&self);
    /// Its detectors said something, in the metadata track.
    fn notices(&self, _notices: &[Notice]) {}
    /// The run ended: no frame follows those in the ring.
    fn run_ended(&self);
}

impl Camera {
    /// `intake` determines whether sound is received, and its ring may grow. `seed` is for nonces
    /// and must differ at every start.
    pub fn new(name: String, target: Target, mut intake: Intake, seed: u64) -> Camera {
        intake.ring.may_grow(spare_memory);
        intake.name.clone_from(&name);
        Camera {
            name,
            target,
            transport: LowerTransport::Tcp,
            metadata: Metadata::No,
            intake: RefCell::new(intake),
            status: RefCell::new(Status {
                state: State::Connecting,
                since: runtime::now(),
                last_frame: runtime::now(),
                last_error: None,
                trouble: None,
                repeats: false,
            }),
            changed: Signal::default(),
            viewers: Count::default(),
            stop: Flag::default(),
            seed,
        }
    }

    /// Sets the transport to try first; the default is TCP.
    #[must_use]
    pub fn over(self, transport: LowerTransport) -> Camera {
        Camera { transport, ..self }
    }

    /// Sets whether its metadata are received; the default is that they are not.
    #[must_use]
    pub fn with(self, metadata: Metadata) -> Camera {
        Camera { metadata, ..self }
    }

    pub fn state(&self) -> State {
        self.status.borrow().state
    }

    /// When it entered that state.
    pub fn since(&self) -> Instant {
        self.status.borrow().since
    }

    /// When the last frame arrived; before the first, since when one is expected.
    pub fn last_frame(&self) -> Instant {
        self.status.borrow().last_frame
    }

    /// Why nothing can be recorded although the camera sends.
    pub fn trouble(&self) -> Option<String> {
        self.status.borrow().trouble.map(|trouble| trouble.to_string())
    }

    /// Returns true while it only repeats what was logged within the last hour.
    pub fn repeats(&self) -> bool {
        self.status.borrow().repeats
    }

    /// Why there is no stream, or none that can be recorded; `None` if all is well.
    pub fn last_error(&self) -> Option<String> {
        self.status.borrow().last_error.clone()
    }

    /// Shows the state of another receiver that replaces [`Camera::run`].
    pub fn show(&self, state: State, error: Option<String>) {
        {
            let mut status = self.status.borrow_mut();
            status.last_error = error;
            status.enter(state);
        }
        self.changed.notify();
    }

    pub fn viewers(&self) -> usize {
        self.viewers.get()
    }

    /// Adds a viewer, until the returned value is dropped; from the first one on, packets are read
    /// as they arrive.
    pub fn watch(&self) -> Counted {
        self.viewers.enter()
    }

    /// Completes when a viewer next arrives or leaves.
    pub fn viewers_changed(&self) -> impl Future<Output = ()> + use<> {
        self.viewers.changed()
    }

    /// Ends [`Camera::run`], with a TEARDOWN if there is a session.
    pub fn stop(&self) {
        self.stop.raise();
    }

    /// Connects, receives and reconnects until [`Camera::stop`]. To be called once.
    pub async fn run(&self, observer: &dyn Observer) {
        Driver::new(self, observer).run().await;
    }
}

impl Status {
    /// Returns true if that is another state.
    fn enter(&mut self, state: State) -> bool {
        let is_other = self.state != state;
        if is_other {
            (self.state, self.since) = (state, runtime::now());
        }
        is_other
    }

    fn frames_came(&mut self, now: Instant) {
        self.last_frame = now;
        if self.trouble.is_none() {
            self.last_error = None;
        }
    }

    /// Returns true if that is another trouble.
    fn is_in(&mut self, trouble: Option<Trouble>) -> bool {
        let is_other = self.trouble != trouble;
        if is_other {
            self.trouble = trouble;
            self.last_error = trouble.map(|trouble| trouble.to_string());
        }
        is_other
    }
}

impl State {
    /// As in `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Live => "live",
            State::Waiting => "waiting",
            State::Off => "off",
        }
    }
}

/// How far a ring may grow.
fn spare_memory() -> usize {
    usize::try_from(sys::memory_available() / limits::RING_MEMORY_PART).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
