//! Connections: one client's requests in, replies out, and its session.
//!
//! Spec: RFC 2326 §10 (methods), §12.37, §12.39. A session ends with its connection.

use std::io::{self, BufReader};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Incoming, MessageError, Reply, Request, Status};
use crate::metadata::{self, Setup};
use crate::quirks::{Quirk, Quirks};
use crate::sdp::TRACK;
use crate::server::Shared;
use crate::session::{Player, Sender, ssrc};
use crate::sound;
use crate::statistics::{self, SessionState, TransportKind};
use crate::stream::{Stream, Timeout, Transports};
use crate::transport::{Transport, Writer};

/// The state of one connection.
pub(crate) struct Connection {
    camera: Arc<Shared>,
    writer: Arc<Writer>,
    peer: IpAddr,
    nonce: String,
    session: Option<Session>,
    /// When the last request came.
    last_request: Instant,
    /// Number of requests that needed a password.
    requests: u64,
}

struct Session {
    id: String,
    stream: Arc<Stream>,
    statistics: statistics::Session,
    /// The transport of its sound, if the client set it up.
    sound: Option<Transport>,
    metadata: Option<Transport>,
    state: State,
}

enum State {
    Ready(Transport),
    Playing {
        _until_dropped: Player,
    },
    /// Only during the change from ready to playing.
    Starting,
}

/// A refusal, or a reply.
type Answer = Result<Reply, Status>;

