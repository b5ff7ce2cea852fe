//! The camera as its clients see it.

#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod client;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use camera::{
    Aggregation, Auth, Camera, Clip, Faults, Options, ParameterSets, Scheme, SessionState, Speed,
    Then, TimestampJump, TransportKind,
};
use client::{Client, assert_frame};

const CLIPS: [&str; 6] =
    ["plain.h264", "bframes.h264", "slices.h264", "plain.h265", "bframes.h265", "opengop.h265"];

fn camera_with(clip: &str, options: Options) -> Camera {
    let clip = Clip::committed(clip).unwrap();
    Camera::builder().stream("cam", clip).options(options).start().unwrap()
}

fn fast(frames: u64) -> Options {
    Options { speed: Speed::Max, frames: Some(frames), ..Options::default() }
}

#[test]
fn every_nal_unit_and_time_of_every_clip_arrives_over_the_seam() {
    let mut builder = Camera::builder().options(fast(250));
    for name in CLIPS {
        builder = builder.stream(name, Clip::committed(name).unwrap());
    }
    let camera = builder.start().unwrap();
    for (index, name) in CLIPS.iter().enumerate() {
        let clip = Clip::committed(name).unwrap();
        let mut client = Client::new(&camera.url(name));
        client.play();
        let session = camera.sessions()[index].clone();
        let mut sequence = session.first_sequence;
        for number in 0..250 {
            assert_frame(&clip, &session, number, &mut sequence, &client.frame().unwrap());
        }
        assert!(camera.wait(WAIT, |all| all[index].state == SessionState::Finished), "{name}");
        let session = camera.sessions()[index].clone();
        let packets = sequence.wrapping_sub(session.first_sequence);
        assert_eq!((session.frames, session.packets), (250, u64::from(packets)));
        assert_eq!(client.request("TEARDOWN", "", "").status, 200);
        assert!(camera.wait(WAIT, |all| all[index].state == SessionState::TornDown));
    }
}

#[test]
fn sessions_begin_at_the_configured_frame_and_numbers_wrap() {
    let options = Options {
        first_frame: 30,
        start_timestamp: Some(u32::MAX - 5000),
        start_sequence: Some(u16::MAX - 2),
        aggregation: Aggregation::Never,
        ..fast(40)
    };
    let camera = camera_with("opengop.h265", options);
    let clip = Clip::committed("opengop.h265").unwrap();
    let mut client = Client::new(&camera.url("cam"));
    client.play();
    let session = camera.sessions()[0].clone();
    assert_eq!((session.first_timestamp, session.first_sequence), (u32::MAX - 5000, 65_533));
    let mut sequence = 65_533;
    for number in 0..40 {
        let packets = client.frame().unwrap();
        let earlier = clip.frame(30 + number).pts < clip.frame(30).pts;
        assert!(!earlier, "frame 30 has no picture before it that follows it");
        assert_frame(&clip, &session, number, &mut sequence, &packets);
    }
}

#[test]
fn parameter_sets_can_be_in_the_sdp_alone() {
    let options = Options { parameter_sets: ParameterSets::Sdp, ..fast(100) };
    let camera = camera_with("plain.h264", options);
    let mut client = Client::new(&camera.url("cam"));
    assert!(client.request("DESCRIBE", "", "").body.contains("sprop-parameter-sets="));
    client.play();
    for _ in 0..100 {
        for packet in client.frame().unwrap() {
            assert!(!matches!(packet[12] & 0x1f, 7 | 8 | 24), "parameter set in band");
        }
    }
}

