//! Playing: one thread per session takes frames from the clip, waits until each is due, and sends
//! it through packetizer, faults and transport.
//!
//! Spec: RFC 3550 §6.4.1 (sender reports). Knows nothing of: RTSP.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::faults::{Faults, Filter, Loss, Outgoing, Verdict};
use crate::locked;
use crate::metadata;
use crate::packetize::{self, HEADER_BYTES, Packetizer, Report};
use crate::quirks::Quirk;
use crate::sdp::ParameterSets;
use crate::sound::Sound;
use crate::statistics::{Board, Session, SessionState};
use crate::stream::{Speed, Stream, Then};
use crate::transport::{Transport, Writer};

/// A playing session; dropping it stops it and waits for its thread.
#[derive(Debug)]
pub(crate) struct Player {
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

impl Player {
    /// Starts to send at once, so the reply to PLAY must have been sent.
    pub(crate) fn start(sender: Sender) -> io::Result<Player> {
        let gate = sender.gate.clone();
        let name = format!("session {}", sender.session.number);
        let thread = thread::Builder::new().name(name).spawn(move || sender.run())?;
        Ok(Player { gate, thread: Some(thread) })
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.gate.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // its panic is on standard error already
        }
    }
}

/// Everything a session needs to play.
pub(crate) struct Sender {
    session: Session,
    stream: Arc<Stream>,
    transport: Transport,
    /// The RTSP connection, so that it can be closed.
    connection: Arc<Writer>,
    board: Arc<Board>,
    gate: Arc<Gate>,
    packetizer: Packetizer,
    filter: Filter,
    sound: Option<Sounding>,
    metadata: Option<Saying>,
    /// Whether nothing at all is sent.
    is_silent: bool,
}

/// Why sending ended.
enum End {
    AllSent,
    Stopped,
    Dropped,
    ClientGone,
}

impl Sender {
    pub(crate) fn new(
        session: Session,
        stream: Arc<Stream>,
        transport: Transport,
        connection: Arc<Writer>,
        board: Arc<Board>,
    ) -> Sender {
        let packetizer = Packetizer {
            codec: stream.clip.codec(),
            aggregation: stream.options.aggregation,
            ssrc: ssrc(session.number),
            sequence: session.first_sequence,
            quirks: stream.options.quirks.clone(),
        };
        let gate = Arc::new(Gate::default());
        let filter = Filter::new(stream.clip.codec(), session.number);
        let is_silent = stream.options.silent_over == Some(session.transport);
        Sender {
            session,
            stream,
            transport,
            connection,
            board,
            gate,
            packetizer,
            filter,
            sound: None,
            metadata: None,
            is_silent,
        }
    }

    /// Also sends the stream's sound, if there is some, over this transport. Even without one,
    /// sound that shares the video's numbering uses up numbers.
    pub(crate) fn with_sound(mut self, transport: Option<Transport>) -> Sender {
        let sound = self.stream.options.sound.clone();
        let sound = sound.filter(|sound| transport.is_some() || sound.shares_count);
        self.sound = sound.map(|sound| {
            let number = self.session.number;
            let first_timestamp = ssrc(number + 3000);
            let (next, sequence) = (0, ssrc(number + 4000) as u16);
            let ssrc = ssrc(number + 5000);
            Sounding { sound, transport, ssrc, first_timestamp, sequence, next }
        });
        self
    }

    /// Also sends the stream's metadata over this transport.
    pub(crate) fn with_metadata(mut self, transport: Option<Transport>) -> Sender {
        let (sequence, ssrc) =
            (ssrc(self.session.number + 6000) as u16, ssrc(!self.session.number));
        let greeting = self.stream.options.metadata.clone().unwrap_or_default().greeting;
        let next = self.stream.said_since(0).len();
        let saying = |transport| Saying { transport, ssrc, sequence, greeting, next };
        self.metadata = transport.map(saying);
        self
    }

