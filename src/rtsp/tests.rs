//! Whole dialogues: a script gives the camera's answers and the requests expected.

pub(super) mod cameras;
mod datagrams;
mod descriptions;
mod quirks;
mod refusals;
mod sound;
mod teardown;

use super::*;
use crate::{codec::Codec, limits, units::RtpTime};
use cameras::{H264_ONLY, sdp_of};
use proptest::prelude::*;
use std::time::Duration;

/// The camera's side of a session, and the clock.
struct Camera {
    session: Session,
    now: Instant,
    cseq: u32,
}

/// An output, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Playing,
    Packet(usize, PacketKind, Vec<u8>),
    Closed,
}

const URL: &str = "rtsp://admin:secret@10.0.0.2:8554/live";
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n";

impl Camera {
    fn new(url: &str) -> Camera {
        Camera::with(url, SessionOptions::new(1))
    }

    fn with(url: &str, options: SessionOptions) -> Camera {
        let now = start();
        Camera { session: Session::new(&url.parse().unwrap(), options, now), now, cseq: 0 }
    }

    /// A camera that plays the video track of `sdp` on channels 0 and 1.
    fn playing(public: &str, sdp: &str) -> Camera {
        let mut camera = Camera::new("rtsp://10.0.0.2/live");
        camera.expect("OPTIONS rtsp://10.0.0.2/live RTSP/1.0", &[]);
        camera.reply("200 OK", public, "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("200 OK", "", sdp);
        camera.expect("SETUP", &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]);
        camera.reply("200 OK", "Session: 7;timeout=20\r\n", "");
        camera.expect("PLAY", &["Session: 7"]);
        camera.reply("200 OK", "", "");
        assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
        camera
    }

    fn feed(&mut self, bytes: &[u8]) {
        let space = self.session.space();
        space[..bytes.len()].copy_from_slice(bytes);
        self.session.filled(bytes.len());
    }

    /// Answers the last request.
    fn reply(&mut self, status: &str, fields: &str, body: &str) {
        self.reply_as(&format!("CSeq: {}\r\n", self.cseq), status, fields, body);
    }

    /// Answers it with that number.
    fn reply_as(&mut self, cseq: &str, status: &str, fields: &str, body: &str) {
        let len = body.len();
        self.feed(
            format!("RTSP/1.0 {status}\r\n{cseq}{fields}Content-Length: {len}\r\n\r\n{body}")
                .as_bytes(),
        );
    }

    fn block(&mut self, channel: u8, payload: &[u8]) {
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        self.feed(&[&[b'$', channel], &len[..], payload].concat());
    }

    /// Everything up to the next request or the end, or the error.
    fn outputs(&mut self) -> Result<Vec<Seen>, Error> {
        let mut seen = Vec::new();
        loop {
            match self.session.poll(self.now)? {
                None => return Ok(seen),
                Some(Output::Send(bytes)) => panic!("{}", String::from_utf8_lossy(bytes)),
                Some(Output::Stray { .. }) => {}
                Some(output) => seen.push(owned(&output)),
            }
        }
    }

    /// The next request, complete: it must start like this and contain these lines, and nothing may
    /// precede it.
    fn expect(&mut self, begin: &str, lines: &[&str]) -> String {
        let request = match self.session.poll(self.now) {
            Ok(Some(Output::Send(bytes))) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{begin} was expected, but {other:?}"),
        };
        assert!(request.starts_with(begin), "{begin} was expected, but {request}");
        assert!(request.ends_with("\r\n\r\n"));
        for line in lines {
            assert!(request.lines().any(|it| it == *line), "no {line} in {request}");
        }
        let cseq = request.lines().find_map(|line| line.strip_prefix("CSeq: ")).unwrap();
        self.cseq = cseq.parse().unwrap();
        request
    }

    fn error(&mut self) -> Error {
        let error = self.outputs().unwrap_err();
        assert_eq!(self.outputs(), Ok(vec![]));
        assert_eq!(self.session.deadline(), None);
        assert!(!self.session.space().is_empty());
        let line = format!("{error} {error:?}");
        assert!(!line.contains("secret") && !line.contains('\n'), "{line}");
        error
    }