#[test]
fn requests_are_answered_as_rfc_2326_requires() {
    let camera = camera_with("plain.h264", Options::default());
    let mut client = Client::new(&camera.url("cam"));
    let reply = client.request("OPTIONS", "", "");
    assert!(reply.status == 200 && reply.header("Public").contains("DESCRIBE"));
    let reply = client.request("DESCRIBE", "", "Accept: application/sdp\r\n");
    assert_eq!(reply.header("Content-Base"), format!("{}/", camera.url("cam")));
    assert_eq!(reply.header("Content-Type"), "application/sdp");
    assert!(reply.body.contains("a=control:trackID=0\r\n"));

    assert_eq!(client.request("DESCRIBE", "era", "").status, 404);
    let tcp = "Transport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n";
    assert_eq!(client.request("SETUP", "/trackID=1", tcp).status, 404);
    assert_eq!(client.request("SETUP", "", tcp).status, 459);
    for wrong in ["", "Transport: RTP/SAVP;unicast\r\n", "Transport: RTP/AVP;multicast\r\n"] {
        assert_eq!(client.request("SETUP", "/trackID=0", wrong).status, 461, "{wrong}");
    }
    assert_eq!(client.request("PLAY", "", "").status, 454);
    assert_eq!(client.request("TEARDOWN", "", "Session: 1\r\n").status, 454);
    assert_eq!(client.request("RECORD", "", "").status, 501);

    let reply = client.set_up("RTP/AVP;multicast, RTP/AVP/TCP;unicast;interleaved=2-3");
    assert!(reply.header("Transport").starts_with("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc="));
    assert!(reply.header("Session").ends_with(";timeout=60"));
    let id = std::mem::replace(&mut client.session, "wrong".into());
    assert_eq!(client.request("PLAY", "", "").status, 454);
    assert_eq!(client.request("GET_PARAMETER", "", "").status, 454);
    client.session = id;
    assert_eq!(client.request("PLAY", "era", "").status, 404);
    assert_eq!(camera.sessions()[0].state, SessionState::Ready);
    let reply = client.request("PLAY", "/", "Range: npt=0.000-\r\n");
    let expected = format!("url={}/trackID=0;seq=", camera.url("cam"));
    assert!(reply.header("RTP-Info").starts_with(&expected), "{}", reply.head);
    assert_eq!(client.packet().unwrap().0, 3, "a report comes first");
    assert_eq!(client.packet().unwrap().0, 2);
    assert_eq!(client.request("SETUP", "/trackID=0", tcp).status, 455);
    assert_eq!(client.request("GET_PARAMETER", "", "").status, 200);
    assert_eq!(client.request("SET_PARAMETER", "", "").status, 200);
    assert_eq!(camera.sessions()[0].keepalives, 2);
    assert_eq!(client.request("TEARDOWN", "", "").status, 200);

    client.send(b"nonsense\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    while client.packet().is_some() {} // what came before the reply; then the connection ends
}

#[test]
fn without_the_password_only_options_is_answered() {
    for (scheme, challenge) in [
        (Scheme::Basic, "Basic realm="),
        (Scheme::Digest, "Digest realm="),
        (Scheme::DigestSha256, "algorithm=SHA-256, qop=\"auth\""),
    ] {
        let auth = Auth::new(scheme, "admin", "secret");
        let camera = Camera::builder().stream("cam", Clip::built_in()).auth(auth).start().unwrap();
        let mut client = Client::new(&camera.url("cam"));
        assert_eq!(client.request("OPTIONS", "", "").status, 200);
        for method in ["DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER", "TEARDOWN"] {
            let reply = client.request(method, "", "");
            assert_eq!(reply.status, 401, "{method}");
            assert!(reply.header("WWW-Authenticate").contains(challenge), "{}", reply.head);
        }
        if scheme == Scheme::Basic {
            client.authorization = Some("Basic YWRtaW46c2VjcmV0".into());
            client.play();
            assert!(client.frame().is_some());
        }
    }
}

#[test]
fn udp_carries_the_same_packets_and_reports() {
    let options = Options { speed: Speed::Times(20.0), ..fast(50) };
    let camera = camera_with("bframes.h264", options);
    let clip = Clip::committed("bframes.h264").unwrap();
    let socket = |_| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket
    };
    let [rtp, rtcp] = [0, 1].map(socket);
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let mut client = Client::new(&camera.url("cam"));
    let ports = format!("client_port={}-{}", port(&rtp), port(&rtcp));
    let reply = client.set_up(&format!("RTP/AVP;unicast;{ports}"));
    let (_, server) = reply.header("Transport").split_once("server_port=").unwrap();
    let server: u16 = server.split('-').next().unwrap().parse().unwrap();
    assert_eq!(client.request("PLAY", "", "").status, 200);

    let session = camera.sessions()[0].clone();
    assert_eq!(session.transport, TransportKind::Udp);
    let mut sequence = session.first_sequence;
    let mut buffer = [0; 2000];
    for number in 0..50 {
        let mut packets: Vec<Vec<u8>> = Vec::new();
        while packets.last().is_none_or(|packet| packet[1] & 0x80 == 0) {
            let (length, from) = rtp.recv_from(&mut buffer).unwrap();
            assert_eq!(from.port(), server);
            packets.push(buffer[..length].to_vec());
        }
        assert_frame(&clip, &session, number, &mut sequence, &packets);
    }
    let (length, from) = rtcp.recv_from(&mut buffer).unwrap();
    assert_eq!((buffer[1], from.port()), (200, server + 1));
    assert_eq!(buffer[16..20], session.first_timestamp.to_be_bytes());
    assert_eq!(length, 28 + 20);
}

#[test]
fn a_client_that_reads_late_misses_nothing_and_its_requests_are_answered() {
    let camera = camera_with("plain.h265", Options { frames: Some(5000), ..fast(0) });
    let clip = Clip::committed("plain.h265").unwrap();
    let mut client = Client::new(&camera.url("cam"));
    client.play();
    let full = |all: &[camera::Session]| all[0].frames > 100;
    assert!(camera.wait(WAIT, full), "the buffers of the kernel hold that much");
    for _ in 0..50 {
        assert_eq!(client.request("GET_PARAMETER", "", "").status, 200);
    }
    let session = camera.sessions()[0].clone();
    let mut sequence = session.first_sequence;
    for number in 0..5000 {
        assert_frame(&clip, &session, number, &mut sequence, &client.frame().unwrap());
    }
    assert_eq!(camera.sessions()[0].keepalives, 50);
}

