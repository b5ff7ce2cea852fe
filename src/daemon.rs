//! The daemon: cameras, recorders and the card thread wired together, from start to orderly end.
//!
//! Everything here runs on the main thread; nothing here waits for the card.
//! Knows nothing of: protocols, file formats.

mod lock;
mod station;

pub use lock::{Lock, runtime_path};

use self::station::Station;
use crate::{
    camera::State,
    clock::Clock,
    config::Config,
    limits, logger,
    mp4::identity,
    recorder::Moment,
    runtime::{self, Signal},
    storage::{
        CameraId, CardState, Ending, Event, Settings, Storage,
        disk::{RequireMount, linux::LinuxDisk},
        messages::Command,
    },
};
use async_signal::{Signal as UnixSignal, Signals};
use smol::{LocalExecutor, stream::StreamExt as _};
use std::{
    cell::{Cell, RefCell},
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

/// Whether cameras record from the start on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recording {
    AsConfigured,
    Off,
}

/// The running daemon.
pub struct Daemon {
    config_file: PathBuf,
    config: RefCell<Config>,
    recording: Recording,
    storage: Storage,
    stations: RefCell<Vec<Rc<Station>>>,
    /// Fragment buffers that are not with the card thread.
    buffers: RefCell<Vec<Vec<u8>>>,
    clock: Clock,
    card: RefCell<CardState>,
    card_ended: Cell<bool>,
    /// A recorder or the card went on.
    progress: Signal,
    /// Names this life of the daemon in segments, and seeds what must differ between lives.
    life: u64,
}

/// Runs until SIGTERM or SIGINT, all files closed.
///
/// # Errors
/// Where the system refuses a thread or a signal handler.
pub fn run(config_file: &Path, config: Config, recording: Recording) -> io::Result<()> {
    blocking::set_max_blocking_threads(limits::BLOCKING_THREADS_MAX);
    let clock = Clock::start();
    let storage = Storage::start(LinuxDisk, settings(&config))?;
    let life = clock.now().0.cast_unsigned() << 20 | u64::from(std::process::id());
    let daemon = Rc::new(Daemon {
        config_file: config_file.to_owned(),
        recording,
        config: RefCell::new(config),
        storage,
        stations: RefCell::default(),
        buffers: RefCell::new(vec![Vec::new(); limits::FRAGMENT_BUFFERS]),
        clock,
        card: RefCell::default(),
        card_ended: Cell::new(false),
        progress: Signal::default(),
        life,
    });
    let signals = [UnixSignal::Term, UnixSignal::Int, UnixSignal::Hup];
    let signals = Signals::new(signals)?;
    let executor = Rc::new(LocalExecutor::new());
    runtime::block_on(&executor, async {
        executor.spawn(Rc::clone(&daemon).follow_card()).detach();
        executor.spawn(Rc::clone(&daemon).follow_clock()).detach();
        daemon.start_cameras(&executor);
        // A task of its own: it is polled when a signal comes, not whenever this thread wakes.
        let follower = Rc::clone(&daemon).follow_signals(signals, Rc::clone(&executor));
        executor.spawn(follower).await;
        daemon.end().await;
    });
    Ok(())
}

impl Daemon {
    fn start_cameras(self: &Rc<Self>, executor: &LocalExecutor<'static>) {
        let config = self.config.borrow();
        if config.camera.is_empty() {
            log::warn!(
                "no camera is configured: add a [[camera]] section to {}",
                self.config_file.display()
            );
        }
        let stations: Vec<_> = config
            .camera
            .iter()
            .enumerate()
            .map(|(index, camera)| {
                let length = config.storage.segment_seconds.get();
                let station = Station::new(CameraId(index), camera, length, self.life);
                let wanted = camera.record && self.recording == Recording::AsConfigured;
                station.start(Rc::clone(self), executor, wanted, &self.card.borrow())
            })
            .collect();
        *self.stations.borrow_mut() = stations;
    }

