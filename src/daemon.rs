//! The daemon: cameras, recorders and the card thread wired together, from start to clean shutdown.
//!
//! ```text
//! daemon.rs      start, signals, taking up a configuration, shutdown
//! ├─ reload      requests for a reload of the configuration
//! ├─ station     a camera with its recorder
//! ├─ absence     why a camera is not recorded
//! ├─ engine      a camera recorded by FFmpeg
//! ├─ gate        lets through only what happens
//! ├─ substream   the smaller stream for viewers
//! ├─ control     requests from the page and the command line
//! ├─ spans       requests about all recordings between two times
//! ├─ marks       what happens, as sources say
//! ├─ motion      what moves, as a camera's pictures show
//! ├─ archived    how far copies to a store have come
//! ├─ desk        the way to the card thread
//! ├─ time        what keeps the clock
//! ├─ watchdog    whether a camera's frames become durable
//! ├─ events      reports from the card
//! ├─ history     recent events
//! ├─ tell        programs and servers that are told what happens
//! ├─ remembered  which cameras were started and stopped by hand, until the next boot
//! └─ lock        one daemon at a time
//! ```
//! Everything here runs on the main thread. Only the shutdown waits for the card, and only for a
//! bounded time.
//! Knows nothing of: protocols, file formats.

mod absence;
pub mod archived;
mod control;
mod desk;
mod engine;
mod events;
mod gate;
pub mod history;
mod lock;
mod lookout;
pub mod marks;
mod motion;
mod reload;
mod remembered;
mod signals;
mod spans;
mod station;
mod substream;
mod tell;
mod time;
mod watchdog;

pub use lock::{Lock, runtime_path};
pub use station::{Station, Watching};
pub use tell::mqtt_names;

use self::{
    control::Deletion,
    desk::CardDesk,
    history::{ChangeKind, History},
    reload::Reload,
    signals::Signals,
    spans::Spans,
};
use crate::{
    clock::{self, Clock},
    config::{self, Config},
    ffmpeg, limits, logger,
    mp4::identity,
    process,
    recorder::Moment,
    runtime::{self, Count, Flag, Signal},
    still::Stills,
    storage::{
        CameraId, CardState, Place, Settings, Storage,
        disk::{RequireMount, linux::LinuxDisk},
        messages::Command,
    },
    tool,
};
use smol::{LocalExecutor, future};
use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// How to run the daemon.
pub struct DaemonOptions {
    /// Read again on SIGHUP.
    pub config_file: PathBuf,
    pub recording: InitialRecording,
    /// Files that last until the next boot lie beside it.
    pub socket: PathBuf,
}

/// Whether cameras record from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitialRecording {
    AsConfigured,
    Off,
}

/// The running daemon.
pub struct Daemon {
    pub options: DaemonOptions,
    pub executor: Rc<LocalExecutor<'static>>,
    pub config: RefCell<Config>,
    pub desk: CardDesk,
    pub stills: Rc<Stills>,
    pub stations: RefCell<Vec<Rc<Station>>>,
    /// The number of stations ever started; each has a new id for the card thread.
    stations_begun: Cell<usize>,
    pub clock: Clock,
    pub trust: Cell<identity::ClockTrust>,
    pub card: RefCell<CardState>,
    told: Cell<Told>,
    /// A recorder or the card made progress.
    progress: Signal,
    /// The content of `/api/status` changed.
    pub changed: Signal,
    pub history: RefCell<History>,
    /// `None` while nothing is copied.
    pub archived: RefCell<Option<archived::Archived>>,
    deletions: RefCell<Vec<Rc<Deletion>>>,
    spans: Spans,
    pub marks: RefCell<marks::Book>,
    unsent_marks: RefCell<marks::Unsent>,
    marks_changed: Signal,
    are_marks_followed: Cell<bool>,
    telling: RefCell<tell::Telling>,
    /// Lets one FFmpeg run at a time.
    pub turn: Rc<tool::ToolTurn>,
    reload: Reload,
    /// A new configuration took effect.
    pub reloaded: Signal,
    end: End,
    /// Replies that are still being sent.
    pub busy: Count,
    pub started: Instant,
}

/// What was reported once and is not repeated.
#[derive(Clone, Copy, Default)]
struct Told {
    /// The clock, as last told to the card thread.
    clock: Option<(i64, identity::ClockTrust)>,
    /// The card thread does not answer.
    card_silent: bool,
    /// A folder is full.
    full_folder: bool,
}

/// The end of the daemon, step by step.
#[derive(Default)]
struct End {
    /// A client asked for it.
    asked: Flag,
    /// Streams to viewers stop, then cameras.
    begun: Flag,
    /// All files are closed, or waiting for the card took too long.
    done: Flag,
}

