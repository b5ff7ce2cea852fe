//! Drives a camera: one attempt after another, each from connecting to its end.
//!
//! Knows nothing of: the bytes on the wire, what becomes of frames.

use super::{
    Activity, Camera, Connection, Error, Observer, State,
    route::{Retry, Route},
    told::{LoggedFailures, Novelty},
    trouble::Trouble,
};
use crate::{
    limits,
    media::Losses,
    rtp,
    rtsp::{Metadata, Tracks},
    runtime,
};
use smol::future;
use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// What is remembered from one attempt to the next.
pub(super) struct Driver<'a> {
    camera: &'a Camera,
    observer: &'a dyn Observer,
    route: Route,
    backoff: Backoff,
    /// Different for each connection.
    seed: u64,
    told: LoggedFailures,
    /// Odd reply numbers have been logged.
    told_miscounts: bool,
    /// Statistics of the last attempt, if packets arrived.
    delivered: Option<rtp::Statistics>,
}

impl<'a> Driver<'a> {
    pub fn new(camera: &'a Camera, observer: &'a dyn Observer) -> Driver<'a> {
        let wants_audio = camera.intake.borrow().wants_audio();
        let tracks = if wants_audio { Tracks::VideoAndAudio } else { Tracks::Video };
        let mut route = Route::new(camera.target.clone(), tracks, camera.transport);
        route.metadata = camera.metadata;
        Driver {
            camera,
            observer,
            route,
            backoff: Backoff::new(),
            seed: camera.seed,
            told: LoggedFailures::default(),
            told_miscounts: false,
            delivered: None,
        }
    }

    /// Connects, receives and reconnects until the camera is stopped.
    pub async fn run(&mut self) {
        let (camera, name) = (self.camera, &self.camera.name);
        // The reason why the next attempt followed at once.
        let mut detour = None;
        while !camera.stop.is_raised() {
            self.enter(State::Connecting);
            let started = runtime::now();
            self.delivered = None;
            let ending = self.receive().await;
            camera.status.borrow_mut().trouble = None;
            let Err(error) = ending else { break };
            let error = match self.route.after(error, self.delivered.is_some()) {
                Retry::Later(error) => error,
                Retry::AtOnce(reason) => {
                    if detour.as_ref() != Some(&reason) {
                        let over = self.route.over().name();
                        log::info!("camera={name} trying={over} reason=\"{reason}\"");
                        detour = Some(reason);
                    }
                    continue;
                }
            };
            let text = error.to_string();
            let wait = self.backoff.after(&error, camera.state());
            self.tell_failure(&text);
            camera.status.borrow_mut().last_error = Some(text);
            self.enter(State::Waiting);
            // Counted from the start of the attempt.
            camera.stop.or_raised(runtime::sleep_until(started + wait)).await;
        }
        camera.status.borrow_mut().repeats = false;
        self.log_losses();
        self.enter(State::Off);
        log::info!("camera={name} state=off");
    }

    /// One run, from connecting to its end; `Ok` if the camera was stopped.
    pub async fn receive(&mut self) -> Result<(), Error> {
        let (camera, observer) = (self.camera, self.observer);
        let started = runtime::now();
        self.seed = self.seed.wrapping_add(1);
        let opening = self.route.connect(self.seed);
        let Some(connection) = camera.stop.or_raised(opening).await else { return Ok(()) };
        let mut connection = connection?;
        camera.intake.borrow_mut().begin_run();
        let mut tells_time = !camera.repeats();
        let ending = loop {
            let step = connection.step(&camera.intake, camera.viewers() > 0);
            match camera.stop.or_raised(camera.or_watched(step)).await {
                Some(Ok(Activity::Idle)) => {}
                Some(Ok(Activity::Playing)) => {
                    self.enter(State::Live);
                    self.tell_live(&connection, started);
                }
                Some(Ok(Activity::Frames)) => {
                    camera.status.borrow_mut().frames_came(runtime::now());
                    let verdict = observer.frames();
                    camera.changed.notify();
                    if let ControlFlow::Break(span) = verdict {
                        break Err(Error::NoneDurable(span));
                    }
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
            let notices = connection.notices();
            if !notices.is_empty() {
                observer.notices(&notices);
            }
            let trouble = connection.trouble(&camera.intake.borrow());
            self.tell_trouble(trouble);
            if let Some(time) = connection.wall_time().filter(|_| tells_time) {
                log::info!("camera={} its_clock={time}", camera.name);
                tells_time = false;
            }
        };
        if ending.is_ok() {
            // Frames sent before the stop belong to the recording.
            connection.take_rest(&mut camera.intake.borrow_mut());
        }
        connection.end_run(&mut camera.intake.borrow_mut());
        observer.run_ended();
        // A stream without metadata is better than none.
        if runtime::now() >= started + limits::METADATA_TRUST {
            self.route.metadata = camera.metadata;
        } else if connection.asks_for_metadata() && ending.is_err() {
            self.route.metadata = Metadata::No;
        }
        self.delivered = connection.delivers().then(|| connection.statistics());
        connection.tear_down().await;
        ending
    }

    fn enter(&self, state: State) {
        if self.camera.status.borrow_mut().enter(state) {
            self.observer.state_changed();
            self.camera.changed.notify();
        }
    }

    /// Logs a failure unless it was logged recently; then its consequences are not logged either.
    fn tell_failure(&mut self, text: &str) {
        let news = self.told.failed(text, runtime::now());
        self.camera.status.borrow_mut().repeats = news == Novelty::No;
        let Novelty::Yes { again } = news else { return };
        self.log_losses();
        let name = &self.camera.name;
        match again {
            0 => log::warn!("camera={name} state=waiting error=\"{text}\""),
            _ => log::warn!(
                "camera={name} state=waiting error=\"{text}\" again={again} since_ms={}",
                limits::FAILURE_TOLD_INTERVAL.as_millis()
            ),
        }
    }

    /// Logs a change of what is wrong with a live stream.
    fn tell_trouble(&self, trouble: Option<Trouble>) {
        let camera = self.camera;
        if !camera.status.borrow_mut().is_in(trouble) {
            return;
        }
        let name = &camera.name;
        match trouble {
            Some(it) => log::log!(it.level(), "camera={name} state=live trouble=\"{it}\""),
            None => log::info!("camera={name} state=live trouble=over"),
        }
        self.observer.state_changed();
        camera.changed.notify();
    }

    fn tell_live(&mut self, connection: &Connection, started: Instant) {
        let name = &self.camera.name;
        if connection.counters().miscounted_replies > 0 && !self.told_miscounts {
            self.told_miscounts = true;
            log::info!("camera={name} its replies carry other CSeq numbers than the requests");
        }
        if self.camera.repeats() {
            return;
        }
        let after = runtime::now().duration_since(started).as_millis();
        log::info!("camera={name} state=live after_ms={after}");
        if self.camera.intake.borrow().wants_audio() {
            log::info!("camera={name} {}", connection.sound());
        }
    }

    /// Logs the losses of a run that brought packets: packets since it began, frames since the
    /// start of the program.
    fn log_losses(&mut self) {
        let Some(statistics) = self.delivered.take() else { return };
        let rtp::Statistics { received, lost, late, duplicate, foreign, restarts } = statistics;
        let losses = self.camera.intake.borrow().losses();
        let Losses { broken, malformed, undecodable, too_large, .. } = losses;
        let Losses { audio_packets, audio_frames, .. } = losses;
        log::info!(
            "camera={} packets={received} lost={lost} late={late} twice={duplicate} \
             foreign={foreign} restarts={restarts} frames_broken={broken} \
             frames_malformed={malformed} frames_undecodable={undecodable} \
             frames_too_large={too_large} \
             audio_packets_lost={audio_packets} audio_frames_broken={audio_frames}",
            self.camera.name
        );
    }
}

impl Camera {
    /// Returns the output of `step`, or `Idle` at once when the first viewer arrives, so that it
    /// does not wait for the next batch.
    pub(super) async fn or_watched(
        &self,
        step: impl Future<Output = Result<Activity, Error>>,
    ) -> Result<Activity, Error> {
        if self.viewers() > 0 {
            return step.await;
        }
        let watched = async {
            self.viewers.until(|viewers| viewers > 0).await;
            Ok(Activity::Idle)
        };
        future::or(step, watched).await
    }
}

/// How long to wait before the next attempt.
pub(super) struct Backoff {
    /// Interval after refused credentials; other failures do not shorten it.
    unauthorized: Duration,
}

impl Backoff {
    pub fn new() -> Backoff {
        Backoff { unauthorized: limits::RETRY_INTERVAL }
    }

    /// `state` is how far the failed attempt got.
    pub fn after(&mut self, error: &Error, state: State) -> Duration {
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
