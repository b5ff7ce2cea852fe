//! The dialogue with one client: RTSP requests in, replies out.
//!
//! One stream per connection. Spec: RFC 2326 §10, §12. Knows nothing of: sockets, cameras, access.

use super::{
    description::{Description, TRACKS, VIDEO_TYPE, audio_type},
    packetizer::Packetizer,
};
use crate::rtsp::message::Message;
use std::fmt::Write as _;

/// The state of one client's session.
#[derive(Debug)]
pub struct Session {
    /// Gives the session its name and the tracks their random numbers.
    seed: u64,
    /// The tracks that are set up: video, sound.
    pub tracks: [Option<Packetizer>; 2],
    pub is_playing: bool,
}

/// How packets reach a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// On the RTSP connection: RTP on this channel, RTCP on the next.
    Interleaved(u8),
    /// Over UDP, to these ports of the client: RTP and RTCP.
    Datagrams(u16, u16),
}

/// The target of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    pub camera: &'a str,
    /// The smaller stream, `live_url`.
    pub is_small: bool,
    pub track: Option<usize>,
}

/// A status with its reason phrase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status(pub u16, pub String);

impl Status {
    pub fn new(code: u16, reason: &str) -> Status {
        // A control character could end the line.
        Status(code, reason.chars().filter(|it| !it.is_control()).collect())
    }
}

impl<'a> Place<'a> {
    /// Parses `rtsp://board:8554/yard` and `…/yard/live`, each with or without `/track1`. Some
    /// clients ignore `Content-Base` and write the track after a query: `…/yard?x=1/track1`.
    pub fn of(uri: &'a str) -> Option<Place<'a>> {
        let path = match uri.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => uri,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let behind = query.rsplit('/').next().filter(|it| TRACKS.contains(it));
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let mut segments = segments.chain(behind);
        let mut place = Place { camera: segments.next()?, is_small: false, track: None };
        for segment in segments {
            match (segment, TRACKS.iter().position(|track| *track == segment)) {
                ("live", _) if place.track.is_none() => place.is_small = true,
                (_, Some(track)) if place.track.is_none() => place.track = Some(track),
                _ => return None,
            }
        }
        Some(place)
    }
}

impl Session {
    /// `seed` must be random.
    pub fn new(seed: u64) -> Session {
        Session { seed, tracks: [None, None], is_playing: false }
    }

    fn id(&self) -> String {
        format!("{:016x}", self.seed)
    }

    /// Checks that a request names this session, or none.
    ///
    /// # Errors
    /// The request names another session.
    pub fn check(&self, message: &Message<'_>) -> Result<(), Status> {
        let named = message.field("Session").and_then(|it| it.split(';').next());
        match named.map(str::trim) {
            Some(id) if id != self.id() => Err(Status::new(454, "Session Not Found")),
            _ => Ok(()),
        }
    }

    /// The reply to a DESCRIBE of `uri`.
    pub fn describe(&self, message: &Message<'_>, uri: &str, description: &Description) -> String {
        let sdp = description.sdp(self.seed >> 1);
        let base = base_of(uri);
        let fields = format!(
            "Content-Base: {base}/\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n",
            sdp.len()
        );
        let mut reply = reply(message, &Status::new(200, "OK"), &fields);
        reply.push_str(&sdp);
        reply
    }

    /// The first transport offered by the client that we support, on channels that no other track
    /// has: some clients ask for the same ones each time, and the reply tells them others.
    ///
    /// # Errors
    /// None is supported, or the session plays already.
    pub fn delivery(&self, message: &Message<'_>, track: usize) -> Result<Delivery, Status> {
        if self.is_playing {
            return Err(Status::new(455, "Method Not Valid in This State"));
        }
        let field = message.field("Transport").unwrap_or_default();
        let way = field.split(',').find_map(|way| delivery(way, track));
        let way = way.ok_or_else(|| Status::new(461, "Unsupported Transport"))?;
        let other = self.tracks.get(1 - track).and_then(Option::as_ref);
        Ok(match (way, other) {
            (Delivery::Interleaved(asked), Some(other)) if asked.abs_diff(other.channel) < 2 => {
                Delivery::Interleaved(if other.channel < 2 { other.channel + 2 } else { 0 })
            }
            _ => way,
        })
    }

