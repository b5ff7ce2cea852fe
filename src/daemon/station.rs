//! A station: one camera with its recorder, snapshots and smaller stream, and the command waiting
//! for the card thread.
//!
//! Knows nothing of: other stations, signals, configuration files.

mod wired;

pub(super) use wired::Wired;

use super::{
    Daemon,
    absence::Absence,
    desk::CardDesk,
    gate::EventGate,
    motion::MotionWatch,
    substream::SubStream,
    watchdog::{Watchdog, WatchdogVerdict, Way},
};
use crate::{
    camera::{Camera, Snapshots, VideoPictures, VideoSource},
    config,
    ffmpeg::Runner,
    limits,
    media::Intake,
    recorder::{Moment, Recorder},
    runtime::{self, Counted, Flag},
    still::Stills,
    storage::{CameraId, CardState, Command},
    units::Ticks,
};
use smol::LocalExecutor;
use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    rc::Rc,
    time::{Duration, Instant},
};

/// A camera and everything that consumes its frames.
pub struct Station {
    pub camera: Rc<Camera>,
    /// The separate stream for viewers (`live_url`).
    live: Option<Rc<SubStream>>,
    pub snapshots: Snapshots,
    pub(super) motion: Option<MotionWatch>,
    /// Records the camera in place of `recorder`.
    pub ffmpeg: Option<Runner>,
    pub(super) id: CameraId,
    pub(super) life: u64,
    pub(super) recorder: RefCell<Recorder>,
    /// A command refused by the full queue; it goes first when there is room.
    pub(super) unsent: RefCell<Option<Command>>,
    /// The camera has stopped.
    ended: Flag,
    card: Cell<CardWay>,
    file: Cell<OpenFile>,
    /// Lets through events; `None` if everything is recorded.
    pub(super) gate: Option<EventGate>,
    said: RefCell<Said>,
    watchdog: RefCell<Watchdog>,
    pub(super) absence: RefCell<Absence>,
    /// Frames skipped for slow viewers.
    pub skipped: Cell<u64>,
}

/// Whether the card accepts a segment.
#[derive(Clone, Copy, Default)]
struct CardWay {
    takes_segments: bool,
    /// After a failure, no segment is opened before this.
    retry_at: Option<Instant>,
}

impl CardWay {
    fn is_open(self) -> bool {
        self.takes_segments && self.retry_at.is_none()
    }
}

/// The open file.
#[derive(Clone, Copy, Default)]
struct OpenFile {
    number: Option<u32>,
    /// When frames of it last became durable.
    durable_at: Option<Instant>,
}

/// What was last logged about the station.
#[derive(Default)]
struct Said {
    /// Why a segment could not be opened.
    trouble: Option<String>,
    /// The camera's state.
    state: String,
}

/// A viewer's hold on a camera: while it lives, packets are read as they arrive.
pub struct Watching {
    camera: Rc<Camera>,
    _viewer: Counted,
}

