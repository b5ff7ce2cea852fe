//! One connection to a camera: a socket, the session that is spoken over it, frames into a ring.
//!
//! Knows nothing of: when to try again, who wants the frames.

use super::{
    Connector, Error,
    audio::{self, Audio},
    pace::Pace,
};
use crate::{
    limits,
    media::{Clock, Intake},
    rtp::{
        self, Depacketizer, Order, Receiver,
        rtcp::{self, Rtcp},
    },
    rtsp::{Media, Options, Output, PacketKind, Presentation, Session, Target, Tracks},
    runtime,
};
use smol::{Async, future, io::AsyncWriteExt as _};
use std::{
    cell::RefCell,
    io::{self, Read as _},
    net::TcpStream,
    time::Instant,
};

/// A socket with the session that speaks over it.
pub struct Connection {
    socket: Async<TcpStream>,
    session: Session,
    video: Option<Video>,
    audio: Option<Audio>,
    pub presentation: Option<Presentation>,
    /// Requests that are not sent yet.
    outgoing: Vec<u8>,
    pace: Pace,
    backlog: Backlog,
    arrivals: Arrivals,
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

/// Whether the socket ran dry when it was last read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Backlog {
    None,
    Some,
}

/// Whether the camera still sends what can be used.
struct Arrivals {
    count: Count,
    /// When a frame came last, whatever became of it, or the session began to play.
    last: Instant,
    /// When one last went into the ring.
    last_taken: Instant,
}

/// How many frames came so far.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// Those in the ring.
    taken: u64,
    /// And those that could not be used.
    all: u64,
}

impl Connection {
    /// Connects; the first step asks the first question. `seed`: another one each time.
    ///
    /// # Errors
    /// Those of [`Connector::connect`].
    pub async fn open(
        connector: &mut Connector,
        target: &Target,
        tracks: Tracks,
        seed: u64,
    ) -> Result<Connection, Error> {
        let socket = connector.connect().await?;
        let now = runtime::now();
        let mut connection = Connection {
            socket,
            session: Session::new(target, Options { tracks, ..Options::new(seed) }, now),
            video: None,
            audio: None,
            presentation: None,
            outgoing: Vec::new(),
            pace: Pace::new(),
            backlog: Backlog::None,
            arrivals: Arrivals::from(now),
        };
        connection.collect_requests(now);
        Ok(connection)
    }

    /// Sends what is to be sent, waits for bytes, or for time to read some, and takes in what they
    /// hold. Cancel-safe.
    ///
    /// # Errors
    /// The connection or the session is over; what came before is in the ring.
    pub async fn step(&mut self, intake: &RefCell<Intake>, watched: bool) -> Result<Step, Error> {
        self.flush().await?;
        self.wait(watched).await?;
        let now = runtime::now();
        let before = Count::of(&intake.borrow());
        let began = self.take_in(&mut intake.borrow_mut(), now)?;
        let after = Count::of(&intake.borrow());
        if began {
            self.arrivals = Arrivals::from(now);
            return Ok(Step::Playing);
        }
        self.arrivals.note(after, now);
        if after.taken != before.taken {
            return Ok(Step::Frames);
        }
        if self.video.is_some() {
            self.arrivals.check(now)?;
        }
        Ok(Step::Idle)
    }

    /// What becomes of the camera's sound, for the log.
    pub fn sound(&self) -> String {
        self.presentation.as_ref().map(audio::outcome).unwrap_or_default()
    }

    /// Takes in what waits in the socket: it was sent before the stop.
    pub fn take_rest(&mut self, intake: &mut Intake) {
        // The connection ends in either case.
        let _ = self.take_in(intake, runtime::now());
    }

    /// The run is over: the last access unit goes out if it is complete.
    pub fn end_run(&mut self, intake: &mut Intake) {
        if let Some(video) = &mut self.video {
            video.depacketizer.end(intake);
        }
    }

    /// Says goodbye, for at most [`limits::TEARDOWN_TIMEOUT`]; nothing that still comes is read.
    pub async fn tear_down(mut self) {
        let now = runtime::now();
        self.session.teardown(now);
        self.collect_requests(now);
        let _ = runtime::timeout(limits::TEARDOWN_TIMEOUT, self.flush()).await;
    }