    /// Sets up a track and returns the reply; `ports` are ours, if it is delivered over UDP.
    pub fn set_up(
        &mut self,
        message: &Message<'_>,
        track: usize,
        description: &Description,
        delivery: Delivery,
        ports: Option<(u16, u16)>,
    ) -> String {
        let kind = match (&description.audio, track) {
            (Some(audio), 1) => audio_type(audio),
            _ => VIDEO_TYPE,
        };
        let channel = match delivery {
            Delivery::Interleaved(channel) => channel,
            // Tells the tracks apart on the way to their ports.
            Delivery::Datagrams(..) => 2 * u8::from(track == 1),
        };
        let seed = self.seed.rotate_left(if track == 0 { 13 } else { 41 });
        let packetizer = Packetizer::new(channel, kind, seed);
        let mut fields = String::from("Transport: RTP/AVP");
        // Writing to a String cannot fail.
        let _ = match (delivery, ports) {
            (Delivery::Datagrams(rtp, rtcp), Some((our_rtp, our_rtcp))) => {
                write!(fields, ";unicast;client_port={rtp}-{rtcp};server_port={our_rtp}-{our_rtcp}")
            }
            _ => write!(fields, "/TCP;unicast;interleaved={channel}-{}", channel + 1),
        };
        let _ = write!(fields, ";ssrc={:08X}\r\n{}", packetizer.ssrc, self.session_field());
        if let Some(place) = self.tracks.get_mut(track) {
            *place = Some(packetizer);
        }
        reply(message, &Status::new(200, "OK"), &fields)
    }

    /// The reply to a PLAY of `uri`, after which packets may be sent; `times` are those of the
    /// tracks' next packets.
    ///
    /// # Errors
    /// No track is set up.
    pub fn play(
        &mut self,
        message: &Message<'_>,
        uri: &str,
        times: [i64; 2],
    ) -> Result<String, Status> {
        let base = base_of(uri);
        let mut info = String::new();
        for ((track, name), time) in self.tracks.iter().zip(TRACKS).zip(times) {
            let Some(packetizer) = track else { continue };
            let comma = if info.is_empty() { "" } else { "," };
            let (sequence, time) = (packetizer.sequence, packetizer.timestamp(time));
            let _ = write!(info, "{comma}url={base}/{name};seq={sequence};rtptime={time}");
        }
        if info.is_empty() {
            return Err(Status::new(455, "Method Not Valid in This State"));
        }
        self.is_playing = true;
        let session = self.session_field();
        let fields = format!("Range: npt=now-\r\nRTP-Info: {info}\r\n{session}");
        Ok(reply(message, &Status::new(200, "OK"), &fields))
    }

