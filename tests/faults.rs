//! What goes wrong between recorder and camera: each is said in one line, in time and without a
//! password, and recording starts by itself once it is right.

use crate::support::{
    Nvr, SHORT_SEGMENTS, assert_all_whole, config, frames_in, let_pass, port::Port, smolnvr,
    wait_for, wait_for_within,
};
use camera::{Announced, Auth, Builder, Camera, Clip, Faults, Options, Scheme, SessionState, Then};
use smolnvr::limits;
use std::{net::TcpListener, time::Duration};

/// Added to timeouts: a busy machine needs it to start the program.
const SLACK: Duration = Duration::from_secs(2);
/// Long enough for a camera to be tried at least twice more.
const TRIES: Duration = Duration::from_millis(2500);

const USER: &str = "admin";
/// As the camera knows it, and as it stands in a URL.
const PASSWORD: &str = "t0p/s@cret:%41";
const PASSWORD_IN_URL: &str = "t0p%2fs%40cret%3A%2541";
const WRONG_PASSWORD_IN_URL: &str = "wr0ng%3As%40cret";

fn camera() -> Builder {
    Camera::builder().stream("cam", Clip::built_in())
}

/// Waits for a complaint with `text` in it.
fn assert_said_within(limit: Duration, nvr: &Nvr, text: &str) {
    wait_for_within(limit + SLACK, &format!("{text:?} to be said\n{}", nvr.log()), || {
        nvr.log().contains(text)
    });
}

/// Checks that this is the only complaint, however often it was tried meanwhile.
fn assert_said_once(nvr: &Nvr, text: &str) {
    let complaints = nvr.complaints();
    assert!(complaints.len() == 1 && complaints[0].contains(text), "{complaints:#?}");
}

fn with_password(camera: &Camera, password: &str) -> String {
    camera.url("cam").replace("rtsp://", &format!("rtsp://{USER}:{password}@"))
}

#[test]
fn nothing_listens_where_the_camera_should_be() {
    let port = Port::closed();
    let nvr = Nvr::start(&port.url("cam"), SHORT_SEGMENTS);
    let text = "cannot be reached: nothing is listening on that port";
    assert_said_within(limits::CONNECT_TIMEOUT, &nvr, text);
    let_pass(TRIES);
    let number = port.number();
    drop(port);
    let _camera = camera().port(number).start().unwrap();
    nvr.wait_for_recording(&[]);
    assert_said_once(&nvr, text);
}

#[test]
fn the_way_to_the_camera_swallows_everything() {
    let port = Port::dead();
    let nvr = Nvr::start(&port.url("cam"), SHORT_SEGMENTS);
    let text = "does not answer within 2 s";
    assert_said_within(limits::CONNECT_TIMEOUT, &nvr, text);
    let number = port.number();
    drop(port);
    let _camera = camera().port(number).start().unwrap();
    nvr.wait_for_recording(&[]);
}

#[test]
fn what_listens_never_says_a_word() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let nvr = Nvr::start(&format!("rtsp://127.0.0.1:{port}/cam"), SHORT_SEGMENTS);
    let text = "no answer to OPTIONS for 5 s";
    assert_said_within(limits::REPLY_TIMEOUT, &nvr, text);
    drop(listener);
    let _camera = camera().port(port).start().unwrap();
    nvr.wait_for_recording(&[]);
}

fn wrong_password(scheme: Scheme) {
    let camera = camera().auth(Auth::new(scheme, USER, PASSWORD)).start().unwrap();
    let nvr = Nvr::start(&with_password(&camera, WRONG_PASSWORD_IN_URL), SHORT_SEGMENTS);
    let text = "401 Unauthorized: the camera refuses user \"admin\"";
    assert_said_within(limits::REPLY_TIMEOUT, &nvr, text);
    let_pass(TRIES);
    let url = with_password(&camera, PASSWORD_IN_URL);
    nvr.reconfigure(&config(nvr.directory.path(), SHORT_SEGMENTS, &[("camera", &url)]));
    nvr.wait_for_recording(&[]);
    assert_said_once(&nvr, text);
    assert_no_secret(&nvr.log());
}

#[test]
fn the_camera_refuses_the_password_by_digest() {
    wrong_password(Scheme::Digest);
}

#[test]
fn the_camera_refuses_the_password_by_digest_with_sha_256() {
    wrong_password(Scheme::DigestSha256);
}

#[test]
fn the_camera_refuses_the_password_by_basic() {
    wrong_password(Scheme::Basic);
}

#[test]
fn the_camera_wants_a_password_and_the_url_has_none() {
    let camera = camera().auth(Auth::new(Scheme::Digest, USER, PASSWORD)).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let text = "401 Unauthorized: the camera requires a user and password, but the URL has none";
    assert_said_within(limits::REPLY_TIMEOUT, &nvr, text);
}

#[test]
fn the_camera_has_no_such_path() {
    let camera = camera().start().unwrap();
    let nvr = Nvr::start(&camera.url("stream=0?password=s@cret"), SHORT_SEGMENTS);
    let text = "404 Not Found: the camera has no /stream=0";
    assert_said_within(limits::REPLY_TIMEOUT, &nvr, text);
    let_pass(TRIES);
    let url = camera.url("cam");
    nvr.reconfigure(&config(nvr.directory.path(), SHORT_SEGMENTS, &[("camera", &url)]));
    nvr.wait_for_recording(&[]);
    assert_said_once(&nvr, text);
    assert_no_secret(&nvr.log());
}

