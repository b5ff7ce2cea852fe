//! The dialogue of client and server: messages in, requests and events out.
//!
//! Spec: RFC 2326 §10, §11, §D.1.
//! Knows nothing of: the connection, the receive buffer.

use super::{
    Counters, Greeting, PacketKind, SessionOptions,
    awaited::{Awaited, Chatter, Number, Numbering, RequestStep, SessionStage},
    error::Error,
    header::{Channels, SessionField, TransportField, lists},
    message::{Message, StartLine},
    presentation::{Presentation, TrackTransport, Wanted},
    request::{Method, Request, write_block, write_reply},
    sdp,
};
use crate::{
    http::{
        auth::{Authenticator, Challenge},
        url::Target,
    },
    limits::{REPLY_TIMEOUT, SESSION_TIMEOUT_DEFAULT, TEARDOWN_TIMEOUT},
};
use std::time::{Duration, Instant};

/// The client's side. Requests are collected in `out`; at most one is pending.
pub(super) struct Dialogue {
    options: SessionOptions,
    uri: String,
    masked_path: String,
    authenticator: Authenticator,
    stage: SessionStage,
    cseq: u32,
    awaited: Option<Awaited>,
    numbering: Numbering,
    chatter: Chatter,
    presentation: Presentation,
    session_id: Option<String>,
    session_timeout: Duration,
    keepalive: Method,
    keepalive_at: Option<Instant>,
    pub(super) out: Vec<u8>,
    pub(super) counters: Counters,
}

/// What a message means for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    Playing,
}

/// What to do with a `$` block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockUse {
    /// Deliver a packet of that track.
    Deliver(usize, PacketKind),
    /// It is the first one and precedes the reply to PLAY: emit `Playing`, then ask again.
    Announce,
    /// An RTP packet, judging by its channel, of a track not set up.
    Stray,
    Drop,
}

impl Dialogue {
    pub(super) fn new(target: &Target, mut options: SessionOptions, now: Instant) -> Dialogue {
        let authenticator = options.authenticator.take().map(|known| *known);
        let unchallenged = || Authenticator::new(target.credentials().cloned(), options.seed);
        let mut dialogue = Dialogue {
            uri: target.uri().to_owned(),
            masked_path: target.masked_path(),
            authenticator: authenticator.unwrap_or_else(unchallenged),
            options,
            stage: SessionStage::Opening,
            cseq: 0,
            awaited: None,
            numbering: Numbering::default(),
            chatter: Chatter::since(now),
            presentation: Presentation::default(),
            session_id: None,
            session_timeout: SESSION_TIMEOUT_DEFAULT,
            keepalive: Method::Options,
            keepalive_at: None,
            out: Vec::new(),
            counters: Counters::default(),
        };
        match dialogue.options.greeting {
            Greeting::Options => dialogue.ask(RequestStep::Options, 0, now),
            Greeting::Describe => {
                dialogue.keepalive = Method::GetParameter;
                dialogue.ask(RequestStep::Describe, 0, now);
            }
        }
        dialogue
    }

