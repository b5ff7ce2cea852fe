//! Packets over UDP, and reports of ours over TCP.

use super::*;

const ASKED: &str = "Transport: RTP/AVP;unicast;client_port=5000-5001";

fn options(tracks: Tracks) -> SessionOptions {
    let delivery = Delivery::Datagrams { rtp_ports: [5000, 5004, 5006] };
    SessionOptions { tracks, delivery, ..SessionOptions::new(1) }
}

/// Up to the request for SETUP.
fn described(tracks: Tracks, sdp: &str) -> Camera {
    let mut camera = Camera::with("rtsp://10.0.0.2/live", options(tracks));
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", "", sdp);
    camera
}

/// What becomes of that `Transport` in the reply to SETUP.
fn transport(reply: &str) -> TrackTransport {
    let mut camera = described(Tracks::Video, H264_ONLY);
    camera.expect("SETUP", &[ASKED]);
    camera.reply("200 OK", &format!("Session: 7\r\n{reply}"), "");
    camera.expect("PLAY", &["Session: 7"]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    camera.session.tracks()[0].transport.unwrap()
}

fn from(server_ports: Option<(u16, u16)>) -> TrackTransport {
    TrackTransport::Datagrams { rtp_port: 5000, server_ports }
}

#[test]
fn udp_ports_are_asked_for_and_those_of_the_camera_are_told() {
    let ports = "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971";
    assert_eq!(transport(&format!("Transport: {ports}\r\n")), from(Some((6970, 6971))));
}

#[test]
fn each_track_has_ports_of_its_own() {
    let mut camera = described(Tracks::VideoAndAudio, &sdp_of("reolink_rlc_410"));
    camera.expect("SETUP", &[ASKED]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("SETUP", &["Transport: RTP/AVP;unicast;client_port=5004-5005"]);
}

#[test]
fn a_reply_to_udp_setup_without_server_port() {
    // smolrtsp, on OpenIPC until 2026, names client_port alone; others leave the field out.
    let ports = "RTP/AVP/UDP; unicast; client_port=5000-5001";
    assert_eq!(transport(&format!("Transport: {ports}\r\n")), from(None));
    assert_eq!(transport(""), from(None));
}

#[test]
fn a_comma_before_the_ssrc() {
    // Victure PC730.
    let ports = "RTP/AVP;unicast;client_port=5000-5001;server_port=40000-40001,ssrc=FFFFCCCC";
    assert_eq!(transport(&format!("Transport: {ports}\r\n")), from(Some((40_000, 40_001))));
}

#[test]
fn a_camera_that_answers_udp_with_channels_sends_interleaved() {
    let channels = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    assert_eq!(transport(channels), TrackTransport::Interleaved { rtp: 0, rtcp: 1 });
}

#[test]
fn a_camera_that_streams_over_tcp_only_is_named() {
    for (status, line) in [
        ("461 x", "461 Unsupported Transport: the camera does not stream over UDP"),
        ("501 x", "501 Not Implemented: the camera does not stream over UDP"),
    ] {
        let mut camera = described(Tracks::Video, H264_ONLY);
        camera.expect("SETUP", &[ASKED]);
        camera.reply(status, "", "");
        let error = camera.error();
        assert!(error.is_about_transport());
        assert_eq!((error.to_string().as_str(), error.fault()), (line, Fault::Camera));
    }
}

#[test]
fn blocks_do_not_stand_for_tracks_that_come_over_udp() {
    let mut camera = described(Tracks::Video, H264_ONLY);
    camera.expect("SETUP", &[ASKED]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
    camera.block(0, b"rtp");
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    camera.block(0, b"rtp");
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.session.counters().dropped_blocks, 2);
}

#[test]
fn a_report_goes_out_on_the_rtcp_channel_of_its_track() {
    let mut camera = Camera::playing("", H264_ONLY);
    camera.session.send_report(0, b"receiver report");
    match camera.session.poll(camera.now) {
        Ok(Some(Output::Send(bytes))) => assert_eq!(bytes, b"$\x01\0\x0freceiver report"),
        other => panic!("{other:?}"),
    }
    camera.session.send_report(1, b"of no track");
    assert_eq!(camera.outputs(), Ok(vec![]));
}
