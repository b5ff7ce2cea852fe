//! A camera: connects, receives and reconnects for as long as it takes; its frames go into the
//! ring.
//!
//! Without viewers, the driver does not wait for readiness but reads in batches: waiting for every
//! packet costs 13 system calls a frame, a batch costs two for several frames.
//!
//! ```text
//! camera.rs      one attempt after another, and their state
//! ├─ route       its address and transport
//! ├─ connect     name and port → socket
//! ├─ connection  sockets, session, packets → frames
//! ├─ datagrams   the sockets of UDP
//! ├─ reception   packets of a playing session, over any transport
//! ├─ video       packets → access units, reports
//! ├─ audio       packets of the sound track → frames
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
mod error;
mod pace;
pub mod probe;
mod reception;
mod route;
pub mod snapshot;
mod told;
mod trouble;
mod video;

pub use connect::Connector;
pub use connection::{Connection, Step};
pub(crate) use datagrams::pair as port_pair;
pub use error::Error;
pub use snapshot::{Picture, Reason, Snapshots, Source, Video};

use self::{
    route::{Next, Route},
    told::{News, Told},
    trouble::Trouble,
};
use crate::{
    http::url::Target,
    limits,
    media::{Intake, Losses},
    rtp,
    rtsp::{LowerTransport, Tracks},
    runtime::{self, Signal},
    sys,
};
use smol::future;
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

/// One camera, as the rest of the daemon sees it.
pub struct Camera {
    pub name: String,
    target: Target,
    transport: LowerTransport,
    pub intake: RefCell<Intake>,
    state: Cell<State>,
    since: Cell<Instant>,
    /// When the last frame arrived; before the first, since when one is expected.
    last_frame: Cell<Instant>,
    last_error: RefCell<Option<String>>,
    /// Why nothing can be recorded although the camera is live.
    trouble: Cell<Option<Trouble>>,
    told: RefCell<Told>,
    /// What happens now has been logged within the last hour.
    repeats: Cell<bool>,
    /// Notified after every batch that brought frames and every change of state.
    pub changed: Signal,
    /// While there are viewers, packets are read as they arrive.
    viewers: Cell<usize>,
    /// The first viewer came, or the last one left.
    watched: Signal,
    stopped: Cell<bool>,
    stop: Signal,
    /// Different for each connection.
    seed: Cell<u64>,
    /// Statistics of the last attempt, if packets arrived.
    delivered: Cell<Option<rtp::Statistics>>,
    /// Odd reply numbers have been logged.
    told_miscounts: Cell<bool>,
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
    /// The run should end: its frames lead nowhere.
    /// The run is to end: nothing becomes of its frames.
    fn frames(&self) -> Result<(), Error>;
    /// The state, or the reason for it, changed.
    fn state_changed(&self);
    /// The run ended: no frame follows those in the ring.
    fn run_ended(&self);
}

impl Camera {
    /// `intake` determines whether sound is received, and its ring may grow. `seed` is for nonces
    /// and must differ at every start.
    pub fn new(name: String, target: Target, mut intake: Intake, seed: u64) -> Camera {
        intake.ring.may_grow(spare_memory);
        Camera {
            name,
            target,
            transport: LowerTransport::Tcp,
            intake: RefCell::new(intake),
            state: Cell::new(State::Connecting),
            since: Cell::new(runtime::now()),
            last_frame: Cell::new(runtime::now()),
            last_error: RefCell::new(None),
            trouble: Cell::new(None),
            told: RefCell::default(),
            repeats: Cell::new(false),
            changed: Signal::default(),
            viewers: Cell::new(0),
            watched: Signal::default(),
            stopped: Cell::new(false),
            stop: Signal::default(),
            seed: Cell::new(seed),
            delivered: Cell::new(None),
            told_miscounts: Cell::new(false),
        }
    }

    /// Sets the transport to try first; the default is TCP.
    #[must_use]
    pub fn over(self, transport: LowerTransport) -> Camera {
        Camera { transport, ..self }
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    /// When it entered that state.
    pub fn since(&self) -> Instant {
        self.since.get()
    }

    /// When the last frame arrived; before the first, since when one is expected.
    pub fn last_frame(&self) -> Instant {
        self.last_frame.get()
    }

    /// Why nothing can be recorded although the camera sends.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.get().map(|trouble| trouble.to_string())
    }

    /// Returns true while it only repeats what was logged within the last hour.
    pub fn repeats(&self) -> bool {
        self.repeats.get()
    }

