//! Snapshots and the smaller stream, through the server: what viewers get, and what that costs the
//! camera.

#![expect(clippy::disallowed_methods, reason = "viewers have clocks")]

use crate::support::{
    Nvr, SHORT_SEGMENTS, config, let_pass, server::Server, wait_for, wait_for_within, watch::Watch,
};
use camera::{Auth, Camera, Clip, PICTURE, Scheme, SessionState};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(500);

/// A daemon whose camera has these additional keys.
fn start(url: &str, keys: &str) -> Nvr {
    let directory = tempfile::tempdir().unwrap();
    let text = config(directory.path(), SHORT_SEGMENTS, &[("yard", url)]);
    let text = text.replace("buffer_kb", &format!("{keys}\nbuffer_kb"));
    Nvr::start_with(directory, &text, &[])
}

/// An answer: status, head and body, read to its announced end.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// Sends a request; returns the answer's head, and the reader of its body.
fn ask(address: &str, path: &str) -> (String, BufReader<TcpStream>) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut input = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(input.read_line(&mut head).unwrap() > 0, "{head}");
    }
    (head, input)
}

fn get(address: &str, path: &str) -> Answer {
    let (head, mut input) = ask(address, path);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut body = vec![0; field(&head, "Content-Length").parse().unwrap()];
    input.read_exact(&mut body).unwrap();
    Answer { status, head, body }
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).unwrap().1
}

fn snapshot(nvr: &Nvr) -> Answer {
    get(&nvr.web_address(), "/snapshot/yard.jpg")
}

fn reason(answer: &Answer) -> String {
    let object: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    object["error"].as_str().unwrap().to_owned()
}

#[test]
fn twenty_viewers_cost_the_camera_one_request_an_interval_and_no_viewers_cost_none() {
    let camera = Camera::builder().stream("cam", Clip::built_in()).http(0).start().unwrap();
    let page = camera.picture_url().unwrap();
    let keys = format!("snapshot = {page:?}\nsnapshot_interval_ms = {}", INTERVAL.as_millis());
    let mut nvr = start(&camera.url("cam"), &keys);
    nvr.wait_for_recording(&[]);
    let_pass(2 * INTERVAL);
    assert_eq!(camera.picture_requests(), [], "nobody looks");

    let address = nvr.web_address();
    let started = Instant::now();
    let mut watch = Watch::start(nvr.id());
    let oldest = Mutex::new(Duration::ZERO);
    let viewer = || {
        while camera.picture_requests().len() < 4 {
            let answer = get(&address, "/snapshot/yard.jpg");
            assert_eq!(answer.status, 200);
            assert!(answer.body == PICTURE);
            let age = Duration::from_millis(field(&answer.head, "Age-Ms").parse().unwrap());
            let mut oldest = oldest.lock().unwrap();
            *oldest = age.max(*oldest);
            drop(oldest);
            assert_eq!(field(&answer.head, "Content-Type"), "image/jpeg");
            thread::sleep(INTERVAL / 5);
        }
    };
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(viewer);
        }
    });
    let questions = camera.picture_requests().len();
    let intervals = (started.elapsed().as_millis() / INTERVAL.as_millis()) as usize;
    assert!(questions <= intervals + 1, "{questions} in {intervals} intervals");
    let oldest = oldest.into_inner().unwrap();
    assert!(oldest <= INTERVAL + Duration::from_secs(1) + watch.denied(), "{oldest:?}");

    let_pass(2 * INTERVAL);
    assert_eq!(camera.picture_requests().len(), questions, "nobody looks any more");
    assert!(nvr.terminate().0.success());
}

#[test]
fn a_missing_picture_is_explained_without_the_password() {
    let auth = Auth::new(Scheme::Digest, "admin", "secret");
    let camera = Camera::builder().stream("cam", Clip::built_in()).auth(auth).http(0);
    let camera = camera.start().unwrap();
    let page = camera.picture_url().unwrap().replace("http://", "http://admin:hunter2@");
    let url = camera.url("cam").replace("rtsp://", "rtsp://admin:secret@");
    let nvr = start(&url, &format!("snapshot = {page:?}"));
    let answer = snapshot(&nvr);
    assert_eq!(answer.status, 503);
    assert!(reason(&answer).contains("the camera refuses user \"admin\" or the password"));
    assert!(!nvr.log().contains("hunter2") && !reason(&answer).contains("hunter2"));
    let unknown = get(&nvr.web_address(), "/snapshot/nobody.jpg");
    assert_eq!((unknown.status, &*reason(&unknown)), (404, "no such camera"));
}

#[test]
fn viewers_get_the_smaller_stream_which_runs_only_for_them() {
    let camera = Camera::builder()
        .stream("cam", Clip::committed("plain.h264").unwrap())
        .stream("small", Clip::committed("plain.h265").unwrap())
        .start()
        .unwrap();
    let nvr = start(&camera.url("cam"), &format!("live_url = {:?}", camera.url("small")));
    nvr.wait_for_recording(&[]);
    let small =
        || camera.sessions().into_iter().filter(|it| it.stream == "small").collect::<Vec<_>>();
    assert!(small().is_empty(), "nobody looks");
    let address = nvr.web_address();
    let status = || -> serde_json::Value {
        serde_json::from_slice(&get(&address, "/api/status").body).unwrap()
    };

    let (head, mut input) = ask(&address, "/live/yard.mp4");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut seen = Vec::new();
    while !seen.windows(4).any(|four| four == b"hvc1") {
        let mut some = [0; 1000];
        let count = input.read(&mut some).unwrap();
        assert!(count > 0, "the stream ended");
        seen.extend_from_slice(&some[..count]);
    }
    assert_eq!(small().len(), 1);
    assert_eq!(status()["cameras"][0]["viewers"], 1);
    assert_eq!(status()["cameras"][0]["codec"], "h264", "what is recorded");
    drop(input);
    wait_for("the viewer is missed", || status()["cameras"][0]["viewers"] == 0);
    wait_for_within(Duration::from_secs(15), "the smaller stream's end", || {
        small()[0].state == SessionState::TornDown
    });
    nvr.wait_for_log("camera=yard.live state=off");
    let recorded = camera.sessions().into_iter().find(|it| it.stream == "cam").unwrap();
    assert_eq!(recorded.state, SessionState::Playing, "the recording goes on");
}

/// A hash of a decoded JPEG.
fn shown(picture: &Path) -> String {
    let picture = picture.to_str().unwrap();
    let arguments = ["-v", "error", "-i", picture, "-f", "framemd5", "-"];
    let output = Command::new("ffmpeg").args(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_picture_of_gstreamers_jpeg_stream_is_the_one_that_it_sends() {
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large.jpg");
    // Many packets, and tables that no Q names.
    let status = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720"])
        .args(["-frames:v", "1", "-pix_fmt", "yuvj420p", "-huffman", "default", "-q:v", "4"])
        .arg(&large)
        .status();
    assert!(status.unwrap().success());
    let clips = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/clips");
    for picture in [large, clips.join("quality75.jpg"), clips.join("quality30.jpg")] {
        let server = Server::gstreamer_of(&picture, &["jpeg"]);
        // No JPEG by HTTP there: by RTSP.
        let nvr = start(&server.url, "record = false\nsnapshot = \"auto\"");
        let answer = snapshot(&nvr);
        let said = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{}: {said}", picture.display());
        let taken = directory.path().join("taken.jpg");
        fs::write(&taken, &answer.body).unwrap();
        assert_eq!(shown(&taken), shown(&picture), "{}", picture.display());
    }
}
