//! What single cameras do against the RFC and what is made of it, one test each.

use super::*;

/// A camera that plays after these fields in the replies to SETUP and PLAY.
fn playing(setup: &str, play: &str) -> Camera {
    let mut camera = described("", H264_ONLY);
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", setup, "");
    camera.expect("PLAY", &[]);
    camera.reply("200 OK", play, "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    camera
}

#[test]
fn spaces_in_ssrc() {
    let fields = "Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= d6d6627\r\n";
    assert_eq!(playing(fields, "").session.tracks()[0].ssrc, Some(0x0d6d_6627));
}

#[test]
fn trailing_semicolon_in_rtp_info() {
    let url = "rtsp://10.0.0.2/live/trackID=0";
    let camera = playing("Session: 7\r\n", &format!("RTP-Info: url={url};seq=3;rtptime=4;\r\n"));
    let info = RtpInfo { sequence: Some(3), time: Some(RtpTime(4)) };
    assert_eq!(camera.session.tracks()[0].rtp_info, Some(info));
}

#[test]
fn wrong_seq_or_rtptime_in_rtp_info() {
    let camera = playing("Session: 7\r\n", "RTP-Info: url=trackID=0;seq=65536;rtptime=-1\r\n");
    let info = RtpInfo { sequence: None, time: None };
    assert_eq!(camera.session.tracks()[0].rtp_info, Some(info));
}

#[test]
fn another_url_in_rtp_info() {
    let camera = playing("Session: 7\r\n", "RTP-Info: url=rtsp://10.0.0.2/H264/video;seq=271\r\n");
    assert_eq!(camera.session.tracks()[0].rtp_info.unwrap().sequence, Some(271));
}

#[test]
fn session_id_that_changes_between_setups() {
    let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
    let mut camera = Camera::with("rtsp://h/", options);
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", "", &sdp_of("reolink_rlc_410"));
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", "Session: 231970;timeout=60\r\n", "");
    camera.expect("SETUP", &["Session: 231970"]);
    camera.reply("200 OK", "Session: 231980;timeout=60\r\n", "");
    camera.expect("PLAY", &["Session: 231970"]);
}

#[test]
fn interleaved_channels_other_than_asked_for() {
    let fields = "Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=8-9\r\n";
    let mut camera = playing(fields, "");
    camera.block(8, b"rtp");
    camera.block(0, b"nobody's");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"rtp")]));
}

#[test]
fn rtp_avp_answered_for_rtp_avp_tcp() {
    for transport in ["RTP/AVP;unicast;interleaved=0-1", "RTP/AVP;unicast", "RTP/AVP"] {
        let mut camera = playing(&format!("Session: 7\r\nTransport: {transport}\r\n"), "");
        camera.block(0, b"rtp");
        assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"rtp")]));
    }
}

#[test]
fn data_on_channels_nobody_set_up() {
    let mut camera = playing("Session: 7\r\n", "");
    camera.block(2, b"audio");
    camera.block(255, b"");
    camera.block(0, b"video");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"video")]));
    assert_eq!(camera.session.counters().dropped_blocks, 2);
}

#[test]
fn junk_between_blocks() {
    let mut camera = playing("Session: 7\r\n", "");
    camera.block(0, b"\x80one");
    camera.feed(b"\xffgarbage $\x05 $\x00\x00\x04none RTSP/1 ");
    camera.block(0, b"\x80two");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"\x80one"), rtp(0, b"\x80two")]));
    assert_eq!(camera.session.counters().junk_bytes, 28);
    // Back in step: nothing is asked of the payload.
    camera.block(0, b"any");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"any")]));
}

#[test]
fn a_reply_after_junk() {
    let mut camera = playing("Session: 7\r\n", "");
    camera.feed(b"junk");
    camera.session.teardown(camera.now);
    camera.expect("TEARDOWN", &[]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Closed]));
}

#[test]
fn a_401_again_after_a_good_answer() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", CHALLENGE, "");
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    // The nonce was good for one request; this camera does not say `stale`.
    camera.reply("401 Unauthorized", "WWW-Authenticate: Digest realm=\"r\", nonce=\"2\"\r\n", "");
    assert!(camera.expect("DESCRIBE", &[]).contains("nonce=\"2\""));
    camera.reply("200 OK", "", H264_ONLY);
    camera.expect("SETUP", &[]);
    let stale = "WWW-Authenticate: Digest realm=\"r\", nonce=\"3\", stale=true\r\n";
    camera.reply("401 Unauthorized", stale, "");
    assert!(camera.expect("SETUP", &[]).contains("nonce=\"3\""));
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
}

