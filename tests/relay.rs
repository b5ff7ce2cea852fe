//! Streams relayed by RTSP: a client gets what the camera sent, and only clients with permission
//! get it.

use crate::support::{
    Nvr, assert_is_part_of, config, frames_in,
    http::{ORIGIN, ask},
    mp4, numbered_clip, wait_for, wait_for_within, with_password,
};
use camera::{Camera, Clip, Encoding, Options, Sound};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

const LONG: &str = "segment_seconds = 600\nsync_seconds = 1\nkeep_free_percent = 0";
/// The frames that a client records before it leaves: 4 s.
const ENOUGH: usize = 100;
/// x:correct horse
const OWNER: &str = "Authorization: Basic eDpjb3JyZWN0IGhvcnNl\r\n";

/// A recorder that relays a camera, and its port.
struct Relay {
    nvr: Nvr,
    port: u16,
    _camera: Camera,
}

impl Relay {
    fn start(clip: &Clip, options: Options, change: impl FnOnce(String) -> String) -> Relay {
        let camera = Camera::builder().stream_with("cam", clip.clone(), options).start().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let text = config(directory.path(), LONG, &[("yard", &camera.url("cam"))]);
        let text = text + "\n[rtsp]\nlisten = \"127.0.0.1:0\"\n";
        let nvr = Nvr::start_with(directory, &change(text), &[]);
        nvr.wait_for_log("rtsp=listening");
        let log = nvr.log();
        let address = log.split("rtsp=listening address=127.0.0.1:").nth(1).unwrap();
        let port = address.split_whitespace().next().unwrap().parse().unwrap();
        nvr.wait_for_log("opened");
        Relay { nvr, port, _camera: camera }
    }

    fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/yard", self.port)
    }

    /// The recordings of a second recorder.
    fn record(&self, keys: &str) -> (Nvr, Vec<mp4::Movie>) {
        let directory = tempfile::tempdir().unwrap();
        let text = config(directory.path(), LONG, &[("camera", &self.url())]);
        let text = text.replace("buffer_kb", &format!("{keys}\nbuffer_kb"));
        let mut nvr = Nvr::start_with(directory, &text, &[]);
        wait_for("some seconds of it", || frames_in(&nvr.files()) >= ENOUGH);
        nvr.terminate();
        let movies = nvr.files().iter().map(|file| mp4::read(file).unwrap()).collect();
        (nvr, movies)
    }

    fn set_password(&self) {
        let password = "{\"password\":\"correct horse\"}";
        let reply = ask(&self.nvr.web_address(), "PUT", "/api/password", &[ORIGIN], password);
        assert_eq!(reply.status, 200);
    }

    /// The answer to a DESCRIBE with these fields.
    fn describe(&self, fields: &str) -> String {
        let url = self.url();
        self.ask(&format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n{fields}\r\n"))
    }

    fn ask(&self, request: &str) -> String {
        let mut client = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        // Less than a stranger may stay for.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let (mut reply, mut byte) = (Vec::new(), [0]);
        while !reply.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() > 0 {
            reply.push(byte[0]);
        }
        String::from_utf8(reply).unwrap()
    }
}

#[test]
fn a_second_recorder_gets_every_frame_as_the_camera_sent_it() {
    for (name, transport) in [
        ("bframes.h264", "tcp"),
        ("slices.h264", "udp"),
        ("plain.h265", "tcp"),
        ("bframes.h265", "udp"),
    ] {
        let clip = Clip::committed(name).unwrap();
        let relay = Relay::start(&clip, Options::default(), |text| text);
        let (nvr, movies) = relay.record(&format!("transport = {transport:?}"));
        assert_eq!(movies.len(), 1, "{name}: {}", nvr.log());
        assert_is_part_of(&movies[0], &clip);
        assert!(nvr.log().contains("lost=0"), "{name}: {}", nvr.log());
        let viewers = || relay.nvr.status()["cameras"][0]["viewers"] == 0;
        wait_for("the place of the client", viewers);
    }
}

