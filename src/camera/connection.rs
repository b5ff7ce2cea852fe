//! One connection to a camera: its sockets, the RTSP session on one of them, and the path of its
//! frames into a ring.
//!
//! Knows nothing of: when to retry.

use super::{
    Error,
    arrivals::FrameCount,
    audio,
    datagrams::{Inbox, Ports},
    pace::Pace,
    reception::Reception,
    trouble::{Diagnosis, Trouble},
    video::Video,
};
use crate::{
    http::{auth::Authenticator, url::Target},
    limits,
    media::Intake,
    onvif::notice::Notice,
    rtp,
    rtsp::{
        self, Counters, Delivery, Greeting, LowerTransport, Metadata, Output, PacketKind,
        Presentation, Session, SessionOptions, TrackTransport, Tracks,
    },
    runtime::{self, Async},
    units::WallTime,
};
use smol::future;
use std::{
    cell::RefCell,
    io,
    net::TcpStream,
    time::{Duration, Instant},
};

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    pub over: LowerTransport,
    pub tracks: Tracks,
    pub metadata: Metadata,
    pub greeting: Greeting,
    /// Timeout of each reply.
    pub reply: Duration,
    /// Timeout of the first packet.
    pub silence: Duration,
    /// Different for each connection.
    pub seed: u64,
}

/// A socket and the session on it.
pub struct Connection {
    socket: Async<TcpStream>,
    session: Session,
    options: ConnectOptions,
    /// The UDP ports, a pair for each track.
    ports: Vec<Ports>,
    /// Buffer for datagrams.
    inbox: Inbox,
    /// When the connection is read next while packets come over UDP.
    next_control: Instant,
    reception: Reception,
    pub presentation: Option<Presentation>,
    diagnosis: Option<Diagnosis>,
    /// Requests not sent yet.
    outgoing: Vec<u8>,
    pace: Pace,
    backlog: Backlog,
}

/// The result of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    Idle,
    Playing,
    Frames,
}

/// Whether data was left in the socket by the last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Backlog {
    None,
    Some,
}

impl Connection {
    /// Starts the session on a connected socket; the first step sends the first request.
    /// `authenticator` is that of a connection which was closed after its challenge.
    ///
    /// # Errors
    /// `Broken`: no UDP ports are free.
    pub fn new(
        socket: Async<TcpStream>,
        target: &Target,
        how: ConnectOptions,
        authenticator: Option<Box<Authenticator>>,
    ) -> Result<Connection, Error> {
        let now = runtime::now();
        let ConnectOptions { tracks, metadata, greeting, reply: reply_timeout, .. } = how;
        let mut options = SessionOptions {
            tracks,
            metadata,
            greeting,
            reply_timeout,
            authenticator,
            ..SessionOptions::new(how.seed)
        };
        let mut ports = Vec::new();
        if how.over == LowerTransport::Udp {
            let mut rtp_ports = [0; limits::TRACKS_MAX];
            let count = tracks.count() + usize::from(metadata == Metadata::IfOffered);
            for rtp_port in rtp_ports.iter_mut().take(count) {
                let pair = bind(socket.get_ref()).map_err(Error::Broken)?;
                *rtp_port = pair.rtp_port();
                ports.push(pair);
            }
            options.delivery = Delivery::Datagrams { rtp_ports };
        }
        let mut connection = Connection {
            socket,
            session: Session::new(target, options, now),
            options: how,
            inbox: Inbox::default(),
            pace: ports
                .first()
                .map_or_else(Pace::of_stream, |ports| Pace::of_datagrams(ports.buffer_bytes())),
            ports,
            next_control: now,
            reception: Reception::new(now),
            presentation: None,
            diagnosis: None,
            outgoing: Vec::new(),
            backlog: Backlog::None,
        };
        connection.collect_requests(now);
        Ok(connection)
    }

