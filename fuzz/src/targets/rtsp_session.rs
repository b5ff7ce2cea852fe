//! A camera's side of an RTSP connection, as the seeds show it: a digit that chooses the options,
//! then replies, requests and `$` blocks; or, behind a `p`, packets of a camera that plays.

use crate::{
    random::Random,
    source::{Source, pieces},
};
use smolnvr::{
    limits,
    rtsp::{
        Counters, Delivery, Error, Metadata, Output, PacketKind, Presentation, Session,
        SessionOptions, Tracks,
    },
    runtime,
};
use std::time::{Duration, Instant};

pub const WORDS: &[&str] = &[
    "RTSP/1.0 200 OK\r\n",
    "RTSP/1.0 401 Unauthorized\r\n",
    "RTSP/1.0 302 Moved\r\n",
    "RTSP/1.0 100 Continue\r\n",
    "RTSP/1.0 200OK\r\n",
    "CSeq: 0\r\n",
    "CSeq: 1\r\n",
    "CSeq: 2\r\n",
    "CSeq: 3\r\n",
    "CSeq: 4\r\n",
    "CSeq: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-length : 4 bytes\r\n",
    "Content-Length: ",
    "Content-Base: ",
    "Content-Location: ",
    "Session: 7;timeout=2\r\n",
    "Public: GET_PARAMETER\r\n",
    "Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=1\r\n",
    "Location: rtsp://a/b\r\n",
    "Transport: RTP/AVP;client_port=6970-6971;server_port=1-2\r\n",
    "RTP-Info: url=a;seq=1;rtptime=2\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
    "WWW-Authenticate: Basic realm=\"r\"\r\n",
    "WWW-Authenticate: digest realm=a b; nonce=n qop=auth,auth-int\r\n",
    "OPTIONS * RTSP/1.0\r\n",
    "\r\n\r\n",
    "\r\n ",
    "$\x00\x00\x04",
    "$\x01\x00\x08",
    "$\x02\x00\x00",
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "a=control:x\r\n",
];

/// The driver's view of it.
#[derive(Debug, PartialEq)]
enum Heard {
    Sent(Vec<u8>),
    Playing(Presentation),
    Packet(usize, PacketKind, Vec<u8>),
    Closed,
    Failed(Error),
}

pub fn rtsp_session(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.u8();
    if choice & 0x70 == 0x70 {
        return play(&mut source);
    }
    let options = options(choice);
    let stream = source.rest();
    let whole = hear(&options, [stream].into_iter(), stream);
    assert_eq!(hear(&options, pieces(stream), stream), whole, "another split, another session");
    live(&options, stream);
}

fn options(choice: u8) -> SessionOptions {
    let tracks = [Tracks::Video, Tracks::VideoAndAudio, Tracks::Jpeg][usize::from(choice) % 3];
    let delivery = match choice & 8 {
        0 => Delivery::Interleaved,
        _ => Delivery::Datagrams { rtp_ports: [6970, 6972, 6974] },
    };
    let metadata = if choice & 4 == 0 { Metadata::No } else { Metadata::IfOffered };
    SessionOptions { tracks, metadata, delivery, ..SessionOptions::new(1) }
}

fn session(options: &SessionOptions, now: Instant) -> Session {
    let target = "rtsp://admin:secret@10.0.0.2/live".parse().expect("is a URL");
    Session::new(&target, options.clone(), now)
}

/// All that is heard of bytes that come in these pieces, in one moment.
fn hear<'a>(
    options: &SessionOptions,
    pieces: impl Iterator<Item = &'a [u8]>,
    stream: &[u8],
) -> (Vec<Heard>, Counters) {
    let now = runtime::now();
    let mut session = session(options, now);
    let mut heard = Vec::new();
    drain(&mut session, now, &mut heard);
    for piece in pieces {
        feed(&mut session, piece, now, &mut heard);
    }
    check_packets(&heard, stream);
    let counters = session.counters();
    assert!(counters.junk_bytes <= stream.len() as u64);
    (heard, counters)
}

fn feed(session: &mut Session, mut bytes: &[u8], now: Instant, heard: &mut Vec<Heard>) {
    while !bytes.is_empty() {
        let space = session.space();
        assert!(!space.is_empty(), "no room to read into, and nothing to do");
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        session.filled(count);
        bytes = &bytes[count..];
        drain(session, now, heard);
    }
}

fn drain(session: &mut Session, now: Instant, heard: &mut Vec<Heard>) {
    let is_over = |heard: &[Heard]| matches!(heard.last(), Some(Heard::Closed | Heard::Failed(_)));
    let was_over = is_over(heard);
    loop {
        let next = match session.poll(now) {
            Ok(None) => return,
            Ok(Some(Output::Send(bytes))) => {
                check_sent(bytes);
                Heard::Sent(bytes.to_vec())
            }
            Ok(Some(Output::Playing(presentation))) => Heard::Playing(presentation.clone()),
            Ok(Some(Output::Packet { track, kind, bytes })) => {
                Heard::Packet(track, kind, bytes.to_vec())
            }
            Ok(Some(Output::Stray { .. })) => continue,
            Ok(Some(Output::Closed)) => Heard::Closed,
            Err(error) => {
                let said = error.to_string();
                assert!(!said.contains("secret") && !said.contains(char::is_control), "{said:?}");
                Heard::Failed(error)
            }
        };
        assert!(!was_over && !is_over(heard), "{next:?} after the end");
        heard.push(next);
    }
}