    /// Lets time pass up to the deadline.
    fn wait(&mut self) -> Result<Duration, Error> {
        let deadline = self.session.deadline().expect("something is awaited");
        let waited = deadline - self.now;
        self.session.handle_timeout(deadline - Duration::from_millis(1)).unwrap();
        assert!(matches!(self.session.poll(self.now), Ok(None)));
        self.now = deadline;
        self.session.handle_timeout(deadline).map(|()| waited)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only way to any Instant; time is made up from it"
)]
fn start() -> Instant {
    Instant::now()
}

fn owned(output: &Output<'_>) -> Seen {
    match output {
        Output::Playing(presentation) => {
            assert!(!presentation.tracks.is_empty());
            Seen::Playing
        }
        Output::Packet { track, kind, bytes } => Seen::Packet(*track, *kind, bytes.to_vec()),
        Output::Closed => Seen::Closed,
        Output::Send(bytes) => panic!("{}", String::from_utf8_lossy(bytes)),
        Output::Stray { bytes } => panic!("{bytes:02x?}"),
    }
}

/// Up to the request for SETUP, with these fields in the reply to DESCRIBE.
fn described(fields: &str, sdp: &str) -> Camera {
    let mut camera = Camera::new("rtsp://10.0.0.2/live");
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", fields, sdp);
    camera
}

/// Up to the request for PLAY.
fn asked_to_play() -> Camera {
    let mut camera = described("", H264_ONLY);
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
    camera
}

fn rtp(track: usize, payload: &[u8]) -> Seen {
    Seen::Packet(track, PacketKind::Rtp, payload.to_vec())
}

#[test]
fn a_whole_dialogue_from_options_to_teardown() {
    let mut camera = Camera::new(URL);
    let request = camera.expect("OPTIONS rtsp://10.0.0.2:8554/live RTSP/1.0\r\n", &["CSeq: 1"]);
    assert!(request.contains("\r\nUser-Agent: smolnvr/"));
    assert_eq!(camera.outputs(), Ok(vec![]));
    camera.reply("200 OK", "Public: OPTIONS, DESCRIBE, GET_PARAMETER\r\n", "");
    camera.expect("DESCRIBE rtsp://10.0.0.2:8554/live RTSP/1.0\r\n", &["Accept: application/sdp"]);
    camera.reply("200 OK", "Content-Base: rtsp://10.0.0.2/live/\r\n", &sdp_of("reolink_rlc_410"));
    let control = "rtsp://10.0.0.2/live/trackID=1";
    camera.expect(
        &format!("SETUP {control} RTSP/1.0\r\n"),
        &["CSeq: 3", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"],
    );
    camera.reply(
        "200 OK",
        "Session: F8;timeout=30\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0000000a\r\n",
        "",
    );
    camera.expect("PLAY rtsp://10.0.0.2/live/ RTSP/1.0\r\n", &["Session: F8", "Range: npt=0.000-"]);
    camera.reply("200 OK", "RTP-Info: url=trackID=1;seq=16852;rtptime=1070938629\r\n", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    let [video, audio] = camera.session.tracks() else { panic!() };
    assert_eq!(
        (video.media, video.payload_type, video.clock_rate),
        (Media::Video(Codec::H264), 96, 90_000)
    );
    assert_eq!(video.transport, Some(TrackTransport::Interleaved { rtp: 0, rtcp: 1 }));
    assert_eq!(video.ssrc, Some(10));
    let info = RtpInfo { sequence: Some(16852), time: Some(RtpTime(1_070_938_629)) };
    assert_eq!(video.rtp_info, Some(info));
    assert_eq!((audio.media, audio.encoding.as_str()), (Media::Audio, "MPEG4-GENERIC"));
    assert_eq!(audio.transport, None);

    camera.block(0, b"rtp");
    camera.block(1, b"rtcp");
    let rtcp = Seen::Packet(0, PacketKind::Rtcp, b"rtcp".to_vec());
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"rtp"), rtcp]));

    assert_eq!(camera.wait(), Ok(Duration::from_secs(15)));
    camera.expect("GET_PARAMETER rtsp://10.0.0.2/live/ RTSP/1.0\r\n", &["Session: F8"]);
    camera.block(0, b"between");
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"between")]));
    assert_eq!(camera.wait(), Ok(Duration::from_secs(15)));
    camera.expect("GET_PARAMETER", &["CSeq: 6"]);

    camera.session.teardown(camera.now);
    camera.expect("TEARDOWN rtsp://10.0.0.2/live/ RTSP/1.0\r\n", &["Session: F8", "CSeq: 7"]);
    camera.block(0, b"late");
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Closed]));
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.session.deadline(), None);
    let counters = Counters { dropped_blocks: 1, messages: 6, ..Counters::default() };
    assert_eq!(camera.session.counters(), counters);
}