#[test]
fn several_challenges() {
    for fields in [
        "WWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\"\r\n",
        "WWW-Authenticate: Basic realm=\"r\", Digest realm=\"r\", nonce=\"1\"\r\n",
    ] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("401 Unauthorized", fields, "");
        assert!(camera.expect("OPTIONS", &[]).contains("Authorization: Digest "));
    }
}

#[test]
fn no_options_at_all() {
    let mut camera = Camera::with(
        URL,
        SessionOptions { greeting: Greeting::Describe, ..SessionOptions::new(1) },
    );
    camera.expect("DESCRIBE", &["CSeq: 1"]);
    camera.reply("200 OK", "", H264_ONLY);
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", "Session: 7;timeout=20\r\n", "");
    camera.expect("PLAY", &[]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
    camera.wait().unwrap();
    camera.expect("GET_PARAMETER", &[]);
}

#[test]
fn options_answered_404() {
    for status in ["404 Not Found", "405 Method Not Allowed", "501 Not Implemented"] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply(status, "", "");
        camera.expect("DESCRIBE", &[]);
    }
}

#[test]
fn a_keepalive_that_is_not_implemented_after_all() {
    let mut camera = Camera::playing("Public: OPTIONS, GET_PARAMETER\r\n", H264_ONLY);
    assert_eq!(camera.wait(), Ok(Duration::from_secs(10)));
    camera.expect("GET_PARAMETER", &[]);
    camera.reply("501 Not Implemented", "", "");
    camera.expect("OPTIONS rtsp://10.0.0.2/live RTSP/1.0", &["Session: 7"]);
    camera.reply("404 Not Found", "", "");
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.wait(), Ok(Duration::from_secs(10)));
    camera.expect("OPTIONS", &[]);
}

#[test]
fn a_link_dropped_on_an_unsupported_keepalive() {
    // Only what Public lists is sent; OPTIONS is every server's.
    for public in ["", "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"] {
        let mut camera = Camera::playing(public, H264_ONLY);
        camera.wait().unwrap();
        camera.expect("OPTIONS", &["Session: 7"]);
    }
}

#[test]
fn keepalives_that_are_never_answered() {
    let mut camera = Camera::playing("", H264_ONLY);
    for unanswered in 1..4 {
        assert_eq!(camera.wait(), Ok(Duration::from_secs(10)));
        camera.expect("OPTIONS", &[]);
        assert_eq!(camera.wait(), Ok(limits::REPLY_TIMEOUT));
        assert_eq!(camera.session.counters().unanswered_requests, unanswered);
    }
    camera.block(0, b"goes on");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"goes on")]));
}

#[test]
fn a_keepalive_refused_under_the_number_of_another_request() {
    let mut camera = Camera::playing("Public: OPTIONS, GET_PARAMETER\r\n", H264_ONLY);
    camera.wait().unwrap();
    camera.expect("GET_PARAMETER", &[]);
    camera.cseq -= 1;
    camera.reply("400 Bad Request", "", "");
    camera.expect("OPTIONS", &["Session: 7"]);
    camera.cseq -= 1;
    camera.reply("200 OK", "", ""); // a good one of that number is a late one
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.session.counters().ignored_replies, 1);
}

#[test]
fn a_get_parameter_that_is_never_answered() {
    let mut camera = Camera::playing("Public: OPTIONS, GET_PARAMETER\r\n", H264_ONLY);
    assert_eq!(camera.wait(), Ok(Duration::from_secs(10)));
    camera.expect("GET_PARAMETER", &[]);
    assert_eq!(camera.wait(), Ok(limits::REPLY_TIMEOUT));
    // At once: the session ends 20 s after the last request that this camera knows.
    camera.expect("OPTIONS", &["Session: 7"]);
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.wait(), Ok(Duration::from_secs(10)));
    camera.expect("OPTIONS", &[]);
}

