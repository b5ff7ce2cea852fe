//! Challenges, refusals and what errors say.

use super::*;

#[test]
fn digest_is_answered_once_and_then_sent_ahead() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", CHALLENGE, "");
    let request = camera.expect("OPTIONS", &["CSeq: 2"]);
    assert!(
        request.contains("Authorization: Digest username=\"admin\", realm=\"r\", nonce=\"1\", ")
    );
    assert!(request.contains("uri=\"rtsp://10.0.0.2:8554/live\""));
    assert!(!request.contains("secret"));
    camera.reply("200 OK", "", "");
    assert!(camera.expect("DESCRIBE", &[]).contains("nonce=\"1\""));
    camera.reply("200 OK", "", H264_ONLY);
    let setup = camera.expect("SETUP rtsp://10.0.0.2:8554/live/trackID=0 ", &[]);
    assert!(setup.contains("uri=\"rtsp://10.0.0.2:8554/live/trackID=0\""));
}

#[test]
fn basic_is_answered_where_nothing_else_is_offered() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "");
    camera.expect("OPTIONS", &["Authorization: Basic YWRtaW46c2VjcmV0"]);
    camera.reply("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n", "");
    assert_eq!(camera.error(), Error::Unauthorized { user: Some("admin".into()) });
}

#[test]
fn a_wrong_password_is_refused_after_one_try() {
    for second in [CHALLENGE, "WWW-Authenticate: Digest realm=\"r\", nonce=\"2\"\r\n", ""] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("401 Unauthorized", CHALLENGE, "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("401 Unauthorized", second, "");
        let error = camera.error();
        assert_eq!(error.to_string(), "401 Unauthorized: the camera refuses user \"admin\"");
        assert_eq!(error.fault(), Fault::Credentials);
    }
}

#[test]
fn stale_nonces_have_an_end() {
    let stale = |nonce| format!("WWW-Authenticate: Digest nonce=\"{nonce}\", stale=true\r\n");
    let mut camera = Camera::new(URL);
    for nonce in 0..2 {
        camera.expect("OPTIONS", &[]);
        camera.reply("401 Unauthorized", &stale(nonce), "");
    }
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", &stale(2), "");
    assert_eq!(camera.error(), Error::Unauthorized { user: Some("admin".into()) });
}

#[test]
fn without_a_user_a_challenge_is_an_error_that_says_so() {
    let mut camera = Camera::new("rtsp://h/");
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", CHALLENGE, "");
    let error = camera.error();
    assert_eq!(
        error.to_string(),
        "401 Unauthorized: the camera requires a user and password, but the URL has none"
    );
    assert_eq!(error.fault(), Fault::Credentials);
}

#[test]
fn an_unknown_challenge_is_not_blamed_on_the_password() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("401 Unauthorized", "WWW-Authenticate: Bearer\r\n", "");
    assert_eq!(camera.error(), Error::UnknownChallenge);
}

#[test]
fn refusals_say_what_and_whose_fault() {
    for (status, line, fault) in [
        ("404 x", "404 Not Found: the camera has no /live", Fault::Address),
        ("403 x", "403 Forbidden: this user may not read /live on the camera", Fault::Credentials),
        ("453 x", "453 Not Enough Bandwidth: the camera serves no more viewers", Fault::Connection),
        ("503 x", "503 Service Unavailable: the camera serves no more viewers", Fault::Connection),
        ("500 x", "500 Internal Server Error: the camera's reply to DESCRIBE", Fault::Connection),
        ("499 x", "499 refused: the camera's reply to DESCRIBE", Fault::Camera),
    ] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        camera.reply(status, "", "");
        let error = camera.error();
        assert_eq!((error.to_string().as_str(), error.fault()), (line, fault));
    }
}

#[test]
fn a_path_with_a_password_is_masked_in_the_error() {
    let mut camera = Camera::new("rtsp://h/user=a&password=secret&channel=1");
    camera.expect("OPTIONS rtsp://h/user=a&password=secret&channel=1 ", &[]);
    camera.reply("200 OK", "", "");
    camera.expect("DESCRIBE", &[]);
    camera.reply("404 Not Found", "", "");
    let line = camera.error().to_string();
    assert_eq!(line, "404 Not Found: the camera has no /user=a&password=***&channel=1");
}

#[test]
fn a_camera_that_streams_over_udp_only_is_named() {
    for (status, fields, line) in [
        ("461 x", "", "461 Unsupported Transport: the camera does not stream over TCP"),
        (
            "200 OK",
            "Transport: RTP/AVP;unicast;client_port=4-5;server_port=6-7\r\n",
            "the camera answers SETUP for TCP with UDP ports",
        ),
    ] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("200 OK", "", H264_ONLY);
        camera.expect("SETUP", &[]);
        camera.reply(status, fields, "");
        let error = camera.error();
        assert!(error.is_about_transport());
        assert_eq!((error.to_string().as_str(), error.fault()), (line, Fault::Camera));
        assert_eq!(camera.session.tracks().len(), 1);
    }
}

#[test]
fn without_a_video_track_the_error_lists_what_there_is() {
    for (sdp, line) in [
        (
            "m=video 0 RTP/AVP 26\r\nm=audio 0 RTP/AVP 0\r\n",
            "no H.264 or H.265 video track in the camera's SDP (has: JPEG, PCMU)",
        ),
        ("", "no H.264 or H.265 video track in the camera's SDP (has: nothing)"),
        ("<html>\n</html>", "no H.264 or H.265 video track in the camera's SDP (has: nothing)"),
    ] {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        camera.reply("200 OK", "", "");
        camera.expect("DESCRIBE", &[]);
        camera.reply("200 OK", "", sdp);
        let error = camera.error();
        assert_eq!((error.to_string().as_str(), error.fault()), (line, Fault::Camera));
    }
}

#[test]
fn a_redirect_names_its_target_without_credentials() {
    let mut camera = Camera::new(URL);
    camera.expect("OPTIONS", &[]);
    camera.reply("302 Found", "Location: rtsp://u:secret@other:555/x\r\n", "");
    let error = camera.error();
    assert_eq!(
        error.to_string(),
        "302 Moved Temporarily: the camera's stream is at rtsp://other:555/x"
    );
    let Error::Redirected { to: Some(to), .. } = error else { panic!("{error:?}") };
    assert_eq!((to.host(), to.port()), ("other", 555));
}

#[test]
fn every_request_before_play_has_a_timeout() {
    let steps = [("DESCRIBE", "", ""), ("SETUP", "", H264_ONLY), ("PLAY", "Session: 1\r\n", "")];
    for answered in 0..=steps.len() {
        let mut camera = Camera::new(URL);
        camera.expect("OPTIONS", &[]);
        let mut last = "OPTIONS";
        for (method, fields, sdp) in &steps[..answered] {
            camera.reply("200 OK", fields, sdp);
            camera.expect(method, &[]);
            last = method;
        }
        let gone = camera.session.disconnected().to_string();
        assert_eq!(gone, format!("the camera closed the connection instead of answering {last}"));
        assert_eq!(camera.session.deadline(), Some(camera.now + limits::REPLY_TIMEOUT));
        let error = camera.wait().unwrap_err();
        assert_eq!(error.to_string(), format!("no answer to {last} for 5 s"));
        assert_eq!(error.fault(), Fault::Connection);
        assert_eq!(camera.outputs(), Ok(vec![]));
    }
}