    /// Does what signals ask for, until one asks for the end.
    async fn follow_signals(
        self: Rc<Self>,
        mut signals: Signals,
        executor: Rc<LocalExecutor<'static>>,
    ) {
        while let Some(signal) = signals.next().await {
            match signal {
                Ok(UnixSignal::Hup) => self.reload(&executor).await,
                Ok(signal) => {
                    log::info!("state=ending signal={signal:?}");
                    break;
                }
                Err(error) => log::warn!("signals can not be read: {error}"),
            }
        }
    }

    /// Ends every camera: its last frames are on their way to the card when this returns, or
    /// [`limits::SHUTDOWN_TIMEOUT`] has passed.
    async fn stop_cameras(&self) {
        let stations = self.stations.borrow().clone();
        for station in &stations {
            station.stop();
        }
        let closed = async {
            loop {
                let progress = self.progress.changed();
                if stations.iter().all(|station| station.is_done()) {
                    break;
                }
                progress.await;
            }
        };
        if runtime::timeout(limits::SHUTDOWN_TIMEOUT, closed).await.is_none() {
            log::error!("the card did not take the last frames in time");
        }
        self.stations.borrow_mut().clear();
    }

    async fn end(&self) {
        let started = runtime::now();
        self.stop_cameras().await;
        self.storage.shut_down();
        let ended = async {
            loop {
                let progress = self.progress.changed();
                if self.card_ended.get() {
                    break;
                }
                progress.await;
            }
        };
        let patience = limits::SHUTDOWN_TIMEOUT.saturating_sub(started.elapsed());
        match runtime::timeout(patience, ended).await {
            Some(()) => log::info!("state=ended after_ms={}", started.elapsed().as_millis()),
            None => {
                log::error!("the card did not answer: its last file is mended at the next start")
            }
        }
    }

    /// Reads the configuration again; a wrong one changes nothing.
    async fn reload(self: &Rc<Self>, executor: &LocalExecutor<'static>) {
        let config = match Config::read(&self.config_file) {
            Ok(config) => config,
            Err(error) => {
                log::error!("configuration kept as it was: {error}");
                return;
            }
        };
        let cameras_changed = self.config.borrow().camera != config.camera;
        let length = config.storage.segment_seconds.get();
        logger::set_level(config.log.level.0);
        let settings = settings(&config);
        *self.config.borrow_mut() = config;
        if cameras_changed {
            self.stop_cameras().await;
        }
        self.send(Command::Configure(settings)).await;
        if cameras_changed {
            self.start_cameras(executor);
        } else {
            for station in self.stations.borrow().iter() {
                station.set_segment_length(length);
            }
        }
        log::info!("configuration read again: {}", self.config_file.display());
    }

    /// Hands the recorder's work to the card thread, as far as there is room.
    fn pump(&self, station: &Station) {
        station.pump(&self.storage, self.moment(), &mut self.buffers.borrow_mut());
        if station.is_done() {
            self.progress.notify();
        }
    }

