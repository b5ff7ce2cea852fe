//! FFmpeg as a camera's recorder, supervised: for cameras that only FFmpeg understands.
//!
//! FFmpeg writes segments into the camera's folder, and the card thread takes each over as a
//! recording ([`crate::storage::Command::Stage`]). This module finds, starts, watches and restarts
//! FFmpeg. What counts is the data that reached the card, not that the process is alive.
//!
//! ```text
//! ffmpeg.rs      runs one FFmpeg after another, and shows their state
//! └─ arguments   FFmpeg's command line
//! ```
//! Knows nothing of: what FFmpeg writes, the card.

mod arguments;

use self::arguments::Job;
use crate::{
    camera::{Camera, State},
    config, limits,
    process::{Exit, Log, Pipe, Process},
    runtime::{self, Signal},
    storage::layout::STAGED_PATTERN,
    tool::{Tool, Turn, Unfit},
};
use smol::{future, io::AsyncWriteExt as _};
use std::{
    cell::{Cell, RefCell},
    fmt,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

/// Records one camera with FFmpeg. [`Engine::run`] does the work; the other methods control and
/// show it.
pub struct Engine {
    url: config::CameraUrl,
    transport: config::Transport,
    path: PathBuf,
    segment_seconds: Cell<u64>,
    turn: Rc<Turn>,
    wanted: Cell<bool>,
    /// Why the card accepts nothing at present.
    card: RefCell<Option<String>>,
    stopped: Cell<bool>,
    /// The segment length has changed since this FFmpeg was started.
    is_outdated: Cell<bool>,
    /// One of the fields above changed, or the card thread reported something.
    changed: Signal,
    place: RefCell<Option<Result<Place, String>>>,
    is_staged: Cell<bool>,
    grown_at: Cell<Option<Instant>>,
    /// Output of the last FFmpeg is durable.
    is_durable: Cell<bool>,
    is_running: Cell<bool>,
    tool: RefCell<Option<Tool>>,
    starts: Cell<u64>,
    log: RefCell<Log>,
}

/// Where FFmpeg may write, and the first file's number.
#[derive(Clone, Debug)]
pub struct Place {
    pub directory: PathBuf,
    pub number: u32,
}

/// The engine's host: passes requests to the card thread and learns of changes.
pub trait Host {
    /// Answered by [`Engine::staged`].
    fn stage(&self);
    /// FFmpeg has exited; answered by [`Engine::unstaged`].
    fn unstage(&self);
    fn state_changed(&self);
}

/// Why one run of FFmpeg ended.
#[derive(Debug)]
enum Ending {
    /// Recording is off, or the card accepts nothing.
    Wanted,
    Unfit(Unfit),
    Card(String),
    System(std::io::Error),
    Exited {
        exit: Exit,
        said: String,
    },
    /// No output reached the card for this long.
    Stalled(Duration),
}

impl Engine {
    pub fn new(camera: &config::Camera, config: &config::Config, turn: Rc<Turn>) -> Engine {
        Engine {
            url: camera.url.clone(),
            transport: camera.transport,
            path: config.ffmpeg.path.clone(),
            segment_seconds: Cell::new(config.storage.segment_seconds.get()),
            turn,
            wanted: Cell::new(false),
            card: RefCell::new(Some("not checked yet".into())),
            stopped: Cell::new(false),
            is_outdated: Cell::new(false),
            changed: Signal::default(),
            place: RefCell::new(None),
            is_staged: Cell::new(false),
            grown_at: Cell::new(None),
            is_durable: Cell::new(false),
            is_running: Cell::new(false),
            tool: RefCell::new(None),
            starts: Cell::new(0),
            log: RefCell::default(),
        }
    }

    /// Turns recording on or off.
    pub fn want(&self, wanted: bool) {
        if self.wanted.replace(wanted) != wanted {
            self.changed.notify();
        }
    }

    pub fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// Ends [`Engine::run`].
    pub fn stop(&self) {
        self.stopped.set(true);
        self.changed.notify();
    }

    /// Sets why the card accepts no recordings, or `None`; FFmpeg is stopped while it does not.
    pub fn card(&self, trouble: Option<String>) {
        self.card.replace(trouble);
        self.changed.notify();
    }

    /// Sets the segment length; a running FFmpeg is replaced.
    pub fn set_segment_seconds(&self, segment_seconds: u64) {
        if self.segment_seconds.replace(segment_seconds) != segment_seconds {
            self.is_outdated.set(true);
            self.changed.notify();
        }
    }

    /// Reports the card thread's answer to [`Host::stage`], or that it cannot continue.
    pub fn staged(&self, place: Result<Place, String>) {
        self.is_staged.set(place.is_ok());
        self.place.replace(Some(place));
        self.changed.notify();
    }

    /// Reports that the card thread has closed FFmpeg's files.
    pub fn unstaged(&self) {
        self.is_staged.set(false);
        self.changed.notify();
    }

    /// Reports that output of FFmpeg reached the card.
    pub fn grown(&self, now: Instant) {
        self.grown_at.set(Some(now));
        self.changed.notify();
    }

    /// Reports that output of FFmpeg is durable.
    pub fn durable(&self) {
        self.is_durable.set(true);
        self.changed.notify();
    }

    /// Returns true while no FFmpeg runs and none of its files is open.
    pub fn is_idle(&self) -> bool {
        !self.is_running.get()
    }

    /// How often FFmpeg was restarted.
    pub fn restarts(&self) -> u64 {
        self.starts.get().saturating_sub(1)
    }

    /// The last lines of output of the current or previous FFmpeg, oldest first.
    pub fn log(&self) -> Vec<String> {
        self.log.borrow().lines()
    }

    /// The FFmpeg in use and its version, once known.
    pub fn tool(&self) -> Option<String> {
        self.tool.borrow().as_ref().map(ToString::to_string)
    }

    /// Keeps FFmpeg recording while recording is on and the card accepts it, until
    /// [`Engine::stop`]. The state is shown as that of `camera`. To be called once.
    pub async fn run(&self, camera: &Camera, host: &dyn Host) {
        let mut pause = limits::FFMPEG_RETRY_INTERVAL_MIN;
        while !self.stopped.get() {
            let changed = self.changed.changed();
            if !self.is_due() {
                self.show_idle(camera, host);
                changed.await;
                if self.is_due() {
                    camera.show(State::Connecting, None);
                }
                continue;
            }
            let Some(turn) = self.while_due(self.turn.record()).await else { continue };
            self.is_running.set(true);
            self.grown_at.set(None);
            self.is_durable.set(false);
            let ending = self.record(camera, host).await;
            drop(turn);
            self.is_running.set(false);
            host.state_changed();
            if let Ending::Wanted = ending {
                continue;
            }
            if self.is_durable.get() {
                pause = limits::FFMPEG_RETRY_INTERVAL_MIN;
            }
            let text = ending.to_string();
            if camera.last_error().as_deref() != Some(&text) {
                log::warn!("camera={} state=waiting engine=ffmpeg error=\"{text}\"", camera.name);
            }
            camera.show(State::Waiting, Some(text));
            host.state_changed();
            self.while_due(runtime::sleep(pause)).await;
            pause = (pause * 2).min(limits::FFMPEG_RETRY_INTERVAL_MAX);
        }
        camera.show(State::Off, None);
        host.state_changed();
        log::info!("camera={} state=off", camera.name);
    }

    fn is_due(&self) -> bool {
        self.wanted.get() && !self.stopped.get() && self.card.borrow().is_none()
    }

    /// Returns the output of `future`, or `None` as soon as FFmpeg should not run.
    async fn while_due<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let over = async {
            self.until(|| !self.is_due()).await;
            None
        };
        future::or(over, async { Some(future.await) }).await
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let changed = self.changed.changed();
            if is_so() {
                return;
            }
            changed.await;
        }
    }

    fn show_idle(&self, camera: &Camera, host: &dyn Host) {
        let (state, reason) = match &*self.card.borrow() {
            Some(trouble) if self.wanted.get() => (State::Waiting, Some(trouble.clone())),
            _ => (State::Off, None),
        };
        camera.show(state, reason);
        host.state_changed();
    }

    /// One run of FFmpeg, from finding the program to closing its last file.
    async fn record(&self, camera: &Camera, host: &dyn Host) -> Ending {
        camera.show(State::Connecting, camera.last_error());
        host.state_changed();
        let known = self.tool.borrow().clone();
        let tool = match known {
            Some(tool) => tool,
            None => match Tool::find(&self.path).await {
                Ok(tool) => tool,
                Err(unfit) => return Ending::Unfit(unfit),
            },
        };
        if self.tool.replace(Some(tool.clone())).is_none() {
            log::info!("camera={} engine=ffmpeg tool=\"{tool}\"", camera.name);
            if tool.shows_address() && self.url.0.credentials().is_some() {
                log::warn!("camera={} password is visible in `ps`: {SHOWS_ADDRESS}", camera.name);
            }
        }
        self.place.replace(None);
        host.stage();
        let answer = self.while_due(self.until(|| self.place.borrow().is_some()));
        let answer = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, answer).await;
        let place = self.place.take();
        let ending = match (answer, place) {
            (Some(None), _) => Ending::Wanted,
            (_, Some(Ok(place))) => self.supervise(camera, host, &tool, &place).await,
            (_, Some(Err(reason))) => Ending::Card(reason),
            (_, None) => Ending::Card("the card does not answer".into()),
        };
        host.unstage();
        let closed = self.until(|| !self.is_staged.get());
        if runtime::timeout(limits::CARD_ANSWER_TIMEOUT, closed).await.is_none() {
            self.is_staged.set(false); // it is closed before another is opened
        }
        ending
    }

    async fn supervise(
        &self,
        camera: &Camera,
        host: &dyn Host,
        tool: &Tool,
        place: &Place,
    ) -> Ending {
        self.is_outdated.set(false);
        let job = Job {
            url: self.url.as_str(),
            transport: self.transport,
            segment_seconds: self.segment_seconds.get(),
            number: place.number,
            pattern: STAGED_PATTERN,
        };
        let script = arguments::script(tool, &job);
        let program = arguments::program(tool, &job).secrets(self.url.secrets());
        let input = if script.is_empty() { Pipe::None } else { Pipe::Piped };
        let started = program.directory(&place.directory).start(input, Pipe::None);
        let mut process = match started {
            Ok(process) => process,
            Err(error) => return Ending::System(error),
        };
        self.starts.set(self.starts.get() + 1);
        self.log.replace(process.log().clone());
        if let Some(mut stdin) = process.take_input() {
            // The text fits the pipe. If nothing reads it, FFmpeg's exit will show that.
            let _ = stdin.write_all(script.as_bytes()).await;
        }
        let ending = self.while_due(self.watch(camera, host, &mut process)).await;
        if let Some(Ending::Exited { exit: Exit::NotStarted(_), .. }) = &ending {
            // The file may have been replaced since it was found.
            self.tool.replace(None);
            if let Err(unfit) = Tool::find(&self.path).await {
                return Ending::Unfit(unfit);
            }
        }
        if !matches!(ending, Some(Ending::Exited { .. })) && process.stop().await.is_none() {
            log::error!("camera={} FFmpeg hangs in the kernel", camera.name);
        }
        ending.unwrap_or(Ending::Wanted)
    }

    /// Runs until FFmpeg exits or its output no longer reaches the card.
    async fn watch(&self, camera: &Camera, host: &dyn Host, process: &mut Process) -> Ending {
        let exited = async {
            let exit = process.wait().await;
            Ending::Exited { exit, said: process.log().last() }
        };
        let started = runtime::now();
        let stalled = async {
            loop {
                let changed = self.changed.changed();
                if self.is_outdated.get() {
                    return Ending::Wanted;
                }
                if let Some(Err(reason)) = self.place.take() {
                    return Ending::Card(reason);
                }
                let (last, patience) = match self.grown_at.get() {
                    None => (started, limits::FFMPEG_START_TIMEOUT),
                    Some(last) => (last, limits::FFMPEG_STALL_TIMEOUT),
                };
                if self.is_durable.get() && camera.state() != State::Live {
                    camera.show(State::Live, None);
                    let after = runtime::now().duration_since(started).as_millis();
                    log::info!("camera={} state=live engine=ffmpeg after_ms={after}", camera.name);
                    host.state_changed();
                }
                let wait = async {
                    runtime::sleep_until(last + patience).await;
                    true
                };
                let news = async {
                    changed.await;
                    false
                };
                if future::or(news, wait).await {
                    return Ending::Stalled(patience);
                }
            }
        };
        future::or(exited, stalled).await
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Wanted => f.write_str("not wanted"),
            Ending::Unfit(unfit) => unfit.fmt(f),
            Ending::Card(reason) => f.write_str(reason),
            Ending::System(error) => write!(f, "cannot start FFmpeg: {error}"),
            Ending::Exited { exit, said } if said.is_empty() => write!(f, "FFmpeg exited: {exit}"),
            Ending::Exited { exit, said } => write!(f, "FFmpeg exited: {exit}: {said}"),
            Ending::Stalled(span) => {
                write!(f, "no output of FFmpeg reached the card for {} s", span.as_secs())
            }
        }
    }
}

/// The reason, and so the remedy: a newer FFmpeg.
const SHOWS_ADDRESS: &str = "FFmpeg before 5.0 only accepts the address as an argument";