/// Runs until SIGTERM, SIGINT or [`Daemon::shut_down`], then closes all files. `serve` starts the
/// interfaces to users.
///
/// # Errors
/// The system refused a thread or a signal handler.
pub fn run(
    options: DaemonOptions,
    config: Config,
    serve: impl FnOnce(&Rc<Daemon>) -> io::Result<()>,
) -> io::Result<()> {
    let signals = Signals::new()?;
    warn_of_left_over(&options.config_file);
    let clock = Clock::start(&options.socket.with_extension("clock"));
    let executor = Rc::new(LocalExecutor::new());
    let turn = Rc::default();
    let daemon = Rc::new(Daemon {
        options,
        executor: Rc::clone(&executor),
        desk: CardDesk::new(Storage::start(LinuxDisk, settings(&config, &first_ids(&config)))?),
        stills: Rc::new(Stills::new(&config.ffmpeg.path, &turn)),
        config: RefCell::new(config),
        stations: RefCell::default(),
        stations_begun: Cell::new(0),
        trust: Cell::new(time::trust(&clock)),
        clock,
        card: RefCell::default(),
        told: Cell::default(),
        progress: Signal::default(),
        changed: Signal::default(),
        history: RefCell::default(),
        archived: RefCell::default(),
        deletions: RefCell::default(),
        spans: Spans::default(),
        marks: RefCell::default(),
        unsent_marks: RefCell::default(),
        marks_changed: Signal::default(),
        are_marks_followed: Cell::new(false),
        telling: RefCell::default(),
        turn,
        reload: Reload::default(),
        reloaded: Signal::default(),
        end: End::default(),
        busy: Count::default(),
        started: runtime::now(),
    });
    serve(&daemon)?;
    // As a separate task it is polled when woken, not whenever this thread is.
    let run = runtime::task(&executor, Rc::clone(&daemon).run(signals));
    runtime::block_on(&executor, run);
    Ok(())
}

impl Daemon {
    async fn run(self: Rc<Self>, signals: Signals) {
        let executor = Rc::clone(&self.executor);
        runtime::spawn(&executor, Rc::clone(&self).follow_card());
        runtime::spawn(&executor, Rc::clone(&self).follow_clock());
        runtime::spawn(&executor, Rc::clone(&self).follow_mounts());
        runtime::spawn(&executor, Rc::clone(&self).follow_upgrades());
        runtime::spawn(&executor, async { match process::reap().await {} });
        self.start_cameras(&executor);
        self.start_telling();
        let reloads = runtime::task(&executor, Rc::clone(&self).follow_reloads());
        let hangups = async {
            loop {
                signals.hangups.next().await;
                self.reload.want();
            }
        };
        future::or(hangups, self.until_asked_to_end(&signals.ends)).await;
        reloads.cancel().await;
        self.end.begun.raise();
        self.changed.notify();
        future::or(self.close(), second_signal(&signals.ends)).await;
        self.end.done.raise();
        // The client that asked for the shutdown, and all others, get their replies.
        let answered = self.busy.until(|busy| busy == 0);
        let _ = runtime::timeout(limits::LAST_ANSWERS_TIMEOUT, answered).await;
    }

    /// Returns on SIGTERM or SIGINT, or after [`Daemon::shut_down`].
    async fn until_asked_to_end(&self, ends: &signals::SystemSignal) {
        let asked = match self.end.asked.or_raised(ends.next()).await {
            Some(()) => "signal",
            None => "shutdown",
        };
        log::info!("state=ending asked={asked}");
    }

    fn start_cameras(self: &Rc<Self>, executor: &LocalExecutor<'static>) {
        let config = self.config.borrow();
        if config.camera.is_empty() {
            let file = self.options.config_file.display();
            log::warn!("no camera is configured: add a [[camera]] section to {file}");
        }
        let ids = first_ids(&config);
        self.stations_begun.set(ids.len());
        let stations = config.camera.iter().zip(ids);
        let stations =
            stations.map(|(camera, id)| self.start_camera(id, camera, &config, executor));
        let stations: Vec<_> = stations.collect();
        stations.iter().for_each(|station| station.absence.borrow_mut().was_off());
        self.stations.replace(stations);
    }

    fn start_camera(
        self: &Rc<Self>,
        id: CameraId,
        camera: &config::Camera,
        config: &Config,
        executor: &LocalExecutor<'static>,
    ) -> Rc<Station> {
        if let Some(left_out) = camera.left_out() {
            log::warn!("camera={} {left_out}", camera.name.as_str());
        }
        let length = config.storage.segment_seconds.get();
        let is_ffmpegs = camera.engine == config::Engine::Ffmpeg;
        let ffmpeg = is_ffmpegs.then(|| ffmpeg::Runner::new(camera, config, Rc::clone(&self.turn)));
        let station = Station::new(id, camera, length, &self.stills, self.life(), ffmpeg);
        station.card_state(&self.card.borrow());
        let wish = remembered::wish(&self.options.socket, camera.name.as_str());
        if self.options.recording == InitialRecording::AsConfigured
            && wish.unwrap_or(camera.record != config::Record::Off)
        {
            station.record();
        }
        station.start(Rc::clone(self), executor)
    }

