//! One connection: reads requests, writes replies and packets, until either side ends it.

use super::{
    description::Description,
    playback::{Changed, Playback},
    seats::Seat,
    session::{Delivery, Place, Session, Status, reply},
};
use crate::{
    camera::{State, port_pair},
    daemon::Watching,
    limits,
    rtsp::message::{Message, StartLine},
    runtime,
    web::{
        self, MediaPlace, Web,
        access::{Pass, Who, secret},
        bound,
    },
};
use std::{
    io,
    net::{IpAddr, UdpSocket},
    rc::Rc,
    time::Instant,
};

/// One client, and what it has requested so far.
pub(super) struct Client {
    web: Rc<Web>,
    seat: Rc<Seat>,
    local: IpAddr,
    session: Session,
    /// Bytes received that do not form a whole request yet.
    input: Vec<u8>,
    /// The pass that admitted its last request.
    pass: Option<Pass>,
    stream: Option<Stream>,
    /// RTP and RTCP ports of ours, by track.
    ports: [Option<(UdpSocket, UdpSocket)>; 2],
    /// When it last showed a sign of life.
    heard: Instant,
}

/// The stream that a client described or plays.
struct Stream {
    /// The camera's name, and whether it is the smaller stream.
    name: (String, bool),
    watching: Watching,
    description: Description,
    playback: Playback,
    /// `Some` while it plays.
    place: Option<MediaPlace>,
}

/// How a connection ends.
enum End {
    /// The client or this side ended it.
    Done,
    Failed(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Failed(error)
    }
}

impl Client {
    pub fn new(web: Rc<Web>, seat: Rc<Seat>) -> io::Result<Client> {
        bound(seat.socket.get_ref());
        let local = seat.socket.get_ref().local_addr()?.ip();
        // Without randomness, session numbers repeat, which does no harm.
        let [a, b, c, d, e, f, g, h, ..] = secret::random().unwrap_or_default();
        Ok(Client {
            web,
            seat,
            local,
            session: Session::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            input: Vec::new(),
            pass: None,
            stream: None,
            ports: [None, None],
            heard: runtime::now(),
        })
    }

    pub async fn serve(mut self) {
        match self.run().await {
            Ok(()) | Err(End::Done) => {}
            Err(End::Failed(error)) => log::debug!("rtsp: {}: {error}", self.seat.peer),
        }
    }

    async fn run(&mut self) -> Result<(), End> {
        let mut out = Vec::new();
        while !self.is_over() {
            self.read()?;
            while let Some(length) = self.next_request()? {
                let request: Vec<u8> = self.input.drain(..length).collect();
                if let Ok(Some((message, _))) = Message::parse(&request) {
                    self.handle(&message).await?;
                }
            }
            self.write_packets(&mut out)?;
            if out.is_empty() {
                self.wait().await?;
                continue;
            }
            self.send(&out).await?;
            out.clear();
            out.shrink_to(limits::LIVE_BUFFER_BYTES_KEPT);
        }
        Ok(())
    }

    /// Whether the client's right to watch, the client itself or the daemon has ended.
    fn is_over(&self) -> bool {
        let is_silent = |limit| runtime::now().saturating_duration_since(self.heard) >= limit;
        let is_lost = match (self.session.is_playing, self.plays_by_datagrams()) {
            (false, _) => is_silent(limits::RELAY_IDLE_TIMEOUT),
            (true, true) => is_silent(limits::RELAY_LIFE_TIMEOUT),
            // Its connection ends when the client does.
            (true, false) => false,
        };
        let is_off = self.stream.as_ref().is_some_and(|it| it.watching.state() == State::Off);
        let has_no_right = self.pass.as_ref().is_some_and(Pass::is_over);
        is_lost || is_off || has_no_right || self.web.daemon.is_ending()
    }

    fn plays_by_datagrams(&self) -> bool {
        self.ports.iter().any(Option::is_some)
    }

