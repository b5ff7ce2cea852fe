//! FFmpeg as the recorder of a camera: the old system's way, supervised. For cameras that only FFmpeg
//! understands.
//!
//! It writes segments into the camera's folder by itself; the card thread takes each up as a recording
//! ([`crate::storage::Command::Stage`]). Here it is found, started, watched and started again: by what
//! reached the card, not by its being alive.
//!
//! ```text
//! ffmpeg.rs      one FFmpeg after another, and what is shown of them
//! └─ arguments   what it is told
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

/// Records one camera by FFmpeg. [`Engine::run`] does it, the rest steers and shows it.
pub struct Engine {
    url: config::CameraUrl,
    transport: config::Transport,
    path: PathBuf,
    segment_seconds: Cell<u64>,
    turn: Rc<Turn>,
    wanted: Cell<bool>,
    /// Why the card takes nothing, while it does not.
    card: RefCell<Option<String>>,
    stopped: Cell<bool>,
    /// The running FFmpeg was told other lengths.
    is_outdated: Cell<bool>,
    /// Something of the above changed, or the card thread said something.
    changed: Signal,
    place: RefCell<Option<Result<Place, String>>>,
    is_staged: Cell<bool>,
    grown_at: Cell<Option<Instant>>,
    /// Something of the last FFmpeg is on the card for good.
    is_durable: Cell<bool>,
    is_running: Cell<bool>,
    tool: RefCell<Option<Tool>>,
    starts: Cell<u64>,
    log: RefCell<Log>,
}

/// Where FFmpeg may write, and from which number on.
#[derive(Clone, Debug)]
pub struct Place {
    pub directory: PathBuf,
    pub number: u32,
}

/// Who has the card thread prepare, and is told of changes.
pub trait Host {
    /// Answered by [`Engine::staged`].
    fn stage(&self);
    /// FFmpeg has ended; answered by [`Engine::unstaged`].
    fn unstage(&self);
    fn state_changed(&self);
}

/// Why one FFmpeg is over.
#[derive(Debug)]
enum Ending {
    /// It is no longer wanted, or the card takes nothing.
    Wanted,
    Unfit(Unfit),
    Card(String),
    System(std::io::Error),
    Exited {
        exit: Exit,
        said: String,
    },
    /// Nothing of it reached the card for so long.
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
            card: RefCell::new(Some("not yet looked".into())),
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

    /// Records, or no longer.
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

    /// The card takes recordings, or why it does not: FFmpeg is ended then.
    pub fn card(&self, trouble: Option<String>) {
        self.card.replace(trouble);
        self.changed.notify();
    }

    /// An FFmpeg that was told another length makes way for the next.
    pub fn set_segment_seconds(&self, segment_seconds: u64) {
        if self.segment_seconds.replace(segment_seconds) != segment_seconds {
            self.is_outdated.set(true);
            self.changed.notify();
        }
    }

    /// The card thread answered [`Host::stage`], or can not go on.
    pub fn staged(&self, place: Result<Place, String>) {
        self.is_staged.set(place.is_ok());
        self.place.replace(Some(place));
        self.changed.notify();
    }

    /// The card thread has closed what FFmpeg wrote.
    pub fn unstaged(&self) {
        self.is_staged.set(false);
        self.changed.notify();
    }

    /// Something that FFmpeg wrote reached the card.
    pub fn grown(&self, now: Instant) {
        self.grown_at.set(Some(now));
        self.changed.notify();
    }

    /// It is there for good.
    pub fn durable(&self) {
        self.is_durable.set(true);
        self.changed.notify();
    }

    /// No FFmpeg runs, and nothing of it is open on the card.
    pub fn is_idle(&self) -> bool {
        !self.is_running.get()
    }

    /// How often FFmpeg was started again.
    pub fn restarts(&self) -> u64 {
        self.starts.get().saturating_sub(1)
    }

    /// What the running FFmpeg said last, or the one before; oldest first.
    pub fn log(&self) -> Vec<String> {
        self.log.borrow().lines()
    }

    /// The FFmpeg in use and its version, once it was asked.
    pub fn tool(&self) -> Option<String> {
        self.tool.borrow().as_ref().map(ToString::to_string)
    }

    /// Has FFmpeg record whenever that is wanted and the card takes it, until [`Engine::stop`]. Shows
    /// itself as the states of `camera`. To be run once.
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

    /// What `future` gives, or `None` as soon as FFmpeg is not to run.
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

    /// One FFmpeg, from the question which one there is to the closed file.
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
                log::warn!("camera={} its password shows in `ps`: {SHOWS_ADDRESS}", camera.name);
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
            self.is_staged.set(false); // it is closed before another one is begun
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
            // It fits the pipe. That nobody reads it shows in how FFmpeg ends.
            let _ = stdin.write_all(script.as_bytes()).await;
        }
        let ending = self.while_due(self.watch(camera, host, &mut process)).await;
        if let Some(Ending::Exited { exit: Exit::NotStarted(_), .. }) = &ending {
            // It was there a moment ago, and may be another one next time.
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

    /// Until it ends, or nothing of it reaches the card.
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
            Ending::System(error) => write!(f, "FFmpeg can not be started: {error}"),
            Ending::Exited { exit, said } if said.is_empty() => write!(f, "FFmpeg ended: {exit}"),
            Ending::Exited { exit, said } => write!(f, "FFmpeg ended: {exit}: {said}"),
            Ending::Stalled(span) => {
                write!(f, "nothing of FFmpeg's reached the card for {} s", span.as_secs())
            }
        }
    }
}

/// What to do about it.
const SHOWS_ADDRESS: &str = "FFmpeg before 5.0 takes the address in its arguments only";