#[test]
fn the_camera_has_no_track_that_can_be_recorded() {
    let options = Options { announced: Announced::Jpeg, ..Options::default() };
    let first = camera().options(options).start().unwrap();
    let nvr = Nvr::start(&first.url("cam"), SHORT_SEGMENTS);
    let text = "no H.264 or H.265 video track in the camera's SDP (has: JPEG)";
    assert_said_within(limits::REPLY_TIMEOUT, &nvr, text);
    let_pass(TRIES);
    let port = first.port();
    drop(first);
    let _second = camera().port(port).start().unwrap();
    nvr.wait_for_recording(&[]);
    let complaints = nvr.complaints();
    assert_eq!(complaints.iter().filter(|line| line.contains(text)).count(), 1, "{complaints:#?}");
}

#[test]
fn the_camera_is_switched_off_and_on_again() {
    let first = camera().start().unwrap();
    let mut nvr = Nvr::start(&first.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_recording(&[]);
    let number = first.port();
    drop(first);
    let port = Port::closed_at(number);
    let text = "cannot be reached: nothing is listening on that port";
    assert_said_within(limits::CONNECT_TIMEOUT, &nvr, text);
    let_pass(TRIES);
    drop(port);
    let before = nvr.files();
    let _second = camera().port(number).start().unwrap();
    nvr.wait_for_recording(&before);
    let complaints = nvr.complaints();
    let expected = ["the camera closed the connection", text];
    assert_eq!(complaints.len(), expected.len(), "{complaints:#?}");
    for (line, expected) in complaints.iter().zip(expected) {
        assert!(line.contains(expected), "{complaints:#?}");
    }
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn the_camera_stalls_and_stays_connected() {
    let stalls = Faults { stall_after: Some(30), ..Faults::default() };
    let camera = camera().faults(stalls).start().unwrap();
    let mut nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    nvr.wait_for_log("state=live");
    let text = "no frame for 10 s";
    assert_said_within(limits::FRAME_TIMEOUT + Duration::from_secs(2), &nvr, text);
    assert_said_once(&nvr, text);
    camera.set_faults("cam", Faults::default());
    let goes_on = camera.wait(Duration::from_secs(10), |sessions| {
        let playing = sessions.iter().filter(|session| session.state == SessionState::Playing);
        playing.map(|session| session.frames).max() > Some(40)
    });
    assert!(goes_on, "{:#?}", camera.sessions());
    // 30 frames of the first session, the last of which may wait for the next.
    wait_for("the second session on disk", || frames_in(&nvr.files()) > 60);
    let (status, _) = nvr.terminate();
    assert!(status.success());
    assert!(nvr.files().len() >= 2, "a run is a file of its own: {:?}", nvr.files());
    assert_all_whole(&nvr.recordings());
}

#[test]
fn the_camera_says_goodbye_and_is_asked_again_at_once() {
    let options = Options { frames: Some(30), then: Then::Bye, ..Options::default() };
    let camera = Camera::builder().stream_with("cam", Clip::built_in(), options).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    assert_said_within(SLACK, &nvr, "the camera ended its stream");
    let again = |sessions: &[camera::Session]| sessions.len() > 1;
    assert!(camera.wait(TRIES, again), "it is not asked again");
    wait_for("the first session on disk", || frames_in(&nvr.files()) >= 30);
}

#[test]
fn the_camera_stalls_and_closes_the_connection() {
    let stalls = Faults { stall_after: Some(30), ..Faults::default() };
    let camera = camera().faults(stalls).start().unwrap();
    let nvr = Nvr::start(&camera.url("cam"), SHORT_SEGMENTS);
    let sent = |sessions: &[camera::Session]| sessions.iter().any(|session| session.frames == 30);
    assert!(camera.wait(Duration::from_secs(10), sent));
    camera.set_faults("cam", Faults::default());
    camera.disconnect_all();
    let text = "the camera closed the connection";
    assert_said_within(Duration::ZERO, &nvr, text);
    // All that came before the silence is kept, the last frame too.
    wait_for("the first session on disk", || frames_in(&nvr.files()) >= 30);
    nvr.wait_for_recording(&nvr.files());
    assert_said_once(&nvr, text);
}

#[test]
fn probe_and_check_never_show_a_password() {
    let camera = camera().auth(Auth::new(Scheme::Digest, USER, PASSWORD)).start().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("smolnvr.toml");
    let path = file.to_str().unwrap();
    let right = with_password(&camera, PASSWORD_IN_URL);
    let wrong = with_password(&camera, WRONG_PASSWORD_IN_URL);
    let query = format!("{right}?user=admin&password=s@cret");
    let bad_port = format!("rtsp://{USER}:{PASSWORD_IN_URL}@127.0.0.1:99999/");
    let odd_escape = format!("rtsp://{USER}:s@cret%zz@127.0.0.1/");

    let mut shown = String::new();
    for (url, expected) in [(&right, 0), (&wrong, 1), (&bad_port, 2)] {
        let (status, output, complaint) = smolnvr(&["probe", "--json", url]);
        assert_eq!(status, Some(expected), "{output}{complaint}");
        shown += &(output + &complaint);
    }
    for (url, expected) in [(&right, 0), (&query, 0), (&bad_port, 2), (&odd_escape, 0)] {
        std::fs::write(&file, config(directory.path(), "", &[("camera", url)])).unwrap();
        let (status, output, complaint) = smolnvr(&["check", "-c", path]);
        assert_eq!(status, Some(expected), "{output}{complaint}");
        shown += &(output + &complaint);
    }
    assert!(shown.contains("127.0.0.1"), "{shown}");
    assert_no_secret(&shown);
}

/// No password, nor any recognizable part of one, in either spelling or in Base64.
fn assert_no_secret(text: &str) {
    for part in ["cret", "t0p", "wr0ng", "YWRtaW46"] {
        assert!(!text.contains(part), "{part:?} is in\n{text}");
    }
}