    /// Sends pending requests, waits for data or for the time to read some, and processes what
    /// arrived. Cancel-safe.
    ///
    /// # Errors
    /// The connection or the session ended; frames received before are in the ring.
    pub async fn step(
        &mut self,
        intake: &RefCell<Intake>,
        watched: bool,
    ) -> Result<Activity, Error> {
        self.flush().await?;
        self.wait(watched).await?;
        let now = runtime::now();
        let before = FrameCount::of(&intake.borrow());
        let began = self.take_in(&mut intake.borrow_mut(), now)?;
        self.check_numbers()?;
        let after = FrameCount::of(&intake.borrow());
        if began {
            return Ok(Activity::Playing);
        }
        let Reception { video, arrivals, .. } = &mut self.reception;
        arrivals.note(after, now);
        if after.taken != before.taken {
            return Ok(Activity::Frames);
        }
        if video.is_some() {
            arrivals.check(self.options.over, self.options.silence, now)?;
            if arrivals.asks_for_life(now) {
                self.session.ask_for_life(now);
                self.collect_requests(now);
            }
        }
        Ok(Activity::Idle)
    }

    /// Describes for the log what happens to the camera's sound.
    pub fn sound(&self) -> String {
        self.presentation.as_ref().map(audio::outcome).unwrap_or_default()
    }

    /// Returns true if the camera's metadata were asked for.
    pub fn asks_for_metadata(&self) -> bool {
        self.options.metadata == Metadata::IfOffered
            && self.session.tracks().iter().any(rtsp::Track::is_metadata)
    }

    /// Takes what the metadata said.
    pub fn notices(&mut self) -> Vec<Notice> {
        let notices = self.reception.metadata.as_mut().map(|it| std::mem::take(&mut it.notices));
        notices.unwrap_or_default()
    }

    /// Reads what is left in the sockets: it was sent before the stop.
    pub fn take_rest(&mut self, intake: &mut Intake) {
        for _ in 0..limits::REST_GULPS_MAX {
            // The connection ends either way.
            let more = self.take_in(intake, runtime::now()).is_ok();
            if !more || matches!(self.backlog, Backlog::None) {
                return;
            }
        }
    }

    /// Ends the run: the last access unit is kept if it is complete.
    pub fn end_run(&mut self, intake: &mut Intake) {
        self.reception.end(intake, runtime::now());
    }

    /// Returns true once a packet has arrived: the camera streams over this transport.
    pub fn delivers(&self) -> bool {
        self.reception.arrivals.any()
    }

    /// Packets of the video in this run, received and lost.
    pub fn statistics(&self) -> rtp::Statistics {
        self.reception.video.as_ref().map(Video::statistics).unwrap_or_default()
    }

    /// Faults of the camera that were tolerated.
    pub fn counters(&self) -> Counters {
        self.session.counters()
    }

    /// Why nothing can be recorded; call it after each step.
    pub fn trouble(&mut self, intake: &Intake) -> Option<Trouble> {
        let packets = self.statistics();
        let trouble = self.diagnosis.as_mut()?.look(intake, packets, runtime::now());
        let sound = self.reception.sound_is_of_other_type();
        trouble.or_else(|| sound.then_some(Trouble::SoundOfOtherType))
    }

    /// The camera's wall time from its first report.
    pub fn wall_time(&self) -> Option<WallTime> {
        self.reception.wall_time
    }

    /// Sends TEARDOWN within [`limits::TEARDOWN_TIMEOUT`]; nothing more is read.
    pub async fn tear_down(mut self) {
        let now = runtime::now();
        self.session.teardown(now);
        self.collect_requests(now);
        let _ = runtime::timeout(limits::TEARDOWN_TIMEOUT, self.flush()).await;
    }

    /// Reads and processes what has arrived; returns true if the session started playing.
    fn take_in(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        self.backlog = Backlog::None;
        if self.comes_as_datagrams() {
            self.receive_datagrams(intake, now)?;
        }
        if !self.comes_as_datagrams() || self.next_control <= now {
            self.next_control = now + limits::CONTROL_INTERVAL;
            began = self.read_connection(intake, now)?;
        }
        if self.session.deadline().is_some_and(|deadline| deadline <= now) {
            self.session.handle_timeout(now).map_err(Error::Session)?;
            began |= self.drain(intake, now)?;
        }
        self.report(intake, now)?;
        Ok(began)
    }