#[test]
fn a_keepalive_refused_with_401() {
    let mut camera = Camera::playing("", H264_ONLY);
    camera.wait().unwrap();
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", CHALLENGE, "");
    camera.block(0, b"goes on");
    assert_eq!(camera.outputs(), Ok(vec![rtp(0, b"goes on")]));
}

#[test]
fn session_timeout_enforced_to_the_second() {
    let mut camera = playing("Session: 7;timeout=2\r\n", "Session: 7; timeout=120\r\n");
    for _ in 0..3 {
        assert_eq!(camera.wait(), Ok(Duration::from_secs(1)));
        camera.expect("OPTIONS", &[]);
        camera.now += Duration::from_millis(100);
        camera.reply("200 OK", "", "");
        assert_eq!(camera.outputs(), Ok(vec![]));
    }
}

#[test]
fn sender_reports_before_the_answer_to_play() {
    let mut camera = described("", H264_ONLY);
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
    camera.block(1, b"sender report");
    assert_eq!(camera.outputs(), Ok(vec![]));
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing]));
}

#[test]
fn a_blank_line_folded_into_the_session_field() {
    // Luma x20 5.1.1.0: a line of one blank between two fields.
    let mut camera = described("", H264_ONLY);
    camera.expect("SETUP", &[]);
    camera.reply("200 OK", "Session: 7\r\n", "");
    camera.expect("PLAY", &[]);
    camera.reply("200 OK", "Session: 7\r\n \r\nRTP-Info: url=trackID=0;seq=9\r\n", "");
    camera.block(0, b"rtp");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing, rtp(0, b"rtp")]));
    assert_eq!(camera.session.tracks()[0].rtp_info.unwrap().sequence, Some(9));
}

#[test]
fn cseq_with_trailing_blanks_or_none() {
    let mut camera = Camera::new("rtsp://h/");
    camera.expect("OPTIONS", &[]);
    camera.feed(b"RTSP/1.0 200 OK\r\nCseq: 1 \r\n\r\n");
    camera.expect("DESCRIBE", &[]);
    camera.feed(b"RTSP/1.0 454 Session Not Found\r\n\r\n");
    assert!(matches!(camera.error(), Error::Refused { status: 454, .. }));
}

#[test]
fn replies_numbered_in_a_way_of_the_cameras_own() {
    let zero = |_: u32| "Cseq: 0\r\n".to_owned();
    let lags = |cseq: u32| format!("CSeq: {}\r\n", cseq - 1);
    let leads = |cseq: u32| format!("CSeq: {}\r\n", cseq + 7);
    let stands = |_: u32| "CSeq: 1\r\n".to_owned();
    let words = |_: u32| "CSeq: first\r\n".to_owned();
    let none = |_: u32| String::new();
    let ways: [&dyn Fn(u32) -> String; 6] = [&zero, &lags, &leads, &stands, &words, &none];
    for number in ways {
        let mut camera = Camera::new(URL);
        for (method, status, fields, body) in [
            ("OPTIONS", "200 OK", "Public: GET_PARAMETER\r\n", ""),
            ("DESCRIBE", "401 Unauthorized", CHALLENGE, ""),
            ("DESCRIBE", "200 OK", "", H264_ONLY),
            ("SETUP", "200 OK", "Transport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 7\r\n", ""),
            ("PLAY", "200 OK", "", ""),
        ] {
            camera.expect(method, &[]);
            camera.reply_as(&number(camera.cseq), status, fields, body);
        }
        let seen = camera.outputs();
        // The first reply may have been numbered right by chance: PLAY is then announced by a
        // packet.
        if seen == Ok(vec![]) {
            camera.block(0, b"rtp");
            assert_eq!(camera.outputs(), Ok(vec![Seen::Playing, rtp(0, b"rtp")]));
        } else {
            assert_eq!(seen, Ok(vec![Seen::Playing]));
        }
        camera.wait().unwrap();
        camera.expect("GET_PARAMETER", &[]);
        camera.reply_as(&number(camera.cseq), "200 OK", "", "");
        assert_eq!(camera.outputs(), Ok(vec![]));
        assert_eq!(camera.session.counters().ignored_replies, 0);
    }
}

