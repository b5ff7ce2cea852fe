//! RTSP: a camera's bytes in, requests and RTP packets out.
//!
//! A [`Session`] is the dialogue over one connection: OPTIONS, DESCRIBE, SETUP for each wanted
//! track, PLAY; then packets interleaved on the same connection, or datagrams received by the
//! driver, and keepalives; finally TEARDOWN. The driver is told about redirects. Known camera bugs
//! are worked around in the code that meets them; each is marked `Quirk:`.
//!
//! Spec: RFC 2326.
//! Knows nothing of: sockets, clocks, the content of packets.

mod awaited;
mod dialogue;
mod error;
mod header;
mod input;
pub mod message;
mod presentation;
mod request;
mod sdp;

pub use error::{Error, Fault};
pub use message::MessageError;
pub use presentation::{Media, Presentation, RtpInfo, Track, TrackTransport};
pub use request::Method;

use crate::{
    http::{auth::Authenticator, url::Target},
    limits,
};
use dialogue::{BlockUse, Dialogue, Heard};
use input::{Input, Item};
use message::{Message, StartLine};
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// One RTSP connection, from its first byte to its last.
///
/// After connecting, the driver drains [`poll`](Session::poll), reads into
/// [`space`](Session::space), reports that with [`filled`](Session::filled), and drains again. At
/// [`deadline`](Session::deadline) it calls [`handle_timeout`](Session::handle_timeout) and drains.
/// After [`teardown`](Session::teardown) it continues until [`Output::Closed`]. The driver has to
/// watch that packets keep arriving.
///
/// *Cost*: one buffer of `limits::RTSP_BUFFER_BYTES`. A packet needs no allocation, and no copy
/// except for one incomplete packet per read.
pub struct Session {
    input: Input,
    dialogue: Dialogue,
    /// Bytes at the front of `dialogue.out` that have been passed on.
    sent: usize,
    end: End,
    /// Since when nothing follows a description that is not as long as it says.
    unfinished: Option<Instant>,
}

/// The options of a session.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    pub tracks: Tracks,
    pub metadata: Metadata,
    pub delivery: Delivery,
    pub user_agent: &'static str,
    /// Seeds the nonces of Digest; should differ for each connection.
    pub seed: u64,
    /// Timeout of each reply up to PLAY's.
    pub reply_timeout: Duration,
    /// Has the challenge of a connection that was closed before it could be answered.
    pub authenticator: Option<Box<Authenticator>>,
    pub greeting: Greeting,
}

/// What the dialogue begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    Options,
    /// Quirk: servers that do not answer OPTIONS, or close the connection on it.
    Describe,
}

/// Which tracks to set up: the first of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracks {
    Video,
    VideoAndAudio,
    /// The same, whatever the sound is: its sequence numbers are what counts.
    VideoAndNumbers,
    /// Only video consisting of JPEG pictures.
    Jpeg,
}

/// Whether the first track of ONVIF metadata is set up as well, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    No,
    IfOffered,
}

/// How packets are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In `$` blocks on the connection.
    Interleaved,
    /// To our UDP ports: RTP of the n-th track set up to the n-th, RTCP to the next one. If the
    /// server answers with channels, packets are interleaved anyway.
    Datagrams { rtp_ports: [u16; limits::TRACKS_MAX] },
}

/// The transport of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerTransport {
    Tcp,
    Udp,
}