    /// Reads what is there and hands it to the session; true if it began to play.
    fn take_in(&mut self, intake: &mut Intake, now: Instant) -> Result<bool, Error> {
        let mut began = false;
        self.backlog = Backlog::Some;
        for _ in 0..limits::GULP_READS_MAX {
            let space = self.session.space();
            let wanted = space.len();
            let count = match self.socket.get_ref().read(space) {
                Ok(0) => return Err(Error::Session(self.session.disconnected())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Broken(error)),
            };
            self.pace.read(count, now);
            self.session.filled(count);
            began |= self.drain(intake, now)?;
            if count < wanted {
                self.backlog = Backlog::None;
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
            let pause = match self.backlog {
                Backlog::None => self.pace.interval(),
                Backlog::Some => limits::GULP_INTERVAL_MIN,
            };
            runtime::sleep_until(deadline.min(now + pause)).await;
            return Ok(());
        }
        let readable = async { self.socket.readable().await.map_err(Error::Broken) };
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
                    if let Some(audio) = self.audio.as_mut().filter(|it| it.track == track) {
                        match kind {
                            PacketKind::Rtp => audio.handle_packet(bytes, intake, now),
                            PacketKind::Rtcp => audio.handle_report(bytes, intake),
                        }
                        continue;
                    }
                    let Some(video) = self.video.as_mut().filter(|it| it.track == track) else {
                        continue;
                    };
                    match kind {
                        PacketKind::Rtp => video.handle_packet(bytes, intake, now),
                        PacketKind::Rtcp if video.is_ended_by(bytes) => return Err(Error::Bye),
                        PacketKind::Rtcp => {
                            audio::note_reports(bytes, Clock::Video, &video.receiver, intake);
                        }
                    }
                }
                Output::Playing(presentation) => {
                    self.video = Video::new(presentation);
                    self.audio = Audio::new(presentation, intake);
                    self.presentation = Some(presentation.clone());
                    began = true;
                }
                Output::Closed => return Err(Error::Closed),
            }
        }
        Ok(began)
    }

    /// Takes the session's requests where it has nothing else to say that is wanted.
    fn collect_requests(&mut self, now: Instant) {
        while let Ok(Some(output)) = self.session.poll(now) {
            if let Output::Send(bytes) = output {
                self.outgoing.extend_from_slice(bytes);
            }
        }
    }

    /// Sends the requests that wait. Cancel-safe: what was sent is not sent again.
    async fn flush(&mut self) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            let written = self.socket.write(&self.outgoing);
            let written = runtime::timeout(limits::REPLY_TIMEOUT, written).await;
            match written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
                Ok(0) => return Err(Error::Broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) => return Err(Error::Broken(error)),
            }
        }
        Ok(())
    }
}

impl Arrivals {
    fn from(now: Instant) -> Arrivals {
        Arrivals { count: Count::default(), last: now, last_taken: now }
    }

    fn note(&mut self, count: Count, now: Instant) {
        if count.all != self.count.all {
            self.last = now;
        }
        if count.taken != self.count.taken {
            self.last_taken = now;
        }
        self.count = count;
    }

    fn check(&self, now: Instant) -> Result<(), Error> {
        let (silent, barren) = (now - self.last, now - self.last_taken);
        if silent > limits::FRAME_TIMEOUT {
            return Err(Error::NoFrames(silent));
        }
        if barren > limits::KEY_FRAME_TIMEOUT {
            return Err(Error::NoKeyFrame(barren));
        }
        Ok(())
    }
}

impl Count {
    fn of(intake: &Intake) -> Count {
        let (taken, losses) = (intake.ring.numbers().end, intake.losses());
        Count { taken, all: taken + losses.undecodable + losses.too_large }
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
        let mut depacketizer = Depacketizer::new(codec, &track.parameter_sets);
        if is_interleaved(&track.format_parameters) {
            depacketizer = depacketizer.with_decoding_order_numbers();
        }
        let receiver = Receiver::new(track.payload_type, Order::Reliable);
        Some(Video { track: found, receiver, depacketizer })
    }

    fn handle_packet(&mut self, bytes: &[u8], intake: &mut Intake, now: Instant) {
        // What is no RTP packet counts as one that the network lost: its number will be missing.
        let Ok(packet) = rtp::Packet::parse(bytes) else { return };
        let depacketizer = &mut self.depacketizer;
        self.receiver.handle_packet(packet, now, &mut |packet, lost| {
            depacketizer.handle_packet(&packet, lost, intake);
        });
    }

    /// True for a BYE of the source whose packets we take (RFC 3550 §6.6); cameras also send some
    /// of sources that nobody knows.
    fn is_ended_by(&self, bytes: &[u8]) -> bool {
        rtcp::parse(bytes)
            .any(|it| matches!(it, Rtcp::Bye { ssrc } if self.receiver.is_source(ssrc)))
    }
}

/// Whether the packets carry decoding order numbers (RFC 7798 §7.1, `sprop-max-don-diff`).
fn is_interleaved(format_parameters: &str) -> bool {
    let mut parameters = format_parameters.split(';').filter_map(|it| it.split_once('='));
    let value = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("sprop-max-don-diff"));
    value.is_some_and(|(_, value)| value.trim().parse::<u32>().is_ok_and(|value| value > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn packets_carry_decoding_order_numbers_where_the_sdp_says_so() {
        for (parameters, expected) in [
            ("sprop-vps=QAE=; sprop-max-don-diff=2", true),
            ("sprop-max-don-diff=0;profile-id=1", false),
            ("SPROP-MAX-DON-DIFF = 1", true),
            ("packetization-mode=1", false),
            ("sprop-max-don-diff=many", false),
        ] {
            assert_eq!(is_interleaved(parameters), expected, "{parameters}");
        }
    }

    #[test]
    fn a_key_frame_every_20_seconds_is_waited_for() {
        let start = runtime::now();
        let mut arrivals = Arrivals::from(start);
        for second in 0..=20 {
            let now = start + Duration::from_secs(second);
            arrivals.note(Count { taken: 0, all: second }, now);
            assert!(arrivals.check(now).is_ok(), "second {second}");
        }
    }

    #[test]
    fn silence_and_a_stream_without_key_frames_end_a_run_each_in_its_time() {
        let start = runtime::now();
        let mut arrivals = Arrivals::from(start);
        let after = |limit: Duration| start + limit + Duration::from_millis(1);
        let silent = arrivals.check(after(limits::FRAME_TIMEOUT));
        assert!(matches!(silent, Err(Error::NoFrames(_))), "{silent:?}");
        let now = after(limits::KEY_FRAME_TIMEOUT);
        arrivals.note(Count { taken: 0, all: 1 }, now);
        let barren = arrivals.check(now);
        assert!(matches!(barren, Err(Error::NoKeyFrame(_))), "{barren:?}");
    }
}