#[test]
fn an_answer_said_twice_is_not_taken_for_the_next_one() {
    let mut camera = Camera::new(URL);
    let challenge = format!("RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\n{CHALLENGE}\r\n");
    camera.expect("OPTIONS", &[]);
    camera.feed(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nRTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
    camera.expect("DESCRIBE", &[]);
    assert_eq!(camera.outputs(), Ok(vec![]));
    camera.feed(challenge.as_bytes());
    camera.expect("DESCRIBE", &[]);
    camera.feed(challenge.as_bytes());
    assert_eq!(camera.outputs(), Ok(vec![]));
    camera.reply("200 OK", "", H264_ONLY);
    camera.expect("SETUP", &[]);
    let counters = camera.session.counters();
    assert_eq!((counters.ignored_replies, counters.miscounted_replies), (2, 0));
}

#[test]
fn a_connection_closed_behind_a_401_goes_on_with_the_next() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", CHALLENGE, "");
    camera.expect("OPTIONS", &[]);
    let error = camera.session.disconnected();
    let Error::ClosedBehindChallenge { authenticator } = error.clone() else { panic!("{error}") };
    assert_eq!(error.fault(), Fault::Credentials);
    let line = error.to_string();
    assert_eq!(line, "401 Unauthorized: the camera closes the connection on user \"admin\"");
    assert!(!format!("{error:?}").contains("secret"));
    let mut camera = Camera::with(
        URL,
        SessionOptions { authenticator: Some(authenticator), ..SessionOptions::new(2) },
    );
    let request = camera.expect("OPTIONS", &["CSeq: 1"]);
    assert!(
        request.contains("Authorization: Digest username=\"admin\", realm=\"r\", nonce=\"1\", ")
    );
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    assert!(matches!(camera.session.disconnected(), Error::Disconnected { .. }));
}

#[test]
fn a_server_that_never_stops_talking_is_left() {
    for message in ["RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n", "OPTIONS * RTSP/1.0\r\n\r\n"] {
        let mut camera = Camera::playing("", H264_ONLY);
        let mut fed = 0;
        let error = loop {
            camera.feed(message.as_bytes());
            fed += 1;
            match camera.session.poll(camera.now) {
                Ok(Some(Output::Send(_)) | None) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(fed, limits::CHATTER_MESSAGES_MAX + 1);
        let line = error.to_string();
        assert_eq!(line, "more than 256 unsolicited RTSP messages within 10 s");
    }
    // One that asks every few seconds whether we live is not.
    let mut camera = Camera::playing("", H264_ONLY);
    for _ in 0..=2 * limits::CHATTER_MESSAGES_MAX {
        camera.now += Duration::from_secs(1);
        camera.feed(b"OPTIONS * RTSP/1.0\r\nCSeq: 9\r\n\r\n");
        camera.expect("RTSP/1.0 200 OK", &["CSeq: 9"]);
    }
}

#[test]
fn life_is_asked_for_before_a_keepalive_is_due() {
    let mut camera = Camera::playing("Public: GET_PARAMETER\r\n", H264_ONLY);
    let before = camera.session.counters().messages;
    camera.session.ask_for_life(camera.now);
    camera.expect("GET_PARAMETER", &["Session: 7"]);
    camera.session.ask_for_life(camera.now);
    assert_eq!(camera.outputs(), Ok(vec![]), "one question at a time");
    camera.reply("200 OK", "", "");
    assert_eq!(camera.outputs(), Ok(vec![]));
    assert_eq!(camera.session.counters().messages, before + 1);
}

#[test]
fn the_same_channels_for_every_track() {
    let options = SessionOptions { tracks: Tracks::VideoAndAudio, ..SessionOptions::new(1) };
    let mut camera = Camera::with("rtsp://h/", options);
    camera.expect("OPTIONS", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("200 OK", "", &sdp_of("reolink_rlc_410"));
    for asked in ["0-1", "2-3"] {
        camera.expect("SETUP", &[&format!("Transport: RTP/AVP/TCP;unicast;interleaved={asked}")]);
        camera.reply("200 OK", "Session: 7\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n", "");
    }
    camera.expect("PLAY", &[]);
    camera.block(2, b"sound");
    assert_eq!(camera.outputs(), Ok(vec![Seen::Playing, rtp(1, b"sound")]));
}