    fn run(mut self) {
        self.board.update(self.session.number, |session| session.state = SessionState::Playing);
        let end = self.send_frames().unwrap_or(End::ClientGone);
        if matches!(end, End::AllSent) {
            let finished = SessionState::Finished;
            self.board.update(self.session.number, |session| session.state = finished);
        }
        match (end, self.stream.options.then) {
            (End::Dropped, _) | (End::AllSent, Then::Close) => self.connection.close(),
            (End::AllSent, Then::Bye) => {
                let _ = self.transport.send_control(&packetize::bye(self.packetizer.ssrc));
            }
            (End::AllSent, Then::Stay) => {
                while !self.gate.is_closed_at(Instant::now() + STALL_POLL) {
                    self.hear();
                }
            }
            (End::Stopped | End::ClientGone, _) => {}
        }
    }

    fn send_frames(&mut self) -> io::Result<End> {
        let stream = self.stream.clone();
        let first = stream.clip.frame(self.session.first_frame);
        let start = Instant::now();
        let has_wall_time = !stream.options.quirks.has(Quirk::NoWallTime);
        let wall = if has_wall_time { SystemTime::now() } else { switched_on() };
        let mut next_report = 0;
        for number in 0..stream.options.frames.unwrap_or(u64::MAX) {
            let frame = stream.frame(self.session.first_frame, number);
            let elapsed = frame.send_time - first.send_time;
            let due = match stream.options.speed {
                Speed::Times(speed) => start + seconds(elapsed).div_f64(speed),
                Speed::Max => start,
            };
            if self.gate.is_closed_at(due) {
                return Ok(End::Stopped);
            }
            if let Some(end) = self.hold(&stream, number) {
                return Ok(end);
            }
            let faults = stream.faults();
            let shift = self.filter.timestamp_shift(&faults, number);
            let base = self.session.first_timestamp.wrapping_add(shift);
            if faults.restart_after == Some(number) {
                self.packetizer.ssrc = !self.packetizer.ssrc;
                self.packetizer.sequence = self.packetizer.sequence.wrapping_mul(31) ^ 0x55aa;
            }
            if elapsed >= next_report {
                next_report = elapsed + REPORT_TICKS;
                let time = base.wrapping_add(faults.clock(elapsed as u32));
                self.report(time, ntp(wall + seconds(elapsed)))?;
                if let Some(sound) = &self.sound {
                    sound.report(elapsed, ntp(wall + seconds(elapsed)))?;
                }
            }
            if let Some(sound) = &mut self.sound {
                let sounds = sound.send_until(elapsed, &mut self.packetizer.sequence)?;
                self.board.update(self.session.number, |session| session.sounds = sounds);
            }
            if let Some(metadata) = &mut self.metadata {
                metadata.send(&stream, elapsed as u32)?;
            }
            let in_band = stream.options.parameter_sets != ParameterSets::Sdp;
            let nals = frame.unit.nals.iter().map(Vec::as_slice);
            let nals = nals.filter(|nal| in_band || !stream.clip.codec().is_parameter_set(nal));
            let nals = nals.map(<[u8]>::to_vec).collect();
            let nals = stream.options.quirks.nal_units(stream.clip.codec(), nals);
            let ticks = faults.clock(frame.pts.wrapping_sub(first.pts) as u32);
            let packets =
                self.packetizer.packets(nals.iter().map(Vec::as_slice), base.wrapping_add(ticks));
            self.send_strange(&stream)?;
            if let Some(end) = self.send(&faults, packets)? {
                return Ok(end);
            }
            self.hear();
        }
        self.transport.send(&self.filter.rest())?;
        Ok(End::AllSent)
    }

