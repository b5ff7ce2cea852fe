//! What cameras of the field answer, one file each in the folder of that name: replies of the shape
//! that public reports show, written anew, run through a session from OPTIONS to PLAY.
//!
//! A file begins with who it is and what is odd of it, then has the address that is configured. `>`
//! is what the request must begin with, `>+` what must stand in it as well, `<` a line of the reply
//! (`{cseq}`: the request's number; `{previous}`: the one before; `{length}`: that of the body),
//! `<.` bytes behind it, `=` what must come of it, in the order of the SDP.

use super::*;
use std::fs;

/// One H.264 track, nothing else that matters.
pub(in crate::rtsp) const H264_ONLY: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=x\r\nt=0 0\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n";

/// The SDP of a camera in the folder.
pub(in crate::rtsp) fn sdp_of(camera: &str) -> String {
    let transcript = Transcript::read(camera);
    let described = |exchange: &&Exchange| exchange.request.starts_with("DESCRIBE");
    transcript.exchanges.iter().rfind(described).unwrap().body.clone()
}

#[test]
fn every_camera_of_the_folder_plays() {
    let files = fs::read_dir(FOLDER).unwrap();
    let mut cameras: Vec<String> = files
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    cameras.sort();
    assert!(cameras.len() >= 30, "{}", cameras.len());
    for camera in cameras {
        let transcript = Transcript::read(&camera);
        assert!(transcript.head.ends_with('.'), "{camera}: {}", transcript.head);
        let outcome = transcript.play(&camera);
        assert_eq!(outcome, transcript.outcome, "{camera}: {}", transcript.head);
    }
}

#[derive(Default)]
struct Transcript {
    head: String,
    url: String,
    exchanges: Vec<Exchange>,
    outcome: Vec<String>,
}

#[derive(Default)]
struct Exchange {
    request: String,
    within: Vec<String>,
    header: String,
    body: String,
    behind: String,
}

impl Transcript {
    fn read(camera: &str) -> Transcript {
        let text = fs::read_to_string(format!("{FOLDER}/{camera}.txt")).unwrap();
        let mut transcript = Transcript::default();
        let mut in_body = false;
        for line in text.lines() {
            let last = transcript.exchanges.last_mut();
            if let Some(within) = line.strip_prefix(">+ ") {
                last.unwrap().within.push(within.to_owned());
            } else if let Some(request) = line.strip_prefix("> ") {
                in_body = false;
                let request = request.to_owned();
                transcript.exchanges.push(Exchange { request, ..Exchange::default() });
            } else if let Some(behind) = line.strip_prefix("<. ") {
                last.unwrap().behind += behind;
            } else if let Some(reply) = line.strip_prefix('<') {
                let reply = reply.strip_prefix(' ').unwrap_or(reply);
                let last = last.unwrap();
                let into = if in_body { &mut last.body } else { &mut last.header };
                *into += &[reply, "\r\n"].concat();
                in_body |= reply.is_empty();
            } else if let Some(outcome) = line.strip_prefix("= ") {
                transcript.outcome.push(outcome.to_owned());
            } else if line.contains("://") && !line.contains(' ') {
                transcript.url = line.to_owned();
            } else {
                transcript.head += line;
            }
        }
        transcript
    }

    /// Goes through all of it; says what came of it.
    fn play(&self, camera: &str) -> Vec<String> {
        let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
        let mut session = Camera::with(&self.url, options);
        let mut seen = Vec::new();
        let (mut previous, mut plays) = (0, false);
        for Exchange { request: begin, within, header, body, behind } in &self.exchanges {
            if std::mem::take(&mut plays) {
                session.wait().unwrap_or_else(|error| panic!("{camera}: {error}"));
            }
            let request = session.expect(begin, &[]);
            for part in within {
                assert!(request.contains(part), "{camera}: no {part} in {request}");
            }
            let header = header
                .replace("{cseq}", &session.cseq.to_string())
                .replace("{previous}", &previous.to_string())
                .replace("{length}", &body.len().to_string());
            previous = session.cseq;
            session.feed(&[header.as_bytes(), body.as_bytes(), behind.as_bytes()].concat());
            if begin.starts_with("PLAY") {
                plays = true;
                seen = session.outputs().unwrap_or_else(|error| panic!("{camera}: {error}"));
            }
        }
        assert_eq!(seen, [Seen::Playing], "{camera}");
        assert_eq!(session.outputs(), Ok(vec![]), "{camera}");
        let mut outcome: Vec<String> = session.session.tracks().iter().filter_map(set_up).collect();
        let after = session.wait().unwrap_or_else(|error| panic!("{camera}: {error}"));
        let keepalive = session.expect("", &[]);
        let method = keepalive.split(' ').next().unwrap();
        outcome.push(format!("keepalive {method} after {} s", after.as_secs_f64()));
        outcome
    }
}

fn set_up(track: &Track) -> Option<String> {
    let TrackTransport::Interleaved { rtp, rtcp } = track.transport? else { return None };
    let Track { encoding, payload_type, parameter_sets, .. } = track;
    let (kind, sets) = match track.media {
        Media::Video(_) => ("video", format!("sets={} ", parameter_sets.len())),
        _ => ("sound", String::new()),
    };
    Some(format!("{kind} {encoding} {payload_type} {sets}channels={rtp}-{rtcp}"))
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rtsp/tests/cameras");