#[test]
fn every_split_of_the_replies_gives_the_same_dialogue() {
    let replies = "RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n\
        RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 55\r\n\r\n\
        m=video 0 RTP/AVP 96\na=rtpmap:96 H264/9\na=control:t1\n\n\n\
        RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 7\r\n\r\n\
        RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n";
    let bytes = [replies.as_bytes(), b"$\0\0\x04rtp1$\x01\0\x02xy$\x09\0\0$\0\0\x01z"].concat();
    let dialogue = |pieces: &[&[u8]]| {
        let mut camera = Camera::new("rtsp://h/");
        let (mut sent, mut seen) = (Vec::new(), Vec::new());
        for piece in [&[&[][..]], pieces].concat() {
            camera.feed(piece);
            while let Some(output) = camera.session.poll(camera.now).unwrap() {
                match output {
                    Output::Send(bytes) => sent.extend_from_slice(bytes),
                    Output::Stray { .. } => {}
                    output => seen.push(owned(&output)),
                }
            }
        }
        (sent, seen)
    };
    let whole = dialogue(&[&bytes]);
    let rtcp = Seen::Packet(0, PacketKind::Rtcp, b"xy".to_vec());
    assert_eq!(whole.1, [Seen::Playing, rtp(0, b"rtp1"), rtcp, rtp(0, b"z")]);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(dialogue(&[head, tail]), whole, "{at}");
    }
    assert_eq!(dialogue(&bytes.chunks(1).collect::<Vec<_>>()), whole);
}

#[test]
fn a_reply_to_an_older_request_is_ignored() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.feed(b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n");
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.session.counters().ignored_replies, 1);
    camera.reply("200 OK", "", H264_ONLY);
    camera.expect("SETUP", &[]);
}

#[test]
fn a_provisional_reply_is_waited_over() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("100 Continue", "", "");
    assert_eq!(camera.outputs(), Ok(vec![]));
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
}

#[test]
fn requests_of_the_camera_are_answered() {
    let mut camera = Camera::playing("", H264_ONLY);
    for (method, status) in [
        ("OPTIONS", "200 OK"),
        ("SET_PARAMETER", "200 OK"),
        ("ANNOUNCE", "200 OK"),
        ("REDIRECT", "501 Not Implemented"),
    ] {
        camera.feed(
            format!("{method} rtsp://h/ RTSP/1.0\r\nCSeq: 99\r\nContent-Length: 1\r\n\r\nx")
                .as_bytes(),
        );
        camera.expect(&format!("RTSP/1.0 {status}\r\n"), &["CSeq: 99", "Session: 7"]);
        camera.block(0, b"goes on");
        assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"goes on")]));
    }
}

#[test]
fn packets_before_the_answer_to_play_are_kept() {
    let mut camera = asked_to_play();
    camera.block(0, b"key frame");
    camera.reply("200 OK", "RTP-Info: url=trackID=0;seq=5\r\n", "");
    camera.block(0, b"next");
    let seen = vec![Seen::Playing, rtp(0, b"key frame"), rtp(0, b"next")];
    assert_eq!(camera.outputs(), Ok(seen));
    assert_eq!(camera.session.deadline(), Some(camera.now + Duration::from_secs(30)));
    assert!(camera.session.tracks()[0].rtp_info.is_some());
}