impl Station {
    /// `life` must differ for each station ever started; it identifies the station's runs in
    /// segments.
    pub fn new(
        id: CameraId,
        config: &config::Camera,
        segment_seconds: u64,
        stills: &Rc<Stills>,
        life: u64,
        ffmpeg: Option<Runner>,
    ) -> Station {
        let ring_bytes = match ffmpeg {
            Some(_) => limits::FFMPEG_RING_BYTES,
            None => usize::try_from(config.buffer_kb.get() * 1024).unwrap_or(usize::MAX),
        };
        let name = config.name.as_str().to_owned();
        let intake = match config.audio {
            true => Intake::with_audio(ring_bytes),
            false => Intake::new(ring_bytes),
        };
        let transport = config.transport.into();
        let camera = Camera::new(name, config.url.0.clone(), intake, life).over(transport);
        let camera = Rc::new(camera.with(MotionWatch::metadata(config)));
        // Seeds far apart: each counts up with its connections.
        let live = config.live_url.as_ref();
        let live = live
            .map(|url| SubStream::new(&camera.name, url.0.clone(), transport, config.audio, !life));
        let live = live.map(Rc::new);
        let by_events = ffmpeg.is_none() && config.record == config::Record::Events;
        let source = match (&ffmpeg, &live) {
            (Some(_), None) => VideoSource::Ffmpeg(config.url.clone(), config.transport),
            _ => VideoSource::Ring(Box::new(shown(&camera, live.as_ref()))),
        };
        let video = VideoPictures::new(source, stills);
        Station {
            snapshots: Snapshots::new(config, Some(video), life.rotate_left(32)),
            motion: MotionWatch::new(config, life.rotate_left(16)),
            live,
            camera,
            ffmpeg,
            id,
            life,
            recorder: RefCell::new(Recorder::new(id, seconds(segment_seconds), life)),
            unsent: RefCell::new(None),
            ended: Flag::default(),
            card: Cell::default(),
            file: Cell::default(),
            gate: by_events.then(EventGate::default),
            said: RefCell::default(),
            watchdog: RefCell::default(),
            absence: RefCell::default(),
            skipped: Cell::new(0),
        }
    }

    /// Starts the camera, which runs until [`Station::stop`].
    pub fn start(self, daemon: Rc<Daemon>, executor: &LocalExecutor<'static>) -> Rc<Station> {
        let station = Rc::new(self);
        let wired = Wired { daemon: Rc::clone(&daemon), station: Rc::clone(&station) };
        runtime::spawn(executor, async move {
            let running = &wired.station;
            match &running.ffmpeg {
                Some(ffmpeg) => ffmpeg.run(&running.camera, &wired).await,
                None => running.camera.run(&wired).await,
            }
            running.recorder.borrow_mut().stop(&running.camera.intake.borrow().ring);
            running.ended.raise();
            wired.pump();
        });
        let serving = Rc::clone(&station);
        runtime::spawn(executor, async move { serving.snapshots.run().await });
        if station.motion.is_some() {
            let serving = (Rc::clone(&station), daemon);
            runtime::spawn(executor, async move {
                if let Some(motion) = &serving.0.motion {
                    motion.run(&serving.1).await;
                }
            });
        }
        if station.live.is_some() {
            let serving = Rc::clone(&station);
            runtime::spawn(executor, async move { serving.run_live().await });
        }
        station
    }

    async fn run_live(&self) {
        if let Some(live) = &self.live {
            live.run().await;
        }
    }

    pub fn record(&self) {
        if let Some(ffmpeg) = &self.ffmpeg {
            return ffmpeg.want(true);
        }
        if let Some(gate) = &self.gate {
            return gate.switch(true);
        }
        self.recorder.borrow_mut().start(&self.camera.intake.borrow().ring);
    }

    pub fn stop_recording(&self) {
        if let Some(ffmpeg) = &self.ffmpeg {
            return ffmpeg.want(false);
        }
        if let Some(gate) = &self.gate {
            gate.switch(false);
        }
        self.recorder.borrow_mut().stop(&self.camera.intake.borrow().ring);
    }

    /// Returns true if it should be recorded. Whether it is, [`Station::segment`] tells.
    pub fn is_wanted(&self) -> bool {
        self.ffmpeg.as_ref().map_or_else(|| self.recorder.borrow().is_wanted(), Runner::is_wanted)
    }

    /// The number of the file being written.
    pub fn segment(&self) -> Option<u32> {
        self.file.get().number
    }

    /// When the last frame arrived; before the first, since when one is expected.
    pub fn last_frame(&self) -> Instant {
        let by_ffmpeg = self.durable_at().filter(|_| self.ffmpeg.is_some());
        by_ffmpeg.unwrap_or_else(|| self.camera.last_frame())
    }