/// An action for the driver.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Write all of it.
    Send(&'a [u8]),
    /// The server plays; emitted once, before the first packet. Tracks without a transport were not
    /// set up.
    Playing(&'a Presentation),
    /// A packet of a track; tracks are numbered from 0 in the order of the SDP.
    Packet { track: usize, kind: PacketKind, bytes: &'a [u8] },
    /// Data on a channel of no track, if it would be an RTP channel.
    Stray { bytes: &'a [u8] },
    /// The dialogue has ended; emitted once, last.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    Rtp,
    Rtcp,
}

/// Counts of tolerated faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that were neither a message nor a block.
    pub junk_bytes: u64,
    /// Blocks on channels not set up, and blocks before PLAY.
    pub dropped_blocks: u64,
    /// Messages from the server.
    pub messages: u64,
    /// Replies to no request.
    pub ignored_replies: u64,
    /// Replies accepted although their CSeq is wrong.
    pub miscounted_replies: u64,
    /// Requests not answered while packets arrived.
    pub unanswered_requests: u64,
}

/// Whether the driver has been told about the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    Told,
}

/// An [`Output`] that does not borrow yet.
enum Next {
    Send,
    Playing,
    Packet { track: usize, kind: PacketKind, range: Range<usize> },
    Stray { range: Range<usize> },
    Closed,
}

impl SessionOptions {
    pub fn new(seed: u64) -> SessionOptions {
        let user_agent = concat!("smolnvr/", env!("CARGO_PKG_VERSION"));
        SessionOptions {
            tracks: Tracks::Video,
            metadata: Metadata::No,
            delivery: Delivery::Interleaved,
            user_agent,
            seed,
            reply_timeout: limits::REPLY_TIMEOUT,
            authenticator: None,
            greeting: Greeting::Options,
        }
    }
}

impl Tracks {
    /// The largest number of tracks, without metadata.
    pub fn count(self) -> usize {
        match self {
            Tracks::Video | Tracks::Jpeg => 1,
            Tracks::VideoAndAudio | Tracks::VideoAndNumbers => 2,
        }
    }
}

impl Delivery {
    fn over(self) -> LowerTransport {
        match self {
            Delivery::Interleaved => LowerTransport::Tcp,
            Delivery::Datagrams { .. } => LowerTransport::Udp,
        }
    }
}

impl LowerTransport {
    pub fn other(self) -> LowerTransport {
        match self {
            LowerTransport::Tcp => LowerTransport::Udp,
            LowerTransport::Udp => LowerTransport::Tcp,
        }
    }

    /// The name used in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            LowerTransport::Tcp => "tcp",
            LowerTransport::Udp => "udp",
        }
    }
}

impl Session {
    /// Starts a dialogue on a new connection to the target.
    pub fn new(target: &Target, options: SessionOptions, now: Instant) -> Session {
        let dialogue = Dialogue::new(target, options, now);
        Session { input: Input::new(), dialogue, sent: 0, end: End::Ahead, unfinished: None }
    }

    /// Returns the buffer to read into; it is never empty after `poll` was drained.
    pub fn space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// Reports how many bytes were read into [`space`](Session::space).
    pub fn filled(&mut self, bytes: usize) {
        self.input.filled(bytes);
        self.unfinished.take_if(|_| bytes > 0);
    }

    /// Returns the next action; `None` when everything read has been processed.
    ///
    /// # Errors
    /// The session failed and has ended; `poll` returns `None` from then on.
    pub fn poll(&mut self, now: Instant) -> Result<Option<Output<'_>>, Error> {
        match self.next(now) {
            Ok(None) => Ok(None),
            Ok(Some(Next::Send)) => {
                self.sent = self.dialogue.out.len();
                Ok(Some(Output::Send(&self.dialogue.out)))
            }
            Ok(Some(Next::Playing)) => Ok(Some(Output::Playing(self.dialogue.presentation()))),
            Ok(Some(Next::Packet { track, kind, range })) => {
                Ok(Some(Output::Packet { track, kind, bytes: self.input.get(range) }))
            }
            Ok(Some(Next::Stray { range })) => {
                Ok(Some(Output::Stray { bytes: self.input.get(range) }))
            }
            Ok(Some(Next::Closed)) => {
                self.end = End::Told;
                Ok(Some(Output::Closed))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// When to call [`handle_timeout`](Session::handle_timeout) at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        let unfinished = self.unfinished.map(|since| since + limits::DESCRIPTION_PAUSE);
        self.dialogue.deadline().into_iter().chain(unfinished).min()
    }

    /// Does what is due: a keepalive, or the end of a timeout. Call `poll` next.
    ///
    /// # Errors
    /// `NoAnswer`: the session has ended.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.forget_sent();
        let is_paused = |since| now >= since + limits::DESCRIPTION_PAUSE;
        if self.unfinished.take_if(|since| is_paused(*since)).is_some()
            && let Some(message) = Message::parse_unfinished(self.input.rest())
        {
            let heard = self.dialogue.handle_message(&message, now);
            self.input.clear();
            return heard.map(drop).map_err(|error| self.fail(error));
        }
        self.dialogue.handle_timeout(now).map_err(|error| self.fail(error))
    }