    /// Why there is no stream, or none that can be recorded; `None` if all is well.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }

    /// Shows the state of another receiver that replaces [`Camera::run`].
    pub fn show(&self, state: State, error: Option<String>) {
        self.last_error.replace(error);
        if self.state.replace(state) != state {
            self.since.set(runtime::now());
        }
        self.changed.notify();
    }

    pub fn viewers(&self) -> usize {
        self.viewers.get()
    }

    /// Adds a viewer; from the first one on, packets are read as they arrive.
    pub fn viewer_came(&self) {
        self.set_viewers(self.viewers.get() + 1);
    }

    pub fn viewer_left(&self) {
        self.set_viewers(self.viewers.get().saturating_sub(1));
    }

    fn set_viewers(&self, viewers: usize) {
        let before = self.viewers.replace(viewers);
        if (before > 0) != (viewers > 0) {
            self.watched.notify();
        }
    }

    /// Completes when the first viewer next arrives or the last one leaves.
    pub fn watched_or_not(&self) -> impl Future<Output = ()> + use<> {
        self.watched.changed()
    }

    /// Ends [`Camera::run`], with a TEARDOWN if there is a session.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.stop.notify();
    }

    /// Connects, receives and reconnects until [`Camera::stop`]. To be called once.
    pub async fn run(&self, observer: &dyn Observer) {
        let wants_audio = self.intake.borrow().wants_audio();
        let tracks = if wants_audio { Tracks::VideoAndAudio } else { Tracks::Video };
        let mut route = Route::new(self.target.clone(), tracks, self.transport);
        let mut patience = Patience::new();
        // The reason why the next attempt followed at once.
        let mut detour = None;
        while !self.stopped.get() {
            self.enter(State::Connecting, observer);
            let started = runtime::now();
            self.delivered.set(None);
            let ending = self.receive(&mut route, observer).await;
            self.trouble.set(None);
            let Err(error) = ending else { break };
            let error = match route.after(error, self.delivered.get().is_some()) {
                Next::Later(error) => error,
                Next::AtOnce(reason) => {
                    if detour.as_ref() != Some(&reason) {
                        let over = route.over().name();
                        log::info!("camera={} trying={over} reason=\"{reason}\"", self.name);
                        detour = Some(reason);
                    }
                    continue;
                }
            };
            let text = error.to_string();
            let wait = patience.after(&error, self.state.get());
            self.tell_failure(&text);
            self.last_error.replace(Some(text));
            self.enter(State::Waiting, observer);
            // Counted from the start of the attempt.
            self.or_stopped(runtime::sleep_until(started + wait)).await;
        }
        self.repeats.set(false);
        self.log_losses();
        self.enter(State::Off, observer);
        log::info!("camera={} state=off", self.name);
    }

    /// Logs a failure unless it was logged recently; then its consequences are not logged either.
    fn tell_failure(&self, text: &str) {
        let news = self.told.borrow_mut().failed(text, runtime::now());
        self.repeats.set(news == News::No);
        let News::Yes { again } = news else { return };
        self.log_losses();
        let name = &self.name;
        match again {
            0 => log::warn!("camera={name} state=waiting error=\"{text}\""),
            _ => log::warn!(
                "camera={name} state=waiting error=\"{text}\" again={again} since_ms={}",
                limits::FAILURE_TOLD_INTERVAL.as_millis()
            ),
        }
    }

    /// Logs a change of what is wrong with a live stream.
    fn tell_trouble(&self, trouble: Option<Trouble>, observer: &dyn Observer) {
        if self.trouble.replace(trouble) == trouble {
            return;
        }
        self.last_error.replace(trouble.map(|trouble| trouble.to_string()));
        let name = &self.name;
        match trouble {
            Some(it) => log::log!(it.level(), "camera={name} state=live trouble=\"{it}\""),
            None => log::info!("camera={name} state=live trouble=over"),
        }
        observer.state_changed();
        self.changed.notify();
    }

    /// One run, from connecting to its end; `Ok` if it was stopped.
    async fn receive(&self, route: &mut Route, observer: &dyn Observer) -> Result<(), Error> {
        let started = runtime::now();
        self.seed.set(self.seed.get().wrapping_add(1));
        let opening = route.connect(self.seed.get());
        let Some(connection) = self.or_stopped(opening).await else { return Ok(()) };
        let mut connection = connection?;
        self.intake.borrow_mut().begin_run();
        let mut tells_time = !self.repeats.get();
        let ending = loop {
            let step = connection.step(&self.intake, self.viewers.get() > 0);
            match self.or_stopped(self.or_watched(step)).await {
                Some(Ok(Step::Idle)) => {}
                Some(Ok(Step::Playing)) => {
                    self.enter(State::Live, observer);
                    self.tell_live(&connection, started);
                }
                Some(Ok(Step::Frames)) => {
                    self.last_frame.set(runtime::now());
                    if self.trouble.get().is_none() {
                        self.last_error.replace(None);
                    }
                    let verdict = observer.frames();
                    self.changed.notify();
                    if let Err(error) = verdict {
                        break Err(error);
                    }
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            let trouble = connection.trouble(&self.intake.borrow());
            self.tell_trouble(trouble, observer);
            if let Some(time) = connection.wall_time().filter(|_| tells_time) {
                log::info!("camera={} its_clock={time}", self.name);
                tells_time = false;
            }
        };
        if ending.is_ok() {
            // Frames sent before the stop belong to the recording.
            connection.take_rest(&mut self.intake.borrow_mut());
        }
        connection.end_run(&mut self.intake.borrow_mut());
        observer.run_ended();
        self.delivered.set(connection.delivers().then(|| connection.statistics()));
        connection.tear_down().await;
        ending
    }

    fn tell_live(&self, connection: &Connection, started: Instant) {
        if connection.counters().miscounted_replies > 0 && !self.told_miscounts.replace(true) {
            log::info!(
                "camera={} its replies carry other CSeq numbers than the requests",
                self.name
            );
        }
        if self.repeats.get() {
            return;
        }
        let after = runtime::now().duration_since(started).as_millis();
        log::info!("camera={} state=live after_ms={after}", self.name);
        if self.intake.borrow().wants_audio() {
            log::info!("camera={} {}", self.name, connection.sound());
        }
    }

    /// Logs the losses of a run that brought packets: packets since it began, frames since the
    /// start of the program.
    fn log_losses(&self) {
        let Some(statistics) = self.delivered.take() else { return };
        let rtp::Statistics { received, lost, late, duplicate, foreign, restarts } = statistics;
        let losses = self.intake.borrow().losses();
        let Losses { broken, malformed, undecodable, too_large, .. } = losses;
        let Losses { audio_packets, audio_frames, .. } = losses;
        log::info!(
            "camera={} packets={received} lost={lost} late={late} twice={duplicate} \
             foreign={foreign} restarts={restarts} frames_broken={broken} \
             frames_malformed={malformed} frames_undecodable={undecodable} \
             frames_too_large={too_large} \
             audio_packets_lost={audio_packets} audio_frames_broken={audio_frames}",
            self.name
        );
    }

    /// Returns the output of `future`, or `None` once the camera is stopped.
    async fn or_stopped<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            let stop = self.stop.changed();
            if !self.stopped.get() {
                stop.await;
            }
            None
        };
        future::or(stopped, async { Some(future.await) }).await
    }

    /// Returns the output of `step`, or `Idle` at once when the first viewer arrives, so that it
    /// does not wait for the next batch.
    async fn or_watched(
        &self,
        step: impl Future<Output = Result<Step, Error>>,
    ) -> Result<Step, Error> {
        let watched = self.watched.changed();
        if self.viewers.get() > 0 {
            return step.await;
        }
        let watched = async {
            watched.await;
            Ok(Step::Idle)
        };
        future::or(step, watched).await
    }

    fn enter(&self, state: State, observer: &dyn Observer) {
        if self.state.replace(state) != state {
            self.since.set(runtime::now());
            observer.state_changed();
            self.changed.notify();
        }
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

/// How long to wait before the next attempt.
struct Patience {
    /// Interval after refused credentials; other failures do not shorten it.
    unauthorized: Duration,
}

impl Patience {
    fn new() -> Patience {
        Patience { unauthorized: limits::RETRY_INTERVAL }
    }

    /// `state` is how far the failed attempt got.
    fn after(&mut self, error: &Error, state: State) -> Duration {
        if state == State::Live {
            self.unauthorized = limits::RETRY_INTERVAL;
        }
        if !error.is_about_credentials() {
            return limits::RETRY_INTERVAL;
        }
        self.unauthorized = (self.unauthorized * 2).min(limits::RETRY_INTERVAL_UNAUTHORIZED_MAX);
        self.unauthorized
    }
}

/// How far a ring may grow.
fn spare_memory() -> usize {
    usize::try_from(sys::memory_available() / limits::RING_MEMORY_PART).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