    /// `Session: …\r\n`.
    pub fn session_field(&self) -> String {
        format!("Session: {};timeout={SESSION_TIMEOUT_SECONDS}\r\n", self.id())
    }
}

/// The stream's address in a URI that may name a track, or have a query.
fn base_of(uri: &str) -> &str {
    let base = uri.split('?').next().unwrap_or(uri).trim_end_matches('/');
    let base = TRACKS.iter().find_map(|it| base.strip_suffix(it)).unwrap_or(base);
    base.trim_end_matches('/')
}

/// A reply to a request; `fields` are further header fields, each with its line end.
pub fn reply(message: &Message<'_>, status: &Status, fields: &str) -> String {
    let cseq: String =
        message.field("CSeq").unwrap_or("0").chars().filter(|it| !it.is_control()).collect();
    format!("RTSP/1.0 {} {}\r\nCSeq: {cseq}\r\nServer: smolnvr\r\n{fields}\r\n", status.0, status.1)
}

/// Parses one transport of a Transport field (RFC 2326 §12.39); `None` if we do not support it.
fn delivery(way: &str, track: usize) -> Option<Delivery> {
    let mut words = way.trim().split(';').map(str::trim);
    let protocol = words.next()?;
    let parameter = |name: &str| {
        let mut words = way.split(';').map(str::trim);
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
        let (first, second) = value.split_once('-').unwrap_or((value, ""));
        let first: u16 = first.trim().parse().ok()?;
        Some((first, second.trim().parse().unwrap_or(first.saturating_add(1))))
    };
    if protocol.eq_ignore_ascii_case("RTP/AVP/TCP") {
        let usual = u16::try_from(2 * track).unwrap_or(0);
        let (channel, _) = parameter("interleaved").unwrap_or((usual, usual + 1));
        // RTCP uses the next channel, which must exist too.
        return u8::try_from(channel).ok().filter(|it| *it < 255).map(Delivery::Interleaved);
    }
    let is_udp = ["RTP/AVP", "RTP/AVP/UDP"].iter().any(|it| protocol.eq_ignore_ascii_case(it));
    if !is_udp || words.any(|word| word.eq_ignore_ascii_case("multicast")) {
        return None;
    }
    let (rtp, rtcp) = parameter("client_port")?;
    (rtp > 0 && rtcp > 0).then_some(Delivery::Datagrams(rtp, rtcp))
}

/// The session timeout that clients are told: one that plays over UDP must show a sign of life
/// within it (RFC 2326 §12.37).
const SESSION_TIMEOUT_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{AudioCodec, AudioFormat},
        media::tests::parameter_sets,
    };
    use std::sync::Arc;

    fn ask(text: &str) -> Message<'_> {
        Message::parse(text.as_bytes()).unwrap().unwrap().0
    }

    fn description() -> Description {
        let audio = AudioFormat::g711(AudioCodec::Pcmu, 8000, 1);
        Description {
            label: "Yard\r\nm=evil".to_owned(),
            video: parameter_sets(),
            audio: Some(Arc::new(audio)),
        }
    }

    #[test]
    fn addresses_name_a_camera_its_smaller_stream_and_tracks() {
        let place = |camera, is_small, track| Some(Place { camera, is_small, track });
        for (uri, wanted) in [
            ("rtsp://board:8554/yard", place("yard", false, None)),
            ("rtsp://board:8554/yard/?x=1", place("yard", false, None)),
            ("rtsp://board/yard/track2", place("yard", false, Some(1))),
            ("rtsp://board/yard/live/track1", place("yard", true, Some(0))),
            ("rtsp://board/yard?x=1/track1", place("yard", false, Some(0))),
            ("rtsp://board/yard/live?x=1&y=2/track2", place("yard", true, Some(1))),
            ("rtsp://board/yard?x=/live", place("yard", false, None)),
            ("/yard/live", place("yard", true, None)),
            ("rtsp://board/yard/other", None),
            ("rtsp://board/yard/track1/track1", None),
            ("rtsp://board", None),
            ("*", place("*", false, None)),
        ] {
            assert_eq!(Place::of(uri), wanted, "{uri}");
        }
    }

    #[test]
    fn transports_are_parsed_as_clients_write_them() {
        for (field, wanted) in [
            ("RTP/AVP/TCP;unicast;interleaved=0-1", Some(Delivery::Interleaved(0))),
            ("RTP/AVP/TCP;interleaved=6-7", Some(Delivery::Interleaved(6))),
            ("RTP/AVP/TCP;unicast", Some(Delivery::Interleaved(2))),
            ("rtp/avp;unicast;client_port=5000-5001", Some(Delivery::Datagrams(5000, 5001))),
            ("RTP/AVP/UDP;unicast;client_port=5000", Some(Delivery::Datagrams(5000, 5001))),
            ("RTP/AVP;multicast,RTP/AVP/TCP;interleaved=2-3", Some(Delivery::Interleaved(2))),
            ("RTP/AVP;multicast;client_port=5000-5001", None),
            ("RTP/AVP/TCP;interleaved=255-256", None),
            ("RTP/AVP/TCP;interleaved=70000-1", Some(Delivery::Interleaved(2))),
            ("RTP/AVP;unicast;client_port=0-1", None),
            ("RTP/SAVP;client_port=1-2", None),
            ("", None),
        ] {
            let text = format!("SETUP rtsp://b/yard RTSP/1.0\r\nTransport: {field}\r\n\r\n");
            let found = Session::new(1).delivery(&ask(&text), 1);
            assert_eq!(found.ok(), wanted, "{field}");
        }
    }

    /// mediamtx#402, gortsplib#72: which channels a client asks for is its own affair.
    #[test]
    fn tracks_that_ask_for_the_same_channels_get_channels_of_their_own() {
        for (asked, wanted) in
            [(["0-1", "0-1"], 2), (["0-1", "1-2"], 2), (["1-2", "2-3"], 3), (["5-6", "4-5"], 0)]
        {
            let mut session = Session::new(1);
            for (track, channels) in asked.into_iter().enumerate() {
                let text = format!(
                    "SETUP rtsp://b/yard RTSP/1.0\r\nTransport: RTP/AVP/TCP;interleaved={channels}\r\n\r\n"
                );
                let way = session.delivery(&ask(&text), track).unwrap();
                if track == 1 {
                    assert_eq!(way, Delivery::Interleaved(wanted), "{asked:?}");
                }
                let reply = session.set_up(&ask(&text), track, &description(), way, None);
                let Delivery::Interleaved(channel) = way else { panic!() };
                assert!(reply.contains(&format!(";interleaved={channel}-")), "{reply}");
            }
        }
    }

    #[test]
    fn a_dialogue_from_describe_to_play() {
        let mut session = Session::new(0x0123_4567_89ab_cdef);
        let uri = "rtsp://b:8554/yard";
        let text = session.describe(
            &ask("DESCRIBE rtsp://b:8554/yard RTSP/1.0\r\nCSeq: 2\r\n\r\n"),
            uri,
            &description(),
        );
        assert!(text.starts_with("RTSP/1.0 200 OK\r\nCSeq: 2\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Base: rtsp://b:8554/yard/\r\n"), "{text}");
        assert!(text.contains("\r\ns=Yardm=evil\r\n"), "{text}");
        assert!(text.contains("m=audio 0 RTP/AVP 0\r\n"), "{text}");

        let ask_play = ask("PLAY rtsp://b:8554/yard/ RTSP/1.0\r\nCSeq: 3\r\n\r\n");
        assert_eq!(session.play(&ask_play, uri, [0, 0]).unwrap_err().0, 455);
        let ask_set_up = ask("SETUP rtsp://b:8554/yard/track1 RTSP/1.0\r\nCSeq: 3\r\n\r\n");
        let way = Delivery::Datagrams(5000, 5001);
        let text = session.set_up(&ask_set_up, 0, &description(), way, Some((6970, 6971)));
        assert!(text.contains("client_port=5000-5001;server_port=6970-6971;ssrc="), "{text}");
        assert!(text.contains("Session: 0123456789abcdef;timeout=60\r\n"), "{text}");
        let mut play = |time| session.play(&ask_play, "rtsp://b:8554/yard/", [time, 0]).unwrap();
        let (text, again) = (play(0), play(90_000));
        assert!(text.contains("RTP-Info: url=rtsp://b:8554/yard/track1;seq="), "{text}");
        let time_of = |text: &str| -> u32 {
            let (_, time) = text.split_once("rtptime=").unwrap();
            time.split("\r\n").next().unwrap().parse().unwrap()
        };
        assert_eq!(time_of(&again) - time_of(&text), 90_000, "a PLAY as a sign of life");
        assert!(session.is_playing);
        assert_eq!(session.delivery(&ask_set_up, 0).unwrap_err().0, 455);

        let other = "TEARDOWN rtsp://b/yard RTSP/1.0\r\nSession: 1;timeout=60\r\n\r\n";
        assert_eq!(session.check(&ask(other)).unwrap_err().0, 454);
        let same = other.replace(": 1;", ": 0123456789abcdef;");
        assert_eq!(session.check(&ask(&same)), Ok(()));
    }
}