    /// When a frame of the open file last became durable.
    pub fn durable_at(&self) -> Option<Instant> {
        self.file.get().durable_at
    }

    /// Returns true while the card has data of it to write.
    pub fn is_at_card(&self) -> bool {
        self.recorder.borrow().is_at_card()
    }

    /// Frames lost because of the card.
    pub fn lost_by_card(&self) -> u64 {
        self.recorder.borrow().lost()
    }

    /// Frames lost because the camera caused too many short files.
    pub fn too_short(&self) -> u64 {
        self.recorder.borrow().too_short()
    }

    /// Audio frames that arrived but were not recorded.
    pub fn audio_lost_by_card(&self) -> u64 {
        self.recorder.borrow().audio_lost()
    }

    /// Registers a viewer of the camera, or of its smaller stream if it has one.
    pub fn watch(&self) -> Watching {
        Watching::new(shown(&self.camera, self.live.as_ref())())
    }

    /// The same, at the stream that is recorded.
    pub fn watch_recorded(&self) -> Watching {
        Watching::new(Rc::clone(&self.camera))
    }

    /// Viewers of either stream.
    pub fn viewers(&self) -> usize {
        self.camera.viewers() + self.live.as_ref().map_or(0, |live| live.viewers())
    }

    /// Returns true if viewers get a different stream than the recorder.
    pub fn has_live_stream(&self) -> bool {
        self.live.is_some()
    }