#[test]
fn sound_comes_along_in_step() {
    for encoding in [Encoding::Aac, Encoding::Pcma] {
        let sound = Sound::new(encoding);
        let options = Options { sound: Some(sound.clone()), ..Options::default() };
        let audio = |text: String| text.replace("buffer_kb", "audio = true\nbuffer_kb");
        let clip = numbered_clip();
        let mut relay = Relay::start(&clip, options, audio);
        let (nvr, movies) = relay.record("audio = true");
        let got = &movies[0];
        assert_is_part_of(got, &clip);
        let of_client = got.audio.as_ref().unwrap_or_else(|| panic!("{}", nvr.log()));
        relay.nvr.terminate();
        let original = mp4::read(&relay.nvr.files()[0]).unwrap();
        let audio = original.audio.as_ref().unwrap();
        // The clip lasts longer than the test: each picture comes once.
        let same = |sample: &&mp4::Sample| sample.nals == got.samples[0].nals;
        let begun = original.samples.iter().find(same).unwrap().presentation;
        let rate = i64::from(of_client.timescale);
        let first = &of_client.samples[0];
        // Noise of a second or so, again and again: one that is heard at the same moment.
        let at = audio.samples.iter().position(|sample| {
            let heard = sample.decode - begun * rate / 90_000;
            sample.bytes == first.bytes && (heard - first.decode).abs() <= 2
        });
        let at = at.expect("the first sound at its moment");
        assert!(of_client.samples.len() > 20);
        for (theirs, ours) in of_client.samples.iter().zip(&audio.samples[at..]) {
            assert!(theirs.bytes == ours.bytes, "sound differs");
            let moved = (theirs.decode - first.decode) - (ours.decode - audio.samples[at].decode);
            assert!(moved.abs() <= 2, "sound moved by {moved} ticks");
        }
    }
}

