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

use self::arguments::FfmpegJob;
use crate::{
    camera::{Camera, State},
    config, limits,
    process::{ChildLog, Exit, Pipe, Process},
    runtime::{self, Signal},
    storage::layout::STAGED_PATTERN,
    tool::{Tool, ToolTurn, Unfit},
};
use smol::{future, io::AsyncWriteExt as _};
use std::{
    cell::RefCell,
    fmt,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

/// Records one camera with FFmpeg. [`Runner::run`] does the work; the other methods control and
/// show it.
pub struct Runner {
    url: config::CameraUrl,
    transport: config::Transport,
    path: PathBuf,
    turn: Rc<ToolTurn>,
    orders: RefCell<Orders>,
    reports: RefCell<Reports>,
    shown: RefCell<Shown>,
    /// Orders or reports changed.
    changed: Signal,
}

/// What FFmpeg is to do.
struct Orders {
    is_wanted: bool,
    is_stopped: bool,
    /// Why the card accepts nothing at present.
    card: Option<String>,
    segment_seconds: u64,
    /// That has changed since this FFmpeg was started.
    is_outdated: bool,
}

/// What the card thread reported about the current run.
#[derive(Default)]
struct Reports {
    place: Option<Result<StagingPlace, String>>,
    is_staged: bool,
    grown_at: Option<Instant>,
    is_durable: bool,
}

/// What users see.
#[derive(Default)]
struct Shown {
    is_running: bool,
    tool: Option<Tool>,
    starts: u64,
    log: ChildLog,
}

/// Where FFmpeg may write, and the first file's number.
#[derive(Clone, Debug)]
pub struct StagingPlace {
    pub directory: PathBuf,
    pub number: u32,
}

/// The engine's host: passes requests to the card thread and learns of changes.
pub trait Host {
    /// Answered by [`Runner::staged`].
    fn stage(&self);
    /// FFmpeg has exited; answered by [`Runner::unstaged`].
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

impl Runner {
    pub fn new(camera: &config::Camera, config: &config::Config, turn: Rc<ToolTurn>) -> Runner {
        Runner {
            url: camera.url.clone(),
            transport: camera.transport,
            path: config.ffmpeg.path.clone(),
            turn,
            orders: RefCell::new(Orders {
                is_wanted: false,
                is_stopped: false,
                card: Some("not checked yet".into()),
                segment_seconds: config.storage.segment_seconds.get(),
                is_outdated: false,
            }),
            reports: RefCell::default(),
            shown: RefCell::default(),
            changed: Signal::default(),
        }
    }

    /// Turns recording on or off.
    pub fn want(&self, wanted: bool) {
        self.orders.borrow_mut().is_wanted = wanted;
        self.changed.notify();
    }

    pub fn is_wanted(&self) -> bool {
        self.orders.borrow().is_wanted
    }

    /// Ends [`Runner::run`].
    pub fn stop(&self) {
        self.orders.borrow_mut().is_stopped = true;
        self.changed.notify();
    }

    /// Sets why the card accepts no recordings, or `None`; FFmpeg is stopped while it does not.
    pub fn card(&self, trouble: Option<String>) {
        self.orders.borrow_mut().card = trouble;
        self.changed.notify();
    }

    /// Sets the segment length; a running FFmpeg is replaced.
    pub fn set_segment_seconds(&self, segment_seconds: u64) {
        {
            let mut orders = self.orders.borrow_mut();
            orders.is_outdated |= orders.segment_seconds != segment_seconds;
            orders.segment_seconds = segment_seconds;
        }
        self.changed.notify();
    }

    /// Reports the card thread's answer to [`Host::stage`], or that it cannot continue.
    pub fn staged(&self, place: Result<StagingPlace, String>) {
        self.report(|reports| {
            reports.is_staged = place.is_ok();
            reports.place = Some(place);
        });
    }

    /// Reports that the card thread has closed FFmpeg's files.
    pub fn unstaged(&self) {
        self.report(|reports| reports.is_staged = false);
    }

    /// Reports that output of FFmpeg reached the card.
    pub fn grown(&self, now: Instant) {
        self.report(|reports| reports.grown_at = Some(now));
    }

    /// Reports that output of FFmpeg is durable.
    pub fn durable(&self) {
        self.report(|reports| reports.is_durable = true);
    }

    fn report(&self, change: impl FnOnce(&mut Reports)) {
        change(&mut self.reports.borrow_mut());
        self.changed.notify();
    }

    /// Returns true while no FFmpeg runs and none of its files is open.
    pub fn is_idle(&self) -> bool {
        !self.shown.borrow().is_running
    }

    /// How often FFmpeg was restarted.
    pub fn restarts(&self) -> u64 {
        self.shown.borrow().starts.saturating_sub(1)
    }

    /// The last lines of output of the current or previous FFmpeg, oldest first.
    pub fn log(&self) -> Vec<String> {
        self.shown.borrow().log.lines()
    }

    /// The FFmpeg in use and its version, once known.
    pub fn tool(&self) -> Option<String> {
        self.shown.borrow().tool.as_ref().map(ToString::to_string)
    }

    /// Keeps FFmpeg recording while recording is on and the card accepts it, until
    /// [`Runner::stop`]. The state is shown as that of `camera`. To be called once.
    pub async fn run(&self, camera: &Camera, host: &dyn Host) {
        let mut pause = limits::FFMPEG_RETRY_INTERVAL_MIN;
        while !self.orders.borrow().is_stopped {
            if !self.is_due() {
                let changed = self.changed.changed();
                self.show_idle(camera, host);
                changed.await;
                if self.is_due() {
                    camera.show(State::Connecting, None);
                }
                continue;
            }
            let Some(turn) = self.while_due(self.turn.record()).await else { continue };
            self.shown.borrow_mut().is_running = true;
            self.reports.take();
            let ending = self.record(camera, host).await;
            drop(turn);
            self.shown.borrow_mut().is_running = false;
            host.state_changed();
            if let Ending::Wanted = ending {
                continue;
            }
            if self.reports.borrow().is_durable {
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
        let orders = self.orders.borrow();
        orders.is_wanted && !orders.is_stopped && orders.card.is_none()
    }

    /// Returns the output of `future`, or `None` as soon as FFmpeg should not run.
    async fn while_due<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let over = async {
            self.changed.until(|| !self.is_due()).await;
            None
        };
        future::or(over, async { Some(future.await) }).await
    }

    fn show_idle(&self, camera: &Camera, host: &dyn Host) {
        let (state, reason) = match &*self.orders.borrow() {
            Orders { card: Some(trouble), is_wanted: true, .. } => {
                (State::Waiting, Some(trouble.clone()))
            }
            _ => (State::Off, None),
        };
        camera.show(state, reason);
        host.state_changed();
    }

    /// One run of FFmpeg, from finding the program to closing its last file.
    async fn record(&self, camera: &Camera, host: &dyn Host) -> Ending {
        camera.show(State::Connecting, camera.last_error());
        host.state_changed();
        let known = self.shown.borrow().tool.clone();
        let tool = match known {
            Some(tool) => tool,
            None => match Tool::find(&self.path).await {
                Ok(tool) => tool,
                Err(unfit) => return Ending::Unfit(unfit),
            },
        };
        if self.shown.borrow_mut().tool.replace(tool.clone()).is_none() {
            log::info!("camera={} engine=ffmpeg tool=\"{tool}\"", camera.name);
            if tool.shows_address() && self.url.0.credentials().is_some() {
                log::warn!("camera={} password is visible in `ps`: {SHOWS_ADDRESS}", camera.name);
            }
        }
        self.reports.borrow_mut().place = None;
        host.stage();
        let answered = self.changed.until(|| self.reports.borrow().place.is_some());
        let answer = self.while_due(answered);
        let answer = runtime::timeout(limits::CARD_ANSWER_TIMEOUT, answer).await;
        let place = self.reports.borrow_mut().place.take();
        let ending = match (answer, place) {
            (Some(None), _) => Ending::Wanted,
            (_, Some(Ok(place))) => self.supervise(camera, host, &tool, &place).await,
            (_, Some(Err(reason))) => Ending::Card(reason),
            (_, None) => Ending::Card("the card does not answer".into()),
        };
        host.unstage();
        let closed = self.changed.until(|| !self.reports.borrow().is_staged);
        if runtime::timeout(limits::CARD_ANSWER_TIMEOUT, closed).await.is_none() {
            self.reports.borrow_mut().is_staged = false; // it is closed before another is opened
        }
        ending
    }

    async fn supervise(
        &self,
        camera: &Camera,
        host: &dyn Host,
        tool: &Tool,
        place: &StagingPlace,
    ) -> Ending {
        let segment_seconds = {
            let mut orders = self.orders.borrow_mut();
            orders.is_outdated = false;
            orders.segment_seconds
        };
        let job = FfmpegJob {
            url: self.url.as_str(),
            transport: self.transport,
            segment_seconds,
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
        {
            let mut shown = self.shown.borrow_mut();
            shown.starts += 1;
            shown.log = process.log().clone();
        }
        if let Some(mut stdin) = process.take_input() {
            // The text fits the pipe. If nothing reads it, FFmpeg's exit will show that.
            let _ = stdin.write_all(script.as_bytes()).await;
        }
        let ending = self.while_due(self.watch(camera, host, &mut process)).await;
        if let Some(Ending::Exited { exit: Exit::NotStarted(_), .. }) = &ending {
            // The file may have been replaced since it was found.
            self.shown.borrow_mut().tool = None;
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
                if self.orders.borrow().is_outdated {
                    return Ending::Wanted;
                }
                let (failed, grown_at, is_durable) = {
                    let mut reports = self.reports.borrow_mut();
                    (reports.place.take(), reports.grown_at, reports.is_durable)
                };
                if let Some(Err(reason)) = failed {
                    return Ending::Card(reason);
                }
                let (last, patience) = match grown_at {
                    None => (started, limits::FFMPEG_START_TIMEOUT),
                    Some(last) => (last, limits::FFMPEG_STALL_TIMEOUT),
                };
                if is_durable && camera.state() != State::Live {
                    camera.show(State::Live, None);
                    let after = runtime::now().duration_since(started).as_millis();
                    log::info!("camera={} state=live engine=ffmpeg after_ms={after}", camera.name);
                    host.state_changed();
                }
                let left = (last + patience).saturating_duration_since(runtime::now());
                if runtime::timeout(left, changed).await.is_none() {
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