    /// Stops the camera; frames received until now are still recorded.
    pub fn stop(&self, daemon: &Daemon) {
        self.camera.stop();
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.stop();
        }
        self.snapshots.stop();
        if let Some(motion) = &self.motion {
            motion.stop(daemon);
        }
        if let Some(live) = &self.live {
            live.stop();
        }
    }

    /// Returns true once the camera has stopped and the command that closes its file was sent.
    pub fn is_done(&self) -> bool {
        self.ended.is_raised() && self.is_idle()
    }

    /// Returns true once recording has stopped and its file is closed.
    pub fn is_at_rest(&self) -> bool {
        self.segment().is_none() && self.is_idle()
    }

    fn is_idle(&self) -> bool {
        let is_sent = self.unsent.borrow().is_none();
        is_sent && !self.recorder.borrow().is_busy() && self.has_no_ffmpeg()
    }

    /// Drops the command that the card thread has not taken; a fragment's buffer is returned.
    pub fn abandon(&self, desk: &CardDesk) {
        if let Some(Command::Append { fragment, .. }) = self.unsent.take() {
            desk.buffers.borrow_mut().push(fragment.bytes);
        }
    }

    /// Returns what its owner should know about the recording, once.
    pub fn news(&self) -> Option<&'static str> {
        self.recorder.borrow_mut().news()
    }

    pub fn pump(&self, desk: &CardDesk, moment: Moment, now: Instant) {
        self.note_absence(now);
        let mut unsent = self.unsent.borrow_mut();
        let intake = self.camera.intake.borrow();
        let mut recorder = self.recorder.borrow_mut();
        if self.gate.as_ref().is_some_and(|gate| gate.closes(now)) {
            recorder.stop(&intake.ring);
        }
        let mut card = self.card.get();
        if card.retry_at.is_some_and(|retry_at| retry_at <= now) {
            card.retry_at = None;
            self.card.set(card);
            recorder.card_accepts(card.is_open());
        }
        loop {
            let next = unsent
                .take()
                .or_else(|| recorder.poll(&intake.ring, moment, &mut desk.buffers.borrow_mut()));
            let Some(mut command) = next else {
                if recorder.awaits_buffer() {
                    desk.storage.events().be_eager(true);
                }
                return;
            };
            if let Command::Open { start, .. } = &mut command {
                start.cause = self.absence.borrow().cause();
            }
            if let Err(refused) = desk.send(command) {
                *unsent = Some(refused);
                desk.storage.events().be_eager(true);
                return;
            }
        }
    }

    /// Whether the card takes a segment now.
    pub(super) fn card_accepts(&self) -> bool {
        self.card.get().is_open()
    }

    pub fn card_state(&self, state: &CardState) {
        self.tell_ffmpeg(state);
        let mut card = self.card.get();
        let takes = state.takes_segments();
        if takes && !card.takes_segments {
            // A new or recovered card is tried at once.
            card.retry_at = None;
        }
        card.takes_segments = takes;
        self.card.set(card);
        self.recorder.borrow_mut().card_accepts(card.is_open());
    }

    pub fn returned(&self, written: Result<(), ()>, now: Instant) {
        self.recorder.borrow_mut().returned(written);
        if written.is_err() {
            self.hold_off(now);
        }
    }

    /// Delays the next segment after one could not be opened or was abandoned.
    pub fn hold_off(&self, now: Instant) {
        let retry_at = Some(now + limits::CARD_RETRY_INTERVAL);
        self.card.set(CardWay { retry_at, ..self.card.get() });
        self.recorder.borrow_mut().card_accepts(false);
    }

    pub fn durable(&self, frames_end: u64, now: Instant) {
        self.recorder.borrow_mut().durable(frames_end);
        self.watchdog.borrow_mut().durable();
        if let Some(ffmpeg) = &self.ffmpeg {
            ffmpeg.durable();
        }
        self.file.set(OpenFile { durable_at: Some(now), ..self.file.get() });
    }

    /// Asks the watchdog about new frames, some of which should become durable within `patience`.
    fn look(&self, patience: Duration, now: Instant) -> WatchdogVerdict {
        let recorder = self.recorder.borrow();
        let is_expected = recorder.is_wanted() && !recorder.awaits_key();
        let way = if !is_expected || !self.card_accepts() {
            Way::Shut
        } else if recorder.is_at_card() || self.unsent.borrow().is_some() {
            Way::AtCard
        } else {
            Way::Open
        };
        self.watchdog.borrow_mut().frames(way, patience, now)
    }

    /// Reports that the card thread opened a file.
    pub fn opened(&self, number: u32, now: Instant) {
        self.absence.borrow_mut().recorded();
        // Counted from now: the file's first frames need time to become durable.
        let durable_at = self.durable_at().or(Some(now));
        self.file.set(OpenFile { number: Some(number), durable_at });
    }

    /// Reports that the card thread closed or abandoned a file.
    pub fn closed(&self, number: u32) {
        if self.segment() == Some(number) {
            let durable_at = self.durable_at().filter(|_| self.is_wanted());
            self.file.set(OpenFile { number: None, durable_at });
        }
    }

    /// Returns true if this is not the trouble of the previous segment.
    pub fn is_news(&self, trouble: &str) -> bool {
        let known = self.said.borrow_mut().trouble.replace(trouble.to_owned());
        known.as_deref() != Some(trouble)
    }

    /// Returns true if the previous segment was in trouble, and forgets that.
    pub fn is_recovery(&self) -> bool {
        self.said.borrow_mut().trouble.take().is_some()
    }
}

impl Watching {
    fn new(camera: Rc<Camera>) -> Watching {
        Watching { _viewer: camera.watch(), camera }
    }

    pub fn camera(&self) -> &Rc<Camera> {
        &self.camera
    }
}

impl Deref for Watching {
    type Target = Camera;

    fn deref(&self) -> &Camera {
        &self.camera
    }
}

/// The camera that viewers see: its smaller stream if it has one.
fn shown(camera: &Rc<Camera>, live: Option<&Rc<SubStream>>) -> impl Fn() -> Rc<Camera> + use<> {
    let (camera, live) = (Rc::clone(camera), live.cloned());
    move || live.as_ref().map_or_else(|| Rc::clone(&camera), |live| live.camera())
}

pub(super) fn seconds(seconds: u64) -> Ticks {
    Ticks::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 90_000))
}