    pub(super) fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    /// Returns the error for a connection closed by the server.
    ///
    /// Quirk: some servers close it after their 401, as in HTTP/1.0: the challenge is answered on
    /// the next connection.
    pub(super) fn disconnected(&self) -> Error {
        match self.awaited {
            Some(Awaited { challenges: 1.., .. }) if self.stage == SessionStage::Opening => {
                Error::ClosedBehindChallenge { authenticator: Box::new(self.authenticator.clone()) }
            }
            awaited => Error::Disconnected { awaited: awaited.map(|awaited| awaited.method) },
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stage == SessionStage::Closed
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.awaited.map(|awaited| awaited.deadline).or(self.keepalive_at)
    }

    /// Ends the dialogue without TEARDOWN.
    pub(super) fn close(&mut self) {
        self.stage = SessionStage::Closed;
        self.awaited = None;
        self.keepalive_at = None;
    }

    pub(super) fn awaits_description(&self) -> bool {
        self.awaited.is_some_and(|awaited| awaited.step == RequestStep::Describe)
    }

    /// Asks at once whether the server is alive, unless a request is pending.
    pub(super) fn ask_for_life(&mut self, now: Instant) {
        if self.stage == SessionStage::Playing && self.awaited.is_none() {
            self.ask(RequestStep::Keepalive, 0, now);
        }
    }

    pub(super) fn teardown(&mut self, now: Instant) {
        match self.stage {
            SessionStage::Closing | SessionStage::Closed => {}
            // Before the first SETUP has been answered there is nothing to tear down.
            _ if !self.presentation.is_any_set_up() => self.close(),
            _ => {
                self.stage = SessionStage::Closing;
                self.ask(RequestStep::Teardown, 0, now);
            }
        }
    }

    /// # Errors
    /// `NoAnswer`, except for requests made needless by data or by the end of the session.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        match self.awaited {
            Some(awaited) if now < awaited.deadline => Ok(()),
            Some(Awaited { step: RequestStep::Teardown, .. }) => {
                self.close();
                Ok(())
            }
            // Quirk: some firmware never answers keepalives. Its packets show that it is alive.
            Some(awaited) if self.stage == SessionStage::Playing => {
                self.counters.unanswered_requests += 1;
                self.awaited = None;
                self.schedule_keepalive(now);
                // Hipcam only supports OPTIONS; half a timeout later may be too late.
                if awaited.step == RequestStep::Keepalive && self.keepalive != Method::Options {
                    self.keepalive = Method::Options;
                    self.ask(RequestStep::Keepalive, 0, now);
                }
                Ok(())
            }
            Some(Awaited { method, timeout: waited, .. }) => {
                Err(Error::NoAnswer { method, waited })
            }
            None => {
                if self.keepalive_at.is_some_and(|at| at <= now) {
                    self.ask(RequestStep::Keepalive, 0, now);
                }
                Ok(())
            }
        }
    }

    /// Decides about a block. Packets that precede the reply to PLAY count: the first may be the
    /// only key frame for seconds. RTCP from before does not (Reolink sends some).
    pub(super) fn handle_block(&mut self, channel: u8) -> BlockUse {
        let found = self.presentation.channel(channel);
        let plays = self.awaited.is_some_and(|awaited| awaited.step == RequestStep::Play);
        match (self.stage, found) {
            (SessionStage::Playing, Some((track, kind))) => BlockUse::Deliver(track, kind),
            (SessionStage::Opening, Some((_, PacketKind::Rtp))) if plays => {
                self.stage = SessionStage::Playing;
                BlockUse::Announce
            }
            (stage, _) => {
                self.counters.dropped_blocks += 1;
                match stage {
                    SessionStage::Playing if channel.is_multiple_of(2) => BlockUse::Stray,
                    _ => BlockUse::Drop,
                }
            }
        }
    }

    /// # Errors
    /// The server refused something indispensable.
    pub(super) fn handle_message(
        &mut self,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Heard, Error> {
        self.counters.messages += 1;
        let status = match message.start {
            StartLine::Request { method, .. } => {
                self.answer(method, message);
                return self.chatter.note(now).map(|()| Heard::Nothing);
            }
            StartLine::Reply { status } => status,
        };
        let answer = self.awaited.and_then(|awaited| {
            let number = self.numbering.answer(&awaited, self.stage, status, message)?;
            Some((awaited, number))
        });
        match answer {
            Some((awaited, number)) if status >= 200 => {
                self.counters.miscounted_replies += u64::from(number == Number::Wrong);
                return self.handle_reply(awaited, status, message, now);
            }
            // Provisional: the reply is still to come.
            Some(_) => {}
            None => self.counters.ignored_replies += 1,
        }
        self.chatter.note(now).map(|()| Heard::Nothing)
    }

    fn handle_reply(
        &mut self,
        awaited: Awaited,
        status: u16,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Heard, Error> {
        self.awaited = None;
        if self.stage == SessionStage::Playing {
            self.schedule_keepalive(now);
        }
        if status == 401 {
            self.handle_challenge(awaited, message, now)?;
            return Ok(Heard::Nothing);
        }
        let is_success = status < 300;
        match awaited.step {
            RequestStep::Teardown => self.close(),
            RequestStep::Keepalive if is_success || awaited.method == Method::Options => {}
            // Not implemented after all: use OPTIONS, which every server has, at once.
            RequestStep::Keepalive => {
                self.keepalive = Method::Options;
                self.ask(RequestStep::Keepalive, 0, now);
            }
            // Quirk: several firmwares answer OPTIONS with 404, 405 or 501 and stream anyway.
            RequestStep::Options if is_success || status >= 400 => {
                if is_success {
                    self.read_options(message);
                }
                self.ask(RequestStep::Describe, 0, now);
            }
            // The camera does not send sound or metadata after all: its video is recorded.
            RequestStep::Setup { track } if status >= 400 && self.presentation.refuse(track) => {
                self.set_up_next(now)?;
            }
            _ if status < 400 && !is_success => {
                let to = message.field("Location").and_then(|url| url.parse().ok()).map(Box::new);
                return Err(Error::Redirected { status, to });
            }
            RequestStep::Setup { .. }
                if !self.presentation.is_any_set_up() && is_transport(status) =>
            {
                return Err(Error::NoTransport { over: self.options.delivery.over(), status });
            }
            _ if !is_success => {
                let path = self.masked_path.clone();
                return Err(Error::Refused { method: awaited.method, status, path });
            }
            step => return self.handle_success(step, message, now),
        }
        Ok(Heard::Nothing)
    }

    fn handle_success(
        &mut self,
        step: RequestStep,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<Heard, Error> {
        match step {
            RequestStep::Describe => {
                self.read_description(message);
                self.set_up_next(now)?;
            }
            RequestStep::Setup { track } => {
                self.read_transport(track, message)?;
                self.set_up_next(now)?;
            }
            RequestStep::Play => {
                self.read_session(message);
                if let Some(value) = message.field("RTP-Info") {
                    self.presentation.set_rtp_info(value);
                }
                self.schedule_keepalive(now);
                // Its first packet may have announced it already.
                if self.stage == SessionStage::Opening {
                    self.stage = SessionStage::Playing;
                    return Ok(Heard::Playing);
                }
            }
            RequestStep::Options | RequestStep::Keepalive | RequestStep::Teardown => {}
        }
        Ok(Heard::Nothing)
    }

    /// Chooses the request that keeps the session alive.
    fn read_options(&mut self, message: &Message<'_>) {
        let mut publics = message.fields("Public");
        if publics.any(|public| lists(public, "GET_PARAMETER")) {
            self.keepalive = Method::GetParameter;
        }
    }

    /// Answers a 401 once for every new nonce, and again if the server calls it stale.
    fn handle_challenge(
        &mut self,
        awaited: Awaited,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(), Error> {
        let challenge = self.authenticator.challenged(&mut message.fields("WWW-Authenticate"));
        match (challenge, awaited.challenges) {
            // Also if a previously valid nonce has expired without `stale`.
            (Challenge::New, 0) | (Challenge::Stale, 0 | 1) => {
                self.ask(awaited.step, awaited.challenges + 1, now);
                Ok(())
            }
            _ if awaited.step == RequestStep::Teardown => {
                self.close();
                Ok(())
            }
            // A playing stream continues: user and password were accepted before.
            _ if self.stage == SessionStage::Playing => {
                self.keepalive = Method::Options;
                Ok(())
            }
            (Challenge::Unknown, _) => Err(Error::UnknownChallenge),
            _ => {
                let user = self.authenticator.user().map(str::to_owned);
                Err(Error::Unauthorized { user })
            }
        }
    }

    fn read_description(&mut self, message: &Message<'_>) {
        let fields = [message.field("Content-Base"), message.field("Content-Location")];
        let base = sdp::base(fields, &self.uri);
        self.presentation = sdp::parse(&String::from_utf8_lossy(message.body), &base);
    }

    /// Sends SETUP for the next wanted track, or PLAY.
    fn set_up_next(&mut self, now: Instant) -> Result<(), Error> {
        match self.presentation.next_wanted(self.options.tracks, self.options.metadata) {
            Wanted::SetUp { track } => self.ask(RequestStep::Setup { track }, 0, now),
            Wanted::Play => self.ask(RequestStep::Play, 0, now),
            Wanted::Nothing => return Err(Error::NoVideo { has: self.presentation.encodings() }),
        }
        Ok(())
    }

    /// Quirk: XiongMai (H264DVR 1.0) returns another session id for every SETUP; the first one is
    /// right.
    fn read_transport(&mut self, track: usize, message: &Message<'_>) -> Result<(), Error> {
        self.read_session(message);
        let field = TransportField::parse(message.field("Transport").unwrap_or_default());
        let asked = self.presentation.free_transport(self.options.delivery);
        let transport = match (field.channels, asked) {
            (Channels::Named(named), asked) if self.presentation.is_taken(named) => asked,
            (Channels::Named(transport), _) => transport,
            (Channels::Ports(_), TrackTransport::Interleaved { .. }) => {
                return Err(Error::NotInterleaved);
            }
            (Channels::Ports(server_ports), TrackTransport::Datagrams { rtp_port, .. }) => {
                TrackTransport::Datagrams { rtp_port, server_ports }
            }
            (Channels::AsAsked, asked) => asked,
        };
        self.presentation.set_up(track, transport, &field);
        Ok(())
    }

    fn read_session(&mut self, message: &Message<'_>) {
        if let Some(field) = message.field("Session").and_then(SessionField::parse) {
            self.session_id.get_or_insert_with(|| field.id.to_owned());
            let timeout = field.timeout.unwrap_or(SESSION_TIMEOUT_DEFAULT);
            self.session_timeout = self.session_timeout.min(timeout);
        }
    }

    fn schedule_keepalive(&mut self, now: Instant) {
        self.keepalive_at = Some(now + self.session_timeout / 2);
    }

    /// Writes a request and awaits its reply.
    fn ask(&mut self, step: RequestStep, challenges: u8, now: Instant) {
        let method = match step {
            RequestStep::Options => Method::Options,
            RequestStep::Describe => Method::Describe,
            RequestStep::Setup { .. } => Method::Setup,
            RequestStep::Play => Method::Play,
            RequestStep::Keepalive => self.keepalive,
            RequestStep::Teardown => Method::Teardown,
        };
        let uri = match step {
            RequestStep::Options | RequestStep::Describe => self.uri.as_str(),
            RequestStep::Setup { track } => {
                self.presentation.tracks.get(track).map_or("*", |track| track.control.as_str())
            }
            RequestStep::Play | RequestStep::Keepalive | RequestStep::Teardown => {
                self.presentation.control.as_str()
            }
        };
        self.cseq = self.cseq.wrapping_add(1);
        Request {
            method,
            uri,
            cseq: self.cseq,
            user_agent: self.options.user_agent,
            authorization: self.authenticator.authorization(method.name(), uri),
            session: self.session_id.as_deref(),
            transport: self.presentation.free_transport(self.options.delivery),
        }
        .write(&mut self.out);
        let timeout = match step {
            RequestStep::Teardown => TEARDOWN_TIMEOUT,
            RequestStep::Keepalive => REPLY_TIMEOUT,
            _ => self.options.reply_timeout,
        };
        let (cseq, deadline) = (self.cseq, now + timeout);
        self.awaited = Some(Awaited { step, method, cseq, timeout, deadline, challenges });
    }

    /// Writes an RTCP packet for an interleaved track.
    pub(super) fn send_report(&mut self, track: usize, report: &[u8]) {
        let track = self.presentation.tracks.get(track);
        if let Some(TrackTransport::Interleaved { rtcp, .. }) =
            track.and_then(|track| track.transport)
            && self.stage == SessionStage::Playing
        {
            write_block(&mut self.out, rtcp, report);
        }
    }

    /// Answers a request of the server.
    fn answer(&mut self, method: &str, message: &Message<'_>) {
        let status = match method {
            "OPTIONS" | "GET_PARAMETER" | "SET_PARAMETER" | "ANNOUNCE" => "200 OK",
            _ => "501 Not Implemented",
        };
        let cseq = message.field("CSeq").and_then(|cseq| cseq.parse::<u32>().ok()).unwrap_or(0);
        write_reply(&mut self.out, status, cseq, self.session_id.as_deref());
    }
}

/// Refusals of SETUP after which the other lower transport may work: 461 says so, the others come
/// from cameras that do not understand the request.
fn is_transport(status: u16) -> bool {
    matches!(status, 400 | 406 | 461 | 462 | 500 | 501)
}