impl Connection {
    /// Serves a client until it disconnects.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn serve(camera: Arc<Shared>, stream: TcpStream, nonce: String) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?.ip();
        let writer = Arc::new(Writer::new(stream.try_clone()?)?);
        let (session, last_request) = (None, Instant::now());
        let mut connection =
            Connection { camera, writer, peer, nonce, session, last_request, requests: 0 };
        let mut input = BufReader::new(stream);
        let result = connection.requests(&mut input);
        connection.end_session(SessionState::Disconnected);
        result
    }

    fn requests(&mut self, input: &mut BufReader<TcpStream>) -> io::Result<()> {
        loop {
            let patience = self.patience();
            if patience.is_some_and(|patience| patience.is_zero()) {
                self.writer.close();
                return Ok(());
            }
            input.get_ref().set_read_timeout(patience)?;
            match Incoming::read(input) {
                Ok(None) => return Ok(()),
                Ok(Some(Incoming::Interleaved { bytes, .. })) => self.hear(&bytes),
                Ok(Some(Incoming::Request(request))) => {
                    self.last_request = Instant::now();
                    let quirks = self.quirks(&request);
                    if request.method == "GET_PARAMETER" && quirks.has(Quirk::DropOnGetParameter) {
                        self.writer.close();
                        return Ok(());
                    }
                    if self.is_ignored(&request) {
                        continue;
                    }
                    let reply = quirks.reply(&request.method, self.answer(&request, &quirks));
                    self.writer.reply(&reply.to_bytes())?;
                    if reply.status == Status::Unauthorized
                        && quirks.has(Quirk::CloseBehindChallenge)
                    {
                        self.writer.close();
                        return Ok(());
                    }
                    if request.method == "PLAY" && reply.status == Status::Ok {
                        self.start_player()?;
                    }
                }
                Err(MessageError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(MessageError::Io(error)) => return Err(error),
                Err(MessageError::Malformed) => {
                    self.writer.reply(&Reply::new(Status::BadRequest, None).to_bytes())?;
                    self.writer.close();
                    return Ok(());
                }
            }
        }
    }

    /// How long to wait for the next request.
    fn patience(&self) -> Option<Duration> {
        let options = &self.session.as_ref()?.stream.options;
        let timeout = Duration::from_secs(options.session_timeout_seconds.into());
        let is_enforced = options.timeout == Timeout::Enforced;
        is_enforced.then(|| timeout.saturating_sub(self.last_request.elapsed()))
    }

    /// Takes the client's RTCP, received over TCP.
    fn hear(&self, packet: &[u8]) {
        if let Some(session) = &self.session {
            let number = session.statistics.number;
            self.camera.board.update(number, |statistics| statistics.hear(packet));
        }
    }

    /// The quirks of the requested stream.
    fn quirks(&self, request: &Request) -> Quirks {
        let name = request.path().split('/').next().unwrap_or_default();
        self.camera.stream(name).map(|stream| stream.options.quirks.clone()).unwrap_or_default()
    }

    /// Whether it is the SETUP of a metadata track that this camera ignores.
    fn is_ignored(&self, request: &Request) -> bool {
        let path = request.path();
        let name = path.strip_suffix(metadata::TRACK).and_then(|it| it.strip_suffix('/'));
        let stream = name.and_then(|name| self.camera.stream(name));
        let track = stream.and_then(|it| it.options.metadata.as_ref());
        request.method == "SETUP" && track.is_some_and(|it| it.setup == Setup::Ignore)
    }

    fn answer(&mut self, request: &Request, quirks: &Quirks) -> Reply {
        let cseq = request.header("CSeq");
        match self.dispatch(request, quirks) {
            Ok(reply) => reply,
            Err(Status::Unauthorized) => {
                let auth = self.camera.auth.as_ref();
                let challenge = auth.map(|auth| auth.challenge(&self.nonce)).unwrap_or_default();
                let mut reply = Reply::new(Status::Unauthorized, cseq);
                if quirks.has(Quirk::SeveralChallenges) {
                    reply = reply.header("WWW-Authenticate", "Basic realm=\"test camera\"");
                }
                reply.header("WWW-Authenticate", &challenge)
            }
            Err(status) => Reply::new(status, cseq),
        }
    }

    fn dispatch(&mut self, request: &Request, quirks: &Quirks) -> Answer {
        let ok = Reply::new(Status::Ok, request.header("CSeq"));
        if request.header("CSeq").is_none() {
            return Err(Status::BadRequest);
        }
        if request.method != "OPTIONS" {
            self.check_access(request)?;
        }
        match request.method.as_str() {
            "OPTIONS" if quirks.has(Quirk::NoOptions) => Err(Status::NotFound),
            "OPTIONS" => {
                self.count_keepalive();
                Ok(ok.header("Public", METHODS))
            }
            "DESCRIBE" => {
                let stream = self.camera.stream(request.path()).ok_or(Status::NotFound)?;
                if let Some(elsewhere) = &stream.options.redirect {
                    let found = Reply::new(Status::Found, request.header("CSeq"));
                    return Ok(found.header("Location", elsewhere));
                }
                let base = format!("{}/", request.uri.trim_end_matches('/'));
                Ok(ok.header("Content-Base", &base).body("application/sdp", stream.sdp.clone()))
            }
            "SETUP" => self.setup(request, ok),
            "PLAY" => self.play(request, ok),
            "GET_PARAMETER" if quirks.has(Quirk::NoGetParameter) => Err(Status::SessionNotFound),
            "GET_PARAMETER" | "SET_PARAMETER" => {
                if request.header("Session").is_some() {
                    self.session(request)?;
                }
                self.count_keepalive();
                Ok(ok)
            }
            "TEARDOWN" => {
                self.session(request)?;
                self.end_session(SessionState::TornDown);
                Ok(ok)
            }
            _ => Err(Status::NotImplemented),
        }
    }

    fn check_access(&mut self, request: &Request) -> Result<(), Status> {
        let Some(auth) = &self.camera.auth else { return Ok(()) };
        let name = request.path().split('/').next().unwrap_or_default();
        let every = self.camera.stream(name).and_then(|it| it.options.renew_nonce_every);
        if self.quirks(request).has(Quirk::CloseBehindChallenge) {
            self.nonce = "0123456789abcdef".repeat(2);
        }
        self.requests += 1;
        if every.is_some_and(|every| self.requests.is_multiple_of(every)) {
            self.nonce = format!("{}{}", &self.nonce[..NONCE_DIGITS], self.requests);
        }
        let answer = request.header("Authorization");
        if auth.accepts(&self.nonce, &request.method, &request.uri, answer) {
            Ok(())
        } else {
            Err(Status::Unauthorized)
        }
    }

    fn setup(&mut self, request: &Request, ok: Reply) -> Answer {
        let path = request.path();
        if let Some((name, track @ (sound::TRACK | metadata::TRACK))) = path.rsplit_once('/') {
            return self.setup_further(name, track, request, ok);
        }
        let Some((name, TRACK)) = path.rsplit_once('/') else {
            let known = self.camera.stream(path).is_some();
            return Err(if known { Status::AggregateNotAllowed } else { Status::NotFound });
        };
        let stream = self.camera.stream(name).ok_or(Status::NotFound)?.clone();
        if request.header("Session").is_some()
            && matches!(self.session(request)?.state, State::Playing { .. })
        {
            return Err(Status::NotValidInState);
        }
        let wanted = request.header("Transport").ok_or(Status::UnsupportedTransport)?;
        let (transport, mut line) = self
            .transport(wanted, stream.options.transports, &stream.options.quirks)
            .ok_or(Status::UnsupportedTransport)?;

        self.end_session(SessionState::Disconnected);
        let statistics = self.camera.enter(&stream, kind(&transport));
        line.push_str(&format!(";ssrc={:08X}", ssrc(statistics.number)));
        let id = format!("{:08X}{}", ssrc(!statistics.number), &self.nonce[..8]);
        let header = format!("{id};timeout={}", stream.options.session_timeout_seconds);
        self.session = Some(Session {
            id,
            stream,
            statistics,
            sound: None,
            metadata: None,
            state: State::Ready(transport),
        });
        Ok(ok.header("Transport", &line).header("Session", &header))
    }

    /// Sets up a further track of the existing session.
    fn setup_further(&mut self, name: &str, track: &str, request: &Request, ok: Reply) -> Answer {
        let stream = self.camera.stream(name).ok_or(Status::NotFound)?.clone();
        let options = &stream.options;
        let is_sound = track == sound::TRACK;
        let setup = match is_sound {
            true => options.sound.as_ref().map(|it| match it.is_refused {
                true => Setup::Refuse,
                false => Setup::Accept,
            }),
            false => options.metadata.as_ref().map(|it| it.setup),
        };
        match setup.ok_or(Status::NotFound)? {
            Setup::Accept | Setup::Ignore => {}
            Setup::Refuse => return Err(Status::NotValidInState),
            Setup::Close => self.writer.close(),
        }
        let wanted = request.header("Transport").ok_or(Status::UnsupportedTransport)?;
        let (transport, line) = self
            .transport(wanted, stream.options.transports, &stream.options.quirks)
            .ok_or(Status::UnsupportedTransport)?;
        let session = self.session(request)?;
        let place = if is_sound { &mut session.sound } else { &mut session.metadata };
        *place = Some(transport);
        let id = session.id.clone();
        Ok(ok.header("Transport", &line).header("Session", &id))
    }

    /// The first transport on the client's list that this stream offers, and the reply's header.
    fn transport(
        &self,
        wanted: &str,
        offered: Transports,
        quirks: &Quirks,
    ) -> Option<(Transport, String)> {
        wanted.split(',').find_map(|entry| {
            let mut parameters = entry.split(';').map(str::trim);
            let protocol = parameters.next()?.to_ascii_uppercase();
            let parameters: Vec<&str> = parameters.collect();
            let pair = |name| {
                let value = parameters.iter().find_map(|entry| entry.strip_prefix(name))?;
                let (first, second) = value.split_once('-').unwrap_or((value, ""));
                let first: u16 = first.parse().ok()?;
                Some((first, second.parse().ok().or(first.checked_add(1))?))
            };
            match protocol.as_str() {
                "RTP/AVP/TCP" if offered != Transports::Udp => {
                    let (rtp, rtcp): (u16, u16) = if quirks.has(Quirk::OtherChannels) {
                        (6, 7)
                    } else {
                        pair("interleaved=").unwrap_or((0, 1))
                    };
                    let (rtp_channel, rtcp_channel) = (rtp.try_into().ok()?, rtcp.try_into().ok()?);
                    let (rtp, rtcp) = match quirks.has(Quirk::UntrueChannels) {
                        true => (6, 7),
                        false => (rtp, rtcp),
                    };
                    let line = format!("RTP/AVP/TCP;unicast;interleaved={rtp}-{rtcp}");
                    let writer = self.writer.clone();
                    Some((Transport::Tcp { writer, rtp_channel, rtcp_channel }, line))
                }
                "RTP/AVP" | "RTP/AVP/UDP"
                    if offered != Transports::Tcp && !parameters.contains(&"multicast") =>
                {
                    let (rtp, rtcp) = pair("client_port=")?;
                    let to = |port| SocketAddr::new(self.peer, port);
                    let transport = Transport::udp(to(rtp), to(rtcp)).ok()?;
                    let port = transport.server_port()?;
                    let ports = format!("client_port={rtp}-{rtcp};server_port={port}-{}", port + 1);
                    Some((transport, format!("{protocol};unicast;{ports}")))
                }
                _ => None,
            }
        })
    }

    fn play(&mut self, request: &Request, ok: Reply) -> Answer {
        let session = self.session(request)?;
        let name = request.path();
        let name = name.strip_suffix(TRACK).map_or(name, |name| name.trim_end_matches('/'));
        if name != session.stream.name {
            return Err(Status::NotFound);
        }
        let reply = ok.header("Session", &session.id);
        if matches!(session.state, State::Playing { .. }) {
            return Ok(reply);
        }
        let base = request.uri.trim_end_matches('/').trim_end_matches(TRACK);
        let info = format!(
            "url={}/{TRACK};seq={};rtptime={}",
            base.trim_end_matches('/'),
            session.statistics.first_sequence,
            session.statistics.first_timestamp
        );
        Ok(reply.header("Range", "npt=0.000-").header("RTP-Info", &info))
    }

    /// Called after the reply to PLAY is sent, so that no packet precedes it.
    fn start_player(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        session.state = match std::mem::replace(&mut session.state, State::Starting) {
            State::Ready(transport) => {
                let (statistics, stream) = (session.statistics.clone(), session.stream.clone());
                let board = self.camera.board.clone();
                let (sound, metadata) = (session.sound.take(), session.metadata.take());
                let sender = Sender::new(statistics, stream, transport, self.writer.clone(), board);
                let sender = sender.with_sound(sound).with_metadata(metadata);
                State::Playing { _until_dropped: Player::start(sender)? }
            }
            other => other,
        };
        Ok(())
    }

    /// The session that the request names.
    fn session(&mut self, request: &Request) -> Result<&mut Session, Status> {
        let named = request.header("Session").map(|value| value.split(';').next().unwrap_or(""));
        let session = self.session.as_mut().filter(|session| named == Some(session.id.as_str()));
        session.ok_or(Status::SessionNotFound)
    }

    fn end_session(&mut self, state: SessionState) {
        let Some(session) = self.session.take() else { return };
        drop(session.state); // its thread has ended after this line
        self.camera.board.update(session.statistics.number, |statistics| statistics.state = state);
    }

    fn count_keepalive(&self) {
        if let Some(session) = &self.session {
            let number = session.statistics.number;
            self.camera.board.update(number, |statistics| statistics.keepalives += 1);
        }
    }
}

fn kind(transport: &Transport) -> TransportKind {
    match transport {
        Transport::Tcp { .. } => TransportKind::Tcp,
        Transport::Udp { .. } => TransportKind::Udp,
    }
}

/// Length of a nonce until it is renewed.
const NONCE_DIGITS: usize = 32;
const METHODS: &str = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, SET_PARAMETER, TEARDOWN";