#[test]
fn clients_do_not_disturb_each_other() {
    let camera = camera_with("slices.h264", fast(500));
    let clip = Clip::committed("slices.h264").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::new(&camera.url("cam"));
                client.play();
                for number in 0..500 {
                    let frame = client.frame().unwrap();
                    let packets: usize = frame.iter().map(|packet| packet.len() - 12).sum();
                    let nals = &clip.frame(number).unit.nals;
                    assert!(packets >= nals.iter().map(Vec::len).sum(), "frame {number}");
                }
            });
        }
    });
    assert_eq!(camera.sessions().len(), 8);
    assert!(camera.wait(WAIT, |all| all.iter().all(|session| session.frames == 500)));
}

#[test]
fn a_session_ends_with_silence_a_bye_or_the_end_of_the_connection() {
    for then in [Then::Stay, Then::Bye, Then::Close] {
        let camera = camera_with("plain.h264", Options { then, ..fast(3) });
        let mut client = Client::new(&camera.url("cam"));
        client.play();
        for _ in 0..3 {
            client.frame().unwrap();
        }
        match then {
            Then::Close => assert!(client.packet().is_none()),
            Then::Bye => {
                let (channel, bytes) = client.packet().unwrap();
                assert_eq!((channel, bytes[9]), (1, 203));
            }
            Then::Stay => {}
        }
        if then != Then::Close {
            assert_eq!(client.request("GET_PARAMETER", "", "").status, 200);
            assert!(camera.wait(WAIT, |all| all[0].state == SessionState::Finished));
        }
    }
}

#[test]
fn faults_come_when_they_are_due() {
    let camera = camera_with("plain.h264", Options { speed: Speed::Max, ..Options::default() });
    let session = |faults: Faults| {
        assert!(camera.set_faults("cam", faults));
        let mut client = Client::new(&camera.url("cam"));
        client.play();
        client
    };
    let mut client = session(Faults { drop_after: Some(7), ..Faults::default() });
    assert_eq!(std::iter::from_fn(|| client.frame()).count(), 7);

    let mut client = session(Faults { stall_after: Some(5), ..Faults::default() });
    for _ in 0..5 {
        client.frame().unwrap();
    }
    assert_eq!(client.request("GET_PARAMETER", "", "").status, 200);
    assert!(camera.wait(WAIT, |all| all[1].frames == 5));
    camera.set_faults("cam", Faults::default());
    assert!(client.frame().is_some(), "goes on when the fault is gone");

    let jump = TimestampJump { after: 2, ticks: -900_000 };
    let mut client = session(Faults { timestamp_jump: Some(jump), ..Faults::default() });
    let first = camera.sessions()[2].first_timestamp;
    let times: Vec<u32> = (0..4)
        .map(|_| client.frame().unwrap()[0][4..8].try_into().unwrap())
        .map(|bytes| u32::from_be_bytes(bytes).wrapping_sub(first))
        .collect();
    assert_eq!(times, [0, 3600, 7200u32.wrapping_sub(900_000), 10_800u32.wrapping_sub(900_000)]);

    let mut client = session(Faults { lose_every: Some(10), ..Faults::default() });
    let packets = std::iter::from_fn(|| client.packet()).filter(|(channel, _)| *channel == 0);
    let numbers: Vec<u16> =
        packets.take(18).map(|(_, bytes)| u16::from_be_bytes([bytes[2], bytes[3]])).collect();
    let steps: Vec<u16> = numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert_eq!(steps.iter().position(|step| *step == 2), Some(8));
    assert_eq!(steps.iter().filter(|step| **step == 2).count(), 1);
}

#[test]
fn a_camera_that_is_dropped_cuts_clients_that_do_not_read() {
    let camera = camera_with("plain.h264", Options { speed: Speed::Max, ..Options::default() });
    let mut client = Client::new(&camera.url("cam"));
    client.play();
    assert!(camera.wait(WAIT, |all| all[0].frames > 100));
    camera.disconnect_all();
    assert!(camera.wait(WAIT, |all| all[0].state == SessionState::Disconnected));
    let mut client = Client::new(&camera.url("cam"));
    client.play();
    assert!(camera.wait(WAIT, |all| all[1].frames > 100));
    drop(camera);
    while client.byte().is_some() {}
}

#[test]
fn the_program_plays_its_built_in_clip() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_camera"))
        .args(["--port", "0", "--speed", "max", "--frames", "120"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let url = first.strip_prefix("listening on ").unwrap();
    assert!(url.starts_with("rtsp://127.0.0.1:") && url.ends_with("/camera"), "{url}");
    let mut client = Client::new(url);
    client.play();
    for number in 0..120 {
        assert!(client.frame().is_some(), "{number}");
    }
    assert_eq!(client.request("TEARDOWN", "", "").status, 200);
    let end = lines.map(Result::unwrap).find(|line| line.contains("state=TornDown")).unwrap();
    assert!(end.starts_with("session 1 stream=camera transport=Tcp") && end.contains("frames=120"));
    program.kill().unwrap();
    program.wait().unwrap();
}

const WAIT: Duration = Duration::from_secs(20);