/// Each packet is heard as soon as it is there, in whatever pieces and whatever stands before it.
fn play(source: &mut Source<'_>) {
    let now = runtime::now();
    let (mut session, mut heard) = (session(&options(0), now), Vec::new());
    drain(&mut session, now, &mut heard);
    feed(&mut session, SET_UP, now, &mut heard);
    let early: &[u8] = if source.flag() { b"$\0\0\x02\x80\x60" } else { b"" };
    heard.clear();
    feed(&mut session, &[early, PLAYS].concat(), now, &mut heard);
    assert!(matches!(heard.first(), Some(Heard::Playing(_))), "{heard:?}");
    assert_eq!(heard.len(), 1 + usize::from(!early.is_empty()), "{heard:?}");
    while !source.is_empty() {
        heard.clear();
        let (before, answers) = source.one(&[("", 0), ("\r\n", 0), (ASKS, 1), (REPLIES, 0)]);
        let (channel, payload) = (source.below(2), source.piece());
        let [high, low] = (payload.len() as u16).to_be_bytes();
        let bytes = [before.as_bytes(), &[b'$', channel as u8, high, low], payload].concat();
        for piece in pieces(&bytes) {
            feed(&mut session, piece, now, &mut heard);
        }
        let kind = [PacketKind::Rtp, PacketKind::Rtcp][channel];
        assert_eq!(heard.pop(), Some(Heard::Packet(0, kind, payload.to_vec())));
        assert_eq!(heard.len(), answers, "{heard:?}");
        assert_eq!(session.counters().junk_bytes, 0);
    }
}

/// Only requests and replies of ours are sent: no text of the camera's forms a line.
fn check_sent(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("requests are text");
    for head in text.strip_suffix("\r\n\r\n").expect("a head ends").split("\r\n\r\n") {
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        assert!(first.ends_with(" RTSP/1.0") || first.starts_with("RTSP/1.0 "), "{first:?}");
        for line in lines {
            assert!(FIELDS.iter().any(|field| line.starts_with(field)), "{line:?} in {head:?}");
        }
        assert!(!head.replace("\r\n", "").contains(['\r', '\n']), "{head:?}");
    }
}

/// Packets come from the stream, in its order, after `Playing`, and of tracks that are set up.
fn check_packets(heard: &[Heard], mut stream: &[u8]) {
    let mut playing = None;
    for one in heard {
        match one {
            Heard::Playing(presentation) => {
                assert!(playing.replace(presentation).is_none(), "twice");
                assert!(presentation.tracks.len() <= limits::SDP_MEDIA_MAX);
            }
            Heard::Packet(track, _, bytes) => {
                let presentation = playing.expect("packets come after that");
                assert!(presentation.tracks[*track].transport.is_some());
                let at = stream.windows(bytes.len().max(1)).position(|it| it.starts_with(bytes));
                stream = &stream[at.expect("it was sent") + bytes.len()..];
            }
            _ => {}
        }
    }
}

/// The same with a clock: what is due gets done, and whatever came before, the end comes.
fn live(options: &SessionOptions, stream: &[u8]) {
    let mut now = runtime::now();
    let mut random = Random::of(stream);
    let (mut session, mut heard) = (session(options, now), Vec::new());
    drain(&mut session, now, &mut heard);
    for piece in pieces(stream) {
        feed(&mut session, piece, now, &mut heard);
        now += Duration::from_millis(random.number() % 3000);
        if session.deadline().is_some_and(|deadline| deadline <= now) {
            pass_deadline(&mut session, now, &mut heard);
        }
    }
    for _ in 0..8 {
        let Some(deadline) = session.deadline() else { break };
        now = now.max(deadline);
        pass_deadline(&mut session, now, &mut heard);
    }
    session.teardown(now);
    drain(&mut session, now, &mut heard);
    if let Some(deadline) = session.deadline() {
        assert!(deadline <= now + limits::TEARDOWN_TIMEOUT);
        pass_deadline(&mut session, deadline, &mut heard);
    }
    assert!(matches!(heard.last(), Some(Heard::Closed | Heard::Failed(_))), "{:?}", heard.last());
    assert_eq!(session.deadline(), None);
}

fn pass_deadline(session: &mut Session, now: Instant, heard: &mut Vec<Heard>) {
    match session.handle_timeout(now) {
        Ok(()) => drain(session, now, heard),
        Err(error) => heard.push(Heard::Failed(error)),
    }
    assert!(session.deadline().is_none_or(|next| next > now), "what was due is due again");
}

const FIELDS: [&str; 8] = [
    "CSeq: ",
    "User-Agent: ",
    "Authorization: ",
    "Session: ",
    "Accept: ",
    "Transport: ",
    "Range: ",
    "Content-Length: 0",
];

const SET_UP: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n\
    RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 46\r\n\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    RTSP/1.0 200 OK\r\nCSeq: 3\r\n\r\n";
const PLAYS: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n";
const ASKS: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n";
const REPLIES: &str = "RTSP/1.0 454 Session Not Found\r\nCSeq: 99\r\nContent-Length: 1\r\n\r\n$";