    /// # Errors
    /// `NumbersMissing`, at most once for a camera.
    fn check_numbers(&self) -> Result<(), Error> {
        let offers_more = || self.presentation.as_ref().is_some_and(Presentation::has_sound_apart);
        let is_asked = self.options.tracks == Tracks::VideoAndNumbers;
        match &self.reception.video {
            Some(video) if !is_asked && video.lacks_numbers() && offers_more() => {
                Err(Error::NumbersMissing)
            }
            _ => Ok(()),
        }
    }

    fn read_connection(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        for _ in 0..limits::GULP_READS_MAX {
            let space = self.session.space();
            let wanted = space.len();
            let count = match self.socket.read_now(space) {
                Ok(0) => return Err(Error::Session(self.session.disconnected())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.broken(error)),
            };
            if !self.comes_as_datagrams() {
                self.pace.read(count, now);
            }
            self.session.filled(count);
            let messages = self.session.counters().messages;
            began |= self.drain(intake, now)?;
            if self.session.counters().messages != messages {
                self.reception.arrivals.lives(now);
            }
            if count < wanted {
                return Ok(began);
            }
        }
        self.backlog = Backlog::Some;
        Ok(began)
    }

    /// Reads the waiting datagrams, up to a limit.
    fn receive_datagrams(&mut self, intake: &mut Intake, now: Instant) -> Result<(), Error> {
        let mut left = limits::DATAGRAMS_AT_ONCE_MAX;
        let kinds: &[PacketKind] = match intake.awaits_audio() {
            // The clocks in reports determine where the first sound belongs.
            true => &[PacketKind::Rtcp, PacketKind::Rtp],
            false if now < self.next_control => &[PacketKind::Rtp],
            false => &[PacketKind::Rtp, PacketKind::Rtcp],
        };
        for &kind in kinds {
            // Without reports, earlier video determines that. Sound is read first, so that a batch
            // of pictures does not count as older than the sound that arrived with it. The same
            // applies if sequence numbers of sound explain those missing from the video.
            let sound_first =
                intake.awaits_audio() && !intake.knows_clocks() || self.reception.shares_a_count();
            for nth in 0..self.ports.len() {
                let nth = if sound_first { self.ports.len() - 1 - nth } else { nth };
                let Some(ports) = self.ports.get(nth) else { continue };
                let Some(track) = ports.track() else { continue };
                while left > 0 && ports.receive(kind, &mut self.inbox) {
                    for bytes in self.inbox.datagrams() {
                        left = left.saturating_sub(1);
                        self.pace.read(bytes.len(), now);
                        self.reception.take(track, kind, bytes, intake, now)?;
                    }
                    if self.inbox.is_last() {
                        break;
                    }
                }
            }
        }
        if left == 0 {
            self.backlog = Backlog::Some;
        }
        Ok(())
    }

    /// Gives up on overdue packets, and sends a report if one is due.
    fn report(&mut self, intake: &mut Intake, now: Instant) -> Result<(), Error> {
        self.reception.handle_timeout(intake, now);
        let Some(video) = &mut self.reception.video else { return Ok(()) };
        let Some(report) = video.report_due(now) else { return Ok(()) };
        let track = video.track;
        match self.ports.iter().find(|ports| ports.track() == Some(track)) {
            Some(ports) => ports.send(PacketKind::Rtcp, &report),
            None => self.session.send_report(track, &report),
        }
        self.drain(intake, now).map(drop)
    }