#[test]
fn data_before_play_was_asked_for_is_dropped() {
    let mut camera = Camera::new("rtsp://h/");
    camera.expect("OPTIONS", &[]);
    camera.block(0, b"x");
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    assert_eq!(camera.session.counters().dropped_blocks, 1);
}

#[test]
fn play_without_an_answer_is_forgiven_once_packets_come() {
    let mut camera = asked_to_play();
    camera.block(0, b"a");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing, rtp(0, b"a")]));
    assert_eq!(camera.wait(), Ok(limits::REPLY_TIMEOUT));
    assert_eq!(camera.wait(), Ok(Duration::from_secs(30)));
    camera.expect("OPTIONS", &["Session: 7"]);
}

#[test]
fn audio_is_set_up_on_the_next_channels_when_it_is_wanted() {
    let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
    let mut camera = Camera::with("rtsp://h/", options);
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", "", &sdp_of("reolink_rlc_410"));
    camera.expect("SETUP rtsp://h/trackID=1 ", &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect(
        "SETUP rtsp://h/trackID=2 ",
        &["Transport: RTP/AVP/TCP;unicast;interleaved=2-3", "Session: 7"],
    );
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
    camera.reply("200 OK", "", "");
    camera.block(2, b"sound");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing, rtp(1, b"sound")]));
}

#[test]
fn bytes_that_are_not_rtsp_are_named() {
    let mut camera = Camera::new("rtsp://h:80/");
    camera.expect("OPTIONS", &[]);
    camera.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = camera.error();
    assert_eq!(error.to_string(), "this port does not speak RTSP");
    assert_eq!(error.fault(), Fault::Address);
}

#[test]
fn a_message_beyond_its_limits_is_named() {
    let mut camera = Camera::new("rtsp://h/");
    camera.expect("OPTIONS", &[]);
    camera.feed(b"RTSP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\n");
    let line = camera.error().to_string();
    assert_eq!(
        line,
        "broken RTSP message from the camera: its body of 99999 bytes is longer than 16384"
    );
}

/// Pieces of what a camera may send, right or wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("RTSP/1.0 200 OK\r\n"),
        Just("RTSP/1.0 401 Unauthorized\r\n"),
        Just("RTSP/1.0 302 Found\r\n"),
        Just("OPTIONS * RTSP/1.0\r\n"),
        Just("CSeq: 1\r\n"),
        Just("CSeq: 2\r\n"),
        Just("Content-Length: 40\r\n"),
        Just("Session: ;timeout=\r\n"),
        Just("Session: 1;timeout=1\r\n"),
        Just("Transport: interleaved=0-;ssrc=\r\n"),
        Just("WWW-Authenticate: Digest nonce=\"a\", =\",\r\n"),
        Just("RTP-Info: url=;seq=,\r\n"),
        Just("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"),
        Just("a=fmtp:96 sprop-parameter-sets=,=,AAAB;;\r\n"),
        Just("\r\n"),
    ];
    prop_oneof![
        4 => line.prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => Just(b"$\x00\x00\x03abc".to_vec()),
        1 => Just(b"$\x00\xff\xff".to_vec()),
    ]
}

proptest! {
    #[test]
    fn nothing_that_a_camera_sends_panics_or_gets_stuck(
        pieces in prop::collection::vec((piece(), 0u64..40_000), 0..120),
    ) {
        let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
        let mut camera = Camera::with("rtsp://u:p@h/", options);
        for (piece, millis) in pieces {
            camera.now += Duration::from_millis(millis);
            let _ = camera.session.handle_timeout(camera.now);
            let mut rest = piece.as_slice();
            loop {
                let mut outputs = 0;
                while let Ok(Some(_)) = camera.session.poll(camera.now) {
                    outputs += 1;
                    prop_assert!(outputs < 10_000);
                }
                let space = camera.session.space();
                prop_assert!(!space.is_empty());
                if rest.is_empty() {
                    break;
                }
                let len = rest.len().min(space.len());
                space[..len].copy_from_slice(&rest[..len]);
                camera.session.filled(len);
                rest = &rest[len..];
            }
        }
    }
}