    /// Sends a frame's packets with their faults, and counts them.
    fn send(
        &mut self,
        faults: &Faults,
        packets: Vec<packetize::Packet>,
    ) -> io::Result<Option<End>> {
        let (outgoing, loss) = self.filter.pass(faults, packets);
        self.transport.send(&outgoing)?;
        let payload = |it: &Outgoing| match it {
            Outgoing::Packet(packet) => Some(packet.bytes.len() - HEADER_BYTES),
            Outgoing::Extra(_) | Outgoing::Raw(_) => None,
        };
        let sizes: Vec<usize> = outgoing.iter().filter_map(payload).collect();
        let bytes: usize = sizes.iter().sum();
        let Loss { packets: lost, picture } = loss;
        self.session.packets += sizes.len() as u64;
        self.session.bytes += bytes as u64;
        let (packets, all_bytes) = (self.session.packets, self.session.bytes);
        self.board.update(self.session.number, |session| {
            session.broken.extend(picture.then_some(session.frames));
            session.frames += 1;
            session.lost += lost;
            (session.packets, session.bytes) = (packets, all_bytes);
        });
        if let Some(kbit) = faults.link_kbit {
            let wire = 8 * (bytes + sizes.len() * HEADER_BYTES) as u64;
            let due = Instant::now() + Duration::from_micros(wire * 1000 / kbit);
            return Ok(self.gate.is_closed_at(due).then_some(End::Stopped));
        }
        Ok(None)
    }

    /// Sends the extra packets that quirky cameras send beside a frame.
    fn send_strange(&self, stream: &Stream) -> io::Result<()> {
        let quirks = &stream.options.quirks;
        if quirks.has(Quirk::StrangePayloadTypes) {
            let mut bytes = vec![0x80, 107];
            bytes.extend_from_slice(&self.packetizer.sequence.to_be_bytes());
            bytes.extend_from_slice(b"timessrcmetadata");
            self.transport.send(&[Outgoing::Extra(bytes)])?;
        }
        if quirks.has(Quirk::TwoSources) {
            let mut bytes = vec![0x80, packetize::PAYLOAD_TYPE];
            bytes.extend_from_slice(&(!self.packetizer.sequence).to_be_bytes());
            bytes.extend_from_slice(b"timeelse");
            bytes.extend_from_slice(&[0x41, 0x88, 0x80]);
            self.transport.send(&[Outgoing::Extra(bytes)])?;
        }
        if quirks.has(Quirk::StrangeChannel) {
            self.transport.send_block(STRANGE_CHANNEL, b"of nobody")?;
        }
        Ok(())
    }

    /// Reads the client's reports, over UDP.
    fn hear(&self) {
        let mut buffer = [0; 1500];
        while let Some(length) = self.transport.control(&mut buffer) {
            self.board.update(self.session.number, |session| session.hear(&buffer[..length]));
        }
    }

    /// Waits while a fault holds the frame back; returns the reason if it is never sent.
    fn hold(&self, stream: &Stream, number: u64) -> Option<End> {
        loop {
            match self.filter.verdict(&stream.faults(), number) {
                Verdict::Send if !self.is_silent => return None,
                Verdict::Close => return Some(End::Dropped),
                Verdict::Wait | Verdict::Send
                    if self.gate.is_closed_at(Instant::now() + STALL_POLL) =>
                {
                    return Some(End::Stopped);
                }
                Verdict::Wait | Verdict::Send => {}
            }
        }
    }

    fn report(&self, timestamp: u32, ntp: u64) -> io::Result<()> {
        let report = Report {
            ssrc: self.packetizer.ssrc,
            ntp,
            timestamp,
            packets: self.session.packets as u32,
            bytes: self.session.bytes as u32,
        };
        if self.stream.options.quirks.has(Quirk::StrangeReports) {
            let ssrc = report.ssrc.wrapping_add(1);
            self.transport.send_control(&Report { ssrc, ntp: 1, ..report }.to_bytes())?;
            self.transport.send_control(&packetize::bye(ssrc))?;
        }
        self.transport.send_control(&report.to_bytes())
    }
}

/// The sound of a session.
struct Sounding {
    sound: Sound,
    /// `None` if the client did not ask for it.
    transport: Option<Transport>,
    ssrc: u32,
    first_timestamp: u32,
    sequence: u16,
    /// Number of the next frame.
    next: u64,
}