    /// Identifies a station's lifetime in segments; also seeds values that must differ between
    /// stations.
    fn life(&self) -> u64 {
        self.clock.now().0.cast_unsigned() << 20 | u64::from(std::process::id())
    }

    /// Stops cameras. When this returns, their last frames are on their way to the card, or
    /// [`limits::SHUTDOWN_TIMEOUT`] has passed.
    async fn stop(&self, stations: &[Rc<Station>]) {
        for station in stations {
            station.stop(self);
        }
        let done = self.until(|| stations.iter().all(|station| station.is_done()));
        if runtime::timeout(limits::SHUTDOWN_TIMEOUT, done).await.is_none() {
            log::error!("the card did not accept the last frames in time: they are lost");
        }
        for station in stations {
            station.abandon(&self.desk);
        }
    }

    /// Stops all cameras and closes all files.
    async fn close(&self) {
        let started = runtime::now();
        let stations = self.stations.borrow().clone();
        self.leave_marks(None);
        self.stop(&stations).await;
        self.pump_marks();
        self.desk.storage.shut_down();
        let patience = limits::SHUTDOWN_TIMEOUT.saturating_sub(started.elapsed());
        match runtime::timeout(patience, self.desk.closed.raised()).await {
            Some(()) => log::info!("state=ended after_ms={}", started.elapsed().as_millis()),
            None => {
                log::error!("the card did not answer: its last file is repaired at the next start");
            }
        }
    }

    /// Returns true once the daemon is shutting down: streams to viewers stop.
    pub fn is_ending(&self) -> bool {
        self.end.begun.is_raised()
    }

    /// Waits until `is_so`, checking after each progress of a recorder or the card.
    pub async fn until(&self, is_so: impl Fn() -> bool) {
        self.progress.until(is_so).await;
    }

    /// Reloads the configuration. An invalid one changes nothing; cameras that a valid one leaves
    /// unchanged keep running.
    async fn take_up_config(self: &Rc<Self>) -> Result<(), String> {
        let executor = &self.executor;
        let file = self.options.config_file.clone();
        let config = runtime::unblock(move || read_config(&file)).await;
        let mut config = config.map_err(|error| error.to_string())?;
        config.stay_in_place(&self.config.borrow());
        logger::set_level(config.log.level.0);
        self.stills.set_ffmpeg(&config.ffmpeg.path);
        let staying = staying(&self.config.borrow(), &config);
        let stations = self.stations.borrow().clone();
        let leaving = (0..stations.len()).filter(|index| !staying.contains(&Some(*index)));
        let leaving = leaving.filter_map(|index| stations.get(index).cloned());
        self.stop(&leaving.collect::<Vec<_>>()).await;
        // No await from here on: the card's list of cameras and ours must change together.
        let staying = staying.iter().map(|place| stations.get((*place)?).cloned());
        let staying: Vec<_> = staying.collect();
        let id = |station: &Option<Rc<Station>>| match station {
            Some(station) => station.id,
            None => CameraId(self.stations_begun.replace(self.stations_begun.get() + 1)),
        };
        let ids: Vec<_> = staying.iter().map(id).collect();
        self.desk.post(Command::Configure(Box::new(settings(&config, &ids))));
        let next = config.camera.iter().zip(ids).zip(staying);
        let next = next.map(|((camera, id), station)| match station {
            Some(station) => {
                station.set_segment_seconds(config.storage.segment_seconds.get());
                station
            }
            None => self.start_camera(id, camera, &config, executor),
        });
        self.stations.replace(next.collect());
        self.config.replace(config);
        self.start_telling();
        self.reloaded.notify();
        self.pump_all();
        log::info!("configuration reloaded: {}", self.options.config_file.display());
        self.note(ChangeKind::Config, None, "configuration reloaded".into());
        Ok(())
    }

    /// Hands the recorder's work to the card thread, as far as its queue has room.
    fn pump(&self, station: &Station) {
        // The daemon's commands go first: a station's may depend on settings among them.
        if self.desk.flush() {
            station.pump(&self.desk, self.moment(), runtime::now());
            if let Some(news) = station.news().filter(|it| station.is_news(it)) {
                self.say_of(station, news);
            }
        }
        if station.is_done() {
            self.progress.notify();
        }
    }

    fn pump_all(&self) {
        self.desk.flush();
        for station in self.stations.borrow().iter() {
            self.pump(station);
        }
        self.pump_marks();
    }

    fn moment(&self) -> Moment {
        Moment {
            now: runtime::now(),
            wall: self.clock.now(),
            clock: self.trust.get(),
            up_ms: self.clock.up_ms(),
        }
    }
}