    /// Reads what has arrived, without waiting.
    fn read(&mut self) -> Result<(), End> {
        let mut buffer = [0; 2048];
        while self.seat.socket.is_readable() {
            match self.seat.socket.read_now(&mut buffer) {
                Ok(0) => return Err(End::Done),
                Ok(count) => {
                    // Before it plays, only admitted requests count as signs of life.
                    if self.session.is_playing {
                        self.heard = runtime::now();
                    }
                    self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if self.input.len() > REQUEST_BYTES_MAX || count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The length of the request at the front of the input. The client's RTCP reports are skipped.
    fn next_request(&mut self) -> Result<Option<usize>, End> {
        loop {
            match self.input.as_slice() {
                [b'$', _, a, b, ..] => {
                    let length = 4 + usize::from(u16::from_be_bytes([*a, *b]));
                    // Reports are short, and a stranger must not claim memory for more.
                    if length > REQUEST_BYTES_MAX {
                        return Err(End::Done);
                    }
                    if self.input.len() < length {
                        break;
                    }
                    self.input.drain(..length);
                }
                // Some clients send empty lines between requests.
                [b'\r' | b'\n', ..] => {
                    let is_blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
                    let blank = self.input.iter().take_while(is_blank).count();
                    self.input.drain(..blank);
                }
                _ => break,
            }
        }
        if self.input.first().is_none_or(|byte| *byte == b'$') {
            return Ok(None);
        }
        match Message::parse(&self.input) {
            Ok(Some((_, length))) => Ok(Some(length)),
            Ok(None) if self.input.len() <= REQUEST_BYTES_MAX => Ok(None),
            _ => Err(End::Done),
        }
    }

    async fn handle(&mut self, message: &Message<'_>) -> Result<(), End> {
        // We send clients no requests, so a reply from one has no meaning.
        let StartLine::Request { method, uri } = message.start else { return Ok(()) };
        let text = match self.answer(message, method, uri).await {
            Ok(text) => text,
            Err(status) => {
                let challenge = match status.0 {
                    401 => "WWW-Authenticate: Basic realm=\"smolnvr\"\r\n",
                    _ => "",
                };
                reply(message, &status, challenge)
            }
        };
        self.write_all(text.as_bytes()).await?;
        if method == "TEARDOWN" { Err(End::Done) } else { Ok(()) }
    }

    async fn answer(
        &mut self,
        message: &Message<'_>,
        method: &str,
        uri: &str,
    ) -> Result<String, Status> {
        let ok = Status::new(200, "OK");
        if method == "OPTIONS" {
            return Ok(reply(message, &ok, PUBLIC));
        }
        self.session.check(message)?;
        let authorization = message.field("Authorization");
        let pass = self.web.admit_player(authorization, self.seat.peer, &*self.seat).await;
        let has_password = pass.as_ref().is_ok_and(|pass| pass.who.is_owner());
        self.seat.keeps.set(has_password || self.session.is_playing);
        self.pass = Some(pass.map_err(|it| Status::new(it.status(), &it.to_string()))?);
        self.heard = runtime::now();
        match method {
            "DESCRIBE" => {
                self.find(uri).await?;
                let stream = self.stream.as_ref().ok_or_else(not_found)?;
                Ok(self.session.describe(message, uri, &stream.description))
            }
            "SETUP" => self.set_up(message, uri).await,
            "PLAY" => self.play(message, uri),
            "TEARDOWN" => Ok(reply(message, &ok, "")),
            "GET_PARAMETER" | "SET_PARAMETER" => {
                Ok(reply(message, &ok, &self.session.session_field()))
            }
            // A live stream cannot pause.
            _ => Err(Status::new(501, "Not Implemented")),
        }
    }

    /// Finds the stream of an address, and waits until its contents are known.
    async fn find(&mut self, uri: &str) -> Result<(), Status> {
        let place = Place::of(uri).ok_or_else(not_found)?;
        let name = (place.camera.to_owned(), place.is_small);
        if self.stream.as_ref().is_some_and(|stream| stream.name == name) {
            return Ok(());
        }
        if self.session.tracks.iter().any(Option::is_some) {
            return Err(Status::new(459, "Aggregate Operation Not Allowed"));
        }
        let station = self.web.station(place.camera).ok_or_else(not_found)?;
        if place.is_small && !station.has_live_stream() {
            return Err(Status::new(404, "This camera has no live_url"));
        }
        if let Some(reason) = station.no_live() {
            return Err(Status::new(503, reason));
        }
        let watching = if place.is_small { station.watch() } else { station.watch_recorded() };
        let label = {
            let config = self.web.daemon.config.borrow();
            let camera = config.camera.iter().find(|it| it.name.as_str() == place.camera);
            camera.map_or_else(|| place.camera.to_owned(), |it| it.label().to_owned())
        };
        let described = runtime::timeout(limits::RELAY_STREAM_TIMEOUT, describe(&watching, &label));
        let Some(description) = described.await else {
            let reason = watching.last_error();
            return Err(Status::new(503, reason.as_deref().unwrap_or("The camera sends nothing")));
        };
        let playback = Playback::new(description.video.codec(), description.audio.clone());
        self.stream = Some(Stream { name, watching, description, playback, place: None });
        Ok(())
    }

    async fn set_up(&mut self, message: &Message<'_>, uri: &str) -> Result<String, Status> {
        self.find(uri).await?;
        let description = self.stream.as_ref().map(|it| it.description.clone());
        let description = description.ok_or_else(not_found)?;
        let track = Place::of(uri).and_then(|place| place.track);
        // A request without a track means the only track, if there is just one.
        let track = track.or_else(|| (description.tracks() == 1).then_some(0));
        let track = track.filter(|track| *track < description.tracks()).ok_or_else(not_found)?;
        let delivery = self.session.delivery(message, track)?;
        let is_other = |(at, it): (usize, &Option<_>)| at != track && it.is_some();
        let has_other = self.session.tracks.iter().enumerate().any(is_other);
        if has_other && self.plays_by_datagrams() != matches!(delivery, Delivery::Datagrams(..)) {
            return Err(Status::new(461, "Unsupported Transport"));
        }
        let ports = match delivery {
            Delivery::Interleaved(_) => None,
            Delivery::Datagrams(rtp, rtcp) => {
                let sockets = self.bind(rtp, rtcp);
                Some(sockets.map_err(|error| Status::new(500, &error.to_string()))?)
            }
        };
        let numbers = ports.as_ref().map(|(_, numbers)| *numbers);
        if let Some(place) = self.ports.get_mut(track) {
            *place = ports.map(|(sockets, _)| sockets);
        }
        Ok(self.session.set_up(message, track, &description, delivery, numbers))
    }

    /// Opens ports of ours that send to these ports of the client; also returns their numbers.
    fn bind(&self, rtp: u16, rtcp: u16) -> io::Result<((UdpSocket, UdpSocket), (u16, u16))> {
        let (ours, ours_next) = port_pair(self.local)?;
        // Only to the client's own address: otherwise it could flood others.
        ours.connect((self.seat.peer, rtp))?;
        ours_next.connect((self.seat.peer, rtcp))?;
        ours.set_nonblocking(true)?;
        ours_next.set_nonblocking(true)?;
        let numbers = (ours.local_addr()?.port(), ours_next.local_addr()?.port());
        Ok(((ours, ours_next), numbers))
    }

    fn play(&mut self, message: &Message<'_>, uri: &str) -> Result<String, Status> {
        let Some(stream) = &mut self.stream else { return Err(not_found()) };
        if stream.place.is_none() {
            let who = self.pass.as_ref().map_or(Who::Anybody, |pass| pass.who);
            let seat = Rc::clone(&self.seat) as Rc<dyn web::Client>;
            let place = self.web.take_media_place(seat, who, Some(self.seat.peer));
            stream.place = Some(place.ok_or_else(|| Status::new(453, "Not Enough Bandwidth"))?);
        }
        let text = self.session.play(message, uri, stream.playback.next_times())?;
        self.seat.keeps.set(true);
        Ok(text)
    }

    /// Appends the packets of the frames that are ready.
    fn write_packets(&mut self, out: &mut Vec<u8>) -> Result<(), End> {
        // The client has read the previous ones.
        let seat = Rc::clone(&self.seat) as Rc<dyn web::Client>;
        self.web.unread.release(&seat);
        let Some(stream) = self.stream.as_mut().filter(|_| self.session.is_playing) else {
            return Ok(());
        };
        let is_live = stream.watching.state() == State::Live;
        let intake = stream.watching.camera().intake.borrow();
        let tracks = &mut self.session.tracks;
        let admits = |bytes| self.web.unread.admits(&seat, bytes);
        let written = stream.playback.write(&intake, is_live, tracks, admits, out);
        written.map_err(|Changed| End::Done)?;
        if !out.is_empty() {
            // Reports come first, so that the client can align sound and video from the first
            // packets.
            let moment = (runtime::now(), self.web.daemon.clock.now());
            let report = stream.playback.report(&intake, tracks, moment);
            out.splice(..0, report);
        }
        Ok(())
    }

    /// Sends each packet the way its track is delivered.
    async fn send(&mut self, out: &[u8]) -> Result<(), End> {
        if !self.plays_by_datagrams() {
            return self.write_all(out).await;
        }
        let mut rest = out;
        while let [b'$', channel, a, b, ..] = *rest {
            let length = 4 + usize::from(u16::from_be_bytes([a, b]));
            let Some((block, behind)) = rest.split_at_checked(length) else { break };
            rest = behind;
            let packet = block.get(4..).unwrap_or_default();
            let Some(Some((rtp, rtcp))) = self.ports.get(usize::from(channel / 2)) else {
                continue;
            };
            let socket = if channel % 2 == 0 { rtp } else { rtcp };
            match socket.send(packet) {
                // A packet for which the kernel has no room is lost, as on the network.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if runtime::now().saturating_duration_since(self.heard) >= LOOK_INTERVAL {
            self.hear();
        }
        // Lets other tasks, and requests, have their turn.
        smol::future::yield_now().await;
        Ok(())
    }

    /// Takes the RTCP reports of a client that plays over UDP as signs of life.
    fn hear(&mut self) {
        let mut report = [0; 256];
        for (_, rtcp) in self.ports.iter().flatten() {
            if rtcp.recv(&mut report).is_ok() {
                self.heard = runtime::now();
            }
        }
    }

    async fn write_all(&self, mut bytes: &[u8]) -> Result<(), End> {
        while !bytes.is_empty() {
            let written = self.seat.socket.write(bytes);
            let written = runtime::timeout(limits::WEB_WRITE_TIMEOUT, written).await;
            match written.ok_or(End::Done)?? {
                0 => return Err(End::Done),
                count => {
                    self.seat.taken.set(runtime::now());
                    bytes = bytes.get(count..).unwrap_or_default();
                }
            }
        }
        Ok(())
    }

    /// Waits until there is something to do.
    async fn wait(&self) -> Result<(), End> {
        let changed = async {
            match &self.stream {
                Some(stream) if self.session.is_playing => {
                    let changed = stream.watching.changed.changed();
                    match stream.playback.wants_room {
                        true => smol::future::or(self.web.unread.freed.changed(), changed).await,
                        false => changed.await,
                    }
                }
                _ => std::future::pending().await,
            }
        };
        // Wakes up for the daemon's end, a right that ended, or silence.
        let other = smol::future::or(self.web.daemon.changed.changed(), async {
            runtime::sleep(LOOK_INTERVAL).await;
        });
        let readable = async {
            let _ = self.seat.socket.readable().await;
        };
        smol::future::or(readable, smol::future::or(changed, other)).await;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.web.unread.release(&(Rc::clone(&self.seat) as Rc<dyn web::Client>));
    }
}

/// Describes a stream once its first key frame has arrived.
async fn describe(watching: &Watching, label: &str) -> Description {
    let begun = runtime::now();
    let described = watching.changed.until_some(|| {
        let intake = watching.camera().intake.borrow();
        let ring = &intake.ring;
        let key = ring.key_until(ring.numbers().end).filter(|&key| intake.is_current(key))?;
        let (frame, _) = ring.get(key)?;
        let sound = ring.audio.as_ref().and_then(|it| it.newest(frame.run));
        let is_expected = ring.audio.as_ref().is_some_and(|it| it.is_expected);
        let waited = runtime::now().saturating_duration_since(begun);
        let is_all = sound.is_some() || !is_expected || waited >= limits::RELAY_SOUND_TIMEOUT;
        is_all.then(|| Description {
            label: label.to_owned(),
            video: frame.parameter_sets.clone(),
            audio: sound.map(|it| it.format.clone()),
        })
    });
    described.await
}

fn not_found() -> Status {
    Status::new(404, "Not Found")
}

/// A request with its body; those of clients are short.
const REQUEST_BYTES_MAX: usize = limits::HEAD_BYTES_MAX;
const PUBLIC: &str =
    "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER, SET_PARAMETER\r\n";
/// How often a client that gets no packets is checked.
const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);