impl Sounding {
    /// Sends the sound that ends by `elapsed`, in ticks of the video; returns how many frames of
    /// sound were sent in total. `video` is the sequence number of the next video packet.
    fn send_until(&mut self, elapsed: u64, video: &mut u16) -> io::Result<u64> {
        let ticks = u64::from(self.sound.frame_ticks());
        let rate = u64::from(self.sound.clock_rate());
        while (self.next + 1) * ticks * 90_000 <= elapsed * rate
            && self.sound.frames.is_none_or(|frames| self.next < frames)
        {
            let number = self.next;
            self.next += 1;
            if self.sound.muted.contains(&number) {
                continue;
            }
            let time = self.first_timestamp.wrapping_add((number * ticks) as u32);
            let sequence = if self.sound.shares_count { &mut *video } else { &mut self.sequence };
            let packet = self.sound.packet(number, self.ssrc, *sequence, time);
            *sequence = sequence.wrapping_add(1);
            if let Some(transport) = &mut self.transport
                && !self.sound.is_lost(number)
            {
                transport.send(&[Outgoing::Packet(packet)])?;
            }
        }
        Ok(self.next)
    }

    fn report(&self, elapsed: u64, ntp: u64) -> io::Result<()> {
        let Some(transport) = &self.transport else { return Ok(()) };
        let ticks = elapsed * u64::from(self.sound.clock_rate()) / 90_000;
        let timestamp = self.first_timestamp.wrapping_add(ticks as u32);
        let report =
            Report { ssrc: self.ssrc, ntp, timestamp, packets: self.next as u32, bytes: 0 };
        transport.send_control(&report.to_bytes())
    }
}

/// The metadata of a session.
struct Saying {
    transport: Transport,
    ssrc: u32,
    sequence: u16,
    /// The first document; empty after it was sent.
    greeting: String,
    /// The number of the next document that is for all sessions.
    next: usize,
}

impl Saying {
    fn send(&mut self, stream: &Stream, timestamp: u32) -> io::Result<()> {
        let said = stream.said_since(self.next);
        self.next += said.len();
        let greeting = Some(std::mem::take(&mut self.greeting)).filter(|it| !it.is_empty());
        for document in greeting.into_iter().chain(said) {
            let packets = metadata::packets(&document, self.ssrc, self.sequence, timestamp);
            self.sequence = self.sequence.wrapping_add(packets.len() as u16);
            let packets = packets.into_iter().map(Outgoing::Packet);
            self.transport.send(&packets.collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

/// Lets a thread sleep until it is time, or until it must end.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn close(&self) {
        *locked(&self.closed) = true;
        self.changed.notify_all();
    }

    /// Waits for `time`; true, and at once, when the gate closes.
    fn is_closed_at(&self, time: Instant) -> bool {
        let wait = time.saturating_duration_since(Instant::now());
        let guard = locked(&self.closed);
        let (closed, _) = self
            .changed
            .wait_timeout_while(guard, wait, |closed| !*closed)
            .unwrap_or_else(PoisonError::into_inner);
        *closed
    }
}

/// The same in each run, but different for each session.
pub(crate) fn ssrc(number: u64) -> u32 {
    (number as u32).wrapping_mul(0x9e37_79b1)
}

fn seconds(ticks: u64) -> Duration {
    Duration::from_nanos(ticks * 100_000 / 9)
}

/// The wall time of a camera whose clock was never set.
fn switched_on() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(17)
}

/// NTP's 64-bit time: seconds since 1900, and fractions (RFC 3550 §4).
fn ntp(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    since.as_secs().wrapping_add(SECONDS_1900_TO_1970) << 32 | fraction
}

/// A channel that belongs to no track.
const STRANGE_CHANNEL: u8 = 9;
const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
/// Interval of sender reports, in the time of the clip: 5 s.
const REPORT_TICKS: u64 = 5 * 90_000;
/// How often a stalled session checks whether the fault has ended.
const STALL_POLL: Duration = Duration::from_millis(10);