    /// Quirk: a description without `Content-Length`, or with one that is too large. What came of
    /// it counts once nothing follows.
    fn note_unfinished(&mut self, now: Instant) {
        let is_description = |message: Message<'_>| {
            let is_success = message.start == StartLine::Reply { status: 200 };
            is_success && message.body.windows(2).any(|two| two == b"m=")
        };
        if self.unfinished.is_none() && self.dialogue.awaits_description() {
            let message = Message::parse_unfinished(self.input.rest());
            self.unfinished = message.is_some_and(is_description).then_some(now);
        }
    }

    /// Starts a clean end; packets still arriving are dropped. Call `poll` next.
    pub fn teardown(&mut self, now: Instant) {
        self.forget_sent();
        self.dialogue.teardown(now);
    }

    /// Asks whether the server is alive, if it plays and no request is pending; any reply counts in
    /// [`Counters::messages`]. Call `poll` next.
    pub fn ask_for_life(&mut self, now: Instant) {
        self.forget_sent();
        self.dialogue.ask_for_life(now);
    }

    /// Queues an RTCP packet about an interleaved track. Call `poll` next.
    pub fn send_report(&mut self, track: usize, report: &[u8]) {
        self.forget_sent();
        self.dialogue.send_report(track, report);
    }

    /// Returns the error for a connection closed by the server.
    pub fn disconnected(&self) -> Error {
        self.dialogue.disconnected()
    }

    /// All tracks offered by the server, also after an error; none before the reply to DESCRIBE.
    pub fn tracks(&self) -> &[Track] {
        &self.dialogue.presentation().tracks
    }

    pub fn counters(&self) -> Counters {
        Counters { junk_bytes: self.input.junk_bytes(), ..self.dialogue.counters }
    }

    fn next(&mut self, now: Instant) -> Result<Option<Next>, Error> {
        loop {
            self.forget_sent();
            if !self.dialogue.out.is_empty() {
                return Ok(Some(Next::Send));
            }
            if self.dialogue.is_closed() {
                self.input.clear();
                return Ok((self.end == End::Ahead).then_some(Next::Closed));
            }
            let dialogue = &self.dialogue;
            let is_known = |channel| dialogue.presentation().channel(channel).is_some();
            let Some(item) = self.input.next(&is_known)? else {
                self.note_unfinished(now);
                return Ok(None);
            };
            match &item {
                Item::Block { channel, payload } => match self.dialogue.handle_block(*channel) {
                    BlockUse::Deliver(track, kind) => {
                        return Ok(Some(Next::Packet { track, kind, range: payload.clone() }));
                    }
                    BlockUse::Announce => {
                        self.input.put_back(&item);
                        return Ok(Some(Next::Playing));
                    }
                    BlockUse::Stray => return Ok(Some(Next::Stray { range: payload.clone() })),
                    BlockUse::Drop => {}
                },
                Item::Message(range) => {
                    let bytes = self.input.get(range.clone());
                    let Some((message, _)) = Message::parse(bytes).map_err(Error::Message)? else {
                        continue;
                    };
                    if self.dialogue.awaits_description()
                        && message.lacks_length()
                        && self.input.rest().len() < limits::RTSP_BODY_BYTES_MAX
                    {
                        self.input.put_back(&item);
                        self.note_unfinished(now);
                        return Ok(None);
                    }
                    if self.dialogue.handle_message(&message, now)? == Heard::Playing {
                        return Ok(Some(Next::Playing));
                    }
                }
            }
        }
    }

    /// Drops output that the driver has written.
    fn forget_sent(&mut self) {
        self.dialogue.out.drain(..self.sent);
        self.sent = 0;
    }

    fn fail(&mut self, error: Error) -> Error {
        self.dialogue.close();
        self.dialogue.out.clear();
        self.sent = 0;
        self.input.clear();
        self.end = End::Told;
        error
    }
}

#[cfg(test)]
mod tests;