/// Returns on a second signal that is not an echo of the first.
async fn second_signal(ends: &signals::SystemSignal) {
    let first = runtime::now();
    while first.elapsed() <= limits::SIGNAL_ECHO {
        ends.next().await;
    }
    log::warn!("state=ended second signal: the last files are repaired at the next start");
}

/// Maps each new camera to the index of the old one that it continues.
fn staying(old: &Config, new: &Config) -> Vec<Option<usize>> {
    let same_ffmpeg = old.ffmpeg == new.ffmpeg;
    let place = |camera: &config::Camera| {
        let same_engine = same_ffmpeg || camera.engine == config::Engine::Native;
        old.camera.iter().position(|other| same_engine && camera.runs_as(other))
    };
    new.camera.iter().map(place).collect()
}

/// The ids of the daemon's first cameras.
fn first_ids(config: &Config) -> Vec<CameraId> {
    (0..config.camera.len()).map(CameraId).collect()
}

fn read_config(file: &Path) -> Result<Config, config::Error> {
    warn_of_left_over(file);
    Config::read(file)
}

/// Warns if the configuration is read from a copy left by an interrupted save.
fn warn_of_left_over(file: &Path) {
    if let Some(old) = config::left_over(file) {
        log::warn!("{} is missing: reading {} instead", file.display(), old.display());
    }
}

/// The card thread's settings from the configuration; `ids` are those of its cameras.
pub fn settings(config: &Config, ids: &[CameraId]) -> Settings {
    let place = |(camera, &id): (&config::Camera, &CameraId)| Place {
        id,
        name: camera.name.as_str().to_owned(),
        folder: camera.folder().to_owned(),
    };
    let storage = &config.storage;
    Settings {
        paths: storage.path.0.clone(),
        require_mount: if storage.require_mount { RequireMount::Yes } else { RequireMount::No },
        keep_free_percent: u8::try_from(storage.keep_free_percent.get()).unwrap_or(u8::MAX),
        keep_days: u32::try_from(storage.keep_days.get()).unwrap_or(u32::MAX),
        thin_after_days: u32::try_from(storage.thin_after_days.get()).unwrap_or(u32::MAX),
        event_days: u32::try_from(storage.event_days.get()).unwrap_or(u32::MAX),
        event_before: Duration::from_secs(config.marks.before_seconds.get()),
        event_after: Duration::from_secs(config.marks.after_seconds.get()),
        sync: Duration::from_secs(storage.sync_seconds.get()),
        cameras: config.camera.iter().zip(ids).map(place).collect(),
        lock_file: PathBuf::from(SYSUPGRADE_LOCK),
        boot: clock::boot_id(),
    }
}

/// Exists while OpenIPC upgrades its firmware.
pub const SYSUPGRADE_LOCK: &str = "/tmp/sysupgrade.lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn cameras(text: &str) -> Config {
        Config::parse(text, Path::new("x.toml")).unwrap()
    }

    const TWO: &str =
        "[[camera]]\nname=\"a\"\nurl=\"rtsp://a/\"\n[[camera]]\nname=\"b\"\nurl=\"rtsp://b/\"\n";

    #[test]
    fn a_camera_that_did_not_change_goes_on_beside_one_that_did() {
        let (old, new) = (cameras(TWO), cameras(&TWO.replace("rtsp://b/", "rtsp://c/")));
        assert_eq!(staying(&old, &new), [Some(0), None]);
        assert_eq!(staying(&old, &old), [Some(0), Some(1)]);
    }

    #[test]
    fn a_camera_goes_on_whatever_its_place_in_the_list_and_its_label() {
        let (two, mut one) = (cameras(TWO), cameras(&TWO[TWO.rfind("[[").unwrap()..]));
        one.stay_in_place(&two);
        assert_eq!(staying(&two, &one), [Some(1)]);
        let mut again = cameras(TWO);
        again.stay_in_place(&one);
        assert_eq!(staying(&one, &again), [None, Some(0)]);
        let label = "[[camera]]\nname=\"b\"\nlabel=\"Das Tor\"\nurl=\"rtsp://b/\"\n";
        let mut label = cameras(label);
        label.stay_in_place(&two);
        assert_eq!(staying(&two, &label), [Some(1)]);
    }

    #[test]
    fn a_camera_whose_folder_changes_begins_anew() {
        let moved = TWO.replace("name=\"b\"", "name=\"b\"\nfolder=\".\"");
        assert_eq!(staying(&cameras(TWO), &cameras(&moved)), [None, None], "they change places");
        let said = TWO.replace("name=\"b\"", "name=\"b\"\nfolder=\"b\"");
        assert_eq!(staying(&cameras(TWO), &cameras(&said)), [Some(0), Some(1)]);
    }
}