#[test]
fn ffmpeg_and_gstreamer_play_it() {
    let relay = Relay::start(&numbered_clip(), Options::default(), |text| text);
    let url = relay.url();
    for transport in ["tcp", "udp"] {
        let arguments = ["-nostdin", "-xerror", "-v", "warning", "-rtsp_transport", transport];
        let output = Command::new("ffmpeg")
            .args(arguments)
            .args(["-i", &url, "-frames:v", "75", "-f", "null", "-"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{transport}: {said}");
        let source = format!("location={url}");
        let output = Command::new("gst-launch-1.0")
            .args(["-q", "rtspsrc", &source, &format!("protocols={transport}"), "!"])
            .args(["rtph264depay", "!", "h264parse", "!", "avdec_h264", "!"])
            .args(["fakesink", "num-buffers=75"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{transport}: {said}");
    }
}

#[test]
fn it_asks_for_the_pages_password() {
    let clip = Clip::committed("plain.h264").unwrap();
    let relay = Relay::start(&clip, Options::default(), |text| with_password(&text));
    let describe = |more: &str| relay.describe(more);
    assert!(describe("").starts_with("RTSP/1.0 403 "), "no password is set: {}", describe(""));
    relay.set_password();
    let reply = describe("");
    assert!(reply.starts_with("RTSP/1.0 401 "), "{reply}");
    assert!(reply.contains("\r\nWWW-Authenticate: Basic realm=\"smolnvr\"\r\n"), "{reply}");
    let reply = describe(OWNER);
    assert!(reply.starts_with("RTSP/1.0 200 OK\r\n"), "{reply}");
    // x:wrong
    let reply = describe("Authorization: Basic eDp3cm9uZw==\r\n");
    assert!(reply.starts_with("RTSP/1.0 401 "), "{reply}");
    let options = relay.ask("OPTIONS * RTSP/1.0\r\nCSeq: 7\r\n\r\n");
    assert!(options.starts_with("RTSP/1.0 200 OK\r\nCSeq: 7\r\n"), "{options}");
}

#[test]
fn what_is_not_there_is_said() {
    let clip = Clip::committed("plain.h264").unwrap();
    let relay = Relay::start(&clip, Options::default(), |text| text);
    let base = format!("rtsp://127.0.0.1:{}", relay.port);
    for (request, wanted) in [
        (format!("DESCRIBE {base}/roof RTSP/1.0"), "404"),
        (format!("DESCRIBE {base}/yard/live RTSP/1.0"), "404"),
        (format!("SETUP {base}/yard/track2 RTSP/1.0\r\nTransport: RTP/AVP/TCP"), "404"),
        (format!("SETUP {base}/yard/track1 RTSP/1.0\r\nTransport: RTP/SAVP"), "461"),
        (format!("PLAY {base}/yard RTSP/1.0"), "404"),
        (format!("TEARDOWN {base}/yard RTSP/1.0\r\nSession: other"), "454"),
        (format!("RECORD {base}/yard RTSP/1.0"), "501"),
    ] {
        let reply = relay.ask(&format!("{request}\r\nCSeq: 1\r\n\r\n"));
        assert!(reply.starts_with(&format!("RTSP/1.0 {wanted} ")), "{request}: {reply}");
    }
}

#[test]
fn clients_that_never_read_or_never_ask_cost_the_recording_nothing() {
    let clip = numbered_clip();
    let mut relay = Relay::start(&clip, Options::default(), |text| text);
    let url = relay.url();
    relay.set_password();
    let connect = || TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    let mute: Vec<TcpStream> = (0..3).map(|_| connect()).collect();
    let mut deaf: Vec<TcpStream> = (0..3).map(|_| connect()).collect();
    for client in &mut deaf {
        let transport = "Transport: RTP/AVP/TCP;interleaved=0-1";
        let requests = format!(
            "SETUP {url}/track1 RTSP/1.0\r\nCSeq: 1\r\n{transport}\r\n\r\n\
             PLAY {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n"
        );
        client.write_all(requests.as_bytes()).unwrap();
    }
    let viewers = || relay.nvr.status()["cameras"][0]["viewers"].as_u64();
    wait_for("three viewers", || viewers() == Some(3));
    wait_for("ten seconds more", || frames_in(&relay.nvr.files()) > 250);
    drop((mute, deaf));
    wait_for("none", || viewers() == Some(0));
    relay.nvr.terminate();
    let movies: Vec<_> = relay.nvr.files().iter().map(|it| mp4::read(it).unwrap()).collect();
    assert_eq!(movies.len(), 1);
    assert_eq!(assert_is_part_of(&movies[0], &clip), 0);
}

#[test]
fn a_stranger_keeps_neither_a_place_nor_room() {
    let clip = Clip::committed("plain.h264").unwrap();
    let relay = Relay::start(&clip, Options::default(), |text| with_password(&text));
    assert_eq!(relay.ask("$\0\u{7f}\u{7f}"), "", "a block of 32 KB is not waited for");
    let mut dripping = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    dripping.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // A byte a second, of a request that never ends.
    wait_for_within(Duration::from_secs(120), "the end of its connection", || {
        dripping.write_all(b"O").is_err() || matches!(dripping.read(&mut [0]), Ok(0))
    });
}

/// Devices and scanners in a network open connections and abandon them: they took the places of
/// eight viewers.
#[test]
fn strangers_make_way_for_a_client_with_the_password() {
    let clip = Clip::committed("plain.h264").unwrap();
    let relay = Relay::start(&clip, Options::default(), |text| with_password(&text));
    relay.set_password();
    let connect = || TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    // Three times as many as there are places; they stay.
    let strangers: Vec<_> = (0..24).map(|_| connect()).collect();
    let description = relay.describe(OWNER);
    assert!(description.starts_with("RTSP/1.0 200 "), "{description}");
    drop(strangers);
}

/// Without a password, any client that sent a request kept its place: eight connections that ask
/// every few seconds kept all others out for ever.
#[test]
fn without_a_password_connections_that_only_ask_make_way_for_one_that_plays() {
    let relay = Relay::start(&numbered_clip(), Options::default(), |text| text);
    let url = relay.url();
    let connect = |requests: &str| {
        let mut client = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(requests.as_bytes()).unwrap();
        let mut first = [0; 12];
        client.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"RTSP/1.0 200");
        client
    };
    let mut plays = connect(&format!(
        "SETUP {url}/track1 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n\
         PLAY {url} RTSP/1.0\r\nCSeq: 2\r\n\r\n"
    ));
    wait_for("it to play", || relay.nvr.status()["cameras"][0]["viewers"] == 1);
    let ask = format!("GET_PARAMETER {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    let asking: Vec<_> = (0..12).map(|_| connect(&ask)).collect();
    assert!(relay.describe("").starts_with("RTSP/1.0 200 "));
    // More than was on its way when the others came.
    let mut much = vec![0; 1 << 20];
    plays.read_exact(&mut much).unwrap();
    drop(asking);
}