    fn pump_all(&self) {
        for station in self.stations.borrow().iter() {
            self.pump(station);
        }
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), clock: self.trust() }
    }

    fn trust(&self) -> identity::Clock {
        if self.clock.is_trusted() { identity::Clock::Trusted } else { identity::Clock::Untrusted }
    }

    /// Tells the card thread what time it is, at the start and whenever that changes.
    async fn follow_clock(self: Rc<Self>) {
        let mut told = None;
        loop {
            self.clock.look();
            let now = (self.clock.stepped_ms() / 1000, self.trust());
            if told != Some(now) {
                told = Some(now);
                self.send(Command::Clock { wall: self.clock.now(), clock: now.1 }).await;
            }
            runtime::sleep(CLOCK_INTERVAL).await;
        }
    }

    /// For commands that belong to no camera: waits while the queue is full.
    async fn send(&self, mut command: Command) {
        while let Err(refused) = self.storage.send(command) {
            command = refused;
            self.progress.changed().await;
        }
    }

    async fn follow_card(self: Rc<Self>) {
        while let Ok(event) = self.storage.events().recv().await {
            self.handle(event);
            self.progress.notify();
        }
    }

    fn handle(&self, event: Event) {
        match event {
            Event::State(state) => {
                log_card(&state);
                for station in self.stations.borrow().iter() {
                    station.card_state(&state);
                }
                *self.card.borrow_mut() = state;
                self.pump_all();
            }
            Event::Returned { camera, mut buffer, result, .. } => {
                buffer.clear();
                buffer.shrink_to(limits::FRAGMENT_BUFFER_BYTES);
                self.buffers.borrow_mut().push(buffer);
                self.with_station(camera, |station| station.returned(result.map_err(drop)));
                self.pump_all();
            }
            Event::OpenFailed { camera, reason } => {
                log::warn!("camera={} no segment: {reason}", self.name(camera));
                self.with_station(camera, Station::failed);
                self.pump_all();
            }
            Event::Closed { camera, number, ending } => {
                log::debug!("camera={} segment={number} closed={ending:?}", self.name(camera));
                if ending == Ending::GivenUp {
                    self.with_station(camera, Station::failed);
                    self.pump_all();
                }
            }
            Event::Durable { camera, frames_end } => {
                self.with_station(camera, |station| station.durable(frames_end));
            }
            Event::Opened { camera, number } => {
                log::debug!("camera={} segment={number} opened", self.name(camera));
            }
            Event::Deleted { camera, number, reason } => {
                log::debug!("camera={} segment={number} deleted={reason:?}", self.name(camera));
            }
            Event::DeleteFailed { camera, number, reason } => {
                log::warn!("camera={} segment={number} not deleted: {reason}", self.name(camera));
            }
            Event::Mended { camera, number, mended } => {
                log::info!("camera={} segment={number} mended={mended:?}", self.name(camera));
            }
            Event::Remounted { file } => {
                let file =
                    file.map_or_else(String::new, |file| format!(" over {}", file.display()));
                log::warn!("the card had turned read-only{file} and is writable again");
            }
            Event::Ended => self.card_ended.set(true),
        }
    }

    fn name(&self, camera: CameraId) -> String {
        let stations = self.stations.borrow();
        stations.get(camera.0).map_or_else(String::new, |station| station.camera.name.clone())
    }

    fn with_station(&self, camera: CameraId, action: impl FnOnce(&Station)) {
        if let Some(station) = self.stations.borrow().get(camera.0) {
            action(station);
        }
    }
}

fn log_card(state: &CardState) {
    match state {
        CardState::Ok => log::info!("card=ok"),
        CardState::Released => log::info!("card=released"),
        state => log::warn!("card={} reason=\"{}\"", state.name(), state.reason()),
    }
}

/// What the card thread needs of the configuration.
pub fn settings(config: &Config) -> Settings {
    let storage = &config.storage;
    Settings {
        paths: storage.path.0.clone(),
        require_mount: if storage.require_mount { RequireMount::Yes } else { RequireMount::No },
        keep_free_percent: u8::try_from(storage.keep_free_percent.get()).unwrap_or(u8::MAX),
        keep_days: u32::try_from(storage.keep_days.get()).unwrap_or(u32::MAX),
        sync: Duration::from_secs(storage.sync_seconds.get()),
        cameras: config.camera.iter().map(|camera| camera.name.as_str().to_owned()).collect(),
        lock_file: PathBuf::from(SYSUPGRADE_LOCK),
        boot: boot_id(),
    }
}

/// The kernel's name for this boot; zeroes where it has none.
fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

/// Logs a camera's state where its driver does not.
fn log_state(name: &str, state: State) {
    if state == State::Off {
        log::info!("camera={name} state=off");
    }
}

/// OpenIPC's firmware upgrade runs while this file is there.
const SYSUPGRADE_LOCK: &str = "/tmp/sysupgrade.lock";
/// How often the clock is looked at.
const CLOCK_INTERVAL: Duration = Duration::from_secs(5);