    async fn wait(&self, watched: bool) -> Result<(), Error> {
        let now = runtime::now();
        let mut deadline = now + limits::FRAME_TIMEOUT;
        if let Some(session) = self.session.deadline() {
            deadline = deadline.min(session);
        }
        let readable = async { self.socket.readable().await.map_err(Error::Broken) };
        let Some(video) = &self.reception.video else {
            // A socket that never runs dry before the session plays must not starve other tasks.
            return match self.backlog {
                Backlog::Some => expired(now + limits::GULP_INTERVAL_MIN).await,
                Backlog::None => future::or(readable, expired(deadline)).await,
            };
        };
        deadline = deadline.min(video.deadline());
        deadline = deadline.min(self.reception.arrivals.deadline(self.options.silence));
        let as_datagrams = self.comes_as_datagrams();
        if !watched {
            self.socket.leave();
            self.ports.iter().for_each(Ports::leave);
            let pause = match self.backlog {
                Backlog::Some => limits::GULP_INTERVAL_MIN,
                Backlog::None => self.pace.interval(),
            };
            return expired(deadline.min(now + pause)).await;
        }
        match self.ports.first().filter(|_| as_datagrams) {
            // The video's ports, which are set up first; the others are read along with them.
            Some(ports) => {
                let datagram = async { ports.readable().await.map_err(Error::Broken) };
                future::or(datagram, expired(deadline.min(self.next_control))).await
            }
            None => future::or(readable, expired(deadline)).await,
        }
    }

    /// Returns true if the session plays and its packets come over UDP.
    fn comes_as_datagrams(&self) -> bool {
        self.ports.iter().any(|ports| ports.track().is_some())
    }

    /// Processes all outputs of the session; returns true if it started playing.
    fn drain(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        while let Some(output) = self.session.poll(now).map_err(Error::Session)? {
            match output {
                Output::Send(bytes) => self.outgoing.extend_from_slice(bytes),
                Output::Packet { track, kind, bytes } => {
                    self.reception.take(track, kind, bytes, intake, now)?;
                }
                Output::Stray { bytes } => self.reception.take_unknown(bytes, intake, now)?,
                Output::Playing(presentation) => {
                    self.reception.begin(presentation, self.options.seed, intake, now);
                    self.presentation = Some(presentation.clone());
                    let codec = self.reception.video.as_ref().map(Video::codec);
                    self.diagnosis = codec.map(|codec| Diagnosis::new(codec.name(), intake, now));
                    self.open_ports(now);
                    began = true;
                }
                Output::Closed => return Err(Error::Closed),
            }
        }
        Ok(began)
    }

    /// Tells each pair of ports its track and the camera's ports.
    fn open_ports(&mut self, now: Instant) {
        let Some(video) = &mut self.reception.video else { return };
        let report = video.report(now);
        let tracks = self.presentation.iter().flat_map(|presentation| &presentation.tracks);
        for (track, it) in tracks.enumerate() {
            if let Some(TrackTransport::Datagrams { rtp_port, server_ports }) = it.transport
                && let Some(ports) = self.ports.iter_mut().find(|it| it.rtp_port() == rtp_port)
            {
                ports.open(track, server_ports, &report);
            }
        }
    }

    /// Collects requests at points where the session can have no other output of interest.
    fn collect_requests(&mut self, now: Instant) {
        while let Ok(Some(output)) = self.session.poll(now) {
            if let Output::Send(bytes) = output {
                self.outgoing.extend_from_slice(bytes);
            }
        }
    }

    /// Sends pending requests. Cancel-safe: nothing is sent twice.
    async fn flush(&mut self) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            let written = self.socket.write(&self.outgoing);
            let written = runtime::timeout(limits::REPLY_TIMEOUT, written).await;
            match written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
                Ok(0) => return Err(Error::Broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) => return Err(self.broken(error)),
            }
        }
        Ok(())
    }

    /// The error for a broken connection. A camera may close it after its challenge.
    fn broken(&self, error: io::Error) -> Error {
        match self.session.disconnected() {
            closed @ rtsp::Error::ClosedBehindChallenge { .. } => Error::Session(closed),
            _ => Error::Broken(error),
        }
    }
}

/// Opens UDP ports on the local address of the connection to the camera.
fn bind(socket: &TcpStream) -> io::Result<Ports> {
    Ports::bind(socket.local_addr()?.ip(), socket.peer_addr()?)
}

async fn expired(deadline: Instant) -> Result<(), Error> {
    runtime::sleep_until(deadline).await;
    Ok(())
}
