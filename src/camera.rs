//! A camera: connects, receives and tries again, for as long as it takes; frames into the ring.
//!
//! While nobody watches, the socket is not waited for but emptied in gulps: waiting for every packet
//! costs 13 system calls a frame, a gulp costs two for several frames.
//!
//! ```text
//! camera.rs      one try after another, and what is shown of them
//! ├─ route       where to look for it, over which transport
//! ├─ connect     name and port → socket
//! ├─ connection  sockets, session, packets → frames
//! ├─ datagrams   the sockets of UDP
//! ├─ reception   packets of a session that plays, however they come
//! ├─ video       packets → access units, reports
//! ├─ audio       packets of the sound track → frames
//! ├─ arrivals    whether it still sends what can be used
//! ├─ trouble     why nothing of that can be recorded
//! ├─ told        which failures were said
//! ├─ pace        how long to let bytes gather
//! ├─ snapshot    the newest JPEG, while somebody looks
//! ├─ probe       a short look at a camera
//! └─ error       why a try ended
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

/// One camera as the rest of the daemon sees it.
pub struct Camera {
    pub name: String,
    target: Target,
    transport: LowerTransport,
    pub intake: RefCell<Intake>,
    state: Cell<State>,
    since: Cell<Instant>,
    /// When a frame came last; before the first one, since when it is waited for.
    last_frame: Cell<Instant>,
    last_error: RefCell<Option<String>>,
    /// What is wrong though it is live.
    trouble: Cell<Option<Trouble>>,
    told: RefCell<Told>,
    /// What happens has happened before and was said: once an hour is enough.
    repeats: Cell<bool>,
    /// Frames and state: notified after every gulp that brought frames and every change of state.
    pub changed: Signal,
    /// While there are viewers, packets are taken as they come.
    viewers: Cell<usize>,
    /// The first viewer came, or the last one left.
    watched: Signal,
    stopped: Cell<bool>,
    stop: Signal,
    /// Another one for each connection.
    seed: Cell<u64>,
    /// What the last try brought, if it brought packets.
    delivered: Cell<Option<rtp::Statistics>>,
    /// It was said that its replies are numbered oddly.
    told_miscounts: Cell<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    Live,
    /// Before the next try.
    Waiting,
    Off,
}

/// Who is told what a camera brings.
pub trait Observer {
    /// # Errors
    /// The run is to end: nothing becomes of its frames.
    fn frames(&self) -> Result<(), Error>;
    /// Another state, or another reason for it.
    fn state_changed(&self);
    /// The run is over: no frame follows those in the ring.
    fn run_ended(&self);
}

impl Camera {
    /// `intake`: takes sound or not; its ring may grow; `seed`: for nonces, different at every start.
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

    /// The transport that is tried first; TCP unless this is called.
    #[must_use]
    pub fn over(self, transport: LowerTransport) -> Camera {
        Camera { transport, ..self }
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    /// When it came into that state.
    pub fn since(&self) -> Instant {
        self.since.get()
    }

    /// When a frame came last; before the first one, since when it is waited for.
    pub fn last_frame(&self) -> Instant {
        self.last_frame.get()
    }

    /// Why nothing of what it sends can be recorded, though it sends.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.get().map(|trouble| trouble.to_string())
    }

    /// True while it only does again what was said within the last hour.
    pub fn repeats(&self) -> bool {
        self.repeats.get()
    }

    /// Why there is no stream, or nothing of it can be recorded; `None` while it can.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }

    /// Shows the state of another receiver that works in place of [`Camera::run`].
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

    /// One more viewer; the first one's packets are taken from this moment on as they come.
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

    /// The next time that the first viewer comes or the last one leaves.
    pub fn watched_or_not(&self) -> impl Future<Output = ()> + use<> {
        self.watched.changed()
    }

    /// Ends [`Camera::run`], with a TEARDOWN where there is a session.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.stop.notify();
    }

    /// Connects, receives and tries again, until [`Camera::stop`]. To be run once.
    pub async fn run(&self, observer: &dyn Observer) {
        let wants_audio = self.intake.borrow().wants_audio();
        let tracks = if wants_audio { Tracks::VideoAndAudio } else { Tracks::Video };
        let mut route = Route::new(self.target.clone(), tracks, self.transport);
        let mut patience = Patience::new();
        // The last try that was followed by another one at once.
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
            // Counted from the beginning of the try.
            self.or_stopped(runtime::sleep_until(started + wait)).await;
        }
        self.repeats.set(false);
        self.log_losses();
        self.enter(State::Off, observer);
        log::info!("camera={} state=off", self.name);
    }

    /// One line a change: the same failure again is no news, and neither is what comes of it.
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

    /// Says what is wrong with a stream that is live, once it changes.
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

    /// One run: from the connection to its end; `Ok` when it was stopped.
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
            // What the camera sent before the stop belongs to the recording.
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
            log::info!("camera={} its replies have a CSeq of their own", self.name);
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

    /// One line a run that brought packets: those since it began, frames since the start.
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

    /// What `future` gives, or `None` once the camera is stopped.
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

    /// What `step` brings, or nothing as soon as a first viewer comes: he is not to wait for a gulp.
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

/// How long to wait before the next try.
struct Patience {
    /// After a refusal of the credentials; other failures in between do not shorten it.
    unauthorized: Duration,
}

impl Patience {
    fn new() -> Patience {
        Patience { unauthorized: limits::RETRY_INTERVAL }
    }

    /// `state`: how far the try came that ended so.
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

/// What a ring may take to grow.
fn spare_memory() -> usize {
    usize::try_from(sys::memory_available() / limits::RING_MEMORY_PART).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
