//! RTSP: what a camera sends over its connection in, requests and RTP packets out.
//!
//! A [`Session`] is one connection's dialogue: OPTIONS, DESCRIBE, SETUP of each wanted track, PLAY,
//! then packets interleaved on the same connection, or datagrams that the driver receives, and
//! keepalives, at last TEARDOWN. Where a redirect leads to is told to the driver. What single cameras
//! do against the RFC is forgiven where it is met: look for `Quirk:`.
//!
//! Spec: RFC 2326. Knows nothing of: sockets, clocks, what is in a packet.

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
pub use presentation::{Media, Presentation, RtpInfo, Track, Transport};
pub use request::Method;

use crate::{
    http::{auth::Authenticator, url::Target},
    limits,
};
use dialogue::{Block, Dialogue, Heard};
use input::{Input, Item};
use message::{Message, Start};
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// One RTSP connection, from its first byte to its last.
///
/// The driver connects, then: drains [`poll`](Session::poll), reads into
/// [`space`](Session::space), says [`filled`](Session::filled), drains again; at
/// [`deadline`](Session::deadline) it calls [`handle_timeout`](Session::handle_timeout) and drains.
/// After [`teardown`](Session::teardown) it goes on so until [`Output::Closed`]. That packets keep
/// coming is for the driver to watch.
///
/// *Cost*: one buffer of `limits::RTSP_BUFFER_BYTES`; a packet costs no allocation and no copy but
/// that of a part of one packet for each read.
pub struct Session {
    input: Input,
    dialogue: Dialogue,
    /// Bytes at the front of `dialogue.out` that were given out.
    sent: usize,
    end: End,
    /// Since when nothing follows a description that is not as long as it says.
    unfinished: Option<Instant>,
}

/// How a session is to behave.
#[derive(Clone, Debug)]
pub struct Options {
    pub tracks: Tracks,
    pub delivery: Delivery,
    pub user_agent: &'static str,
    /// Makes the nonces of Digest; should be another for each connection.
    pub seed: u64,
    /// How long each reply up to that of PLAY is waited for.
    pub reply_timeout: Duration,
    /// Knows the challenge of a connection that was closed before it could be answered.
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
    /// Video that is a JPEG a picture, and nothing else.
    Jpeg,
}

/// How packets are to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In `$` blocks of the connection.
    Interleaved,
    /// To UDP ports of ours: RTP of the n-th track that is set up to the n-th, RTCP to the one behind
    /// it. A server that answers with channels sends interleaved all the same.
    Datagrams { rtp_ports: [u16; limits::TRACKS_MAX] },
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerTransport {
    Tcp,
    Udp,
}

/// What the driver has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Write all of it.
    Send(&'a [u8]),
    /// The server plays; comes once, before the first packet. Tracks without a transport were not
    /// set up.
    Playing(&'a Presentation),
    /// One packet of a track, which counts from 0 in the order of the SDP.
    Packet { track: usize, kind: PacketKind, bytes: &'a [u8] },
    /// What came on the channel of no track that was set up, where one would bring RTP.
    Stray { bytes: &'a [u8] },
    /// The dialogue is over; comes once, last.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    Rtp,
    Rtcp,
}

/// What was forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that were neither a message nor a block.
    pub junk_bytes: u64,
    /// Blocks of channels that nobody set up, and those before PLAY.
    pub dropped_blocks: u64,
    /// Messages of the server.
    pub messages: u64,
    /// Replies to nothing that was asked.
    pub ignored_replies: u64,
    /// Replies that were taken though their CSeq is another.
    pub miscounted_replies: u64,
    /// Requests without a reply while packets came.
    pub unanswered_requests: u64,
}

/// Whether the driver knows that it is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    Told,
}

/// An [`Output`] before it borrows.
enum Next {
    Send,
    Playing,
    Packet { track: usize, kind: PacketKind, range: Range<usize> },
    Stray { range: Range<usize> },
    Closed,
}

impl Options {
    pub fn new(seed: u64) -> Options {
        let user_agent = concat!("smolnvr/", env!("CARGO_PKG_VERSION"));
        Options {
            tracks: Tracks::Video,
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
    /// How many there are at most.
    pub fn count(self) -> usize {
        match self {
            Tracks::Video | Tracks::Jpeg => 1,
            Tracks::VideoAndAudio => limits::TRACKS_MAX,
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

    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            LowerTransport::Tcp => "tcp",
            LowerTransport::Udp => "udp",
        }
    }
}

impl Session {
    /// Starts a dialogue on a connection that was just made to the target.
    pub fn new(target: &Target, options: Options, now: Instant) -> Session {
        let dialogue = Dialogue::new(target, options, now);
        Session { input: Input::new(), dialogue, sent: 0, end: End::Ahead, unfinished: None }
    }

    /// Where to read into; never empty once `poll` was drained.
    pub fn space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// Tells how many bytes were read into [`space`](Session::space).
    pub fn filled(&mut self, bytes: usize) {
        self.input.filled(bytes);
        self.unfinished.take_if(|_| bytes > 0);
    }

    /// What is to be done next; `None` when all that was read is used up.
    ///
    /// # Errors
    /// The session failed; it is over, and `poll` says `None` from then on.
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

    /// Does what is due, if anything is: a keepalive, the end of a wait. To be followed by `poll`.
    ///
    /// # Errors
    /// `NoAnswer`: the session is over.
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

    /// Quirk: a description without `Content-Length`, or with one that is too large. What came of it counts
    /// once nothing follows.
    fn note_unfinished(&mut self, now: Instant) {
        let is_description = |message: Message<'_>| {
            let is_success = message.start == Start::Reply { status: 200 };
            is_success && message.body.windows(2).any(|two| two == b"m=")
        };
        if self.unfinished.is_none() && self.dialogue.awaits_description() {
            let message = Message::parse_unfinished(self.input.rest());
            self.unfinished = message.is_some_and(is_description).then_some(now);
        }
    }

    /// Begins the orderly end; packets that still come are dropped. To be followed by `poll`.
    pub fn teardown(&mut self, now: Instant) {
        self.forget_sent();
        self.dialogue.teardown(now);
    }

    /// Asks whether the server lives, where it plays and nothing else is asked; any answer counts in
    /// [`Counters::messages`]. To be followed by `poll`.
    pub fn ask_for_life(&mut self, now: Instant) {
        self.forget_sent();
        self.dialogue.ask_for_life(now);
    }

    /// Queues an RTCP packet of ours about a track whose packets come interleaved. To be followed by
    /// `poll`.
    pub fn send_report(&mut self, track: usize, report: &[u8]) {
        self.forget_sent();
        self.dialogue.send_report(track, report);
    }

    /// The error for a connection that the server closed.
    pub fn disconnected(&self) -> Error {
        self.dialogue.disconnected()
    }

    /// All tracks that the server offers; none before the answer to DESCRIBE. Stays after an error.
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
                    Block::Deliver(track, kind) => {
                        return Ok(Some(Next::Packet { track, kind, range: payload.clone() }));
                    }
                    Block::Announce => {
                        self.input.put_back(&item);
                        return Ok(Some(Next::Playing));
                    }
                    Block::Stray => return Ok(Some(Next::Stray { range: payload.clone() })),
                    Block::Drop => {}
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

    /// Drops what the driver has written by now.
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
