//! A camera: socket and clock around an RTSP session; frames into the ring, for as long as it takes.
//!
//! While nobody watches, the socket is not waited for but emptied in gulps: waiting for every packet
//! costs 13 system calls a frame, a gulp costs two for several frames.
//! Knows nothing of: recordings, viewers beyond their number.

pub mod pace;
pub mod probe;

use self::pace::Pace;
use crate::{
    limits,
    media::Intake,
    rtp::{self, Depacketizer, Order, Receiver},
    rtsp::{self, Media, Options, Output, PacketKind, Presentation, Session, Target},
    runtime::{self, Signal},
};
use smol::{Async, future, io::AsyncWriteExt as _};
use std::{
    cell::{Cell, RefCell},
    fmt, io,
    io::Read,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// One camera as the rest of the daemon sees it.
pub struct Camera {
    pub name: String,
    target: Target,
    pub intake: RefCell<Intake>,
    state: Cell<State>,
    last_error: RefCell<Option<String>>,
    /// Frames and state: notified after every gulp that brought frames and every change of state.
    pub changed: Signal,
    /// While there are viewers, packets are taken as they come.
    pub viewers: Cell<usize>,
    stopped: Cell<bool>,
    stop: Signal,
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Connecting,
    Live,
    /// Before the next try.
    Waiting,
    Off,
}

/// Why a run ended.
#[derive(Debug)]
pub enum Error {
    Resolve { host: String, source: io::Error },
    Connect { address: SocketAddr, source: io::Error },
    ConnectTimeout { host: String, port: u16 },
    Session(rtsp::Error),
    Read(io::Error),
    Write(io::Error),
    Closed,
    NoFrames(Duration),
}

impl Camera {
    /// `ring_bytes`: memory for recent frames; `seed`: for nonces, different at every start.
    pub fn new(name: String, target: Target, ring_bytes: usize, seed: u64) -> Camera {
        Camera {
            name,
            target,
            intake: RefCell::new(Intake::new(ring_bytes)),
            state: Cell::new(State::Connecting),
            last_error: RefCell::new(None),
            changed: Signal::default(),
            viewers: Cell::new(0),
            stopped: Cell::new(false),
            stop: Signal::default(),
            seed,
        }
    }

    pub fn state(&self) -> State {
        self.state.get()
    }

    pub fn last_error(&self) -> Option<String> {
        self.last_error.borrow().clone()
    }

    /// Ends [`Camera::run`], with a TEARDOWN where there is a session.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.stop.notify();
    }

    /// Connects, receives and tries again, until [`Camera::stop`].
    pub async fn run(&self, observer: &dyn Observer) {
        let mut retry = limits::RETRY_INTERVAL;
        while !self.stopped.get() {
            self.enter(State::Connecting, observer);
            let started = runtime::now();
            let Err(error) = self.receive(observer).await else { break };
            let lived = self.state.get() == State::Live;
            retry = match &error {
                Error::Session(error) if error.fault() == rtsp::Fault::Credentials => {
                    (retry * 2).min(limits::RETRY_INTERVAL_UNAUTHORIZED_MAX)
                }
                _ => limits::RETRY_INTERVAL,
            };
            let text = error.to_string();
            // One line a change: the same failure again is not news.
            if lived || self.last_error.borrow().as_deref() != Some(&text) {
                log::warn!("camera={} state=waiting error=\"{text}\"", self.name);
            }
            self.last_error.replace(Some(text));
            self.enter(State::Waiting, observer);
            // A try every second, counted from its start.
            self.or_stopped(runtime::sleep_until(started + retry)).await;
        }
        self.enter(State::Off, observer);
    }

    /// One run: from the connection to its end; `Ok` when it was stopped.
    async fn receive(&self, observer: &dyn Observer) -> Result<(), Error> {
        let started = runtime::now();
        let opening = self.or_stopped(Connection::open(&self.target, self.seed)).await;
        let Some(connection) = opening else { return Ok(()) };
        let mut connection = connection?;
        self.intake.borrow_mut().begin_run();
        let ending = loop {
            let step = connection.step(&self.intake, self.viewers.get() > 0);
            match self.or_stopped(step).await {
                Some(Ok(Step::Idle)) => {}
                Some(Ok(Step::Playing)) => {
                    self.last_error.replace(None);
                    self.enter(State::Live, observer);
                    let after = runtime::now().duration_since(started).as_millis();
                    log::info!("camera={} state=live after_ms={after}", self.name);
                }
                Some(Ok(Step::Frames)) => {
                    observer.frames();
                    self.changed.notify();
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        if ending.is_ok() {
            // What the camera sent before the stop belongs to the recording.
            let _ = connection.take_in(&mut self.intake.borrow_mut(), runtime::now());
        }
        observer.run_ended();
        connection.tear_down().await;
        ending
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

    fn enter(&self, state: State, observer: &dyn Observer) {
        if self.state.replace(state) != state {
            observer.state(state);
            self.changed.notify();
        }
    }
}

/// Who is told what a camera brings.
pub trait Observer {
    fn frames(&self);
    /// The run is over: no frame follows those in the ring.
    fn run_ended(&self);
    fn state(&self, state: State);
}

/// A socket with the session that speaks over it.
pub struct Connection {
    socket: Async<TcpStream>,
    session: Session,
    video: Option<Video>,
    pub presentation: Option<Presentation>,
    /// Requests that are not sent yet.
    outgoing: Vec<u8>,
    pace: Pace,
    /// When a frame came last, or the session began to play.
    last_frame: Instant,
}

/// From packets of the video track to access units.
struct Video {
    track: usize,
    receiver: Receiver,
    depacketizer: Depacketizer,
}

/// What a step brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Idle,
    Playing,
    Frames,
}

impl Connection {
    /// Connects and asks the first question.
    pub async fn open(target: &Target, seed: u64) -> Result<Connection, Error> {
        let timeout =
            || Error::ConnectTimeout { host: target.host().to_owned(), port: target.port() };
        let socket = runtime::timeout(limits::CONNECT_TIMEOUT, connect(target)).await;
        let socket = socket.ok_or_else(timeout)??;
        let now = runtime::now();
        let mut connection = Connection {
            socket,
            session: Session::new(target, Options::new(seed), now),
            video: None,
            presentation: None,
            outgoing: Vec::new(),
            pace: Pace::new(),
            last_frame: now,
        };
        connection.drain(&mut Intake::new(0), now)?;
        connection.flush().await?;
        Ok(connection)
    }

    /// Waits for bytes, or for time to read some, and takes in what they hold.
    pub async fn step(&mut self, intake: &RefCell<Intake>, watched: bool) -> Result<Step, Error> {
        self.wait(watched).await?;
        let now = runtime::now();
        let frames_before = intake.borrow().ring.numbers().end;
        let began = self.take_in(&mut intake.borrow_mut(), now)?;
        self.flush().await?;
        if began {
            return Ok(Step::Playing);
        }
        if intake.borrow().ring.numbers().end != frames_before {
            self.last_frame = now;
            return Ok(Step::Frames);
        }
        if self.video.is_some() && now - self.last_frame > limits::FRAME_TIMEOUT {
            return Err(Error::NoFrames(now - self.last_frame));
        }
        Ok(Step::Idle)
    }

    /// Says goodbye, for at most [`limits::TEARDOWN_TIMEOUT`].
    pub async fn tear_down(mut self) {
        self.session.teardown(runtime::now());
        while let Ok(Some(output)) = self.session.poll(runtime::now()) {
            if let Output::Send(bytes) = output {
                self.outgoing.extend_from_slice(bytes);
            }
        }
        let _ = runtime::timeout(limits::TEARDOWN_TIMEOUT, self.flush()).await;
    }

    /// Reads what is there and hands it to the session; true if it began to play.
    fn take_in(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        // Twice the buffer at most, then others have their turn.
        for _ in 0..2 {
            let space = self.session.space();
            let wanted = space.len();
            let count = match self.socket.get_ref().read(space) {
                Ok(0) => return Err(Error::Session(self.session.disconnected())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(Error::Read(error)),
            };
            self.pace.read(count, now);
            self.session.filled(count);
            began |= self.drain(intake, now)?;
            if count < wanted {
                break;
            }
        }
        if self.session.deadline().is_some_and(|deadline| deadline <= now) {
            self.session.handle_timeout(now).map_err(Error::Session)?;
            began |= self.drain(intake, now)?;
        }
        Ok(began)
    }

    async fn wait(&self, watched: bool) -> Result<(), Error> {
        let now = runtime::now();
        let mut deadline = now + limits::FRAME_TIMEOUT;
        if let Some(session) = self.session.deadline() {
            deadline = deadline.min(session);
        }
        if self.video.is_some() && !watched {
            runtime::sleep_until(deadline.min(now + self.pace.interval())).await;
            return Ok(());
        }
        let readable = async { self.socket.readable().await.map_err(Error::Read) };
        let expired = async {
            runtime::sleep_until(deadline).await;
            Ok(())
        };
        future::or(readable, expired).await
    }

    /// Takes all outputs of the session; true if it began to play.
    fn drain(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        while let Some(output) = self.session.poll(now).map_err(Error::Session)? {
            match output {
                Output::Send(bytes) => self.outgoing.extend_from_slice(bytes),
                Output::Packet { track, kind, bytes } => {
                    if let (Some(video), PacketKind::Rtp) = (&mut self.video, kind) {
                        video.handle_packet(track, bytes, intake, now);
                    }
                }
                Output::Playing(presentation) => {
                    self.video = Video::new(presentation);
                    self.presentation = Some(presentation.clone());
                    self.last_frame = now;
                    began = true;
                }
                Output::Closed => return Err(Error::Closed),
            }
        }
        Ok(began)
    }

    /// Sends the requests that wait.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let mut socket = &self.socket;
        let written =
            runtime::timeout(limits::REPLY_TIMEOUT, socket.write_all(&self.outgoing)).await;
        self.outgoing.clear();
        written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).map_err(Error::Write)
    }
}

impl Video {
    fn new(presentation: &Presentation) -> Option<Video> {
        let is_video = |media: Media| matches!(media, Media::Video(_));
        let found = presentation
            .tracks
            .iter()
            .position(|track| track.transport.is_some() && is_video(track.media))?;
        let track = presentation.tracks.get(found)?;
        let Media::Video(codec) = track.media else { return None };
        Some(Video {
            track: found,
            receiver: Receiver::new(track.payload_type, Order::Reliable),
            depacketizer: Depacketizer::new(codec, &track.parameter_sets),
        })
    }

    fn handle_packet(&mut self, track: usize, bytes: &[u8], intake: &mut Intake, now: Instant) {
        // What is no RTP packet counts as one that the network lost: its number will be missing.
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        if track == self.track {
            let depacketizer = &mut self.depacketizer;
            self.receiver.handle_packet(packet, now, &mut |packet, lost| {
                depacketizer.handle_packet(&packet, lost, intake);
            });
        }
    }
}

async fn connect(target: &Target) -> Result<Async<TcpStream>, Error> {
    let (host, port) = (target.host().to_owned(), target.port());
    let name = host.clone();
    // Resolving blocks; an address needs no thread.
    let addresses = match host.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => smol::unblock(move || (name.as_str(), port).to_socket_addrs())
            .await
            .map_err(|source| Error::Resolve { host: host.clone(), source })?
            .collect(),
    };
    let mut failure = Error::Resolve { host, source: io::ErrorKind::NotFound.into() };
    for address in addresses {
        match Async::<TcpStream>::connect(address).await {
            Ok(socket) => {
                // Fixed: room for a gulp and a key frame's burst, whatever the board's default is.
                let _ = rustix::net::sockopt::set_socket_recv_buffer_size(
                    socket.get_ref(),
                    limits::CAMERA_RECEIVE_BYTES,
                );
                let _ = socket.get_ref().set_nodelay(true);
                return Ok(socket);
            }
            Err(source) => failure = Error::Connect { address, source },
        }
    }
    Err(failure)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Resolve { host, .. } => write!(f, "no address is known for the host {host}"),
            Error::Connect { address, source } => {
                let why = match source.kind() {
                    io::ErrorKind::ConnectionRefused => "nothing listens there",
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                        "no way leads there"
                    }
                    _ => return write!(f, "{address} can not be reached: {source}"),
                };
                write!(f, "{address} can not be reached: {why}")
            }
            Error::ConnectTimeout { host, port } => {
                let seconds = limits::CONNECT_TIMEOUT.as_secs();
                write!(f, "{host}:{port} does not answer within {seconds} s: is the camera on?")
            }
            Error::Session(error) => error.fmt(f),
            Error::Read(error) | Error::Write(error) => {
                write!(f, "the connection to the camera broke: {error}")
            }
            Error::Closed => f.write_str("the camera closed the connection"),
            Error::NoFrames(span) => write!(f, "no frame for {} s", span.as_secs()),
        }
    }
}

impl std::error::Error for Error {}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Live => "live",
            State::Waiting => "waiting",
            State::Off => "off",
        }
    }
}
